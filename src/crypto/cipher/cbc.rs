//! AES-256-CBC files: `IV(16) ‖ CBC(PKCS#7(plaintext))` (NIST SP 800-38A, RFC 5652).

use std::io::{self, Read, Write};

use aes::Aes256Dec;
use cbc::cipher::{Array, BlockModeDecrypt, KeyIvInit, consts::U16};

use super::buffer::Buffer;
use super::opening::{Piece, cannot_decrypt, fill};
use crate::crypto::aes_cbc::{BLOCK, Encryptor};
use crate::error::{Error, Result};

/// Bytes that are encrypted or decrypted at a time; a multiple of the block, and small enough for a core's own cache.
pub(super) const CHUNK: usize = 128 << 10;

/// The last block and the one before it, which is its IV.
pub(super) const TAIL: usize = 2 * BLOCK;

/// `bytes` as a key.
///
/// # Errors
/// [`Kind::Key`](crate::error::Kind::Key) if they are not 32.
pub(super) fn key(bytes: &[u8]) -> Result<&[u8; 32]> {
    bytes.try_into().map_err(|_| Error::key(format!("AES-256 key of {} bytes, expected 32", bytes.len())))
}

pub(super) fn ciphertext_len(plain: u64) -> u64 {
    padded_len(plain).saturating_add(BLOCK as u64)
}

/// Bytes of `plain` bytes with padding, which is never empty.
pub(super) fn padded_len(plain: u64) -> u64 {
    (plain / BLOCK as u64).saturating_add(1).saturating_mul(BLOCK as u64)
}

pub(super) fn plaintext_len(key: &[u8; 32], cipher_len: u64, tail: &[u8]) -> Result<u64> {
    if cipher_len < TAIL as u64 || !cipher_len.is_multiple_of(BLOCK as u64) {
        return Err(not_whole());
    }
    let Ok([iv, last]) = <[[u8; BLOCK]; 2]>::try_from(tail.as_chunks().0) else { return Err(not_whole()) };
    let mut last = last;
    decrypt(&mut Decryptor::new(key.into(), &iv.into()), &mut last);
    let padding = padding(&last).ok_or_else(cannot_decrypt)?;
    Ok(cipher_len - (BLOCK + padding) as u64)
}

type Decryptor = cbc::Decryptor<Aes256Dec>;

/// Decrypts the whole blocks of `data` in place.
pub(super) fn decrypt(cipher: &mut impl BlockModeDecrypt<BlockSize = U16>, data: &mut [u8]) {
    cipher.decrypt_blocks(Array::slice_as_chunks_mut(data).0);
}

/// Pads what `buffer` holds up to `end` (RFC 5652, section 6.3) and says where it ends now.
pub(super) fn pad(buffer: &mut [u8], start: usize, end: usize) -> usize {
    let padding = BLOCK - (end - start) % BLOCK;
    // 1 to 16.
    buffer[end..end + padding].fill(padding as u8);
    end + padding
}

/// The number of padding bytes in the last block, if they are right; looks at all of them whatever they are.
pub(super) fn padding(last: &[u8]) -> Option<usize> {
    let count = *last.last()?;
    let mut wrong = u8::from(count == 0) | u8::from(usize::from(count) > BLOCK);
    for (place, byte) in (0u8..).zip(last.iter().rev().take(BLOCK)) {
        let inside = u8::from(place < count).wrapping_neg();
        wrong |= inside & (byte ^ count);
    }
    (wrong == 0).then_some(usize::from(count))
}

/// The failure of a ciphertext whose length alone is wrong.
fn not_whole() -> Error {
    Error::verification("not complete AES-CBC ciphertext (cut off, or not encrypted at all)")
}

/// Plaintext on its way to ciphertext.
pub(super) struct Sealer {
    cipher: Encryptor,
    buffer: Buffer,
    /// The start of the plaintext: the IV stands before it, the first time.
    start: usize,
    end: usize,
}

impl Sealer {
    pub(super) fn new(key: &[u8; 32], iv: [u8; BLOCK]) -> Result<Self> {
        let mut buffer = Buffer::new(CHUNK);
        buffer[..BLOCK].copy_from_slice(&iv);
        Ok(Sealer { cipher: Encryptor::new(key, iv)?, buffer, start: BLOCK, end: BLOCK })
    }

    /// The space for the next plaintext, never empty.
    pub(super) fn space(&mut self) -> &mut [u8] {
        self.buffer.lend(self.end..)
    }

    /// The first `count` bytes of the space are plaintext now. Writes when there is a chunk.
    pub(super) fn advance(&mut self, count: usize, inner: &mut impl Write) -> io::Result<()> {
        self.end += count;
        self.buffer.used_to(self.end);
        if self.end == CHUNK { self.seal(inner) } else { Ok(()) }
    }

    pub(super) fn finish(mut self, inner: &mut impl Write) -> io::Result<()> {
        self.end = pad(&mut self.buffer, self.start, self.end);
        self.seal(inner)
    }

    fn seal(&mut self, inner: &mut impl Write) -> io::Result<()> {
        self.cipher.encrypt(&mut self.buffer[self.start..self.end])?;
        let end = self.end;
        (self.start, self.end) = (0, 0);
        inner.write_all(&self.buffer[..end])
    }
}

/// Ciphertext on its way to plaintext.
pub(super) struct Opener {
    key: zeroize::Zeroizing<[u8; 32]>,
    /// None until the IV was read.
    cipher: Option<Decryptor>,
    buffer: Buffer,
    /// True if the buffer's last block is one that may be the ciphertext's last, held back for its padding.
    held: bool,
}

impl Opener {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Opener { key: (*key).into(), cipher: None, buffer: Buffer::new(CHUNK), held: false }
    }

    pub(super) fn plain(&self) -> &[u8] {
        &self.buffer
    }

    pub(super) fn advance(&mut self, inner: &mut impl Read) -> io::Result<Piece> {
        let kept = if self.held { BLOCK } else { 0 };
        self.buffer.copy_within(CHUNK - kept.., 0);
        let end = kept + fill(inner, &mut self.buffer[kept..])?;
        let last = end < CHUNK;
        let mut start = 0;
        let cipher = match &mut self.cipher {
            Some(cipher) => cipher,
            none => {
                let iv = self.buffer[..end].first_chunk::<BLOCK>().ok_or_else(not_whole)?;
                start = BLOCK;
                none.insert(Decryptor::new((&*self.key).into(), iv.into()))
            }
        };
        if last && (end == start || !(end - start).is_multiple_of(BLOCK)) {
            return Err(not_whole().into());
        }
        self.held = !last;
        let stop = if last { end } else { end - BLOCK };
        self.buffer.used_to(stop);
        decrypt(cipher, &mut self.buffer[start..stop]);
        if !last {
            return Ok(Piece { range: start..stop, last });
        }
        let padding = padding(&self.buffer[stop - BLOCK..stop]).ok_or_else(cannot_decrypt)?;
        Ok(Piece { range: start..stop - padding, last })
    }
}
