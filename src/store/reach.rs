use std::collections::HashSet;

use oci_spec::image::Descriptor;

use super::descriptor::read_descriptor;
use super::index::Index;
use super::media_type;
use super::source::{Source, read_document};
use crate::error::{ErrorContext, Result};
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
    let mut open: Vec<Value> = index.entries().iter().chain(index.subject()).cloned().collect();
    while let Some(value) = open.pop() {
        let descriptor = read_descriptor(&value).at(source.name())?;
        if seen.insert(descriptor.digest().to_string()) {
            if has_children(&descriptor) && has(&descriptor) {
                open.extend(children(source, &descriptor)?);
            }
            reached.push(descriptor);
        }
    }
    Ok(reached)
}

/// The documents whose members are known.
const KNOWN: [&str; 4] =
    [media_type::MANIFEST, media_type::INDEX, media_type::DOCKER_MANIFEST, media_type::DOCKER_LIST];

/// Whether a blob may name others: all JSON but image configs.
fn has_children(descriptor: &Descriptor) -> bool {
    let media_type = descriptor.media_type().to_string();
    media_type.ends_with("json") && ![media_type::CONFIG, media_type::DOCKER_CONFIG].contains(&&*media_type)
}

/// The descriptors in a document. Of a kind that is not known (artifacts, what somebody's own tool keeps here) all that it
/// holds: what is not ours to understand is not ours to remove.
fn children(source: &dyn Source, descriptor: &Descriptor) -> Result<Vec<Value>> {
    let place = || format!("{} {}", source.name(), descriptor.digest());
    if !KNOWN.contains(&&*descriptor.media_type().to_string()) {
        let document = read_document(source, descriptor).ok().and_then(|bytes| json::parse(&bytes).ok());
        let mut found = Vec::new();
        document.iter().for_each(|document| descriptors_in(document, &mut found));
        return Ok(found);
    }
    let document = json::parse_object(&read_document(source, descriptor)?).at(place())?;
    let mut found: Vec<Value> = ["config", "subject"].iter().filter_map(|key| document.get(*key).cloned()).collect();
    for list in ["layers", "manifests", "blobs"] {
        found.extend(document.get(list).and_then(Value::as_array).into_iter().flatten().cloned());
    }
    // `subject` may point to an image that is not here.
    found.retain(|value| value.is_object());
    Ok(found)
}

/// Every descriptor, however deep.
fn descriptors_in(value: &Value, found: &mut Vec<Value>) {
    let inner: Vec<&Value> = match value {
        Value::Object(object) => object.values().collect(),
        Value::Array(items) => items.iter().collect(),
        _ => return,
    };
    if read_descriptor(value).is_ok() {
        found.push(value.clone());
    }
    inner.into_iter().for_each(|value| descriptors_in(value, found));
}
