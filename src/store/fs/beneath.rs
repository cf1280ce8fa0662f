use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

/// How often a path is tried again that the kernel could not follow because something was moved meanwhile.
const TRIES: usize = 8;

/// A directory that stays the same whatever comes to its path. What lies in it is opened relative to it and through no
/// link, and nothing is waited for: somebody else may change it at the same time.
#[derive(Debug)]
pub(crate) struct Beneath {
    dir: File,
    path: PathBuf,
}

impl Beneath {
    /// Opens the directory at a path of the user's choice; to that a link may lead.
    ///
    /// # Errors
    /// Input/output; there is no directory.
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        let given = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let dir = openat(CWD, given, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Beneath { dir: dir.into(), path: path.to_owned() })
    }

    /// Where something in it is, for messages.
    pub(crate) fn shown(&self, below: &Path) -> PathBuf {
        if below.as_os_str().is_empty() { self.path.clone() } else { self.path.join(below) }
    }

    /// Opens a file or directory in it for reading; nothing for the directory itself.
    ///
    /// # Errors
    /// Input/output: `ELOOP` or `ENOTDIR` if a link is on the way.
    pub(crate) fn open(&self, below: &Path) -> io::Result<File> {
        let below = if below.as_os_str().is_empty() { Path::new(".") } else { below };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        for _ in 0..TRIES {
            match openat2(&self.dir, below, flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN) => {}
                // Older kernels, and sandboxes that do not know the call.
                Err(Errno::NOSYS | Errno::PERM) => break,
                opened => return Ok(opened?.into()),
            }
        }
        self.step_down(below, flags)
    }

    /// The same, one component after the other.
    fn step_down(&self, below: &Path, flags: OFlags) -> io::Result<File> {
        let parts: Vec<_> = below.iter().collect();
        let mut here = self.dir.try_clone()?;
        for (at, part) in parts.iter().enumerate() {
            let last = at + 1 == parts.len();
            let flags = if last { flags } else { flags | OFlags::DIRECTORY };
            here = openat(&here, *part, flags, Mode::empty())?.into();
        }
        Ok(here)
    }
}

/// What tells whether an open file is the one that was looked at, as it was then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    /// The time of the last change of contents or status, in nanoseconds.
    pub(crate) changed: i64,
}

impl Identity {
    pub(crate) fn of(found: &Metadata) -> Self {
        let changed = found.ctime().wrapping_mul(1_000_000_000).wrapping_add(found.ctime_nsec());
        Identity { device: found.dev(), inode: found.ino(), changed }
    }

    /// True if it is the same file or directory, changed or not.
    pub(crate) fn is_same(&self, other: &Identity) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

/// True if opening failed because something else is at the path by now.
pub(crate) fn is_replaced(error: &io::Error) -> bool {
    let replaced = [Errno::LOOP, Errno::NOTDIR, Errno::NOENT, Errno::NXIO, Errno::XDEV];
    error.raw_os_error().is_some_and(|raw| replaced.iter().any(|known| known.raw_os_error() == raw))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_leads_out_and_nothing_makes_it_wait() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir_all(path("in/sub")).unwrap();
        fs::write(path("in/sub/file"), "own").unwrap();
        fs::write(path("secret"), "of the host").unwrap();
        symlink(path("secret"), path("in/link")).unwrap();
        symlink(dir.path(), path("in/up")).unwrap();
        rustix::fs::mknodat(CWD, path("in/pipe"), rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        symlink("in", path("way")).unwrap();
        for given in ["in", "way"] {
            let beneath = Beneath::new(&path(given)).unwrap();
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
            type Open<'a> = &'a dyn Fn(&Path) -> io::Result<File>;
            let step: Open<'_> = &|below| beneath.step_down(below, flags);
            let once: Open<'_> = &|below| beneath.open(below);
            for open in [once, step] {
                assert_eq!(io::read_to_string(open(Path::new("sub/file")).unwrap()).unwrap(), "own");
                for leads_out in ["link", "up/secret", "up/in/sub/file", "sub/none"] {
                    assert!(is_replaced(&open(Path::new(leads_out)).unwrap_err()), "{leads_out}");
                }
                assert!(!open(Path::new("pipe")).unwrap().metadata().unwrap().is_file());
            }
        }
    }
}
