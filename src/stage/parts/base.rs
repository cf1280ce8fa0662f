//! The layers of an image that are the train as built; everything above them is replaced by a stage.

use std::collections::HashMap;
use std::path::Path;

use super::checks::files_below;
use super::labels::Labels;
use super::load::{Train, facts_of};
use super::payload::Transform;
use crate::error::{Advice, Error, Result};
use crate::image::{Image, PathFilter, Tree, open_image, scan};
use crate::store::tag::{BASE, ENCRYPTED_SUFFIX};
use crate::store::{Context, Reference};
use crate::tar::EntryKind;
use crate::train::paths;

/// The evidence by which the base was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BaseOrigin {
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

impl BaseOrigin {
    /// The name in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            BaseOrigin::Labels => "labels",
            BaseOrigin::Signed => "the creator's signature",
            BaseOrigin::Given => "given",
            BaseOrigin::Beside => "tag base",
            BaseOrigin::Content => "content of the layers",
        }
    }
}

/// Knowledge of the base before the train is read.
pub(in crate::stage) struct BaseLayers {
    /// The image that was given, and how it was named.
    given: Option<(String, Image)>,
    /// As many layers as the labels or the image beside say.
    likely: Option<(usize, BaseOrigin)>,
}

impl BaseLayers {
    /// Looks at what was given, at labels and at the image `base` beside; at no layer.
    pub(in crate::stage) fn detect(image: &Image, given: Option<&Reference>, context: &Context) -> Result<Self> {
        let given = given.map(|given| Ok::<_, Error>((given.to_string(), open_image(given, context)?))).transpose()?;
        let likely = match Labels::read(image).base_layers {
            Some(layers) => Some((layers, BaseOrigin::Labels)),
            None => {
                let beside = image.beside(BASE, context.platform.as_ref())?.filter(|base| image.is_based_on(base));
                beside.map(|base| (base.layers().len(), BaseOrigin::Beside))
            }
        };
        Ok(BaseLayers { given, likely })
    }

    /// The image that was given.
    pub(in crate::stage) fn given(&self) -> Option<&Image> {
        self.given.as_ref().map(|(_, base)| base)
    }

    /// The layers above which everything is read, if it is known.
    pub(in crate::stage) fn floor(&self) -> Option<usize> {
        self.given.as_ref().map(|(_, base)| own_layers(base)).or(self.likely.map(|(layers, _)| layers))
    }

    /// The image, with the layers that it goes without read from a given base: those of an image that was opened for a run
    /// lie nowhere else.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) if the base does not have them.
    pub(in crate::stage) fn complete(&self, image: Image) -> Result<Image> {
        match &self.given {
            Some((_, given)) if !image.left_out().is_empty() => image.completed(given),
            _ => Ok(image),
        }
    }

    /// The number of base layers of `train`; `change` is how its immutable files are read.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::error::Kind::Usage) if the train has another base than the given one,
    /// [`Kind::Verification`](crate::error::Kind::Verification) if it has another one than its creator signed.
    pub(in crate::stage) fn resolve(
        &self,
        train: &Train,
        change: Transform<'_>,
        spool_dir: &Path,
    ) -> Result<(usize, BaseOrigin)> {
        let (image, wire) = (&train.image, train.config.wire());
        if let Some(base) = train.config.form().ensure_base(&train.facts)? {
            return self.ensure_given(image, base).map(|()| (base, BaseOrigin::Signed));
        }
        match (&self.given, self.likely) {
            (Some((_, given)), _) if is_based_on(image, given) => Ok((own_layers(given), BaseOrigin::Given)),
            (Some((name, _)), _) => {
                Err(Error::usage("the train is not based on this image").advise(Advice::CheckBase).at(name))
            }
            (None, Some(likely)) => Ok(likely),
            (None, None) => {
                let by_content = base_by_content(image, train.tree(), change, wire.encrypts_train(), spool_dir)?;
                Ok((by_content, BaseOrigin::Content))
            }
        }
    }

    /// Requires that the given image is the signed base, or the train as built on it.
    fn ensure_given(&self, image: &Image, base: usize) -> Result<()> {
        let Some((name, given)) = &self.given else { return Ok(()) };
        if own_layers(given) == base && given.diff_ids().get(..base) == image.diff_ids().get(..base) {
            return Ok(());
        }
        let what = "not the base that the train's creator signed, and every station checks that signature";
        Err(Error::usage(what).advise(Advice::OmitBase).at(name))
    }
}

/// The layers of a given base: all of them, unless it is a train that a stage has made.
fn own_layers(given: &Image) -> usize {
    Labels::read(given).base_layers.unwrap_or(given.layers().len())
}

fn is_based_on(image: &Image, given: &Image) -> bool {
    given.diff_ids().get(..own_layers(given)).is_some_and(|base| image.diff_ids().starts_with(base))
}

/// Takes the base layers as the train as built or the image before pre-run has them, if one of these is beside the
/// image.
pub(in crate::stage) fn adopt_base(train: &mut Train, base: usize, context: &Context) -> Result<()> {
    let image = &mut train.image;
    let before = format!("{}{ENCRYPTED_SUFFIX}", image.listed().tag.as_deref().unwrap_or_default());
    for tag in [before.as_str(), BASE] {
        if let Some(original) = image.beside(tag, context.platform.as_ref())? {
            image.reuse_blobs(&original, base);
        }
    }
    train.facts = facts_of(&train.image);
    Ok(())
}

/// The number of layers below the lowest one that holds a result or, where the immutable files travel encrypted, one of
/// them in plaintext. `tree` is the merged view, and `change` how its immutable files are read.
fn base_by_content(
    image: &Image,
    tree: &Tree,
    change: Transform<'_>,
    encrypts_train: bool,
    spool_dir: &Path,
) -> Result<usize> {
    let wanted = PathFilter::new([paths::RESULTS, paths::TRAIN]);
    let plaintext: HashMap<Vec<u8>, u64> = files_below(tree, paths::TRAIN, change)?
        .into_iter()
        .map(|(at, meta)| (tree.nodes()[at].path.to_vec(), meta.size))
        .collect();
    for (layer, descriptor) in image.layers().iter().enumerate() {
        let scanned =
            scan(image.source(), descriptor, &image.diff_ids()[layer], spool_dir, &|path| wanted.matters(path))?;
        let holds = scanned.entries.iter().filter(|entry| entry.kind == EntryKind::File).any(|entry| {
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
