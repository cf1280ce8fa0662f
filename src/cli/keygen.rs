use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use zeroize::Zeroizing;

use super::output::Output;
use super::prompt;
use super::secrets::{load_private_key, passphrase_from_environment, read_passphrase};
use crate::crypto::paillier::NewPaillierKey;
use crate::crypto::{Passphrase, PrivateKey};
use crate::error::{Error, ErrorContext, IoContext, Result};
use crate::json::json;
use crate::text::Printable;

/// Generate a key pair: NAME.pem (mode 0600) and NAME.pub.pem.
///
/// Existing files are never overwritten. With a passphrase the private key is encrypted (PKCS#8, PBES2); on a terminal
/// it is asked for.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pht-oci keygen station_1 --bits 3072 --passphrase-file secret.txt
  pht-oci keygen alice --paillier
  pht-oci keygen --public-of station_1.pem > station_1.pub.pem")]
pub(super) struct Keygen {
    /// The name of the files, without their endings
    #[arg(required_unless_present = "public_of")]
    name: Option<PathBuf>,
    /// The length of the key in bits
    #[arg(long, default_value_t = 3072, value_parser = parse_bits)]
    bits: usize,
    /// File whose first line is the passphrase for the private key [default: PRIVATE_KEY_PASSWORD, else a prompt]
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Leave the private key unencrypted, without asking
    #[arg(long, conflicts_with = "passphrase_file")]
    no_passphrase: bool,
    /// Generate a creator's Paillier key pair, for encrypted computation: NAME.paillier.json and NAME.paillier.pub.json
    #[arg(long, conflicts_with_all = ["passphrase_file", "no_passphrase"])]
    paillier: bool,
    /// Print the public key of this private key, and generate nothing
    #[arg(long, value_name = "PEM", conflicts_with_all = ["name", "bits", "paillier", "no_passphrase"])]
    public_of: Option<PathBuf>,
}

fn parse_bits(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(bits @ (2048 | 3072 | 4096)) => Ok(bits),
        _ => Err("choose 2048, 3072 or 4096".to_owned()),
    }
}

impl Keygen {
    pub(super) fn run(&self, output: &mut Output) -> Result<()> {
        match (&self.public_of, &self.name) {
            (Some(private), _) => self.print_public(private, output),
            (None, Some(name)) if self.paillier => self.generate_paillier(name, output),
            (None, Some(name)) => self.generate(name, output),
            (None, None) => Err(Error::usage("no name is given")),
        }
    }

    fn generate(&self, name: &Path, output: &mut Output) -> Result<()> {
        let (private, public) = files(name, [".pem", ".pub.pem"])?;
        let passphrase = self.passphrase(&private)?;
        let key = PrivateKey::generate(self.bits)?;
        let pem = key.to_pkcs8_pem(passphrase.as_ref())?;
        write_pair((&private, pem.as_bytes()), (&public, key.public_key().to_pem().as_bytes()))?;
        let (private, public) = (private.display().to_string(), public.display().to_string());
        let fingerprint = key.public_key().fingerprint();
        let locked = if passphrase.is_some() { "encrypted with the passphrase" } else { "not encrypted" };
        let text = format!(
            "{}\n  the private key, {locked}: keep it secret, and keep a copy where nobody else is\n\
             {}\n  the public key: send it to whoever plans the route or builds the train, and read out its \
             fingerprint\n{fingerprint}\n",
            Printable::new(&private),
            Printable::new(&public),
        );
        output.value(&text, &json!({ "private_key": private, "public_key": public, "fingerprint": fingerprint }))
    }

    fn generate_paillier(&self, name: &Path, output: &mut Output) -> Result<()> {
        let (private, public) = files(name, [".paillier.json", ".paillier.pub.json"])?;
        let key = NewPaillierKey::generate(self.bits)?;
        let secret = Zeroizing::new(format!("{{\"lambda\":\"{}\",\"mu\":\"{}\"}}\n", *key.lambda, *key.mu));
        let open = json!({ "n": key.n, "g": key.g }).to_string() + "\n";
        write_pair((&private, secret.as_bytes()), (&public, open.as_bytes()))?;
        let (private, public) = (private.display().to_string(), public.display().to_string());
        let text = format!(
            "{private}\n  the private key, not encrypted: keep it secret; results --paillier-key reads results with it\n\
             {public}\n  the public key: build --paillier-public-key puts it into a train\n"
        );
        output.value(&text, &json!({ "private_key": private, "public_key": public }))
    }

    fn print_public(&self, private: &Path, output: &mut Output) -> Result<()> {
        let passphrase = match &self.passphrase_file {
            Some(file) => Some(read_passphrase(file)?),
            None => passphrase_from_environment(),
        };
        let key = load_private_key(private, passphrase.as_ref())?.public_key();
        let (pem, fingerprint) = (key.to_pem(), key.fingerprint());
        output.result(&pem, &json!({ "public_key": pem, "fingerprint": fingerprint }))
    }

    /// The passphrase for a new key: from a file, from the environment, or from who sits at the terminal.
    fn passphrase(&self, key: &Path) -> Result<Option<Passphrase>> {
        if let Some(file) = &self.passphrase_file {
            let passphrase = read_passphrase(file)?;
            if passphrase.is_empty() {
                let hint = "leave --passphrase-file out for an unencrypted key";
                return Err(Error::usage("the passphrase is empty").hint(hint).at(file.display()));
            }
            return Ok(Some(passphrase));
        }
        if self.no_passphrase {
            return Ok(None);
        }
        let typed = match passphrase_from_environment() {
            Some(passphrase) => Some(passphrase),
            None => prompt::new_passphrase(key)?,
        };
        Ok(typed.filter(|passphrase| !passphrase.is_empty()))
    }
}

/// The files of a key pair, neither of which is there yet; a name may have been given with the ending of the first.
fn files(name: &Path, [private, public]: [&str; 2]) -> Result<(PathBuf, PathBuf)> {
    let name = name.to_str().and_then(|text| text.strip_suffix(private)).map_or(name, Path::new);
    if name.file_name().is_none() || name.to_string_lossy().ends_with('/') {
        return Err(Error::usage("no name for the files of the key").at(name.display()));
    }
    let with = |ending: &str| {
        let mut path = name.to_owned().into_os_string();
        path.push(ending);
        PathBuf::from(path)
    };
    let (private, public) = (with(private), with(public));
    for path in [&private, &public] {
        if path.symlink_metadata().is_ok() {
            return Err(Error::usage("the file exists and is not overwritten").at(path.display()));
        }
    }
    Ok((private, public))
}

fn write_pair(private: (&Path, &[u8]), public: (&Path, &[u8])) -> Result<()> {
    write_new(private.0, 0o600, private.1)?;
    write_new(public.0, 0o644, public.1).inspect_err(|_| {
        // Half a key pair is none.
        let _ = fs::remove_file(private.0);
    })
}

fn write_new(path: &Path, mode: u32, bytes: &[u8]) -> Result<()> {
    let opened = File::options().write(true).create_new(true).mode(mode).open(path);
    let written = opened.and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    written.doing("write the key file").at(path.display())
}
