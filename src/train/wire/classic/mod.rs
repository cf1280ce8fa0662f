//! The wire versions of the reference, 1.1.1 to 2.0: one protocol, and a table of what differs.

use crate::crypto::{Cipher, PrivateKey, PublicKey};
use crate::error::{Error, Result};
use crate::json::Object;
use crate::train::check::{Check, CheckId};
use crate::train::common::CommonFields;
use crate::train::draft::Draft;
use crate::train::files::FileMeta;
use crate::train::hash::ResultHasher;
use crate::train::image::ImageFacts;
use crate::train::route::RouteState;
use crate::train::wire::interface::{
    BuildSeal, ContentCheck, DraftFeed, Sealed, SignatureSeal, SignedDraft, StopSeal, Wire, WireConfig, has,
};

mod collect;
mod config;
mod content;
mod seal;
mod version;

#[cfg(test)]
mod known_answers;
#[cfg(test)]
mod tests;

use config::ClassicConfig;
use version::V1_FIELDS;
pub use version::{Classic, V1_1_1, V1_1_2, V2_0};

impl Sealed for Classic {}

impl Wire for Classic {
    fn name(&self) -> &'static str {
        self.name
    }

    fn recognises(&self, config: &Object) -> bool {
        // Only 2.0 has a build; 1.1.1 is known by its hash fields alone.
        let build_fits = self.has_build == has(config, "build") || self.fields.hash == V1_FIELDS.hash;
        has(config, self.fields.hash) && build_fits
    }

    fn cipher(&self) -> Cipher {
        self.cipher
    }

    fn encrypts_train(&self) -> bool {
        self.encrypts_train
    }

    fn read(&'static self, common: &CommonFields) -> Result<Box<dyn WireConfig>> {
        Ok(Box::new(ClassicConfig::read(self, common)?))
    }

    fn draft(&'static self, draft: Draft, files: &[FileMeta]) -> Result<Box<dyn DraftFeed>> {
        Ok(Box::new(seal::ClassicDraft::new(self, draft, files)?))
    }

    fn has_builder(&self) -> bool {
        self.has_build
    }

    fn builder_signs_last(&self) -> bool {
        self.has_build
    }

    fn seal_build(&'static self, signed: SignedDraft, seal: &BuildSeal<'_>) -> Result<Object> {
        seal::build(self, signed, seal)
    }
}

impl WireConfig for ClassicConfig {
    fn hash(&self) -> &[u8; 64] {
        &self.hash
    }

    fn builder_key(&self) -> Option<&PublicKey> {
        self.build.as_ref().filter(|_| self.wire.has_build).and_then(|build| build.public_key.as_ref())
    }

    fn waits_for_creator(&self) -> bool {
        self.signature.is_none()
    }

    fn waits_for_builder(&self) -> bool {
        self.wire.has_build && self.build.as_ref().is_some_and(|build| build.signature.is_none())
    }

    fn sign_as_creator(&self, key: &PrivateKey) -> Result<Vec<u8>> {
        self.wire.creator_scheme.sign(key, &self.hash)
    }

    fn seal_creator(&self, config: &CommonFields, seal: &SignatureSeal<'_>) -> Result<Object> {
        seal::creator(self, config, seal)
    }

    fn ensure_route_state(&self, _config: &CommonFields, route_state: &RouteState<'_>) -> Result<()> {
        let fault = match (route_state.last_signed(), &self.result_hash, &self.result_signature) {
            (None, None, None) | (Some(_), Some(_), Some(_)) => return Ok(()),
            (None, Some(_), _) => "result_hash is there, but no station has signed".to_owned(),
            (None, None, Some(_)) => "result_signature is there, but no station has signed".to_owned(),
            (Some(last), None, _) => format!("{} has signed, but result_hash is missing", last.subject()),
            (Some(last), Some(_), None) => format!("{} has signed, but result_signature is missing", last.subject()),
        };
        Err(Error::verification(fault))
    }

    fn collect_creator(&self, config: &CommonFields) -> Vec<Check> {
        collect::creator(self, config)
    }

    fn collect_build(&self, _config: &CommonFields) -> Vec<Check> {
        collect::build(self)
    }

    fn collect_route(&self, config: &CommonFields) -> Vec<Check> {
        collect::route(self, config)
    }

    fn collect_layers(&self, _image: &ImageFacts) -> Vec<Check> {
        let reason = "the layers of the master image are under no signature in this wire version";
        vec![Check::weak(CheckId::Base, "base layers", reason)]
    }

    fn collect_image(&self, _image: &ImageFacts) -> Vec<Check> {
        let reason = "command, entry point, environment, user and platform are under no signature in this wire version";
        vec![Check::weak(CheckId::ImageConfig, "image config", reason)]
    }

    fn collect_closed(&self, config: &CommonFields, files: &[FileMeta]) -> Vec<Check> {
        collect::closed(self, config, files)
    }

    fn immutable_check(&self, config: &CommonFields, files: &[FileMeta]) -> Result<Box<dyn ContentCheck>> {
        Ok(Box::new(content::ImmutableCheck::new(self, config, files)?))
    }

    fn result_check(&self, config: &CommonFields, files: &[FileMeta]) -> Result<Box<dyn ContentCheck>> {
        Ok(Box::new(content::ResultCheck::new(self, config, files)?))
    }

    fn result_hasher(&self, config: &CommonFields) -> Option<ResultHasher> {
        Some(ResultHasher::new(config.session_id()))
    }

    fn seal_stop(&self, config: &CommonFields, seal: &StopSeal<'_>) -> Result<Object> {
        seal::stop(self, config, seal)
    }
}
