//! Which of an image's layers are the train as built; everything above them is replaced by a stage.

use std::collections::HashMap;
use std::path::Path;

use super::labels::Labels;
use super::locate::{BASE, ENCRYPTED, open_image};
use super::paths;
use super::{
    World,
    check::{files_below, layers_of},
    load::Train,
    payload::Change,
};
use crate::error::{Error, Result};
use crate::image::layer::{Kind, scan};
use crate::image::{Image, Reference, Tree, Wanted};

/// How the base was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// By the labels of an earlier stage.
    Labels,
    /// By what the creator signed.
    Signed,
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
            Found::Signed => "the creator's signature",
            Found::Given => "given",
            Found::Beside => "tag base",
            Found::Content => "content of the layers",
        }
    }
}

/// What is known of the base before the train is read.
pub(super) struct Lineage {
    /// The image that was given, and how it was named.
    given: Option<(String, Image)>,
    /// As many layers as the labels or the image beside say.
    likely: Option<(usize, Found)>,
}

impl Lineage {
    /// Looks at what was given, at labels and at the image `base` beside; at no layer.
    pub(super) fn look(image: &Image, given: Option<&Reference>, world: &World) -> Result<Self> {
        let given = given.map(|given| Ok::<_, Error>((given.to_string(), open_image(given, world)?))).transpose()?;
        let likely = match Labels::read(image).base_layers {
            Some(layers) => Some((layers, Found::Labels)),
            None => {
                let beside = image.beside(BASE, world.platform.as_ref())?.filter(|base| image.is_based_on(base));
                beside.map(|base| (base.layers().len(), Found::Beside))
            }
        };
        Ok(Lineage { given, likely })
    }

    /// The layers above which everything is read, if it is known.
    pub(super) fn floor(&self) -> Option<usize> {
        self.given.as_ref().map(|(_, base)| base.layers().len()).or(self.likely.map(|(layers, _)| layers))
    }

    /// The number of base layers of `train`; `change` is how its immutable files are read.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::error::Kind::Usage) if the train has another base than the given one,
    /// [`Kind::Verification`](crate::error::Kind::Verification) if it has another one than its creator signed.
    pub(super) fn settle(&self, train: &Train, change: Change<'_>, spool_dir: &Path) -> Result<(usize, Found)> {
        let (image, wire) = (&train.image, train.config.wire());
        if let Some(base) = wire.base_layers(&train.config, &layers_of(image))? {
            return self.check_given(image, base).map(|()| (base, Found::Signed));
        }
        match (&self.given, self.likely) {
            (Some((_, given)), _) if image.is_based_on(given) => Ok((given.layers().len(), Found::Given)),
            (Some((name, _)), _) => {
                let hint = "give the image that the train was built as, or leave --base out";
                Err(Error::usage("the train is not based on it").hint(hint).at(name))
            }
            (None, Some(likely)) => Ok(likely),
            (None, None) => {
                let by_content = base_by_content(image, train.tree(), change, wire.encrypts_train(), spool_dir)?;
                Ok((by_content, Found::Content))
            }
        }
    }

    /// What was given must be the signed base, or the train as built on it.
    fn check_given(&self, image: &Image, base: usize) -> Result<()> {
        let Some((name, given)) = &self.given else { return Ok(()) };
        let layers = if Labels::read(given).base_layers == Some(base) { base } else { given.layers().len() };
        if layers == base && given.diff_ids().get(..base) == image.diff_ids().get(..base) {
            return Ok(());
        }
        let what = "the train cannot go on with this base: its creator has signed another one, and every station checks \
                    that signature";
        Err(Error::usage(what).hint("leave --base out, or have the creator build the train anew").at(name))
    }
}

/// Takes the base layers as the train as built or the image before pre-run has them, if one of these is beside the image.
pub(super) fn adopt_base(image: &mut Image, base: usize, world: &World) -> Result<()> {
    let before = format!("{}{ENCRYPTED}", image.listed().tag.as_deref().unwrap_or_default());
    for tag in [before.as_str(), BASE] {
        if let Some(original) = image.beside(tag, world.platform.as_ref())? {
            image.adopt_layers(&original, base);
        }
    }
    Ok(())
}

/// The number of layers below the lowest one that holds a result or, where the immutable files travel encrypted, one of
/// them in plaintext. `tree` is the merged view, and `change` how its immutable files are read.
fn base_by_content(
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
