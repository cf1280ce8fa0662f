//! Files of wire version 3 (its specification, section Files): `salt(16) ‖ STREAM`, after Hoang, Reyhanitabar, Rogaway
//! and Vizár, *Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance*.
//!
//! AES-256-GCM over chunks of 64 KiB of plaintext, each with its 16-byte tag. The nonce is an 11-byte big-endian
//! counter and one byte that is 1 for the last chunk only, so that chunks cannot be cut off, dropped, doubled or
//! reordered. The file's key comes from the stage's key, the salt and the file's path: each key encrypts one file, so a
//! counter is a safe nonce, and a file cannot be moved to another name.

use std::io::{self, Read, Write};

use zeroize::Zeroizing;

use super::buffer::Buffer;
use super::opening::{Piece, cannot_decrypt, fill};
use crate::crypto::gcm::{Gcm, TAG};
use crate::crypto::kdf::hkdf_sha256;
use crate::error::{Error, Kind, Result};

/// Bytes of plaintext in every chunk but the last.
pub(super) const CHUNK: usize = 64 << 10;

/// Bytes of the salt.
const SALT: usize = 16;

/// Bytes of a whole chunk as it is stored.
const SEALED: usize = CHUNK + TAG;

/// The context of a file's key derivation, before the file's path.
const INFO: &[u8] = b"pht-oci/3 file\0";

pub(super) fn ciphertext_len(plain: u64) -> u64 {
    let chunks = plain.div_ceil(CHUNK as u64).max(1);
    plain.saturating_add(chunks * TAG as u64).saturating_add(SALT as u64)
}

/// The length tells all: nothing is padded.
pub(super) fn plaintext_len(cipher_len: u64) -> Result<u64> {
    let body = cipher_len.checked_sub((SALT + TAG) as u64).ok_or_else(not_whole)? + TAG as u64;
    let chunks = body.div_ceil(SEALED as u64);
    // Of one chunk the last may be empty; behind others it may not.
    let (last, least) = (body - (chunks - 1) * SEALED as u64, if chunks == 1 { TAG } else { TAG + 1 });
    if last < least as u64 { Err(not_whole()) } else { Ok(body - chunks * TAG as u64) }
}

/// The failure of a ciphertext whose length alone is wrong.
fn not_whole() -> Error {
    Error::verification("not a complete encrypted file (cut off, or not encrypted at all)")
}

/// The cipher of one file, and where in it the stream stands.
struct Chunks {
    cipher: Gcm,
    counter: u64,
}

impl Chunks {
    fn new(key: &[u8; 32], salt: &[u8; SALT], path: &[u8]) -> Result<Self> {
        let key = hkdf_sha256(key, salt, &[INFO, path])?;
        Ok(Chunks { cipher: Gcm::new(&key)?, counter: 0 })
    }

    /// The nonce of the next chunk.
    fn nonce(&mut self, last: bool) -> Result<[u8; 12]> {
        // 11 bytes could count further, but no file has 2^64 chunks.
        let mut nonce = [0; 12];
        nonce[3..11].copy_from_slice(&self.counter.to_be_bytes());
        nonce[11] = last.into();
        self.counter = self.counter.checked_add(1).ok_or_else(|| Error::new(Kind::Io, "the file is too long"))?;
        Ok(nonce)
    }

    /// Encrypts a chunk in place; behind it there is room for its tag.
    fn seal(&mut self, chunk: &mut [u8], last: bool) -> Result<()> {
        let nonce = self.nonce(last)?;
        self.cipher.seal(nonce, chunk)
    }

    /// Decrypts a chunk, its tag behind it, in place; it counts only if its tag is right.
    fn open(&mut self, chunk: &mut [u8], last: bool) -> Result<()> {
        let nonce = self.nonce(last)?;
        self.cipher.open(nonce, chunk).ok_or_else(cannot_decrypt)
    }
}

/// Plaintext on its way to ciphertext.
pub(super) struct Sealer {
    chunks: Chunks,
    /// The salt, until it is written; a chunk; and room for its tag, where before stands one byte more, which tells
    /// that the chunk is not the last.
    buffer: Buffer,
    /// The start of the plaintext: the salt stands before it, the first time.
    start: usize,
    end: usize,
}

impl Sealer {
    pub(super) fn new(key: &[u8; 32], salt: [u8; SALT], path: &[u8]) -> Result<Self> {
        let mut buffer = Buffer::new(SALT + SEALED);
        buffer[..SALT].copy_from_slice(&salt);
        Ok(Sealer { chunks: Chunks::new(key, &salt, path)?, buffer, start: SALT, end: SALT })
    }

    /// The space for the next plaintext, never empty.
    pub(super) fn space(&mut self) -> &mut [u8] {
        self.buffer.lend(self.end..=self.start + CHUNK)
    }

    /// The first `count` bytes of the space are plaintext now. Writes a chunk when there is more than one.
    pub(super) fn advance(&mut self, count: usize, inner: &mut impl Write) -> io::Result<()> {
        self.end += count;
        self.buffer.used_to(self.end);
        let full = self.start + CHUNK;
        if self.end <= full {
            return Ok(());
        }
        let ahead = self.buffer[full];
        self.end = full;
        let written = self.seal(false, inner);
        self.buffer[0] = ahead;
        self.end = 1;
        written
    }

    pub(super) fn finish(mut self, inner: &mut impl Write) -> io::Result<()> {
        self.seal(true, inner)
    }

    fn seal(&mut self, last: bool, inner: &mut impl Write) -> io::Result<()> {
        let end = self.end + TAG;
        self.chunks.seal(&mut self.buffer[self.start..end], last)?;
        (self.start, self.end) = (0, 0);
        inner.write_all(&self.buffer[..end])
    }
}

/// Ciphertext on its way to plaintext.
pub(super) struct Opener {
    key: Zeroizing<[u8; 32]>,
    path: Box<[u8]>,
    /// None until the salt was read.
    chunks: Option<Chunks>,
    /// A chunk, and one byte more that tells whether it is the last.
    buffer: Buffer,
    /// True if that byte exists.
    ahead: bool,
}

impl Opener {
    pub(super) fn new(key: &[u8; 32], path: &[u8]) -> Self {
        Opener { key: (*key).into(), path: path.into(), chunks: None, buffer: Buffer::new(SEALED + 1), ahead: false }
    }

    pub(super) fn plain(&self) -> &[u8] {
        &self.buffer
    }

    pub(super) fn advance(&mut self, inner: &mut impl Read) -> io::Result<Piece> {
        let first = self.chunks.is_none();
        let chunks = match &mut self.chunks {
            Some(chunks) => chunks,
            none => {
                let mut salt = [0; SALT];
                if fill(inner, &mut salt)? < SALT {
                    return Err(not_whole().into());
                }
                none.insert(Chunks::new(&self.key, &salt, &self.path)?)
            }
        };
        let kept = usize::from(self.ahead);
        self.buffer.copy_within(SEALED..SEALED + kept, 0);
        let end = kept + fill(inner, &mut self.buffer[kept..])?;
        self.ahead = end > SEALED;
        let last = !self.ahead;
        let sealed = end.min(SEALED);
        let length = sealed.checked_sub(TAG).ok_or_else(not_whole)?;
        if length == 0 && !first {
            return Err(not_whole().into()); // the chunk before it was the last
        }
        self.buffer.used_to(length);
        chunks.open(&mut self.buffer[..sealed], last)?;
        Ok(Piece { range: 0..length, last })
    }
}
