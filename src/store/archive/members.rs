use std::collections::HashMap;
use std::io::Read;

use tar::{EntryType, Header, PaxExtensions};

use crate::error::{Error, ErrorContext, IoContext, Result};
use crate::store::extent::Extent;

/// The most members that an archive of images may have; real ones have a few for each layer.
const MAX_MEMBERS: usize = 1 << 17;
/// The longest extended header (a long name, PAX records) that is read, in bytes.
const MAX_EXTENDED: u64 = 64 << 10;
/// How many symbolic links in a row are followed.
const MAX_LINKS: usize = 8;
const BLOCK: u64 = 512;

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
}

/// What the headers before a member say of it.
#[derive(Default)]
struct Extended {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
}

impl Members {
    /// Reads the headers of a tar file.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) if it is none, is cut, or has one name for two contents.
    pub(super) fn read(file: Extent) -> Result<Self> {
        let mut members = Members { file, found: HashMap::new() };
        let (mut at, mut extended) = (0, Extended::default());
        while let Some(header) = members.header(at)? {
            let size = header.entry_size().map_err(|_| not_a_tar(at))?;
            let len = match header.entry_type() {
                EntryType::GNULongName | EntryType::GNULongLink | EntryType::XHeader | EntryType::XGlobalHeader => size,
                _ => extended.size.unwrap_or(size),
            };
            let contents = at + BLOCK;
            let end = len.checked_next_multiple_of(BLOCK).and_then(|padded| contents.checked_add(padded));
            let Some(end) = end.filter(|_| len <= members.file.len().saturating_sub(contents)) else {
                return Err(Error::malformed("the archive ends in the middle of a member")
                    .hint("the copy is incomplete; fetch it again"));
            };
            match header.entry_type() {
                EntryType::GNULongName => extended.name = Some(members.text(contents, len)?),
                EntryType::GNULongLink => extended.link = Some(members.text(contents, len)?),
                EntryType::XHeader => extended.read_pax(&members.small(contents, len)?)?,
                EntryType::XGlobalHeader => {}
                _ => members.add(&header, std::mem::take(&mut extended), contents, len)?,
            }
            at = end;
        }
        Ok(members)
    }

    /// The contents of a file, links followed.
    pub(super) fn get(&self, name: &str) -> Option<Extent> {
        let mut name = normal(name);
        for _ in 0..MAX_LINKS {
            match self.found.get(&name)? {
                Member::File { at, len } => return Some(self.file.part(*at, *len)),
                Member::Link(target) => name.clone_from(target),
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

    fn header(&self, at: u64) -> Result<Option<Header>> {
        let block = self.small(at, BLOCK.min(self.file.len().saturating_sub(at)))?;
        if block.is_empty() && at > 0 || block.len() == 512 && block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let mut header = Header::new_old();
        if block.len() != 512 {
            return Err(not_a_tar(at));
        }
        header.as_mut_bytes().copy_from_slice(&block);
        let sum: u32 =
            block.iter().enumerate().map(|(i, byte)| if (148..156).contains(&i) { 32 } else { u32::from(*byte) }).sum();
        match header.cksum() {
            Ok(stated) if stated == sum => Ok(Some(header)),
            _ => Err(not_a_tar(at)),
        }
    }

    fn add(&mut self, header: &Header, extended: Extended, at: u64, len: u64) -> Result<()> {
        let name = extended.name.unwrap_or_else(|| header.path_bytes().into_owned());
        let Ok(name) = String::from_utf8(name) else { return Ok(()) }; // no name of ours
        let member = match header.entry_type() {
            EntryType::Regular | EntryType::Continuous => Member::File { at, len },
            EntryType::Symlink | EntryType::Link => {
                let link = extended.link.or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned));
                let link = String::from_utf8(link.unwrap_or_default()).unwrap_or_default();
                let symbolic = header.entry_type() == EntryType::Symlink;
                Member::Link(if symbolic { beside(&normal(&name), &link) } else { normal(&link) })
            }
            _ => return Ok(()),
        };
        if self.found.len() == MAX_MEMBERS {
            return Err(Error::malformed(format!("more than {MAX_MEMBERS} members: not an archive of images")));
        }
        match self.found.insert(normal(&name), member) {
            None => Ok(()),
            // To one reader it would be one image, and another to the next.
            Some(_) => Err(Error::malformed(format!("two members are named `{}`", crate::text::Printable::new(&name)))),
        }
    }

    fn text(&self, at: u64, len: u64) -> Result<Vec<u8>> {
        let mut bytes = self.small(at, len)?;
        bytes.truncate(bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()));
        Ok(bytes)
    }

    fn small(&self, at: u64, len: u64) -> Result<Vec<u8>> {
        if len > MAX_EXTENDED {
            return Err(Error::malformed(format!(
                "an extended header of {len} bytes; at most {MAX_EXTENDED} are read"
            )));
        }
        let mut bytes = Vec::new();
        self.file.part(at, len).reader().read_to_end(&mut bytes).doing("read the archive")?;
        Ok(bytes)
    }
}

impl Extended {
    fn read_pax(&mut self, records: &[u8]) -> Result<()> {
        for record in PaxExtensions::new(records) {
            let record = record.map_err(|error| Error::malformed("PAX records are malformed").because(error))?;
            match record.key_bytes() {
                b"path" => self.name = Some(record.value_bytes().to_vec()),
                b"linkpath" => self.link = Some(record.value_bytes().to_vec()),
                b"size" => {
                    let size = record.value().ok().and_then(|size| size.parse().ok());
                    self.size = Some(size.ok_or_else(|| Error::malformed("invalid size in a PAX header"))?);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// A name without `.` and empty parts.
pub(super) fn normal(name: &str) -> String {
    name.split('/').filter(|part| !matches!(*part, "" | ".")).collect::<Vec<_>>().join("/")
}

/// What a symbolic link named `name` leads to; only within the archive.
fn beside(name: &str, link: &str) -> String {
    let mut parts: Vec<&str> = name.split('/').collect();
    parts.pop();
    for part in link.split('/').filter(|part| !matches!(*part, "" | ".")) {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    parts.join("/")
}

fn not_a_tar(at: u64) -> Error {
    Error::malformed(format!("not a tar file: there is no header at byte {at}"))
}
