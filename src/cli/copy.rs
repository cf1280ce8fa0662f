use clap::Args;

use super::output::Output;
use crate::error::{Advice, Error, Result};
use crate::image::{CopyRequest, copy};
use crate::stage::is_open;
use crate::store::{Context, Reference};

/// Copy an image unchanged between any two places, and verify every blob.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pht-oci copy oci:./train:latest oci-archive:train.tar:latest
  pht-oci copy oci:./train docker://registry.example/trains/7 \\
    --tags latest,base
  pht-oci copy ./train oci-archive:stick.tar \\
    --without docker://registry.example/master/python:3
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
    /// Copy an opened train to a place that belongs to somebody else, or that others may write, too
    #[arg(long)]
    shared: bool,
    /// Copy an open train, with its files and results in plaintext, to a registry or into an archive
    #[arg(long)]
    allow_open: bool,
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
        let tagged = self.tags.iter().map(|tag| self.source.with_tag(Some(tag.clone())));
        let sources: Vec<Reference> = if self.tags.is_empty() { vec![self.source.clone()] } else { tagged.collect() };
        for source in &sources {
            let open = match is_open(source, context) {
                // None of all may be for this machine's platform, and a train has one alone. Of several tags, the copy
                // says which is not there.
                Err(_) if self.all || !self.tags.is_empty() => false,
                looked => looked?,
            };
            if self.allow_open || !open {
                continue;
            }
            if stays_in_house(&self.destination) {
                output.warn("the train is open: the copy holds its files and results in plaintext, too");
            } else {
                let what = "the train is open: the copy would carry its files and results away in plaintext";
                return Err(Error::verification(what).advise(Advice::AllowOpen).at(source));
            }
        }
        let request = CopyRequest {
            all: self.all,
            shared: self.shared,
            tags: &self.tags,
            without: self.without.as_ref(),
            with: self.with.as_ref(),
            ..CopyRequest::new(&self.source, &self.destination)
        };
        let done = copy(&request, context)?;
        output.image_report("copy", &done.image, &done.notes)
    }
}

/// True for a place that is used where it is: archives are made to be carried, and registries to be fetched from.
fn stays_in_house(destination: &Reference) -> bool {
    let place = destination.without_tag();
    ["oci:", "dir:"].iter().any(|prefix| place.starts_with(prefix))
}
