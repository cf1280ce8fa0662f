use std::sync::Arc;

use oci_spec::image::{Descriptor, Digest, MediaType};

use super::index::{choose, descriptor_at, is_index, to_descriptor};
use super::layer::{ensure_contents, ensure_packed, ensure_plain_is_stated};
use crate::crypto::Sha256;
use crate::error::{Error, ErrorContext, Result};
use crate::json::{self, Object, Value, object_at};
use crate::store::{
    Blob, DEFAULT_MAX_FILES, ImageEntry, Platform, Source, digest_of, media_type, read_document, sha256_digest,
};
use crate::tar::Compression;
use crate::text::Printable;

/// The most layers that an image may have. Docker's storage drivers end at 127.
const MAX_LAYERS: usize = 1024;
/// The depth to which indexes may be nested.
pub(super) const MAX_INDEX_DEPTH: usize = 4;

/// The format of manifest and media types that an image belongs to; a new image stays in the format of the old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ManifestFormat {
    /// OCI image specification.
    Oci,
    /// Docker image manifest version 2, schema 2.
    Docker,
}

impl ManifestFormat {
    /// The media type of manifests.
    pub fn manifest(self) -> &'static str {
        match self {
            ManifestFormat::Oci => media_type::MANIFEST,
            ManifestFormat::Docker => media_type::DOCKER_MANIFEST,
        }
    }

    /// The media type of image configs.
    pub fn config(self) -> &'static str {
        match self {
            ManifestFormat::Oci => media_type::CONFIG,
            ManifestFormat::Docker => media_type::DOCKER_CONFIG,
        }
    }

    /// The media type of the layers that this program writes.
    pub fn layer(self) -> &'static str {
        match self {
            // Ciphertext does not compress.
            ManifestFormat::Oci => media_type::LAYER,
            // Docker's schema knows no plain layers in manifests.
            ManifestFormat::Docker => media_type::DOCKER_GZIP_LAYER,
        }
    }
}

/// One image: its manifest and its config, both kept whole, and where to read its layers.
#[derive(Clone)]
pub struct Image {
    pub(super) source: Arc<dyn Source>,
    pub(super) listed: ImageEntry,
    pub(super) descriptor: Descriptor,
    pub(super) format: ManifestFormat,
    pub(super) manifest: Object,
    pub(super) config: Object,
    pub(super) layers: Vec<Descriptor>,
    pub(super) diff_ids: Vec<Digest>,
    pub(super) max_files: usize,
}

