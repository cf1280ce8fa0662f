//! The fields that only this version has, read strictly and once.

use super::statement::{Message, Vouched, is_time, recipients, statement};
use super::version::Authenticated;
use crate::crypto::{PublicKey, hex};
use crate::error::{Error, ErrorContext, Result};
use crate::json::{MAX_INTEGER, Object, Value};
use crate::path::walk_order;
use crate::train::common::CommonFields;
use crate::train::fields::{FieldReader, ensure_members};
use crate::train::image::LayerFacts;
use crate::train::signed_image::SignedImage;

/// Bytes of a session id.
const SESSION_ID: usize = 64;

/// The permission bits of a file.
const MODES: usize = 0o777;

/// The members of objects that have no others.
const FILE_MEMBERS: [&str; 4] = ["path", "mode", "size", "sha512"];
const BASE_MEMBERS: [&str; 3] = ["diff_id", "digest", "size"];
const BUILDER_MEMBERS: [&str; 1] = ["rsa_public_key"];
const RECORD_MEMBERS: [&str; 6] = ["payload", "key_commitment", "recipients", "time", "digest", "signature"];

/// Fields of other versions, and of what came before this one.
const ABSENT: [&str; 3] = ["result_hash", "result_signature", "base_chain"];

/// The record that a build or a stop has signed.
#[derive(Debug, Clone)]
pub(super) struct Record {
    /// The facts it vouches for.
    pub(super) vouched: Vouched,
    /// The digest of what is signed.
    pub(super) digest: [u8; 64],
    /// The signature.
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

/// A train config of wire version 3.
#[derive(Debug, Clone)]
pub(super) struct V3Config {
    pub(super) wire: &'static Authenticated,
    /// The statement that the creator signs, recomputed; `hash` is the config's.
    pub(super) statement: Message,
    pub(super) hash: [u8; 64],
    /// Absent while the train waits for its creator.
    pub(super) signature: Option<Vec<u8>>,
    pub(super) files: Vec<ListedFile>,
    pub(super) base_layers: Vec<LayerFacts>,
    pub(super) image: SignedImage,
    pub(super) builder: PublicKey,
    pub(super) build: Record,
    /// By index of the stop.
    pub(super) stops: Vec<Option<Record>>,
    /// The digest of the wrapped keys that the config holds, for those who need one.
    pub(super) recipients: [u8; 64],
}

impl V3Config {
    /// Reads them; whatever the config alone shows to be wrong is an error.
    pub(super) fn read(wire: &'static Authenticated, common: &CommonFields) -> Result<Self> {
        let root = FieldReader::root(common.raw());
        ensure_numbers(common.raw())?;
        ensure_absent(&root)?;
        ensure_hex(&root)?;
        let length = common.session_id().len();
        if length != SESSION_ID {
            return Err(root.error("session_id", format!("has {length} bytes, but must have {SESSION_ID}")));
        }
        let builder = root.required("builder", FieldReader::object)?;
        ensure_members(&builder, &BUILDER_MEMBERS)?;
        let mut stops = Vec::new();
        for stop in root.required("route", FieldReader::objects)? {
            let signature = stop.object("signature")?.map(|signature| Record::read(&signature)).transpose()?;
            stops.push((stop.required("index", FieldReader::index)?, signature));
        }
        stops.sort_by_key(|(index, _)| *index);
        Ok(V3Config {
            wire,
            statement: statement(wire, common.raw())?,
            hash: root.required("hash", FieldReader::digest)?,
            signature: root.bytes("signature")?,
            files: read_files(&root, common.file_list())?,
            base_layers: read_base(&root)?,
            image: SignedImage::read(&root.required("image", FieldReader::object)?)?,
            builder: builder.required("rsa_public_key", FieldReader::public_key)?,
            build: Record::read(&root.required("build", FieldReader::object)?)?,
            stops: stops.into_iter().map(|(_, record)| record).collect(),
            recipients: read_recipients(common)?,
        })
    }

