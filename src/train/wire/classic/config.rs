use super::version::Classic;
use crate::crypto::PublicKey;
use crate::error::Result;
use crate::train::common::CommonFields;
use crate::train::fields::FieldReader;

/// The fields of a config that only the reference's versions have.
#[derive(Debug, Clone)]
pub(super) struct ClassicConfig {
    pub(super) wire: &'static Classic,
    /// The immutable hash, and the creator's signature of it.
    pub(super) hash: [u8; 64],
    pub(super) signature: Vec<u8>,
    /// The builder's; absent in 1.1.x.
    pub(super) build: Option<Build>,
    /// The result hash of the last station that has signed, and its signature.
    pub(super) result_hash: Option<[u8; 64]>,
    pub(super) result_signature: Option<Vec<u8>>,
}

impl ClassicConfig {
    pub(super) fn read(wire: &'static Classic, common: &CommonFields) -> Result<Self> {
        let fields = FieldReader::root(common.raw());
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

/// The builder's signature, and the key, which nothing in the train vouches for.
#[derive(Debug, Clone)]
pub(super) struct Build {
    pub(super) public_key: PublicKey,
    pub(super) signature: Vec<u8>,
}

impl Build {
    fn read(fields: &FieldReader<'_>) -> Result<Self> {
        Ok(Build {
            public_key: fields.required("rsa_public_key", FieldReader::public_key)?,
            signature: fields.required("signature", FieldReader::bytes)?,
        })
    }
}
