//! PAX records (POSIX.1-2017, pax Interchange Format), as far as all careful readers take them alike.

use std::collections::HashSet;

use super::entry::pax_time;
use crate::error::{Error, Result};
use crate::text::Printable;

/// The keys of GNU tar's three sparse forms (0.0, 0.1 and 1.0) that all readers of sparse files know.
const SPARSE: [&[u8]; 9] = [
    b"GNU.sparse.major",
    b"GNU.sparse.minor",
    b"GNU.sparse.name",
    b"GNU.sparse.size",
    b"GNU.sparse.realsize",
    b"GNU.sparse.numblocks",
    b"GNU.sparse.map",
    SPARSE_OFFSET,
    SPARSE_BYTES,
];
const SPARSE_OFFSET: &[u8] = b"GNU.sparse.offset";
const SPARSE_BYTES: &[u8] = b"GNU.sparse.numbytes";
/// Keys that some readers act on and others ignore: sizes and devices as star writes them.
const OF_STAR: [&[u8]; 4] = [b"SCHILY.realsize", b"SCHILY.filetype", b"SCHILY.devmajor", b"SCHILY.devminor"];
/// Keys whose empty value takes a setting back for one reader, and sets it to nothing for the next.
const OF_THE_ENTRY: [&[u8]; 10] =
    [b"path", b"linkpath", b"size", b"uid", b"gid", b"uname", b"gname", b"mtime", b"atime", b"ctime"];
/// The encodings of names that need no conversion: bytes, and UTF-8.
const CHARSETS: [&[u8]; 2] = [b"BINARY", b"ISO-IR 10646 2000 UTF-8"];

/// One record: keyword and value.
pub(super) type Record<'a> = (&'a [u8], &'a [u8]);

/// The records of a PAX header: `LENGTH KEY=VALUE\n`.
///
/// # Errors
/// [`Kind::Malformed`](crate::error::Kind::Malformed) for other text, and for records that readers take differently:
/// a key that is there twice, an empty value, keys that only some know.
pub(super) fn records(mut bytes: &[u8]) -> Result<Vec<Record<'_>>> {
    let mut records = Vec::new();
    let mut seen = HashSet::new();
    while !bytes.is_empty() {
        let (key, value, rest) = record(bytes).ok_or_else(|| Error::malformed("a malformed PAX header"))?;
        let repeats = key == SPARSE_OFFSET || key == SPARSE_BYTES;
        if !seen.insert(key) && !repeats {
            return Err(wrong("has the record", key, "twice"));
        }
        ensure_alike(key, value)?;
        records.push((key, value));
        bytes = rest;
    }
    Ok(records)
}

/// Key and value of the first record, and what follows it.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().position(|&byte| byte == b' ')?;
    let digits = &bytes[..space];
    let len = usize::try_from(decimal(digits).ok()?).ok()?;
    if digits.starts_with(b"0") {
        return None;
    }
    let record = bytes.get(space + 1..len)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|&byte| byte == b'=').filter(|at| *at > 0)?;
    Some((&record[..equals], &record[equals + 1..], &bytes[len..]))
}

fn ensure_alike(key: &[u8], value: &[u8]) -> Result<()> {
    if key.contains(&0) || value.contains(&0) && matches!(key, b"path" | b"linkpath" | b"uname" | b"gname") {
        return Err(wrong("has a NUL byte in the record", key, "of an entry"));
    }
    if value.is_empty() && OF_THE_ENTRY.contains(&key) {
        return Err(wrong("has the record", key, "without a value"));
    }
    match key {
        b"atime" | b"ctime" => pax_time(value).map(drop),
        b"hdrcharset" if !CHARSETS.contains(&value) => Err(wrong("has the record", key, "with an unknown value")),
        key if OF_STAR.contains(&key) => Err(wrong("has the record", key, "which readers understand differently")),
        key if key.starts_with(b"GNU.") && !SPARSE.contains(&key) => {
            Err(wrong("has the record", key, "which readers understand differently"))
        }
        _ => Ok(()),
    }
}

fn wrong(before: &str, key: &[u8], after: &str) -> Error {
    Error::malformed(format!("a PAX header {before} `{}` {after}", Printable::new(key)))
}

/// True if these records are those of a sparse file.
///
/// # Errors
/// [`Kind::Malformed`](crate::error::Kind::Malformed) for records of none of GNU tar's three forms.
pub(super) fn is_sparse(records: &[Record<'_>]) -> Result<bool> {
    if !records.iter().any(|(key, _)| key.starts_with(b"GNU.sparse.")) {
        return Ok(false);
    }
    let get = |key: &[u8]| records.iter().find(|(found, _)| *found == key).map(|(_, value)| *value);
    let has = |key: &[u8]| get(key).is_some_and(|value| !value.is_empty());
    let known = match (get(b"GNU.sparse.major"), get(b"GNU.sparse.minor")) {
        (Some(b"1"), Some(b"0")) => {
            has(b"GNU.sparse.name") && has(b"GNU.sparse.realsize") && !has(b"GNU.sparse.map") && !has(SPARSE_OFFSET)
        }
        (None, None) if get(b"GNU.sparse.realsize").is_some() => false,
        (None, None) => match has(b"GNU.sparse.map") {
            true => has(b"GNU.sparse.name") && has(b"GNU.sparse.size") && !has(SPARSE_OFFSET),
            false => has(SPARSE_OFFSET) && has(b"GNU.sparse.size") && get(b"GNU.sparse.name").is_none(),
        },
        _ => false,
    };
    if known { Ok(true) } else { Err(Error::malformed("a sparse file that is not in a form of GNU tar's")) }
}

/// Checks the records of a global header: comments only.
///
/// # Errors
/// [`Kind::Malformed`](crate::error::Kind::Malformed) for anything else.
pub(super) fn ensure_comment(bytes: &[u8]) -> Result<()> {
    match records(bytes)?.iter().find(|(key, _)| *key != b"comment") {
        Some((key, _)) => {
            Err(Error::malformed(format!("a global PAX header sets `{}` for all entries", Printable::new(key))))
        }
        None => Ok(()),
    }
}

/// A number in a record: decimal digits.
///
/// # Errors
/// [`Kind::Malformed`](crate::error::Kind::Malformed) for anything else.
pub(super) fn decimal(text: &[u8]) -> Result<u64> {
    let digits = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let number = digits.and_then(|text| text.parse().ok());
    number.ok_or_else(|| Error::malformed("invalid number in a PAX header"))
}
