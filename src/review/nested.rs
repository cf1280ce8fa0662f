//! Archives and compressed files, opened within bounds.

use std::cell::Cell;
use std::io::{Cursor, Read};

use flate2::bufread::{GzDecoder, ZlibDecoder};

use super::finding::Severity;
use super::format::{Format, ending};
use super::names;
use super::tar_gaps;
use crate::error::Result;
use crate::tar::{EntryKind, Reader, Sequential};

/// The depth to which archives in archives are opened.
pub(super) const MAX_DEPTH: usize = 3;
/// The most bytes of one entry that are looked at.
pub(super) const MAX_ENTRY: u64 = 16 << 20;

/// What is left of the work that one review does on entries.
#[derive(Debug)]
pub(super) struct Budget {
    bytes: Cell<u64>,
    entries: Cell<u64>,
}

impl Default for Budget {
    fn default() -> Self {
        Budget { bytes: Cell::new(256 << 20), entries: Cell::new(10_000) }
    }
}

impl Budget {
    fn take_entry(&self) -> bool {
        let left = self.entries.get();
        self.entries.set(left.saturating_sub(1));
        left > 0
    }
}

/// One entry of an archive.
pub(super) struct Part {
    /// Its name in the archive.
    pub(super) name: Vec<u8>,
    /// As much of its content as is looked at.
    pub(super) bytes: Vec<u8>,
    /// True if that is all.
    pub(super) whole: bool,
    pub(super) role: Role,
}

/// What an entry is in its archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// A file as any other.
    File,
    /// A part of a document, of a type that is the document's own.
    DocumentPart,
    /// The numbers of a tensor or array.
    Tensor,
}

