//! The ciphers of files, as streams in constant memory.
//!
//! A [`Cipher`] knows the form of its key, the exact length of a ciphertext before it is made, and the length of a
//! plaintext from the ciphertext's end, so that tar headers can be written ahead of the data.

mod buffer;
mod cbc;
mod fernet;
mod opening;
mod stream;
#[cfg(test)]
mod tests;

use std::io::{self, BufRead, Read, Write};
use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use zeroize::Zeroizing;

use crate::crypto::aes_cbc::BLOCK;
use crate::crypto::random;
use crate::error::{Error, Kind, Result};

/// The symmetric key of one stage, as the bytes that RSA-OAEP wraps; erased from memory on drop.
pub struct StageKey(Zeroizing<Vec<u8>>);

impl StageKey {
    /// The bytes to wrap: 44 characters of base64url for Fernet, 32 raw ones for the others.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The cipher of a train's files; one per wire version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cipher {
    /// Fernet tokens: AES-128-CBC and HMAC-SHA-256 in base64url. Authenticated.
    Fernet,
    /// AES-256-CBC with PKCS#7 padding (RFC 5652, section 6.3) after 16 bytes of IV. Not authenticated: a change is
    /// noticed by the hash of the plaintext only.
    AesCbc,
    /// AES-256-GCM in chunks, under a key of the file's own that its path goes into. Authenticated, also against files
    /// that are cut off or moved.
    Stream,
}

