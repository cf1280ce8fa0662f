use clap::Args;

use super::output::Output;
use crate::error::Result;
use crate::stage::inspect;
use crate::store::{Context, Reference};

/// Show the state of a train: wire version, how it runs, route, who has signed, what comes next.
///
/// Only the train config and the image config are read, and nothing is verified.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pht-oci inspect ./train-layout")]
pub(super) struct Inspect {
    /// The train
    #[arg(value_name = "SRC", value_parser = Reference::locate)]
    source: Reference,
}

impl Inspect {
    pub(super) fn run(&self, context: &Context, output: &mut Output) -> Result<()> {
        output.inspection(&inspect(&self.source, context)?)
    }
}
