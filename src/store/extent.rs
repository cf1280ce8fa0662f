use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use oci_spec::image::Descriptor;

use super::count::Count;
use super::incremental_hasher::IncrementalHasher;
use super::progress::Task;
use super::verify::{Digester, ensure_whole};
use crate::error::{IoContext, Result};
use crate::tar;

/// A range of a local file that can be read at any position, by several readers at once.
#[derive(Debug, Clone)]
pub struct Extent {
    file: Arc<File>,
    start: u64,
    len: u64,
    count: Count,
    /// The hasher of the blob that this is a part of, while it is read.
    hasher: Option<Arc<IncrementalHasher>>,
    /// Tells how much of it was read.
    task: Option<Arc<Task>>,
}

impl Extent {
    /// The range of `len` bytes from `start`; what is read of it is counted.
    pub fn new(file: Arc<File>, start: u64, len: u64, count: Count) -> Self {
        Extent { file, start, len, count, hasher: None, task: None }
    }

    /// The same, digested while it and its parts are read, so that [`verify`](Self::verify) reads no more than what
    /// nobody has read by then.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) if the descriptor's digest is of an unknown algorithm.
    pub fn hashed(self, descriptor: &Descriptor) -> Result<Extent> {
        let hasher = IncrementalHasher::new(Digester::of(descriptor.digest())?, self.start);
        Ok(Extent { hasher: Some(Arc::new(hasher)), ..self })
    }

    /// The same; what is read of it from now on is a part of the task.
    #[must_use]
    pub(crate) fn watched(self, task: Option<Arc<Task>>) -> Extent {
        Extent { task, ..self }
    }

    /// The same, not digested while it is read.
    #[must_use]
    pub fn unhashed(self) -> Extent {
        Extent { hasher: None, ..self }
    }

    /// Checks that the extent, which is [`hashed`](Self::hashed), is what the descriptor says. It can be done once.
    ///
    /// # Errors
    /// As [`Verified`](super::Verified).
    pub fn verify(&self, descriptor: &Descriptor) -> Result<()> {
        let Some(hasher) = &self.hasher else { return Ok(()) };
        match hasher.finish(&self.file, self.start + self.len, &self.count).doing("read the spooled bytes")? {
            Some(digester) => ensure_whole(self.len, &digester, descriptor),
            None => Ok(()),
        }
    }

    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// True if it holds nothing.
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
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter while it was read")),
            read => {
                self.count.add(read);
                if let Some(task) = &self.task {
                    task.add(read);
                }
                if let Some(hasher) = &self.hasher {
                    hasher.saw(&self.file, self.start + position, &buffer[..read], &self.count)?;
                }
                Ok(read)
            }
        }
    }

    /// How it is compressed, by its first bytes.
    ///
    /// # Errors
    /// As [`read_at`](Self::read_at).
    pub fn compression(&self) -> io::Result<tar::Compression> {
        let mut start = [0; 4];
        let read = self.read_at(&mut start, 0)?;
        Ok(tar::Compression::of(&start[..read]))
    }

    /// Reads it from the beginning.
    pub fn reader(&self) -> ExtentReader {
        ExtentReader { extent: self.clone(), position: 0 }
    }
}

impl Extent {
    /// Reads it as a tar archive; contents that are not asked for are not read.
    pub fn tar_reader(&self) -> tar::Reader<BufReader<ExtentReader>> {
        /// Enough for a hundred headers, little to read in vain before a large file.
        const BUFFER: usize = 64 << 10;
        tar::Reader::new(BufReader::with_capacity(BUFFER, self.reader()))
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

impl tar::Skip for BufReader<ExtentReader> {
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let buffered = usize::try_from(bytes).map_or(self.buffer().len(), |bytes| bytes.min(self.buffer().len()));
        self.consume(buffered);
        self.get_mut().skip(bytes - buffered as u64);
        Ok(())
    }
}

impl Read for ExtentReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.extent.read_at(buffer, self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}
