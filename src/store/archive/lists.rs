//! Archives with two lists of images: Docker 25 and newer write `manifest.json` and `index.json`. Some programs read the
//! one, others the other, so both have to name the same images.

use oci_spec::image::Digest;

use super::docker::texts;
use super::members::Members;
use super::names::{DOCKER_MANIFEST, blob_name};
use crate::error::{Error, ErrorContext, Result};
use crate::json::{self, Value};
use crate::store::source::{IMAGE_NAME, MAX_DOCUMENT, REF_NAME};

const OCI_INDEX: &str = "index.json";
/// The deepest nesting of indexes.
const MAX_DEPTH: usize = 4;

/// The position and length of a member's contents.
type Place = (u64, u64);

/// An image as a list has it: where its config and its layers lie, and what it is called.
#[derive(Debug, PartialEq, Eq)]
struct Listed {
    config: Place,
    layers: Vec<Place>,
    names: Vec<String>,
}

impl Listed {
    fn is(&self, other: &Listed) -> bool {
        (self.config, &self.layers) == (other.config, &other.layers)
    }
}

/// Refuses an archive whose two lists name different images. An `index.json` that lists none is as good as absent.
///
/// # Errors
/// [`Kind::Malformed`](crate::error::Kind::Malformed) if they differ, or one cannot be read.
pub(super) fn ensure_agreement(members: &Members) -> Result<()> {
    let read = |name: &str| members.document(name, MAX_DOCUMENT);
    let (Some(docker), Some(oci)) = (read(DOCKER_MANIFEST)?, read(OCI_INDEX)?) else { return Ok(()) };
    let docker = json::parse_of(&docker, &json::DOCKER_IMAGE).at(DOCKER_MANIFEST)?;
    let oci = json::parse_of(&oci, &json::INDEX).at(OCI_INDEX)?;
    match oci.get("manifests") {
        None | Some(Value::Null) if oci.is_null() || oci.is_object() => return Ok(()),
        Some(Value::Array(entries)) if entries.is_empty() => return Ok(()),
        _ => {}
    }
    let docker = of_docker(members, &docker).at(DOCKER_MANIFEST)?;
    let mut listed = Vec::new();
    of_index(members, &oci, &mut Vec::new(), 0, &mut listed).at(OCI_INDEX)?;
    let has = |list: &[Listed], image: &Listed| list.iter().any(|other| other.is(image));
    let all = docker.iter().all(|image| has(&listed, image)) && listed.iter().all(|image| has(&docker, image));
    if all && listed.iter().all(|image| image.names.iter().all(|name| is_named(image, name, &docker))) {
        return Ok(());
    }
    let what = "`manifest.json` and `index.json` name different images";
    Err(Error::malformed(what).hint("engines would load another image than this program; have the archive saved again"))
}

/// True if no other of `images` has this name. A bare tag may be that of several repositories.
fn is_named(image: &Listed, name: &str, images: &[Listed]) -> bool {
    let is_bare = !name.contains(':');
    let has_name = |own: &str| own == name || is_bare && own.rsplit_once(':').is_some_and(|(_, tag)| tag == name);
    let mut named = images.iter().filter(|other| other.names.iter().any(|own| has_name(own))).peekable();
    match named.peek() {
        None => true,
        Some(_) if is_bare => named.any(|other| other.is(image)),
        Some(_) => named.all(|other| other.is(image)),
    }
}

fn of_docker(members: &Members, list: &Value) -> Result<Vec<Listed>> {
    let wrong = || Error::malformed("not a list of images");
    let one = |image: &Value| {
        let name = image.get("Config").and_then(Value::as_str).ok_or_else(wrong)?;
        let layers = texts(image, "Layers")?.iter().map(|name| place_of(members, name)).collect::<Result<_>>()?;
        let names = texts(image, "RepoTags")?.iter().flat_map(|name| names_of(name)).collect();
        Ok(Listed { config: place_of(members, name)?, layers, names })
    };
    json::list(Some(list)).ok_or_else(wrong)?.iter().map(one).collect()
}

fn of_index(
    members: &Members,
    index: &Value,
    names: &mut Vec<String>,
    depth: usize,
    found: &mut Vec<Listed>,
) -> Result<()> {
    let entries = json::list(index.get("manifests"));
    let entries = entries.ok_or_else(|| Error::malformed("the list `manifests` is missing"))?;
    if depth == MAX_DEPTH {
        return Err(Error::malformed("too many nested indexes"));
    }
    for entry in entries {
        let outer = names.len();
        let annotation = |key: &str| entry.get("annotations")?.get(key)?.as_str();
        names.extend([IMAGE_NAME, REF_NAME].iter().filter_map(|key| annotation(key)).flat_map(names_of));
        let name = entry.get("digest").and_then(Value::as_str).and_then(|digest| digest.parse::<Digest>().ok());
        let name = blob_name(&name.ok_or_else(|| Error::malformed("an entry without a digest"))?);
        match members.document(&name, MAX_DOCUMENT)? {
            // Of an image for several platforms Docker saves those that it has; what tells of their making is none.
            None if depth > 0 => {}
            Some(_) if depth > 0 && is_attestation(entry) => {}
            None => {
                let hint = "the archive is incomplete; fetch it again, whole";
                return Err(Error::malformed("the blob is absent").hint(hint).at(name));
            }
            Some(document) => {
                let document = Value::Object(json::parse_manifest(&document).at(&name)?);
                match document.get("manifests") {
                    Some(_) => of_index(members, &document, names, depth + 1, found)?,
                    None => found.push(of_manifest(members, &document, names.clone()).at(&name)?),
                }
            }
        }
        names.truncate(outer);
    }
    Ok(())
}

fn is_attestation(entry: &Value) -> bool {
    let platform = |key: &str| entry.get("platform").and_then(|platform| platform.get(key)).and_then(Value::as_str);
    platform("architecture") == Some("unknown") && platform("os") == Some("unknown")
}

fn of_manifest(members: &Members, manifest: &Value, names: Vec<String>) -> Result<Listed> {
    let place = |descriptor: &Value| {
        let digest = descriptor.get("digest").and_then(Value::as_str).and_then(|digest| digest.parse().ok());
        let digest = digest.ok_or_else(|| Error::malformed("a descriptor without a digest"))?;
        place_of(members, &blob_name(&digest))
    };
    let layers = manifest.get("layers").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let layers = layers.iter().map(place).collect::<Result<_>>()?;
    Ok(Listed { config: place(manifest.get("config").unwrap_or(&Value::Null))?, layers, names })
}

fn place_of(members: &Members, name: &str) -> Result<Place> {
    let hint = "the archive is incomplete; fetch it again, whole";
    members.place(name).ok_or_else(|| Error::malformed("the member is absent").hint(hint).at(name))
}

/// An image's name, whole and as a bare tag.
fn names_of(name: &str) -> Vec<String> {
    let Some((repository, tag)) = name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')) else {
        return vec![name.to_owned()];
    };
    let repository = match repository.split_once('/') {
        None => format!("docker.io/library/{repository}"),
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => repository.to_owned(),
        Some(_) => format!("docker.io/{repository}"),
    };
    vec![format!("{repository}:{tag}")]
}
