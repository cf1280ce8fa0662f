use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read};

use crate::error::{Error, ErrorContext, IoContext, Kind, Result};
use crate::path::ancestors;
use crate::store::extent::Extent;
use crate::store::interrupt;
use crate::store::threaded_writer::BUFFER;
use crate::tar::{Entry, EntryKind};
use crate::text::Printable;

/// The most members that an archive of images may have; real ones have a few for each layer.
const MAX_MEMBERS: usize = 1 << 17;
/// The most symbolic links followed in a row.
const MAX_LINKS: usize = 8;
/// Members that list the images; a link could lead this program to one text and the next to another.
const LISTS: [&str; 3] = ["index.json", "manifest.json", "oci-layout"];

/// The members of a tar file by name, and where their contents lie. Nothing is unpacked: names are keys and never paths.
#[derive(Debug)]
pub(super) struct Members {
    file: Extent,
    found: HashMap<String, Member>,
}

#[derive(Debug)]
enum Member {
    File { at: u64, len: u64 },
    Link(String),
    Directory,
}

impl Members {
    /// Reads the headers of a tar file.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) if it is none, is cut, or if readers could find other members:
    /// one name twice, something below a link, sparse files, names that some programs would change.
    pub(super) fn read(file: Extent) -> Result<Self> {
        if file.is_empty() {
            return Err(Error::malformed("not an archive: the file is empty").hint("fetch the archive again"));
        }
        Self::read_all(file).map_err(|error| match error.advice() {
            None if error.kind() == Kind::Malformed => error.hint(
                "the copy is incomplete or damaged, or no archive as skopeo copy, podman save and docker save write; \
                 fetch it again",
            ),
            _ => error,
        })
    }

    fn read_all(file: Extent) -> Result<Self> {
        let mut members = Members { file, found: HashMap::new() };
        let mut reader = members.file.tar_reader();
        while let Some(entry) = reader.next_entry()? {
            interrupt::check()?;
            let name = name_of(&entry, reader.name())?;
            if !name.is_empty() {
                let place = Printable::new(&name).to_string();
                members.add(name, &entry).at(place)?;
            }
        }
        members.ensure_tree()?;
        Ok(members)
    }

    /// The contents of a file, links followed.
    pub(super) fn get(&self, name: &str) -> Option<Extent> {
        let (at, len) = self.place(name)?;
        Some(self.file.part(at, len))
    }

    /// The position and length of a file's contents, links followed.
    pub(super) fn place(&self, name: &str) -> Option<(u64, u64)> {
        let mut name = normal(name);
        for _ in 0..MAX_LINKS {
            match self.found.get(&name)? {
                Member::File { at, len } => return Some((*at, *len)),
                Member::Link(target) => name.clone_from(target),
                Member::Directory => return None,
            }
        }
        None
    }

    /// A small file whole; `None` if it is not there.
    pub(super) fn document(&self, name: &str, most: u64) -> Result<Option<Vec<u8>>> {
        let Some(extent) = self.get(name) else { return Ok(None) };
        if extent.len() > most {
            return Err(Error::malformed(format!("{} bytes; at most {most} are read", extent.len())).at(name));
        }
        let mut bytes = Vec::new();
        extent.reader().read_to_end(&mut bytes).doing("read the member").at(name)?;
        Ok(Some(bytes))
    }

