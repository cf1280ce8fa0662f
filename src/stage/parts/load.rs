use std::path::Path;

use super::request::Station;
use super::strict::Forms;
use crate::crypto::Sha256;
use crate::error::{Error, ErrorContext, Kind, Result};
use crate::image::{Image, LayerEntries, NodeKind, Partial, PathFilter, Tree, View};
use crate::path::shown;
use crate::store::{Descriptor, sha256_digest};
use crate::train::files::normalise;
use crate::train::{ImageFacts, LayerFacts, Stop, TrainConfig, ensure_key_of, paths};

/// The largest train config that is read, in bytes: a thousand stations take a few MiB.
const MAX_CONFIG: u64 = 16 << 20;
/// The bytes of layers in which a config is looked for in an image that may be no train.
const LOOKED_AT: u64 = 16 << 20;

/// A train as it stands in an image.
pub(in crate::stage) struct Train {
    pub(in crate::stage) image: Image,
    pub(in crate::stage) view: View,
    /// What the two topmost layers are, entry by entry.
    pub(in crate::stage) forms: Forms,
    pub(in crate::stage) config: TrainConfig,
    /// What the wire version sees of the image.
    pub(in crate::stage) facts: ImageFacts,
    /// The config's bytes as they stand.
    pub(in crate::stage) document: Vec<u8>,
}

/// The depth to which the layers are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::stage) enum Depth {
    /// Until the train config is found.
    Config,
    /// Until all that the config lists is found, and at least down to this layer.
    ListedFiles(usize),
    /// Until nothing below can be seen.
    All,
}

impl Train {
    /// Reads the train in `image`.
    pub(in crate::stage) fn load(image: Image, spool_dir: &Path, depth: Depth) -> Result<Self> {
        let view = read_view(&image, spool_dir, depth)?;
        Self::in_view(image, view, depth)
    }

    /// The train that a view of `image` shows, which was read to `depth`.
    pub(in crate::stage) fn in_view(image: Image, (mut view, forms): (View, Forms), depth: Depth) -> Result<Self> {
        let name = name_of(&image);
        let places = if depth == Depth::Config { Ok(()) } else { ensure_places(&view.tree) };
        let parsed = places.and_then(|()| read_config(&view.tree)).and_then(|document| {
            TrainConfig::parse(&document).at(shown(paths::CONFIG)).map(|config| (document, config))
        });
        let (document, config) = parsed.map_err(|fault| view.damage_or(fault.at(name)))?;
        let facts = facts_of(&image);
        Ok(Train { image, view, forms, config, facts, document })
    }

    /// Reads the train again, down to the last layer that can be seen.
    pub(in crate::stage) fn reload(&mut self, spool_dir: &Path) -> Result<()> {
        *self = Self::load(self.image.clone(), spool_dir, Depth::All)?;
        Ok(())
    }

    pub(in crate::stage) fn tree(&self) -> &Tree {
        &self.view.tree
    }

    pub(in crate::stage) fn name(&self) -> String {
        name_of(&self.image)
    }

    /// Says if a layer is not there. What was not read says nothing of the train, but without it the train does not run.
    pub(in crate::stage) fn lacks_layer(&self) -> Option<String> {
        let what = "a layer that was not read is missing or damaged, and whoever runs the train needs it";
        self.image.ensure_layers().err().map(|missing| format!("{what}: {missing}"))
    }

    /// The digest that a label `config-digest` has for this config.
    pub(in crate::stage) fn config_digest(&self) -> String {
        sha256_digest(Sha256::of(&self.document)).to_string()
    }

    /// The stop that acts, by id or by key; the key must be its own.
    pub(in crate::stage) fn stop_of(&self, station: &Station<'_>) -> Result<&Stop> {
        let stop = match station.id {
            Some(id) => self.config.route().stop_named(id)?,
            None => self.config.route().stop_with_key(&station.key.public_key())?,
        };
        ensure_key_of(&self.config, stop, station.key)?;
        Ok(stop)
    }
}

/// An image as wire versions see it.
pub(in crate::stage) fn facts_of(image: &Image) -> ImageFacts {
    let layers = image.layers().iter().zip(image.diff_ids()).map(|(blob, diff_id)| LayerFacts {
        diff_id: diff_id.to_string(),
        digest: blob.digest().to_string(),
        size: blob.size(),
    });
    ImageFacts { layers: layers.collect(), config: image.config().clone() }
}

