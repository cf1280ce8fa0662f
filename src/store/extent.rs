use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use oci_spec::image::Descriptor;

use super::progress::Step;
use super::verify::{Digester, check_whole};
use super::witness::Witness;
use crate::error::{IoContext, Result};

/// A range of a local file that can be read at any position, by several readers at once.
#[derive(Debug, Clone)]
pub struct Extent {
    file: Arc<File>,
    start: u64,
    len: u64,
    count: Count,
    /// What digests the blob that this is a part of, while it is read.
    witness: Option<Arc<Witness>>,
    /// Tells how much of it was read.
    step: Option<Arc<Step>>,
}

/// Counts bytes for reports; clones count together.
#[derive(Debug, Clone, Default)]
pub struct Count(Arc<AtomicU64>);

impl Count {
    /// Counts `bytes` more.
    pub fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// How many there were so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Extent {
    /// The range of `len` bytes from `start`; what is read of it is counted.
    pub fn new(file: Arc<File>, start: u64, len: u64, count: Count) -> Self {
        Extent { file, start, len, count, witness: None, step: None }
    }

    /// The same, digested while it and its parts are read, so that [`verify`](Self::verify) reads no more than what
    /// nobody has read by then.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) if the descriptor's digest is of an unknown algorithm.
    pub fn witnessed(self, descriptor: &Descriptor) -> Result<Extent> {
        let witness = Witness::new(Digester::of(descriptor.digest())?, self.start);
        Ok(Extent { witness: Some(Arc::new(witness)), ..self })
    }

    /// The same; what is read of it from now on is a part of the step.
    #[must_use]
    pub(crate) fn watched(self, step: Option<Arc<Step>>) -> Extent {
        Extent { step, ..self }
    }

    /// The same, not digested while it is read.
    #[must_use]
    pub fn unwitnessed(self) -> Extent {
        Extent { witness: None, ..self }
    }

    /// Checks that the extent, which is [`witnessed`](Self::witnessed), is what the descriptor says. It can be done once.
    ///
    /// # Errors
    /// As [`Verified`](super::Verified).
    pub fn verify(&self, descriptor: &Descriptor) -> Result<()> {
        let Some(witness) = &self.witness else { return Ok(()) };
        match witness.finish(&self.file, self.start + self.len, &self.count).doing("read it")? {
            Some(digester) => check_whole(self.len, &digester, descriptor),
            None => Ok(()),
        }
    }

    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A part of it: `len` bytes from `start`, or what there is of them.
    #[must_use]
    pub fn part(&self, start: u64, len: u64) -> Extent {
        let start = start.min(self.len);
        Extent { start: self.start + start, len: len.min(self.len - start), ..self.clone() }
    }

    /// Reads at `position`; 0 at the end only.
    ///
    /// # Errors
    /// Input/output, and [`io::ErrorKind::UnexpectedEof`] if the file has become shorter than the extent.
    pub fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let left = self.len.saturating_sub(position);
        let wanted = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        match self.file.read_at(&mut buffer[..wanted], self.start + position)? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file ended early; was it changed meanwhile?")),
            read => {
                self.count.add(read);
                if let Some(step) = &self.step {
                    step.add(read);
                }
                if let Some(witness) = &self.witness {
                    witness.saw(&self.file, self.start + position, &buffer[..read], &self.count)?;
                }
                Ok(read)
            }
        }
    }

    /// Reads it from the beginning.
    pub fn reader(&self) -> ExtentReader {
        ExtentReader { extent: self.clone(), position: 0 }
    }
}

/// Reads an [`Extent`] in sequence; skipping costs nothing.
#[derive(Debug)]
pub struct ExtentReader {
    extent: Extent,
    position: u64,
}

impl ExtentReader {
    /// Moves forward without reading, at most to the end.
    pub fn skip(&mut self, bytes: u64) {
        self.position = self.position.saturating_add(bytes).min(self.extent.len);
    }
}

impl Read for ExtentReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.extent.read_at(buffer, self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}
