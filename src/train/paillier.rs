//! Results that stations have computed under the creator's Paillier key: which files they are, and what is in them.

use std::fmt::Write as _;

use super::config::TrainConfig;
use crate::crypto::hex;
use crate::crypto::paillier::{PaillierKey, PaillierPublicKey, PaillierSecret, parse_number};
use crate::error::{Advice, Error, ErrorContext, Kind, Result};
use crate::json::{self, Object, Value};
use crate::text::Printable;

/// The mark in the names of files with such numbers.
const ENDING: &[u8] = b".he.json";

/// The shortest integer that is taken for a ciphertext, in characters. The field's clients read shorter ones as plain
/// counts, and leave them.
const MIN_INTEGER: usize = 16;

/// True if a result, by its path below `pht_results`, contains numbers under the creator's Paillier key.
pub fn is_homomorphic(path: &[u8]) -> bool {
    path.windows(ENDING.len()).any(|part| part == ENDING)
}

/// Reads a private key file: `{"lambda": "...", "mu": "..."}`.
///
/// # Errors
/// [`Kind::Key`] if it is none.
pub fn read_secret(text: &[u8]) -> Result<PaillierSecret> {
    let hint =
        "such a key is a JSON object with the decimal strings `lambda` and `mu`, as the desktop client writes it";
    let read = || -> Result<PaillierSecret> {
        let mut object = json::parse_object(text)?;
        let mut number = |name: &str| {
            let digits = object.get_mut(name).and_then(|value| digits_of(&value.take()));
            digits.map(zeroize::Zeroizing::new).ok_or_else(|| Error::malformed(format!("there is no `{name}` in it")))
        };
        PaillierSecret::new(&number("lambda")?, &number("mu")?)
    };
    read().map_err(|error| Error::key("not a Paillier private key").because(error).hint(hint))
}

/// Reads a public key file, `{"n": "...", "g": "..."}`: the key as configs have it, its JSON text.
///
/// # Errors
/// [`Kind::Key`] if it is none.
pub fn read_public(text: &[u8]) -> Result<String> {
    let hint = "such a key is a JSON object with the decimal strings `n` and `g`, as the desktop client writes it";
    let read = || -> Result<String> {
        let object = json::parse_object(text)?;
        key_of(&object)?;
        Ok(Value::Object(object).to_string())
    };
    read().map_err(|error| Error::key("not a Paillier public key").because(error).hint(hint))
}

fn key_of(object: &Object) -> Result<PaillierPublicKey> {
    let number = |name| object.get(name).and_then(digits_of);
    let (Some(n), Some(g)) = (number("n"), number("g")) else {
        return Err(Error::malformed("not of the form {\"n\": \"...\", \"g\": \"...\"}"));
    };
    PaillierPublicKey::new(&n, &g)
}

/// The creator's public key, as the config has it.
///
/// # Errors
/// [`Kind::Key`] if it has none; [`Kind::Malformed`] if that is no key.
pub fn public_key(config: &TrainConfig) -> Result<PaillierPublicKey> {
    let creator = config.raw().get("creator").and_then(Value::as_object);
    let Some(key) = creator.and_then(|creator| creator.get("paillier_public_key")).filter(|key| !key.is_null()) else {
        let what = "the train has no Paillier public key of its creator";
        return Err(Error::key(what).advise(Advice::OmitPaillierKey));
    };
    key_of(&object_of(key).unwrap_or_default()).at("creator.paillier_public_key")
}

/// A Paillier key as configs have it: an object, its JSON text, or the hex of that.
pub(super) fn object_of(key: &Value) -> Option<Object> {
    match key {
        Value::Object(object) => Some(object.clone()),
        Value::String(text) if text.trim_start().starts_with('{') => json::parse_object(text.as_bytes()).ok(),
        Value::String(text) => json::parse_object(&hex::decode(text).ok()?).ok(),
        _ => None,
    }
}

/// A number as keys have it: in a string, or as it is.
pub(super) fn digits_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Decrypts every string and every long integer of a JSON document, at any depth, as the field's desktop client does:
/// in their place stands the plaintext, as a number. Names, shorter integers, fractions, booleans and nulls stay.
///
/// # Errors
/// [`Kind::Malformed`] if it is not JSON, or if a string or a long integer in it is no ciphertext under this key.
pub fn decrypt_document(key: &PaillierKey<'_>, document: &[u8]) -> Result<Vec<u8>> {
    let mut value = json::parse(document)?;
    decrypt(key, &mut value, &mut String::new())?;
    Ok(json::to_vec(&value))
}

