//! The wire versions of the reference, 1.1.1 to 2.0: one protocol, and a table of what differs.

use crate::crypto::{Cipher, PrivateKey, PublicKey};
use crate::error::{Error, Result};
use crate::json::Object;
use crate::train::check::{Check, CheckId};
use crate::train::config::TrainConfig;
use crate::train::draft::Draft;
use crate::train::fields::FieldReader;
use crate::train::files::{FileMeta, QueryRule};
use crate::train::hash::ResultHasher;
use crate::train::image::ImageFacts;
use crate::train::route::RouteState;
use crate::train::wire::{BuildSeal, Common, ContentCheck, DraftFeed, SignedDraft, StopSeal, Wire, WireConfig, has};

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

/// The name that a version of the reference gives the hash pair.
#[derive(Debug)]
struct HashFields {
    hash: &'static str,
    signature: &'static str,
}

/// The scheme by which the creator signs the immutable hash.
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

    fn cipher(&self) -> Cipher {
        self.cipher
    }

    fn encrypts_train(&self) -> bool {
        self.encrypts_train
    }

    fn read(&'static self, common: &Common<'_>) -> Result<Box<dyn WireConfig>> {
        Ok(Box::new(ClassicConfig::read(self, common)?))
    }

    fn draft(&'static self, draft: Draft, files: &[FileMeta]) -> Result<Box<dyn DraftFeed>> {
        Ok(Box::new(seal::ClassicDraft::new(self, draft, files)?))
    }

    fn seal_build(&'static self, signed: SignedDraft, seal: &BuildSeal<'_>) -> Result<TrainConfig> {
        seal::build(self, signed, seal)
    }
}

/// The fields of a config that only the reference's versions have.
#[derive(Debug, Clone)]
struct ClassicConfig {
    wire: &'static Classic,
    /// The immutable hash, and the creator's signature of it.
    hash: [u8; 64],
    signature: Vec<u8>,
    /// The builder's; absent in 1.1.x.
    build: Option<Build>,
    /// The result hash of the last station that has signed, and its signature.
    result_hash: Option<[u8; 64]>,
    result_signature: Option<Vec<u8>>,
}

/// The builder's signature, and the key, which nothing in the train vouches for.
#[derive(Debug, Clone)]
struct Build {
    public_key: PublicKey,
    signature: Vec<u8>,
}

impl ClassicConfig {
    fn read(wire: &'static Classic, common: &Common<'_>) -> Result<Self> {
        let fields = FieldReader::root(common.raw);
        Ok(ClassicConfig {
            wire,
            hash: fields.required(wire.fields.hash, FieldReader::digest)?,
            signature: fields.required(wire.fields.signature, FieldReader::bytes)?,
            build: fields.object("build")?.map(|build| Build::read(&build)).transpose()?,
            result_hash: fields.digest("result_hash")?,
            result_signature: fields.bytes("result_signature")?,
        })
    }
}

impl Build {
    fn read(fields: &FieldReader<'_>) -> Result<Self> {
        Ok(Build {
            public_key: fields.required("rsa_public_key", FieldReader::public_key)?,
            signature: fields.required("signature", FieldReader::bytes)?,
        })
    }
}

impl WireConfig for ClassicConfig {
    fn hash(&self) -> &[u8; 64] {
        &self.hash
    }

    fn builder_key(&self) -> Option<&PublicKey> {
        self.build.as_ref().filter(|_| self.wire.has_build).map(|build| &build.public_key)
    }

    fn ensure_route_state(&self, _config: &TrainConfig, route_state: &RouteState<'_>) -> Result<()> {
        let fault = match (route_state.last_signed(), &self.result_hash, &self.result_signature) {
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

    fn collect_build(&self, _config: &TrainConfig) -> Vec<Check> {
        collect::build(self)
    }

    fn collect_route(&self, config: &TrainConfig) -> Vec<Check> {
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

    fn collect_closed(&self, config: &TrainConfig, files: &[FileMeta]) -> Vec<Check> {
        collect::closed(self, config, files)
    }

    fn immutable_check(&self, config: &TrainConfig, files: &[FileMeta]) -> Result<Box<dyn ContentCheck>> {
        Ok(Box::new(content::ImmutableCheck::new(self, config, files)?))
    }

    fn result_check(&self, config: &TrainConfig, files: &[FileMeta]) -> Result<Box<dyn ContentCheck>> {
        Ok(Box::new(content::ResultCheck::new(self, config, files)?))
    }

    fn result_hasher(&self, config: &TrainConfig) -> Option<ResultHasher> {
        Some(ResultHasher::new(config.session_id()))
    }

    fn seal_stop(&self, config: &TrainConfig, seal: &StopSeal<'_>) -> Result<TrainConfig> {
        seal::stop(config, seal)
    }
}
