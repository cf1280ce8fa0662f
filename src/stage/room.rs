use std::collections::HashSet;

use oci_spec::image::Descriptor;

use crate::error::{Context, Error, Result};
use crate::image::{Family, Image, NodeKind, Tree, contents_of};
use crate::store::{Destination, Source, check_room};

/// The most manifests and blobs that an image is made of.
const MAX_PARTS: usize = 1 << 16;

/// The bytes of all files below a directory.
pub(super) fn size_below(tree: &Tree, root: &[u8]) -> u64 {
    let files = tree.nodes()[tree.below(root)].iter().filter(|node| matches!(node.kind, NodeKind::File { .. }));
    files.filter_map(|node| tree.file(node)).fold(0, |sum, (size, _)| sum.saturating_add(size))
}

/// What is left at least of so many bytes of ciphertext: the most wasteful of the ciphers writes base64.
pub(super) fn decrypted(size: u64) -> u64 {
    size / 4 * 3
}

/// Sees to it that there is room for a new image: for the base layers that are not there yet, and for its payload where
/// that is written as it is.
pub(super) fn check_stage(destination: &dyn Destination, image: &Image, base: usize, payload: u64) -> Result<()> {
    let taken = image.layers()[..base].iter().map(|layer| destination.costs(image.source(), layer));
    // How small compression makes the payload is not known before.
    let payload = if image.family() == Family::Oci { payload } else { 0 };
    check_room(destination, taken.fold(payload, u64::saturating_add))
}

/// Sees to it that there is room for a copy.
pub(super) fn check_copy(destination: &dyn Destination, source: &dyn Source, image: &Descriptor) -> Result<()> {
    if destination.free()?.is_none() {
        return Ok(());
    }
    let (mut seen, mut needed, mut open) = (HashSet::new(), 0, vec![image.clone()]);
    while let Some(descriptor) = open.pop() {
        if seen.len() > MAX_PARTS {
            return Err(Error::malformed(format!("more than {MAX_PARTS} manifests and blobs")).at(source.name()));
        }
        let contents = contents_of(source, &descriptor).at(source.name())?;
        open.extend(contents.manifests.into_iter().filter(|found| seen.insert(found.digest().to_string())));
        for blob in contents.blobs.iter().filter(|blob| seen.insert(blob.digest().to_string())) {
            needed = u64::saturating_add(needed, destination.costs(source, blob));
        }
    }
    check_room(destination, needed)
}