fn decrypt(key: &PaillierKey<'_>, value: &mut Value, path: &mut String) -> Result<()> {
    let length = path.len();
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let _ = write!(path, "/{}", Printable::new(name)); // into a string it cannot fail
                decrypt(key, member, path)?;
                path.truncate(length);
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                let _ = write!(path, "/{at}");
                decrypt(key, item, path)?;
                path.truncate(length);
            }
        }
        Value::String(text) => *value = number(key, text).at(&*path)?,
        Value::Number(integer) => {
            let text = integer.to_string();
            if text.len() >= MIN_INTEGER && !text.contains(['.', 'e', 'E']) {
                *value = number(key, &text).at(&*path)?;
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
    Ok(())
}

fn number(key: &PaillierKey<'_>, text: &str) -> Result<Value> {
    let not_one = |error: Error| {
        let hint =
            "in files with `.he.json` in their name every string has to be a number under the creator's Paillier key";
        error.as_kind(Kind::Malformed).hint(hint)
    };
    let ciphertext = parse_number(text).map_err(not_one)?;
    let Some(plaintext) = key.decrypt(&ciphertext) else {
        return Err(not_one(Error::malformed("not a number under the creator's Paillier key")));
    };
    json::parse(plaintext.to_string_radix_vartime(10).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> (PaillierPublicKey, PaillierSecret) {
        (PaillierPublicKey::new("35", "36").unwrap(), read_secret(br#"{"mu": "3", "lambda": "12"}"#).unwrap())
    }

    #[test]
    fn decrypts_strings_and_long_integers_at_any_depth_and_nothing_else() {
        let (public, secret) = key();
        let key = PaillierKey::new(&public, &secret).unwrap();
        // 36^m mod 35^2 is a ciphertext of m, and stays one with a multiple of 35^2 added.
        let long = |m: u64| format!("{}", 36_u64.pow(m as u32) % 1225 + 1225 * 10_u64.pow(15));
        let text = format!(
            r#"{{"36":"36","a":[{},[" 71 ",{{"b":"0x24"}}]],"count":36,"f":[1.50,123456789.0123456789,1e+30],"n":[null,true]}}"#,
            long(2)
        );
        let wanted = r#"{"36":1,"a":[2,[2,{"b":1}]],"count":36,"f":[1.50,123456789.0123456789,1e+30],"n":[null,true]}"#;
        assert_eq!(String::from_utf8(decrypt_document(&key, text.as_bytes()).unwrap()).unwrap(), wanted);
        assert_eq!(decrypt_document(&key, b" \"36\" ").unwrap(), b"1");
    }

    #[test]
    fn says_where_something_is_no_ciphertext() {
        let (public, secret) = key();
        let key = PaillierKey::new(&public, &secret).unwrap();
        for (text, message) in [
            (r#"{"a":["36","charite"]}"#, "/a/1: not a natural number"),
            (r#"{"a":{"b c":""}}"#, "/a/b c: not a natural number"),
            (r#"["-36"]"#, "/0: not a natural number"),
            (r#"[-1234567890123456]"#, "/0: not a natural number"),
            (r#"["0"]"#, "/0: not a number under the creator's Paillier key"),
            (r#"["35"]"#, "/0: not a number under the creator's Paillier key"),
            ("", "not valid JSON"),
            (r#"{"a":1,"a":2}"#, "not valid JSON"),
        ] {
            let error = decrypt_document(&key, text.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), Kind::Malformed, "{text}");
            assert!(error.to_string().starts_with(message), "{text}: {error}");
        }
    }

    #[test]
    fn a_private_key_file_is_json_with_two_numbers() {
        for text in ["", "[]", "{}", r#"{"mu":"3"}"#, r#"{"mu":"3","lambda":"x"}"#, r#"{"mu":"3","lambda":null}"#] {
            let error = read_secret(text.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), Kind::Key, "{text}");
        }
        assert!(read_secret(br#"{"mu":3,"lambda":12}"#).is_ok());
    }

    #[test]
    fn knows_the_files_by_their_names() {
        for (path, is) in [("a.he.json", true), ("sub/a.he.json.bak", true), ("x.he.json/a", true), ("he.json", false)]
        {
            assert_eq!(is_homomorphic(path.as_bytes()), is, "{path}");
        }
    }
}