    fn add(&mut self, name: String, entry: &Entry) -> Result<()> {
        let member = match &entry.kind {
            EntryKind::File if entry.size > self.file.len().saturating_sub(entry.offset) => {
                return Err(Error::malformed("the archive ends in the middle of a member")
                    .hint("the copy is incomplete; fetch it again"));
            }
            EntryKind::File => Member::File { at: entry.offset, len: entry.size },
            EntryKind::Symlink(_) | EntryKind::HardLink(_) if LISTS.contains(&&*name) => {
                return Err(Error::malformed("a link in place of a list of images"));
            }
            EntryKind::Symlink(target) => Member::Link(beside(&name, target)?),
            EntryKind::HardLink(target) => Member::Link(to_text(target)?),
            EntryKind::Directory => Member::Directory,
            EntryKind::Sparse => {
                let what = "a sparse member, whose holes the archive leaves out";
                let hint =
                    "pack the archive anew, by tar without the option `sparse` or by bsdtar with `no-read-sparse`";
                return Err(Error::malformed(what).hint(hint));
            }
            other => {
                let what = format!("{} in an archive of images", other.name());
                return Err(Error::malformed(what).hint("an archive of images holds files, directories and links only"));
            }
        };
        if self.found.len() == MAX_MEMBERS {
            return Err(Error::malformed(format!("more than {MAX_MEMBERS} members: not an archive of images")));
        }
        match self.found.get(&name) {
            None => drop(self.found.insert(name, member)),
            // Writers that append do this; whichever a reader takes, it is the same.
            Some(first) if self.are_same(first, &member)? => {}
            // To one reader it would be one image, and another to the next.
            Some(_) => {
                let hint = "which one counts is each reader's own guess; unpack the archive and pack it anew";
                return Err(Error::malformed("the member occurs twice, and differs").hint(hint));
            }
        }
        Ok(())
    }

    /// True if two members of one name are the same, byte for byte.
    fn are_same(&self, one: &Member, other: &Member) -> Result<bool> {
        match (one, other) {
            (Member::Directory, Member::Directory) => Ok(true),
            (Member::Link(one), Member::Link(other)) => Ok(one == other),
            (Member::File { at, len }, Member::File { at: other, len: other_len }) if len == other_len => {
                let reader = |at| BufReader::with_capacity(BUFFER, self.file.part(at, *len).reader());
                are_alike(&mut reader(*at), &mut reader(*other)).doing("read the member")
            }
            _ => Ok(false),
        }
    }

    /// Refuses members below a link: unpacked, they land elsewhere.
    fn ensure_tree(&self) -> Result<()> {
        for name in self.found.keys() {
            for dir in ancestors(name.as_bytes()) {
                let dir = std::str::from_utf8(dir).unwrap_or_default(); // cut at a slash
                match self.found.get(dir) {
                    None | Some(Member::Directory) => {}
                    Some(_) => {
                        let what = format!("lies below `{}`, which is not a directory", Printable::new(dir));
                        return Err(Error::malformed(what).at(Printable::new(name)));
                    }
                }
            }
        }
        Ok(())
    }
}

/// True if both hold the same bytes.
fn are_alike(one: &mut dyn BufRead, other: &mut dyn BufRead) -> io::Result<bool> {
    loop {
        interrupt::check()?;
        let (left, right) = (one.fill_buf()?, other.fill_buf()?);
        let len = left.len().min(right.len());
        if len == 0 || left[..len] != right[..len] {
            return Ok(left.is_empty() && right.is_empty());
        }
        one.consume(len);
        other.consume(len);
    }
}

/// A member's name without `./` in front. In other forms some programs find it, and others do not.
fn name_of(entry: &Entry, raw: &[u8]) -> Result<String> {
    let raw = raw.strip_prefix(b"./").unwrap_or(raw);
    let raw = if entry.kind == EntryKind::Directory { raw.strip_suffix(b"/").unwrap_or(raw) } else { raw };
    if *raw != *entry.path && raw != b"." {
        let what = format!("the member name `{}` is not in its plain form", Printable::new(raw));
        return Err(Error::malformed(what).hint("names are relative, with single slashes"));
    }
    to_text(&entry.path)
}

fn to_text(name: &[u8]) -> Result<String> {
    let odd = || Error::malformed(format!("the name `{}` is not UTF-8", Printable::new(name)));
    String::from_utf8(name.to_vec()).map_err(|_| odd())
}

/// A name without `.` and empty parts.
fn normal(name: &str) -> String {
    name.split('/').filter(|part| !matches!(*part, "" | ".")).collect::<Vec<_>>().join("/")
}

/// The target of a symbolic link named `name`; only within the archive.
fn beside(name: &str, link: &[u8]) -> Result<String> {
    let out = || Error::malformed("the target of the link lies outside of the archive");
    let link = to_text(link)?;
    let mut parts: Vec<&str> = name.split('/').collect();
    parts.pop();
    for part in link.split('/').filter(|part| *part != ".") {
        match part {
            // At the beginning, of an absolute path; and no program writes two slashes.
            "" => return Err(out()),
            ".." => drop(parts.pop().ok_or_else(out)?),
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}
