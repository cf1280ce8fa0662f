//! Identities of creators, stations and proposals: a JSON integer or a text.

use std::fmt;

use crate::json::Value;
use crate::text::Printable;

/// The identity of a station, a creator or a proposal: a JSON integer or a string.
///
/// Two identities are equal if they read the same: `1` and `"1"` are one station. The original implementation reads
/// every text that is an integer as that integer (`"007"` as 7), also where it hashes the creator's id; so does this.
#[derive(Debug, Clone)]
pub struct PartyId {
    json: Value,
    canonical: String,
}

impl PartyId {
    /// The identity that a JSON value gives: an integer or a text that is not empty.
    pub fn from_json(value: &Value) -> Option<Self> {
        let canonical = match value {
            Value::Number(number) => as_integer(&number.to_string())?,
            Value::String(text) if !text.is_empty() => canonical(text),
            _ => return None,
        };
        Some(PartyId { json: value.clone(), canonical })
    }

    /// The identity as a JSON value, as it stood in the document.
    pub fn to_json(&self) -> Value {
        self.json.clone()
    }

    /// The identifier: the integer in decimal, or the string. The immutable hash begins with its UTF-8 bytes.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// True if a file can be named after it on any machine, as that of a pinned key is.
    pub fn is_file_name(&self) -> bool {
        const LONGEST: usize = 200;
        let text = match &self.json {
            Value::String(text) => text.as_str(),
            _ => self.canonical.as_str(),
        };
        let is_plain = Printable::new(text).to_string() == text && text.trim() == text;
        let is_short = !text.is_empty() && text.len() <= LONGEST;
        is_short && is_plain && !text.starts_with('.') && !text.contains(['/', '\\']) && !text.ends_with(".pub")
    }

    /// True if `text`, as typed by a person, names this identity: `1` names the integer 1 and the string `1`.
    pub fn is_named(&self, text: &str) -> bool {
        self.canonical == canonical(text)
    }
}

impl From<&str> for PartyId {
    fn from(text: &str) -> Self {
        PartyId { json: text.into(), canonical: canonical(text) }
    }
}

impl PartialEq for PartyId {
    fn eq(&self, other: &Self) -> bool {
        self.canonical == other.canonical
    }
}

impl Eq for PartyId {}

impl fmt::Display for PartyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Value::String(text) = &self.json else { return f.write_str(&self.canonical) };
        Printable::new(text).fmt(f)
    }
}

fn canonical(text: &str) -> String {
    as_integer(text).unwrap_or_else(|| text.to_owned())
}

/// The decimal form of a text that Python's `int` would read: blanks around, a sign, single underscores, leading zeros.
fn as_integer(text: &str) -> Option<String> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let is_number = |group: &str| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit());
    if !digits.split('_').all(is_number) {
        return None;
    }
    let digits = digits.replace('_', "");
    match digits.trim_start_matches('0') {
        "" => Some("0".to_owned()),
        digits => Some(format!("{}{digits}", if negative { "-" } else { "" })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::json;

    #[test]
    fn reads_integers_and_texts_as_the_reference_does() {
        let table = [
            (json!(7), "7"),
            (json!(-3), "-3"),
            (json!("charite"), "charite"),
            (json!("1"), "1"),
            (json!("007"), "7"),
            (json!("+1_000"), "1000"),
            (json!(" 5 "), "5"),
            (json!("-0"), "0"),
            (json!("1__0"), "1__0"),
            (json!("_1"), "_1"),
            (json!("1e5"), "1e5"),
            (json!("-"), "-"),
            (json!("universität"), "universität"),
        ];
        for (value, expected) in table {
            assert_eq!(PartyId::from_json(&value).unwrap().canonical(), expected, "{value}");
        }
        let digits: Value = crate::json::parse(b"123456789012345678901234567890").unwrap();
        assert_eq!(PartyId::from_json(&digits).unwrap().canonical(), "123456789012345678901234567890");
    }

    #[test]
    fn refuses_what_is_neither() {
        for value in [json!(1.5), json!(true), json!(null), json!(""), json!([1]), json!({"id": 1})] {
            assert!(PartyId::from_json(&value).is_none(), "{value}");
        }
        assert!(PartyId::from_json(&crate::json::parse(b"1e3").unwrap()).is_none());
    }

    #[test]
    fn some_ids_are_no_file_names() {
        for id in ["hospital_a", "7", "-3", "universität", "a b", "x.y"] {
            assert!(PartyId::from(id).is_file_name(), "{id}");
        }
        let long = "a".repeat(201);
        for id in ["", "..", ".", "../x", "a/b", "a\\b", ".hidden", "a\0", "a\u{1b}[2J", " a", "a\n", "a.pub", &long] {
            assert!(!PartyId::from(id).is_file_name(), "{id:?}");
        }
    }

    #[test]
    fn a_text_names_the_integer_that_it_reads_as() {
        let one = PartyId::from_json(&json!(1)).unwrap();
        assert!(one.is_named("1") && !one.is_named("10"));
        assert_eq!(one, PartyId::from("1"));
        assert_eq!(PartyId::from("007").to_string(), "007");
        assert_eq!(PartyId::from("ü\u{1b}[2J").to_string(), "ü\\u{1b}[2J");
    }
}
