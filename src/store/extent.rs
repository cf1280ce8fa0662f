use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A range of a local file that can be read at any position, by several readers at once.
#[derive(Debug, Clone)]
pub struct Extent {
    file: Arc<File>,
    start: u64,
    len: u64,
    count: Count,
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
        Extent { file, start, len, count }
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
