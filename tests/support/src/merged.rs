//! The merged view of an image's layers, as far as fixtures are made of it; and tar entries for one more layer.
//!
//! Tests that judge an image read it with `tests/python/layout.py`; `tests/it/support.rs` holds the two against each
//! other.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{lgetxattr, llistxattr};
use tar::{Builder, EntryType, Header};

use crate::utf8;

const OPAQUE: &str = ".wh..wh..opq";
const WHITEOUT: &str = ".wh.";

/// What lies at a path of an image.
#[derive(Debug, Clone)]
pub struct Entry {
    pub kind: EntryType,
    pub mode: u32,
    /// Where a symbolic link leads.
    pub link: Option<PathBuf>,
    /// The bytes of a file.
    pub data: Rc<Vec<u8>>,
}

/// Paths without a leading slash.
pub type Merged = BTreeMap<String, Entry>;

/// The path of an entry without `./`, without `/` at either end; the root is the empty string.
pub fn normal(name: &str) -> String {
    name.split('/').filter(|part| !matches!(*part, "" | ".")).collect::<Vec<_>>().join("/")
}

fn is_below(path: &str, top: &str) -> bool {
    top.is_empty() || path.strip_prefix(top).is_some_and(|rest| rest.starts_with('/'))
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// Puts one layer over the view; whiteouts act on what the layers below hold, never on this one.
pub fn apply(view: &mut Merged, layer: &[u8]) {
    let mut entries = Vec::new();
    for entry in tar::Archive::new(layer).entries().expect("a tar archive") {
        let mut entry = entry.expect("an entry");
        let path = normal(&String::from_utf8_lossy(&entry.path_bytes()));
        let link = entry.link_name().expect("a link's target").map(|link| link.into_owned());
        let (kind, mode) = (entry.header().entry_type(), entry.header().mode().expect("a mode") & 0o7777);
        let mut data = Vec::new();
        entry.read_to_end(&mut data).expect("the data of an entry");
        entries.push((path, Entry { kind, mode, link, data: Rc::new(data) }));
    }
    for (path, _) in &entries {
        let (parent, name) = split(path);
        if name == OPAQUE {
            view.retain(|path, _| !(is_below(path, parent) && path != parent));
        } else if let Some(gone) = name.strip_prefix(WHITEOUT) {
            let gone = normal(&format!("{parent}/{gone}"));
            view.retain(|path, _| !(path == &gone || is_below(path, &gone)));
        }
    }
    for (path, mut entry) in entries {
        if split(&path).1.starts_with(WHITEOUT) {
            continue;
        }
        if entry.kind.is_hard_link() {
            let target = normal(utf8(&entry.link.expect("a hard link has a target")));
            entry =
                view.get(&target).unwrap_or_else(|| panic!("a hard link to {target}, which does not exist")).clone();
        }
        if !entry.kind.is_dir() {
            view.retain(|other, _| !is_below(other, &path));
        }
        view.insert(path, entry);
    }
}

/// A layer in the making.
pub struct LayerBuilder {
    tar: Builder<Vec<u8>>,
    /// The first name in this layer of files with several names.
    inodes: HashMap<(u64, u64), String>,
}

fn header(kind: EntryType, mode: u32, size: usize) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size as u64);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

impl LayerBuilder {
    pub fn empty() -> Self {
        Self { tar: Builder::new(Vec::new()), inodes: HashMap::new() }
    }

    pub fn finish(self) -> Vec<u8> {
        self.tar.into_inner().expect("an archive in memory")
    }

    /// One entry; names that are long or not ASCII go where PAX has room for them.
    fn add(&mut self, path: &str, mut header: Header, link: Option<&str>, xattrs: &[(String, Vec<u8>)], data: &[u8]) {
        let mut extensions: Vec<(String, Vec<u8>)> = xattrs.to_vec();
        for (key, value, field) in [("path", Some(path), 0), ("linkpath", link, 157)] {
            let Some(value) = value else { continue };
            if value.len() > 100 || !value.is_ascii() {
                extensions.push((key.to_owned(), value.as_bytes().to_vec()));
            }
            let short = value.bytes().map(|byte| if byte.is_ascii() { byte } else { b'?' }).take(100);
            let bytes = &mut header.as_mut_bytes()[field..field + 100];
            bytes.iter_mut().zip(short).for_each(|(place, byte)| *place = byte);
        }
        if !extensions.is_empty() {
            let extensions = extensions.iter().map(|(key, value)| (key.as_str(), value.as_slice()));
            self.tar.append_pax_extensions(extensions).expect("an archive in memory");
        }
        header.set_cksum();
        self.tar.append(&header, data).expect("an archive in memory");
    }

    /// A directory of root's, or with owner, mode and time of another one.
    pub fn directory(&mut self, path: &str, like: Option<&Path>) {
        let mut header = header(EntryType::Directory, 0o755, 0);
        if let Some(like) = like {
            take_attributes(&mut header, &fs::metadata(like).expect("a directory"));
        }
        self.add(path, header, None, &[], &[]);
    }

