use std::collections::HashSet;
use std::fs;

use oci_spec::image::Digest;

use crate::error::{Error, ErrorContext, IoContext, Result};
use crate::store::index::Index;
use crate::store::layout::Layout;
use crate::store::reach;
use crate::store::source::Source;

/// The digests of all blobs that the images of `index` need.
///
/// # Errors
/// A manifest that cannot be read: then it is not known what it needs, and nothing may be removed.
pub(super) fn reachable(layout: &Layout, index: &Index) -> Result<HashSet<String>> {
    let has = |descriptor: &oci_spec::image::Descriptor| layout.blob_path(descriptor.digest()).exists();
    let reached = reach::reachable(layout, index, &has)?;
    Ok(reached.into_iter().map(|descriptor| descriptor.digest().to_string()).collect())
}

/// All blobs that lie in the layout, with their sizes.
pub(super) fn present(layout: &Layout) -> Result<Vec<(Digest, u64)>> {
    let mut found = Vec::new();
    let blobs = layout.dir.join("blobs");
    for algorithm in read_dir_names(&blobs)? {
        for name in read_dir_names(&blobs.join(&algorithm))? {
            // Whatever is not named like a blob is not ours to touch.
            let Ok(digest) = format!("{algorithm}:{name}").parse::<Digest>() else { continue };
            let metadata = fs::symlink_metadata(layout.blob_path(&digest)).doing("stat a blob").at(layout.name())?;
            if metadata.is_file() {
                found.push((digest, metadata.len()));
            }
        }
    }
    Ok(found)
}

fn read_dir_names(dir: &std::path::Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(Error::io("cannot list the directory", error).at(dir.display())),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.doing("list the directory").at(dir.display())?;
        names.extend(entry.file_name().into_string());
    }
    Ok(names)
}
