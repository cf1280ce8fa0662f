//! An entry while its headers are put together.

use super::entry::{EntryKind, Meta, PaxRecord, normalise, pax_time};
use super::header::{Format, Header};
use super::pax;
use crate::error::{Error, ErrorContext, Result};
use crate::path::shown;

/// The largest size that fits into a header in octal; PAX has a record for larger ones.
const MAX_OCTAL_SIZE: u64 = 0o77_777_777_777;
/// The largest owner or group: Linux has 32 bits for them, and the last number means "as it is".
const MAX_ID: u64 = u32::MAX as u64 - 1;

/// Headers that describe the next one.
#[derive(Default)]
pub(super) struct Extensions {
    pub pax: Option<Vec<u8>>,
    pub long_name: Option<Vec<u8>>,
    pub long_link: Option<Vec<u8>>,
}

impl Extensions {
    /// Of two headers of one kind some readers take the first, others the last, or both.
    pub(super) fn set(slot: &mut Option<Vec<u8>>, bytes: Vec<u8>) -> Result<()> {
        match slot.replace(bytes) {
            None => Ok(()),
            Some(_) => Err(Error::malformed("two extended tar headers of one kind before one entry")),
        }
    }

    pub(super) fn ensure_none(&self, place: &str) -> Result<()> {
        match self {
            Extensions { pax: None, long_name: None, long_link: None } => Ok(()),
            _ => Err(Error::malformed(format!("an extended tar header {place} that describes no entry"))),
        }
    }
}

pub(super) struct Draft {
    pub path: Vec<u8>,
    pub size: u64,
    pub meta: Meta,
    pub link: Vec<u8>,
    /// True if the link target came from an extended header.
    has_long_link: bool,
    mode: u64,
    is_sparse: bool,
}

impl Draft {
    pub(super) fn new(header: &Header<'_>, extensions: &Extensions) -> Result<Self> {
        let own = header.path()?;
        let records = pax::records(extensions.pax.as_deref().unwrap_or_default()).at(shown(&own))?;
        let (long_name, long_link) = (gnu_text(&extensions.long_name)?, gnu_text(&extensions.long_link)?);
        let get = |key: &[u8]| records.iter().find(|(found, _)| *found == key).map(|(_, value)| *value);
        let path = one_of(long_name, get(b"path"), "name").at(shown(&own))?;
        let link = one_of(long_link, get(b"linkpath"), "link").at(shown(&own))?;
        let is_sparse = header.typeflag() == b'S' || pax::is_sparse(&records).at(shown(&own))?;
        if long_name.or(long_link).is_some() && (get(b"size").is_some() || is_sparse && extensions.pax.is_some()) {
            return Err(Error::malformed("a GNU name beside a PAX size").at(shown(&own)));
        }
        // Sparse files in newer forms have a made-up name where other programs look for one.
        let path = get(b"GNU.sparse.name").or(path).map_or(own, <[u8]>::to_vec);
        if path.is_empty() {
            return Err(Error::malformed("a tar entry without a name"));
        }
        let mut draft = Draft {
            meta: Meta::default(),
            size: header.size().at(shown(&path))?,
            mode: header.unsigned(100, 8).at(shown(&path))?,
            has_long_link: link.is_some(),
            link: link.unwrap_or(header.text(157, 100)).to_vec(),
            is_sparse,
            path,
        };
        draft.read_meta(header, &records).at(shown(&draft.path))?;
        Ok(draft)
    }

