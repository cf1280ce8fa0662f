use clap::Args;

use super::output::Output;
use super::policy::PolicyOptions;
use crate::error::Result;
use crate::stage::{RebaseRequest, rebase};
use crate::store::{Context, Reference};

/// Put a train on a newer master image, between two stations; not possible with wire 3, whose creator signs the base.
///
/// Layers, environment and entry point are the new image's, command and labels the train's; its files stay as they are.
/// Published as `latest` it is tagged `base` too. Without DEST the image is replaced, and every blob that no image
/// needs any more is removed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pht-oci rebase ./train-layout \\
    --base docker://registry.example/master/python:3.12
  pht-oci rebase oci:train:latest oci:new:latest --base oci:master-2 \\
    --old-base oci:master-1")]
pub(super) struct Rebase {
    /// The train
    #[arg(value_name = "SRC", value_parser = Reference::locate)]
    source: Reference,
    /// The destination [default: in place]
    #[arg(value_name = "DEST", value_parser = Reference::locate)]
    destination: Option<Reference>,
    /// The new master image
    #[arg(long, value_name = "REF", value_parser = Reference::locate)]
    base: Reference,
    /// The image that the train was built on; any other is refused
    #[arg(long, value_name = "REF", value_parser = Reference::locate)]
    old_base: Option<Reference>,
    #[command(flatten)]
    policy: PolicyOptions,
}

impl Rebase {
    pub(super) fn run(&self, context: &Context, output: &mut Output) -> Result<()> {
        let demands = self.policy.load()?;
        let request = RebaseRequest {
            source: &self.source,
            destination: self.destination.as_ref(),
            base: &self.base,
            old_base: self.old_base.as_ref(),
            policy: demands.policy(),
        };
        output.report(&rebase(&request, context)?)
    }
}
