use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

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
    for dir in blob_dirs(layout)?.into_iter().skip(1) {
        let Some(algorithm) = dir.file_name().and_then(|name| name.to_str()).filter(|_| !is_link(&dir)) else {
            continue;
        };
        for name in names_in(&dir)? {
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

/// The directories of the layout's blobs, `blobs` first: as far as they are there, links as such.
pub(super) fn blob_dirs(layout: &Layout) -> Result<Vec<PathBuf>> {
    let blobs = layout.dir.join("blobs");
    if fs::symlink_metadata(&blobs).is_err() {
        return Ok(Vec::new());
    }
    let is_dir = |path: &PathBuf| path.is_dir();
    let below: Vec<PathBuf> =
        if is_link(&blobs) { Vec::new() } else { names_in(&blobs)?.iter().map(|name| blobs.join(name)).collect() };
    Ok(std::iter::once(blobs).chain(below.into_iter().filter(is_dir)).collect())
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink())
}

fn names_in(dir: &Path) -> Result<Vec<String>> {
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
