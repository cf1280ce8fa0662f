//! The wire versions of the reference, 1.1.1 to 2.0: one protocol, and a table of what differs.

use crate::crypto::{Cipher, PrivateKey, PublicKey};
use crate::error::{Error, Result};
use crate::json::Object;
use crate::train::check::Check;
use crate::train::config::TrainConfig;
use crate::train::draft::Draft;
use crate::train::files::{FileMeta, QueryRule};
use crate::train::hash::ResultHasher;
use crate::train::route::RouteState;
use crate::train::wire::{BuildSeal, ContentCheck, DraftFeed, SignedDraft, StopSeal, Wire, has};

mod collect;
mod content;
mod seal;

#[cfg(test)]
mod known_answers;
#[cfg(test)]
mod tests;

/// Wire 1.1.1, and 1.1.0 alike: Fernet, and the creator's signature is PSS.
pub static V1_1_1: Classic = Classic {
    name: "1.1.1",
    fields: &V1_FIELDS,
    creator_scheme: Scheme::PssPrehashed,
    has_build: false,
    cipher: Cipher::Fernet,
    encrypts_train: false,
    query: QueryRule::ImageEntry,
    eco_systems: &["tue", "aac"],
};

/// Wire 1.1.2: AES-256-CBC, and the creator's signature is PKCS#1 v1.5.
pub static V1_1_2: Classic = Classic {
    name: "1.1.2",
    fields: &V2_FIELDS,
    creator_scheme: Scheme::Pkcs1v15,
    has_build: false,
    cipher: Cipher::AesCbc,
    encrypts_train: false,
    query: QueryRule::ImageEntry,
    eco_systems: &["tue", "padme"],
};

/// Wire 2.0: the immutable files are encrypted too, and a builder signs.
pub static V2_0: Classic = Classic {
    name: "2.0",
    fields: &V2_FIELDS,
    creator_scheme: Scheme::Pkcs1v15,
    has_build: true,
    cipher: Cipher::AesCbc,
    encrypts_train: true,
    query: QueryRule::Unlisted,
    eco_systems: &["tue", "padme"],
};

static V1_FIELDS: HashFields = HashFields { hash: "immutable_file_hash", signature: "immutable_file_signature" };
static V2_FIELDS: HashFields = HashFields { hash: "hash", signature: "signature" };

/// What a version of the reference calls the hash pair.
#[derive(Debug)]
struct HashFields {
    hash: &'static str,
    signature: &'static str,
}

/// How the creator signs the immutable hash.
#[derive(Debug, Clone, Copy)]
enum Scheme {
    PssPrehashed,
    Pkcs1v15,
}

impl Scheme {
    fn verify(self, key: &PublicKey, hash: &[u8; 64], signature: &[u8]) -> bool {
        match self {
            Scheme::PssPrehashed => key.verify_pss_prehashed(hash, signature),
            Scheme::Pkcs1v15 => key.verify_pkcs1v15(hash, signature),
        }
    }

    fn sign(self, key: &PrivateKey, hash: &[u8; 64]) -> Result<Vec<u8>> {
        match self {
            Scheme::PssPrehashed => key.sign_pss_prehashed(hash),
            Scheme::Pkcs1v15 => key.sign_pkcs1v15(hash),
        }
    }
}

/// A wire version of the reference, as data.
#[derive(Debug, Clone, Copy)]
pub struct Classic {
    name: &'static str,
    fields: &'static HashFields,
    creator_scheme: Scheme,
    has_build: bool,
    cipher: Cipher,
    encrypts_train: bool,
    query: QueryRule,
    eco_systems: &'static [&'static str],
}

impl super::Sealed for Classic {}

impl Wire for Classic {
    fn name(&self) -> &'static str {
        self.name
    }

    fn recognises(&self, config: &Object) -> bool {
        // Only 2.0 has a build; 1.1.1 is known by its hash fields alone.
        let build_fits = self.has_build == has(config, "build") || self.fields.hash == V1_FIELDS.hash;
        has(config, self.fields.hash) && build_fits
    }

    fn hash_field(&self) -> &'static str {
        self.fields.hash
    }

    fn signature_field(&self) -> &'static str {
        self.fields.signature
    }

    fn cipher(&self) -> Cipher {
        self.cipher
    }

    fn encrypts_train(&self) -> bool {
        self.encrypts_train
    }

    fn ensure_route_state(&self, config: &TrainConfig, route_state: &RouteState<'_>) -> Result<()> {
        let fault = match (route_state.last_signed(), config.result_hash(), config.result_signature()) {
            (None, None, None) | (Some(_), Some(_), Some(_)) => return Ok(()),
            (None, Some(_), _) => "result_hash is there, but no station has signed".to_owned(),
            (None, None, Some(_)) => "result_signature is there, but no station has signed".to_owned(),
            (Some(last), None, _) => format!("{} has signed, but result_hash is missing", last.subject()),
            (Some(last), Some(_), None) => format!("{} has signed, but result_signature is missing", last.subject()),
        };
        Err(Error::verification(fault))
    }

    fn collect_creator(&self, config: &TrainConfig) -> Vec<Check> {
        collect::creator(self, config)
    }

    fn collect_build(&self, config: &TrainConfig) -> Vec<Check> {
        collect::build(self, config)
    }

    fn collect_route(&self, config: &TrainConfig) -> Vec<Check> {
        collect::route(config)
    }

    fn collect_closed(&self, config: &TrainConfig, files: &[FileMeta]) -> Vec<Check> {
        collect::closed(self, config, files)
    }

    fn immutable_check(&self, config: &TrainConfig, files: &[FileMeta]) -> Result<Box<dyn ContentCheck>> {
        Ok(Box::new(content::ImmutableCheck::new(config, files, self.query)?))
    }

    fn result_check(&self, config: &TrainConfig, files: &[FileMeta]) -> Result<Box<dyn ContentCheck>> {
        Ok(Box::new(content::ResultCheck::new(config, files)?))
    }

    fn result_hasher(&self, config: &TrainConfig) -> Option<ResultHasher> {
        Some(ResultHasher::new(config.session_id()))
    }

    fn seal_stop(&self, config: &mut TrainConfig, seal: &StopSeal<'_>) -> Result<()> {
        seal::stop(config, seal)
    }

    fn draft(&self, draft: Draft, files: &[FileMeta]) -> Result<Box<dyn DraftFeed>> {
        Ok(Box::new(seal::ClassicDraft::new(*self, draft, files)?))
    }

    fn seal_build(&self, signed: SignedDraft, seal: &BuildSeal<'_>) -> Result<TrainConfig> {
        seal::build(self, signed, seal)
    }
}
