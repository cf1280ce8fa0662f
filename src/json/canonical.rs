//! The canonical form of JSON that is signed: RFC 8785 (JCS), as far as trains need it.

use crate::error::{Error, Result};
use crate::json::Value;

/// The largest integer that every JSON reader takes for the same number (RFC 7493, section 2.2).
pub(crate) const MAX_INTEGER: u64 = (1 << 53) - 1;

/// The RFC 8785 form of a document of objects, lists, texts, integers, truth values and `null`.
///
/// Numbers are integers of at most 53 bits: RFC 8785 writes all others as the nearest double, so that two documents
/// with different numbers would be one.
///
/// # Errors
/// [`Kind::Malformed`](crate::error::Kind::Malformed) for any other number; the message names it.
pub fn canonical(value: &Value) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    write(value, &mut out)?;
    Ok(out)
}

fn write(value: &Value, out: &mut Vec<u8>) -> Result<()> {
    match value {
        Value::Number(number) => out.extend(integer(&number.to_string())?.bytes()),
        Value::Array(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                out.extend(&b","[..usize::from(at > 0)]);
                write(item, out)?;
            }
            out.push(b']');
        }
        Value::Object(members) => {
            let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
            // By UTF-16 code units (RFC 8785, section 3.2.3), which differs from the order of bytes beyond U+FFFF.
            sorted.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            out.push(b'{');
            for (at, (key, member)) in sorted.into_iter().enumerate() {
                out.extend(&b","[..usize::from(at > 0)]);
                text(key, out);
                out.push(b':');
                write(member, out)?;
            }
            out.push(b'}');
        }
        Value::String(string) => text(string, out),
        Value::Bool(_) | Value::Null => out.extend(value.to_string().bytes()),
    }
    Ok(())
}

/// RFC 8785, section 3.2.2.2.
fn text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend([b'\\', c as u8]),
            '\u{8}' => out.extend(b"\\b"),
            '\t' => out.extend(b"\\t"),
            '\n' => out.extend(b"\\n"),
            '\u{c}' => out.extend(b"\\f"),
            '\r' => out.extend(b"\\r"),
            c if c < ' ' => out.extend(format!("\\u{:04x}", u32::from(c)).bytes()),
            c => out.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    out.push(b'"');
}

/// RFC 8785, section 3.2.2.3, for integers; `number` is one as JSON writes it.
fn integer(number: &str) -> Result<String> {
    let digits = number.strip_prefix('-').unwrap_or(number);
    match digits.parse::<u64>() {
        Ok(0) => Ok("0".to_owned()), // also of a negative zero
        Ok(..=MAX_INTEGER) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Ok(number.to_owned()),
        _ => Err(Error::malformed(format!(
            "the signed number {number} is not an integer that every reader takes for the same"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::json::parse;

    fn canonical_text(document: &str) -> Result<String> {
        Ok(String::from_utf8(canonical(&parse(document.as_bytes())?)?).unwrap())
    }

    /// RFC 8785, section 3.2.2, without its floats.
    #[test]
    fn writes_the_rfc_s_example() {
        let document = r#"{
            "numbers": [333333333, 4, 2, 0],
            "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
            "literals": [null, true, false]
        }"#;
        let expected =
            r#"{"literals":[null,true,false],"numbers":[333333333,4,2,0],"string":"€$\u000f\nA'B\"\\\\\"/"}"#;
        assert_eq!(canonical_text(document).unwrap(), expected);
    }

    /// RFC 8785, section 3.2.3.
    #[test]
    fn sorts_as_the_rfc_does() {
        let document = "{\"\\u20ac\":\"Euro Sign\",\"\\r\":\"Carriage Return\",\"\\ufb33\":\"Hebrew Letter Dalet With \
                        Dagesh\",\"1\":\"One\",\"\\ud83d\\ude00\":\"Emoji: Grinning Face\",\"\\u0080\":\"Control\",\
                        \"\\u00f6\":\"Latin Small Letter O With Diaeresis\"}";
        let Value::Object(sorted) = parse(canonical_text(document).unwrap().as_bytes()).unwrap() else { panic!() };
        let keys: Vec<&str> = sorted.keys().map(String::as_str).collect();
        assert_eq!(keys, ["\r", "1", "\u{80}", "\u{f6}", "\u{20ac}", "\u{1f600}", "\u{fb33}"]);
    }

    #[test]
    fn leaves_all_but_control_characters_alone() {
        let text: String =
            (0..0x20).chain([0x22, 0x2f, 0x5c, 0x7f, 0x80, 0x2028, 0xfffd]).filter_map(char::from_u32).collect();
        let expected = "\"\\u0000\\u0001\\u0002\\u0003\\u0004\\u0005\\u0006\\u0007\\b\\t\\n\\u000b\\f\\r\\u000e\\u000f\
                        \\u0010\\u0011\\u0012\\u0013\\u0014\\u0015\\u0016\\u0017\\u0018\\u0019\\u001a\\u001b\\u001c\
                        \\u001d\\u001e\\u001f\\\"/\\\\\u{7f}\u{80}\u{2028}\u{fffd}\"";
        assert_eq!(String::from_utf8(canonical(&Value::from(text)).unwrap()).unwrap(), expected);
    }

    #[test]
    fn takes_integers_that_are_the_same_everywhere() {
        for (number, expected) in [
            ("0", "0"),
            ("-0", "0"),
            ("-1", "-1"),
            ("9007199254740991", "9007199254740991"),
            ("-9007199254740991", "-9007199254740991"),
        ] {
            assert_eq!(canonical_text(number).unwrap(), expected);
        }
        for number in ["9007199254740992", "123456789012345678901234567890", "1.0", "1.5", "1e3", "-0.0", "1E0"] {
            assert_eq!(canonical_text(number).unwrap_err().kind(), Kind::Malformed, "{number}");
        }
    }
}
