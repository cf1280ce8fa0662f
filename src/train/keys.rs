//! The owner of a private key.

use super::common::CommonFields;
use super::route::Stop;
use crate::crypto::{PrivateKey, PublicKey};
use crate::error::{Error, Result};

/// Checks that `key` is the private key of `stop`.
///
/// # Errors
/// [`Kind::Key`](crate::error::Kind::Key); the message says whose key it is instead, or both fingerprints.
pub fn ensure_key_of(config: &CommonFields, stop: &Stop, key: &PrivateKey) -> Result<()> {
    ensure_owner(config, &stop.subject().to_string(), &stop.public_key, key)
}

/// Checks that `key` is the creator's private key.
///
/// # Errors
/// As [`ensure_key_of`].
pub fn ensure_creator_key(config: &CommonFields, key: &PrivateKey) -> Result<()> {
    let creator = config.creator();
    let (found, subject) = (key.public_key(), format!("creator `{}`", creator.id));
    if let Some(owner) = config.route().stops().iter().find(|stop| stop.public_key == found)
        && found != creator.public_key
    {
        let what = format!("only the creator can open the results: this private key belongs to {}", owner.subject());
        return Err(Error::key(what).hint(format!("give the private key of {subject}")));
    }
    ensure_owner(config, &subject, &creator.public_key, key)
}

pub(super) fn ensure_owner(config: &CommonFields, subject: &str, expected: &PublicKey, key: &PrivateKey) -> Result<()> {
    let found = key.public_key();
    if found == *expected {
        return Ok(());
    }
    let stops = config.route().stops();
    let what = if let Some(owner) = stops.iter().find(|stop| stop.public_key == found) {
        format!("this private key belongs to {}", owner.subject())
    } else if config.creator().public_key == found {
        format!("this private key belongs to the creator `{}`", config.creator().id)
    } else {
        let (found, expected) = (found.fingerprint(), expected.fingerprint());
        format!("this private key belongs to nobody in the train: its public key is {found}, expected {expected}")
    };
    Err(Error::key(what).at(subject).hint(format!("give the private key of {subject}")))
}
