//! Docker's format: `manifest.json` names configs, layers and tags. There is no manifest of the image; an OCI one is
//! put together, always the same for the same archive.

use std::collections::HashMap;
use std::io::{self, Write};

use oci_spec::image::{Descriptor, MediaType};

use super::members::Members;
use crate::crypto::Sha256;
use crate::error::{Error, ErrorContext, IoContext, Result};
use crate::json::{self, Object, Value, json};
use crate::store::extent::Extent;
use crate::store::index::Index;
use crate::store::interrupt;
use crate::store::media_type::{CONFIG, LAYER, MANIFEST};
use crate::store::source::{ImageEntry, MAX_DOCUMENT, tagged};
use crate::store::verify::{digest_of, sha256_digest};
use crate::tar::Compression;

/// The most images that an archive may hold.
const MAX_IMAGES: usize = 256;

/// The images of an archive, as an OCI image layout would have them.
pub(super) struct Images {
    pub(super) index: Index,
    /// Manifests that were put together here, by digest.
    pub(super) documents: HashMap<String, Vec<u8>>,
    /// The names of blobs in the archive, by digest.
    pub(super) names: HashMap<String, String>,
    /// The positions in `index` at which the images of `manifest.json` begin.
    pub(super) places: Vec<usize>,
}

impl Images {
    /// Those of an index, with no document but its own.
    pub(super) fn of(index: Index) -> Self {
        Images { index, documents: HashMap::new(), names: HashMap::new(), places: Vec::new() }
    }
}

/// Reads the images of an archive.
pub(super) fn read(members: &Members) -> Result<Images> {
    let mut images = Images::of(Index::empty());
    let absent = || {
        let hint = "the archive is incomplete or of another kind; fetch it again, or have it saved anew";
        Error::malformed("not a Docker archive: there is no `manifest.json` in it").hint(hint)
    };
    let document = members.document("manifest.json", MAX_DOCUMENT)?.ok_or_else(absent)?;
    let list = json::parse_of(&document, &json::DOCKER_IMAGE).at("manifest.json")?;
    let list = json::list(Some(&list)).filter(|list| list.len() <= MAX_IMAGES);
    let list = list.ok_or_else(|| Error::malformed("not a list of images").at("manifest.json"))?;
    for (position, image) in list.iter().enumerate() {
        images.places.push(images.index.entries().len());
        read_image(members, image, &mut images).at(format_args!("manifest.json[{position}]"))?;
    }
    Ok(images)
}

fn read_image(members: &Members, image: &Value, images: &mut Images) -> Result<()> {
    let name = image.get("Config").and_then(Value::as_str).ok_or_else(|| Error::malformed("`Config` is missing"))?;
    let config = members.document(name, MAX_DOCUMENT)?;
    let hint = "the archive is incomplete; fetch it again, whole";
    let config = config.ok_or_else(|| Error::malformed("the image config is absent").hint(hint).at(name))?;
    let diff_ids = diff_ids(&json::parse_object(&config).at(name)?).at(name)?;
    let layers = texts(image, "Layers")?;
    if layers.len() != diff_ids.len() {
        let what = format!("{} layers for {} diff IDs in the image config", layers.len(), diff_ids.len());
        return Err(Error::malformed(what));
    }
    let mut descriptors = Vec::new();
    for (name, diff_id) in layers.iter().zip(&diff_ids) {
        descriptors.push(layer_descriptor(members, (name, diff_id), &mut images.names).at(name)?);
    }
    let digest = digest_of(&config);
    let stem = name.rsplit('/').next().unwrap_or_default().trim_end_matches(".json");
    if stem.len() == 64 && stem.bytes().all(|byte| byte.is_ascii_hexdigit()) && stem != digest.digest() {
        let what = "the image config does not have the digest in its name";
        let hint = "the archive is damaged or was changed; fetch it again";
        return Err(Error::verification(what).hint(hint).at(name));
    }
    let manifest = json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": { "mediaType": CONFIG, "size": config.len(), "digest": digest.as_ref() },
        "layers": descriptors,
    }));
    images.names.insert(digest.to_string(), name.to_owned());
    let descriptor = Descriptor::new(MediaType::from(MANIFEST), manifest.len() as u64, digest_of(&manifest));
    images.documents.insert(descriptor.digest().to_string(), manifest);
    let mut tags: Vec<Option<String>> = texts(image, "RepoTags")?.into_iter().map(Some).collect();
    if tags.is_empty() {
        tags.push(None);
    }
    for tag in tags {
        images.index.push(&ImageEntry { tag, descriptor: descriptor.clone() })?;
    }
    Ok(())
}

