//! The outer form of key files: PEM (RFC 7468, and RFC 1421 for the headers of OpenSSL's legacy encryption).
//!
//! More tolerant than RFC 7468's strict grammar about what people do to key files (text around the block, CRLF,
//! indentation, other line widths), and as strict about the base64 itself.

use pem_rfc7468::LineEnding;
use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// The largest key file that is read, in bytes: one of RSA-16384 is below 20 KiB.
pub const MAX_KEY_FILE: usize = 256 << 10;

/// Enough for a key between a chain of certificates.
const MAX_BLOCKS: usize = 32;

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";

/// One `-----BEGIN label-----` to `-----END label-----`.
pub(super) struct Block<'a> {
    /// Its label, such as `PRIVATE KEY`.
    pub(super) label: &'a str,
    headers: Vec<(&'a str, &'a str)>,
    /// The lines of base64, one directly after the other.
    body: Zeroizing<Vec<u8>>,
}

impl Block<'_> {
    /// The value of the header `name`, as in `DEK-Info: value`.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    /// True if OpenSSL's legacy encryption was used on it (RFC 1421, section 4.6.1.1).
    pub(super) fn is_legacy_encrypted(&self) -> bool {
        self.header("Proc-Type").is_some_and(|value| value.ends_with("ENCRYPTED"))
    }

    /// The bytes inside, or `None` if they are not base64. Decodes in constant time: they may be a private key.
    pub(super) fn decode(&self) -> Option<Zeroizing<Vec<u8>>> {
        // The decoder wants lines of 64; so the block is written anew rather than decoded by something laxer.
        let mut text = Zeroizing::new(Vec::with_capacity(self.body.len() / 64 * 65 + 65 + 64));
        text.extend_from_slice(b"-----BEGIN X-----\n");
        for line in self.body.chunks(64) {
            text.extend_from_slice(line);
            text.push(b'\n');
        }
        text.extend_from_slice(b"-----END X-----\n");
        let mut bytes = Zeroizing::new(vec![0; self.body.len() / 4 * 3 + 3]);
        let length = pem_rfc7468::decode(&text, &mut bytes).ok()?.1.len();
        bytes.truncate(length);
        Some(bytes)
    }
}

/// All blocks of a key file in order; the reason, in words, if there is none or one is broken.
pub(super) fn blocks(file: &[u8]) -> Result<Vec<Block<'_>>, String> {
    if file.len() > MAX_KEY_FILE {
        return Err(format!("{} bytes are too many for a key file", file.len()));
    }
    let mut found = Vec::new();
    let mut lines = file.split(|byte| *byte == b'\n' || *byte == b'\r').map(<[u8]>::trim_ascii);
    while let Some(line) = lines.next() {
        if let Some(label) = boundary(line, BEGIN) {
            if found.len() == MAX_BLOCKS {
                return Err(format!("more than {MAX_BLOCKS} PEM blocks are too many for a key file"));
            }
            found.push(block(label, &mut lines, file.len())?);
        }
    }
    if found.is_empty() {
        return Err(match file.first() {
            None => "empty file, expected a PEM block".into(),
            // The tag and the length form of every DER key.
            Some(0x30) if file.get(1).is_some_and(|length| length & 0x80 != 0) => {
                "no PEM block found; the file looks like DER, convert the key with openssl pkey -inform DER".into()
            }
            Some(_) => "no PEM block found, expected a line -----BEGIN ... KEY-----".into(),
        });
    }
    Ok(found)
}

/// Whether a file in which there is a block is that block and white space around it, without headers.
pub(super) fn is_one_block(file: &[u8]) -> bool {
    let file = file.trim_ascii();
    let mut lines = file.split(|byte| *byte == b'\n' || *byte == b'\r').map(<[u8]>::trim_ascii);
    let begins = lines.next().is_some_and(|line| boundary(line, BEGIN).is_some());
    let mut inside = lines.skip_while(|line| !line.starts_with(DASHES) && !line.contains(&b':'));
    let ends = inside.next().is_some_and(|line| boundary(line, END).is_some());
    begins && ends && inside.next().is_none()
}

