//! Wire version 3: every byte that a station acts on is under a signature or an authenticated cipher, the chain of
//! digests can be recomputed by anyone, and the route cannot be changed after the creator signed it.

use crate::crypto::{Cipher, StageKey};
use crate::error::{Error, Result};
use crate::json::{Object, Value};
use crate::train::check::Check;
use crate::train::config::TrainConfig;
use crate::train::draft::Draft;
use crate::train::files::FileMeta;
use crate::train::hash::ResultHasher;
use crate::train::route::RouteState;
use crate::train::wire::{BuildSeal, ContentCheck, DraftFeed, Layers, SignedDraft, StopSeal, Wire};

mod collect;
mod config;
mod content;
mod seal;
mod statement;

#[cfg(test)]
mod tests;

/// Wire 3.
pub static V3: Authenticated = Authenticated;

/// The authenticated wire version.
#[derive(Debug)]
pub struct Authenticated;

impl super::Sealed for Authenticated {}

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

    fn ensure_form(&self, config: &TrainConfig) -> Result<()> {
        config::check(config)
    }

    fn listed(&self, config: &TrainConfig) -> Result<Vec<String>> {
        Ok(config::V3Config::read(config)?.files.into_iter().map(|file| file.path).collect())
    }

    fn base_layers(&self, config: &TrainConfig, layers: &Layers) -> Result<Option<usize>> {
        let base_chain = config::V3Config::read(config)?.base_chain;
        match collect::find_base(base_chain.as_deref(), layers) {
            Some(base) => Ok(Some(base)),
            None => Err(Error::verification(collect::OTHER_BASE).at(collect::BASE)),
        }
    }

    fn ensure_route_state(&self, _config: &TrainConfig, _standing: &RouteState<'_>) -> Result<()> {
        Ok(()) // no field but the signatures says where the train stands
    }

    fn collect_creator(&self, config: &TrainConfig) -> Vec<Check> {
        collect::creator(config)
    }

    fn collect_build(&self, config: &TrainConfig) -> Vec<Check> {
        collect::build(config)
    }

    fn collect_route(&self, config: &TrainConfig) -> Vec<Check> {
        collect::route(config)
    }

    fn collect_layers(&self, config: &TrainConfig, layers: &Layers) -> Vec<Check> {
        collect::layers(config, layers)
    }

    fn collect_closed(&self, config: &TrainConfig, files: &[FileMeta]) -> Vec<Check> {
        collect::closed(config, files)
    }

    fn ensure_stage_key(&self, config: &TrainConfig, stage_key: &StageKey) -> Result<()> {
        collect::stage_key(config, stage_key)
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
