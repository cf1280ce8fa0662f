//! Trees on disk: a directory read as a tree, and a tree written as a directory.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};

use super::sink::EntrySink;
use super::tree::{Content, Node, NodeKind, Tree};
use crate::error::{Error, ErrorContext, IoContext, Result};
use crate::tar::{EntryKind, Meta, PaxRecord, PaxRecords, pax_mtime};
use crate::text::Printable;

/// The prefix of extended attributes in PAX records.
const XATTR: &[u8] = b"SCHILY.xattr.";

/// Reads a directory as the tree that has it at `root`, itself included.
///
/// # Errors
/// Input/output; device nodes and sockets are malformed.
pub fn read_directory(dir: &Path, root: &[u8]) -> Result<Tree> {
    let mut walk = Walk { nodes: Vec::new(), names: HashMap::new() };
    walk.visit(dir, root.into()).at(dir.display())?;
    Ok(Tree::in_order(walk.nodes, Vec::new()))
}

struct Walk {
    nodes: Vec<Node>,
    /// Device and inode of files with several names.
    names: HashMap<(u64, u64), usize>,
}

impl Walk {
    fn visit(&mut self, path: &Path, name: Box<[u8]>) -> Result<()> {
        let found = fs::symlink_metadata(path).doing("stat the file").at(path.display())?;
        let kind = self.kind_of(path, &found)?;
        let is_directory = kind == NodeKind::Directory;
        self.nodes.push(Node { path: name.clone(), kind, meta: meta_of(path, &found) });
        if is_directory {
            // In byte order a directory's children come in walk order, so the first of several names is the file.
            let entries = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
            let mut children: Vec<PathBuf> =
                entries.doing("list the directory").at(path.display())?.iter().map(fs::DirEntry::path).collect();
            children.sort_by(|a, b| a.as_os_str().as_bytes().cmp(b.as_os_str().as_bytes()));
            for child in children {
                let base = child.file_name().map(OsStr::as_bytes).unwrap_or_default();
                self.visit(&child, [&name, &b"/"[..], base].concat().into())?;
            }
        }
        Ok(())
    }

    fn kind_of(&mut self, path: &Path, found: &Metadata) -> Result<NodeKind> {
        let kind = found.file_type();
        if kind.is_dir() {
            return Ok(NodeKind::Directory);
        }
        if kind.is_symlink() {
            let target = fs::read_link(path).doing("read the link").at(path.display())?;
            return Ok(NodeKind::Symlink(target.as_os_str().as_bytes().into()));
        }
        if kind.is_fifo() {
            return Ok(NodeKind::Fifo);
        }
        if !kind.is_file() {
            let what = "a device node or a socket; results are files, directories, links and named pipes";
            return Err(Error::malformed(what).at(path.display()));
        }
        if found.nlink() > 1 {
            if let Some(&first) = self.names.get(&(found.dev(), found.ino())) {
                return Ok(NodeKind::Link(first));
            }
            self.names.insert((found.dev(), found.ino()), self.nodes.len());
        }
        Ok(NodeKind::File { size: found.len(), content: Content::Disk(path.to_owned()) })
    }
}

fn meta_of(path: &Path, found: &Metadata) -> Meta {
    let nanos = u32::try_from(found.mtime_nsec()).unwrap_or_default(); // below a second
    let mut pax: Vec<PaxRecord> = pax_mtime(found.mtime(), nanos).into_iter().collect();
    pax.extend(xattrs_of(path));
    Meta {
        mode: found.mode() & 0o7777,
        uid: found.uid().into(),
        gid: found.gid().into(),
        mtime: found.mtime(),
        pax: pax.into(),
        ..Meta::default()
    }
}

/// The extended attributes; none where the file system has none or does not show them.
fn xattrs_of(path: &Path) -> Vec<PaxRecord> {
    let mut names = vec![0; 64 << 10];
    let Ok(len) = rustix::fs::llistxattr(path, &mut names) else { return Vec::new() };
    let mut found = Vec::new();
    for name in names[..len].split(|&byte| byte == 0).filter(|name| !name.is_empty()) {
        let mut value = vec![0; 64 << 10];
        if let Ok(len) = rustix::fs::lgetxattr(path, name, &mut value) {
            value.truncate(len);
            found.push(([XATTR, name].concat().into(), value.into()));
        }
    }
    found
}

