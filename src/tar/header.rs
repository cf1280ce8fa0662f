//! One block of a tar header: v7, ustar (POSIX.1-2017) or GNU.

use super::entry::{number, octal};
use crate::error::{Error, Result};

/// A tar archive consists of blocks of this many bytes.
pub(super) const BLOCK: usize = 512;

/// By what bytes at the place of the magic a header is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Before POSIX: neither names of owners nor a prefix.
    V7,
    /// POSIX: ustar and pax.
    Posix,
    /// GNU: times and a sparse map where POSIX has the prefix.
    Gnu,
}

/// One header.
pub(super) struct Header<'a> {
    block: &'a [u8; BLOCK],
    pub format: Format,
}

impl<'a> Header<'a> {
    /// The header in this block, which begins `position` bytes into the archive.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) if its sum is wrong, or it is of a format that readers take for
    /// different ones.
    pub(super) fn new(block: &'a [u8; BLOCK], position: u64) -> Result<Self> {
        ensure_sum(block, position)?;
        let format = match &block[257..265] {
            // star: its prefix is shorter, and behind it are times.
            b"ustar\x0000" | b"ustar\0\0\0" if &block[508..] == b"tar\0" => None,
            b"ustar\x0000" | b"ustar\0\0\0" => Some(Format::Posix),
            b"ustar  \0" => Some(Format::Gnu),
            // GNU tar writes device numbers into it, which nobody reads.
            _ if block[257..329].iter().chain(&block[345..]).all(|&byte| byte == 0) => Some(Format::V7),
            _ => None,
        };
        let unknown = || Error::malformed(format!("a tar header of an unknown format (at byte {position})"));
        Ok(Header { block, format: format.ok_or_else(unknown)? })
    }

    pub(super) fn field(&self, start: usize, len: usize) -> &'a [u8] {
        &self.block[start..start + len]
    }

    /// A text, which ends at a NUL byte or with its field.
    pub(super) fn text(&self, start: usize, len: usize) -> &'a [u8] {
        self.field(start, len).split(|&byte| byte == 0).next().unwrap_or_default()
    }

    pub(super) fn typeflag(&self) -> u8 {
        self.block[156]
    }

    /// The number in a field, none of which may be negative.
    pub(super) fn unsigned(&self, start: usize, len: usize) -> Result<u64> {
        let value = number(self.field(start, len))?;
        u64::try_from(value).map_err(|_| Error::malformed("a negative number in a tar header"))
    }

    pub(super) fn size(&self) -> Result<u64> {
        self.unsigned(124, 12).map_err(|error| match number(self.field(124, 12)) {
            Ok(_) => impossible_size(),
            Err(_) => error,
        })
    }

    /// True if more blocks of GNU's old sparse map follow the header.
    pub(super) fn has_more_sparse_map(&self) -> bool {
        self.typeflag() == b'S' && self.block[482] != 0
    }

    /// The path, its prefix put in front.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) if it cannot be told whether there is a prefix.
    pub(super) fn path(&self) -> Result<Vec<u8>> {
        let prefix = match self.format {
            Format::V7 => &[],
            Format::Posix => self.text(345, 155),
            Format::Gnu => self.gnu_prefix()?,
        };
        let name = self.text(0, 100);
        Ok(if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() })
    }

    /// GNU has no prefix, but two times in its place, mostly left out. Programs in Go wrote one nevertheless, Docker up
    /// to 17.03 among them; Go reads it where the times are none, and so do engines (golang/go#21005).
    fn gnu_prefix(&self) -> Result<&'a [u8]> {
        let times = [self.field(345, 12), self.field(357, 12)];
        let is_empty = |field: &[u8]| field.iter().all(|&byte| byte == 0);
        let is_time = |field: &[u8]| {
            is_empty(field) || octal(field).is_some() && field[..11].iter().all(u8::is_ascii_digit) || field[0] == 0x80
        };
        if self.typeflag() == b'S' {
            let unclear = || Error::malformed("the header of a sparse file has other data in place of its times");
            return if times.into_iter().all(is_time) { Ok(&[]) } else { Err(unclear()) };
        }
        let is_clear = |end: usize| is_empty(&self.field(345, 155)[end..]);
        if times.into_iter().all(is_time) && is_clear(24) {
            return Ok(&[]);
        }
        let prefix = self.text(345, 155);
        let is_prefix = !prefix.is_empty()
            && prefix.is_ascii()
            && is_clear(prefix.len())
            && times.into_iter().any(|time| !is_empty(time) && octal(time).is_none());
        if is_prefix { Ok(prefix) } else { Err(Error::malformed("a GNU header with data in place of a prefix")) }
    }
}

fn ensure_sum(block: &[u8; BLOCK], position: u64) -> Result<()> {
    let sum = |convert: fn(u8) -> i64| -> i64 {
        let ours = block.iter().enumerate();
        ours.map(|(at, &byte)| if (148..156).contains(&at) { 32 } else { convert(byte) }).sum()
    };
    let stated = octal(&block[148..156]);
    // Some old writers summed signed bytes.
    if stated == Some(sum(i64::from)) || stated == Some(sum(|byte| i64::from(byte.cast_signed()))) {
        return Ok(());
    }
    match foreign_compression(block) {
        Some(error) if position == 0 => Err(error),
        _ if position == 0 => Err(Error::malformed("not a tar archive")),
        _ => Err(Error::malformed(format!("the tar archive is damaged (at byte {position})"))),
    }
}

/// The refusal of data that is compressed in a way which is not read, by how it begins.
pub(super) fn foreign_compression(start: &[u8]) -> Option<Error> {
    const MAGICS: [(&[u8], &str); 9] = [
        (b"\xfd7zXZ\0", "xz"),
        (b"BZh", "bzip2"),
        (b"\x04\x22\x4d\x18", "lz4"),
        (b"LZIP", "lzip"),
        (b"\x5d\0\0", "lzma"),
        (b"\x1f\x9d", "compress"),
        (b"\x89LZO", "lzop"),
        (b"PK\x03\x04", "zip"),
        (b"7z\xbc\xaf\x27\x1c", "7-Zip"),
    ];
    let (_, name) = MAGICS.iter().find(|(magic, _)| start.starts_with(magic))?;
    let hint = "unpack it first, or compress it by gzip or zstd";
    Some(Error::malformed(format!("compressed by {name}, which is not read")).hint(hint))
}

pub(super) fn impossible_size() -> Error {
    Error::malformed("an impossible size in a tar header")
}
