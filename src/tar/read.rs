use std::io::{self, Read};

use super::entry::{Entry, EntryKind, Meta, PaxRecord, normalise, number, pax_time};
use crate::error::{Error, ErrorContext, IoContext, Result};

/// A tar archive consists of blocks of this many bytes.
const BLOCK: usize = 512;
/// The largest PAX header or GNU long name that is read, in bytes. Extended attributes have at most 64 KiB each.
const MAX_EXTENSION: u64 = 1 << 20;

/// Where an archive is read from: in sequence, with a way over what is not needed.
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
/// It understands ustar, PAX (POSIX.1-2017) and GNU long names, in bounded memory.
pub struct Reader<R> {
    inner: R,
    position: u64,
    /// What is left of the current entry's contents.
    contents: u64,
    /// The padding after them.
    padding: u64,
}

impl<R: Skip> Reader<R> {
    /// Reads the archive that begins at `inner`.
    pub fn new(inner: R) -> Self {
        Reader { inner, position: 0, contents: 0, padding: 0 }
    }

    /// The next entry; `None` at the end of the archive.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) if this is no tar archive or goes beyond this reader's
    /// bounds; faults of the underlying reader.
    pub fn next_entry(&mut self) -> Result<Option<Entry>> {
        self.skip(self.contents + self.padding)?;
        (self.contents, self.padding) = (0, 0);
        let mut extensions = Extensions::default();
        loop {
            let Some(block) = self.header_block()? else { return Ok(None) };
            let header = Header(&block);
            header.check(self.position)?;
            let size = u64::try_from(number(header.field(124, 12))?).map_err(|_| impossible_size())?;
            match block[156] {
                b'x' => extensions.pax = Some(self.extension(size)?),
                b'g' => ensure_global(&self.extension(size)?)?,
                b'L' => extensions.long_name = Some(self.extension(size)?),
                b'K' => extensions.long_link = Some(self.extension(size)?),
                _ => return self.entry(&header, size, extensions).map(Some),
            }
        }
    }

    /// The underlying reader, wherever it is.
    pub fn into_inner(self) -> R {
        self.inner
    }

    fn entry(&mut self, header: &Header<'_>, size: u64, extensions: Extensions) -> Result<Entry> {
        let mut draft = Draft::from_header(header, size)?;
        draft.extend(extensions)?;
        let kind = draft.kind(header)?;
        if header.is_gnu_sparse() {
            self.skip_sparse_map(header)?;
        }
        // Links and directories have no contents; what some writers say of their size is to be ignored (POSIX, ustar).
        let size = if matches!(kind, EntryKind::File | EntryKind::Sparse) { draft.size } else { 0 };
        let end = size.checked_next_multiple_of(BLOCK as u64).filter(|end| self.position.checked_add(*end).is_some());
        self.contents = size;
        self.padding = end.ok_or_else(impossible_size)? - size;
        let (path, position) = (normalise(&draft.path)?, self.position);
        let name = draft.path.strip_suffix(b"/").filter(|_| kind == EntryKind::Directory).unwrap_or(&draft.path);
        let link_is_exact = match &kind {
            EntryKind::HardLink(target) => *draft.link == **target,
            _ => true,
        };
        let exact = *name == *path && link_is_exact;
        Ok(Entry { path, kind, meta: draft.meta, size, offset: position, exact, position })
    }

