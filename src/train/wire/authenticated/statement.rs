//! The documents that are signed: each a text that says what it is, a zero byte, and its canonical form (RFC 8785).

use super::version::Authenticated;
use crate::crypto::kdf::hkdf_sha256;
use crate::crypto::{Sha512, StageKey, hex};
use crate::error::{Error, ErrorContext, Result};
use crate::json::{Object, Value, canonical, drop_nulls, json};
use crate::train::party::PartyId;

/// Members that change on the way and are not in the statement: of the config, of its creator, of a stop.
const OF_CONFIG: [&str; 3] = ["hash", "signature", "build"];
const OF_CREATOR: [&str; 1] = ["encrypted_key"];
const OF_STOP: [&str; 2] = ["encrypted_key", "signature"];

/// A message that is signed, and its digest.
#[derive(Debug, Clone)]
pub(super) struct Message {
    bytes: Vec<u8>,
    digest: [u8; 64],
}

impl Message {
    fn new(kind: &str, document: &Value) -> Result<Self> {
        let bytes = [kind.as_bytes(), b"\0", &canonical(document)?].concat();
        Ok(Message { digest: Sha512::of(&bytes), bytes })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn digest(&self) -> &[u8; 64] {
        &self.digest
    }
}

/// The statement that the creator signs: the config without members that change later, so that new ones are signed.
///
/// # Errors
/// As [`canonical`].
pub(super) fn statement(wire: &Authenticated, config: &Object) -> Result<Message> {
    Message::new(wire.statement_text, &stated(config)).at("the statement that the creator signs")
}

/// The document of the statement.
pub(super) fn stated(config: &Object) -> Value {
    let mut stated = config.clone();
    remove(&mut stated, &OF_CONFIG);
    if let Some(creator) = stated.get_mut("creator").and_then(Value::as_object_mut) {
        remove(creator, &OF_CREATOR);
    }
    if let Some(route) = stated.get_mut("route").and_then(Value::as_array_mut) {
        route.sort_by_key(|stop| stop.get("index").and_then(Value::as_u64));
        route.iter_mut().filter_map(Value::as_object_mut).for_each(|stop| remove(stop, &OF_STOP));
    }
    let mut stated = Value::Object(stated);
    drop_nulls(&mut stated);
    stated
}

fn remove(object: &mut Object, keys: &[&str]) {
    object.retain(|key, _| !keys.contains(&key.as_str()));
}

/// The facts that a build or a stop vouches for, as its document has them.
#[derive(Debug, Clone)]
pub(super) struct Vouched {
    /// The diff ID of the payload layer.
    pub(super) payload: String,
    /// The commitment to the stage's key.
    pub(super) key_commitment: [u8; 32],
    /// The digest of the wrapped keys.
    pub(super) recipients: [u8; 64],
    /// When it was made.
    pub(super) time: String,
}

/// The signer, and the record before it.
pub(super) enum Signer<'a> {
    Build,
    Stop { station: &'a PartyId, index: usize, previous: &'a [u8; 64] },
}

/// The document that a build or a stop signs; `train` is the hash of the statement.
///
/// # Errors
/// As [`canonical`].
pub(super) fn record(
    wire: &Authenticated,
    train: &[u8; 64],
    signer: &Signer<'_>,
    vouched: &Vouched,
) -> Result<Message> {
    let mut document = json!({
        "train": hex::encode(train),
        "payload": vouched.payload,
        "key_commitment": hex::encode(&vouched.key_commitment),
        "recipients": hex::encode(&vouched.recipients),
        "time": vouched.time,
    });
    match signer {
        Signer::Build => Message::new(wire.build_text, &document),
        Signer::Stop { station, index, previous } => {
            document["station"] = station.to_json();
            document["index"] = json!(index);
            document["previous"] = json!(hex::encode(*previous));
            Message::new(wire.stop_text, &document)
        }
    }
}

/// The digest of the wrapped keys in a record: it fixes who can read.
///
/// # Errors
/// As [`canonical`].
pub(super) fn recipients(creator: &str, next: Option<&str>) -> Result<[u8; 64]> {
    let mut document = json!({ "creator": creator });
    if let Some(next) = next {
        document["next"] = json!(next);
    }
    Ok(Sha512::of(&canonical(&document)?))
}

/// A commitment to the key of a stage that does not reveal it: a cipher of this kind has several keys for one
/// ciphertext, so that recipients could be given different ones.
///
/// # Errors
/// As [`hkdf_sha256`].
pub(super) fn key_commitment(wire: &Authenticated, stage_key: &StageKey, session_id: &[u8]) -> Result<[u8; 32]> {
    Ok(*hkdf_sha256(stage_key.as_bytes(), session_id, &[wire.commitment_text.as_bytes()])?)
}

/// A time in seconds since 1970 as records have it.
///
/// # Errors
/// [`Kind::Usage`](crate::error::Kind::Usage) for years that have not four digits.
pub(super) fn time_text(seconds: i64) -> Result<String> {
    let text = time::OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|time| time.format(&time::format_description::well_known::Rfc3339).ok());
    text.filter(|text| is_time(text)).ok_or_else(|| Error::usage(format!("the timestamp {seconds} is out of range")))
}

/// True for a time as records have it: 20 characters, a date that exists, no leap second.
pub(super) fn is_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    let form = b"0000-00-00T00:00:00Z";
    let fits = |(byte, like): (&u8, &u8)| if *like == b'0' { byte.is_ascii_digit() } else { byte == like };
    if bytes.len() != form.len() || !bytes.iter().zip(form).all(fits) {
        return false;
    }
    let number = |from: usize, to: usize| text[from..to].parse::<u16>().unwrap_or(u16::MAX);
    let small = |from: usize| u8::try_from(number(from, from + 2)).unwrap_or(u8::MAX);
    let date = time::Month::try_from(small(5))
        .ok()
        .and_then(|month| time::Date::from_calendar_date(i32::from(number(0, 4)), month, small(8)).ok());
    date.is_some() && time::Time::from_hms(small(11), small(14), small(17)).is_ok()
}
