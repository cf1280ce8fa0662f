use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::output::Output;
use super::policy::PolicyOptions;
use super::prompt;
use super::secrets::{KeyOptions, load_private_key, passphrase_from_environment, read_signature};
use crate::crypto::{PrivateKey, hex};
use crate::error::{Error, ErrorContext, IoContext, Kind, Result};
use crate::json::json;
use crate::stage::{KnownFiles, SignRequest, SignWith, Statement, sign, sign_hash, sign_statement};
use crate::store::fs::StagedFile;
use crate::store::{Audience, Context, Reference};
use crate::text::Printable;

/// The largest statement that is read, in bytes; as large as a train config may be.
const MAX_STATEMENT: u64 = 16 << 20;

/// Sign a train that a central service has built, as its creator; shows what is signed, and asks.
///
/// A creator without the image signs its statement, the train config that `build --statement` writes (or `extract SRC
/// /opt/train_config.json`), and gets a signature in hexadecimal; the service puts it in with --signature. Where a service shows a hash alone, as the
/// field's does for wires 1.1.2 and 2.0, that is signed as the field's client signs it (--hash). In wire 2.0
/// the builder signs after the creator: give --builder-key too, or in a second step alone.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pht-oci sign ./train --private-key alice.pem --files ./algorithm
  pht-oci sign --statement statement.json --private-key alice.pem \\
    --files ./algorithm --out signature.hex
  pht-oci sign --hash 5d41... --private-key alice.pem
  pht-oci sign ./train --signature signature.hex")]
pub(super) struct Sign {
    /// The train as built
    #[arg(value_name = "SRC", value_parser = Reference::locate, required_unless_present_any = ["statement", "hash"])]
    source: Option<Reference>,
    /// The destination [default: in place]
    #[arg(value_name = "DEST", value_parser = Reference::locate)]
    destination: Option<Reference>,
    /// Sign this statement instead of an image, and print the signature
    #[arg(long, value_name = "FILE", conflicts_with_all = ["source", "signature", "builder_key"])]
    statement: Option<PathBuf>,
    /// Sign this hash of a train of wire 1.1.2 or 2.0 instead of an image, and print the signature: for who was given no
    /// more, and takes on trust what it is the hash of
    #[arg(
        long,
        value_name = "HEX",
        value_parser = parse_hash,
        conflicts_with_all = ["source", "statement", "signature", "builder_key", "files"],
    )]
    hash: Option<[u8; 64]>,
    #[command(flatten)]
    key: KeyOptions,
    /// The creator's signature, made elsewhere, in hexadecimal; `-` for standard input
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// The builder's private key, for a train of wire 2.0 [default: one for this train alone, if none is named]
    #[arg(long, value_name = "PEM")]
    builder_key: Option<PathBuf>,
    /// The files of the train as the creator has them, a directory or a tar archive: the train's must be the same
    #[arg(long, value_name = "DIR")]
    files: Option<PathBuf>,
    /// The query, if it is not among the files
    #[arg(long, value_name = "FILE", requires = "files")]
    query: Option<PathBuf>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// A new file for the signature of a statement or a hash [default: standard output]
    #[arg(long, value_name = "FILE", conflicts_with = "source")]
    out: Option<PathBuf>,
    #[command(flatten)]
    policy: PolicyOptions,
}

impl Sign {
    pub(super) fn run(&self, context: &Context, output: &mut Output) -> Result<()> {
        match (&self.hash, &self.statement, &self.source) {
            (Some(hash), _, _) => self.sign_hash(hash, output),
            (None, Some(statement), _) => self.sign_statement(statement, context, output),
            (None, None, Some(source)) => self.sign_image(source, context, output),
            (None, None, None) => Err(Error::usage("no train is given")),
        }
    }

