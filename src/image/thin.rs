//! Thin images: those that go without layers which whoever gets them has already.

use std::collections::HashSet;

use oci_spec::image::{Descriptor, Digest};

use crate::error::{Advice, Error, Result};
use crate::store::{Destination, Source, Transfer};

/// What became of the blobs of an image on their way to a destination.
#[derive(Debug, Default)]
pub(super) struct Moved {
    /// How each came there, but for those that are left out.
    pub(super) transfers: Vec<(Descriptor, Transfer)>,
    /// Those that are not there and have not come.
    pub(super) left_out: Vec<Digest>,
}

/// Makes blobs of `source` part of what will be published, without those that are to be `left_out`: of them the destination
/// may have some all the same, and where images are whole it must have all.
///
/// # Errors
/// As [`Destination::copy_blobs`]; [`Kind::Malformed`](crate::error::Kind::Malformed) if a blob is left out that the
/// destination can neither do without nor has.
pub(super) fn move_blobs(
    to: &mut dyn Destination,
    source: &dyn Source,
    blobs: &[Descriptor],
    left_out: &HashSet<Digest>,
) -> Result<Moved> {
    let mut moved = Moved::default();
    let mut wanted = Vec::with_capacity(blobs.len());
    for blob in blobs {
        if !left_out.contains(blob.digest()) {
            wanted.push(blob.clone());
        } else if to.has_blob(blob)? {
            moved.transfers.push((blob.clone(), Transfer::Reused));
        } else if to.holds_thin_images() {
            moved.left_out.push(blob.digest().clone());
        } else {
            let what = "the image is thin, and goes without this layer, which is not there either";
            return Err(Error::malformed(what).advise(Advice::CompleteImage).at(format_args!(
                "{} {}",
                to.name(),
                blob.digest()
            )));
        }
    }
    let transfers = to.copy_blobs(source, &wanted)?;
    moved.transfers.extend(wanted.into_iter().zip(transfers));
    Ok(moved)
}
