//! Fernet tokens (the specification at github.com/fernet/spec), as files.
//!
//! `base64url(0x80 ‖ time(8, BE) ‖ IV(16) ‖ AES-128-CBC(PKCS#7(plaintext)) ‖ HMAC-SHA-256(32))` with padding. Reading
//! is strict: whatever Python's reader skips or completes (characters that are no base64, absent padding, bits behind
//! the last byte) is refused, so that one plaintext has one token per IV and time. The time is ignored.

use std::io::{self, Read, Write};

use aes::Aes128Dec;
use base64::Engine;
use base64::engine::general_purpose::{NO_PAD, PAD};
use cbc::cipher::KeyIvInit;
use text::{Base64, base64};
use zeroize::Zeroizing;

use super::buffer::Buffer;
use super::cbc::{decrypt, pad, padded_len, padding};
use super::opening::{Piece, cannot_decrypt, fill};
use crate::crypto::aes_cbc::{BLOCK, Encryptor};
use crate::crypto::digest::HmacSha256;
use crate::error::{Error, Result};

const VERSION: u8 = 0x80;

/// Bytes before the ciphertext: version, time and IV.
const HEADER: usize = 1 + 8 + BLOCK;

/// Bytes of the tag.
const TAG: usize = 32;

/// Bytes of plaintext that are encrypted at a time: a multiple of both the block and of base64's three.
pub(super) const CHUNK: usize = 48 << 10;

/// Characters that are decoded at a time: a multiple of base64's four.
const TEXT: usize = CHUNK / 3 * 4;

/// Bytes at the end that wait until it is known whether they are the end: tag and last block.
const HELD: usize = TAG + BLOCK;

/// Characters that hold the tag, the last block and the one before it (or the IV), however the padding falls.
pub(super) const TAIL: usize = (HELD + BLOCK).div_ceil(3) * 4;

/// Bytes of the shortest token, that of no plaintext.
const SHORTEST: u64 = ((HEADER + BLOCK + TAG) as u64).div_ceil(3) * 4;

// The vectors of the processor where the crate has code for them.
#[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon")))]
mod text {
    use base64::engine::{GeneralPurposeConfig, Simd};

    pub(super) type Base64 = Simd;

    pub(super) fn base64(config: GeneralPurposeConfig) -> Base64 {
        Simd::url_safe(config)
    }
}
#[cfg(not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon"))))]
mod text {
    use base64::engine::{GeneralPurpose, GeneralPurposeConfig};

    pub(super) type Base64 = GeneralPurpose;

    pub(super) fn base64(config: GeneralPurposeConfig) -> Base64 {
        GeneralPurpose::new(&base64::alphabet::URL_SAFE, config)
    }
}

/// The two halves of a key.
pub(super) struct Keys {
    signing: Zeroizing<[u8; 16]>,
    encryption: Zeroizing<[u8; 16]>,
}

impl Keys {
    /// The keys that `text` writes.
    ///
    /// # Errors
    /// [`Kind::Key`](crate::error::Kind::Key) if it is not the base64url, with padding, of 32 bytes.
    pub(super) fn of(text: &[u8]) -> Result<Self> {
        // Room for what 44 characters may decode to.
        let mut bytes = Zeroizing::new([0; 33]);
        let decoded = (text.len() == 44).then(|| base64(PAD).decode_slice(text, bytes.as_mut()).ok()).flatten();
        if decoded != Some(32) {
            return Err(Error::key("not a Fernet key, expected 44 characters of base64url"));
        }
        let mut keys = Keys { signing: [0; 16].into(), encryption: [0; 16].into() };
        keys.signing.copy_from_slice(&bytes[..16]);
        keys.encryption.copy_from_slice(&bytes[16..32]);
        Ok(keys)
    }
}

/// `bytes` in base64url.
///
/// # Errors
/// [`Kind::Internal`](crate::error::Kind::Internal), never for 32 bytes.
pub(super) fn key_text(bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let mut text = Zeroizing::new(vec![0; bytes.len().div_ceil(3) * 4]);
    base64(PAD).encode_slice(bytes, &mut text).map_err(|_| Error::internal("cannot encode the Fernet key"))?;
    Ok(text)
}

pub(super) fn ciphertext_len(plain: u64) -> u64 {
    padded_len(plain).saturating_add((HEADER + TAG) as u64).div_ceil(3).saturating_mul(4)
}

