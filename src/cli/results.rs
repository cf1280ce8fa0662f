use std::path::PathBuf;

use clap::Args;

use super::demands::DemandOptions;
use super::output::Output;
use super::secrets::KeyOptions;
use crate::error::Result;
use crate::image::Reference;
use crate::stage::{ResultsRequest, World, results};

/// Decrypt the results for the creator of the train.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pht-oci results ./train-layout --private-key creator.pem --out ./results")]
pub(super) struct Results {
    /// The train
    #[arg(value_name = "SRC")]
    source: Reference,
    #[command(flatten)]
    key: KeyOptions,
    #[command(flatten)]
    demands: DemandOptions,
    /// The new directory for the results
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl Results {
    pub(super) fn run(&self, world: &World, output: &mut Output) -> Result<()> {
        let key = self.key.load()?;
        let trust = self.demands.load()?;
        let demands = self.demands.demands(trust.as_ref());
        output.report(&results(&ResultsRequest { source: &self.source, key: &key, out: &self.out, demands }, world)?)
    }
}
