use clap::Args;

use super::demands::DemandOptions;
use super::output::Output;
use crate::error::Result;
use crate::image::Reference;
use crate::stage::{RebaseRequest, World, rebase};

/// Put a train on a newer master image; between two stations, and not for trains of wire 3, whose creator signed the base.
///
/// Layers, environment and entry point are the new image's, command and labels the train's; its files stay as they are.
/// Published as `latest` it is tagged `base` too. Without DEST the image is replaced, and every blob that no image needs
/// any more is removed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pht-oci rebase ./train-layout --base docker://registry.example/master/python:3.12
  pht-oci rebase oci:train:latest oci:new:latest --base oci:master-2 --old-base oci:master-1")]
pub(super) struct Rebase {
    /// The train
    #[arg(value_name = "SRC")]
    source: Reference,
    /// Where to publish it [default: in place]
    #[arg(value_name = "DEST")]
    destination: Option<Reference>,
    /// The new master image
    #[arg(long, value_name = "REF")]
    base: Reference,
    /// The image that the train was built on; it is refused if it was not
    #[arg(long, value_name = "REF")]
    old_base: Option<Reference>,
    #[command(flatten)]
    demands: DemandOptions,
}

impl Rebase {
    pub(super) fn run(&self, world: &World, output: &mut Output) -> Result<()> {
        let trust = self.demands.load()?;
        let request = RebaseRequest {
            source: &self.source,
            destination: self.destination.as_ref(),
            base: &self.base,
            old_base: self.old_base.as_ref(),
            demands: self.demands.demands(trust.as_ref()),
        };
        output.report(&rebase(&request, world)?)
    }
}
