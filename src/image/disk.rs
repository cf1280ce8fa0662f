//! A tree written as a directory.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags, chmodat, chownat, fchmod, fchown,
    fsetxattr, linkat, mkdirat, mknodat, openat, statat, symlinkat, utimensat,
};
use rustix::io::Errno;

use super::sink::EntrySink;
use crate::error::{Error, ErrorContext, IoContext, Kind, Result};
use crate::store::fs::{make_private, own_uid};
use crate::tar::{EntryKind, Meta};
use crate::text::Printable;

/// The prefix of extended attributes in PAX records.
pub(super) const XATTR: &[u8] = b"SCHILY.xattr.";
/// The extended attributes that are a user's to set: all others give rights, or say what the kernel is to do.
const OWN_XATTR: &[u8] = b"SCHILY.xattr.user.";
/// The bits that make a file run as somebody else.
pub(super) const SET_IDS: u32 = 0o6000;

/// The fidelity with which a tree is written to disk. The directory itself is always the user's, and private; set-ID bits
/// are left out, and of extended attributes all but `user.*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fidelity {
    /// For a container to go on with: owners too, where the user may set them, and every link as it stands.
    Exact,
    /// For a station to go on with: as [`Exact`](Fidelity::Exact), but the files belong to the user.
    Station,
    /// For an engine to run: as [`Exact`](Fidelity::Exact), but a whole file system. Its device nodes are left out, for
    /// engines make their own.
    System,
    /// For a person to look at: the files belong to the user, no link leads out of the directory, and pipes and device
    /// nodes are left out.
    Personal,
}

impl Fidelity {
    fn keeps_owners(self) -> bool {
        matches!(self, Fidelity::Exact | Fidelity::System)
    }
}

/// Writes a tree into a new directory. Nothing is ever written through a link: every directory is made here, also those
/// that only what lies in them names, and found from the open directory, not by its path.
pub struct DirectorySink {
    dir: PathBuf,
    home: File,
    root: Box<[u8]>,
    fidelity: Fidelity,
    current: Option<(File, PathBuf, Meta)>,
    /// Directories get their mode and times last, when their contents are there.
    directories: Vec<(PathBuf, Meta)>,
    left_out: Vec<String>,
    /// What the file system could not do, with the number of files.
    lost: BTreeMap<&'static str, u64>,
}

impl DirectorySink {
    /// Writes what lies at and below `root` into `dir`, which is made here (mode 0700) and must not exist.
    ///
    /// # Errors
    /// Input/output; others could read what is written.
    pub fn new(dir: &Path, root: &[u8], fidelity: Fidelity) -> Result<Self> {
        let home = new_directory(dir).at(dir.display())?;
        let (current, directories, left_out, lost) = Default::default();
        let (dir, root) = (dir.to_owned(), root.into());
        Ok(DirectorySink { dir, home, root, fidelity, current, directories, left_out, lost })
    }

    /// Ends writing; what was left out, and why.
    ///
    /// # Errors
    /// Input/output.
    pub fn finish(mut self) -> Result<Vec<String>> {
        self.end_file()?;
        for (below, meta) in std::mem::take(&mut self.directories).into_iter().rev() {
            self.end_directory(&below, &meta).at(self.shown(&below))?;
        }
        let lost = self.lost.iter().map(|(what, count)| format!("{what} of {count}, which the file system cannot set"));
        let lost: Vec<String> = lost.collect();
        self.left_out.extend(lost);
        Ok(self.left_out)
    }

    /// The path relative to the directory; nothing for itself.
    fn below(&self, path: &[u8]) -> PathBuf {
        let below = path.strip_prefix(&*self.root).unwrap_or(path);
        OsStr::from_bytes(below.strip_prefix(b"/").unwrap_or(below)).into()
    }

    fn shown(&self, below: &Path) -> String {
        self.dir.join(below).display().to_string()
    }

    fn end_file(&mut self) -> Result<()> {
        if let Some((file, below, meta)) = self.current.take() {
            self.finish_file(&file, &meta).at(self.shown(&below))?;
        }
        Ok(())
    }

    fn finish_file(&mut self, file: &File, meta: &Meta) -> Result<()> {
        if let Some((uid, gid)) = self.owner(meta) {
            let changed = fchown(file, Some(uid), Some(gid));
            self.done(changed, "the owners").doing("set the owner")?;
        }
        self.set_xattrs(file, meta)?;
        let changed = fchmod(file, Mode::from_raw_mode(self.mode_of(meta, false)));
        self.done(changed, "the modes").doing("set the mode")?;
        let timed = rustix::fs::futimens(file, &times_of(meta));
        self.done(timed, "the modification times").doing("set the modification time")
    }

