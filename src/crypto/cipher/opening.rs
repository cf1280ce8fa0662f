//! What the decryptors of all ciphers share.

use std::io::{self, Read};
use std::ops::Range;

use crate::error::Error;

/// What every failure that depends on the key says: the same for bad padding and for a wrong tag, so that neither a
/// person nor a program can tell them apart.
pub(super) const CANNOT_DECRYPT: &str = "cannot be decrypted with this train's key (wrong key or changed data)";

/// A piece of plaintext in the opener's buffer.
pub(super) struct Piece {
    pub(super) range: Range<usize>,
    /// Nothing comes after it, and the ciphertext was whole.
    pub(super) last: bool,
}

/// The failure of a ciphertext that is at odds with the key.
pub(super) fn cannot_decrypt() -> Error {
    Error::verification(CANNOT_DECRYPT)
}

/// Reads until `buffer` is full or the end comes, and says how much.
pub(super) fn fill(inner: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match inner.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
