//! A directory on disk read as a tree.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, openat, readlinkat, statat};

use super::changeset::WHITEOUT;
use super::disk::{SET_IDS, XATTR};
use super::overlay::too_many_files;
use super::tree::{Content, DiskFile, DiskRoot, Node, NodeKind, Tree, changed};
use crate::error::{Error, ErrorContext, IoContext, Result};
use crate::store::fs::{Beneath, Identity, is_replaced};
use crate::store::interrupt;
use crate::tar::{Meta, PaxRecord, pax_mtime};

/// The most bytes of extended attributes' names, or of one value, that are read.
const MAX_XATTR: usize = 64 << 10;

/// How a directory is read.
#[derive(Debug, Clone, Copy)]
pub struct ReadDirectory {
    /// Take the owners along; else all is root's.
    pub owners: bool,
    /// The most files, and the most directories.
    pub max_files: usize,
}

/// Reads a directory as the tree that has it at `root`, itself included. Whatever changes in it until the contents have
/// been read is an error then: no link that comes to a place is followed, and no pipe waited for. Set-ID bits are left
/// out, and of extended attributes all but `user.*`.
///
/// # Errors
/// Input/output; device nodes, sockets and names of whiteouts are malformed, and so are more files than wanted.
pub fn read_directory(dir: &Path, root: &[u8], options: ReadDirectory) -> Result<Tree> {
    let opened = match Beneath::new(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Error::usage("there is no such directory").at(dir.display()));
        }
        opened => opened.doing("open the directory").at(dir.display())?,
    };
    let beneath = Arc::new(opened);
    let place = DiskRoot { dir: beneath.clone(), above: root.into(), name: None };
    let (nodes, names) = Default::default();
    let mut walk = Walk { dir: &beneath, root, options, nodes, names, files: 0, directories: 0 };
    walk.directory(Path::new(""), None).at(dir.display())?;
    Ok(Tree::in_order(walk.nodes, Vec::new()).on_disk(vec![place]))
}

/// Reads one file of the user's choice as the node at `path` of a tree; `root` is the position that its place will have
/// there.
///
/// # Errors
/// Input/output; there is no such file, or it is no regular one.
pub fn read_file(file: &Path, path: Box<[u8]>, meta: Meta, root: u32) -> Result<(Node, DiskRoot)> {
    let no_file = || Error::usage("there is no such file").at(file.display());
    // A link may lead to it; from now on it is this file.
    let found = file.canonicalize().map_err(|_| no_file())?;
    let (Some(parent), Some(name)) = (found.parent(), found.file_name()) else { return Err(no_file()) };
    let dir = Arc::new(Beneath::new(parent).doing("open the directory").at(parent.display())?);
    let name = PathBuf::from(name);
    let opened = dir.open(&name).and_then(|file| file.metadata()).doing("open the file").at(file.display())?;
    if !opened.is_file() {
        return Err(no_file());
    }
    let content = Content::Disk(DiskFile { root, identity: Identity::of(&opened) });
    let node = Node { path, kind: NodeKind::File { size: opened.len(), content }, meta };
    Ok((node, DiskRoot { dir, above: Box::default(), name: Some(name) }))
}

struct Walk<'a> {
    dir: &'a Beneath,
    root: &'a [u8],
    options: ReadDirectory,
    nodes: Vec<Node>,
    /// Device and inode of files with several names.
    names: HashMap<(u64, u64), usize>,
    files: usize,
    directories: usize,
}

