use clap::Args;

use super::output::Output;
use crate::error::Result;
use crate::image::{CopyRequest, copy};
use crate::store::{Context, Reference};

/// Copy an image unchanged between any two places, and verify every blob.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pht-oci copy oci:./train:latest oci-archive:train.tar:latest
  pht-oci copy --tags latest,base oci:./train docker://registry.example/trains/7
  pht-oci copy ./train oci-archive:stick.tar --without docker://registry.example/master/python:3
  pht-oci copy stick.tar oci:./train --with oci:./master
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
    /// Copy the images with these tags, under the same tags; `latest` appears last
    #[arg(long, value_name = "TAG,...", value_delimiter = ',')]
    tags: Vec<String>,
    /// Leave out the layers of this image, which the receiver has: a thin archive of the train's own layers
    #[arg(long, value_name = "REF", value_parser = Reference::locate, conflicts_with = "all")]
    without: Option<Reference>,
    /// Complete a thin image with the layers of this one
    #[arg(long, value_name = "REF", value_parser = Reference::locate, conflicts_with_all = ["all", "without"])]
    with: Option<Reference>,
}

impl Copy {
    pub(super) fn run(&self, context: &Context, output: &mut Output) -> Result<()> {
        let request = CopyRequest {
            source: &self.source,
            destination: &self.destination,
            all: self.all,
            tags: &self.tags,
            without: self.without.as_ref(),
            with: self.with.as_ref(),
        };
        let done = copy(&request, context)?;
        output.image_report("copy", &done.image, &done.notes)
    }
}
