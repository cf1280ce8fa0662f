use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use super::choices::wires;
use super::output::Output;
use super::route_file::read_route;
use super::secrets::{
    load_paillier_public, load_private_key, load_public_key, parse_signature, passphrase_from_environment,
};
use crate::crypto::hex;
use crate::error::{Error, ErrorContext, Kind, Result};
use crate::json;
use crate::stage::{BuildCreator, BuildRequest, build};
use crate::store::{Context, Reference};
use crate::text::Printable;
use crate::train::wire::by_name;

/// The file that a tar archive on standard input is read from.
const STANDARD_INPUT: &str = "/dev/stdin";

/// Build a train from a master image and its files.
///
/// ROUTE.json is a list of {station, eco_system?, index?, rsa_public_key | public_key_file}; without `index` the order
/// of the list is the route. A train `latest` is tagged `base` too, as the central registry expects.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  pht-oci build ./train-layout --base oci:master --files ./algorithm \\
    --route route.json --creator alice --creator-key alice.pem \\
    --builder-key builder.pem --cmd python /opt/pht_train/main.py")]
pub(super) struct Build {
    /// The destination
    #[arg(value_name = "DEST", value_parser = Reference::locate)]
    destination: Reference,
    /// The master image, or `scratch` for the empty image
    #[arg(long, value_name = "REF")]
    base: String,
    /// The directory with the train's files, a tar archive of them, or `-` for one on standard input; what .phtignore in it
    /// names, as .gitignore does, is left out
    #[arg(long, value_name = "DIR")]
    files: PathBuf,
    /// The files in the order in which a central service hashes them, one a line or as a JSON list [default: sorted]
    #[arg(long, value_name = "FILE")]
    file_list: Option<PathBuf>,
    /// The query file, stored as `query.json`
    #[arg(long, value_name = "FILE")]
    query: Option<PathBuf>,
    /// The route
    #[arg(long, value_name = "ROUTE.json")]
    route: PathBuf,
    /// The creator's id
    #[arg(long, value_name = "ID")]
    creator: String,
    /// The creator's private key
    #[arg(long, value_name = "PEM", required_unless_present = "creator_public_key")]
    creator_key: Option<PathBuf>,
    /// The creator's public key, of a creator who is not here: the train waits for the signature (see sign)
    #[arg(long, value_name = "PEM", conflicts_with = "creator_key")]
    creator_public_key: Option<PathBuf>,
    /// The signature of the creator who is not here, in hexadecimal
    #[arg(long, value_name = "HEX", requires = "creator_public_key")]
    creator_signature: Option<String>,
    /// A new file for what a creator who is not here has to sign
    #[arg(long, value_name = "FILE")]
    statement: Option<PathBuf>,
    /// The creator's Paillier public key (JSON with `n` and `g`), for encrypted computation; only wire 3 signs it
    #[arg(long, value_name = "FILE")]
    paillier_public_key: Option<PathBuf>,
    /// The builder's private key, for wires 2.0 and 3 [default: one for this train alone]
    #[arg(long, value_name = "PEM")]
    builder_key: Option<PathBuf>,
    /// The wire version: 1.1.1, 1.1.2, 2.0 or 3; only 3 binds route, files and results together
    #[arg(long, value_name = "VERSION", default_value = "3", value_parser = wires())]
    wire: String,
    /// The train's id [default: a random UUID]
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// The 64 bytes that bind signatures to this train, in hexadecimal [default: random]
    #[arg(long, value_name = "HEX")]
    session_id: Option<String>,
    /// Where stations find the master image, if --base is a local copy: docker://HOST/REPO:TAG or @DIGEST
    #[arg(long, value_name = "REF", value_parser = locate_master)]
    master: Option<Reference>,
    /// The proposal that the train belongs to
    #[arg(long, value_name = "ID", default_value = "0")]
    proposal: String,
    /// The command that runs the train; takes the rest of the line [default: the master image's]
    #[arg(long, value_name = "ARG", num_args = 1.., allow_hyphen_values = true)]
    cmd: Vec<String>,
}