impl Image {
    /// Reads manifest and config of a listed image; of an index, those for `platform` (default: this machine's, or the
    /// only one there).
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) if this is no image or an inconsistent one;
    /// [`Kind::Usage`](crate::error::Kind::Usage) if there is none for the platform.
    pub fn open(source: Arc<dyn Source>, listed: ImageEntry, platform: Option<&Platform>) -> Result<Self> {
        let name = match &listed.tag {
            Some(tag) => format!("{}:{tag}", source.name()),
            None => source.name(),
        };
        Self::open_here(source, listed, platform).at(name)
    }

    /// The empty image: no layer and no file, for `platform` (default: this machine's).
    pub fn scratch(platform: Option<&Platform>) -> Self {
        let format = ManifestFormat::Oci;
        let config = platform.cloned().unwrap_or_else(Platform::here).to_config();
        let descriptor = Descriptor::new(MediaType::from(format.manifest()), 0, digest_of(b""));
        let manifest = json::json!({ "schemaVersion": 2, "mediaType": format.manifest(), "config": {}, "layers": [] });
        Image {
            source: Arc::new(Nowhere),
            listed: ImageEntry { tag: None, descriptor: descriptor.clone() },
            descriptor,
            format,
            manifest: manifest.as_object().cloned().unwrap_or_default(),
            config,
            layers: Vec::new(),
            diff_ids: Vec::new(),
            max_files: DEFAULT_MAX_FILES,
        }
    }

    /// The same image with another limit on the files that are read of it.
    #[must_use]
    pub fn with_max_files(self, max_files: usize) -> Self {
        Image { max_files, ..self }
    }

    /// The most files, and the most directories, that are read of it.
    pub fn max_files(&self) -> usize {
        self.max_files
    }

    fn open_here(source: Arc<dyn Source>, listed: ImageEntry, platform: Option<&Platform>) -> Result<Self> {
        let (descriptor, manifest) = resolve(&*source, &listed.descriptor, platform)?;
        let place = format!("manifest {}", descriptor.digest());
        let format = format_of(&descriptor, &manifest).at(&place)?;
        let config_descriptor = descriptor_at(&manifest, "config").at(&place)?;
        let layers = layers_of(&manifest).at(&place)?;
        let place = format!("image config {}", config_descriptor.digest());
        let document = read_document(&*source, &config_descriptor)?;
        let config = json::parse_document(&document, &json::IMAGE_CONFIG).at(&place)?;
        let diff_ids = diff_ids_of(&config).at(&place)?;
        if diff_ids.len() != layers.len() {
            let what = format!("{} diff IDs for {} layers in the manifest", diff_ids.len(), layers.len());
            return Err(Error::malformed(what).at(place));
        }
        if let (Some(asked), Some(found)) = (platform, Platform::read(&config))
            && asked.contradicts(&found)
        {
            return Err(Error::usage(format!("the image is for {found}, not for {asked}")));
        }
        let max_files = DEFAULT_MAX_FILES;
        Ok(Image { source, listed, descriptor, format, manifest, config, layers, diff_ids, max_files })
    }

    /// The image with another tag beside it, if there is one.
    ///
    /// # Errors
    /// As [`Image::open`] and [`Source::find`].
    pub fn beside(&self, tag: &str, platform: Option<&Platform>) -> Result<Option<Image>> {
        let found = self.source.find(tag)?;
        let open = |listed| Image::open(self.source.clone(), listed, platform);
        Ok(found.map(open).transpose()?.map(|image| image.with_max_files(self.max_files)))
    }

    /// The source that it was read from.
    pub fn source(&self) -> &dyn Source {
        &*self.source
    }

    /// Its entry in the source: its tag, and the manifest or index that the tag names.
    pub fn listed(&self) -> &ImageEntry {
        &self.listed
    }

    /// The other images of its place that have no tag, as engines leave them behind that put another under the tag. What
    /// cannot be read as an image is none.
    pub fn nameless_others(&self) -> Vec<Image> {
        let listed = self.source.list().unwrap_or_default().into_iter();
        let others =
            listed.filter(|other| other.tag.is_none() && other.descriptor.digest() != self.listed.descriptor.digest());
        others.filter_map(|other| Image::open(self.source.clone(), other, None).ok()).collect()
    }

    /// Makes it count as the image that is listed so: it will replace that one.
    pub fn with_tag_of(&mut self, listed: &ImageEntry) {
        self.listed.tag = listed.tag.clone();
    }

    /// Takes the lowest `count` layers in the form that `original` has them in, if they are the same by content.
    ///
    /// An engine that an image went through has compressed its layers anew; a registry that has the original ones
    /// need not store them twice.
    pub fn reuse_blobs(&mut self, original: &Image, count: usize) {
        let same = original.format == self.format
            && self.diff_ids.get(..count).is_some_and(|own| original.diff_ids.starts_with(own));
        let theirs = original.manifest.get("layers").and_then(Value::as_array);
        let (Some(theirs), Some(Value::Array(own)), true) = (theirs, self.manifest.get_mut("layers"), same) else {
            return;
        };
        own[..count].clone_from_slice(&theirs[..count]);
        self.layers[..count].clone_from_slice(&original.layers[..count]);
    }

    /// Takes from `image` what makes it that image, whatever it is based on: the command; labels and annotations that
    /// are not here; labels that it has otherwise than `old`, the image that it was based on, if that is known.
    pub fn inherit_metadata(&mut self, image: &Image, old: Option<&Image>) {
        let inner = object_at(&mut self.config, "config");
        match image.config.get("config").and_then(|inner| inner.get("Cmd")) {
            Some(command) => inner.insert("Cmd".to_owned(), command.clone()),
            None => inner.shift_remove("Cmd"),
        };
        let labels = object_at(inner, "Labels");
        for (name, value) in image.labels() {
            match old.map(|old| old.label(name) == value.as_str()) {
                Some(true) => {} // came from there
                Some(false) => drop(labels.insert(name.clone(), value.clone())),
                None => drop(labels.entry(name.clone()).or_insert_with(|| value.clone())),
            }
        }
        if let Some(Value::Object(annotations)) = image.manifest.get("annotations") {
            let own = object_at(&mut self.manifest, "annotations");
            let of_base = |name: &str| name.starts_with("org.opencontainers.image.base.");
            for (name, value) in annotations.iter().filter(|(name, _)| !of_base(name)) {
                own.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        self.listed.descriptor.set_annotations(image.listed.descriptor.annotations().clone());
    }

    fn labels(&self) -> impl Iterator<Item = (&String, &Value)> {
        let labels = self.config.get("config").and_then(|inner| inner.get("Labels")).and_then(Value::as_object);
        labels.into_iter().flatten()
    }

    /// Its manifest's descriptor.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// OCI or Docker.
    pub fn format(&self) -> ManifestFormat {
        self.format
    }

    /// The manifest as it stands.
    pub fn manifest(&self) -> &Object {
        &self.manifest
    }

    /// The image config as it stands.
    pub fn config(&self) -> &Object {
        &self.config
    }

    /// The layers from the bottom up.
    pub fn layers(&self) -> &[Descriptor] {
        &self.layers
    }

    /// The digests of all that it is made of: manifest, config and layers.
    pub fn blobs(&self) -> Vec<Digest> {
        let config = descriptor_at(&self.manifest, "config").ok();
        let parts = [&self.descriptor].into_iter().chain(&config).chain(&self.layers);
        parts.map(|part| part.digest().clone()).collect()
    }

    /// The digests of the uncompressed layers, from the bottom up.
    pub fn diff_ids(&self) -> &[Digest] {
        &self.diff_ids
    }

    /// The platform that its config names.
    pub fn platform(&self) -> Option<Platform> {
        Platform::read(&self.config)
    }

    /// A label of the image config.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.config.get("config")?.get("Labels")?.get(name)?.as_str()
    }

    /// The chain ID of the lowest `layers` layers (OCI image specification, config, layer chain ID); `None` for none.
    pub fn chain_id(&self, layers: usize) -> Option<Digest> {
        self::chain_id(self.diff_ids.get(..layers)?)
    }

    /// Checks that a layer is of a kind that is passed on. That it is packed as its media type says is for who reads it.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) if not.
    pub fn ensure_distributable(&self, layer: usize) -> Result<()> {
        let descriptor = &self.layers[layer];
        if is_foreign(descriptor.media_type().as_ref()) { Err(foreign(descriptor)) } else { Ok(()) }
    }

    /// Checks that a layer which is packed so may have the media type that it has.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) if not.
    pub fn ensure_packed(&self, layer: usize, compression: Compression) -> Result<()> {
        let descriptor = &self.layers[layer];
        ensure_packed(descriptor, compression).at(format_args!("layer {}", descriptor.digest())).at(self.source.name())
    }

    /// Reads layer number `layer` to its end, and checks that it has the diff ID that the config gives; how it is packed.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) or [`Kind::Verification`](crate::error::Kind::Verification)
    /// if it is not what config and manifest say; input/output.
    pub fn ensure_layer(&self, layer: usize) -> Result<Compression> {
        ensure_contents(&*self.source, &self.layers[layer], &self.diff_ids[layer]).at(self.source.name())
    }

    /// Checks of layer number `layer`, if it is plain, that its media type says so; without reading it.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) if it says otherwise.
    pub fn ensure_plain_is_stated(&self, layer: usize) -> Result<()> {
        ensure_plain_is_stated(&self.layers[layer], &self.diff_ids[layer]).at(self.source.name())
    }

    /// True if all layers of `base` are the lowest layers of this image, by their contents.
    pub fn is_based_on(&self, base: &Image) -> bool {
        self.diff_ids.starts_with(&base.diff_ids)
    }
}