    /// The record of the stage before: of the last stop that has signed, or of the build.
    pub(super) fn last(&self) -> &Record {
        self.stops.iter().map_while(Option::as_ref).last().unwrap_or(&self.build)
    }
}

impl Record {
    fn read(fields: &FieldReader<'_>) -> Result<Self> {
        ensure_members(fields, &RECORD_MEMBERS)?;
        ensure_lower_case(fields, &["key_commitment", "recipients", "digest", "signature"])?;
        let commitment = fields.required("key_commitment", FieldReader::bytes)?;
        let length = commitment.len();
        let wrong = |_| fields.error("key_commitment", format!("has {length} bytes, but must have 32"));
        let time = fields.required("time", FieldReader::text)?;
        if !is_time(&time) {
            return Err(fields.error("time", "is not a time of the form 2026-11-25T22:30:00Z"));
        }
        Ok(Record {
            vouched: Vouched {
                payload: fields.required("payload", layer_digest)?,
                key_commitment: commitment.try_into().map_err(wrong)?,
                recipients: fields.required("recipients", FieldReader::digest)?,
                time,
            },
            digest: fields.required("digest", FieldReader::digest)?,
            signature: fields.required("signature", FieldReader::bytes)?,
        })
    }
}

impl ListedFile {
    fn read(fields: &FieldReader<'_>) -> Result<Self> {
        ensure_members(fields, &FILE_MEMBERS)?;
        ensure_lower_case(fields, &["sha512"])?;
        let path = fields.required("path", FieldReader::text)?;
        if path.split('/').any(|name| matches!(name, "" | "." | "..")) || path.contains('\0') {
            return Err(fields.error("path", "is not a relative path of a file under /opt/pht_train"));
        }
        let (mode, size) = (fields.required("mode", FieldReader::index)?, fields.required("size", FieldReader::index)?);
        if mode > MODES {
            return Err(fields.error("mode", format!("is {mode}, which has more than the nine permission bits")));
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

fn read_files(root: &FieldReader<'_>, file_list: &[String]) -> Result<Vec<ListedFile>> {
    let files = root.required("files", FieldReader::objects)?;
    let files: Vec<ListedFile> = files.iter().map(ListedFile::read).collect::<Result<_>>()?;
    ensure_files(&files)?;
    if !files.iter().map(|file| &file.path).eq(file_list) {
        return Err(root.error("file_list", "is not the list of the paths of `files`"));
    }
    Ok(files)
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

fn read_base(root: &FieldReader<'_>) -> Result<Vec<LayerFacts>> {
    let layers = root.required("base_layers", FieldReader::objects)?;
    let read = |fields: &FieldReader<'_>| {
        ensure_members(fields, &BASE_MEMBERS)?;
        Ok(LayerFacts {
            diff_id: fields.required("diff_id", layer_digest)?,
            digest: fields.required("digest", layer_digest)?,
            size: fields.required("size", FieldReader::index)? as u64,
        })
    };
    layers.iter().map(read).collect()
}

/// The wrapped keys that the config holds. Whose turn it is cannot be told if a stop has signed too early, which is for
/// the checks to say.
fn read_recipients(common: &CommonFields) -> Result<[u8; 64]> {
    let Some(creator) = &common.creator().encrypted_key else {
        return Err(Error::malformed("is missing").at("creator.encrypted_key"));
    };
    let next = common.route().route_state().ok().and_then(|state| state.next());
    let next = match next {
        Some(stop) if stop.encrypted_key.is_none() => {
            let what = format!("is missing, but it is the turn of {}", stop.subject());
            return Err(Error::malformed(what).at("encrypted_key"));
        }
        next => next.and_then(|stop| stop.encrypted_key.as_ref()).map(|key| hex::encode(key)),
    };
    recipients(&hex::encode(creator), next.as_deref())
}

/// One number has one form here.
fn ensure_numbers(raw: &Object) -> Result<()> {
    raw.iter().try_for_each(|(name, value)| ensure_numbers_in(value).at(name))
}

fn ensure_numbers_in(value: &Value) -> Result<()> {
    match value {
        Value::Object(object) => ensure_numbers(object),
        Value::Array(items) => {
            items.iter().enumerate().try_for_each(|(at, item)| ensure_numbers_in(item).at(format_args!("[{at}]")))
        }
        Value::Number(number) => {
            let text = number.to_string();
            let fits = text.parse::<i64>().is_ok_and(|number| number.unsigned_abs() <= MAX_INTEGER);
            let plain = fits && text.parse::<i64>().is_ok_and(|number| number.to_string() == text);
            if plain { Ok(()) } else { Err(Error::malformed(format!("the number {text} is not a 53-bit integer"))) }
        }
        _ => Ok(()),
    }
}

fn ensure_absent(root: &FieldReader<'_>) -> Result<()> {
    match ABSENT.into_iter().find(|absent| root.get(absent).is_some()) {
        Some(absent) => Err(root.error(absent, "is not a field of wire version 3")),
        None => Ok(()),
    }
}

fn ensure_hex(root: &FieldReader<'_>) -> Result<()> {
    ensure_lower_case(root, &["session_id", "hash", "signature"])?;
    ensure_lower_case(&root.required("creator", FieldReader::object)?, &["rsa_public_key", "encrypted_key"])?;
    ensure_lower_case(&root.required("builder", FieldReader::object)?, &["rsa_public_key"])?;
    for stop in root.required("route", FieldReader::objects)? {
        ensure_lower_case(&stop, &["rsa_public_key", "encrypted_key"])?;
    }
    Ok(())
}

/// The digest of a layer, as in `sha256:...`.
fn layer_digest(fields: &FieldReader<'_>, key: &str) -> Result<Option<String>> {
    let Some(text) = fields.text(key)? else { return Ok(None) };
    if !is_layer_digest(&text) {
        return Err(fields.error(key, "is not a digest of the form sha256:... with 64 lower-case hexadecimal digits"));
    }
    Ok(Some(text))
}

/// True if `text` is a SHA-256 digest as images write it.
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
