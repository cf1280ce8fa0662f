use std::collections::HashSet;
use std::fs;

use oci_spec::image::{Descriptor, Digest};

use super::super::{Source, read_document};
use super::Layout;
use super::index::Index;
use crate::error::{Context, Error, IoContext, Result};
use crate::json::{self, Value};

/// The digests of all blobs that the images of `index` need, found by following descriptors.
///
/// # Errors
/// A manifest that cannot be read: then it is not known what it needs, and nothing may be removed.
pub(super) fn reachable(layout: &Layout, index: &Index) -> Result<HashSet<String>> {
    let mut reached = HashSet::new();
    let mut open: Vec<Value> = index.entries().to_vec();
    while let Some(value) = open.pop() {
        let descriptor: Descriptor = serde_json::from_value(value)
            .map_err(|error| Error::malformed("not a descriptor").because(error))
            .at(layout.name())?;
        if reached.insert(descriptor.digest().to_string()) && has_children(&descriptor) {
            open.extend(children(layout, &descriptor)?);
        }
    }
    Ok(reached)
}

fn has_children(descriptor: &Descriptor) -> bool {
    let media_type = descriptor.media_type().to_string();
    [
        "image.manifest.v1+json",
        "image.index.v1+json",
        "distribution.manifest.v2+json",
        "distribution.manifest.list.v2+json",
    ]
    .iter()
    .any(|end| media_type.ends_with(end))
}

fn children(layout: &Layout, descriptor: &Descriptor) -> Result<Vec<Value>> {
    if !layout.blob_path(descriptor.digest()).exists() {
        // A sparse index (one platform of several was copied) is legal; what is absent needs nothing.
        return Ok(Vec::new());
    }
    let place = || format!("{} {}", layout.name(), descriptor.digest());
    let document = json::parse_object(&read_document(layout, descriptor)?).at(place())?;
    let mut found: Vec<Value> = ["config", "subject"].iter().filter_map(|key| document.get(*key).cloned()).collect();
    for list in ["layers", "manifests", "blobs"] {
        found.extend(document.get(list).and_then(Value::as_array).into_iter().flatten().cloned());
    }
    // `subject` may point to an image that is not here.
    found.retain(|value| value.is_object());
    Ok(found)
}

/// All blobs that lie in the layout, with their sizes.
pub(super) fn present(layout: &Layout) -> Result<Vec<(Digest, u64)>> {
    let mut found = Vec::new();
    let blobs = layout.dir.join("blobs");
    for algorithm in read_dir_names(&blobs)? {
        for name in read_dir_names(&blobs.join(&algorithm))? {
            // Whatever is not named like a blob is not ours to touch.
            let Ok(digest) = format!("{algorithm}:{name}").parse::<Digest>() else { continue };
            let metadata = fs::symlink_metadata(layout.blob_path(&digest)).doing("look at a blob").at(layout.name())?;
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