impl Walk<'_> {
    /// A directory, relative to the top, and all in it. `seen` is what it was when its parent was read.
    fn directory(&mut self, below: &Path, seen: Option<Identity>) -> Result<()> {
        interrupt::check()?;
        let (dir, identity, names) = self.enter(below, seen)?;
        // Not one open directory for each level: there may be more of them than a process may have files.
        let mut open = Some(dir);
        for name in names.iter() {
            let path = below.join(name);
            let dir = match open.take() {
                Some(dir) => dir,
                None => self.open_directory(below, Some(identity))?,
            };
            match self.entry(&dir, name, &path)? {
                None => open = Some(dir),
                Some(seen) => {
                    drop(dir);
                    self.directory(&path, Some(seen))?;
                }
            }
        }
        Ok(())
    }

    /// The directory itself, and the names in it.
    fn enter(&mut self, below: &Path, seen: Option<Identity>) -> Result<(File, Identity, Names)> {
        let dir = self.open_directory(below, seen)?;
        let found = dir.metadata().doing("stat the file").at(self.shown(below))?;
        count(&mut self.directories, self.options.max_files)?;
        let meta = self.meta_of(&Found::of(&found), &dir);
        self.nodes.push(Node { path: self.path_of(below), kind: NodeKind::Directory, meta });
        let names = Names::read(&dir, self.options.max_files).at(self.shown(below))?;
        Ok((dir, Identity::of(&found), names))
    }

    /// What has this name, unless it is a directory: then what that is.
    fn entry(&mut self, dir: &File, name: &OsStr, below: &Path) -> Result<Option<Identity>> {
        if name.as_bytes().starts_with(WHITEOUT) {
            let what = "a name that begins with `.wh.`: in a layer of an image it would stand for what is removed";
            return Err(Error::malformed(what).hint("give it another name").at(self.shown(below)));
        }
        let found = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).map_err(io::Error::from);
        let found = found.doing("stat the file").at(self.shown(below))?;
        if FileType::from_raw_mode(found.st_mode) == FileType::Directory {
            return Ok(Some(identity_of(&found)));
        }
        count(&mut self.files, self.options.max_files)?;
        self.file(dir, name, below, &found)?;
        Ok(None)
    }

    fn open_directory(&self, below: &Path, seen: Option<Identity>) -> Result<File> {
        let opened = match self.dir.open(below) {
            Err(error) if seen.is_some() && is_replaced(&error) => return Err(changed().at(self.shown(below))),
            opened => opened.doing("open the directory").at(self.shown(below))?,
        };
        let found = opened.metadata().doing("stat the file").at(self.shown(below))?;
        if !found.is_dir() || seen.is_some_and(|seen| !seen.is_same(&Identity::of(&found))) {
            return Err(changed().at(self.shown(below)));
        }
        Ok(opened)
    }

    fn file(&mut self, dir: &File, name: &OsStr, below: &Path, found: &Stat) -> Result<()> {
        let path = self.path_of(below);
        let place = || self.shown(below);
        let look = Found::of_stat(found);
        let (kind, meta) = match FileType::from_raw_mode(found.st_mode) {
            FileType::Symlink => {
                let target = readlinkat(dir, name, Vec::new()).map_err(io::Error::from);
                let target = target.doing("read the link").at(place())?;
                (NodeKind::Symlink(target.into_bytes().into()), self.plain_meta_of(&look))
            }
            FileType::Fifo => (NodeKind::Fifo, self.plain_meta_of(&look)),
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
                let file: File = match openat(dir, name, flags, Mode::empty()).map_err(io::Error::from) {
                    Err(error) if is_replaced(&error) => return Err(changed().at(place())),
                    opened => opened.doing("open the file").at(place())?.into(),
                };
                let opened = file.metadata().doing("stat the file").at(place())?;
                let identity = Identity::of(&opened);
                if !opened.is_file() || !identity.is_same(&identity_of(found)) {
                    return Err(changed().at(place()));
                }
                let key = (identity.device, identity.inode);
                let kind = match self.names.get(&key) {
                    Some(&first) if opened.nlink() > 1 => NodeKind::Link(first),
                    _ => {
                        if opened.nlink() > 1 {
                            self.names.insert(key, self.nodes.len());
                        }
                        let content = Content::Disk(DiskFile { root: 0, identity });
                        NodeKind::File { size: opened.len(), content }
                    }
                };
                (kind, self.meta_of(&Found::of(&opened), &file))
            }
            _ => {
                let what = "a device node or a socket; results are files, directories, links and named pipes";
                return Err(Error::malformed(what).hint("remove the device node or socket").at(place()));
            }
        };
        self.nodes.push(Node { path, kind, meta });
        Ok(())
    }

    fn shown(&self, below: &Path) -> String {
        self.dir.shown(below).display().to_string()
    }

    fn path_of(&self, below: &Path) -> Box<[u8]> {
        match below.as_os_str().as_bytes() {
            b"" => self.root.into(),
            below => [self.root, b"/", below].concat().into(),
        }
    }

    fn meta_of(&self, found: &Found, file: &File) -> Meta {
        let mut meta = self.plain_meta_of(found);
        let attributes = xattrs_of(file);
        if !attributes.is_empty() {
            meta.pax = meta.pax.iter().cloned().chain(attributes).collect();
        }
        meta
    }

    fn plain_meta_of(&self, found: &Found) -> Meta {
        let (uid, gid) = if self.options.owners { found.owner } else { (0, 0) };
        Meta {
            mode: found.mode & 0o7777 & !SET_IDS,
            uid: uid.into(),
            gid: gid.into(),
            mtime: found.mtime,
            pax: pax_mtime(found.mtime, found.nanos).into_iter().collect(),
            ..Meta::default()
        }
    }
}

