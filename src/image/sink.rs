use std::io::{self, Write};

use crate::error::Result;
use crate::tar::{self, EntryKind, Meta};

/// Takes the entries of a tree, in walk order, and after each file's entry its contents.
pub trait EntrySink: Write {
    /// The next entry; `size` bytes of contents follow if it is a file.
    ///
    /// # Errors
    /// Input/output; what the sink cannot hold.
    fn entry(&mut self, path: &[u8], kind: &EntryKind, meta: &Meta, size: u64) -> Result<()>;
}

impl<W: Write> EntrySink for tar::Writer<W> {
    fn entry(&mut self, path: &[u8], kind: &EntryKind, meta: &Meta, size: u64) -> Result<()> {
        self.header(path, kind, meta, size)
    }
}

/// Takes entries that nobody wants.
#[derive(Debug)]
pub struct Nowhere;

impl EntrySink for Nowhere {
    fn entry(&mut self, _: &[u8], _: &EntryKind, _: &Meta, _: u64) -> Result<()> {
        Ok(())
    }
}

impl Write for Nowhere {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