fn block<'a>(label: &'a str, lines: &mut impl Iterator<Item = &'a [u8]>, at_most: usize) -> Result<Block<'a>, String> {
    // Room for the whole file: a buffer that grows would leave copies of the key behind.
    let mut block = Block { label, headers: Vec::new(), body: Zeroizing::new(Vec::with_capacity(at_most)) };
    for line in lines {
        if let Some(end) = boundary(line, END) {
            return if end == label { Ok(block) } else { Err(format!("PEM block {label} ends as {end}")) };
        }
        if line.starts_with(DASHES) {
            break;
        }
        // Headers come first, and base64 has no colon.
        match std::str::from_utf8(line).ok().and_then(|line| line.split_once(':')) {
            Some((name, value)) if block.body.is_empty() => block.headers.push((name.trim(), value.trim())),
            _ => block.body.extend(line.iter().filter(|byte| !byte.is_ascii_whitespace())),
        }
    }
    Err(format!("PEM block {label} has no end"))
}

/// The label of a boundary line, bounded so that a message can show it.
fn boundary<'a>(line: &'a [u8], kind: &[u8]) -> Option<&'a str> {
    let label = std::str::from_utf8(line.strip_prefix(kind)?.strip_suffix(DASHES)?).ok()?;
    let plain = label.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    (plain && (1..=64).contains(&label.len())).then_some(label)
}

/// `der` as a PEM block, lines of 64 and a line feed at the end. Encodes in constant time.
///
/// # Errors
/// [`Kind::Internal`](crate::error::Kind::Internal) if it is too long for memory.
pub(super) fn encode(label: &str, der: &[u8]) -> Result<Zeroizing<String>> {
    pem_rfc7468::encode_string(label, LineEnding::LF, der)
        .map(Zeroizing::new)
        .map_err(|cause| Error::internal("cannot encode a PEM block").because(cause))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn takes_what_people_do_to_key_files() {
        let file =
            b"  my key\r\n\r\n\t-----BEGIN A B-----\r\nX-Note: 1,2\r\n\r\n  AAEC\r\nAwQ=\r\n-----END A B-----  \r\nbye";
        let blocks = blocks(file).unwrap_or_default();
        assert_eq!(blocks.len(), 1);
        assert_eq!(blocks[0].label, "A B");
        assert_eq!(blocks[0].header("x-note"), Some("1,2"));
        assert_eq!(blocks[0].decode().unwrap().as_slice(), [0, 1, 2, 3, 4]);
        assert!(!blocks[0].is_legacy_encrypted());
    }

    #[test]
    fn says_what_is_wrong() {
        let why = |file: &[u8]| blocks(file).err().unwrap();
        assert!(why(b"").contains("empty file"));
        assert!(why(b"hello").contains("-----BEGIN"));
        assert!(why(b"\x30\x82\x01\x00").contains("DER"));
        assert_eq!(why(b"-----BEGIN A-----\nAAAA\n"), "PEM block A has no end");
        assert_eq!(why(b"-----BEGIN A-----\nAAAA\n-----END B-----\n"), "PEM block A ends as B");
        assert_eq!(why(b"-----BEGIN A-----\nAAAA\n-----BEGIN B-----\n"), "PEM block A has no end");
    }

    #[test]
    fn refuses_bad_base64() {
        for body in ["AAA", "AA-_", "AAB=", "AA==AAAA", "A\u{e9}A="] {
            let file = format!("-----BEGIN A-----\n{body}\n-----END A-----\n");
            assert!(blocks(file.as_bytes()).unwrap_or_default()[0].decode().is_none(), "{body}");
        }
    }

    proptest! {
        #[test]
        fn decodes_what_it_encodes(der in proptest::collection::vec(any::<u8>(), 1..300)) {
            let text = encode("A KEY", &der).unwrap();
            let blocks = blocks(text.as_bytes()).unwrap_or_default();
            let decoded = blocks[0].decode().unwrap();
            prop_assert_eq!(decoded.as_slice(), der.as_slice());
        }

        #[test]
        fn never_panics(body: Vec<u8>) {
            let mut file = b"-----BEGIN A-----\n".to_vec();
            file.extend(body);
            file.extend(b"\n-----END A-----\n");
            for block in blocks(&file).unwrap_or_default() {
                block.decode();
            }
        }
    }
}
