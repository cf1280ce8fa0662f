use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;

use super::output::Output;
use super::secrets::read_passphrase;
use crate::crypto::{Passphrase, PrivateKey};
use crate::error::{Error, ErrorContext, IoContext, Result};
use crate::json::json;
use crate::text::Printable;

/// Generate a key pair: NAME.pem (mode 0600) and NAME.pub.pem.
///
/// Existing files are never overwritten. With a passphrase the private key is encrypted (PKCS#8, PBES2).
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pht-oci keygen station_1 --bits 3072 --passphrase-file secret.txt")]
pub(super) struct Keygen {
    /// The name of the files, without their endings
    name: PathBuf,
    /// The length of the key in bits
    #[arg(long, default_value_t = 3072, value_parser = parse_bits)]
    bits: usize,
    /// File whose first line is the passphrase for the private key
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

fn parse_bits(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(bits @ (2048 | 3072 | 4096)) => Ok(bits),
        _ => Err("choose 2048, 3072 or 4096".to_owned()),
    }
}

impl Keygen {
    pub(super) fn run(&self, output: &mut Output) -> Result<()> {
        let passphrase = self.passphrase_file.as_deref().map(read_passphrase).transpose()?;
        if let (Some(file), true) = (&self.passphrase_file, passphrase.as_ref().is_some_and(Passphrase::is_empty)) {
            let hint = "leave --passphrase-file out for an unencrypted key";
            return Err(Error::usage("the passphrase is empty").hint(hint).at(file.display()));
        }
        let (private, public) = (self.with_ending(".pem"), self.with_ending(".pub.pem"));
        for path in [&private, &public] {
            if path.exists() {
                return Err(Error::usage("the file exists and is not overwritten").at(path.display()));
            }
        }
        let key = PrivateKey::generate(self.bits)?;
        write_new(&private, 0o600, key.to_pkcs8_pem(passphrase.as_ref())?.as_bytes())?;
        if let Err(error) = write_new(&public, 0o644, key.public_key().to_pem().as_bytes()) {
            // Half a key pair is none.
            let _ = fs::remove_file(&private);
            return Err(error);
        }
        let (private, public) = (private.display().to_string(), public.display().to_string());
        let fingerprint = key.public_key().fingerprint();
        let text = format!("{}\n{}\n{fingerprint}\n", Printable::new(&private), Printable::new(&public));
        output.value(&text, &json!({ "private_key": private, "public_key": public, "fingerprint": fingerprint }))
    }

    fn with_ending(&self, ending: &str) -> PathBuf {
        let mut name = self.name.clone().into_os_string();
        name.push(ending);
        name.into()
    }
}

fn write_new(path: &Path, mode: u32, bytes: &[u8]) -> Result<()> {
    let opened = File::options().write(true).create_new(true).mode(mode).open(path);
    let written = opened.and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    written.doing("write the key file").at(path.display())
}