/// The fidelity with which a tree is written to disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fidelity {
    /// For a container to go on with: owners too, where the user may set them, and every link as it stands.
    Exact,
    /// For an engine to run: as [`Exact`](Fidelity::Exact), but a whole file system. Its device nodes are left out, for
    /// engines make their own.
    System,
    /// For a person to look at: the files belong to the user, and no link leads out of the directory.
    Personal,
}

/// Writes a tree into a new directory. Nothing is ever written through a link: every directory is made here, also those
/// that only what lies in them names.
pub struct DirectorySink {
    dir: PathBuf,
    root: Box<[u8]>,
    fidelity: Fidelity,
    current: Option<(File, PathBuf, Meta)>,
    /// Directories get their mode and times last, when their contents are there.
    directories: Vec<(PathBuf, Meta)>,
    left_out: Vec<String>,
}

impl DirectorySink {
    /// Writes what lies at and below `root` into `dir`, which is made here (mode 0700) and must not exist.
    ///
    /// # Errors
    /// Input/output.
    pub fn new(dir: &Path, root: &[u8], fidelity: Fidelity) -> Result<Self> {
        fs::DirBuilder::new().mode(0o700).create(dir).doing("create the directory").at(dir.display())?;
        let (dir, root) = (dir.to_owned(), root.into());
        Ok(DirectorySink { dir, root, fidelity, current: None, directories: Vec::new(), left_out: Vec::new() })
    }

    /// Ends writing; what was left out, and why.
    ///
    /// # Errors
    /// Input/output.
    pub fn finish(mut self) -> Result<Vec<String>> {
        self.end_file()?;
        for (path, meta) in std::mem::take(&mut self.directories).into_iter().rev() {
            // The directory itself stays private; what is in it keeps its modes.
            let mode = if path == self.dir { 0o700 } else { self.mode_of(&meta) };
            self.apply(&path, &Meta { mode, ..meta }, true).at(path.display())?;
        }
        Ok(self.left_out)
    }

    fn path_of(&self, path: &[u8]) -> PathBuf {
        let below = path.strip_prefix(&*self.root).unwrap_or(path);
        let below = below.strip_prefix(b"/").unwrap_or(below);
        if below.is_empty() { self.dir.clone() } else { self.dir.join(OsStr::from_bytes(below)) }
    }

    fn end_file(&mut self) -> Result<()> {
        if let Some((_, path, meta)) = self.current.take() {
            let mode = self.mode_of(&meta);
            self.apply(&path, &Meta { mode, ..meta }, true).at(path.display())?;
        }
        Ok(())
    }

    fn mode_of(&self, meta: &Meta) -> u32 {
        match self.fidelity {
            Fidelity::Exact | Fidelity::System => meta.permissions(),
            Fidelity::Personal => personal_mode(meta),
        }
    }

