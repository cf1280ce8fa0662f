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
    /// Absent while the train waits for its creator.
    pub(super) signature: Option<Vec<u8>>,
    /// The builder's; absent in 1.1.x.
    pub(super) build: Option<Build>,
    /// The result hash of the last station that has signed, and its signature.
    pub(super) result_hash: Option<[u8; 64]>,
    pub(super) result_signature: Option<Vec<u8>>,
}

impl ClassicConfig {
    pub(super) fn read(wire: &'static Classic, common: &CommonFields) -> Result<Self> {
        let fields = FieldReader::root(common.raw());
        // A train that has begun to travel was signed.
        let travels = common.route().stops().iter().any(|stop| stop.signature.is_some());
        let signature = fields.bytes(wire.fields.signature)?;
        if travels && signature.is_none() {
            return Err(fields.error(wire.fields.signature, "is missing"));
        }
        Ok(ClassicConfig {
            wire,
            hash: fields.required(wire.fields.hash, FieldReader::digest)?,
            signature,
            build: fields.object("build")?.map(|build| Build::read(&build, travels)).transpose()?,
            result_hash: fields.digest("result_hash")?,
            result_signature: fields.bytes("result_signature")?,
        })
    }
}

/// The builder's signature, and the key, which nothing in the train vouches for.
#[derive(Debug, Clone)]
pub(super) struct Build {
    /// Absent only while the train waits for its builder.
    pub(super) public_key: Option<PublicKey>,
    pub(super) signature: Option<Vec<u8>>,
}

impl Build {
    fn read(fields: &FieldReader<'_>, travels: bool) -> Result<Self> {
        let build = Build { public_key: fields.public_key("rsa_public_key")?, signature: fields.bytes("signature")? };
        if build.public_key.is_none() && (travels || build.signature.is_some()) {
            return Err(fields.error("rsa_public_key", "is missing"));
        }
        if build.signature.is_none() && travels {
            return Err(fields.error("signature", "is missing"));
        }
        Ok(build)
    }
}
