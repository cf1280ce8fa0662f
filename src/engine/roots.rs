//! File systems of bases, unpacked once: engines without a store of their own (runc, Charliecloud) run from them.
//!
//! A root is named by the chain ID of its layers. It is made in a directory of its own and renamed when it is whole; a
//! seal beside it says what every file was then (owner, mode, size, times, inode), so that a root that somebody has
//! changed is made anew and never used.

use std::fs::{self, DirBuilder, File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, flock};

use super::options::mountable;
use crate::crypto::{Sha256, hex};
use crate::error::{Advice, Error, ErrorContext, IoContext, Kind, Result};
use crate::image::{DirectorySink, Fidelity, Image, PathFilter, View, write_tree};
use crate::store::fs::{is_at, others_may_write};
use crate::store::{Context, interrupt};

/// The directory of all roots, in the user's cache.
const ROOTS: &str = "roots";
/// What a root is called while it is made.
const MAKING: &str = ".making-";
/// In the directory of a root: the file system, and what it was when it was whole.
const ROOTFS: &str = "rootfs";
const SEAL: &str = "seal";
/// How long a root may be locked by who removes it, and the time between two looks.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOKS: Duration = Duration::from_millis(20);

/// True if the user's cache has a root of these layers. Whether it is as it was made, the run finds out.
pub(super) fn keeps(image: &Image, context: &Context) -> bool {
    let place = context.cache.as_ref().map(|cache| cache.join(ROOTS).join(name_of(image)).join(ROOTFS));
    place.is_some_and(|place| place.is_dir())
}

/// The name of the directory of a root.
fn name_of(image: &Image) -> String {
    let chain = image.chain_id(image.layers().len()).map_or_else(|| "empty".to_owned(), |chain| chain.to_string());
    chain.replace(':', "-")
}

/// The roots of this user.
#[derive(Debug)]
pub(super) struct Roots {
    dir: PathBuf,
}

/// A root that is whole, and stays while this is held.
#[derive(Debug)]
pub struct Root {
    /// The file system.
    pub path: PathBuf,
    /// The lock of whoever runs from it.
    _lock: File,
}

/// A root as it is listed.
#[derive(Debug, Clone)]
pub(super) struct RootEntry {
    /// The chain ID of its layers.
    pub(super) chain_id: String,
    /// Its directory.
    pub(super) path: PathBuf,
    /// The bytes of its files.
    pub(super) bytes: u64,
}

impl Roots {
    /// Opens the directory of roots below `cache`, and makes it if it is not there.
    ///
    /// # Errors
    /// It cannot be made, or it is another user's.
    pub(super) fn open(cache: &Path) -> Result<Self> {
        let dir = cache.join(ROOTS);
        DirBuilder::new().recursive(true).mode(0o700).create(&dir).doing("create the directory").at(dir.display())?;
        let dir = mountable(dir.canonicalize().doing("resolve the path").at(dir.display())?)?;
        let found = fs::symlink_metadata(&dir).doing("stat the directory").at(dir.display())?;
        if found.uid() != rustix::process::geteuid().as_raw() || others_may_write(&found) {
            let error = Error::new(Kind::Io, "the directory for unpacked bases is not this user's alone");
            return Err(error.advise(Advice::ChooseCache).at(dir.display()));
        }
        Ok(Roots { dir })
    }

