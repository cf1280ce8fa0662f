//! Images made of parts of others: the lowest layers alone, layers that are read from elsewhere.

use std::sync::Arc;

use oci_spec::image::Digest;

use super::document::Image;
use crate::error::{Error, Result};
use crate::json::{self, Object, Value};
use crate::store::{Descriptor, ImageEntry, JoinedSource, left_out, mark_left_out};

/// When an image was made whose time must not matter (RFC 3339).
const EPOCH: &str = "1970-01-01T00:00:00Z";
/// The members of an image config that say what it runs on (OCI image specification, image configuration).
const PLATFORM: [&str; 5] = ["architecture", "os", "variant", "os.version", "os.features"];
/// The members of its `config` that say what runs.
const PROCESS: [&str; 6] = ["User", "Env", "Entrypoint", "Cmd", "WorkingDir", "StopSignal"];
impl Image {
    /// The members of its config that say what it runs on, and no others.
    pub fn platform_config(&self) -> Object {
        let named = |(name, _): &(&String, &Value)| PLATFORM.contains(&name.as_str());
        self.config.iter().filter(named).map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// What its config says of how it runs, as an engine is to see it: what it runs on, and of `config` the process alone.
    /// Volumes would lie over what is mounted, and no health check is wanted.
    pub fn process_config(&self) -> Object {
        let inner = self.config.get("config").and_then(Value::as_object);
        let wanted = PROCESS.into_iter().filter_map(|name| Some((name.to_owned(), inner?.get(name)?.clone())));
        let mut config = self.platform_config();
        config.insert("config".to_owned(), Value::Object(wanted.filter(|(_, value)| !value.is_null()).collect()));
        config
    }

    /// Its lowest `count` layers as an image of their own, to be run: with `execution` as what its config says of how it
    /// runs (the members of the OCI image configuration but `rootfs` and `history`), and without annotations or labels.
    ///
    /// It depends on these layers and on `execution` alone, so that it has the same ID in every train.
    #[must_use]
    pub fn lowest(&self, count: usize, execution: Object) -> Image {
        let (layers, diff_ids) = (self.layers[..count].to_vec(), self.diff_ids[..count].to_vec());
        let mut config = execution;
        config.insert("created".to_owned(), EPOCH.into());
        let ids: Vec<&str> = diff_ids.iter().map(AsRef::as_ref).collect();
        config.insert("rootfs".to_owned(), json::json!({ "type": "layers", "diff_ids": ids }));
        let plain = |layer: &Descriptor| json::json!({ "mediaType": layer.media_type().to_string(), "digest": layer.digest().to_string(), "size": layer.size() });
        let manifest = json::json!({
            "schemaVersion": 2,
            "mediaType": self.format.manifest(),
            "config": {},
            "layers": layers.iter().map(plain).collect::<Vec<_>>(),
        });
        let manifest = manifest.as_object().cloned().unwrap_or_default();
        let listed = ImageEntry { tag: None, descriptor: self.listed.descriptor.clone() };
        Image { listed, manifest, config, layers, diff_ids, ..self.clone() }
    }

    /// The layers that it goes without where it is thin, from the bottom up: those that its entry names and that are not
    /// there.
    pub fn left_out(&self) -> Vec<&Descriptor> {
        let named = left_out(&self.listed.descriptor);
        let is_absent = |layer: &&Descriptor| named.contains(layer.digest()) && self.source.open(layer).is_err();
        self.layers.iter().filter(is_absent).collect()
    }

    /// Makes sure that every layer is there that it does not go without, before work that would be in vain. Of what is in a
    /// registry nothing is asked.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) if one is missing.
    pub fn ensure_layers(&self) -> Result<()> {
        if self.source.repository().is_some() {
            return Ok(());
        }
        let named = left_out(&self.listed.descriptor);
        let mut own = self.layers.iter().filter(|layer| !named.contains(layer.digest()));
        own.try_for_each(|layer| self.source.open(layer).map(drop))
    }

    /// The same image, with the layers that it goes without read from where `other` has them.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) if the other one does not have such a layer.
    pub fn completed(&self, other: &Image) -> Result<Image> {
        self.completed_but(other, &[])
    }

    /// The same with what the other one has, if that is thin, too: then this one stays without the layers that both go
    /// without.
    ///
    /// # Errors
    /// As [`completed`](Self::completed).
    pub fn completed_as_far(&self, other: &Image) -> Result<Image> {
        let absent: Vec<Digest> = other.left_out().into_iter().map(|layer| layer.digest().clone()).collect();
        self.completed_but(other, &absent)
    }

    /// The same, but for the layers that are `absent`.
    fn completed_but(&self, other: &Image, absent: &[Digest]) -> Result<Image> {
        let (mut elsewhere, mut left) = (Vec::new(), Vec::new());
        for layer in self.left_out() {
            if !other.layers.iter().any(|there| there.digest() == layer.digest()) {
                let what =
                    format!("the layer {}, which the thin image goes without, is not part of it", layer.digest());
                let hint = "give the image that the thin one was made without, in the very form in which it was then";
                return Err(Error::malformed(what).hint(hint).at(other.source.name()));
            }
            let list = if absent.contains(layer.digest()) { &mut left } else { &mut elsewhere };
            list.push(layer.digest().clone());
        }
        let source = JoinedSource::new(self.source.clone(), other.source.clone(), elsewhere);
        let mut whole = Image { source: Arc::new(source), ..self.clone() };
        mark_left_out(&mut whole.listed.descriptor, &left);
        Ok(whole)
    }

    /// The same image without the layers above the lowest `layers`: what it was before they were added.
    #[must_use]
    pub fn up_to(&self, layers: usize) -> Image {
        let (layers, diff_ids) = (self.layers.iter().take(layers), self.diff_ids.iter().take(layers));
        Image { layers: layers.cloned().collect(), diff_ids: diff_ids.cloned().collect(), ..self.clone() }
    }
}