pub(super) fn plaintext_len(keys: &Keys, cipher_len: u64, tail: &[u8]) -> Result<u64> {
    if cipher_len < SHORTEST || !cipher_len.is_multiple_of(4) || tail.len() != TAIL {
        return Err(not_whole());
    }
    let mut bytes = Zeroizing::new([0; TAIL / 4 * 3]);
    let length = base64(PAD).decode_slice(tail, bytes.as_mut()).map_err(|_| not_whole())?;
    let missing = (bytes.len() - length) as u64;
    let raw = (cipher_len / 4).checked_mul(3).map_or(0, |raw| raw - missing);
    let padded = raw.checked_sub((HEADER + TAG) as u64).ok_or_else(not_whole)?;
    let blocks = length.checked_sub(HELD + BLOCK).map(|from| &mut bytes[from..from + 2 * BLOCK]);
    let (Some(blocks), true) = (blocks, padded.is_multiple_of(BLOCK as u64)) else { return Err(not_whole()) };
    let (iv, last) = blocks.split_at_mut(BLOCK);
    let mut cipher = Decryptor::new_from_slices(keys.encryption.as_ref(), iv).map_err(|_| cannot_decrypt())?;
    decrypt(&mut cipher, last);
    let padding = padding(last).ok_or_else(cannot_decrypt)?;
    padded.checked_sub(padding as u64).ok_or_else(not_whole)
}

type Decryptor = cbc::Decryptor<Aes128Dec>;

/// The failure of what is no token whatever the key.
fn not_whole() -> Error {
    Error::verification("not a complete Fernet token (cut off, or not encrypted at all)")
}

/// Plaintext on its way to a token.
pub(super) struct Sealer {
    cipher: Encryptor,
    tag: HmacSha256,
    base64: Base64,
    /// Bytes not written yet: ciphertext that fills no base64 group of three, then plaintext.
    buffer: Buffer,
    start: usize,
    end: usize,
    /// Bytes of plaintext at which the buffer is full.
    full: usize,
    text: Buffer,
}

impl Sealer {
    pub(super) fn new(keys: &Keys, iv: [u8; BLOCK], time: u64) -> Result<Self> {
        // The header is one byte more than whole groups; so is every chunk after it.
        let mut buffer = Buffer::new(HEADER + CHUNK + BLOCK + TAG);
        buffer[0] = VERSION;
        buffer[1..9].copy_from_slice(&time.to_be_bytes());
        buffer[9..HEADER].copy_from_slice(&iv);
        let mut tag = HmacSha256::new(keys.signing.as_ref())?;
        tag.update(&buffer[..HEADER]);
        Ok(Sealer {
            cipher: Encryptor::new(keys.encryption.as_ref(), iv)?,
            tag,
            base64: base64(PAD),
            buffer,
            start: HEADER,
            end: HEADER,
            full: HEADER + CHUNK,
            text: Buffer::new((HEADER + CHUNK + BLOCK + TAG).div_ceil(3) * 4),
        })
    }

    /// The space for the next plaintext, never empty.
    pub(super) fn space(&mut self) -> &mut [u8] {
        self.buffer.lend(self.end..self.full)
    }

    /// The first `count` bytes of the space are plaintext now. Writes when there is a chunk.
    pub(super) fn advance(&mut self, count: usize, inner: &mut impl Write) -> io::Result<()> {
        self.end += count;
        self.buffer.used_to(self.end);
        if self.end == self.full { self.seal(inner) } else { Ok(()) }
    }

    fn seal(&mut self, inner: &mut impl Write) -> io::Result<()> {
        self.encrypt()?;
        let whole = self.end - self.end % 3;
        let written = self.write(whole, inner);
        self.buffer.copy_within(whole..self.end, 0);
        self.start = self.end - whole;
        self.end = self.start;
        self.full = self.start + CHUNK;
        written
    }

    pub(super) fn finish(mut self, inner: &mut impl Write) -> io::Result<()> {
        self.end = pad(&mut self.buffer, self.start, self.end);
        self.encrypt()?;
        let tag = std::mem::replace(&mut self.tag, HmacSha256::new(&[])?).finish();
        self.buffer[self.end..self.end + TAG].copy_from_slice(&tag);
        self.write(self.end + TAG, inner)
    }