impl Cipher {
    /// The name of the cipher for reports.
    pub fn name(self) -> &'static str {
        match self {
            Cipher::Fernet => "fernet",
            Cipher::AesCbc => "aes-256-cbc",
            Cipher::Stream => "aes-256-gcm-stream",
        }
    }

    /// A new random key.
    ///
    /// # Errors
    /// [`Kind::Io`] if the system gives no random bytes.
    pub fn generate_key(self) -> Result<StageKey> {
        let mut bytes = Zeroizing::new(vec![0; 32]);
        random::fill(&mut bytes)?;
        Ok(StageKey(match self {
            Cipher::Fernet => fernet::key_text(&bytes)?,
            Cipher::AesCbc | Cipher::Stream => bytes,
        }))
    }

    /// The key of these bytes, as unwrapped.
    ///
    /// # Errors
    /// [`Kind::Key`] if they have not the form of this cipher's keys.
    pub fn key_from_bytes(self, bytes: Zeroizing<Vec<u8>>) -> Result<StageKey> {
        match self {
            Cipher::Fernet => drop(fernet::Keys::of(&bytes)?),
            Cipher::AesCbc | Cipher::Stream => drop(cbc::key(&bytes)?),
        }
        Ok(StageKey(bytes))
    }

    /// Bytes of ciphertext that `plain` bytes become, exactly; saturates beyond 2^64 - 1.
    pub fn ciphertext_len(self, plain: u64) -> u64 {
        match self {
            Cipher::Fernet => fernet::ciphertext_len(plain),
            Cipher::AesCbc => cbc::ciphertext_len(plain),
            Cipher::Stream => stream::ciphertext_len(plain),
        }
    }

    /// The number of a ciphertext's last bytes that [`plaintext_len`](Self::plaintext_len) needs.
    pub fn tail_len(self) -> usize {
        match self {
            Cipher::Fernet => fernet::TAIL,
            Cipher::AesCbc => cbc::TAIL,
            Cipher::Stream => 0,
        }
    }

    /// Bytes of plaintext in a ciphertext of `cipher_len` bytes that ends in `tail`, its last
    /// [`tail_len`](Self::tail_len) bytes (or all, if there are fewer).
    ///
    /// The length is no more trustworthy than the ciphertext: only a [`Decryptor`] that came to its end vouches.
    ///
    /// # Errors
    /// [`Kind::Verification`] if no plaintext has such a ciphertext, [`Kind::Key`] if the key is for another cipher.
    pub fn plaintext_len(self, key: &StageKey, cipher_len: u64, tail: &[u8]) -> Result<u64> {
        match self {
            Cipher::Fernet => fernet::plaintext_len(&fernet::Keys::of(&key.0)?, cipher_len, tail),
            Cipher::AesCbc => cbc::plaintext_len(cbc::key(&key.0)?, cipher_len, tail),
            Cipher::Stream => cbc::key(&key.0).and_then(|_| stream::plaintext_len(cipher_len)),
        }
    }

    /// Bytes of plaintext in a ciphertext of `cipher_len` bytes, as far as anyone can tell without the key.
    ///
    /// # Errors
    /// [`Kind::Verification`] if no plaintext has a ciphertext of that length.
    pub fn plaintext_len_in_sight(self, cipher_len: u64) -> Result<Option<u64>> {
        match self {
            Cipher::Fernet | Cipher::AesCbc => Ok(None), // padding hides it
            Cipher::Stream => stream::plaintext_len(cipher_len).map(Some),
        }
    }

    /// True if a ciphertext can be `len` bytes long and have `start` as its first four bytes. What cannot be one is
    /// plaintext; what can need not be one.
    pub fn may_have_written(self, len: u64, start: &[u8]) -> bool {
        match self {
            // The version, and two zeros of the time.
            Cipher::Fernet => start.starts_with(b"gAAA") && len.is_multiple_of(4),
            Cipher::AesCbc => len >= 2 * BLOCK as u64 && len.is_multiple_of(BLOCK as u64),
            Cipher::Stream => stream::plaintext_len(len).is_ok(),
        }
    }

    /// Bytes of initialisation vector that a ciphertext begins with, where two files under one of them show whether
    /// their plaintexts begin alike.
    pub fn leading_iv(self) -> Option<usize> {
        match self {
            Cipher::Fernet => None, // every token has a fresh one, under its tag
            Cipher::AesCbc => Some(BLOCK),
            Cipher::Stream => None, // the key differs with the path
        }
    }

    /// Encrypts into `inner` what is written to the result, under a fresh random IV or salt. A Fernet token also
    /// carries the time, in seconds, that the system's clock shows at this call. `path` is the file's under `/opt`, as
    /// in `pht_results/out.csv`, for ciphers that bind it.
    ///
    /// # Errors
    /// [`Kind::Io`] if the system gives no random bytes, [`Kind::Key`] if the key is for another cipher.
    pub fn encryptor<W: Write>(self, key: &StageKey, path: &[u8], inner: W) -> Result<Encryptor<W>> {
        // A clock before 1970 is no reason to fail: nobody reads the time.
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.encryptor_at(key, path, (random::bytes()?, time), inner)
    }

    /// [`encryptor`](Self::encryptor) with everything given; only tests may choose.
    fn encryptor_at<W: Write>(
        self,
        key: &StageKey,
        path: &[u8],
        (iv, time): ([u8; 16], u64),
        inner: W,
    ) -> Result<Encryptor<W>> {
        let sealer = match self {
            Cipher::Fernet => Sealer::Fernet(Box::new(fernet::Sealer::new(&fernet::Keys::of(&key.0)?, iv, time)?)),
            Cipher::AesCbc => Sealer::Cbc(Box::new(cbc::Sealer::new(cbc::key(&key.0)?, iv)?)),
            Cipher::Stream => Sealer::Stream(Box::new(stream::Sealer::new(cbc::key(&key.0)?, iv, path)?)),
        };
        Ok(Encryptor { sealer, inner, broken: false })
    }

    /// Decrypts what is read from `inner`; `path` as for [`encryptor`](Self::encryptor).
    ///
    /// # Errors
    /// [`Kind::Key`] if the key is for another cipher. Nothing is read yet.
    pub fn decryptor<R: Read>(self, key: &StageKey, path: &[u8], inner: R) -> Result<Decryptor<R>> {
        let opener = match self {
            Cipher::Fernet => Opener::Fernet(Box::new(fernet::Opener::new(&fernet::Keys::of(&key.0)?)?)),
            Cipher::AesCbc => Opener::Cbc(Box::new(cbc::Opener::new(cbc::key(&key.0)?))),
            Cipher::Stream => Opener::Stream(Box::new(stream::Opener::new(cbc::key(&key.0)?, path))),
        };
        Ok(Decryptor { opener, inner, ready: 0..0, state: State::Open })
    }
}

enum Sealer {
    Cbc(Box<cbc::Sealer>),
    Fernet(Box<fernet::Sealer>),
    Stream(Box<stream::Sealer>),
}

/// Encrypts what is written to it, or put into its own memory; made by [`Cipher::encryptor`].
///
/// The ciphertext is whole only after [`finish`](Self::finish). After a failed write every further one fails.
#[must_use = "the ciphertext is complete only after finish"]
pub struct Encryptor<W> {
    sealer: Sealer,
    inner: W,
    /// A write failed, so nobody knows how much of the ciphertext arrived.
    broken: bool,
}

impl<W: Write> Encryptor<W> {
    /// Where the next plaintext goes, never empty. To read it from its source into here saves a copy; then
    /// [`advance`](Self::advance) says how much there is.
    pub fn space(&mut self) -> &mut [u8] {
        match &mut self.sealer {
            Sealer::Cbc(sealer) => sealer.space(),
            Sealer::Fernet(sealer) => sealer.space(),
            Sealer::Stream(sealer) => sealer.space(),
        }
    }

