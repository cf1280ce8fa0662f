//! Keys, passphrases and the time, from files and the environment.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use zeroize::Zeroizing;

use super::prompt;
use crate::crypto::paillier::PaillierSecret;
use crate::crypto::{MAX_KEY_FILE, Passphrase, PrivateKey, PublicKey, hex};
use crate::error::{Error, ErrorContext, Result};
use crate::text::Printable;
use crate::train::paillier;

/// No core dump of this process is written, nor handed to a program that collects them, which no limit holds back; and no
/// other process of this user looks into its memory: it holds keys and plaintext.
pub(super) fn forbid_core_dumps() {
    // Nothing that was done depends on it.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    // Less than now is always allowed.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}

/// The private key of whoever acts.
#[derive(Debug, Args)]
pub(super) struct KeyOptions {
    /// The private key, PEM in any form of RSA key
    #[arg(long, value_name = "PEM", env = "PRIVATE_KEY_PATH")]
    private_key: Option<PathBuf>,
    /// File whose first line is the passphrase of the private key [default: PRIVATE_KEY_PASSWORD, else a prompt]
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl KeyOptions {
    /// The file with the private key.
    pub(super) fn path(&self) -> Option<&Path> {
        self.private_key.as_deref()
    }

    /// True if a key is named at all.
    pub(super) fn is_given(&self) -> bool {
        self.private_key.is_some()
    }

    pub(super) fn load(&self) -> Result<PrivateKey> {
        let path = self.private_key.as_deref().ok_or_else(|| {
            Error::key("no private key is given").hint("give one with --private-key or the variable PRIVATE_KEY_PATH")
        })?;
        let passphrase = match &self.passphrase_file {
            Some(file) => Some(read_passphrase(file)?),
            None => passphrase_from_environment(),
        };
        load_private_key(path, passphrase.as_ref())
    }
}

pub(super) fn passphrase_from_environment() -> Option<Passphrase> {
    use std::os::unix::ffi::OsStringExt;
    let text = std::env::var_os("PRIVATE_KEY_PASSWORD").filter(|text| !text.is_empty())?;
    Some(Passphrase::new(text.into_vec()))
}

/// The first line of a file, as other tools read passphrase files.
pub(super) fn read_passphrase(path: &Path) -> Result<Passphrase> {
    const LARGEST: u64 = 64 << 10;
    // It may be a pipe of the shell's.
    let mut bytes = Vec::with_capacity(1 << 10);
    let read = fs::File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes));
    // The file was named on the command line: nothing changes by asking again.
    read.map_err(|error| Error::usage("cannot read the passphrase").because(error).at(path.display()))?;
    if bytes.len() as u64 > LARGEST {
        return Err(Error::usage("more than 64 KiB, so no file with a passphrase").at(path.display()));
    }
    let end = bytes.iter().position(|&byte| byte == b'\n').unwrap_or(bytes.len());
    bytes.truncate(end);
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    Ok(Passphrase::new(bytes))
}

pub(super) fn load_private_key(path: &Path, passphrase: Option<&Passphrase>) -> Result<PrivateKey> {
    let text = read_secret_file(path)?;
    let typed = match passphrase {
        None if PrivateKey::is_encrypted(&text) => prompt::passphrase(path)?,
        _ => None,
    };
    let key = PrivateKey::from_pem(&text, passphrase.or(typed.as_ref())).at(path.display())?;
    warn_if_others_read(path);
    Ok(key)
}

/// The secret numbers of a Paillier key.
pub(super) fn load_paillier_secret(path: &Path) -> Result<PaillierSecret> {
    let key = paillier::read_secret(&read_secret_file(path)?).at(path.display())?;
    warn_if_others_read(path);
    Ok(key)
}

/// A Paillier public key, as train configs have it.
pub(super) fn load_paillier_public(path: &Path) -> Result<String> {
    paillier::read_public(&read_key_file(path)?).at(path.display())
}

/// A signature as other programs hand it out: in hexadecimal, or its bytes.
pub(super) fn read_signature(path: &Path) -> Result<Vec<u8>> {
    const LARGEST: u64 = 64 << 10;
    let mut bytes = Vec::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().lock().take(LARGEST).read_to_end(&mut bytes)
    } else {
        fs::File::open(path).and_then(|file| file.take(LARGEST).read_to_end(&mut bytes))
    };
    read.map_err(|error| Error::usage("cannot read the signature").because(error).at(path.display()))?;
    let text: Vec<u8> = bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    match std::str::from_utf8(&text).ok().map(parse_signature) {
        Some(Ok(signature)) => Ok(signature),
        // Some programs write the bytes themselves.
        _ if bytes.len() >= 256 && bytes.len() <= 2048 && !bytes.is_ascii() => Ok(bytes),
        Some(Err(error)) => Err(error.at(path.display())),
        None => Err(not_a_signature().at(path.display())),
    }
}

/// A signature in hexadecimal.
pub(super) fn parse_signature(text: &str) -> Result<Vec<u8>> {
    hex::decode(text.trim()).ok().filter(|bytes| !bytes.is_empty()).ok_or_else(not_a_signature)
}

fn not_a_signature() -> Error {
    Error::usage("not a signature in hexadecimal").hint("give what the creator's program has printed, and nothing else")
}

fn read_secret_file(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    Ok(Zeroizing::new(read_key_file(path)?))
}

/// Warns of a key that others can read; not of a file that turned out to be something else.
fn warn_if_others_read(path: &Path) {
    let mode = fs::metadata(path).map_or(0, |found| found.permissions().mode());
    if mode & 0o077 != 0 {
        tracing::warn!("others can read the private key {path}; protect it with chmod 600", path = path.display());
    }
}

/// The public key of a file with a public or a private key; of a private one the passphrase may be asked for.
pub(super) fn load_any_key(path: &Path) -> Result<PublicKey> {
    let text = read_secret_file(path)?;
    let private = match PublicKey::from_pem(&text) {
        Err(_) if PrivateKey::holds_one(&text) => load_private_key(path, passphrase_from_environment().as_ref())?,
        read => return read.at(path.display()),
    };
    Ok(private.public_key())
}

pub(super) fn load_public_key(path: &Path) -> Result<PublicKey> {
    PublicKey::from_pem(&read_key_file(path)?).at(path.display())
}

fn read_key_file(path: &Path) -> Result<Vec<u8>> {
    let found =
        fs::metadata(path).map_err(|error| Error::key("cannot open the key file").because(error).at(path.display()))?;
    if !found.is_file() || found.len() > MAX_KEY_FILE as u64 {
        return Err(Error::key("not a key file").at(path.display()));
    }
    fs::read(path).map_err(|error| Error::key("cannot read the key file").because(error).at(path.display()))
}

/// Now, in seconds since 1970; or the time that a reproducible build asks for.
pub(super) fn now() -> Result<i64> {
    match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) if !text.is_empty() => text.parse().map_err(|_| {
            Error::usage(format!("SOURCE_DATE_EPOCH is `{}`, not a number of seconds", Printable::new(&text)))
        }),
        _ => {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            Ok(since.map_or(0, |since| since.as_secs().cast_signed()))
        }
    }
}
