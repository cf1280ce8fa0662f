//! The names of a train as built: by the convention of the field a travelling train `latest` has the train as built
//! beside it, as `base`.

use crate::error::Result;
use crate::image::NewImage;
use crate::store::tag::{BASE, LATEST};
use crate::store::{Destination, TagChange};

/// The annotation that sets the manifest of `base` apart. The field's registries count and delete images by digest: if
/// both names had one, a train would pass for one that is not built yet, and whoever moves one name would move both.
const AS_BUILT: (&str, &str) = ("de.personalhealthtrain.as-built", "true");

/// The names for a train that was built, or built anew, under `tag`: the travelling one first, as [`Destination::publish`]
/// asks.
///
/// # Errors
/// As [`Destination::put_manifest`].
pub(in crate::stage) fn as_built_tags(
    image: &NewImage,
    tag: TagChange,
    destination: &mut dyn Destination,
) -> Result<Vec<TagChange>> {
    let TagChange::Set { tag: name, .. } = &tag else { return Ok(vec![tag]) };
    // In Docker's archives a repository stands in front.
    let (repository, name) = name.rsplit_once(':').map_or((None, &**name), |(before, name)| (Some(before), name));
    if !destination.supports_multiple() || name != LATEST {
        return Ok(vec![tag]);
    }
    let base = repository.map_or_else(|| BASE.to_owned(), |repository| format!("{repository}:{BASE}"));
    let descriptor = Box::new(image.write_annotated(destination, AS_BUILT)?);
    Ok(vec![tag, TagChange::Set { tag: base, descriptor, replaces: None }])
}
