//! A new image from an old one: the lowest layers as they are, new layers on top, config and manifest patched.

use std::io::{self, Write};

use oci_spec::image::{Descriptor, Digest, MediaType};

use super::document::{Image, ManifestFormat};
use super::thin::move_blobs;
use crate::crypto::Sha256;
use crate::error::{Error, IoContext, Result};
use crate::json::{self, Object, Value, json, object_at};
use crate::store::{
    BlobSink, Destination, ThreadedWriter, Transfer, is_plain_annotation, mark_left_out, sha256_digest,
};
use crate::tar::Encoder;

/// A layer that has been written to the destination.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AddedLayer {
    /// Its blob.
    pub descriptor: Descriptor,
    /// The digest of the uncompressed layer.
    pub diff_id: Digest,
}

/// Writes one layer to a destination: on another core, compressed as the image's format asks for, digested once.
pub struct LayerSink {
    way: Way,
    format: ManifestFormat,
}

enum Way {
    /// To a thread of ours.
    ThreadedWriter(ThreadedWriter<Coder>),
    /// To a blob that has threads of its own.
    Plain(Box<dyn BlobSink>),
}

impl LayerSink {
    /// Begins a layer.
    ///
    /// # Errors
    /// As [`Destination::create`].
    pub fn new(destination: &mut dyn Destination, format: ManifestFormat) -> Result<Self> {
        let sink = destination.create()?;
        let threaded_writer = |diff, encoder| Way::ThreadedWriter(ThreadedWriter::new(Coder { diff, encoder }));
        let way = match format {
            ManifestFormat::Oci if sink.is_apart() => Way::Plain(sink),
            ManifestFormat::Oci => threaded_writer(None, Encoder::plain(sink)),
            ManifestFormat::Docker => threaded_writer(Some(Sha256::new()), Encoder::gzip(sink)),
        };
        Ok(LayerSink { way, format })
    }

    /// Ends the layer.
    ///
    /// # Errors
    /// Input/output.
    pub fn finish(self) -> Result<AddedLayer> {
        let (diff, sink) = match self.way {
            Way::Plain(sink) => (None, sink),
            Way::ThreadedWriter(threaded_writer) => {
                let Coder { diff, encoder } = threaded_writer.finish().doing("write the layer")?;
                (diff, encoder.finish().doing("write the layer")?)
            }
        };
        let written = sink.finish()?;
        // The diff ID of a plain layer is the digest of its blob.
        let diff_id = diff.map_or_else(|| written.digest.clone(), |diff| sha256_digest(diff.finish()));
        let descriptor = Descriptor::new(MediaType::from(self.format.layer()), written.size, written.digest);
        Ok(AddedLayer { descriptor, diff_id })
    }
}

