use std::path::PathBuf;

use clap::Args;

use super::output::Output;
use super::secrets::KeyOptions;
use crate::error::Result;
use crate::image::Reference;
use crate::stage::{PostRunRequest, Station, World, post_run};

/// After the train ran: hash, sign and encrypt the new results; drop every other change.
///
/// Without DEST the image is replaced, and every blob that no image needs any more is removed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pht-oci post-run ./train-layout --station 1 --private-key station_1.pem
  pht-oci post-run oci:work:latest oci:outbox:latest --results ./results --private-key station_1.pem")]
pub(super) struct PostRun {
    /// The image after the run
    #[arg(value_name = "SRC")]
    source: Reference,
    /// Where to publish the train [default: in place]
    #[arg(value_name = "DEST")]
    destination: Option<Reference>,
    /// The station's id [default: the stop whose key it is]
    #[arg(long, value_name = "ID", env = "STATION_ID")]
    station: Option<String>,
    #[command(flatten)]
    key: KeyOptions,
    /// Take the results from this directory instead of the image
    #[arg(long, value_name = "DIR")]
    results: Option<PathBuf>,
    /// The train as built, if it cannot be told from labels or a tag `base`
    #[arg(long, value_name = "REF")]
    base: Option<Reference>,
    /// Accepted for those who know the reference's command: here the result is always based on the train as built
    #[arg(long, hide = true)]
    rebase: bool,
}

impl PostRun {
    pub(super) fn run(&self, world: &World, output: &mut Output) -> Result<()> {
        let key = self.key.load()?;
        let request = PostRunRequest {
            source: &self.source,
            destination: self.destination.as_ref(),
            base: self.base.as_ref(),
            station: Station { id: self.station.as_deref(), key: &key },
            results: self.results.as_deref(),
        };
        output.report(&post_run(&request, world)?)
    }
}
