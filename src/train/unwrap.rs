//! The stage key, unwrapped for a station or the creator.

use super::config::TrainConfig;
use super::keys::{ensure_creator_key, ensure_key_of};
use super::route::Stop;
use crate::crypto::{PrivateKey, StageKey};
use crate::error::{Error, ErrorContext, Result};

/// The key of the last stage, unwrapped for a station with its private key.
///
/// # Errors
/// [`Kind::Key`](crate::error::Kind::Key) if it is not that station's key or if the wrapped key does not open with it;
/// [`Kind::Malformed`](crate::error::Kind::Malformed) if the config has no key for that station;
/// [`Kind::Verification`](crate::error::Kind::Verification) if the wire version commits to another key.
pub fn unwrap_stage_key(config: &TrainConfig, stop: &Stop, key: &PrivateKey) -> Result<StageKey> {
    ensure_key_of(config, stop, key)?;
    unwrap(config, &stop.subject().to_string(), stop.encrypted_key.as_deref(), key)
}

/// The key of the last stage, unwrapped for the creator.
///
/// # Errors
/// As [`unwrap_stage_key`].
pub fn unwrap_creator_key(config: &TrainConfig, key: &PrivateKey) -> Result<StageKey> {
    let creator = config.creator();
    let subject = format!("creator `{}`", creator.id);
    ensure_creator_key(config, key)?;
    unwrap(config, &subject, creator.encrypted_key.as_deref(), key)
}

fn unwrap(config: &TrainConfig, subject: &str, wrapped: Option<&[u8]>, key: &PrivateKey) -> Result<StageKey> {
    let Some(wrapped) = wrapped else {
        return Err(Error::malformed("the train config has no encrypted_key for it").at(subject));
    };
    let bytes = key.unwrap(wrapped).map_err(|cause| {
        Error::key("its encrypted_key does not open with its private key, so it was wrapped for another").because(cause)
    });
    let bytes = bytes.at(subject)?;
    let stage_key = config
        .wire()
        .cipher()
        .key_from_bytes(bytes)
        .map_err(|cause| Error::key("its encrypted_key holds no key of this wire version").because(cause));
    let stage_key = stage_key.at(subject)?;
    config.form().ensure_stage_key(config, &stage_key).at(subject)?;
    Ok(stage_key)
}
