use clap::Args;

use super::demands::DemandOptions;
use super::output::Output;
use crate::error::Result;
use crate::image::Reference;
use crate::stage::{World, verify};

/// Check everything about a train that needs no private key: signatures, digests, layers, whose keys they are.
///
/// Every check is shown with its verdict; if one is broken the exit status is 3.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pht-oci verify ./train-layout
  pht-oci verify oci:inbox:latest --trust ./pinned-keys --strict")]
pub(super) struct Verify {
    /// The train
    #[arg(value_name = "SRC")]
    source: Reference,
    #[command(flatten)]
    demands: DemandOptions,
}

impl Verify {
    pub(super) fn run(&self, world: &World, output: &mut Output) -> Result<()> {
        let trust = self.demands.load()?;
        let demands = self.demands.demands(trust.as_ref());
        let found = verify(&self.source, demands, world)?;
        output.verification(&found)?;
        found.settle(demands)
    }
}
