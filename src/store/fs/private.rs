//! Places for plaintext: whoever else can write there, or has made the place, would read it or exchange it.

use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use crate::error::{Advice, Error, IoContext, Kind, Result};

/// The most links that are followed, as in the kernel.
const MAX_LINKS: usize = 40;

/// True if others than the owner may write it, its group among them.
pub(crate) fn others_may_write(found: &Metadata) -> bool {
    found.mode() & 0o022 != 0
}

/// Who may read what is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Audience {
    /// Whoever can read the place: closed trains and other images are no secrets.
    #[default]
    Anyone,
    /// The owner alone, for it is plaintext.
    Owner {
        /// Whether the place may belong to others, or others may write there.
        shared: bool,
    },
}

impl Audience {
    /// True if nobody else may read it.
    pub(crate) fn is_owner(self) -> bool {
        self != Audience::Anyone
    }

    /// True if the place has to be the user's own.
    fn wants_own_place(self) -> bool {
        self == Audience::Owner { shared: false }
    }

    /// Refuses a path that leads through a link of somebody else's: who made it decides where the plaintext goes.
    ///
    /// # Errors
    /// [`Kind::Usage`] if there is such a link.
    pub(crate) fn ensure_path(self, path: &Path) -> Result<()> {
        if !self.wants_own_place() {
            return Ok(());
        }
        match stranger_link(path) {
            None => Ok(()),
            Some(link) => {
                let what = "a symbolic link that belongs to somebody else";
                Err(Error::usage(what).advise(Advice::ChoosePrivatePlace).at(link.display()))
            }
        }
    }

    /// Refuses a directory that belongs to somebody else, or that others may write. What only the user's own group may
    /// write, as many systems have it, is [closed](Self::close_to_group) when something is put there.
    ///
    /// # Errors
    /// [`Kind::Usage`] if it is so.
    pub(crate) fn ensure_dir(self, found: &Metadata) -> Result<()> {
        if !self.wants_own_place() {
            return Ok(());
        }
        let what = if found.uid() != own_uid() {
            "the directory belongs to somebody else, who could read and exchange the plaintext in it"
        } else if found.mode() & 0o002 != 0 || found.mode() & 0o020 != 0 && found.gid() != own_gid() {
            "others may write to the directory, and could exchange the plaintext in it"
        } else {
            return Ok(());
        };
        Err(Error::usage(what).advise(Advice::ChoosePrivatePlace))
    }

    /// Takes the group's right to write to a directory, where plaintext is put into it.
    ///
    /// # Errors
    /// It cannot be done.
    pub(crate) fn close_to_group(self, dir: &File) -> Result<()> {
        let mode = dir.metadata().doing("stat the directory")?.mode() & 0o7777;
        if !self.wants_own_place() || mode & 0o020 == 0 {
            return Ok(());
        }
        let closed = dir.set_permissions(Permissions::from_mode(mode & !0o020)).doing("set the mode of the directory");
        closed.map_err(|error| error.advise(Advice::ChoosePrivatePlace))
    }

    /// Takes the rights of everybody else on a new file or directory, where that matters.
    ///
    /// # Errors
    /// The file system cannot do it, and others have rights.
    pub(crate) fn close_to_others(self, file: &File) -> Result<()> {
        if !self.is_owner() {
            return Ok(());
        }
        match make_private(file) {
            Err(error) if error.kind() == Kind::Io && self == (Audience::Owner { shared: true }) => {
                tracing::warn!("{error}: others can read the plaintext");
                Ok(())
            }
            made => made,
        }
    }
}

