use std::path::PathBuf;

use clap::Args;

use super::output::Output;
use super::secrets::load_any_key;
use crate::error::Result;
use crate::json::json;
use crate::text::Printable;

/// Show the fingerprints of keys, to compare them with those of others.
///
/// A fingerprint is `sha256:` and the SHA-256 of the public key's DER in hexadecimal: what
/// `openssl pkey -pubin -in FILE -outform DER | sha256sum` prints. Of a private key it is its public key's.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pht-oci fingerprint alice.pub.pem")]
pub(super) struct Fingerprint {
    /// Public or private keys
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

impl Fingerprint {
    pub(super) fn run(&self, output: &mut Output) -> Result<()> {
        let (mut text, mut keys) = (String::new(), Vec::new());
        for path in &self.files {
            let (key, file) = (load_any_key(path)?, path.display().to_string());
            text += &format!("{}  {}\n", key.fingerprint(), Printable::new(&file));
            keys.push(json!({ "file": file, "fingerprint": key.fingerprint(), "bits": key.bits() }));
        }
        output.result(&text, &json!({ "keys": keys }))
    }
}
