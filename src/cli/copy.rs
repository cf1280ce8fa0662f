use clap::Args;

use super::output::Output;
use crate::error::Result;
use crate::image::{CopyRequest, copy};
use crate::store::{Context, Reference};

/// Copy an image unchanged between any two places, and verify every blob.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pht-oci copy oci:./train:latest oci-archive:train.tar:latest
  pht-oci copy --all oci:./train:latest oci:./backup:latest")]
pub(super) struct Copy {
    /// The image
    #[arg(value_name = "SRC", value_parser = Reference::locate)]
    source: Reference,
    /// The destination
    #[arg(value_name = "DEST", value_parser = Reference::locate)]
    destination: Reference,
    /// Copy the images for all platforms, if there are several
    #[arg(long, conflicts_with = "platform")]
    all: bool,
    /// Copy an opened train to a place that belongs to somebody else, or that others may write, too
    #[arg(long)]
    shared: bool,
}

impl Copy {
    pub(super) fn run(&self, context: &Context, output: &mut Output) -> Result<()> {
        let (source, destination) = (&self.source, &self.destination);
        let request = CopyRequest { all: self.all, shared: self.shared, ..CopyRequest::new(source, destination) };
        output.image_report("copy", &copy(&request, context)?)
    }
}
