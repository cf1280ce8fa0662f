use crate::error::Result;
use crate::image::{Image, ManifestFormat, NodeKind, Tree, too_many_files};
use crate::store::{Destination, ensure_free_space};
use crate::train::paths;

/// The bytes of all files below a directory.
pub(in crate::stage) fn size_below(tree: &Tree, root: &[u8]) -> u64 {
    let files = tree.nodes()[tree.below(root)].iter().filter(|node| matches!(node.kind, NodeKind::File { .. }));
    files.filter_map(|node| tree.file(node)).fold(0, |sum, (size, _)| sum.saturating_add(size))
}

/// Sees to it that those who read the train later are not kept from it by the number of its files.
///
/// # Errors
/// [`Kind::Malformed`](crate::error::Kind::Malformed) if there are more than `most`.
pub(in crate::stage) fn ensure_file_count(results: &Tree, train: &Tree, most: usize) -> Result<()> {
    let count = |tree: &Tree, root: &[u8]| {
        tree.nodes()[tree.below(root)].iter().filter(|node| node.kind != NodeKind::Directory).count()
    };
    // Beside them lie the train config and the creator's wrapped key.
    let files = count(results, paths::RESULTS) + count(train, paths::TRAIN) + 2;
    if files > most { Err(too_many_files(most)) } else { Ok(()) }
}

/// The least plaintext in so many bytes of ciphertext: the most wasteful of the ciphers writes base64.
pub(in crate::stage) fn decrypted(size: u64) -> u64 {
    size / 4 * 3
}

/// Sees to it that there is room for a new image: for the base layers that are not there yet, and for its payload where
/// that is written as it is.
pub(in crate::stage) fn ensure_stage(
    destination: &dyn Destination,
    image: &Image,
    base: usize,
    payload: u64,
) -> Result<()> {
    let taken = image.layers()[..base].iter().map(|layer| destination.estimate_bytes(image.source(), layer));
    // How small compression makes the payload is not known before.
    let payload = if image.format() == ManifestFormat::Oci { payload } else { 0 };
    ensure_free_space(destination, taken.fold(payload, u64::saturating_add))
}