    /// The next header; `None` at the end: a block of zeros, or nothing more.
    fn header_block(&mut self) -> Result<Option<[u8; BLOCK]>> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.inner.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(Error::malformed("the tar archive ends in the middle of a header")),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io("cannot read the layer", error)),
            }
        }
        self.position += BLOCK as u64;
        Ok(if block.iter().all(|&byte| byte == 0) { None } else { Some(block) })
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

    fn skip(&mut self, bytes: u64) -> Result<()> {
        if bytes > 0 {
            self.inner.skip(bytes).map_err(ended)?;
            self.position = self.position.checked_add(bytes).ok_or_else(impossible_size)?;
        }
        Ok(())
    }

    /// GNU's old sparse form has further blocks of its map before the contents.
    fn skip_sparse_map(&mut self, header: &Header<'_>) -> Result<()> {
        let mut more = header.0[482] != 0;
        while more {
            let mut block = [0; BLOCK];
            self.inner.read_exact(&mut block).map_err(ended)?;
            self.position += BLOCK as u64;
            more = block[504] != 0;
        }
        Ok(())
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

fn impossible_size() -> Error {
    Error::malformed("an impossible size in a tar header")
}

/// One 512-byte header (POSIX.1-2017, ustar Interchange Format).
struct Header<'a>(&'a [u8; BLOCK]);

impl Header<'_> {
    fn field(&self, start: usize, len: usize) -> &[u8] {
        &self.0[start..start + len]
    }

    fn text(&self, start: usize, len: usize) -> &[u8] {
        self.field(start, len).split(|&byte| byte == 0).next().unwrap_or_default()
    }

    fn check(&self, position: u64) -> Result<()> {
        let sum = |convert: fn(u8) -> i64| -> i64 {
            let ours = self.0.iter().enumerate();
            ours.map(|(at, &byte)| if (148..156).contains(&at) { 32 } else { convert(byte) }).sum()
        };
        let stated = number(self.field(148, 8))?;
        // Some old writers summed signed bytes.
        if stated == sum(i64::from) || stated == sum(|byte| i64::from(byte.cast_signed())) {
            return Ok(());
        }
        Err(Error::malformed(format!("not a tar archive, or a damaged one (at byte {position})")))
    }

    fn is_ustar(&self) -> bool {
        self.field(257, 6) == b"ustar\0"
    }

    fn is_gnu_sparse(&self) -> bool {
        self.0[156] == b'S'
    }

    fn path(&self) -> Vec<u8> {
        let name = self.text(0, 100);
        let prefix = if self.is_ustar() { self.text(345, 155) } else { &[] };
        if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
    }
}

/// Headers that describe the next one.
#[derive(Default)]
struct Extensions {
    pax: Option<Vec<u8>>,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
}

/// An entry while its headers are put together.
struct Draft {
    path: Vec<u8>,
    link: Vec<u8>,
    size: u64,
    meta: Meta,
    sparse: bool,
}

impl Draft {
    fn from_header(header: &Header<'_>, size: u64) -> Result<Self> {
        let unsigned = |start, len| number(header.field(start, len)).map(i64::unsigned_abs);
        let named = header.field(257, 5) == b"ustar";
        let name = |start| if named { Box::from(header.text(start, 32)) } else { Box::default() };
        let meta = Meta {
            mode: unsigned(100, 8)? as u32 & 0o7777,
            uid: unsigned(108, 8)?,
            gid: unsigned(116, 8)?,
            mtime: number(header.field(136, 12))?,
            user: name(265),
            group: name(297),
            pax: Box::default(),
        };
        let (path, link) = (header.path(), header.text(157, 100).to_vec());
        Ok(Draft { path, link, size, meta, sparse: header.is_gnu_sparse() })
    }

