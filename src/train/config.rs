//! The train config, `/opt/train_config.json`: a foreign document, read strictly, kept raw and patched.

use std::ops::Deref;
use std::sync::Arc;

use super::common::CommonFields;
use super::json_format::JsonFormat;
use super::route::RouteState;
use super::wire::{self, BuildSeal, SignatureSeal, SignedDraft, StopSeal, Wire, WireConfig};
use crate::error::Result;
use crate::json::{self, Object};

/// A train config whose fields have been read and are of the right form; whether they are *true* is for the
/// [`Wire`] to verify.
///
/// The document is kept as it was: unknown fields, the order of keys and the layout survive a stage. It dereferences to
/// the fields that all wire versions have.
#[derive(Debug, Clone)]
pub struct TrainConfig {
    common: CommonFields,
    format: JsonFormat,
    wire: &'static dyn Wire,
    form: Arc<dyn WireConfig>,
}

impl TrainConfig {
    /// Reads the bytes of a `train_config.json`.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) if it is not a JSON object, of no known wire version, or if
    /// a field is missing or not of its form; the message begins with the field's path, as in `route[2].index`.
    pub fn parse(document: &[u8]) -> Result<Self> {
        Self::from_raw(json::parse_object(document)?, JsonFormat::of(document))
    }

    /// The config of a new train, signed by its builder and laid out as the reference lays it out.
    ///
    /// # Errors
    /// As [`Wire::seal_build`].
    pub fn build(wire: &'static dyn Wire, signed: SignedDraft, seal: &BuildSeal<'_>) -> Result<Self> {
        Self::from_raw(wire.seal_build(signed, seal)?, JsonFormat::reference())
    }

    fn from_raw(raw: Object, format: JsonFormat) -> Result<Self> {
        let wire = wire::recognise(&raw)?;
        let common = CommonFields::read(raw)?;
        let form = wire.read(&common)?.into();
        Ok(TrainConfig { common, format, wire, form })
    }

    /// The config that travels on after a station's run, laid out as this one.
    ///
    /// # Errors
    /// As [`WireConfig::seal_stop`].
    pub fn seal_stop(&self, seal: &StopSeal<'_>) -> Result<TrainConfig> {
        Self::from_raw(self.form.seal_stop(&self.common, seal)?, self.format.clone())
    }

    /// The config with the signatures that it waits for, laid out as this one.
    ///
    /// # Errors
    /// As [`WireConfig::seal_creator`].
    pub fn seal_creator(&self, seal: &SignatureSeal<'_>) -> Result<TrainConfig> {
        Self::from_raw(self.form.seal_creator(&self.common, seal)?, self.format.clone())
    }

    /// The document, laid out as it was read.
    ///
    /// # Errors
    /// [`Kind::Internal`](crate::error::Kind::Internal) if it cannot be written as JSON.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        self.format.write(self.raw())
    }

    /// The part of the config specific to its wire version, which verifies and seals.
    pub fn form(&self) -> &dyn WireConfig {
        &*self.form
    }

    /// The hash that the creator signed.
    pub fn hash(&self) -> &[u8; 64] {
        self.form.hash()
    }

    /// The wire version.
    pub fn wire(&self) -> &'static dyn Wire {
        self.wire
    }

    /// The train's position: by the signatures on the route, with which the results' fields must agree.
    ///
    /// # Errors
    /// [`Kind::Verification`](crate::error::Kind::Verification) if a station has signed before its turn, or if the
    /// fields about results say something else than the signatures.
    pub fn route_state(&self) -> Result<RouteState<'_>> {
        self.form.route_state(&self.common)
    }

    /// True if anything in the image is encrypted with the stage's key: in 1.1.x not before the first station has
    /// signed.
    ///
    /// # Errors
    /// As [`TrainConfig::route_state`].
    pub fn is_encrypted(&self) -> Result<bool> {
        Ok(self.wire.encrypts_train() || self.route_state()?.last_signed().is_some())
    }
}

#[cfg(test)]
impl TrainConfig {
    /// Patches the document, as whoever holds it can; nothing changes unless the outcome is a train config again.
    pub(crate) fn edit(&mut self, patch: impl FnOnce(&mut Object) -> Result<()>) -> Result<()> {
        let mut raw = self.raw().clone();
        patch(&mut raw)?;
        *self = Self::from_raw(raw, self.format.clone())?;
        Ok(())
    }
}

impl Deref for TrainConfig {
    type Target = CommonFields;

    fn deref(&self) -> &CommonFields {
        &self.common
    }
}

#[cfg(test)]
mod tests;
