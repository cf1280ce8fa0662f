//! JSON as it is met in images and trains: foreign, kept whole, and read strictly.
//!
//! Documents are kept as [`Value`] (key order and the digits of numbers survive) and patched in place, so that fields
//! this program does not know survive a stage. What two readers could take for two documents is refused: an object with a
//! member twice, a byte order mark, an unpaired surrogate, more levels than every reader has.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::error::{Error, Result};
use crate::text::Printable;

pub use serde_json::{Map, Value, json};

mod canonical;
mod document;

pub(crate) use canonical::MAX_INTEGER;
pub use canonical::canonical;
pub use document::{DOCKER_IMAGE, Form, IMAGE_CONFIG, INDEX, MANIFEST, parse_document, parse_manifest, parse_of};

/// A JSON object, its keys in the order of the document.
pub type Object = Map<String, Value>;

/// Parses one document that must be a JSON object.
///
/// # Errors
/// [`Kind::Malformed`](crate::error::Kind::Malformed) if it is not JSON (RFC 8259), has a duplicate key, is nested
/// deeper than 64 levels, or is not an object.
pub fn parse_object(bytes: &[u8]) -> Result<Object> {
    match parse(bytes)? {
        Value::Object(map) => Ok(map),
        _ => Err(Error::malformed("not a JSON object")),
    }
}

/// Parses any one document; errors as in [`parse_object`].
pub fn parse(bytes: &[u8]) -> Result<Value> {
    ensure_levels(bytes)?;
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    NoDuplicateKeys.deserialize(&mut deserializer).map_err(malformed)?;
    serde_json::from_slice(bytes).map_err(malformed)
}

/// The most levels of a document: objects and lists, itself included.
const MAX_LEVELS: usize = 64;

/// The one name that `serde_json` takes for a number instead of an object, where it keeps the digits of numbers.
const NUMBER: &str = "$serde_json::private::Number";

/// Counts levels and looks for the name that would make a number of an object. The rest of the grammar is for the parser.
fn ensure_levels(bytes: &[u8]) -> Result<()> {
    let (mut levels, mut at) = (0_usize, 0);
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'{' | b'[' if levels == MAX_LEVELS => {
                return Err(Error::malformed(format!("nested deeper than {MAX_LEVELS} levels")));
            }
            b'{' | b'[' => levels += 1,
            b'}' | b']' => levels = levels.saturating_sub(1),
            b'"' => {
                let start = at - 1;
                while bytes.get(at).is_some_and(|&byte| byte != b'"') {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
                let text = bytes.get(start..at).and_then(|text| serde_json::from_slice::<String>(text).ok());
                if text.as_deref() == Some(NUMBER) {
                    return Err(Error::malformed(format!(
                        "the text `{NUMBER}` has a meaning of its own to this program"
                    )));
                }
            }
            _ => {}
        }
    }
    Ok(())
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

/// The items of a list; none of `null`, which Go writes for an empty one. `None` for anything else, and where there is
/// nothing.
pub(crate) fn list(value: Option<&Value>) -> Option<&[Value]> {
    match value? {
        Value::Array(items) => Some(items),
        Value::Null => Some(&[]),
        _ => None,
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

/// Drops members that are `null`, at any depth: absent and `null` are the same for members of objects.
pub(crate) fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.retain(|_, member| !member.is_null());
            object.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
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
        for text in [
            r#"{"a":1,"a":2}"#,
            r#"{"x":[{"b":1,"c":2,"b":3}]}"#,
            "{} {}",
            "[1,",
            "\u{feff}{}",
            "",
            r#"["\ud800"]"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"$serde_json::private::Number":"1"}"#,
            r#"{"\u0024serde_json::private::Number":"1"}"#,
            r#"["\"#,
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap_err().kind(), Kind::Malformed, "{text}");
        }
        let nested = |levels: usize| format!("{}{}", "[{\"a\":".repeat(levels / 2), "1") + &"}]".repeat(levels / 2);
        assert!(parse(nested(64).as_bytes()).is_ok());
        assert_eq!(parse(nested(66).as_bytes()).unwrap_err().kind(), Kind::Malformed);
        assert!(parse(br#"["[[\"[[", "\\", [1]]"#).is_ok());
        let deep = "[".repeat(100_000);
        assert_eq!(parse(deep.as_bytes()).unwrap_err().kind(), Kind::Malformed);
        assert_eq!(parse_object(b"[]").unwrap_err().kind(), Kind::Malformed);
    }
}