impl Write for LayerSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.way {
            Way::ThreadedWriter(threaded_writer) => threaded_writer.write(bytes),
            Way::Plain(sink) => sink.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Coder {
    /// The digest of the uncompressed bytes, where it is not that of the blob.
    diff: Option<Sha256>,
    encoder: Encoder<Box<dyn BlobSink>>,
}

impl Write for Coder {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.encoder.write(bytes)?;
        if let Some(diff) = &mut self.diff {
            diff.update(&bytes[..written]);
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.encoder.flush()
    }
}

/// The changes of a new image.
#[derive(Debug, Default)]
pub struct Edit {
    /// The number of the old image's layers that stay, from the bottom.
    pub keep: usize,
    /// The layers above them, each with what its history entry says made it.
    pub added: Vec<(AddedLayer, String)>,
    /// Labels to set, or with `None` to remove.
    pub labels: Vec<(&'static str, Option<String>)>,
    /// Fields of the config's `config` to set, such as `Cmd` (OCI image specification, "Image JSON Description").
    pub settings: Vec<(&'static str, Value)>,
    /// Volumes that are not declared any more.
    pub without_volumes: Vec<String>,
    /// How the image runs, whatever the old one says: the members of the image config that decide it. Of the old one only
    /// history and author stay then.
    pub execution: Option<Object>,
    /// Whether the image is for an engine, which acts on annotations and fetches from URLs: none are left then but
    /// `org.opencontainers.image.*`.
    pub for_engine: bool,
    /// Whether the layers that stay are left where they are: the destination gets a thin image.
    pub apart: bool,
    /// When the image was made (RFC 3339).
    pub created: String,
}

/// A new image in the destination, not published yet.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NewImage {
    /// Its manifest.
    pub descriptor: Descriptor,
    /// The number of layers that existed already, or could be shared.
    pub reused: usize,
    /// The bytes of old layers that were copied.
    pub copied: u64,
    manifest: Object,
}

impl NewImage {
    /// Writes another manifest of the same config and layers, that has one annotation more and so a digest of its own.
    ///
    /// # Errors
    /// As [`Destination::put_manifest`].
    pub fn write_annotated(
        &self,
        destination: &mut dyn Destination,
        (name, value): (&str, &str),
    ) -> Result<Descriptor> {
        let mut manifest = self.manifest.clone();
        object_at(&mut manifest, "annotations").insert(name.to_owned(), value.into());
        let media_type = self.descriptor.media_type();
        let written = destination.put_manifest(media_type.as_ref(), &json::to_vec(&Value::Object(manifest)))?;
        let mut descriptor = Descriptor::new(media_type.clone(), written.size, written.digest);
        descriptor.set_annotations(self.descriptor.annotations().clone());
        Ok(descriptor)
    }
}

impl Edit {
    /// The digests of the new layers as reports have them, from the bottom up.
    pub fn added_digests(&self) -> Vec<String> {
        self.added.iter().map(|(layer, _)| layer.descriptor.digest().to_string()).collect()
    }

    /// Writes config and manifest and sees to it that the layers that stay are at the destination.
    ///
    /// # Errors
    /// As [`Destination::copy_blobs`] and [`Destination::create`].
    pub fn write(&self, image: &Image, destination: &mut dyn Destination) -> Result<NewImage> {
        let (mut reused, mut copied) = (0, 0);
        let kept = &image.layers()[..self.keep];
        let absent = if self.apart { kept.iter().collect() } else { image.left_out() };
        let absent = absent.into_iter().map(|layer| layer.digest().clone()).collect();
        let moved = move_blobs(destination, image.source(), kept, &absent)?;
        for (_, transfer) in moved.transfers {
            match transfer {
                Transfer::Reused => reused += 1,
                Transfer::Copied(bytes) => copied += bytes,
            }
        }
        let config = put_config(destination, image.format().config(), self.config(image))?;
        let (manifest, media_type) = (self.manifest(image, &config)?, image.format().manifest());
        let written = destination.put_manifest(media_type, &json::to_vec(&Value::Object(manifest.clone())))?;
        let mut descriptor = Descriptor::new(MediaType::from(media_type), written.size, written.digest);
        let mut annotations = image.listed().descriptor.annotations().clone();
        if let Some(annotations) = annotations.as_mut().filter(|_| self.for_engine) {
            annotations.retain(|name, _| is_plain_annotation(name));
        }
        descriptor.set_annotations(annotations);
        mark_left_out(&mut descriptor, &moved.left_out);
        Ok(NewImage { descriptor, reused, copied, manifest })
    }