    fn known(&self) -> KnownFiles<'_> {
        KnownFiles::new(self.files.as_deref(), self.query.as_deref())
    }

    fn sign_image(&self, source: &Reference, context: &Context, output: &mut Output) -> Result<()> {
        let signature = self.signature.as_deref().map(read_signature).transpose()?;
        let builder_key = self.builder_key.as_deref().map(load_own_key).transpose()?;
        let is_for_builder = builder_key.is_some() && !self.key.is_given();
        let key = match &signature {
            None if !is_for_builder => Some(self.key.load()?),
            _ => None,
        };
        let demands = self.policy.load()?;
        let with = match (&signature, &key) {
            (Some(signature), _) => SignWith::Signature(signature),
            (None, Some(key)) => SignWith::Key(key),
            (None, None) => SignWith::Nothing,
        };
        let request = SignRequest {
            destination: self.destination.as_ref(),
            builder_key: builder_key.as_ref(),
            known: self.known(),
            policy: demands.policy(),
            ..SignRequest::new(source, with)
        };
        let mut shown = None;
        let report = sign(
            &request,
            &mut |statement| {
                shown = Some(statement.clone());
                // Whoever puts in what others have signed decides nothing.
                if key.is_some() { self.ask(statement, output) } else { Ok(()) }
            },
            context,
        )?;
        output.signing(&report, shown.as_ref())
    }

    fn sign_statement(&self, path: &Path, context: &Context, output: &mut Output) -> Result<()> {
        let key = self.key.load()?;
        let document = read_statement(path)?;
        let mut hash = String::new();
        let mut approve = |statement: &Statement| {
            hash.clone_from(&statement.hash);
            self.ask(statement, output)
        };
        let signature = sign_statement(&document, &key, self.known(), &mut approve, context).at(path.display())?;
        self.hand_out(&hash, &signature, output)
    }

    fn sign_hash(&self, hash: &[u8; 64], output: &mut Output) -> Result<()> {
        let key = self.key.load()?;
        let shown = hex::encode(hash);
        self.confirm(&format!("sign the hash {shown}, though nothing here shows what it is the hash of?"))?;
        self.hand_out(&shown, &sign_hash(hash, &key)?, output)
    }

    /// The signature, for who has the train.
    fn hand_out(&self, hash: &str, signature: &[u8], output: &mut Output) -> Result<()> {
        let text = format!("{}\n", hex::encode(signature));
        if let Some(out) = &self.out {
            let staged = StagedFile::new(out, Audience::Anyone)?;
            let mut file = staged.filling()?;
            file.write_all(text.as_bytes()).doing("write the signature").at(out.display())?;
            staged.reveal(&file)?;
            let name = out.display().to_string();
            return output.value(&format!("{name}\n"), &json!({ "hash": hash, "signature_file": name }));
        }
        output.result(&text, &json!({ "hash": hash, "signature": hex::encode(signature) }))
    }

    /// Shows what is signed and asks; nobody signs what nobody could see.
    fn ask(&self, statement: &Statement, output: &Output) -> Result<()> {
        output.statement(statement)?;
        self.confirm(&format!("sign the train {}?", Printable::new(&statement.id)))
    }

    fn confirm(&self, question: &str) -> Result<()> {
        if self.yes {
            return Ok(());
        }
        match prompt::confirm(question)? {
            Some(true) => Ok(()),
            Some(false) => Err(Error::usage("nothing was signed")),
            None => {
                let what = "there is no terminal to ask at, and nothing was signed";
                Err(Error::usage(what).hint("look at what is signed, then give --yes"))
            }
        }
    }
}

/// A hash as the page of a central service shows it.
fn parse_hash(text: &str) -> Result<[u8; 64]> {
    let bytes = hex::decode(text.trim()).ok().and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
    bytes.ok_or_else(|| Error::usage("not a hash of a train: 128 hexadecimal digits"))
}

fn load_own_key(path: &Path) -> Result<PrivateKey> {
    load_private_key(path, passphrase_from_environment().as_ref())
}

fn read_statement(path: &Path) -> Result<Vec<u8>> {
    let len = fs::metadata(path)
        .map_err(|error| Error::usage("cannot open the statement").because(error).at(path.display()))?
        .len();
    if len > MAX_STATEMENT {
        return Err(Error::new(Kind::Malformed, format!("a statement of {len} bytes")).at(path.display()));
    }
    fs::read(path).doing("read the statement").at(path.display())
}
