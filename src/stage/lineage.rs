//! Which of an image's layers are the train as built; everything above them is replaced by a stage.

use std::collections::HashMap;
use std::path::Path;

use super::labels::Labels;
use super::locate::{BASE, ENCRYPTED, open_beside, open_image};
use super::paths;
use super::{World, check::files_below, payload::Change};
use crate::error::{Error, Result};
use crate::image::layer::{Kind, scan};
use crate::image::{Image, Reference, Tree, Wanted};

/// How the base was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// By the labels of an earlier stage.
    Labels,
    /// It was given.
    Given,
    /// By the image `base` beside the train.
    Beside,
    /// By looking for the lowest layer that holds a result or a decrypted file.
    Content,
}

impl Found {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Found::Labels => "labels",
            Found::Given => "given",
            Found::Beside => "tag base",
            Found::Content => "content of the layers",
        }
    }
}

/// The number of base layers, if that can be told without looking into layers.
pub(super) fn known_base(
    image: &Image,
    reference: &Reference,
    given: Option<&Reference>,
    world: &World,
) -> Result<Option<(usize, Found)>> {
    if let Some(given) = given {
        let base = open_image(given, world)?;
        if !image.is_based_on(&base) {
            let hint = "give the image that the train was built as, or leave --base out";
            return Err(Error::usage("the train is not based on it").hint(hint).at(given));
        }
        return Ok(Some((base.layers().len(), Found::Given)));
    }
    if let Some(layers) = Labels::read(image).base_layers {
        return Ok(Some((layers, Found::Labels)));
    }
    let beside = open_beside(reference, BASE, world)?.filter(|base| image.is_based_on(base));
    Ok(beside.map(|base| (base.layers().len(), Found::Beside)))
}

/// Takes the base layers as the train as built or the image before pre-run has them, if one of these is beside the image.
pub(super) fn adopt_base(image: &mut Image, reference: &Reference, base: usize, world: &World) -> Result<()> {
    let before = format!("{}{ENCRYPTED}", image.listed().tag.as_deref().unwrap_or_default());
    for tag in [before.as_str(), BASE] {
        if let Some(original) = open_beside(reference, tag, world)? {
            image.adopt_layers(&original, base);
        }
    }
    Ok(())
}

/// The number of layers below the lowest one that holds a result or, where the immutable files travel encrypted, one of
/// them in plaintext. `tree` is the merged view, and `change` how its immutable files are read.
pub(super) fn base_by_content(
    image: &Image,
    tree: &Tree,
    change: Change<'_>,
    encrypts_train: bool,
    spool_dir: &Path,
) -> Result<usize> {
    let wanted = Wanted::new([paths::RESULTS, paths::TRAIN]);
    let plaintext: HashMap<Vec<u8>, u64> = files_below(tree, paths::TRAIN, change)?
        .into_iter()
        .map(|(at, meta)| (tree.nodes()[at].path.to_vec(), meta.size))
        .collect();
    for (layer, descriptor) in image.layers().iter().enumerate() {
        let scanned =
            scan(image.source(), descriptor, &image.diff_ids()[layer], spool_dir, &|path| wanted.matters(path))?;
        let holds = scanned.entries.iter().filter(|entry| entry.kind == Kind::File).any(|entry| {
            let is_result =
                entry.path.starts_with(paths::RESULTS) && entry.path[paths::RESULTS.len()..].starts_with(b"/");
            // A ciphertext is never as long as its plaintext.
            let is_plaintext = encrypts_train && plaintext.get(&*entry.path) == Some(&entry.size);
            is_result && !entry.path.ends_with(crate::image::OPAQUE) || is_plaintext
        });
        if holds {
            return Ok(layer);
        }
    }
    // Nothing was ever run: the image is the train as built.
    Ok(image.layers().len())
}