impl Build {
    pub(super) fn run(&self, context: &Context, output: &mut Output) -> Result<()> {
        let wire = by_name(&self.wire)?;
        let base = if self.base == "scratch" { None } else { Some(Reference::locate(&self.base)?) };
        let passphrase = passphrase_from_environment();
        let creator_key =
            self.creator_key.as_deref().map(|path| load_private_key(path, passphrase.as_ref())).transpose()?;
        let public_key = self.creator_public_key.as_deref().map(load_public_key).transpose();
        // A fault of the request, not of a train.
        let public_key = public_key.map_err(|error| error.as_kind(Kind::Usage))?;
        let signature = self.creator_signature.as_deref().map(parse_signature).transpose().at("--creator-signature")?;
        let creator_key = match (&creator_key, &public_key) {
            (Some(key), _) => BuildCreator::Key(key),
            (None, Some(key)) => BuildCreator::Away { key, signature: signature.as_deref() },
            (None, None) => return Err(Error::usage("no key of the creator is given")),
        };
        let builder_key =
            self.builder_key.as_deref().map(|path| load_private_key(path, passphrase.as_ref())).transpose()?;
        let paillier_key = self.paillier_public_key.as_deref().map(load_paillier_public).transpose()?;
        let file_list = self.file_list.as_deref().map(read_file_list).transpose()?;
        let files = if self.files.as_os_str() == "-" { Path::new(STANDARD_INPUT) } else { &self.files };
        let request = BuildRequest {
            destination: &self.destination,
            base: base.as_ref(),
            master: self.master.as_ref(),
            files,
            file_list: file_list.as_deref(),
            query: self.query.as_deref(),
            route: read_route(&self.route)?,
            creator: &self.creator,
            creator_key,
            paillier_key: paillier_key.as_deref(),
            builder_key: builder_key.as_ref(),
            wire,
            id: self.id.as_deref(),
            session_id: self.session_id.as_deref().map(parse_session_id).transpose()?,
            proposal: &self.proposal,
            command: &self.cmd,
            statement: self.statement.as_deref(),
        };
        let mut report = build(&request, context)?;
        report.warnings.extend(swallowed(&self.cmd));
        output.report(&report)
    }
}

/// A master image as stations reach it; a text that begins with a host needs no prefix.
fn locate_master(text: &str) -> Result<Reference> {
    if text.contains("://") || Reference::is_local(text) { text.parse() } else { format!("docker://{text}").parse() }
}

fn parse_session_id(text: &str) -> Result<[u8; 64]> {
    let bytes = hex::decode(text.trim()).ok().and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
    bytes.ok_or_else(|| {
        let hint = "give 128 hexadecimal digits, or leave the option out for a random one";
        Error::usage("the session id is not 64 bytes in hexadecimal").hint(hint).at("--session-id")
    })
}

/// Names in the order in which they are hashed: a JSON list, or one a line.
fn read_file_list(path: &Path) -> Result<Vec<String>> {
    let bytes = fs::read(path).map_err(|error| Error::usage("cannot read the list of files").because(error));
    let bytes = bytes.at(path.display())?;
    let read = || {
        let text = String::from_utf8(bytes).map_err(|_| Error::usage("the list of files is not UTF-8"))?;
        if !text.trim_start().starts_with('[') {
            return Ok(text.lines().map(str::to_owned).filter(|line| !line.is_empty()).collect());
        }
        let wrong = || Error::usage("not a JSON list of names");
        let list = json::parse(text.as_bytes()).map_err(|error| error.as_kind(Kind::Usage))?;
        let names = list.as_array().ok_or_else(wrong)?.iter();
        names.map(|name| name.as_str().map(str::to_owned).ok_or_else(wrong)).collect::<Result<Vec<String>>>()
    };
    let list = read().at(path.display())?;
    if list.is_empty() { Err(Error::usage("the list names no file").at(path.display())) } else { Ok(list) }
}

/// Warns of options of this command that were taken for arguments of the train's.
fn swallowed(command: &[String]) -> Option<String> {
    let own = Build::augment_args(clap::Command::new("build"));
    let is_own = |argument: &&String| {
        let name = argument.strip_prefix("--").map(|name| name.split('=').next().unwrap_or(name));
        name.is_some_and(|name| own.get_arguments().any(|known| known.get_long() == Some(name)))
    };
    let argument = Printable::new(command.iter().skip(1).find(is_own)?);
    Some(format!("`{argument}` stands behind --cmd, so it is an argument of the train's command: put --cmd last"))
}
