//! Wire version 3: every byte that a station acts on is under a signature or an authenticated cipher, the chain of
//! digests can be recomputed by anyone, and the route cannot be changed after the creator signed it.

use crate::crypto::{Cipher, PrivateKey, PublicKey, StageKey};
use crate::error::{Error, Result};
use crate::json::{Object, Value};
use crate::train::check::Check;
use crate::train::common::CommonFields;
use crate::train::draft::Draft;
use crate::train::files::FileMeta;
use crate::train::hash::ResultHasher;
use crate::train::image::{ImageFacts, LayerFacts};
use crate::train::route::RouteState;
use crate::train::signed_image::SignedImage;
use crate::train::wire::interface::{
    BuildSeal, ContentCheck, DraftFeed, Sealed, SignatureSeal, SignedDraft, StopSeal, Wire, WireConfig,
};

mod collect;
mod config;
mod content;
mod seal;
mod statement;
mod version;

#[cfg(test)]
mod tests;

use config::V3Config;
pub use version::{Authenticated, V3};

impl Sealed for Authenticated {}

impl Wire for Authenticated {
    fn name(&self) -> &'static str {
        self.name
    }

    fn recognises(&self, config: &Object) -> bool {
        // It is never told by its shape: a config that has lost the field must not pass for it.
        config.get("wire").and_then(Value::as_str) == Some(self.name)
    }

    fn cipher(&self) -> Cipher {
        self.cipher
    }

    fn encrypts_train(&self) -> bool {
        true
    }

    fn has_payload_as_built(&self) -> bool {
        true
    }

    fn creator_checks_files(&self) -> bool {
        true
    }

    fn read(&'static self, common: &CommonFields) -> Result<Box<dyn WireConfig>> {
        Ok(Box::new(V3Config::read(self, common)?))
    }

    fn draft(&'static self, draft: Draft, files: &[FileMeta]) -> Result<Box<dyn DraftFeed>> {
        Ok(Box::new(seal::AuthenticatedDraft::new(self, draft, files)?))
    }

    fn has_builder(&self) -> bool {
        true
    }

    fn seal_build(&'static self, signed: SignedDraft, seal: &BuildSeal<'_>) -> Result<Object> {
        seal::build(self, signed, seal)
    }
}

impl WireConfig for V3Config {
    fn hash(&self) -> &[u8; 64] {
        &self.hash
    }

    fn waits_for_creator(&self) -> bool {
        self.signature.is_none()
    }

    fn builder_key(&self) -> Option<&PublicKey> {
        Some(&self.builder)
    }

    fn creator_vouches(&self) -> bool {
        true
    }

    fn image(&self) -> Option<&SignedImage> {
        Some(&self.image)
    }

    fn base(&self) -> Option<&[LayerFacts]> {
        Some(&self.base_layers)
    }

    fn file_sizes(&self) -> Option<Vec<u64>> {
        Some(self.files.iter().map(|file| file.size).collect())
    }

    fn time_of(&self, stop: Option<usize>) -> Option<&str> {
        let record = match stop {
            None => Some(&self.build),
            Some(index) => self.stops.get(index)?.as_ref(),
        };
        record.map(|record| record.vouched.time.as_str())
    }

    fn ensure_base(&self, image: &ImageFacts) -> Result<Option<usize>> {
        match self.has_base(image) {
            true => Ok(Some(self.base_layers.len())),
            false => Err(Error::verification(collect::OTHER_BASE).at(collect::BASE)),
        }
    }

    fn sign_as_creator(&self, key: &PrivateKey) -> Result<Vec<u8>> {
        key.sign_pss(self.statement.bytes())
    }

    fn seal_creator(&self, config: &CommonFields, seal: &SignatureSeal<'_>) -> Result<Object> {
        seal::creator(self, config, seal)
    }

    fn ensure_route_state(&self, _config: &CommonFields, _state: &RouteState<'_>) -> Result<()> {
        Ok(()) // no field but the signatures says where the train stands
    }

    fn collect_creator(&self, config: &CommonFields) -> Vec<Check> {
        self.check_creator(config)
    }

    fn collect_build(&self, _config: &CommonFields) -> Vec<Check> {
        self.check_build()
    }

    fn collect_route(&self, config: &CommonFields) -> Vec<Check> {
        self.check_route(config)
    }

    fn collect_layers(&self, image: &ImageFacts) -> Vec<Check> {
        self.check_layers(image)
    }

    fn collect_image(&self, image: &ImageFacts) -> Vec<Check> {
        vec![self.check_image(image)]
    }

    fn collect_closed(&self, _config: &CommonFields, files: &[FileMeta]) -> Vec<Check> {
        self.check_closed(files)
    }

    fn ensure_stage_key(&self, config: &CommonFields, stage_key: &StageKey) -> Result<()> {
        self.ensure_committed(config, stage_key)
    }

    fn immutable_check(&self, _config: &CommonFields, files: &[FileMeta]) -> Result<Box<dyn ContentCheck>> {
        Ok(Box::new(content::FilesCheck::new(self, files)?))
    }

    fn result_check(&self, config: &CommonFields, files: &[FileMeta]) -> Result<Box<dyn ContentCheck>> {
        let signed = self.route_state(config)?.last_signed().is_some();
        Ok(Box::new(content::ResultsCheck::new(signed, files)))
    }

    fn result_hasher(&self, _config: &CommonFields) -> Option<ResultHasher> {
        None // what a station vouches for is the payload layer
    }

    fn seal_stop(&self, config: &CommonFields, seal: &StopSeal<'_>) -> Result<Object> {
        seal::stop(self, config, seal)
    }
}
