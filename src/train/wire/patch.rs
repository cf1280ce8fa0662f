//! Patches of a config that was parsed: what all wire versions write.

use crate::crypto::{PublicKey, StageKey, hex};
use crate::error::{Error, Result};
use crate::json::{Object, Value};

/// The stage's key, wrapped for somebody, as configs hold it.
pub(super) fn wrap(key: &PublicKey, stage_key: &StageKey) -> Result<String> {
    Ok(hex::encode(&key.wrap(stage_key.as_bytes())?))
}

pub(super) fn put(object: &mut Object, key: &str, value: impl Into<Value>) {
    object.insert(key.to_owned(), value.into());
}

pub(super) fn creator_of(raw: &mut Object) -> Result<&mut Object> {
    object(raw.get_mut("creator").ok_or_else(|| internal("the creator is gone"))?)
}

pub(super) fn route_of(raw: &mut Object) -> Result<&mut Vec<Value>> {
    raw.get_mut("route").and_then(Value::as_array_mut).ok_or_else(|| internal("the route is gone"))
}

/// The route's entries, sorted by index first: the reference writes them so.
pub(super) fn sorted_route_of(raw: &mut Object) -> Result<&mut Vec<Value>> {
    let route = route_of(raw)?;
    route.sort_by_key(|entry| entry.get("index").and_then(Value::as_u64));
    Ok(route)
}

pub(super) fn object(value: &mut Value) -> Result<&mut Object> {
    value.as_object_mut().ok_or_else(|| internal("an object of the config is gone"))
}

/// Cannot happen with a config that was parsed; an error all the same, since nothing here may panic.
pub(super) fn internal(what: &str) -> Error {
    Error::internal(what)
}
