//! Image indexes: which of several images is meant.

use oci_spec::image::Descriptor;

use crate::error::{Advice, Error, ErrorContext, Kind, Result};
use crate::json::{self, Object, Value};
use crate::store::{Platform, Source, is_supported, media_type, read_descriptor, read_document};
use crate::text::Printable;

/// The media types of image configs.
const IMAGE_CONFIGS: [&str; 2] = [media_type::CONFIG, media_type::DOCKER_CONFIG];

/// One image of an index.
struct Choice {
    platform: Option<Platform>,
    descriptor: Descriptor,
}

/// The image of an index for the platform that is asked for; without a wish for this machine's, or the only one there.
pub(super) fn choose(source: &dyn Source, index: &Object, asked: Option<&Platform>) -> Result<Descriptor> {
    let mut choices = Vec::new();
    for (at, entry) in json::list(index.get("manifests")).unwrap_or_default().iter().enumerate() {
        let platform = entry.get("platform").and_then(Value::as_object).and_then(Platform::read);
        if !platform.as_ref().is_some_and(Platform::is_unknown) && !is_artifact(entry) {
            choices.push(Choice { platform, descriptor: to_descriptor(entry).at(format_args!("manifests[{at}]"))? });
        }
    }
    if let (None, [only]) = (asked, &choices[..]) {
        return Ok(only.descriptor.clone());
    }
    let wanted = asked.cloned().unwrap_or_else(Platform::here);
    let fits = |choice: &&Choice| choice.platform.as_ref().is_some_and(|found| wanted.accepts(found));
    if let Some(fitting) = choices.iter().find(fits) {
        return Ok(fitting.descriptor.clone());
    }
    // The platform is optional in an index; the configs have it.
    let (choices, fault) = look_inside(source, choices)?;
    match (choices.iter().find(fits), &choices[..], fault) {
        (Some(fitting), _, _) => Ok(fitting.descriptor.clone()),
        (None, [only], None) if asked.is_none() || only.platform.is_none() => Ok(only.descriptor.clone()),
        (None, _, Some(fault)) => Err(fault),
        (None, _, None) => {
            let found = choices.iter().filter_map(|choice| choice.platform.as_ref());
            let available: Vec<_> = found.map(|found| Printable::new(&found.to_string()).to_string()).collect();
            let error = Error::usage(format!("there is no image for {wanted}"));
            Err(match available.is_empty() {
                true => error.hint("the index names no platform that an image of it is for; copy one by its digest"),
                false => error.advise(Advice::ChoosePlatform { available }),
            })
        }
    }
}

/// True if an entry of an index says that it is no image: an artifact of another type, or what tells of the making of one.
fn is_artifact(entry: &Value) -> bool {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let artifact_type = text(entry.get("artifactType"));
    let refers = entry.get("annotations").and_then(|annotations| annotations.get("vnd.docker.reference.type"));
    !artifact_type.is_empty() && !IMAGE_CONFIGS.contains(&artifact_type.as_str())
        || text(refers) == "attestation-manifest"
}

/// The images among the choices, with their platforms, also of those in indexes below; and the first fault, if one of them
/// cannot be read.
fn look_inside(source: &dyn Source, choices: Vec<Choice>) -> Result<(Vec<Choice>, Option<Error>)> {
    let (mut found, mut fault) = (Vec::new(), None);
    for choice in choices {
        if choice.platform.is_some() {
            found.push(choice);
            continue;
        }
        match platform_inside(source, &choice.descriptor) {
            Ok(Inside::Image(platform)) => found.push(Choice { platform, ..choice }),
            Ok(Inside::Index(platforms)) => {
                let of = |platform| Choice { platform: Some(platform), descriptor: choice.descriptor.clone() };
                found.extend(platforms.into_iter().map(of));
            }
            Ok(Inside::Other) => {}
            // Not every platform of an index needs to have been copied.
            Err(error) if error.kind() == Kind::Malformed => drop(fault.get_or_insert(error)),
            Err(error) => return Err(error),
        }
    }
    Ok((found, fault))
}

/// What a manifest without a stated platform turns out to be.
enum Inside {
    Image(Option<Platform>),
    /// An index with images for these platforms.
    Index(Vec<Platform>),
    /// An artifact.
    Other,
}

fn platform_inside(source: &dyn Source, descriptor: &Descriptor) -> Result<Inside> {
    let manifest = json::parse_manifest(&read_document(source, descriptor)?).at(descriptor.digest())?;
    if is_index(&manifest).at(descriptor.digest())? {
        let entries = json::list(manifest.get("manifests")).unwrap_or_default().iter();
        let platforms = entries.filter_map(|entry| Platform::read(entry.get("platform")?.as_object()?));
        return Ok(Inside::Index(platforms.filter(|platform| !platform.is_unknown()).collect()));
    }
    let config = descriptor_at(&manifest, "config").at(descriptor.digest())?;
    if is_artifact(&Value::Object(manifest)) || !IMAGE_CONFIGS.contains(&config.media_type().as_ref()) {
        return Ok(Inside::Other);
    }
    let document = json::parse_document(&read_document(source, &config)?, &json::IMAGE_CONFIG).at(config.digest())?;
    let platform = Platform::read(&document);
    Ok(if platform.as_ref().is_some_and(Platform::is_unknown) { Inside::Other } else { Inside::Image(platform) })
}

pub(super) fn is_index(document: &Object) -> Result<bool> {
    let is_index = document.contains_key("manifests");
    // One document must not be an index to one reader and an image to another (CVE-2021-41190).
    if is_index && (document.contains_key("layers") || document.contains_key("config")) {
        return Err(Error::malformed("the document is an index and a manifest at once"));
    }
    Ok(is_index)
}

pub(super) fn descriptor_at(document: &Object, key: &str) -> Result<Descriptor> {
    to_descriptor(document.get(key).unwrap_or(&Value::Null)).at(key)
}

pub(super) fn to_descriptor(value: &Value) -> Result<Descriptor> {
    let descriptor = read_descriptor(value)?;
    if !is_supported(descriptor.digest()) {
        let what = format!("the algorithm of the digest `{}` is not supported", descriptor.digest());
        return Err(Error::malformed(what).hint("sha256 and sha512 are supported"));
    }
    Ok(descriptor)
}
