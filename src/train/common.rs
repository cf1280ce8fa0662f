//! The fields of a train config that all wire versions have.

use std::collections::HashSet;

use super::fields::FieldReader;
use super::files::normalise;
use super::party::PartyId;
use super::route::Route;
use crate::crypto::PublicKey;
use crate::error::{Error, ErrorContext, Result};
use crate::json::Object;

/// The most bytes that a session id may have. The protocol has 64; the reference takes any number.
const SESSION_ID_MAX: usize = 1024;

/// The fields that all wire versions have, and the document that they were read from.
#[derive(Debug, Clone)]
pub struct CommonFields {
    raw: Object,
    id: String,
    proposal_id: PartyId,
    source: Source,
    creator: Creator,
    session_id: Vec<u8>,
    route: Route,
    file_list: Vec<String>,
}

impl CommonFields {
    /// Reads them.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) with the field's path.
    pub(super) fn read(raw: Object) -> Result<Self> {
        let fields = FieldReader::root(&raw);
        fields.object("@context")?;
        Ok(CommonFields {
            creator: Creator::parse(&fields.required("creator", FieldReader::object)?)?,
            session_id: session_id(&fields)?,
            route: Route::parse(&fields)?,
            file_list: file_list(&fields)?,
            id: fields.required("@id", FieldReader::text)?,
            proposal_id: fields.required("proposal_id", FieldReader::party)?,
            source: Source::parse(&fields.required("source", FieldReader::object)?)?,
            raw,
        })
    }

    /// The document itself, with fields that nothing here knows.
    pub fn raw(&self) -> &Object {
        &self.raw
    }

    /// The train's id (`@id`).
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The proposal that the train belongs to.
    pub fn proposal_id(&self) -> &PartyId {
        &self.proposal_id
    }

    /// The origin of the master image.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The author of the train.
    pub fn creator(&self) -> &Creator {
        &self.creator
    }

    /// The random bytes that bind hashes to this train; 64 but for foreign builders.
    pub fn session_id(&self) -> &[u8] {
        &self.session_id
    }

    /// The stations.
    pub fn route(&self) -> &Route {
        &self.route
    }

    /// The immutable files as the config names them, in the order in which they are hashed.
    pub fn file_list(&self) -> &[String] {
        &self.file_list
    }
}

/// The author of the train, who reads its results.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Creator {
    /// The creator's identity; the immutable hash begins with it.
    pub id: PartyId,
    /// The key that the creator's signature verifies with and that the stage's key is wrapped for.
    pub public_key: PublicKey,
    /// The key of the last stage, wrapped for the creator; also the content of `/opt/user_sym_key.key`.
    pub encrypted_key: Option<Vec<u8>>,
}

/// The origin of the train's master image or code.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Source {
    /// `docker_repository` or `git_repository`.
    pub kind: String,
    /// A repository, as in `harbor.example/master/python`.
    pub address: String,
    /// The tag of an image.
    pub tag: Option<String>,
    /// The branch of a git repository.
    pub branch: Option<String>,
}

impl Creator {
    fn parse(fields: &FieldReader<'_>) -> Result<Self> {
        Ok(Creator {
            id: fields.required("id", FieldReader::party)?,
            public_key: fields.required("rsa_public_key", FieldReader::public_key)?,
            encrypted_key: fields.bytes("encrypted_key")?,
        })
    }
}

impl Source {
    fn parse(fields: &FieldReader<'_>) -> Result<Self> {
        Ok(Source {
            kind: fields.required("type", FieldReader::text)?,
            address: fields.required("address", FieldReader::text)?,
            tag: fields.text("tag")?,
            branch: fields.text("branch")?,
        })
    }
}

fn session_id(fields: &FieldReader<'_>) -> Result<Vec<u8>> {
    let session_id = fields.required("session_id", FieldReader::bytes)?;
    match session_id.len() {
        ..=SESSION_ID_MAX => Ok(session_id),
        more => Err(fields.error("session_id", format!("has {more} bytes, more than {SESSION_ID_MAX}"))),
    }
}

fn file_list(fields: &FieldReader<'_>) -> Result<Vec<String>> {
    let file_list = fields.required("file_list", FieldReader::texts)?;
    let mut seen = HashSet::new();
    for (position, entry) in file_list.iter().enumerate() {
        let place = format!("file_list[{position}]");
        if !seen.insert(normalise(entry).at(&place)?) {
            return Err(Error::malformed("names a file that stands before it already").at(place));
        }
    }
    Ok(file_list)
}
