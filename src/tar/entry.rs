use crate::error::{Error, Result};
use crate::text::Printable;

/// The longest path that is read, in bytes: Linux's `PATH_MAX`.
const MAX_PATH: usize = 4096;

/// The kind of a layer's entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// Another name for a file of the same layer or of a lower one; the path is normalised.
    HardLink(Box<[u8]>),
    /// A symbolic link, its target as it stands.
    Symlink(Box<[u8]>),
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
    /// A character (`true`) or block device.
    Device {
        /// Character device, as opposed to block device.
        character: bool,
        /// Major and minor number.
        number: (u32, u32),
    },
    /// A file with holes in one of GNU's forms, which this program cannot read.
    Sparse,
}

impl EntryKind {
    /// The name used in messages.
    pub fn name(&self) -> &'static str {
        match self {
            EntryKind::File => "a regular file",
            EntryKind::HardLink(_) => "a hard link",
            EntryKind::Symlink(_) => "a symbolic link",
            EntryKind::Directory => "a directory",
            EntryKind::Fifo => "a named pipe",
            EntryKind::Device { .. } => "a device node",
            EntryKind::Sparse => "a sparse file",
        }
    }
}

/// PAX records (POSIX.1-2017, pax Interchange Format) that are kept as they are: extended attributes, times with
/// fractions, and whatever else a program has written.
pub type PaxRecords = Box<[PaxRecord]>;

/// Keyword and value of one PAX record.
pub type PaxRecord = (Box<[u8]>, Box<[u8]>);

/// True if a PAX record of this keyword gives a file an extended attribute, or what is one under another name: access
/// control lists, labels of SELinux, file flags.
pub fn is_attribute(keyword: &[u8]) -> bool {
    const KINDS: [&[u8]; 6] =
        [b"SCHILY.xattr.", b"SCHILY.acl", b"SCHILY.fflags", b"RHT.security", b"LIBARCHIVE.", b"MSWINDOWS."];
    KINDS.iter().any(|kind| keyword.starts_with(kind))
}

/// Everything about a file but its name, kind and contents.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Meta {
    /// Permission bits with set-user-ID, set-group-ID and sticky bit.
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Modification time in seconds since 1970, rounded down; a fraction stands in a PAX record `mtime`.
    pub mtime: i64,
    /// The owner's name, if the archive has it.
    pub user: Box<[u8]>,
    /// The group's name, if the archive has it.
    pub group: Box<[u8]>,
    /// Further PAX records.
    pub pax: PaxRecords,
}

impl Meta {
    /// Root's, with this mode and time.
    pub fn new(mode: u32, mtime: i64) -> Self {
        Meta { mode, mtime, ..Meta::default() }
    }

    /// The same with another modification time.
    #[must_use]
    pub fn touched(&self, mtime: i64) -> Self {
        let pax = self.pax.iter().filter(|(key, _)| &**key != b"mtime").cloned().collect();
        Meta { mtime, pax, ..self.clone() }
    }

    /// The fraction of the modification time, in nanoseconds after [`mtime`](Meta::mtime).
    pub fn nanos(&self) -> u32 {
        let record = self.pax.iter().find(|(key, _)| &**key == b"mtime");
        record.and_then(|(_, time)| pax_time(time).ok()).map_or(0, |(_, nanos)| nanos)
    }

    /// The records that give a file [attributes](is_attribute).
    pub fn attributes(&self) -> impl Iterator<Item = &PaxRecord> {
        self.pax.iter().filter(|(key, _)| is_attribute(key))
    }

    /// True if a hard link with these metadata leaves those of its file, `other`, as they are: engines give a file what
    /// each of its names has.
    pub fn leaves_file_as_it_is(&self, other: &Meta) -> bool {
        let owner = |meta: &Meta| (meta.permissions(), meta.uid, meta.gid);
        let attributes = self.attributes().all(|own| other.attributes().any(|its| its == own));
        owner(self) == owner(other) && attributes
    }

    /// The mode without the type bits that some writers put into it.
    pub fn permissions(&self) -> u32 {
        self.mode & 0o7777
    }
}

