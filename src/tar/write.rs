use std::io::{self, Write};

use super::entry::{EntryKind, Meta};
use crate::error::{Error, IoContext, Result};

const BLOCK: u64 = 512;
/// The largest number in the octal size field of a header.
const MAX_OCTAL_SIZE: u64 = 0o77_777_777_777;
/// The largest number in the octal owner and group fields.
const MAX_OCTAL_ID: u64 = 0o7_777_777;
/// The largest number in the octal device fields.
const MAX_OCTAL_DEVICE: u32 = 0o7_777_777;

/// Writes a layer: ustar headers, with PAX headers where ustar does not suffice.
pub struct Writer<W> {
    inner: W,
    /// Bytes still missing from the current entry's contents.
    missing: u64,
    padding: u64,
}

impl<W: Write> Writer<W> {
    /// Begins an archive.
    pub fn new(inner: W) -> Self {
        Writer { inner, missing: 0, padding: 0 }
    }

    /// Writes the header of an entry. The `size` bytes of a file's contents are to be written next.
    ///
    /// # Errors
    /// Input/output; a kind that cannot be written.
    pub fn header(&mut self, path: &[u8], kind: &EntryKind, meta: &Meta, size: u64) -> Result<()> {
        self.end_entry()?;
        let mut pax = Vec::new();
        let link = link_of(kind);
        for (key, value) in [(&b"path"[..], path), (b"linkpath", link)] {
            if value.len() > 100 || !value.is_ascii() {
                push_record(&mut pax, key, value);
            }
        }
        for (key, value, most) in
            [(&b"size"[..], size, MAX_OCTAL_SIZE), (b"uid", meta.uid, MAX_OCTAL_ID), (b"gid", meta.gid, MAX_OCTAL_ID)]
        {
            if value > most {
                push_record(&mut pax, key, value.to_string().as_bytes());
            }
        }
        if !(0..=MAX_OCTAL_SIZE as i64).contains(&meta.mtime) && !meta.pax.iter().any(|(key, _)| &**key == b"mtime") {
            push_record(&mut pax, b"mtime", meta.mtime.to_string().as_bytes());
        }
        for (key, name) in [(&b"uname"[..], &meta.user), (b"gname", &meta.group)] {
            if name.len() > 31 || !name.is_ascii() {
                push_record(&mut pax, key, name);
            }
        }
        meta.pax.iter().for_each(|(key, value)| push_record(&mut pax, key, value));
        if !pax.is_empty() {
            self.pax_header(&pax)?;
        }
        self.inner.write_all(ustar(path, kind, meta, size)?.as_bytes()).doing("write the layer")?;
        self.missing = size;
        self.padding = size.next_multiple_of(BLOCK) - size;
        Ok(())
    }

    /// Ends the archive.
    ///
    /// # Errors
    /// Input/output.
    pub fn finish(mut self) -> Result<W> {
        self.end_entry()?;
        self.inner.write_all(&[0; 2 * BLOCK as usize]).doing("write the layer")?;
        Ok(self.inner)
    }

    fn pax_header(&mut self, records: &[u8]) -> Result<()> {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::XHeader);
        header.set_path("PaxHeaders/entry").doing("write a PAX header")?;
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(records.len() as u64);
        header.set_cksum();
        let padding = records.len().next_multiple_of(BLOCK as usize) - records.len();
        self.inner.write_all(header.as_bytes()).doing("write the layer")?;
        self.inner.write_all(records).doing("write the layer")?;
        self.inner.write_all(&[0; BLOCK as usize][..padding]).doing("write the layer")
    }

    fn end_entry(&mut self) -> Result<()> {
        if self.missing > 0 {
            let what = format!("{} bytes of a file are missing; did it change while it was read?", self.missing);
            return Err(Error::new(crate::error::Kind::Io, what));
        }
        let padding = std::mem::take(&mut self.padding) as usize; // less than a block
        self.inner.write_all(&[0; BLOCK as usize][..padding]).doing("write the layer")
    }
}

impl<W: Write> Write for Writer<W> {
    /// Writes contents of the current entry.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.missing {
            return Err(io::Error::other("a file has become longer while it was read"));
        }
        let written = self.inner.write(bytes)?;
        self.missing -= written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn link_of(kind: &EntryKind) -> &[u8] {
    match kind {
        EntryKind::HardLink(target) | EntryKind::Symlink(target) => target,
        _ => &[],
    }
}

fn ustar(path: &[u8], kind: &EntryKind, meta: &Meta, size: u64) -> Result<tar::Header> {
    let mut header = tar::Header::new_ustar();
    let slash: &[u8] = if *kind == EntryKind::Directory { b"/" } else { b"" };
    // Long and non-ASCII names stand in the PAX header; here is what an old reader would show.
    copy_ascii(&mut header.as_old_mut().name, &[path, slash].concat());
    copy_ascii(&mut header.as_old_mut().linkname, link_of(kind));
    header.set_entry_type(match kind {
        EntryKind::File => tar::EntryType::Regular,
        EntryKind::HardLink(_) => tar::EntryType::Link,
        EntryKind::Symlink(_) => tar::EntryType::Symlink,
        EntryKind::Directory => tar::EntryType::Directory,
        EntryKind::Fifo => tar::EntryType::Fifo,
        EntryKind::Device { number: (major, minor), .. } if (*major).max(*minor) > MAX_OCTAL_DEVICE => {
            return Err(Error::malformed("a device of so large a number cannot be written"));
        }
        EntryKind::Device { character: true, .. } => tar::EntryType::Char,
        EntryKind::Device { character: false, .. } => tar::EntryType::Block,
        EntryKind::Sparse => return Err(Error::malformed("a sparse file cannot be written")),
    });
    header.set_mode(meta.permissions());
    header.set_uid(meta.uid.min(MAX_OCTAL_ID));
    header.set_gid(meta.gid.min(MAX_OCTAL_ID));
    header.set_mtime(u64::try_from(meta.mtime).unwrap_or_default().min(MAX_OCTAL_SIZE));
    header.set_size(size.min(MAX_OCTAL_SIZE));
    if let Some(ustar) = header.as_ustar_mut() {
        copy_ascii(&mut ustar.uname[..31], &meta.user);
        copy_ascii(&mut ustar.gname[..31], &meta.group);
        if let EntryKind::Device { number: (major, minor), .. } = *kind {
            ustar.set_device_major(major);
            ustar.set_device_minor(minor);
        }
    }
    header.set_cksum();
    Ok(header)
}

fn copy_ascii(field: &mut [u8], text: &[u8]) {
    for (to, &from) in field.iter_mut().zip(text) {
        *to = if from.is_ascii() { from } else { b'_' };
    }
}

/// Appends `LENGTH KEY=VALUE\n`, where the length counts its own digits.
fn push_record(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut len = rest + 1;
    while len != rest + len.to_string().len() {
        len = rest + len.to_string().len();
    }
    out.extend_from_slice(len.to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}
