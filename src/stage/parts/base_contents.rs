//! What the base layers hold: the diff IDs that the image gives them, and no others.

use super::load::Train;
use crate::error::{Error, Kind, Result};
use crate::image::{UnpackingSource, VerifiedLayers};
use crate::store::{Descriptor, Destination, Transfer, ensure_free_space};

/// Holds base layers against their diff IDs.
///
/// Some engines do not compare the two, and run another base then. What is bound already costs nothing: by a digest that
/// the creator has signed, by being plain, or since this program has unpacked the very blob before. What has to be copied
/// to the destination is read on its way there; what is left is read for this alone.
pub(in crate::stage) struct BaseVerifier<'a> {
    memory: &'a VerifiedLayers,
    destination: Option<&'a mut dyn Destination>,
    copied: u64,
}

impl<'a> BaseVerifier<'a> {
    /// Where nothing is copied.
    pub(in crate::stage) fn new(memory: &'a VerifiedLayers) -> Self {
        BaseVerifier { memory, destination: None, copied: 0 }
    }

    /// Where the base layers will have to be at the destination.
    pub(in crate::stage) fn copying_to(memory: &'a VerifiedLayers, destination: &'a mut dyn Destination) -> Self {
        BaseVerifier { memory, destination: Some(destination), copied: 0 }
    }

    /// The bytes that were copied to the destination.
    pub(in crate::stage) fn copied(&self) -> u64 {
        self.copied
    }

    /// Checks the lowest `base` layers.
    ///
    /// # Errors
    /// [`Kind::Verification`] if a layer is another; [`Kind::Malformed`] if it is of a kind that is not passed on.
    pub(in crate::stage) fn ensure(&mut self, train: &Train, base: usize) -> Result<()> {
        let mut unbound = self.unbound(train, base)?;
        self.copy(train, &mut unbound)?;
        for layer in unbound {
            let compression = train.image.ensure_layer(layer).map_err(as_verification)?;
            let (blob, diff_id) = (train.image.layers()[layer].digest(), &train.image.diff_ids()[layer]);
            self.memory.remember(blob, diff_id, compression);
        }
        Ok(())
    }

    /// The layers that have to be unpacked.
    fn unbound(&self, train: &Train, base: usize) -> Result<Vec<usize>> {
        let image = &train.image;
        let signed = train.config.form().base().unwrap_or_default();
        let mut unbound = Vec::new();
        for (layer, found) in train.facts.layers.iter().take(base).enumerate() {
            if !signed.is_empty() {
                image.ensure_distributable(layer)?;
            }
            if signed.get(layer).is_some_and(|signed| signed.digest == found.digest && signed.size == found.size) {
                continue;
            }
            if !signed.is_empty() {
                image.ensure_plain_is_stated(layer).map_err(as_verification)?;
            }
            let media_type = image.layers()[layer].media_type().to_string();
            if media_type.ends_with(".tar") && found.digest == found.diff_id {
                continue; // whoever reads the blob by its digest reads these contents
            }
            match self.memory.compression_of(image.layers()[layer].digest(), &image.diff_ids()[layer]) {
                // The same blob may come with another media type.
                Some(compression) => image.ensure_packed(layer, compression).map_err(as_verification)?,
                None => unbound.push(layer),
            }
        }
        Ok(unbound)
    }

    /// Copies those of the layers that the destination does not have; what was read on the way is done.
    fn copy(&mut self, train: &Train, unbound: &mut Vec<usize>) -> Result<()> {
        let (image, Some(destination)) = (&train.image, &mut self.destination) else { return Ok(()) };
        let needed = |layer: &usize| destination.estimate_bytes(image.source(), &image.layers()[*layer]);
        let to_copy: Vec<usize> = unbound.iter().copied().filter(|layer| needed(layer) > 0).collect();
        if to_copy.is_empty() {
            return Ok(());
        }
        let bytes = to_copy.iter().map(needed).fold(0, u64::saturating_add);
        ensure_free_space(&**destination, bytes)?;
        let source = UnpackingSource::new(image, &to_copy);
        let descriptors: Vec<Descriptor> = to_copy.iter().map(|&layer| image.layers()[layer].clone()).collect();
        for transfer in destination.copy_blobs(&source, &descriptors).map_err(as_verification)? {
            if let Transfer::Copied(bytes) = transfer {
                self.copied += bytes;
            }
        }
        unbound.retain(|&layer| {
            let (descriptor, diff_id) = (&image.layers()[layer], &image.diff_ids()[layer]);
            let compression = source.compression_of(descriptor.digest()).filter(|_| to_copy.contains(&layer));
            if let Some(compression) = compression {
                self.memory.remember(descriptor.digest(), diff_id, compression);
            }
            compression.is_none()
        });
        Ok(())
    }
}

fn as_verification(error: Error) -> Error {
    if error.kind() == Kind::Malformed { error.as_kind(Kind::Verification) } else { error }
}
