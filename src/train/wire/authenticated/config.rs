//! The fields that only this version has, read strictly.

use super::statement::statement_hash;
use crate::crypto::hex;
use crate::error::{Error, Result};
use crate::json::Value;
use crate::path::walk_order;
use crate::train::config::TrainConfig;
use crate::train::fields::FieldReader;

/// Bytes of a session id.
const SESSION_ID: usize = 64;

/// Permission bits with set-user-ID, set-group-ID and sticky bit.
const MODES: usize = 0o7777;

/// The members of an entry of `files`. There are no others: two readers must sign the same bytes, whether they take
/// the list as it stands or put it together again.
const FILE_MEMBERS: [&str; 4] = ["path", "mode", "size", "sha512"];

/// What a build or a stop vouches for.
#[derive(Debug, Clone)]
pub(super) struct Record {
    /// The diff ID of the payload layer.
    pub(super) payload: String,
    /// What commits to the stage's key.
    pub(super) key_commitment: [u8; 32],
    /// What is signed.
    pub(super) digest: [u8; 64],
    /// The signature of the digest.
    pub(super) signature: Vec<u8>,
}

/// An immutable file as the creator signed it.
#[derive(Debug, Clone)]
pub(super) struct ListedFile {
    pub(super) path: String,
    pub(super) mode: u32,
    pub(super) size: u64,
    pub(super) sha512: [u8; 64],
}

/// The fields of wire version 3.
#[derive(Debug, Clone)]
pub(super) struct V3Config {
    pub(super) files: Vec<ListedFile>,
    pub(super) base_chain: Option<String>,
    pub(super) build: Record,
    /// By index of the stop.
    pub(super) stops: Vec<Option<Record>>,
}

impl V3Config {
    /// Reads them; after [`check`] this cannot fail.
    pub(super) fn read(config: &TrainConfig) -> Result<Self> {
        let root = FieldReader::root(config.raw());
        let files = root.required("files", FieldReader::objects)?;
        let mut stops = Vec::new();
        for stop in root.required("route", FieldReader::objects)? {
            let signature = stop.object("signature")?.map(|signature| Record::read(&signature)).transpose()?;
            stops.push((stop.required("index", FieldReader::index)?, signature));
        }
        stops.sort_by_key(|(index, _)| *index);
        Ok(V3Config {
            files: files.iter().map(ListedFile::read).collect::<Result<_>>()?,
            base_chain: layer_digest(&root, "base_chain")?,
            build: Record::read(&root.required("build", FieldReader::object)?)?,
            stops: stops.into_iter().map(|(_, record)| record).collect(),
        })
    }

    /// What the stage before vouches for: the last stop that has signed, or the build.
    pub(super) fn last(&self) -> &Record {
        self.stops.iter().map_while(Option::as_ref).last().unwrap_or(&self.build)
    }
}

impl Record {
    fn read(fields: &FieldReader<'_>) -> Result<Self> {
        ensure_lower_case(fields, &["key_commitment", "digest", "signature"])?;
        let commitment = fields.required("key_commitment", FieldReader::bytes)?;
        let length = commitment.len();
        let wrong = |_| fields.error("key_commitment", format!("has {length} bytes, but must have 32"));
        Ok(Record {
            payload: fields.required("payload", layer_digest)?,
            key_commitment: commitment.try_into().map_err(wrong)?,
            digest: fields.required("digest", FieldReader::digest)?,
            signature: fields.required("signature", FieldReader::bytes)?,
        })
    }
}

