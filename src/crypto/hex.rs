//! Hexadecimal text, as the train config writes all byte strings.

use crate::error::{Error, Result};

/// `bytes` in lower-case hexadecimal.
pub fn encode(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)].into());
        text.push(DIGITS[usize::from(byte & 0x0f)].into());
    }
    text
}

/// The bytes that `text` writes in hexadecimal, of either case.
///
/// # Errors
/// [`Kind::Malformed`](crate::error::Kind::Malformed) if the length is odd or a character is no hexadecimal digit.
/// The message names the place and not the character: the text may be secret.
pub fn decode(text: &str) -> Result<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return Err(Error::malformed(format!("hexadecimal text of odd length {}", digits.len())));
    }
    let mut bytes = Vec::with_capacity(digits.len() / 2);
    for (at, pair) in digits.chunks_exact(2).enumerate() {
        match (value(pair[0]), value(pair[1])) {
            (Some(high), Some(low)) => bytes.push(high << 4 | low),
            (high, _) => {
                let place = at * 2 + usize::from(high.is_some());
                return Err(Error::malformed(format!("not a hexadecimal digit at byte {place}")));
            }
        }
    }
    Ok(bytes)
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn says_where_the_text_is_wrong() {
        assert_eq!(decode("00FfaB").unwrap(), [0, 255, 171]);
        assert!(decode("").unwrap().is_empty());
        assert_eq!(decode("abc").unwrap_err().to_string(), "hexadecimal text of odd length 3");
        assert_eq!(decode("0g").unwrap_err().to_string(), "not a hexadecimal digit at byte 1");
        assert_eq!(decode("00 0").unwrap_err().to_string(), "not a hexadecimal digit at byte 2");
        assert!(decode("é").is_err());
    }

    proptest! {
        #[test]
        fn decodes_what_it_encodes(bytes: Vec<u8>) {
            prop_assert_eq!(decode(&encode(&bytes)).unwrap(), bytes.clone());
            prop_assert_eq!(decode(&encode(&bytes).to_uppercase()).unwrap(), bytes);
        }

        #[test]
        fn never_panics(text: String) {
            let _ = decode(&text);
        }
    }
}