    fn config(&self, image: &Image) -> Object {
        let mut config = self.old_config(image);
        let kept = image.diff_ids()[..self.keep].iter();
        let ids: Vec<&str> =
            kept.chain(self.added.iter().map(|(layer, _)| &layer.diff_id)).map(AsRef::as_ref).collect();
        let rootfs = object_at(&mut config, "rootfs");
        rootfs.insert("diff_ids".into(), json!(ids));
        if self.execution.is_some() {
            rootfs.insert("type".into(), "layers".into());
        }
        config.insert("created".into(), self.created.clone().into());
        self.patch_history(&mut config);
        let inner = object_at(&mut config, "config");
        let labels = object_at(inner, "Labels");
        for (name, value) in &self.labels {
            match value {
                Some(value) => labels.insert((*name).into(), value.clone().into()),
                None => labels.shift_remove(*name),
            };
        }
        if let Some(volumes) = inner.get_mut("Volumes").and_then(Value::as_object_mut) {
            volumes.retain(|volume, _| !self.without_volumes.contains(volume));
            if volumes.is_empty() {
                inner.shift_remove("Volumes");
            }
        }
        inner.extend(self.settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        config
    }

    /// What stays of the old config, before layers, labels and time are put in.
    fn old_config(&self, image: &Image) -> Object {
        let mut config = image.config().clone();
        if let Some(execution) = &self.execution {
            config.retain(|name, _| matches!(name.as_str(), "rootfs" | "created" | "author" | "history"));
            config.extend(execution.clone());
        }
        config
    }

    /// Keeps the history of the layers that stay, and of what made no layer between them, and adds ours. The history is
    /// optional; one that does not fit the layers is completed, so that what follows lines up, and so is an entry
    /// without a time, over which umoci 0.4 stumbles.
    fn patch_history(&self, config: &mut Object) {
        let old = config.get("history").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut history = Vec::new();
        let mut layers = 0;
        for mut entry in old {
            let empty = entry.get("empty_layer").and_then(Value::as_bool).unwrap_or(false);
            if layers == self.keep && !empty {
                break;
            }
            layers += usize::from(!empty);
            if let Some(entry) = entry.as_object_mut().filter(|entry| entry.get("created").is_none_or(Value::is_null)) {
                entry.insert("created".into(), self.created.clone().into());
            }
            history.push(entry);
        }
        let unknown = || json!({ "created": self.created, "comment": "not recorded" });
        history.extend(std::iter::repeat_with(unknown).take(self.keep - layers));
        let ours = self.added.iter().map(|(_, made_by)| json!({ "created": self.created, "created_by": made_by }));
        history.extend(ours);
        config.insert("history".into(), history.into());
    }

    fn manifest(&self, image: &Image, config: &Descriptor) -> Result<Object> {
        let mut manifest = image.manifest().clone();
        // The descriptor keeps what else it says; only `data`, the old config embedded, is no longer true.
        let descriptor = object_at(&mut manifest, "config");
        descriptor.shift_remove("data");
        if let Value::Object(new) = to_value(config)? {
            descriptor.extend(new);
        }
        let old = manifest.get("layers").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut layers: Vec<Value> = old.into_iter().take(self.keep).collect();
        for (layer, _) in &self.added {
            layers.push(to_value(&layer.descriptor)?);
        }
        manifest.insert("layers".into(), layers.into());
        if self.execution.is_some() {
            manifest.insert("schemaVersion".into(), 2.into());
            manifest.insert("mediaType".into(), image.format().manifest().into());
        }
        if self.for_engine {
            strip(&mut manifest);
            strip(object_at(&mut manifest, "config"));
            let layers = manifest.get_mut("layers").and_then(Value::as_array_mut).into_iter().flatten();
            layers.filter_map(Value::as_object_mut).for_each(strip);
        }
        Ok(manifest)
    }
}

/// Takes away what engines act on beside the image itself: hooks and tables of contents in annotations, URLs.
fn strip(object: &mut Object) {
    object.shift_remove("urls");
    if let Some(annotations) = object.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.retain(|name, _| is_plain_annotation(name));
    }
}

fn to_value(descriptor: &Descriptor) -> Result<Value> {
    serde_json::to_value(descriptor).map_err(|error| Error::malformed("cannot write a descriptor").because(error))
}

/// Writes an image config to the destination.
pub(super) fn put_config(destination: &mut dyn Destination, media_type: &str, config: Object) -> Result<Descriptor> {
    let mut sink = destination.create()?;
    sink.write_all(&json::to_vec(&Value::Object(config))).doing("write the image config")?;
    let written = sink.finish()?;
    Ok(Descriptor::new(MediaType::from(media_type), written.size, written.digest))
}

/// A time, in seconds since 1970, as image configs have it (RFC 3339).
///
/// # Errors
/// [`Kind::Usage`](crate::error::Kind::Usage) for years that the format does not have.
pub fn rfc3339(seconds: i64) -> Result<String> {
    time::OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|time| time.format(&time::format_description::well_known::Rfc3339).ok())
        .ok_or_else(|| Error::usage(format!("timestamp {seconds} is out of range")))
}
