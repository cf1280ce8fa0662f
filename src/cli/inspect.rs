use clap::Args;

use super::output::Output;
use crate::error::Result;
use crate::image::Reference;
use crate::stage::{World, inspect};

/// Show the state of a train: wire version, route, who has signed, what comes next.
///
/// It reads only the train config and verifies nothing of it.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pht-oci inspect ./train-layout")]
pub(super) struct Inspect {
    /// The train
    #[arg(value_name = "SRC")]
    source: Reference,
}

impl Inspect {
    pub(super) fn run(&self, world: &World, output: &mut Output) -> Result<()> {
        output.inspection(&inspect(&self.source, world)?)
    }
}
