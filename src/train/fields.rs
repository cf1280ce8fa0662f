//! Typed reading of a foreign JSON object; every error names the field by its path, as in `route[2].index`.

use super::party::PartyId;
use crate::crypto::{PublicKey, hex};
use crate::error::{Error, ErrorContext, Result};
use crate::json::{Object, Value};

/// A JSON object and where it stands in the document. A field that is `null` is as good as absent.
#[derive(Debug, Clone)]
pub(crate) struct FieldReader<'a> {
    object: &'a Object,
    path: String,
}

impl<'a> FieldReader<'a> {
    /// The document itself.
    pub(crate) fn root(object: &'a Object) -> Self {
        FieldReader { object, path: String::new() }
    }

    /// A field that must be there; `read` is one of the readers below.
    pub(crate) fn required<T>(&self, key: &str, read: impl FnOnce(&Self, &str) -> Result<Option<T>>) -> Result<T> {
        read(self, key)?.ok_or_else(|| self.error(key, "is missing"))
    }

    /// A text that is not empty.
    pub(crate) fn text(&self, key: &str) -> Result<Option<String>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Err(self.error(key, "is empty")),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(self.mismatch(key, "a string", other)),
        }
    }

    /// Bytes in hex, at least one.
    pub(crate) fn bytes(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        hex::decode(&text).map(Some).map_err(|cause| self.error(key, "is not hex").because(cause))
    }

    /// A SHA-512 digest in hex.
    pub(crate) fn digest(&self, key: &str) -> Result<Option<[u8; 64]>> {
        let Some(bytes) = self.bytes(key)? else { return Ok(None) };
        let found = bytes.len();
        let digest = bytes.try_into();
        digest.map(Some).map_err(|_| self.error(key, format!("has {found} bytes, but a SHA-512 digest has 64")))
    }

    /// An RSA public key: the hex of its PEM text.
    pub(crate) fn public_key(&self, key: &str) -> Result<Option<PublicKey>> {
        let Some(pem) = self.bytes(key)? else { return Ok(None) };
        PublicKey::from_pem(&pem).map(Some).map_err(|cause| self.error(key, "is not an RSA public key").because(cause))
    }

    /// An integer or a text that identifies somebody or something.
    pub(crate) fn party(&self, key: &str) -> Result<Option<PartyId>> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => match PartyId::from_json(value) {
                Some(id) => Ok(Some(id)),
                None if value.is_string() => Err(self.error(key, "is empty")),
                None => Err(self.mismatch(key, "an integer or a string", value)),
            },
        }
    }

    /// A position: an integer from 0 on.
    pub(crate) fn index(&self, key: &str) -> Result<Option<usize>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match value.as_u64().and_then(|number| usize::try_from(number).ok()) {
            Some(number) => Ok(Some(number)),
            None if value.is_number() => Err(self.error(key, format!("is {value}, but must be an integer from 0 on"))),
            None => Err(self.mismatch(key, "an integer", value)),
        }
    }

    /// An object.
    pub(crate) fn object(&self, key: &str) -> Result<Option<FieldReader<'a>>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(FieldReader { object, path: self.path_of(key) })),
            Some(other) => Err(self.mismatch(key, "an object", other)),
        }
    }

    /// A list of objects.
    pub(crate) fn objects(&self, key: &str) -> Result<Option<Vec<FieldReader<'a>>>> {
        self.list(key, |value, path| match value {
            Value::Object(object) => Ok(FieldReader { object, path }),
            other => Err(mismatch("an object", other)).at(path),
        })
    }

    /// A list of texts.
    pub(crate) fn texts(&self, key: &str) -> Result<Option<Vec<String>>> {
        self.list(key, |value, path| match value {
            Value::String(text) => Ok(text.clone()),
            other => Err(mismatch("a string", other)).at(path),
        })
    }

    /// An error about one field.
    pub(crate) fn error(&self, key: &str, what: impl Into<String>) -> Error {
        Error::malformed(what).at(self.path_of(key))
    }

    fn list<T>(&self, key: &str, read: impl Fn(&'a Value, String) -> Result<T>) -> Result<Option<Vec<T>>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Array(items)) => {
                let path = self.path_of(key);
                let items = items.iter().enumerate().map(|(at, item)| read(item, format!("{path}[{at}]")));
                items.collect::<Result<_>>().map(Some)
            }
            Some(other) => Err(self.mismatch(key, "a list", other)),
        }
    }

    /// The names of all fields.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &'a String> {
        self.object.keys()
    }

    /// A field as it stands.
    pub(crate) fn get(&self, key: &str) -> Option<&'a Value> {
        self.object.get(key).filter(|value| !value.is_null())
    }

    fn mismatch(&self, key: &str, expected: &str, found: &Value) -> Error {
        mismatch(expected, found).at(self.path_of(key))
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

fn mismatch(expected: &str, found: &Value) -> Error {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    Error::malformed(format!("is {found}, but must be {expected}"))
}

/// Checks that an object has no other members; two readers must sign the same, whatever they put together again.
pub(crate) fn ensure_members(fields: &FieldReader<'_>, members: &[&str]) -> Result<()> {
    let unknown = fields.keys().find(|key| !members.contains(&key.as_str()) && fields.get(key).is_some());
    match unknown {
        Some(unknown) => Err(fields.error(unknown, format!("is an unknown field; known are {}", members.join(", ")))),
        None => Ok(()),
    }
}