    /// A file of root's.
    pub fn file(&mut self, path: &str, data: &[u8], mode: u32) {
        self.add(path, header(EntryType::Regular, mode, data.len()), None, &[], data);
    }

    pub fn symlink(&mut self, path: &str, target: &str) {
        self.add(path, header(EntryType::Symlink, 0o644, 0), Some(target), &[], &[]);
    }

    pub fn whiteout(&mut self, path: &str) {
        let (parent, name) = split(path);
        self.file(&format!("{parent}/{WHITEOUT}{name}"), &[], 0o644);
    }

    /// What lies in the file system, with its owner, times and extended attributes.
    pub fn take(&mut self, path: &str, source: &Path) {
        let status = source.symlink_metadata().expect("an entry that stays");
        let kind = status.file_type();
        let (mut link, mut data) = (None, Vec::new());
        let entry_type = if kind.is_symlink() {
            link = Some(fs::read_link(source).expect("a link"));
            EntryType::Symlink
        } else if kind.is_dir() {
            EntryType::Directory
        } else if !kind.is_file() {
            assert!(
                std::os::unix::fs::FileTypeExt::is_fifo(&kind),
                "{}: of a kind that is not known",
                source.display()
            );
            EntryType::Fifo
        } else if status.nlink() > 1 && self.inodes.contains_key(&(status.dev(), status.ino())) {
            link = Some(PathBuf::from(&self.inodes[&(status.dev(), status.ino())]));
            EntryType::Link
        } else {
            self.inodes.insert((status.dev(), status.ino()), path.to_owned());
            data = fs::read(source).expect("a readable file");
            EntryType::Regular
        };
        let mut header = header(entry_type, 0, data.len());
        take_attributes(&mut header, &status);
        let xattrs = if kind.is_symlink() { Vec::new() } else { xattrs(source) };
        self.add(path, header, link.as_deref().map(utf8), &xattrs, &data);
    }

    /// What a container engine commits when `at` came to look like `source`: changes and whiteouts.
    pub fn diff(&mut self, view: &Merged, at: &str, source: &Path) {
        self.directory(at, Some(source));
        let wanted = tree(source);
        let is_kept = |path: &str| wanted.iter().any(|name| path == format!("{at}/{name}"));
        for path in view.keys().filter(|path| is_below(path, at) && !is_kept(path)) {
            let parent = split(path).0;
            if parent == at || is_kept(parent) {
                self.whiteout(path);
            }
        }
        for name in &wanted {
            let (path, here) = (format!("{at}/{name}"), source.join(name));
            if !view.get(&path).is_some_and(|entry| is_same(entry, &here)) {
                self.take(&path, &here);
            }
        }
    }

    /// The same by an opaque whiteout and everything anew.
    pub fn opaque(&mut self, at: &str, source: &Path) {
        self.directory(at, Some(source));
        self.file(&format!("{at}/{OPAQUE}"), &[], 0o644);
        for name in tree(source) {
            self.take(&format!("{at}/{name}"), &source.join(&name));
        }
    }
}

fn take_attributes(header: &mut Header, status: &fs::Metadata) {
    header.set_mode(status.mode() & 0o7777);
    header.set_mtime(u64::try_from(status.mtime()).unwrap_or(0));
    header.set_uid(status.uid().into());
    header.set_gid(status.gid().into());
}

/// As records of PAX.
fn xattrs(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut names = vec![0; 64 << 10];
    let length = llistxattr(path, &mut names).expect("a list of extended attributes");
    let names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let read = |name: &[u8]| {
        let mut value = vec![0; 64 << 10];
        let length = lgetxattr(path, OsStr::from_bytes(name), &mut value).expect("an extended attribute");
        value.truncate(length);
        (format!("SCHILY.xattr.{}", String::from_utf8_lossy(name)), value)
    };
    names.map(read).collect()
}

/// Every path below a directory, in walk order: names of each directory in byte order, depth first.
fn tree(top: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(top).expect("a readable directory").map(|entry| entry.expect("an entry").file_name()).collect();
    names.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    let mut found = Vec::new();
    for name in names {
        let path = top.join(&name);
        let name = name.into_string().expect("a name in UTF-8");
        found.push(name.clone());
        if path.is_dir() && !path.is_symlink() {
            found.extend(tree(&path).into_iter().map(|below| format!("{name}/{below}")));
        }
    }
    found
}

fn is_same(entry: &Entry, source: &Path) -> bool {
    let status = source.symlink_metadata().expect("an entry that stays");
    if status.is_symlink() {
        return entry.link == fs::read_link(source).ok();
    }
    if status.mode() & 0o7777 != entry.mode {
        return false;
    }
    match entry.kind {
        EntryType::Directory => status.is_dir(),
        EntryType::Regular => {
            status.is_file() && status.nlink() == 1 && fs::read(source).expect("a readable file") == *entry.data
        }
        _ => false,
    }
}
