//! JSON as it is met in images and trains: foreign, kept whole, and read strictly.
//!
//! Documents are kept as [`Value`] (key order and the digits of numbers survive) and patched in place, so that fields
//! this program does not know survive a stage. A duplicate key is refused: two readers could see two documents.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::error::{Error, Result};
use crate::text::Printable;

pub use serde_json::{Map, Value, json};

mod canonical;

pub use canonical::canonical;

/// A JSON object, its keys in the order of the document.
pub type Object = Map<String, Value>;

/// Parses one document that must be a JSON object.
///
/// # Errors
/// [`Kind::Malformed`](crate::error::Kind::Malformed) if it is not JSON (RFC 8259), has a duplicate key, is nested
/// deeper than 128 levels, or is not an object.
pub fn parse_object(bytes: &[u8]) -> Result<Object> {
    match parse(bytes)? {
        Value::Object(map) => Ok(map),
        _ => Err(Error::malformed("not a JSON object")),
    }
}

/// Parses any one document; errors as in [`parse_object`].
pub fn parse(bytes: &[u8]) -> Result<Value> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    NoDuplicateKeys.deserialize(&mut deserializer).map_err(malformed)?;
    serde_json::from_slice(bytes).map_err(malformed)
}

/// The compact form of a document.
pub fn to_vec(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

fn malformed(error: serde_json::Error) -> Error {
    Error::malformed("not valid JSON").because(error)
}

/// Walks a document only to find a key that one object has twice; `serde_json` itself would keep the last.
struct NoDuplicateKeys;

impl<'de> DeserializeSeed<'de> for NoDuplicateKeys {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NoDuplicateKeys {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            map.next_value_seed(NoDuplicateKeys)?;
            if keys.contains(&key) {
                return Err(A::Error::custom(format_args!(
                    "the key `{}` occurs twice in one object",
                    Printable::new(&key)
                )));
            }
            keys.insert(key);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(NoDuplicateKeys)?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(IgnoredAny).map(drop)
    }
}

/// The object at `key`; whatever else is there (`null`, most likely) makes way.
pub(crate) fn object_at<'a>(parent: &'a mut Object, key: &str) -> &'a mut Object {
    let value = parent.entry(key).or_insert(Value::Null);
    if !value.is_object() {
        *value = json!({});
    }
    #[expect(clippy::unreachable, reason = "made an object above")]
    match value {
        Value::Object(object) => object,
        _ => unreachable!("made an object above"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn keeps_order_and_digits() {
        let text = r#"{"z":1.10,"a":123456789012345678901234567890,"m":[true,null,"\u00fc"]}"#;
        assert_eq!(Value::Object(parse_object(text.as_bytes()).unwrap()).to_string(), text.replace("\\u00fc", "ü"));
    }

    #[test]
    fn refuses_what_two_readers_could_read_differently() {
        for text in [r#"{"a":1,"a":2}"#, r#"{"x":[{"b":1,"c":2,"b":3}]}"#, "{} {}", "[1,", "\u{feff}{}", ""] {
            assert_eq!(parse(text.as_bytes()).unwrap_err().kind(), Kind::Malformed, "{text}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(parse(deep.as_bytes()).unwrap_err().kind(), Kind::Malformed);
        assert_eq!(parse_object(b"[]").unwrap_err().kind(), Kind::Malformed);
    }
}