    fn end_directory(&mut self, below: &Path, meta: &Meta) -> Result<()> {
        // The directory itself stays the user's, and private; what is in it keeps its mode.
        let is_top = below.as_os_str().is_empty();
        let name = if is_top { Path::new(".") } else { below };
        let dir = self.open_made(name)?;
        self.set_xattrs(&dir, meta)?;
        if !is_top {
            if let Some((uid, gid)) = self.owner(meta) {
                let changed = chownat(&self.home, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW);
                self.done(changed, "the owners").doing("set the owner")?;
            }
            let mode = Mode::from_raw_mode(self.mode_of(meta, true));
            let changed = chmodat(&self.home, name, mode, AtFlags::empty());
            self.done(changed, "the modes").doing("set the mode")?;
        }
        let timed = utimensat(&self.home, name, &times_of(meta), AtFlags::SYMLINK_NOFOLLOW);
        self.done(timed, "the modification times").doing("set the modification time")
    }

    /// What is neither file nor directory.
    fn finish_other(&mut self, below: &Path, meta: &Meta, has_mode: bool) -> Result<()> {
        if let Some((uid, gid)) = self.owner(meta) {
            let changed = chownat(&self.home, below, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW);
            self.done(changed, "the owners").doing("set the owner")?;
        }
        if has_mode {
            let mode = Mode::from_raw_mode(self.mode_of(meta, false));
            let changed = chmodat(&self.home, below, mode, AtFlags::empty());
            self.done(changed, "the modes").doing("set the mode")?;
        }
        let timed = utimensat(&self.home, below, &times_of(meta), AtFlags::SYMLINK_NOFOLLOW);
        self.done(timed, "the modification times").doing("set the modification time")
    }

    /// Takes note of what a file system cannot do; a whole system needs it.
    fn done(&mut self, result: rustix::io::Result<()>, what: &'static str) -> io::Result<()> {
        match result {
            Err(Errno::PERM | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL) if self.fidelity != Fidelity::System => {
                *self.lost.entry(what).or_default() += 1;
                Ok(())
            }
            done => done.map_err(io::Error::from),
        }
    }

    /// The owner to set, where the user may do that.
    fn owner(&self, meta: &Meta) -> Option<(Uid, Gid)> {
        let (uid, gid) = (u32::try_from(meta.uid).ok()?, u32::try_from(meta.gid).ok()?);
        let is_wanted = self.fidelity.keeps_owners() && rustix::process::geteuid().is_root();
        // The number that stands for no change.
        let is_one = uid != u32::MAX && gid != u32::MAX;
        (is_wanted && is_one).then(|| (Uid::from_raw(uid), Gid::from_raw(gid)))
    }

    fn mode_of(&self, meta: &Meta, is_directory: bool) -> u32 {
        match self.fidelity {
            // A set-group-ID bit of a directory lets nobody run anything, and its files need it.
            Fidelity::System if is_directory => meta.permissions(),
            Fidelity::Exact | Fidelity::Station | Fidelity::System => meta.permissions() & !SET_IDS,
            Fidelity::Personal if is_directory => personal_mode(meta) | 0o100,
            Fidelity::Personal => personal_mode(meta),
        }
    }

    /// Sets what the file system and the user's rights allow; the rest is not for results to fail on.
    fn set_xattrs(&self, file: &File, meta: &Meta) -> Result<()> {
        if self.fidelity == Fidelity::Personal {
            return Ok(());
        }
        for (key, value) in &meta.pax {
            if let Some(name) = key.strip_prefix(XATTR).filter(|_| key.starts_with(OWN_XATTR))
                && let Err(error) = fsetxattr(file, name, value, XattrFlags::empty())
            {
                tracing::debug!(%error, "an extended attribute could not be set");
            }
        }
        Ok(())
    }

