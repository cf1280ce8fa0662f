use std::io::{self, Read};

use super::draft::{Draft, Extensions};
use super::entry::{Entry, EntryKind, normalise};
use super::header::{BLOCK, Header, foreign_compression, impossible_size};
use super::pax;
use crate::error::{Error, ErrorContext, IoContext, Result};
use crate::path::shown;

/// The largest PAX header or GNU long name that is read, in bytes. Extended attributes have at most 64 KiB each.
const MAX_EXTENSION: u64 = 1 << 20;

/// A source of an archive: read in sequence, with a way to skip contents.
pub trait Skip: Read {
    /// Moves on by `bytes`.
    ///
    /// # Errors
    /// Input/output; an end that comes too early.
    fn skip(&mut self, bytes: u64) -> io::Result<()>;
}

/// A stream that can only be read on.
pub struct Sequential<R>(pub R);

impl<R: Read> Read for Sequential<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<R: Read> Skip for Sequential<R> {
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let skipped = io::copy(&mut self.0.by_ref().take(bytes), &mut io::sink())?;
        if skipped < bytes { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

/// Reads the entries of a layer one by one; the contents of each can be read before the next.
///
/// It understands ustar, PAX (POSIX.1-2017) and GNU long names, in bounded memory. What careful readers (Go's
/// `archive/tar`, which engines use, GNU tar, libarchive, Python) could take for different files is refused.
pub struct Reader<R> {
    inner: R,
    position: u64,
    /// Bytes left of the current entry's contents.
    contents: u64,
    /// The padding after them.
    padding: u64,
    has_ended: bool,
    /// The current entry's name as it stands.
    name: Vec<u8>,
}

impl<R: Skip> Reader<R> {
    /// Reads the archive that begins at `inner`.
    pub fn new(inner: R) -> Self {
        Reader { inner, position: 0, contents: 0, padding: 0, has_ended: false, name: Vec::new() }
    }

    /// The next entry; `None` at the end of the archive.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) if this is no tar archive, if readers could take it for
    /// different files, or if it goes beyond this reader's bounds; faults of the underlying reader.
    pub fn next_entry(&mut self) -> Result<Option<Entry>> {
        let contents = std::mem::take(&mut self.contents);
        self.skip(contents)?;
        self.skip_padding()?;
        let mut extensions = Extensions::default();
        loop {
            let Some(block) = self.header_block()? else {
                extensions.ensure_none("at the end of the archive")?;
                return Ok(None);
            };
            let header = Header::new(&block, self.position - BLOCK as u64)?;
            match header.typeflag() {
                b'x' => Extensions::set(&mut extensions.pax, self.extension(header.size()?)?)?,
                b'L' => Extensions::set(&mut extensions.long_name, self.extension(header.size()?)?)?,
                b'K' => Extensions::set(&mut extensions.long_link, self.extension(header.size()?)?)?,
                b'g' => {
                    extensions.ensure_none("before a global one")?;
                    self.global(&header)?;
                }
                _ => return self.entry(&header, &extensions).map(Some),
            }
        }
    }

    /// The name of the current entry as it stands in the archive, `./` and slashes included.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The underlying reader, wherever it is.
    pub fn into_inner(self) -> R {
        self.inner
    }

    fn entry(&mut self, header: &Header<'_>, extensions: &Extensions) -> Result<Entry> {
        let draft = Draft::new(header, extensions)?;
        let place = shown(&draft.path);
        let kind = draft.kind(header).at(place)?;
        draft.ensure_alike(header, &kind).at(place)?;
        if header.has_more_sparse_map() {
            self.skip_sparse_map().at(place)?;
        }
        let size = draft.size;
        let end = size.checked_next_multiple_of(BLOCK as u64).filter(|end| self.position.checked_add(*end).is_some());
        self.contents = size;
        self.padding = end.ok_or_else(impossible_size).at(place)? - size;
        let (path, position) = (normalise(&draft.path)?, self.position);
        if path.is_empty() && kind != EntryKind::Directory {
            return Err(Error::malformed(format!("the root of the archive is {}", kind.name())));
        }
        let name = draft.path.strip_suffix(b"/").filter(|_| kind == EntryKind::Directory).unwrap_or(&draft.path);
        let link_is_exact = match &kind {
            EntryKind::HardLink(target) => *draft.link == **target,
            _ => true,
        };
        let exact = *name == *path && link_is_exact;
        self.name = draft.path;
        Ok(Entry { path, kind, meta: draft.meta, size, offset: position, exact, position })
    }

    /// A global header may comment. Engines take its name for that of an entry, so it has to be one of those that
    /// writers give it.
    fn global(&mut self, header: &Header<'_>) -> Result<()> {
        let name = normalise(&header.path()?)?;
        if !matches!(&*name, b"pax_global_header" | b"@PaxHeader") {
            return Err(Error::malformed("a global PAX header with the name of a file").at(shown(&name)));
        }
        pax::ensure_comment(&self.extension(header.size()?)?)
    }

    /// The next header; `None` at the end: a block of zeros, or nothing more.
    fn header_block(&mut self) -> Result<Option<[u8; BLOCK]>> {
        let mut block = [0; BLOCK];
        if self.has_ended {
            return Ok(None);
        }
        match self.fill(&mut block)? {
            0 => self.has_ended = true,
            BLOCK if block.iter().any(|&byte| byte != 0) => {
                self.position += BLOCK as u64;
                return Ok(Some(block));
            }
            BLOCK => self.ensure_end()?,
            read => {
                let foreign = foreign_compression(&block[..read]).filter(|_| self.position == 0);
                return Err(
                    foreign.unwrap_or_else(|| Error::malformed("the tar archive ends in the middle of a header"))
                );
            }
        }
        Ok(None)
    }

    /// Behind the end marker there may be padding. Some readers would go on with anything else.
    fn ensure_end(&mut self) -> Result<()> {
        self.has_ended = true;
        let mut rest = [0; 16 * BLOCK];
        loop {
            let read = self.fill(&mut rest)?;
            if rest[..read].iter().any(|&byte| byte != 0) {
                return Err(Error::malformed("data after the end of the tar archive"));
            }
            if read < rest.len() {
                return Ok(());
            }
        }
    }

    /// Reads until `block` is full or nothing is left; how much there was.
    fn fill(&mut self, block: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while filled < block.len() {
            match self.inner.read(&mut block[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io("cannot read the layer", error)),
            }
        }
        Ok(filled)
    }

    fn extension(&mut self, size: u64) -> Result<Vec<u8>> {
        if size > MAX_EXTENSION {
            return Err(Error::malformed(format!("an extended tar header of {size} bytes; at most {MAX_EXTENSION}")));
        }
        let mut bytes = vec![0; size as usize]; // at most MAX_EXTENSION
        self.inner.read_exact(&mut bytes).map_err(ended)?;
        self.position += size;
        let padding = size.next_multiple_of(BLOCK as u64) - size;
        self.skip(padding)?;
        Ok(bytes)
    }

    /// umoci leaves out the padding after the last file, and the end marker.
    fn skip_padding(&mut self) -> Result<()> {
        let padding = std::mem::take(&mut self.padding);
        match self.skip_raw(padding) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && error.get_ref().is_none() => {
                self.has_ended = true;
                Ok(())
            }
            skipped => skipped.map_err(ended),
        }
    }

    fn skip_raw(&mut self, bytes: u64) -> io::Result<()> {
        if bytes > 0 {
            self.inner.skip(bytes)?;
            let position = self.position.checked_add(bytes);
            self.position = position.ok_or_else(|| io::Error::from(impossible_size()))?;
        }
        Ok(())
    }

    fn skip(&mut self, bytes: u64) -> Result<()> {
        self.skip_raw(bytes).map_err(ended)
    }

    /// GNU's old sparse form has further blocks of its map before the contents.
    fn skip_sparse_map(&mut self) -> Result<()> {
        loop {
            let mut block = [0; BLOCK];
            self.inner.read_exact(&mut block).map_err(ended)?;
            self.position += BLOCK as u64;
            if block[504] == 0 {
                return Ok(());
            }
        }
    }
}

impl<R: Read> Read for Reader<R> {
    /// Reads the contents of the current entry.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.contents).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        let read = self.inner.read(&mut buffer[..wanted])?;
        if read == 0 {
            return Err(Error::malformed("the layer ends in the middle of a file").into());
        }
        self.contents -= read as u64;
        self.position += read as u64;
        Ok(read)
    }
}

fn ended(error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::UnexpectedEof && error.get_ref().is_none() {
        return Error::malformed("the tar archive ends early");
    }
    Error::io("cannot read the layer", error)
}

impl<R: Skip> Reader<R> {
    /// Copies the contents of the current entry to `out`.
    ///
    /// # Errors
    /// Faults of either side.
    pub fn copy_contents(&mut self, out: &mut dyn io::Write) -> Result<u64> {
        io::copy(self, out).doing("copy a file out of the layer")
    }
}