    fn read_meta(&mut self, header: &Header<'_>, records: &[pax::Record<'_>]) -> Result<()> {
        let name = |start| if header.format == Format::V7 { Box::default() } else { Box::from(header.text(start, 32)) };
        self.meta = Meta {
            mode: (self.mode & 0o7777) as u32,
            uid: header.unsigned(108, 8)?,
            gid: header.unsigned(116, 8)?,
            mtime: super::number(header.field(136, 12))?,
            user: name(265),
            group: name(297),
            pax: Box::default(),
        };
        let mut kept: Vec<PaxRecord> = Vec::new();
        for &(key, value) in records {
            match key {
                b"path" | b"linkpath" => {}
                b"size" => self.resize(pax::decimal(value)?)?,
                b"uid" => self.meta.uid = pax::decimal(value)?,
                b"gid" => self.meta.gid = pax::decimal(value)?,
                b"uname" => self.meta.user = value.into(),
                b"gname" => self.meta.group = value.into(),
                b"mtime" => {
                    let (seconds, nanos) = pax_time(value)?;
                    self.meta.mtime = seconds;
                    // Whole seconds need no record.
                    kept.extend((nanos > 0).then(|| (key.into(), value.into())));
                }
                _ => kept.push((key.into(), value.into())),
            }
        }
        self.meta.pax = kept.into();
        if self.meta.uid.max(self.meta.gid) > MAX_ID {
            return Err(Error::malformed("an owner or a group of more than 32 bits in a tar header"));
        }
        Ok(())
    }

    /// To a reader without PAX the size of the header counts: where it could say it, it must.
    fn resize(&mut self, size: u64) -> Result<()> {
        if size != self.size && size <= MAX_OCTAL_SIZE {
            let what = format!("a PAX header gives the size {size}, but the header after it {}", self.size);
            return Err(Error::malformed(what));
        }
        self.size = size;
        Ok(())
    }

    pub(super) fn kind(&self, header: &Header<'_>) -> Result<EntryKind> {
        let device = |start| {
            let part = header.unsigned(start, 8)?;
            u32::try_from(part).map_err(|_| Error::malformed("a device number of more than 32 bits in a tar header"))
        };
        Ok(match header.typeflag() {
            b'S' if header.format == Format::Gnu => EntryKind::Sparse,
            b'0' | 0 if self.is_sparse => EntryKind::Sparse,
            _ if self.is_sparse => return Err(Error::malformed("a sparse file that is not a regular file")),
            // Before POSIX a directory was a file with a slash at its end.
            0 if self.path.ends_with(b"/") => EntryKind::Directory,
            0 | b'0' | b'7' => EntryKind::File,
            b'1' => EntryKind::HardLink(self.hard_link_target()?),
            b'2' if self.link.is_empty() => return Err(Error::malformed("a symbolic link without a target")),
            b'2' => EntryKind::Symlink(self.link.as_slice().into()),
            b'3' | b'4' if header.format == Format::V7 => {
                return Err(Error::malformed("a device without a number, in a header older than POSIX"));
            }
            character @ (b'3' | b'4') => {
                EntryKind::Device { character: character == b'3', number: (device(329)?, device(337)?) }
            }
            b'5' => EntryKind::Directory,
            b'6' => EntryKind::Fifo,
            other => return Err(Error::malformed(format!("a tar entry of unknown type `{}`", other.escape_ascii()))),
        })
    }

    fn hard_link_target(&self) -> Result<Box<[u8]>> {
        let target = normalise(&self.link)?;
        if target.is_empty() || self.link.ends_with(b"/") {
            return Err(Error::malformed(
                "a hard link whose target ends with a slash, as only that of a directory may",
            ));
        }
        if target == normalise(&self.path)? {
            return Err(Error::malformed("a hard link to itself"));
        }
        Ok(target)
    }

    /// Refuses what careful readers take differently although each field is right by itself.
    pub(super) fn ensure_alike(&self, header: &Header<'_>, kind: &EntryKind) -> Result<()> {
        let is_directory = *kind == EntryKind::Directory;
        let has_slash = self.path.ends_with(b"/");
        // Some readers look at the name of the header only.
        if has_slash && !is_directory || header.typeflag() == 0 && has_slash != header.path()?.ends_with(b"/") {
            return Err(Error::malformed(format!("{} with a slash at the end of its name", kind.name())));
        }
        let is_link = matches!(kind, EntryKind::HardLink(_) | EntryKind::Symlink(_));
        if self.has_long_link && !is_link {
            return Err(Error::malformed(format!("{} with the target of a link", kind.name())));
        }
        if self.size > 0 && !matches!(kind, EntryKind::File | EntryKind::Sparse) {
            return Err(Error::malformed(format!("{} with contents of {} bytes", kind.name(), self.size)));
        }
        let expected = match kind {
            EntryKind::File | EntryKind::Sparse => 0o100_000,
            EntryKind::Symlink(_) => 0o120_000,
            EntryKind::Directory => 0o040_000,
            EntryKind::Fifo => 0o010_000,
            EntryKind::Device { character: true, .. } => 0o020_000,
            EntryKind::Device { character: false, .. } => 0o060_000,
            EntryKind::HardLink(_) if self.mode & 0o170_000 == 0o120_000 => 0o120_000,
            EntryKind::HardLink(_) => 0o100_000,
        };
        match self.mode & !0o7777 {
            0 => Ok(()),
            found if found == expected => Ok(()),
            _ => Err(Error::malformed(format!(
                "{} whose mode {:o} is that of another file type",
                kind.name(),
                self.mode
            ))),
        }
    }
}

/// A long name or link of GNU: text, and NUL bytes behind it.
fn gnu_text(bytes: &Option<Vec<u8>>) -> Result<Option<&[u8]>> {
    let Some(bytes) = bytes else { return Ok(None) };
    let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    match &bytes[..end] {
        [] => Err(Error::malformed("an empty GNU name")),
        text if text.contains(&0) => Err(Error::malformed("a GNU name with a NUL byte in it")),
        text => Ok(Some(text)),
    }
}

/// A text that is there in GNU's form or as a PAX record, or as both if they are alike: of two some readers take the one,
/// and others the other.
fn one_of<'a>(gnu: Option<&'a [u8]>, pax: Option<&'a [u8]>, what: &str) -> Result<Option<&'a [u8]>> {
    match (gnu, pax) {
        (Some(gnu), Some(pax)) if gnu != pax => {
            Err(Error::malformed(format!("the {what} in a GNU header differs from that in a PAX header")))
        }
        _ => Ok(gnu.or(pax)),
    }
}