/// The texts in a member of an image's entry; none where it is absent or `null`.
pub(super) fn texts(image: &Value, member: &str) -> Result<Vec<String>> {
    let wrong = || Error::malformed("not a list of texts").at(member);
    match image.get(member) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(list) => {
            let list = list.as_array().ok_or_else(wrong)?;
            list.iter().map(|text| text.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
        }
    }
}

fn diff_ids(config: &Object) -> Result<Vec<String>> {
    let wrong = || Error::malformed("`rootfs.diff_ids` is not a list of digests");
    let ids = json::list(config.get("rootfs").and_then(|rootfs| rootfs.get("diff_ids")));
    ids.ok_or_else(wrong)?.iter().map(|id| id.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
}

fn layer_descriptor(
    members: &Members,
    (name, diff_id): (&str, &str),
    names: &mut HashMap<String, String>,
) -> Result<Value> {
    let extent = members.get(name).ok_or_else(|| {
        Error::malformed("the layer is absent").hint("the archive is incomplete; fetch it again, whole")
    })?;
    // Of a plain layer the diff ID is the digest, which readers verify; only a compressed one has to be read for it.
    let (digest, end) = match extent.compression().doing("read the layer")? {
        Compression::Gzip => (digest(&extent)?, "+gzip"),
        Compression::Zstd => (digest(&extent)?, "+zstd"),
        Compression::None => (diff_id.to_owned(), ""),
    };
    names.insert(digest.clone(), name.to_owned());
    Ok(json!({ "mediaType": format!("{LAYER}{end}"), "size": extent.len(), "digest": digest }))
}

fn digest(extent: &Extent) -> Result<String> {
    struct Digesting(Sha256);
    impl Write for Digesting {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            interrupt::check()?;
            self.0.update(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut digesting = Digesting(Sha256::new());
    io::copy(&mut extent.reader(), &mut digesting).doing("read the layer")?;
    Ok(sha256_digest(digesting.0.finish()).to_string())
}

/// `manifest.json` for these images: tag, config and layers by the names that they have in the archive.
pub(super) fn manifest_json(images: &[(Option<String>, Vec<u8>)], name: &dyn Fn(&str) -> String) -> Result<Vec<u8>> {
    let mut entries: Vec<Value> = Vec::new();
    for (tag, manifest) in images {
        let manifest = json::parse_object(manifest)?;
        let digest_at = |value: &Value| value.get("digest").and_then(Value::as_str).map(name);
        let config = manifest.get("config").and_then(digest_at);
        let config = config.ok_or_else(|| Error::usage("a Docker archive holds images of one platform each"))?;
        let layers = manifest.get("layers").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let layers: Vec<String> = layers.iter().filter_map(digest_at).collect();
        let tag = tag.clone().into_iter();
        match entries.iter_mut().find(|entry| entry["Config"] == config.as_str() && entry["Layers"] == json!(layers)) {
            Some(Value::Object(entry)) => {
                if let Some(Value::Array(tags)) = entry.get_mut("RepoTags") {
                    tags.extend(tag.map(Value::from));
                }
            }
            _ => {
                let tags: Vec<String> = tag.collect();
                entries.push(json!({ "Config": config, "RepoTags": tags, "Layers": layers }));
            }
        }
    }
    Ok(json::to_vec(&Value::Array(entries)))
}

/// The name of an image as Docker has it: repository and tag. A tag alone is that of the image there which has it, or one
/// beside the images there; where there are none, it gets a repository that engines take for a local one.
pub(super) fn qualify_tag(there: &[ImageEntry], tag: &str) -> String {
    let (host, last) = tag.rsplit_once('/').map_or((None, tag), |(host, last)| (Some(host), last));
    if last.contains(':') {
        return tag.to_owned();
    }
    if host.is_some() {
        return format!("{tag}:latest");
    }
    if let Some(ImageEntry { tag: Some(own), .. }) = tagged(there, tag) {
        return own.clone();
    }
    let repository = there.iter().find_map(|listed| listed.tag.as_deref()?.rsplit_once(':'));
    format!("{}:{tag}", repository.map_or("localhost/train", |(repository, _)| repository))
}