    fn apply(&self, path: &Path, meta: &Meta, has_mode: bool) -> Result<()> {
        if self.fidelity != Fidelity::Personal {
            let (uid, gid) = (u32::try_from(meta.uid), u32::try_from(meta.gid));
            if let (Ok(uid), Ok(gid), true) = (uid, gid, rustix::process::geteuid().is_root()) {
                let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
                io_result(rustix::fs::chownat(CWD, path, uid, gid, AtFlags::SYMLINK_NOFOLLOW))
                    .doing("set the owner")?;
            }
            set_xattrs(path, &meta.pax);
        }
        if has_mode {
            io_result(rustix::fs::chmod(path, Mode::from_raw_mode(meta.mode))).doing("set the mode")?;
        }
        let time = Timespec { tv_sec: meta.mtime, tv_nsec: meta.nanos().into() };
        let times = Timestamps { last_access: time, last_modification: time };
        io_result(rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW))
            .doing("set the modification time")
    }

    fn make(&mut self, to: &Path, kind: &EntryKind, meta: &Meta) -> Result<()> {
        match kind {
            EntryKind::File | EntryKind::Sparse => {
                let file =
                    File::options().write(true).create_new(true).mode(0o600).open(to).doing("create the file")?;
                self.current = Some((file, to.to_owned(), meta.clone()));
            }
            EntryKind::Directory => {
                if to != self.dir {
                    fs::DirBuilder::new().mode(0o700).create(to).doing("create the directory")?;
                }
                self.directories.push((to.to_owned(), meta.clone()));
            }
            EntryKind::HardLink(target) => fs::hard_link(self.path_of(target), to).doing("create the link")?,
            EntryKind::Symlink(target) => {
                std::os::unix::fs::symlink(OsStr::from_bytes(target), to).doing("create the link")?;
                self.apply(to, meta, false)?;
            }
            EntryKind::Fifo => {
                let mode = Mode::from_raw_mode(0o600);
                let made = rustix::fs::mknodat(CWD, to, rustix::fs::FileType::Fifo, mode, 0);
                io_result(made).doing("create the named pipe")?;
                self.apply(to, &Meta { mode: self.mode_of(meta), ..meta.clone() }, true)?;
            }
            EntryKind::Device { .. } => return Err(Error::malformed("a device node")),
        }
        Ok(())
    }
}

impl EntrySink for DirectorySink {
    fn entry(&mut self, path: &[u8], kind: &EntryKind, meta: &Meta, _size: u64) -> Result<()> {
        self.end_file()?;
        let to = self.path_of(path);
        if let (EntryKind::Symlink(target), Fidelity::Personal) = (kind, self.fidelity)
            && leads_out(path.strip_prefix(&*self.root).unwrap_or(path), target)
        {
            let target = Printable::new(target);
            self.left_out.push(format!("{} (a link to {target}, outside the results)", to.display()));
            return Ok(());
        }
        if self.fidelity == Fidelity::System && matches!(kind, EntryKind::Device { .. }) {
            return Ok(());
        }
        // Whatever the tree has above it was made here before; what it has not is no link.
        let parent = to.parent().filter(|_| to != self.dir).unwrap_or(&self.dir);
        if !parent.is_dir() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(parent)
                .doing("create the directory")
                .at(parent.display())?;
        }
        self.make(&to, kind, meta).at(to.display())
    }
}

impl Write for DirectorySink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.current {
            Some((file, _, _)) => file.write(bytes),
            None => Err(io::Error::other("contents without an open file")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The mode of what a person is handed: they can read and delete what is theirs; nothing runs with other rights.
pub(super) fn personal_mode(meta: &Meta) -> u32 {
    meta.permissions() & 0o777 | 0o600
}

/// True if a link at `path` (relative to the directory) to `target` leaves the directory.
pub(super) fn leads_out(path: &[u8], target: &[u8]) -> bool {
    if target.starts_with(b"/") {
        return true;
    }
    let mut depth = path.split(|&byte| byte == b'/').filter(|part| !part.is_empty()).count() as i64 - 1;
    target.split(|&byte| byte == b'/').any(|part| {
        depth += match part {
            b"" | b"." => 0,
            b".." => -1,
            _ => 1,
        };
        depth < 0
    })
}

/// Sets what the file system and the user's rights allow; the rest is not for results to fail on.
fn set_xattrs(path: &Path, pax: &PaxRecords) {
    for (key, value) in pax {
        if let Some(name) = key.strip_prefix(XATTR)
            && let Err(error) = rustix::fs::lsetxattr(path, name, value, XattrFlags::empty())
        {
            tracing::debug!(path = %path.display(), %error, "an extended attribute could not be set");
        }
    }
}

fn io_result<T>(result: rustix::io::Result<T>) -> io::Result<T> {
    result.map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_links_that_leave() {
        for (path, target, out) in [
            ("/link", "result.txt", false),
            ("/link", "../x", true),
            ("/sub/link", "../x", false),
            ("/sub/link", "../../x", true),
            ("/sub/link", "a/../../../x", true),
            ("/link", "/etc/passwd", true),
        ] {
            assert_eq!(leads_out(path.as_bytes(), target.as_bytes()), out, "{path} -> {target}");
        }
    }
}