/// One entry of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path, normalised: relative, no `.` and no empty components, no slash at the end.
    pub path: Box<[u8]>,
    /// The kind of entry, with its target or device number.
    pub kind: EntryKind,
    /// Owner, mode, times and the rest.
    pub meta: Meta,
    /// Bytes of contents; 0 but for files.
    pub size: u64,
    /// The position of the contents: in the uncompressed layer, or in the file to which they were spooled.
    pub offset: u64,
    /// True if the archive has its name and that of its target in exactly this form (a directory's with a slash at
    /// its end or without).
    pub exact: bool,
    /// The end of its header in the uncompressed layer: no other entry has the same.
    pub position: u64,
}

impl Entry {
    /// The target, if this is a hard link.
    pub fn link_target(&self) -> Option<&[u8]> {
        match &self.kind {
            EntryKind::HardLink(target) => Some(target),
            _ => None,
        }
    }
}

/// A time as it stands in a PAX record, `-1.5` say: seconds, rounded down, and the nanoseconds after them.
///
/// # Errors
/// [`Kind::Malformed`](crate::error::Kind::Malformed) for anything else.
pub(crate) fn pax_time(text: &[u8]) -> Result<(i64, u32)> {
    let wrong = || Error::malformed("invalid time in a PAX header");
    let text = std::str::from_utf8(text).map_err(|_| wrong())?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().map_err(|_| wrong())?;
    if whole.starts_with('+') || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(wrong());
    }
    let digits = fraction.bytes().map(|digit| u32::from(digit - b'0')).chain(std::iter::repeat(0)).take(9);
    let nanos = digits.fold(0, |nanos, digit| nanos * 10 + digit);
    if nanos == 0 || !whole.starts_with('-') {
        return Ok((seconds, nanos));
    }
    Ok((seconds.checked_sub(1).ok_or_else(wrong)?, 1_000_000_000 - nanos))
}

/// The time as a PAX record; `None` if it is a whole second, which needs none.
pub fn pax_mtime(seconds: i64, nanos: u32) -> Option<PaxRecord> {
    if nanos == 0 {
        return None;
    }
    let (sign, whole, nanos) = if seconds < 0 {
        ("-", (seconds + 1).unsigned_abs(), 1_000_000_000 - nanos)
    } else {
        ("", seconds.unsigned_abs(), nanos)
    };
    let time = format!("{sign}{whole}.{nanos:09}");
    Some((b"mtime"[..].into(), time.trim_end_matches('0').as_bytes().into()))
}

/// The normalised form of a path in an archive; `/`, `./` and nothing before it are the same place.
///
/// # Errors
/// [`Kind::Malformed`](crate::error::Kind::Malformed) for a path with `..`, with a NUL byte, or longer than 4096
/// bytes.
pub fn normalise(path: &[u8]) -> Result<Box<[u8]>> {
    if path.len() > MAX_PATH {
        return Err(Error::malformed(format!("a path of {} bytes; at most {MAX_PATH} are possible", path.len())));
    }
    let mut normal = Vec::with_capacity(path.len());
    for component in path.split(|&byte| byte == b'/') {
        match component {
            b"" | b"." => continue,
            b".." => return Err(Error::malformed(format!("the path `{}` has `..` in it", Printable::new(path)))),
            _ if component.contains(&0) => return Err(Error::malformed("a path has a NUL byte in it")),
            _ if !normal.is_empty() => normal.push(b'/'),
            _ => {}
        }
        normal.extend_from_slice(component);
    }
    Ok(normal.into())
}

/// A number in a tar header: octal text, or binary behind a byte of 0x80, or 0xff if it is negative (GNU).
///
/// # Errors
/// [`Kind::Malformed`](crate::error::Kind::Malformed) for anything else.
pub fn number(field: &[u8]) -> Result<i64> {
    let wrong = || Error::malformed("invalid number in a tar header");
    match field {
        [0x80 | 0xff, rest @ ..] => {
            let start = if field[0] == 0x80 { 0 } else { -1 };
            let shifted = |value: i64, &byte: &u8| Some(value.checked_mul(256)? + i64::from(byte));
            let value = rest.iter().try_fold(start, shifted).ok_or_else(wrong)?;
            // One sign is the other to readers of more or fewer bits.
            if (value < 0) == (start < 0) { Ok(value) } else { Err(wrong()) }
        }
        _ => octal(field).ok_or_else(wrong),
    }
}