/// Counts one more.
fn count(counted: &mut usize, most: usize) -> Result<()> {
    *counted += 1;
    if *counted > most { Err(too_many_files(most)) } else { Ok(()) }
}

/// What a file has of the metadata that travel.
struct Found {
    mode: u32,
    owner: (u32, u32),
    mtime: i64,
    nanos: u32,
}

impl Found {
    fn of(found: &Metadata) -> Self {
        let nanos = u32::try_from(found.mtime_nsec()).unwrap_or_default(); // below a second
        Found { mode: found.mode(), owner: (found.uid(), found.gid()), mtime: found.mtime(), nanos }
    }

    fn of_stat(found: &Stat) -> Self {
        let nanos = u32::try_from(found.st_mtime_nsec).unwrap_or_default();
        Found { mode: found.st_mode, owner: (found.st_uid, found.st_gid), mtime: found.st_mtime, nanos }
    }
}

fn identity_of(found: &Stat) -> Identity {
    let changed = found.st_ctime.wrapping_mul(1_000_000_000).wrapping_add(found.st_ctime_nsec as i64);
    Identity { device: found.st_dev, inode: found.st_ino, changed }
}

/// The names in a directory, in byte order. In that order its children come in walk order, so the first of several names
/// of one file is the file. One block of memory for all of them.
struct Names {
    text: Vec<u8>,
    /// Where each begins, and its length.
    spans: Vec<(u32, u16)>,
}

impl Names {
    fn read(dir: &File, most: usize) -> Result<Self> {
        let mut names = Names { text: Vec::new(), spans: Vec::new() };
        let entries = Dir::read_from(dir).map_err(io::Error::from).doing("list the directory")?;
        for entry in entries {
            let entry = entry.map_err(io::Error::from).doing("list the directory")?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            // Files and directories are counted apart.
            let (start, len) = (u32::try_from(names.text.len()), u16::try_from(name.len()));
            let (Ok(start), Ok(len), true) = (start, len, names.spans.len() < most.saturating_mul(2)) else {
                return Err(too_many_files(most));
            };
            names.spans.push((start, len));
            names.text.extend_from_slice(name);
        }
        let text = &names.text;
        names.spans.sort_unstable_by(|a, b| span(text, *a).cmp(span(text, *b)));
        Ok(names)
    }

    fn iter(&self) -> impl Iterator<Item = &OsStr> {
        self.spans.iter().map(|&at| OsStr::from_bytes(span(&self.text, at)))
    }
}

fn span(text: &[u8], (start, len): (u32, u16)) -> &[u8] {
    &text[start as usize..][..usize::from(len)]
}

/// The extended attributes of the user's own; none where the file system has none or does not show them.
fn xattrs_of(file: &File) -> Vec<PaxRecord> {
    // Most files have none, or a few with short names.
    let (mut few, mut many) = ([0; 256], Vec::new());
    let names = match rustix::fs::flistxattr(file, &mut few[..]) {
        Ok(len) => &few[..len],
        Err(rustix::io::Errno::RANGE) => {
            many.resize(MAX_XATTR, 0);
            let Ok(len) = rustix::fs::flistxattr(file, &mut many[..]) else { return Vec::new() };
            &many[..len]
        }
        Err(_) => return Vec::new(),
    };
    let mut found = Vec::new();
    for name in names.split(|&byte| byte == 0).filter(|name| name.starts_with(b"user.")) {
        let mut value = vec![0; MAX_XATTR];
        if let Ok(len) = rustix::fs::fgetxattr(file, name, &mut value[..]) {
            value.truncate(len);
            found.push(([XATTR, name].concat().into(), value.into()));
        }
    }
    found
}

#[cfg(test)]
mod tests;