/// Takes the rights of group and others on an open file or directory, whatever the umask.
///
/// # Errors
/// They still have some, since the file system has modes of its own.
pub(crate) fn make_private(file: &File) -> Result<()> {
    let found = file.metadata().doing("stat the file")?;
    let wanted = if found.is_dir() { 0o700 } else { 0o600 };
    if found.mode() & 0o777 == wanted {
        return Ok(());
    }
    match file.set_permissions(Permissions::from_mode(wanted)) {
        Ok(()) => {}
        // No more than the owner's bits differ, or nobody else has any: that is private enough.
        Err(_) if found.mode() & 0o077 == 0 && found.mode() & wanted == wanted => return Ok(()),
        Err(error) => return Err(others_can_read(error)),
    }
    // Some file systems take a mode and keep their own.
    let mode = file.metadata().doing("stat the file")?.mode();
    if mode & 0o077 == 0 { Ok(()) } else { Err(others_can_read(io::Error::other("the mode stays as it was"))) }
}

fn others_can_read(error: io::Error) -> Error {
    let hint = "the file system does not keep plaintext from others: take a directory on another one";
    Error::new(Kind::Io, "cannot set the mode").because(error).hint(hint)
}

/// The user that this process acts as.
pub(crate) fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn own_gid() -> u32 {
    rustix::process::getegid().as_raw()
}

/// The first symbolic link on the way that is neither this user's nor root's.
fn stranger_link(path: &Path) -> Option<PathBuf> {
    let mut open: Vec<PathBuf> = parts(path);
    let (mut here, mut links) = (PathBuf::new(), 0);
    while let Some(part) = open.pop() {
        here.push(&part);
        let Ok(found) = fs::symlink_metadata(&here) else { return None }; // nothing there leads anywhere
        if !found.is_symlink() {
            continue;
        }
        if found.uid() != own_uid() && found.uid() != 0 {
            return Some(here);
        }
        links += 1;
        let target = fs::read_link(&here).ok().filter(|_| links <= MAX_LINKS)?;
        here.pop();
        open.extend(parts(&target));
    }
    None
}

/// The components of a path, the last one first.
fn parts(path: &Path) -> Vec<PathBuf> {
    let mut parts: Vec<PathBuf> =
        path.components().filter(|part| *part != Component::CurDir).map(|part| part.as_os_str().into()).collect();
    parts.reverse();
    parts
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn takes_the_rights_of_others_whatever_the_umask() {
        let dir = tempfile::tempdir().unwrap();
        for (mode, wanted) in [(0o666, 0o600), (0o000, 0o600), (0o640, 0o600)] {
            let path = dir.path().join(format!("{mode:o}"));
            let file = File::create(&path).unwrap();
            file.set_permissions(Permissions::from_mode(mode)).unwrap();
            make_private(&file).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, wanted);
        }
        let open = dir.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
        let owner = Audience::Owner { shared: false };
        let found = fs::metadata(&open).unwrap();
        assert_eq!(owner.ensure_dir(&found).unwrap_err().kind(), Kind::Usage);
        Audience::Owner { shared: true }.ensure_dir(&found).unwrap();
        Audience::Anyone.ensure_dir(&found).unwrap();
        owner.close_to_others(&File::open(&open).unwrap()).unwrap();
        owner.ensure_dir(&fs::metadata(&open).unwrap()).unwrap();
    }

    #[test]
    fn follows_ones_own_links_and_no_strangers() {
        let dir = tempfile::tempdir().unwrap();
        let (way, on) = (dir.path().join("way"), dir.path().join("on"));
        fs::create_dir(dir.path().join("target")).unwrap();
        symlink("target", &way).unwrap();
        symlink(&way, &on).unwrap();
        assert_eq!(stranger_link(&on.join("x")), None);
        symlink("loop", dir.path().join("loop")).unwrap();
        assert_eq!(stranger_link(&dir.path().join("loop")), None, "the system says what is wrong with it");
        if own_uid() == 0 {
            std::os::unix::fs::lchown(&way, Some(12345), Some(12345)).unwrap();
            let owner = Audience::Owner { shared: false };
            for path in [way.clone(), way.join("below"), on.join("below")] {
                let error = owner.ensure_path(&path).unwrap_err();
                assert!(error.to_string().contains("somebody else"), "{error}");
                Audience::Owner { shared: true }.ensure_path(&path).unwrap();
                Audience::Anyone.ensure_path(&path).unwrap();
            }
        }
    }
}