impl ListedFile {
    fn read(fields: &FieldReader<'_>) -> Result<Self> {
        if let Some(unknown) = fields.keys().find(|key| !FILE_MEMBERS.contains(&key.as_str())) {
            return Err(fields.error(unknown, format!("is no field of a file ({})", FILE_MEMBERS.join(", "))));
        }
        ensure_lower_case(fields, &["sha512"])?;
        let path = fields.required("path", FieldReader::text)?;
        if path.split('/').any(|name| matches!(name, "" | "." | "..")) || path.contains('\0') {
            return Err(fields.error("path", "is no path of a file under /opt/pht_train"));
        }
        let (mode, size) = (fields.required("mode", FieldReader::index)?, fields.required("size", FieldReader::index)?);
        if mode > MODES {
            return Err(fields.error("mode", format!("is {mode}, more than the bits of a mode")));
        }
        // Both fit: the first is small, and no position is larger than 64 bits.
        Ok(ListedFile {
            path,
            mode: mode as u32,
            size: size as u64,
            sha512: fields.required("sha512", FieldReader::digest)?,
        })
    }
}

/// Checks the form of everything that this version has beyond the others, or has stricter.
pub(super) fn check(config: &TrainConfig) -> Result<()> {
    let root = FieldReader::root(config.raw());
    if !config.raw().contains_key("base_chain") {
        return Err(root.error("base_chain", "is missing"));
    }
    for absent in ["result_hash", "result_signature"] {
        if root.text(absent)?.is_some() {
            return Err(root.error(absent, "is no field of wire version 3"));
        }
    }
    let length = config.session_id().len();
    if length != SESSION_ID {
        return Err(root.error("session_id", format!("has {length} bytes, but must have {SESSION_ID}")));
    }
    ensure_lower_case(&root, &["session_id", "hash", "signature"])?;
    ensure_lower_case(&root.required("creator", FieldReader::object)?, &["rsa_public_key", "encrypted_key"])?;
    ensure_lower_case(&root.required("build", FieldReader::object)?, &["rsa_public_key"])?;
    for stop in root.required("route", FieldReader::objects)? {
        ensure_lower_case(&stop, &["rsa_public_key", "encrypted_key"])?;
    }
    let form = V3Config::read(config)?;
    ensure_files(&form.files)?;
    statement_hash(config.raw())?;
    // Whether a stop must have one depends on whose turn it is, which is no question of form.
    match config.creator().encrypted_key {
        Some(_) => Ok(()),
        None => Err(Error::malformed("is missing").at("creator.encrypted_key")),
    }
}

/// Walk order makes the list unique, and shows that no path is there twice.
fn ensure_files(files: &[ListedFile]) -> Result<()> {
    if files.is_empty() {
        return Err(Error::malformed("names no file").at("files"));
    }
    for (position, pair) in files.windows(2).enumerate() {
        let [before, after] = pair else { continue };
        let place = format!("files[{}].path", position + 1);
        if walk_order(before.path.as_bytes(), after.path.as_bytes()).is_ge() {
            return Err(Error::malformed("is not in walk order after the one before it").at(place));
        }
        if after.path.strip_prefix(&before.path).is_some_and(|rest| rest.starts_with('/')) {
            return Err(Error::malformed("lies below a file").at(place));
        }
    }
    Ok(())
}

/// The digest of a layer or of a chain of them, as in `sha256:...`.
fn layer_digest(fields: &FieldReader<'_>, key: &str) -> Result<Option<String>> {
    let Some(text) = fields.text(key)? else { return Ok(None) };
    if !is_layer_digest(&text) {
        return Err(fields.error(key, "is no digest as in sha256:... with 64 lower-case hexadecimal digits"));
    }
    Ok(Some(text))
}

/// Whether `text` is a SHA-256 digest as images write it.
pub(super) fn is_layer_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|digits| digits.len() == 64 && is_lower_case_hex(digits))
}

/// One byte string has one form here, so that no byte of what is signed can be changed unnoticed.
fn ensure_lower_case(fields: &FieldReader<'_>, keys: &[&str]) -> Result<()> {
    for key in keys {
        if fields.get(key).and_then(Value::as_str).is_some_and(|text| !is_lower_case_hex(text)) {
            return Err(fields.error(key, "is not lower-case hex"));
        }
    }
    Ok(())
}

fn is_lower_case_hex(text: &str) -> bool {
    hex::decode(text).is_ok() && !text.bytes().any(|byte| byte.is_ascii_uppercase())
}
