//! What a server says for itself: documents, and the words of its refusals.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};

use super::transport::Response;
use crate::error::{Error, IoContext, Kind, Result};
use crate::json::Value;
use crate::text::Printable;

/// The bytes of a refusal that are read.
const MAX_REFUSAL: u64 = 16 << 10;
/// The characters of it that are shown.
const MAX_SHOWN: usize = 500;
/// The errors of one answer that are shown.
const MAX_ERRORS: usize = 3;

/// The body of an answer, unpacked if it is packed, and at most `limit` bytes and one of it.
///
/// # Errors
/// [`Kind::Registry`] if it is cut off, damaged or packed in another way than by gzip.
pub(super) fn document(response: &mut Response, limit: u64) -> Result<Vec<u8>> {
    let encoding = response.header(CONTENT_ENCODING).unwrap_or_default().to_ascii_lowercase();
    let mut bytes = Vec::new();
    match encoding.as_str() {
        "" | "identity" => response.by_ref().take(limit + 1).read_to_end(&mut bytes),
        "gzip" | "x-gzip" => MultiGzDecoder::new(response.by_ref()).take(limit + 1).read_to_end(&mut bytes),
        other => {
            let what =
                format!("the answer has the Content-Encoding `{}`, which was not asked for", Printable::new(other));
            let hint = "the registry or a proxy in front of it is faulty; ask who runs it";
            return Err(Error::new(Kind::Registry, what).hint(hint));
        }
    }
    .doing("read the answer")
    .map_err(|error| if error.kind() == Kind::Io { error.as_kind(Kind::Registry).hint("try again") } else { error })?;
    Ok(bytes)
}

/// True if the answer is a page for a person, as a login page or a captive portal is.
pub(super) fn is_page(response: &Response) -> bool {
    let kind = media_type(response);
    kind == "text/html" || kind == "application/xhtml+xml"
}

/// True if a body looks like such a page, whatever its type is.
pub(super) fn looks_like_page(body: &[u8]) -> bool {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start();
    body.starts_with(b"<")
}

/// The type of an answer in lower case, without parameters; empty if it has none.
pub(super) fn media_type(response: &Response) -> String {
    let stated = response.header(CONTENT_TYPE).unwrap_or_default();
    stated.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// What a refusal says, in one line that is safe to show; empty if it says nothing that can be told.
pub(super) fn words_of(mut response: Response) -> String {
    let is_text = media_type(&response) == "text/plain";
    // What cannot be read is not said.
    let body = document(&mut response, MAX_REFUSAL).unwrap_or_default();
    let said = match serde_json::from_slice::<Value>(&body) {
        Ok(document) => in_json(&document),
        Err(_) if is_text && !looks_like_page(&body) => {
            String::from_utf8_lossy(&body).lines().next().map(str::to_owned)
        }
        Err(_) => None,
    };
    let said: String = said.unwrap_or_default().trim().chars().take(MAX_SHOWN).collect();
    Printable::new(&said).to_string()
}

/// The errors of the distribution specification, `{"errors": [{"code", "message", "detail"}]}`, and what others say in
/// their place: `message`, `detail`, `error` with `error_description` (OAuth 2).
fn in_json(document: &Value) -> Option<String> {
    let errors = match document.get("errors") {
        Some(Value::Array(errors)) if !errors.is_empty() => &errors[..],
        _ => std::slice::from_ref(document),
    };
    let said: Vec<String> = errors.iter().take(MAX_ERRORS).filter_map(in_error).collect();
    (!said.is_empty()).then(|| said.join("; "))
}

fn in_error(error: &Value) -> Option<String> {
    let text = |key: &str| match error.get(key)? {
        Value::Null => None,
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Object(empty) if empty.is_empty() => None,
        Value::Array(empty) if empty.is_empty() => None,
        other => Some(other.to_string()),
    };
    if let Value::String(text) = error {
        return Some(text.clone());
    }
    if let Some(message) = text("message") {
        return Some(message);
    }
    let parts = ["code", "error", "error_description", "detail", "details"].map(text);
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_words_of_a_refusal() {
        for (body, words) in [
            (r#"{"errors":[{"code":"DENIED","message":"no \"right\""}]}"#, Some(r#"no "right""#)),
            (r#"{"errors":[{"code":"A","message":"one"},{"code":"B","message":"two"}]}"#, Some("one; two")),
            (
                r#"{"errors":[{"code":"MANIFEST_INVALID","detail":"no such type"}]}"#,
                Some("MANIFEST_INVALID: no such type"),
            ),
            (r#"{"errors":[{"code":"X","message":"","detail":{"tag":"a"}}]}"#, Some(r#"X: {"tag":"a"}"#)),
            (r#"{"errors":[{"code":"X","message":null,"detail":{}}]}"#, Some("X")),
            (r#"{"errors":["plain"]}"#, Some("plain")),
            (r#"{"errors":[],"message":"outer"}"#, Some("outer")),
            (r#"{"error":"invalid_grant","error_description":"expired"}"#, Some("invalid_grant: expired")),
            (r#"{"detail":"not found"}"#, Some("not found")),
            (r#""text""#, Some("text")),
            (r#"{"other":1}"#, None),
            ("[]", None),
            ("7", None),
        ] {
            assert_eq!(in_json(&serde_json::from_str(body).unwrap()).as_deref(), words, "{body}");
        }
    }

    #[test]
    fn knows_a_page_by_its_body() {
        for body in ["<html>", "\u{feff} \n<!DOCTYPE html>", "<?xml version=\"1.0\"?>"] {
            assert!(looks_like_page(body.as_bytes()), "{body}");
        }
        for body in ["", "{\"a\":\"<html>\"}", "[]"] {
            assert!(!looks_like_page(body.as_bytes()), "{body}");
        }
    }
}
