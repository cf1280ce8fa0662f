use std::path::PathBuf;

use clap::Args;

use super::output::Output;
use super::secrets::KeyOptions;
use crate::error::Result;
use crate::image::Reference;
use crate::stage::{PreRunRequest, Station, World, pre_run};

/// Before the train runs: verify the code, verify and decrypt the previous results.
///
/// Without DEST the image is replaced; the encrypted one stays as TAG-encrypted until post-run.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pht-oci pre-run ./train-layout --station 1 --private-key station_1.pem
  pht-oci pre-run oci:inbox:latest oci:work:latest --results ./results --private-key station_1.pem")]
pub(super) struct PreRun {
    /// The train
    #[arg(value_name = "SRC")]
    source: Reference,
    /// Where to publish it [default: in place]
    #[arg(value_name = "DEST")]
    destination: Option<Reference>,
    /// The station's id [default: the stop whose key it is]
    #[arg(long, value_name = "ID", env = "STATION_ID")]
    station: Option<String>,
    #[command(flatten)]
    key: KeyOptions,
    /// Write the previous results into this new directory instead of the image
    #[arg(long, value_name = "DIR")]
    results: Option<PathBuf>,
    /// The train as built, if it cannot be told from labels or a tag `base`
    #[arg(long, value_name = "REF")]
    base: Option<Reference>,
    /// At the first station: carry results along that came with the train as built
    #[arg(long)]
    keep_initial_results: bool,
}

impl PreRun {
    pub(super) fn run(&self, world: &World, output: &mut Output) -> Result<()> {
        let key = self.key.load()?;
        let request = PreRunRequest {
            source: &self.source,
            destination: self.destination.as_ref(),
            base: self.base.as_ref(),
            station: Station { id: self.station.as_deref(), key: &key },
            results: self.results.as_deref(),
            keep_initial_results: self.keep_initial_results,
        };
        output.report(&pre_run(&request, world)?)
    }
}