/// The descriptors in a manifest or an index.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Contents {
    /// Manifests and indexes, of an index.
    pub manifests: Vec<Descriptor>,
    /// Config and layers, of a manifest.
    pub blobs: Vec<Descriptor>,
    /// The number of the blobs that are layers.
    pub layers: usize,
}

/// Reads what a manifest or an index names.
///
/// # Errors
/// As [`read_document`]; [`Kind::Malformed`](crate::error::Kind::Malformed) if it is neither, or both.
pub fn contents_of(source: &dyn Source, descriptor: &Descriptor) -> Result<Contents> {
    let document = json::parse_manifest(&read_document(source, descriptor)?).at(descriptor.digest())?;
    let list = |key| json::list(document.get(key)).unwrap_or_default();
    if is_index(&document).at(descriptor.digest())? {
        let manifests = list("manifests").iter().map(to_descriptor).collect::<Result<_>>()?;
        return Ok(Contents { manifests, ..Contents::default() });
    }
    let mut blobs = vec![descriptor_at(&document, "config").at(descriptor.digest())?];
    // What is only copied may be of any kind: indexes hold attestations too.
    blobs.extend(list("layers").iter().map(to_descriptor).collect::<Result<Vec<_>>>()?);
    Ok(Contents { layers: blobs.len() - 1, blobs, ..Contents::default() })
}

/// The source of the empty image.
struct Nowhere;

impl Source for Nowhere {
    fn name(&self) -> String {
        "scratch".to_owned()
    }

    fn bytes_read(&self) -> u64 {
        0
    }

    fn list(&self) -> Result<Vec<ImageEntry>> {
        Ok(Vec::new())
    }

    fn open(&self, _descriptor: &Descriptor) -> Result<Blob> {
        Err(Error::malformed("the empty image has no blobs"))
    }
}

