use std::cmp::Ordering;
use std::io::{self, Read, Write};

use oci_spec::image::{Descriptor, Digest, DigestAlgorithm};

use crate::crypto::{Sha256, Sha512, hex};
use crate::error::{Error, Result};

/// Reads a blob and checks it against its descriptor: never a byte beyond the size, and at the end the digest
/// (OCI image specification, descriptor: content must be verified).
///
/// The end of the stream is reported only when both hold; a fault is reported again by every later read.
pub struct Verified<R> {
    inner: R,
    hasher: Digester,
    expected: Digest,
    left: u64,
    size: u64,
    state: State,
}

#[derive(Clone, Copy)]
enum State {
    Reading,
    Good,
    Short,
    Long,
    Wrong,
}

/// Digests bytes to hold them against a digest that is known, in its algorithm.
#[derive(Clone)]
pub struct Digester(Hasher);

#[derive(Clone)]
enum Hasher {
    Sha256(Sha256),
    Sha512(Sha512),
}

/// True if the digest is of an algorithm that this program can compute.
pub fn is_supported(digest: &Digest) -> bool {
    Digester::of(digest).is_ok()
}

/// The `sha256:` digest of `bytes`.
pub fn digest_of(bytes: &[u8]) -> Digest {
    sha256_digest(Sha256::of(bytes))
}

/// The OCI form of a finished SHA-256.
pub fn sha256_digest(hash: [u8; 32]) -> Digest {
    #[expect(clippy::expect_used, reason = "64 lower-case hex digits are a valid digest by construction")]
    format!("sha256:{}", hex::encode(&hash)).parse().expect("a well-formed digest")
}

impl Digester {
    /// For bytes that are to have this digest.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) if the digest is of an unknown algorithm.
    pub fn of(digest: &Digest) -> Result<Self> {
        match digest.algorithm() {
            DigestAlgorithm::Sha256 => Ok(Digester(Hasher::Sha256(Sha256::new()))),
            DigestAlgorithm::Sha512 => Ok(Digester(Hasher::Sha512(Sha512::new()))),
            other => Err(Error::malformed(format!("the digest algorithm `{other}` is not supported (sha256, sha512)"))),
        }
    }

    /// The next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Hasher::Sha256(hasher) => hasher.update(bytes),
            Hasher::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// True if the bytes so far have the digest.
    pub fn matches(&self, expected: &Digest) -> bool {
        let found = match self.0.clone() {
            Hasher::Sha256(hasher) => hex::encode(&hasher.finish()),
            Hasher::Sha512(hasher) => hex::encode(&hasher.finish()),
        };
        found == expected.digest()
    }
}

impl Write for Digester {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<R: Read> Verified<R> {
    /// Wraps `inner`, which is to be what `descriptor` describes.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) if the digest is of an unknown algorithm.
    pub fn new(inner: R, descriptor: &Descriptor) -> Result<Self> {
        let expected = descriptor.digest().clone();
        let (hasher, size) = (Digester::of(&expected)?, descriptor.size());
        Ok(Verified { inner, hasher, expected, left: size, size, state: State::Reading })
    }

    /// Reads what is left and checks it.
    ///
    /// # Errors
    /// As reading does.
    pub fn drain(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; 128 << 10];
        while self.read(&mut buffer)? > 0 {
            super::interrupt::check()?;
        }
        Ok(())
    }

    fn end(&mut self) -> io::Result<State> {
        if self.left > 0 {
            return Ok(State::Short);
        }
        let mut beyond = [0];
        loop {
            match self.inner.read(&mut beyond) {
                Ok(0) if self.hasher.matches(&self.expected) => return Ok(State::Good),
                Ok(0) => return Ok(State::Wrong),
                Ok(_) => return Ok(State::Long),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn verdict(&self) -> io::Result<usize> {
        self.state.verdict(self.size - self.left, self.size).map(|()| 0).map_err(Into::into)
    }
}

impl State {
    /// The fault of `found` bytes where the descriptor says `size`.
    fn verdict(self, found: u64, size: u64) -> Result<()> {
        let fault = match self {
            State::Reading | State::Good => return Ok(()),
            State::Short => Error::malformed(format!("{found} bytes where its descriptor says {size}")),
            State::Long => Error::malformed(format!("more bytes than the {size} that its descriptor says")),
            State::Wrong => Error::verification("its bytes do not have this digest"),
        };
        Err(fault.hint("the copy is damaged or was changed; fetch the image again"))
    }
}

/// Checks a blob of `found` bytes that have been digested.
///
/// # Errors
/// As [`Verified`].
pub(super) fn ensure_whole(found: u64, digester: &Digester, descriptor: &Descriptor) -> Result<()> {
    let size = descriptor.size();
    let state = match found.cmp(&size) {
        Ordering::Less => State::Short,
        Ordering::Greater => State::Long,
        Ordering::Equal if digester.matches(descriptor.digest()) => State::Good,
        Ordering::Equal => State::Wrong,
    };
    state.verdict(found, size)
}

impl<R: Read> Read for Verified<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if !matches!(self.state, State::Reading) {
            return self.verdict();
        }
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = if wanted == 0 { 0 } else { self.inner.read(&mut buffer[..wanted])? };
        if read == 0 {
            self.state = self.end()?;
            return self.verdict();
        }
        self.hasher.update(&buffer[..read]);
        self.left -= read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use oci_spec::image::MediaType;

    use super::*;
    use crate::error::Kind;

    fn read(bytes: &[u8], size: u64, digest: Digest) -> Result<Vec<u8>> {
        let descriptor = Descriptor::new(MediaType::ImageLayer, size, digest);
        let mut all = Vec::new();
        let mut reader = Verified::new(bytes, &descriptor)?;
        match reader.read_to_end(&mut all) {
            Ok(_) => Ok(all),
            Err(error) => {
                assert!(reader.read(&mut [0; 4]).is_err(), "a fault must stay a fault");
                Err(Error::io("read", error))
            }
        }
    }

    #[test]
    fn accepts_the_bytes_that_were_described_and_nothing_else() {
        assert_eq!(read(b"layer", 5, digest_of(b"layer")).unwrap(), b"layer");
        assert_eq!(read(b"", 0, digest_of(b"")).unwrap(), b"");
        for (bytes, size, kind) in
            [(&b"laye"[..], 5, Kind::Malformed), (b"layer!", 5, Kind::Malformed), (b"Layer", 5, Kind::Verification)]
        {
            assert_eq!(read(bytes, size, digest_of(b"layer")).unwrap_err().kind(), kind);
        }
        let unknown = "md5:0123456789abcdef".parse().unwrap();
        assert_eq!(read(b"layer", 5, unknown).unwrap_err().kind(), Kind::Malformed);
    }
}