/// One run of octal digits with blanks before it, and blanks or NUL bytes behind it; without digits it is 0. Of a NUL
/// byte before the digits readers make different numbers.
pub(super) fn octal(field: &[u8]) -> Option<i64> {
    let is_filler = |byte: &u8| matches!(byte, b' ' | 0);
    if field.iter().all(is_filler) {
        return Some(0);
    }
    let start = field.iter().position(|byte| *byte != b' ')?;
    let digits = field[start..].iter().take_while(|byte| matches!(byte, b'0'..=b'7')).count();
    let (digits, rest) = field[start..].split_at(digits);
    if digits.is_empty() || !rest.iter().all(is_filler) {
        return None;
    }
    digits.iter().try_fold(0_i64, |value, digit| value.checked_mul(8)?.checked_add(i64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_path_has_one_form() {
        for (path, normal) in [
            ("opt/x", "opt/x"),
            ("./opt/x", "opt/x"),
            ("/opt/x", "opt/x"),
            ("//opt/./x//", "opt/x"),
            ("./", ""),
            ("opt/..x", "opt/..x"),
        ] {
            assert_eq!(&*normalise(path.as_bytes()).unwrap(), normal.as_bytes(), "{path}");
        }
        for path in ["../x", "opt/../../x", "a\0b", &"x".repeat(65536)] {
            assert!(normalise(path.as_bytes()).is_err(), "{path}");
        }
    }

    #[test]
    fn times_before_1970_have_fractions_too() {
        for (text, seconds, nanos) in [
            ("1600000000.25", 1_600_000_000, 250_000_000),
            ("0.000000001", 0, 1),
            ("-0.5", -1, 500_000_000),
            ("-1.5", -2, 500_000_000),
            ("-86400.999999999", -86_401, 1),
        ] {
            assert_eq!(pax_time(text.as_bytes()).unwrap(), (seconds, nanos), "{text}");
            let (key, value) = pax_mtime(seconds, nanos).unwrap();
            assert_eq!((&*key, &*value), (&b"mtime"[..], text.as_bytes()));
            let meta = Meta { pax: [(key, value)].into(), ..Meta::new(0, seconds) };
            assert_eq!((meta.nanos(), meta.touched(1).nanos()), (nanos, 0));
        }
        assert_eq!(pax_time(b"7").unwrap(), (7, 0));
        assert_eq!(pax_time(b"7.0000000009").unwrap(), (7, 0), "below a nanosecond");
        assert_eq!(pax_mtime(7, 0), None);
        for wrong in ["", ".5", "+1", "1.-5", "1.5.5", "x", "1e3", "-9223372036854775808.5", "9223372036854775808"] {
            assert!(pax_time(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn reads_octal_and_binary_numbers() {
        assert_eq!(number(b"0000644\0").unwrap(), 0o644);
        assert_eq!(number(b"  644 \0").unwrap(), 0o644);
        assert_eq!(number(b"\0\0\0").unwrap(), 0);
        assert_eq!(number(&[0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]).unwrap(), 2 << 32);
        assert_eq!(number(&[0xff; 12]).unwrap(), -1);
        assert_eq!(number(&[0x80, 0, 0, 0, 0x7f, 255, 255, 255, 255, 255, 255, 255]).unwrap(), i64::MAX);
        assert_eq!(number(&[255, 255, 255, 255, 0x80, 0, 0, 0, 0, 0, 0, 0]).unwrap(), i64::MIN);
        assert_eq!((number(b"   \0\0").unwrap(), number(b"77777777").unwrap()), (0, 0o77_777_777));
        for wrong in [
            &b"8"[..],
            b"-7",
            b"+7",
            b"6 4",
            b"6\x004",
            b"\x00000644",
            b"\x00 644\x00",
            b" \x00644",
            b"\t644",
            b"0_1",
            b"0x1",
            b"644\n",
            &[0x80, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255],
            &[0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0],
            &[0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0xff, 255, 255, 255, 0x7f, 255, 255, 255, 255, 255, 255, 255],
            &[0x81, 0, 0, 0, 0, 0, 0, 0],
            &[0xc0, 0, 0, 0, 0, 0, 0, 0],
        ] {
            assert!(number(wrong).is_err(), "{wrong:?}");
        }
    }
}