    /// Takes the first `count` bytes of [`space`](Self::space), at most its length, as the next plaintext.
    ///
    /// # Errors
    /// An error of the writer.
    pub fn advance(&mut self, count: usize) -> io::Result<()> {
        self.check()?;
        let count = count.min(self.space().len());
        let written = match &mut self.sealer {
            Sealer::Cbc(sealer) => sealer.advance(count, &mut self.inner),
            Sealer::Fernet(sealer) => sealer.advance(count, &mut self.inner),
            Sealer::Stream(sealer) => sealer.advance(count, &mut self.inner),
        };
        self.broken = written.is_err();
        written
    }

    /// Writes the end of the ciphertext and hands back the writer, not flushed.
    ///
    /// # Errors
    /// An error of the writer.
    pub fn finish(mut self) -> io::Result<W> {
        self.check()?;
        match self.sealer {
            Sealer::Cbc(sealer) => sealer.finish(&mut self.inner)?,
            Sealer::Fernet(sealer) => sealer.finish(&mut self.inner)?,
            Sealer::Stream(sealer) => sealer.finish(&mut self.inner)?,
        }
        Ok(self.inner)
    }

    fn check(&self) -> io::Result<()> {
        if self.broken { Err(io::Error::other("an earlier write of this ciphertext failed")) } else { Ok(()) }
    }
}

impl<W: Write> Write for Encryptor<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let space = self.space();
        let taken = data.len().min(space.len());
        space[..taken].copy_from_slice(&data[..taken]);
        self.advance(taken)?;
        Ok(taken)
    }

    /// Flushes the writer below; what is no whole chunk yet stays here until [`finish`](Encryptor::finish).
    fn flush(&mut self) -> io::Result<()> {
        self.check()?;
        self.inner.flush()
    }
}

enum Opener {
    Cbc(Box<cbc::Opener>),
    Fernet(Box<fernet::Opener>),
    Stream(Box<stream::Opener>),
}

impl Opener {
    fn plain(&self) -> &[u8] {
        match self {
            Opener::Cbc(opener) => opener.plain(),
            Opener::Fernet(opener) => opener.plain(),
            Opener::Stream(opener) => opener.plain(),
        }
    }
}

/// Decrypts what it reads; made by [`Cipher::decryptor`].
///
/// Plaintext comes out before the ciphertext's end is seen, so it counts only when the end was reached without an
/// error. An error stays: every further read reports it again. What is wrong with the ciphertext is a
/// [`Kind::Verification`] error, which [`Error::io`] takes out of the [`io::Error`].
pub struct Decryptor<R> {
    opener: Opener,
    inner: R,
    ready: Range<usize>,
    state: State,
}

enum State {
    Open,
    Done,
    Failed(Failure),
}

/// An [`io::Error`] to be reported again and again.
struct Failure {
    kind: io::ErrorKind,
    class: Option<Kind>,
    text: String,
}

impl Failure {
    fn of(error: &io::Error) -> Self {
        let class = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).map(Error::kind);
        Failure { kind: error.kind(), class, text: error.to_string() }
    }

    fn again(&self) -> io::Error {
        match self.class {
            Some(class) => Error::new(class, self.text.clone()).into(),
            None => io::Error::new(self.kind, self.text.clone()),
        }
    }
}

impl<R: Read> BufRead for Decryptor<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.ready.is_empty() {
            match &self.state {
                State::Open => {}
                State::Done => return Ok(&[]),
                State::Failed(failure) => return Err(failure.again()),
            }
            let piece = match &mut self.opener {
                Opener::Cbc(opener) => opener.advance(&mut self.inner),
                Opener::Fernet(opener) => opener.advance(&mut self.inner),
                Opener::Stream(opener) => opener.advance(&mut self.inner),
            };
            match piece {
                Ok(piece) => {
                    self.ready = piece.range;
                    if piece.last {
                        self.state = State::Done;
                    }
                }
                Err(error) => {
                    self.state = State::Failed(Failure::of(&error));
                    return Err(error);
                }
            }
        }
        Ok(&self.opener.plain()[self.ready.clone()])
    }

    fn consume(&mut self, count: usize) {
        self.ready.start = self.ready.end.min(self.ready.start.saturating_add(count));
    }
}

impl<R: Read> Read for Decryptor<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let ready = self.fill_buf()?;
        let count = ready.len().min(buffer.len());
        buffer[..count].copy_from_slice(&ready[..count]);
        self.consume(count);
        Ok(count)
    }
}
