//! Encodings of bytes as text: what is in them.

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

/// The longest in base64, which no digest is as long as.
pub(super) const LONG_BASE64: usize = 120;
/// The fewest characters of an encoding that are looked into.
pub(super) const FEW_ENCODED: usize = 14;

pub(super) fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/=-_".contains(&byte)
}

/// What an encoding in a text, too short for its form to tell, holds: text, or something compressed.
pub(super) fn encoded_text(text: &str) -> Option<String> {
    for word in text.split(|c: char| !c.is_ascii() || !is_base64(c as u8)) {
        // A picture may be long; longer ones are looked into elsewhere.
        if !(FEW_ENCODED..LONG_BASE64 * 4).contains(&word.len()) {
            continue;
        }
        let of_all = |bytes: Option<Vec<u8>>| bytes.filter(|bytes| reads_as_text(bytes));
        if of_all(from_hex(word)).is_some() {
            return Some(format!("{} hexadecimal digits that are text", word.len()));
        }
        if of_all(from_base32(word)).is_some() {
            return Some(format!("{} characters in base32 that are text", word.len()));
        }
        let whole = word.trim_end_matches('=');
        let whole = &whole[..whole.len() / 4 * 4];
        let Some(bytes) = decode(whole) else { continue };
        if reads_as_text(&bytes) {
            return Some(format!("{} characters in base64 that are text", word.len()));
        }
        let is_packed =
            [&b"\x1f\x8b\x08"[..], b"\x78\x9c", b"\x78\xda", b"\x80\x04\x95", b"PK\x03\x04", b"BZh", b"\xfd7zXZ"]
                .iter()
                .any(|magic| bytes.starts_with(magic));
        if is_packed {
            return Some(format!("{} characters in base64 that are something compressed", word.len()));
        }
    }
    None
}

/// True for bytes that all are characters which a person reads, with letters among them.
fn reads_as_text(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let is_plain = |c: char| !c.is_control() && c != '\u{fffd}' || "\n\r\t".contains(c);
    let plain = text.chars().filter(|c| c.is_alphanumeric() || " .,;:-_/\n\t".contains(*c)).count();
    bytes.len() >= 10
        && text.chars().all(is_plain)
        && text.chars().any(char::is_alphabetic)
        && plain * 10 >= text.chars().count() * 9
}

fn from_hex(word: &str) -> Option<Vec<u8>> {
    // Long numbers have digits only.
    let is_hex = word.len().is_multiple_of(2) && word.bytes().any(|byte| byte.is_ascii_alphabetic());
    is_hex.then(|| crate::crypto::hex::decode(word).ok()).flatten()
}

/// RFC 4648, section 6.
fn from_base32(word: &str) -> Option<Vec<u8>> {
    let word = word.trim_end_matches('=');
    let (mut bits, mut held, mut bytes) = (0_u32, 0, Vec::new());
    for byte in word.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'2'..=b'7' => byte - b'2' + 26,
            _ => return None,
        };
        bits = bits << 5 | u32::from(value);
        held += 5;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    Some(bytes)
}

pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let alphabet = if text.contains(['-', '_']) { URL_SAFE } else { STANDARD };
    GeneralPurpose::new(&alphabet, config).decode(text).ok()
}
