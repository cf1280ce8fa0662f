use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use super::count::Count;
use super::extent::Extent;
use crate::error::{IoContext, Result};

/// A temporary file that nobody else can open: mode 0600 and already unlinked. What must be read at random positions
/// but cannot be (a compressed layer, a download) is written here, never held in memory.
#[derive(Debug)]
pub struct Spool {
    file: File,
    len: u64,
}

impl Spool {
    /// A new, empty spool in `dir`.
    ///
    /// # Errors
    /// Input/output.
    pub fn new(dir: &Path) -> Result<Self> {
        let file = tempfile::tempfile_in(dir).doing(format_args!("create a temporary file in {}", dir.display()))?;
        Ok(Spool { file, len: 0 })
    }

    /// Bytes written so far: the position of the next one.
    pub fn position(&self) -> u64 {
        self.len
    }

    /// Ends writing.
    pub fn into_extent(self) -> Extent {
        Extent::new(Arc::new(self.file), 0, self.len, Count::default())
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        super::interrupt::check()?;
        let written = self.file.write(bytes)?;
        self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
