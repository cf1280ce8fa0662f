//! The train config, `/opt/train_config.json`: a foreign document, read strictly, kept raw and patched.

use std::collections::HashSet;
use std::sync::Arc;

use super::fields::FieldReader;
use super::files::normalise;
use super::json_format::JsonFormat;
use super::party::PartyId;
use super::route::{Route, RouteState};
use super::wire::{self, Common, Wire, WireConfig};
use crate::crypto::PublicKey;
use crate::error::{Error, ErrorContext, Result};
use crate::json::{self, Object};

/// The most bytes that a session id may have. The protocol has 64; the reference takes any number.
const SESSION_ID_MAX: usize = 1024;

/// A train config whose fields have been read and are of the right form; whether they are *true* is for the
/// [`Wire`] to verify.
///
/// The document is kept as it was: unknown fields, the order of keys and the layout survive a stage.
#[derive(Debug, Clone)]
pub struct TrainConfig {
    raw: Object,
    format: JsonFormat,
    wire: &'static dyn Wire,
    form: Arc<dyn WireConfig>,
    id: String,
    proposal_id: PartyId,
    source: Source,
    creator: Creator,
    session_id: Vec<u8>,
    route: Route,
    file_list: Vec<String>,
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

impl TrainConfig {
    /// Reads the bytes of a `train_config.json`.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) if it is not a JSON object, of no known wire version, or if
    /// a field is missing or not of its form; the message begins with the field's path, as in `route[2].index`.
    pub fn parse(document: &[u8]) -> Result<Self> {
        Self::from_raw(json::parse_object(document)?, JsonFormat::of(document))
    }

    /// A config made here, laid out as the reference lays it out.
    pub(crate) fn from_object(raw: Object) -> Result<Self> {
        Self::from_raw(raw, JsonFormat::reference())
    }

    fn from_raw(raw: Object, format: JsonFormat) -> Result<Self> {
        let wire = wire::recognise(&raw)?;
        let fields = FieldReader::root(&raw);
        fields.object("@context")?;
        let creator = Creator::parse(&fields.required("creator", FieldReader::object)?)?;
        let session_id = session_id(&fields)?;
        let route = Route::parse(&fields)?;
        let file_list = file_list(&fields)?;
        let common =
            Common { raw: &raw, creator: &creator, session_id: &session_id, route: &route, file_list: &file_list };
        Ok(TrainConfig {
            form: wire.read(&common)?.into(),
            id: fields.required("@id", FieldReader::text)?,
            proposal_id: fields.required("proposal_id", FieldReader::party)?,
            source: Source::parse(&fields.required("source", FieldReader::object)?)?,
            creator,
            session_id,
            route,
            file_list,
            wire,
            format,
            raw,
        })
    }

    /// The document, laid out as it was read.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        self.format.write(&self.raw)
    }

    /// The document itself, with fields that nothing here knows.
    pub fn raw(&self) -> &Object {
        &self.raw
    }

    /// The part of the config specific to its wire version, which verifies and seals.
    pub fn form(&self) -> &dyn WireConfig {
        &*self.form
    }

    /// The hash that the creator signed.
    pub fn hash(&self) -> &[u8; 64] {
        self.form.hash()
    }

    /// The wire version.
    pub fn wire(&self) -> &'static dyn Wire {
        self.wire
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

    /// The train's position: by the signatures on the route, with which the results' fields must agree.
    ///
    /// # Errors
    /// [`Kind::Verification`](crate::error::Kind::Verification) if a station has signed before its turn, or if the
    /// fields about results say something else than the signatures.
    pub fn route_state(&self) -> Result<RouteState<'_>> {
        let route_state = self.route.route_state()?;
        self.form.ensure_route_state(self, &route_state)?;
        Ok(route_state)
    }

    /// True if anything in the image is encrypted with the stage's key: in 1.1.x not before the first station has
    /// signed.
    ///
    /// # Errors
    /// As [`TrainConfig::route_state`].
    pub fn is_encrypted(&self) -> Result<bool> {
        Ok(self.wire.encrypts_train() || self.route_state()?.last_signed().is_some())
    }

    /// Patches the document; nothing changes unless the outcome is a train config again.
    pub(crate) fn edit(&mut self, patch: impl FnOnce(&mut Object) -> Result<()>) -> Result<()> {
        let mut raw = self.raw.clone();
        patch(&mut raw)?;
        *self = Self::from_raw(raw, self.format.clone())?;
        Ok(())
    }
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

#[cfg(test)]
mod tests;