    /// The root of `image`: the one that is there, if nothing in it has changed, or a new one.
    ///
    /// # Errors
    /// As [`View::read`]; input/output.
    pub(super) fn root_of(&self, image: &Image, context: &Context) -> Result<Root> {
        let place = self.dir.join(name_of(image));
        self.remove_half_made();
        if let Some(root) = whole(&place)? {
            return Ok(root);
        }
        let making = self.make(image, context)?;
        // Of two that make the same one, the first to be ready stays; one at a time looks which it is.
        let changing = File::open(&self.dir).doing("open the directory").at(self.dir.display())?;
        let _ = flock(&changing, FlockOperation::LockExclusive);
        while let Err(error) = fs::rename(&making.path, &place) {
            if !matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists) {
                return Err(error).doing("rename the unpacked base").at(place.display());
            }
            if let Some(root) = whole(&place)? {
                return Ok(root);
            }
            let changed = self.take_away(&place)?;
            // A run that began before it was changed goes on.
            if File::open(&changed).is_ok_and(|dir| lock_alone(&dir)) {
                remove_tree(&changed)?;
            }
        }
        whole(&place)?.ok_or_else(|| {
            let hint = "is another program at work in the cache?";
            Error::new(Kind::Io, "the base that was unpacked has changed already").hint(hint).at(place.display())
        })
    }

    /// Gives a root a name under which nobody looks for one: whoever looks finds it whole, or not at all.
    fn take_away(&self, place: &Path) -> Result<PathBuf> {
        let aside = tempfile::Builder::new().prefix(MAKING).tempdir_in(&self.dir);
        let aside = aside.doing("create a directory").at(self.dir.display())?.keep();
        match fs::rename(place, &aside) {
            // Somebody else was first.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(aside),
            moved => moved.doing("rename the directory").at(place.display()).map(|()| aside),
        }
    }

    /// Unpacks the layers into a new directory.
    fn make(&self, image: &Image, context: &Context) -> Result<Making> {
        let making = loop {
            let made = tempfile::Builder::new().prefix(MAKING).tempdir_in(&self.dir);
            let path = made.doing("create a directory for the base").at(self.dir.display())?.keep();
            // Until it is locked it looks like one that a killed process has left.
            match hold(&path)? {
                Some(lock) => break Making { path, _lock: lock },
                None => remove_tree(&path)?,
            }
        };
        unpack(image, &making.path.join(ROOTFS), context)?;
        let seal = seal_of(&making.path.join(ROOTFS))?;
        fs::write(making.path.join(SEAL), seal).doing("write the seal").at(making.path.display())?;
        Ok(making)
    }

    /// Removes what processes have left that were killed while they unpacked.
    fn remove_half_made(&self) {
        for path in self.directories() {
            let is_half = path.file_name().is_some_and(|name| name.as_bytes().starts_with(MAKING.as_bytes()));
            if is_half && File::open(&path).is_ok_and(|dir| lock_alone(&dir)) {
                let _ = remove_tree(&path);
            }
        }
    }

    fn directories(&self) -> Vec<PathBuf> {
        let mut found: Vec<PathBuf> =
            fs::read_dir(&self.dir).into_iter().flatten().flatten().map(|e| e.path()).collect();
        found.sort();
        found
    }

    /// All roots.
    ///
    /// # Errors
    /// Input/output.
    pub(super) fn list(&self) -> Result<Vec<RootEntry>> {
        let mut listed = Vec::new();
        for path in self.directories().into_iter().filter(|path| path.join(ROOTFS).is_dir()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().replacen('-', ":", 1);
            let mut bytes = 0;
            walk(&path.join(ROOTFS), &mut |_, found| bytes += if found.is_file() { found.len() } else { 0 })?;
            listed.push(RootEntry { chain_id: name, path, bytes });
        }
        Ok(listed)
    }

    /// Removes every root that nothing runs from; those that were removed.
    ///
    /// # Errors
    /// Input/output.
    pub(super) fn prune(&self) -> Result<Vec<RootEntry>> {
        self.remove_half_made();
        let mut removed = Vec::new();
        for entry in self.list()? {
            let dir = File::open(&entry.path).doing("open the directory").at(entry.path.display())?;
            if lock_alone(&dir) && is_at(&dir, &entry.path) {
                remove_tree(&self.take_away(&entry.path)?)?;
                removed.push(entry);
            }
        }
        Ok(removed)
    }
}

