use crate::crypto::{Cipher, PrivateKey, PublicKey};
use crate::error::Result;
use crate::train::files::QueryRule;

/// Wire 1.1.1, and 1.1.0 alike: Fernet, and the creator's signature is PSS.
pub static V1_1_1: Classic = Classic {
    name: "1.1.1",
    fields: &V1_FIELDS,
    creator_scheme: Scheme::PssPrehashed,
    has_build: false,
    cipher: Cipher::Fernet,
    encrypts_train: false,
    query: QueryRule::Listed,
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
    query: QueryRule::Listed,
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

pub(super) static V1_FIELDS: HashFields =
    HashFields { hash: "immutable_file_hash", signature: "immutable_file_signature" };
pub(super) static V2_FIELDS: HashFields = HashFields { hash: "hash", signature: "signature" };

/// The name that a version of the reference gives the hash pair.
#[derive(Debug)]
pub(super) struct HashFields {
    pub(super) hash: &'static str,
    pub(super) signature: &'static str,
}

/// The scheme by which the creator signs the immutable hash.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scheme {
    PssPrehashed,
    Pkcs1v15,
}

impl Scheme {
    pub(super) fn verify(self, key: &PublicKey, hash: &[u8; 64], signature: &[u8]) -> bool {
        match self {
            Scheme::PssPrehashed => key.verify_pss_prehashed(hash, signature),
            Scheme::Pkcs1v15 => key.verify_pkcs1v15(hash, signature),
        }
    }

    pub(super) fn sign(self, key: &PrivateKey, hash: &[u8; 64]) -> Result<Vec<u8>> {
        match self {
            Scheme::PssPrehashed => key.sign_pss_prehashed(hash),
            Scheme::Pkcs1v15 => key.sign_pkcs1v15(hash),
        }
    }
}

/// A wire version of the reference, as data.
#[derive(Debug, Clone, Copy)]
pub struct Classic {
    pub(super) name: &'static str,
    pub(super) fields: &'static HashFields,
    pub(super) creator_scheme: Scheme,
    pub(super) has_build: bool,
    pub(super) cipher: Cipher,
    pub(super) encrypts_train: bool,
    pub(super) query: QueryRule,
    pub(super) eco_systems: &'static [&'static str],
}
