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
}

impl Copy {
    pub(super) fn run(&self, context: &Context, output: &mut Output) -> Result<()> {
        let open = match is_open(&self.source, context) {
            // None of all may be for this machine's platform, and a train has one alone.
            Err(_) if self.all => false,
            looked => looked?,
        };
        if !self.allow_open && open {
            if stays_in_house(&self.destination) {
                output.warn("the train is open: the copy holds its files and results in plaintext, too");
            } else {
                let what = "the train is open: the copy would carry its files and results away in plaintext";
                return Err(Error::verification(what).advise(Advice::AllowOpen).at(&self.source));
            }
        }
        let (source, destination) = (&self.source, &self.destination);
        let request = CopyRequest { all: self.all, shared: self.shared, ..CopyRequest::new(source, destination) };
        output.image_report("copy", &copy(&request, context)?)
    }
}

/// True for a place that is used where it is: archives are made to be carried, and registries to be fetched from.
fn stays_in_house(destination: &Reference) -> bool {
    let place = destination.without_tag();
    ["oci:", "dir:"].iter().any(|prefix| place.starts_with(prefix))
}