/// A directory in which a root is made, locked.
struct Making {
    path: PathBuf,
    _lock: File,
}

impl Drop for Making {
    fn drop(&mut self) {
        // It is gone or has another name, if all went well.
        let _ = remove_tree(&self.path);
    }
}

/// Unpacks all layers into a new directory, and verifies them.
pub(super) fn unpack(image: &Image, dir: &Path, context: &Context) -> Result<()> {
    let mut view = View::read(image, PathFilter::new([&b""[..]]), &context.temporary, |_| Ok(false))?;
    let mut sink = DirectorySink::new(dir, b"", Fidelity::System)?;
    write_tree(&view.tree, b"", &mut sink)?;
    sink.finish()?;
    // Nothing of it may run before every layer is what the image says.
    view.verify()?;
    let mode = rustix::fs::chmod(dir, Mode::from_raw_mode(0o755));
    mode.map_err(io::Error::from).doing("set the mode of the directory").at(dir.display())
}

/// The root in this directory, locked, if it is whole.
fn whole(place: &Path) -> Result<Option<Root>> {
    let Some(lock) = hold(place)? else { return Ok(None) };
    let path = place.join(ROOTFS);
    let Ok(sealed) = fs::read_to_string(place.join(SEAL)) else { return Ok(None) };
    Ok((seal_of(&path).is_ok_and(|found| found == sealed)).then_some(Root { path, _lock: lock }))
}

/// What every file of a tree is, but for its contents, which a change of these would show.
fn seal_of(root: &Path) -> Result<String> {
    let mut digest = Sha256::new();
    walk(root, &mut |path, found| {
        let path = path.strip_prefix(root).unwrap_or(path).as_os_str().as_bytes();
        digest.update(&(path.len() as u64).to_le_bytes());
        digest.update(path);
        let times = [found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()];
        let numbers = [found.ino(), found.mode().into(), found.uid().into(), found.gid().into(), found.size()];
        numbers.iter().for_each(|number| digest.update(&number.to_le_bytes()));
        times.iter().for_each(|number| digest.update(&number.to_le_bytes()));
    })?;
    Ok(hex::encode(&digest.finish()))
}

/// Everything below a directory, in the order of its paths.
fn walk(root: &Path, each: &mut dyn FnMut(&Path, &Metadata)) -> Result<()> {
    let entries = fs::read_dir(root).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut paths: Vec<PathBuf> =
        entries.doing("list the directory").at(root.display())?.iter().map(fs::DirEntry::path).collect();
    paths.sort();
    for path in paths {
        let found = fs::symlink_metadata(&path).doing("stat the file").at(path.display())?;
        each(&path, &found);
        if found.is_dir() {
            walk(&path, each)?;
        }
    }
    Ok(())
}

fn remove_tree(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).doing("remove the directory").at(path.display())
        }
        _ => Ok(()),
    }
}

/// Holds a root against being removed; `None` if it is not there, or no longer. A file system without locks has one user
/// at a time, or a root is lost that a later run makes anew.
fn hold(place: &Path) -> Result<Option<File>> {
    let begin = Instant::now();
    loop {
        let Ok(dir) = File::open(place) else { return Ok(None) };
        match flock(&dir, FlockOperation::NonBlockingLockShared) {
            // Whoever removes it takes its name away first, which is a moment's work.
            Err(rustix::io::Errno::WOULDBLOCK) if begin.elapsed() < PATIENCE => {
                interrupt::check()?;
                std::thread::sleep(LOOKS);
            }
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let hint = "run the command again when no other one is at work in the cache";
                let error = Error::new(Kind::Io, "the unpacked base is locked by another program");
                return Err(error.hint(hint).at(place.display()));
            }
            _ if is_at(&dir, place) => return Ok(Some(dir)),
            _ => {}
        }
    }
}

fn lock_alone(dir: &File) -> bool {
    flock(dir, FlockOperation::NonBlockingLockExclusive).is_ok()
}
