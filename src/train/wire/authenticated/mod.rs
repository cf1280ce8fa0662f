//! Wire version 3: every byte that a station acts on is under a signature or an authenticated cipher, the chain of
//! digests can be recomputed by anyone, and the route cannot be changed after the creator signed it.

use crate::crypto::cipher::{Cipher, StageKey};
use crate::error::{Error, Result};
use crate::json::{Object, Value};
use crate::train::check::Check;
use crate::train::wire::{BuildSeal, ContentCheck, DraftFeed, Layers, SignedDraft, StopSeal, Wire};
use crate::train::{Draft, FileMeta, ResultHasher, Standing, TrainConfig};

mod content;
mod examine;
mod form;
mod seal;
mod statement;

#[cfg(test)]
mod tests;

/// Wire 3.
pub static V3: Authenticated = Authenticated;

/// The authenticated wire version.
#[derive(Debug)]
pub struct Authenticated;

impl Wire for Authenticated {
    fn name(&self) -> &'static str {
        "3"
    }

    fn recognises(&self, config: &Object) -> bool {
        // It is never told by its shape: a config that has lost the field must not pass for it.
        config.get("wire").and_then(Value::as_str) == Some(self.name())
    }

    fn hash_field(&self) -> &'static str {
        "hash"
    }

    fn signature_field(&self) -> &'static str {
        "signature"
    }

    fn cipher(&self) -> Cipher {
        Cipher::Stream
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

    fn check_form(&self, config: &TrainConfig) -> Result<()> {
        form::check(config)
    }

    fn listed(&self, config: &TrainConfig) -> Result<Vec<String>> {
        Ok(form::Form::read(config)?.files.into_iter().map(|file| file.path).collect())
    }

    fn base_layers(&self, config: &TrainConfig, layers: &Layers) -> Result<Option<usize>> {
        let base_chain = form::Form::read(config)?.base_chain;
        match examine::find_base(base_chain.as_deref(), layers) {
            Some(base) => Ok(Some(base)),
            None => Err(Error::verification(examine::OTHER_BASE).at(examine::BASE)),
        }
    }

    fn check_standing(&self, _config: &TrainConfig, _standing: &Standing<'_>) -> Result<()> {
        Ok(()) // no field but the signatures says where the train stands
    }

    fn examine_creator(&self, config: &TrainConfig) -> Vec<Check> {
        examine::creator(config)
    }

    fn examine_build(&self, config: &TrainConfig) -> Vec<Check> {
        examine::build(config)
    }

    fn examine_route(&self, config: &TrainConfig) -> Vec<Check> {
        examine::route(config)
    }

    fn examine_layers(&self, config: &TrainConfig, layers: &Layers) -> Vec<Check> {
        examine::layers(config, layers)
    }

    fn examine_closed(&self, config: &TrainConfig, files: &[FileMeta]) -> Vec<Check> {
        examine::closed(config, files)
    }

    fn check_stage_key(&self, config: &TrainConfig, stage_key: &StageKey) -> Result<()> {
        examine::stage_key(config, stage_key)
    }

    fn immutable_check(&self, config: &TrainConfig, files: &[FileMeta]) -> Result<Box<dyn ContentCheck>> {
        Ok(Box::new(content::FilesCheck::new(config, files)?))
    }

    fn result_check(&self, config: &TrainConfig, files: &[FileMeta]) -> Result<Box<dyn ContentCheck>> {
        Ok(Box::new(content::ResultsCheck::new(config, files)?))
    }

    fn result_hasher(&self, _config: &TrainConfig) -> Option<ResultHasher> {
        None // what a station vouches for is the payload layer
    }

    fn seal_stop(&self, config: &mut TrainConfig, seal: &StopSeal<'_>) -> Result<()> {
        seal::stop(config, seal)
    }

    fn draft(&self, draft: Draft, files: &[FileMeta]) -> Result<Box<dyn DraftFeed>> {
        Ok(Box::new(seal::AuthenticatedDraft::new(draft, files)?))
    }

    fn seal_build(&self, signed: SignedDraft, seal: &BuildSeal<'_>) -> Result<TrainConfig> {
        seal::build(signed, seal)
    }
}