/// The chain ID of a stack of layers; `None` if there are none.
pub fn chain_id(diff_ids: &[Digest]) -> Option<Digest> {
    let (first, rest) = diff_ids.split_first()?;
    Some(rest.iter().fold(first.clone(), |chain, next| sha256_digest(Sha256::of(format!("{chain} {next}").as_bytes()))))
}

/// Follows indexes to the manifest for the platform.
fn resolve(source: &dyn Source, listed: &Descriptor, platform: Option<&Platform>) -> Result<(Descriptor, Object)> {
    let mut descriptor = listed.clone();
    for _ in 0..MAX_INDEX_DEPTH {
        let document = json::parse_manifest(&read_document(source, &descriptor)?)
            .at(format_args!("manifest {}", descriptor.digest()))?;
        if !is_index(&document).at(descriptor.digest())? {
            return Ok((descriptor, document));
        }
        descriptor = choose(source, &document, platform).at(format_args!("index {}", descriptor.digest()))?;
    }
    Err(Error::malformed(format!("indexes nested more than {MAX_INDEX_DEPTH} deep")))
}

fn format_of(descriptor: &Descriptor, manifest: &Object) -> Result<ManifestFormat> {
    let stated = descriptor.media_type().to_string();
    if let Some(own) = manifest.get("mediaType") {
        let own = own.as_str().unwrap_or("not a string");
        if own != stated {
            let (own, stated) = (Printable::new(own), Printable::new(&stated));
            return Err(Error::malformed(format!("media type `{own}` inside, but `{stated}` in its descriptor")));
        }
    }
    [ManifestFormat::Oci, ManifestFormat::Docker]
        .into_iter()
        .find(|format| format.manifest() == stated)
        .ok_or_else(|| wrong_media_type(&stated, "an image manifest"))
}

fn layers_of(manifest: &Object) -> Result<Vec<Descriptor>> {
    let layers = json::list(manifest.get("layers")).ok_or_else(|| Error::malformed("`layers` is not a list"))?;
    if layers.len() > MAX_LAYERS {
        return Err(Error::malformed(format!("{} layers; at most {MAX_LAYERS} are read", layers.len())));
    }
    layers.iter().enumerate().map(|(at, layer)| to_layer(layer).at(format_args!("layers[{at}]"))).collect()
}

/// A layer's descriptor; of a kind that holds files.
fn to_layer(value: &Value) -> Result<Descriptor> {
    // Layers that may not be distributed lie elsewhere, and some engines leave them out.
    const KINDS: [&str; 2] = [media_type::LAYER, media_type::DOCKER_LAYER];
    const COMPRESSIONS: [&str; 5] = ["", "+gzip", "+zstd", ".gzip", ".zstd"];
    let descriptor = to_descriptor(value)?;
    let stated = descriptor.media_type().to_string();
    let known = KINDS.iter().filter_map(|kind| stated.strip_prefix(kind)).any(|end| COMPRESSIONS.contains(&end));
    match known {
        true => Ok(descriptor),
        false if is_foreign(&stated) => Err(foreign(&descriptor)),
        false => Err(wrong_media_type(&stated, "a layer")),
    }
}

/// Layers that may not be distributed: they lie elsewhere, and registries and tools do not hand them on.
fn is_foreign(media_type: &str) -> bool {
    media_type.contains(".nondistributable.") || media_type.contains(".foreign.")
}

fn foreign(descriptor: &Descriptor) -> Error {
    let stated = descriptor.media_type().to_string();
    let what = format!("a foreign layer (`{}`), which no tool hands on with the image", Printable::new(&stated));
    let urls = descriptor.urls().as_ref().filter(|urls| !urls.is_empty()).map(|urls| urls.join(", "));
    let lies = urls.map(|urls| format!("the layer is said to be at {}; ", Printable::new(&urls))).unwrap_or_default();
    Error::malformed(what)
        .hint(format!("{lies}build the image on a base without such layers"))
        .at(format_args!("layer {}", descriptor.digest()))
}

fn wrong_media_type(stated: &str, wanted: &str) -> Error {
    Error::malformed(format!("`{}` is not the media type of {wanted}", Printable::new(stated)))
}

fn diff_ids_of(config: &Object) -> Result<Vec<Digest>> {
    let wrong = || Error::malformed("`rootfs.diff_ids` is not a list of digests");
    let ids = config.get("rootfs").and_then(|rootfs| rootfs.get("diff_ids"));
    let ids = json::list(ids).ok_or_else(wrong)?;
    ids.iter().map(|id| id.as_str().and_then(|id| id.parse().ok()).ok_or_else(wrong)).collect()
}
