//! One line of a journal.

use crate::crypto::dsse::{Envelope, IN_TOTO};
use crate::crypto::{PublicKey, Sha256, hex};
use crate::error::{Error, ErrorContext, Result};
use crate::json::{self, Object, Value};

/// The type of the statements' predicates.
pub const PREDICATE_TYPE: &str = "https://personalhealthtrain.de/pht-oci/journal/v1";

/// One line of a journal.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct JournalEntry {
    /// The number of the line, from 1.
    pub line: usize,
    /// The statement.
    pub statement: Object,
    /// `sha256:` and the SHA-256 of the line, without its line feed.
    pub digest: String,
    envelope: Envelope,
    /// The line itself, without its line feed.
    pub(super) text: Vec<u8>,
}

impl JournalEntry {
    pub(super) fn parse(line: usize, text: &[u8]) -> Result<Self> {
        let envelope = Envelope::parse(text)?;
        let statement = json::parse_object(envelope.unverified()).at("its statement")?;
        if statement.get("predicateType").and_then(Value::as_str) != Some(PREDICATE_TYPE) {
            return Err(Error::malformed("a statement of another type"));
        }
        Ok(JournalEntry { line, statement, digest: digest_of(text), envelope, text: text.to_vec() })
    }

    /// A member of the predicate, by its JSON pointer.
    pub fn get(&self, pointer: &str) -> Option<&Value> {
        self.statement.get("predicate")?.pointer(pointer)
    }

    /// A text of the predicate, by its JSON pointer.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.get(pointer)?.as_str()
    }

    /// True if one of these keys has signed it.
    pub fn is_signed_by(&self, keys: &[PublicKey]) -> bool {
        self.signer(keys).is_some()
    }

    /// The key that has signed it, if it is one of these.
    pub fn signer<'k>(&self, keys: &'k [PublicKey]) -> Option<&'k PublicKey> {
        keys.iter().find(|key| self.envelope.verify(IN_TOTO, key).is_some())
    }
}

/// What tells a line from others.
pub(super) fn digest_of(line: &[u8]) -> String {
    format!("sha256:{}", hex::encode(&Sha256::of(line)))
}