    fn extend(&mut self, extensions: Extensions) -> Result<()> {
        let unterminated = |name: Vec<u8>| name.split(|&byte| byte == 0).next().unwrap_or_default().to_vec();
        if let Some(name) = extensions.long_name {
            self.path = unterminated(name);
        }
        if let Some(link) = extensions.long_link {
            self.link = unterminated(link);
        }
        let mut kept = Vec::new();
        for (key, value) in pax_records(extensions.pax.as_deref().unwrap_or_default())? {
            match key {
                b"path" => self.path = value.to_vec(),
                b"linkpath" => self.link = value.to_vec(),
                b"size" => self.size = decimal(value)?,
                b"uid" => self.meta.uid = decimal(value)?,
                b"gid" => self.meta.gid = decimal(value)?,
                b"uname" => self.meta.user = value.into(),
                b"gname" => self.meta.group = value.into(),
                b"mtime" => {
                    let (seconds, nanos) = pax_time(value)?;
                    self.meta.mtime = seconds;
                    // Whole seconds need no record.
                    kept.extend((nanos > 0).then(|| (key.into(), value.into())));
                }
                _ => {
                    self.sparse |= key.starts_with(b"GNU.sparse.");
                    kept.push((key.into(), value.into()));
                }
            }
        }
        // Of the forms with holes some have a made-up name where other programs look for one.
        if let Some((_, name)) = kept.iter().find(|(key, _): &&PaxRecord| **key == *b"GNU.sparse.name") {
            self.path = name.to_vec();
        }
        self.meta.pax = kept.into();
        Ok(())
    }

    fn kind(&self, header: &Header<'_>) -> Result<EntryKind> {
        let device = |start| number(header.field(start, 8)).map(|part| part.unsigned_abs() as u32);
        Ok(match header.0[156] {
            _ if self.sparse => EntryKind::Sparse,
            // Before POSIX a directory was a file with a slash at its end.
            0 | b'0' | b'7' if self.path.ends_with(b"/") => EntryKind::Directory,
            0 | b'0' | b'7' => EntryKind::File,
            b'1' => EntryKind::HardLink(normalise(&self.link)?),
            b'2' => EntryKind::Symlink(self.link.as_slice().into()),
            character @ (b'3' | b'4') => {
                EntryKind::Device { character: character == b'3', number: (device(329)?, device(337)?) }
            }
            b'5' => EntryKind::Directory,
            b'6' => EntryKind::Fifo,
            other => {
                let path = String::from_utf8_lossy(&self.path).into_owned();
                let what = format!("a tar entry of unknown type `{}`", other.escape_ascii());
                return Err(Error::malformed(what)).at(path);
            }
        })
    }
}

/// The records of a PAX header: `LENGTH KEY=VALUE\n`.
fn pax_records(mut bytes: &[u8]) -> Result<Vec<(&[u8], &[u8])>> {
    let wrong = || Error::malformed("a malformed PAX header");
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let space = bytes.iter().position(|&byte| byte == b' ').ok_or_else(wrong)?;
        let len = usize::try_from(decimal(&bytes[..space])?).map_err(|_| wrong())?;
        let record = bytes.get(space + 1..len).and_then(|record| record.strip_suffix(b"\n")).ok_or_else(wrong)?;
        let equals = record.iter().position(|&byte| byte == b'=').ok_or_else(wrong)?;
        records.push((&record[..equals], &record[equals + 1..]));
        bytes = &bytes[len..];
    }
    Ok(records)
}

/// A global header may comment; one that would rename or resize every entry is not in use and not understood here.
fn ensure_global(bytes: &[u8]) -> Result<()> {
    for (key, _) in pax_records(bytes)? {
        if matches!(key, b"path" | b"linkpath" | b"size") || key.starts_with(b"GNU.sparse.") {
            let key = String::from_utf8_lossy(key).into_owned();
            return Err(Error::malformed(format!("a global PAX header sets `{key}` for all entries")));
        }
    }
    Ok(())
}

fn decimal(text: &[u8]) -> Result<u64> {
    let parsed =
        std::str::from_utf8(text).ok().filter(|text| !text.starts_with('+')).and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| Error::malformed("a number in a PAX header is none"))
}

/// Reads the contents of the current entry whole; only for small files.
impl<R: Skip> Reader<R> {
    /// Copies the contents of the current entry to `out`.
    ///
    /// # Errors
    /// Faults of either side.
    pub fn copy_contents(&mut self, out: &mut dyn io::Write) -> Result<u64> {
        io::copy(self, out).doing("copy a file out of the layer")
    }
}