/// Reads as much of `image` as `depth` asks for.
pub(in crate::stage) fn read_view(image: &Image, spool_dir: &Path, depth: Depth) -> Result<(View, Forms)> {
    let wanted = match depth {
        Depth::Config => PathFilter::new([paths::CONFIG]),
        _ => PathFilter::new([paths::CONFIG, paths::USER_KEY, paths::TRAIN, paths::RESULTS]),
    };
    let (mut listed, mut forms) = (None, Forms::default());
    let enough = |partial: &Partial<'_>| match depth {
        Depth::ListedFiles(floor) if partial.layer <= floor => has_all_listed(partial, &mut listed),
        _ => Ok(false),
    };
    let top = image.layers().len();
    let inspect = |layer: &LayerEntries<'_>| forms.inspect(layer, top);
    let view = View::read_inspecting(image, wanted, spool_dir, enough, inspect).at(name_of(image))?;
    Ok((view, forms))
}

/// True if the topmost layer of an image has a train config. Layers that are large or in a registry are not looked into.
pub(in crate::stage) fn has_config_on_top(image: &Image, spool_dir: &Path) -> Result<bool> {
    let is_far = image.source().repository().is_some();
    if is_far || image.layers().last().is_none_or(|top| top.size() > LOOKED_AT) {
        return Ok(false);
    }
    match View::read(image, PathFilter::new([paths::CONFIG]), spool_dir, |_| Ok(true)) {
        Ok(view) => Ok(view.tree.get(paths::CONFIG).is_some()),
        // Whether its layers are in order is not asked here.
        Err(error) if matches!(error.kind(), Kind::Malformed | Kind::Verification) => Ok(false),
        Err(error) => Err(error),
    }
}

/// True if the upper layers of an image on this machine have a train config. What lies below many bytes is not looked for:
/// whoever copies any image should not have to wait for that.
pub(in crate::stage) fn has_config_in_sight(image: &Image, spool_dir: &Path) -> bool {
    let above = |layer: usize| image.layers()[layer..].iter().map(Descriptor::size).sum::<u64>();
    let is_small = image.layers().last().is_some_and(|top| top.size() <= LOOKED_AT);
    if image.source().repository().is_some() || !is_small {
        return false;
    }
    let enough = |seen: &Partial<'_>| {
        let next = seen.layer.checked_sub(1);
        Ok(seen.shows_file(paths::CONFIG) || next.is_none_or(|next| above(next) > LOOKED_AT))
    };
    let view = View::read(image, PathFilter::new([paths::CONFIG]), spool_dir, enough);
    view.is_ok_and(|view| view.tree.get(paths::CONFIG).is_some())
}

fn ensure_places(tree: &Tree) -> Result<()> {
    for (path, required) in [(paths::OPT, true), (paths::TRAIN, true), (paths::RESULTS, false)] {
        match tree.get(path).map(|node| &node.kind) {
            Some(NodeKind::Directory) => {}
            Some(_) => return Err(Error::malformed("not a directory").at(shown(path))),
            // Layers may leave out the entries of directories that they have something in.
            None if tree.below(path).is_empty() && required => return Err(not_a_train(paths::CONFIG)),
            None => {}
        }
    }
    Ok(())
}

/// What reports call an image.
pub(in crate::stage) fn name_of(image: &Image) -> String {
    match &image.listed().tag {
        Some(tag) => format!("{}:{tag}", image.source().name()),
        None => image.source().name(),
    }
}

fn not_a_train(path: &[u8]) -> Error {
    Error::malformed(format!("not a train: there is no {}", shown(path)))
}

/// The bytes of the train config.
pub(in crate::stage) fn read_config(tree: &Tree) -> Result<Vec<u8>> {
    let node = tree.get(paths::CONFIG).ok_or_else(|| not_a_train(paths::CONFIG))?;
    tree.read(node, MAX_CONFIG)
}

/// True if everything that the config lists can be seen already. What lies in lower layers is then not part of the
/// train: it will be hidden.
fn has_all_listed(partial: &Partial<'_>, listed: &mut Option<Vec<String>>) -> Result<bool> {
    if listed.is_none() {
        let Some(document) = partial.read_file(paths::CONFIG, MAX_CONFIG)? else { return Ok(false) };
        // What is wrong with a config is said when all is read.
        let Ok(config) = TrainConfig::parse(&document) else { return Ok(false) };
        *listed = Some(config.file_list().to_vec());
    }
    let at = |path: &[u8]| partial.shows(&[paths::TRAIN, b"/", path].concat());
    for entry in listed.as_deref().unwrap_or_default() {
        if !at(normalise(entry)?.resolve(at).as_bytes()) {
            return Ok(false);
        }
    }
    Ok(true)
}