/// What was odd about an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Oddity {
    /// It must not leave: what it holds was not seen.
    Unseen(&'static str),
    /// A person has to look.
    Odd(&'static str),
}

/// Hands the entries of an archive to `each`, one after the other; what was odd about it.
pub(super) fn open(
    format: Format,
    name: &[u8],
    bytes: &[u8],
    budget: &Budget,
    each: &mut dyn FnMut(Part) -> Result<()>,
) -> Result<Vec<Oddity>> {
    let mut odd = Vec::new();
    match format {
        Format::Gzip => gzip(name, bytes, budget, each, &mut odd)?,
        Format::Zlib => {
            let mut decoder = ZlibDecoder::new(bytes);
            let (content, whole) = read_part(&mut decoder, budget, &mut odd);
            if whole && usize::try_from(decoder.total_in()).unwrap_or(usize::MAX) < bytes.len() {
                odd.push(Oddity::Unseen("bytes after the end of the compressed ones"));
            }
            each(Part { name: inner_name(name), bytes: content, whole, role: Role::File })?;
        }
        Format::Tar => tar(bytes, budget, each, &mut odd)?,
        _ => zip(format, bytes, budget, each, &mut odd)?,
    }
    Ok(odd)
}

/// The name without the ending of the compression.
fn inner_name(name: &[u8]) -> Vec<u8> {
    let ending = ending(name);
    match ending.as_str() {
        "gz" | "z" | "zlib" => name[..name.len() - ending.len() - 1].to_vec(),
        "tgz" => [&name[..name.len() - 3], b"tar"].concat(),
        _ => name.to_vec(),
    }
}

/// As much of a content as the bounds allow.
fn read_part(reader: &mut dyn Read, budget: &Budget, odd: &mut Vec<Oddity>) -> (Vec<u8>, bool) {
    let limit = MAX_ENTRY.min(budget.bytes.get());
    let mut bytes = Vec::new();
    let read = reader.take(limit + 1).read_to_end(&mut bytes);
    budget.bytes.set(budget.bytes.get().saturating_sub(bytes.len() as u64));
    let mut whole = true;
    if read.is_err() {
        odd.push(Oddity::Unseen("what is compressed cannot be read to its end"));
        whole = false;
    }
    if bytes.len() as u64 > limit {
        bytes.truncate(usize::try_from(limit).unwrap_or_default());
        odd.push(Oddity::Unseen("more content than is looked at"));
        whole = false;
    }
    (bytes, whole)
}

fn gzip(
    name: &[u8],
    bytes: &[u8],
    budget: &Budget,
    each: &mut dyn FnMut(Part) -> Result<()>,
    odd: &mut Vec<Oddity>,
) -> Result<()> {
    // One file may be compressed in several pieces, as bgzip does.
    let (mut rest, mut content, mut whole) = (bytes, Vec::new(), true);
    while rest.starts_with(b"\x1f\x8b") {
        let mut decoder = GzDecoder::new(rest);
        let (piece, is_whole) = read_part(&mut decoder, budget, odd);
        let header = decoder.header();
        let is_blocked = header
            .is_some_and(|header| header.extra().is_some_and(|extra| extra.starts_with(b"BC") && extra.len() == 6));
        if header.is_some_and(|header| header.comment().is_some() || header.extra().is_some()) && !is_blocked {
            odd.push(Oddity::Odd("a comment or extra field in the header of gzip"));
        }
        let inner = inner_name(name);
        let own = inner.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        if header.and_then(|header| header.filename()).is_some_and(|written| written != own) {
            odd.push(Oddity::Odd("another name in the header of gzip than that of the file"));
        }
        rest = decoder.into_inner();
        let room = usize::try_from(MAX_ENTRY).unwrap_or(usize::MAX).saturating_sub(content.len());
        whole &= is_whole && piece.len() <= room;
        content.extend_from_slice(&piece[..piece.len().min(room)]);
        if !whole {
            break;
        }
    }
    if whole && !rest.is_empty() {
        odd.push(Oddity::Unseen("bytes after the end of the compressed ones"));
    }
    if !whole && odd.is_empty() {
        odd.push(Oddity::Unseen("more content than is looked at"));
    }
    each(Part { name: inner_name(name), bytes: content, whole, role: Role::File })
}

fn tar(bytes: &[u8], budget: &Budget, each: &mut dyn FnMut(Part) -> Result<()>, odd: &mut Vec<Oddity>) -> Result<()> {
    odd.extend(tar_gaps::oddity(bytes).map(Oddity::Odd));
    let mut reader = Reader::new(Sequential(Cursor::new(bytes)));
    loop {
        let entry = match reader.next_entry() {
            Ok(Some(entry)) => entry,
            Ok(None) => break,
            Err(_) => {
                odd.push(Oddity::Unseen("not a tar archive that every reader takes for the same files"));
                return Ok(());
            }
        };
        if !budget.take_entry() {
            odd.push(Oddity::Unseen("more entries than are looked at"));
            return Ok(());
        }
        note_name(&entry.path, odd);
        match entry.kind {
            EntryKind::Directory => continue,
            EntryKind::File => {}
            _ => {
                odd.push(Oddity::Odd("an entry that is no file and no directory"));
                continue;
            }
        }
        let (content, whole) = read_part(&mut reader, budget, odd);
        each(Part { name: entry.path.to_vec(), bytes: content, whole, role: Role::File })?;
    }
    let rest = reader.into_inner().0;
    let at = usize::try_from(rest.position()).unwrap_or(usize::MAX);
    if bytes.get(at..).unwrap_or_default().iter().any(|&byte| byte != 0) {
        odd.push(Oddity::Unseen("bytes after the end of the archive"));
    }
    Ok(())
}

/// Names in archives travel as those of files do.
fn note_name(path: &[u8], odd: &mut Vec<Oddity>) {
    let path = path.strip_suffix(b"/").unwrap_or(path);
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    match names::of_name(name) {
        Some((Severity::Stop, what)) => odd.push(Oddity::Unseen(what)),
        Some((_, what)) => odd.push(Oddity::Odd(what)),
        None => {}
    }
}

/// True if the extra fields of an entry are others than those for times, owners and large files.
fn has_odd_fields(mut fields: &[u8]) -> bool {
    while let [low, high, length, more, rest @ ..] = fields {
        let (id, length) = (u16::from_le_bytes([*low, *high]), usize::from(u16::from_le_bytes([*length, *more])));
        let most = match id {
            0x0001 => 28,
            0x5455 => 13,
            0x5855 => 12,
            0x7855 => 4,
            0x7875 => 15,
            0x000a => 32,
            _ => return true,
        };
        if length > most || length > rest.len() {
            return true;
        }
        fields = &rest[length..];
    }
    !fields.is_empty()
}

fn zip(
    format: Format,
    bytes: &[u8],
    budget: &Budget,
    each: &mut dyn FnMut(Part) -> Result<()>,
    odd: &mut Vec<Oddity>,
) -> Result<()> {
    if entries_listed(bytes) > MAX_LISTED {
        odd.push(Oddity::Unseen("more entries than are looked at"));
        return Ok(());
    }
    let Ok(mut archive) = zip::ZipArchive::new(Cursor::new(bytes)) else {
        odd.push(Oddity::Unseen("not a zip archive that can be read"));
        return Ok(());
    };
    // Every byte belongs to an entry or to the directory, or something hides between them.
    let mut covered: Vec<(u64, u64)> = Vec::new();
    if !archive.comment().is_empty() {
        odd.push(Oddity::Odd("a comment in the archive"));
    }
    for index in 0..archive.len() {
        if !budget.take_entry() {
            odd.push(Oddity::Unseen("more entries than are looked at"));
            return Ok(());
        }
        if let Ok(raw) = archive.by_index_raw(index) {
            let end = raw.data_start().unwrap_or_default().saturating_add(raw.compressed_size());
            covered.push((raw.header_start(), end));
        }
        let Ok(mut entry) = archive.by_index(index) else {
            odd.push(Oddity::Unseen("an entry that is encrypted, or compressed in a way that is not read"));
            continue;
        };
        if format == Format::Zip {
            note_name(entry.name_raw(), odd);
            if entry.extra_data().is_some_and(|fields| has_odd_fields(&fields)) {
                odd.push(Oddity::Odd("an extra field that programs do not write for plain files"));
            }
        }
        if entry.is_dir() {
            continue;
        }
        if !entry.comment().is_empty() {
            odd.push(Oddity::Odd("a comment on an entry"));
        }
        let name = entry.name_raw().to_vec();
        let role = role_of(format, &name);
        let (content, whole) = read_part(&mut entry, budget, odd);
        drop(entry);
        each(Part { name, bytes: content, whole, role })?;
    }
    covered.sort_unstable();
    let mut at = 0;
    for (from, until) in covered {
        // Sizes may follow an entry, in at most 24 bytes.
        if from > at + 24 || from < at {
            odd.push(Oddity::Unseen("bytes of the archive that are in no entry, or in two"));
            break;
        }
        at = until;
    }
    if archive.central_directory_start() > at + 24 {
        odd.push(Oddity::Unseen("bytes of the archive that are in no entry, or in two"));
    }
    Ok(())
}

/// The most entries of a zip archive whose directory is read.
const MAX_LISTED: usize = 20_000;

/// The entries in the directory of a zip archive, or more.
fn entries_listed(bytes: &[u8]) -> usize {
    let (mut rest, mut count) = (bytes, 0);
    while let Some(at) = super::format::find(rest, b"PK\x01\x02") {
        rest = &rest[at + 4..];
        count += 1;
    }
    count
}

fn role_of(format: Format, name: &[u8]) -> Role {
    let is_media =
        [&b"media/"[..], b"embeddings/", b"Pictures/"].iter().any(|dir| super::format::find(name, dir).is_some());
    match format {
        Format::Document | Format::Spreadsheet if !is_media => Role::DocumentPart,
        Format::Torch if !name.ends_with(b".pkl") => Role::Tensor,
        _ => Role::File,
    }
}