    fn encrypt(&mut self) -> Result<()> {
        let blocks = &mut self.buffer[self.start..self.end];
        self.cipher.encrypt(blocks)?;
        self.tag.update(blocks);
        Ok(())
    }

    /// Writes the first `end` bytes.
    fn write(&mut self, end: usize, inner: &mut impl Write) -> io::Result<()> {
        let length = self.base64.encode_slice(&self.buffer[..end], &mut self.text).map_err(io::Error::other)?;
        inner.write_all(&self.text[..length])
    }
}

/// A token on its way to plaintext.
pub(super) struct Opener {
    key: Zeroizing<[u8; 16]>,
    /// None until the header was read.
    cipher: Option<Decryptor>,
    /// None once it was compared.
    tag: Option<HmacSha256>,
    inside: Base64,
    end: Base64,
    text: Buffer,
    /// Characters at the text's beginning that were read ahead.
    ahead: usize,
    buffer: Buffer,
    /// The range of the buffer that was held back.
    held: std::ops::Range<usize>,
}

impl Opener {
    pub(super) fn new(keys: &Keys) -> Result<Self> {
        Ok(Opener {
            key: keys.encryption.clone(),
            cipher: None,
            tag: Some(HmacSha256::new(keys.signing.as_ref())?),
            inside: base64(NO_PAD),
            end: base64(PAD),
            text: Buffer::new(TEXT),
            ahead: 0,
            buffer: Buffer::new(HELD + BLOCK + CHUNK),
            held: 0..0,
        })
    }

    pub(super) fn plain(&self) -> &[u8] {
        &self.buffer
    }

    pub(super) fn advance(&mut self, inner: &mut impl Read) -> io::Result<Piece> {
        let (end, last) = self.decode(inner)?;
        let start = self.header(end)?;
        let body = end - start;
        let stop = if last {
            if body < HELD || !(body - TAG).is_multiple_of(BLOCK) {
                return Err(not_whole().into());
            }
            end - TAG
        } else {
            start + body.saturating_sub(HELD) / BLOCK * BLOCK
        };
        let (Some(tag), Some(cipher)) = (&mut self.tag, &mut self.cipher) else { return Err(cannot_decrypt().into()) };
        tag.update(&self.buffer[start..stop]);
        if last && !self.tag.take().is_some_and(|tag| tag.verify(&self.buffer[stop..end])) {
            return Err(cannot_decrypt().into());
        }
        self.buffer.used_to(stop);
        decrypt(cipher, &mut self.buffer[start..stop]);
        self.held = stop..end;
        if !last {
            return Ok(Piece { range: start..stop, last });
        }
        let padding = padding(&self.buffer[stop - BLOCK..stop]).ok_or_else(cannot_decrypt)?;
        Ok(Piece { range: start..stop - padding, last })
    }

    /// Reads and decodes a chunk behind what was held back; says where the bytes end and whether it was the last.
    fn decode(&mut self, inner: &mut impl Read) -> io::Result<(usize, bool)> {
        self.buffer.copy_within(self.held.clone(), 0);
        let held = self.held.len();
        let end = self.ahead + fill(inner, &mut self.text[self.ahead..])?;
        let last = end < TEXT;
        // The last four characters alone may hold padding, so they wait until they are known to be the last.
        let (inside, engine) = if last { (end, &self.end) } else { (TEXT - 4, &self.inside) };
        if !inside.is_multiple_of(4) {
            return Err(not_whole().into());
        }
        let decoded = engine.decode_slice(&self.text[..inside], &mut self.buffer[held..]).map_err(|_| not_whole())?;
        self.text.copy_within(inside..end, 0);
        self.ahead = end - inside;
        Ok((held + decoded, last))
    }

    /// Reads the header, the first time; says where the ciphertext starts.
    fn header(&mut self, end: usize) -> io::Result<usize> {
        if self.cipher.is_some() {
            return Ok(0);
        }
        let header = self.buffer[..end].first_chunk::<HEADER>().ok_or_else(not_whole)?;
        if header[0] != VERSION {
            return Err(not_whole().into());
        }
        if let Some(tag) = &mut self.tag {
            tag.update(header);
        }
        let cipher = Decryptor::new_from_slices(self.key.as_ref(), &header[9..]).map_err(|_| cannot_decrypt())?;
        self.cipher = Some(cipher);
        Ok(HEADER)
    }
}