    fn open_made(&self, below: &Path) -> Result<File> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
        let opened = openat(&self.home, below, flags, Mode::empty()).map_err(io::Error::from);
        opened.doing("open the directory").map(File::from)
    }

    fn make_directory(&self, below: &Path, mode: u32) -> Result<()> {
        let made = mkdirat(&self.home, below, Mode::from_raw_mode(mode)).map_err(io::Error::from);
        made.doing("create the directory")?;
        // Whatever the umask: something is to be put into it.
        let changed = chmodat(&self.home, below, Mode::from_raw_mode(mode), AtFlags::empty());
        if let Err(error) = changed {
            tracing::debug!(%error, "the mode of a directory could not be set");
        }
        Ok(())
    }

    fn make_file(&self, below: &Path) -> Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = openat(&self.home, below, flags, Mode::from_raw_mode(0o600)).map_err(io::Error::from);
        made.doing("create the file").map(File::from)
    }

    /// A further name of a file; where the file system has no such, a copy.
    fn make_link(&mut self, target: &Path, below: &Path, meta: &Meta) -> Result<()> {
        let Err(refused) = linkat(&self.home, target, &self.home, below, AtFlags::empty()) else { return Ok(()) };
        let refused = Err(io::Error::from(refused)).doing("create the link");
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let Ok(from) = openat(&self.home, target, flags, Mode::empty()).map(File::from) else { return refused };
        if !from.metadata().is_ok_and(|found| found.is_file()) {
            return refused;
        }
        let mut to = self.make_file(below)?;
        io::copy(&mut &from, &mut to).doing("copy the file")?;
        *self.lost.entry("the further names").or_default() += 1;
        self.finish_file(&to, meta)
    }

    fn make(&mut self, below: &Path, kind: &EntryKind, meta: &Meta) -> Result<()> {
        match kind {
            EntryKind::File | EntryKind::Sparse => {
                self.current = Some((self.make_file(below)?, below.to_owned(), meta.clone()));
            }
            EntryKind::Directory => {
                if !below.as_os_str().is_empty() {
                    self.make_directory(below, 0o700)?;
                }
                self.directories.push((below.to_owned(), meta.clone()));
            }
            EntryKind::HardLink(target) => {
                let target = self.below(target);
                self.make_link(&target, below, meta)?;
            }
            EntryKind::Symlink(target) => {
                let made = symlinkat(OsStr::from_bytes(target), &self.home, below).map_err(io::Error::from);
                made.doing("create the link")?;
                self.finish_other(below, meta, false)?;
            }
            EntryKind::Fifo => {
                let made = mknodat(&self.home, below, FileType::Fifo, Mode::from_raw_mode(0o600), 0);
                made.map_err(io::Error::from).doing("create the named pipe")?;
                self.finish_other(below, meta, true)?;
            }
            EntryKind::Device { .. } => return Err(Error::malformed("a device node")),
        }
        Ok(())
    }

    /// Whether a person is not handed an entry, and why.
    fn why_left_out(&self, path: &[u8], kind: &EntryKind) -> Option<String> {
        match (self.fidelity, kind) {
            (Fidelity::Personal, kind) => left_out(path.strip_prefix(&*self.root).unwrap_or(path), kind),
            _ => None,
        }
    }
}

/// Makes a directory that is this user's and that nobody else can look into, and opens it.
fn new_directory(dir: &Path) -> Result<File> {
    fs::DirBuilder::new().mode(0o700).create(dir).doing("create the directory")?;
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW;
    let opened = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(dir);
    let private = opened.doing("open the directory").and_then(|home| {
        let found = home.metadata().doing("stat the directory")?;
        if found.uid() != own_uid() {
            return Err(Error::new(Kind::Io, "somebody else's directory has come to this path"));
        }
        make_private(&home)?;
        Ok(home)
    });
    if private.is_err() {
        let _ = fs::remove_dir(dir);
    }
    private
}

fn times_of(meta: &Meta) -> Timestamps {
    let time = Timespec { tv_sec: meta.mtime, tv_nsec: meta.nanos().into() };
    Timestamps { last_access: time, last_modification: time }
}

impl EntrySink for DirectorySink {
    fn entry(&mut self, path: &[u8], kind: &EntryKind, meta: &Meta, _size: u64) -> Result<()> {
        self.end_file()?;
        let below = self.below(path);
        if let Some(why) = self.why_left_out(path, kind) {
            self.left_out.push(format!("{} ({why})", self.shown(&below)));
            return Ok(());
        }
        if self.fidelity == Fidelity::System && matches!(kind, EntryKind::Device { .. }) {
            return Ok(());
        }
        // Whatever the tree has above it was made here before; what it has not is no link.
        self.make_parents(&below)?;
        self.make(&below, kind, meta).at(self.shown(&below))
    }
}

impl DirectorySink {
    fn make_parents(&self, below: &Path) -> Result<()> {
        let above: Vec<&Path> = below.ancestors().skip(1).filter(|dir| !dir.as_os_str().is_empty()).collect();
        let is_there = |dir: &Path| statat(&self.home, dir, AtFlags::SYMLINK_NOFOLLOW).is_ok();
        let missing: Vec<&&Path> = above.iter().take_while(|dir| !is_there(dir)).collect();
        missing.into_iter().rev().try_for_each(|dir| self.make_directory(dir, 0o755).at(self.shown(dir)))
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

/// Why a person is not handed an entry at `below` (relative to the directory), if so: it would lead elsewhere, or do
/// something when it is opened.
pub(super) fn left_out(below: &[u8], kind: &EntryKind) -> Option<String> {
    match kind {
        EntryKind::Symlink(target) if leads_out(below, target) => {
            Some(format!("a link to {}, outside the results", Printable::new(target)))
        }
        EntryKind::Fifo | EntryKind::Device { .. } => Some(kind.name().to_owned()),
        _ => None,
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
