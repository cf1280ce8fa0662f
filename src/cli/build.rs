use std::path::PathBuf;

use clap::Args;

use super::output::Output;
use super::route_file::read_route;
use super::secrets::{load_paillier_public, load_private_key, passphrase_from_environment};
use crate::error::Result;
use crate::stage::{BuildRequest, build};
use crate::store::{Context, Reference};
use crate::train::wire::by_name;

/// Build a train from a master image and its files.
///
/// ROUTE.json is a list of {station, eco_system?, index?, rsa_public_key | public_key_file}; without `index` the order
/// of the list is the route. A train `latest` is tagged `base` too, as the central registry expects.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  pht-oci build ./train-layout --base oci:master --files ./algorithm --route route.json --creator alice \\
    --creator-key alice.pem --builder-key builder.pem --cmd python /opt/pht_train/main.py")]
pub(super) struct Build {
    /// The destination
    #[arg(value_name = "DEST", value_parser = Reference::locate)]
    destination: Reference,
    /// The master image, or `scratch` for the empty image
    #[arg(long, value_name = "REF")]
    base: String,
    /// The directory with the train's files
    #[arg(long, value_name = "DIR")]
    files: PathBuf,
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
    #[arg(long, value_name = "PEM")]
    creator_key: PathBuf,
    /// The creator's Paillier public key (JSON with `n` and `g`), for encrypted computation; only wire 3 signs it
    #[arg(long, value_name = "FILE")]
    paillier_public_key: Option<PathBuf>,
    /// The builder's private key, required by wires 2.0 and 3
    #[arg(long, value_name = "PEM")]
    builder_key: Option<PathBuf>,
    /// The wire version: 1.1.1, 1.1.2, 2.0 or 3; only 3 binds route, files and results together
    #[arg(long, value_name = "VERSION", default_value = "3")]
    wire: String,
    /// The train's id [default: a random UUID]
    #[arg(long, value_name = "ID")]
    id: Option<String>,
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
        let creator_key = load_private_key(&self.creator_key, passphrase.as_ref())?;
        let builder_key =
            self.builder_key.as_deref().map(|path| load_private_key(path, passphrase.as_ref())).transpose()?;
        let paillier_key = self.paillier_public_key.as_deref().map(load_paillier_public).transpose()?;
        let request = BuildRequest {
            destination: &self.destination,
            base: base.as_ref(),
            files: &self.files,
            query: self.query.as_deref(),
            route: read_route(&self.route)?,
            creator: &self.creator,
            creator_key: &creator_key,
            paillier_key: paillier_key.as_deref(),
            builder_key: builder_key.as_ref(),
            wire,
            id: self.id.as_deref(),
            proposal: &self.proposal,
            command: &self.cmd,
        };
        output.report(&build(&request, context)?)
    }
}
