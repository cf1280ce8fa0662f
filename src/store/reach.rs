use std::collections::HashSet;

use oci_spec::image::Descriptor;

use super::index::Index;
use super::source::{Source, read_document};
use crate::error::{Error, ErrorContext, Result};
use crate::json::{self, Value};

/// All blobs that the images of `index` need, found by following descriptors, each once and parents first. What is not
/// in the place, as `has` tells, is named and not followed: a sparse index (one platform of several was copied) is legal.
///
/// # Errors
/// A manifest that cannot be read: then it is not known what it needs.
pub(super) fn reachable(
    source: &dyn Source,
    index: &Index,
    has: &dyn Fn(&Descriptor) -> bool,
) -> Result<Vec<Descriptor>> {
    let (mut seen, mut reached) = (HashSet::new(), Vec::new());
    let mut open: Vec<Value> = index.entries().to_vec();
    while let Some(value) = open.pop() {
        let descriptor: Descriptor = serde_json::from_value(value)
            .map_err(|error| Error::malformed("not a descriptor").because(error))
            .at(source.name())?;
        if seen.insert(descriptor.digest().to_string()) {
            if has_children(&descriptor) && has(&descriptor) {
                open.extend(children(source, &descriptor)?);
            }
            reached.push(descriptor);
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

fn children(source: &dyn Source, descriptor: &Descriptor) -> Result<Vec<Value>> {
    let place = || format!("{} {}", source.name(), descriptor.digest());
    let document = json::parse_object(&read_document(source, descriptor)?).at(place())?;
    let mut found: Vec<Value> = ["config", "subject"].iter().filter_map(|key| document.get(*key).cloned()).collect();
    for list in ["layers", "manifests", "blobs"] {
        found.extend(document.get(list).and_then(Value::as_array).into_iter().flatten().cloned());
    }
    // `subject` may point to an image that is not here.
    found.retain(|value| value.is_object());
    Ok(found)
}
