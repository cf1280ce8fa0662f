//! The documents that are signed, in their canonical form (RFC 8785).

use crate::crypto::kdf::hkdf_sha256;
use crate::crypto::{Sha512, StageKey, hex};
use crate::error::{ErrorContext, Result};
use crate::json::{Object, Value, canonical, json};

/// What a commitment to a stage's key is derived for.
const COMMIT: &[u8] = b"pht-oci/3 commit";

/// What the creator signs: the train, its route and its base. Every value is taken as it stands in the config.
pub(super) fn statement(config: &Object) -> Value {
    let creator = config.get("creator").and_then(Value::as_object);
    let mut route: Vec<&Value> = config.get("route").and_then(Value::as_array).into_iter().flatten().collect();
    route.sort_by_key(|stop| stop.get("index").and_then(Value::as_u64));
    let route = route.into_iter().filter_map(Value::as_object);
    json!({
        "wire": value(config, "wire"),
        "id": value(config, "@id"),
        "proposal_id": value(config, "proposal_id"),
        "session_id": value(config, "session_id"),
        "creator": creator.map(|creator| pick(creator, &["id", "rsa_public_key"])),
        "route": route.map(|stop| pick(stop, &["station", "index", "eco_system", "rsa_public_key"])).collect::<Value>(),
        "files": value(config, "files"),
        "base_chain": value(config, "base_chain"),
    })
}

/// The hash of the statement.
///
/// # Errors
/// As [`canonical`].
pub(super) fn statement_hash(config: &Object) -> Result<[u8; 64]> {
    Ok(Sha512::of(&canonical(&statement(config)).at("the statement that the creator signs")?))
}

/// Whose digest it is.
pub(super) struct Signer<'a> {
    /// The station as the config has it; `null` for the build.
    pub(super) station: &'a Value,
    /// Its index; -1 for the build.
    pub(super) index: i64,
}

/// The build's.
pub(super) const BUILDER: Signer<'static> = Signer { station: &Value::Null, index: -1 };

/// What a build or a stop signs: the train, who it is, everything before it, what it has produced and the key of it.
///
/// # Errors
/// As [`canonical`].
pub(super) fn digest(
    statement: &[u8; 64],
    signer: &Signer<'_>,
    previous: Option<&[u8; 64]>,
    payload: &str,
    key_commitment: &[u8; 32],
) -> Result<[u8; 64]> {
    let document = json!({
        "train": hex::encode(statement),
        "station": signer.station,
        "index": signer.index,
        "previous": previous.map(|digest| hex::encode(digest)),
        "payload": payload,
        "key_commitment": hex::encode(key_commitment),
    });
    Ok(Sha512::of(&canonical(&document)?))
}

/// What commits to the key of a stage without giving it away: a cipher of this kind has several keys for one
/// ciphertext, so that recipients could be given different ones.
///
/// # Errors
/// As [`hkdf_sha256`].
pub(super) fn key_commitment(stage_key: &StageKey, session_id: &[u8]) -> Result<[u8; 32]> {
    Ok(*hkdf_sha256(stage_key.as_bytes(), session_id, &[COMMIT])?)
}

fn pick(object: &Object, keys: &[&str]) -> Value {
    keys.iter().map(|key| ((*key).to_owned(), value(object, key))).collect::<Object>().into()
}

fn value(object: &Object, key: &str) -> Value {
    object.get(key).cloned().unwrap_or(Value::Null)
}
