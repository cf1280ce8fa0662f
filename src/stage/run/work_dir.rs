use std::cell::Cell;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{CWD, Mode, OFlags, openat};

use super::register::{Register, enter_kept, strike_out};
use crate::crypto::{Sha256, hex};
use crate::engine::{engine_named, mountable};
use crate::error::{Advice, Error, ErrorContext, IoContext, Kind, Result};
use crate::stage::kept::RUN;
use crate::store::fs::{Lock, is_at, parent_of, remove_tree, try_lock};
use crate::store::interrupt::Pending;
use crate::store::{Context, Reference};
use crate::text::Printable;

/// The bytes of a digest that tell one train of this machine from another.
const NAME_BYTES: usize = 8;
/// The file with the name of the engine that may have something of this run.
const ENGINE: &str = "engine";
/// The time after which an engine has done what it was asked for by a run that was killed.
const SETTLED: Duration = Duration::from_secs(60);

/// The directory in which a train runs, private and locked. It has always the same name for the same destination, so
/// that what a run that was killed has left, here and with its engine, goes away with the next.
pub(in crate::stage) struct WorkDir {
    path: PathBuf,
    name: String,
    /// True if it has been removed: from then on the path may be another run's.
    gone: Cell<bool>,
    /// The file by which it is registered.
    entry: Option<PathBuf>,
    /// Held until the directory is gone.
    _lock: File,
    _pending: Pending,
}

impl WorkDir {
    /// # Errors
    /// Another run has it; input/output.
    pub(in crate::stage) fn new(target: &Reference, context: &Context) -> Result<Self> {
        let (name, path) = named(target, context)?;
        let path = mountable(path)?;
        loop {
            // Before it is there, so that there is no moment in which it could be left and not be found.
            let registering = Register::open(context);
            let entry = registering.as_ref().and_then(|register| register.enter(&name, &path));
            let is_new = match DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
                made => made.doing("create the directory").at(path.display()).map(|()| true)?,
            };
            let dir = open(&path)?;
            match try_lock(&dir).at(path.display())? {
                Lock::Held => {}
                Lock::Unsupported if is_new => tracing::debug!("no locks on the file system of {}", path.display()),
                // Whether that run is over cannot be told, and it may go on in a container.
                Lock::Unsupported => {
                    let what = "left by another run, or in use by one: the file system has no locks, which would tell";
                    return Err(Error::new(Kind::Io, what).advise(Advice::ChooseWorkDir).at(path.display()));
                }
                Lock::Busy => {
                    let what = format!("another run to {} is in progress", Printable::new(&target.to_string()));
                    let hint = "wait until it has ended, or run the train to another place";
                    return Err(Error::new(Kind::Io, what).hint(hint).at(path.display()));
                }
            }
            drop(registering);
            if !is_at(&dir, &path) {
                continue;
            }
            let work = WorkDir {
                path: path.clone(),
                name: name.clone(),
                gone: Cell::new(false),
                entry,
                _lock: dir,
                _pending: Pending::new(),
            };
            if is_new {
                return Ok(work);
            }
            tracing::info!("removing the leftovers of a killed run in {}", path.display());
            work.remove_left()?;
        }
    }

    /// What a run has left that was killed, if nobody is at work there.
    ///
    /// # Errors
    /// It cannot be opened, or it is another user's.
    pub(super) fn left_at(path: &Path, entry: PathBuf) -> Result<Option<Self>> {
        let is_ours = path.file_name().is_some_and(|name| name.as_bytes().starts_with(format!(".{RUN}").as_bytes()));
        if !is_ours || fs::symlink_metadata(path).is_err() {
            return Ok(None);
        }
        let dir = open(path)?;
        if try_lock(&dir).at(path.display())? != Lock::Held || !is_at(&dir, path) {
            return Ok(None);
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().trim_start_matches('.').to_owned();
        Ok(Some(WorkDir {
            path: path.to_owned(),
            name,
            gone: Cell::new(false),
            entry: Some(entry),
            _lock: dir,
            _pending: Pending::new(),
        }))
    }

    /// Leaves everything as it is.
    pub(super) fn leave(self) {
        self.gone.set(true);
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A directory or file in it.
    pub(in crate::stage) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The name that container and image get.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The directory for what the engine keeps.
    pub(super) fn scratch(&self) -> PathBuf {
        self.join("scratch")
    }

    /// Writes down who may have something of this run from now on.
    pub(super) fn note_engine(&self, name: &str) -> Result<()> {
        let scratch = self.scratch();
        DirBuilder::new().mode(0o700).create(&scratch).doing("create the directory").at(scratch.display())?;
        fs::write(self.join(ENGINE), name).doing("note the engine").at(self.path.display())
    }

    /// Leaves the directory under another name, where no later run removes it, with the entries of these names alone and
    /// without what the engine has: for what a person has to see to.
    ///
    /// # Errors
    /// Input/output.
    pub(super) fn keep(self, names: &[&Path]) -> Result<PathBuf> {
        self.remove_from_engine()?;
        let entries = fs::read_dir(&self.path).doing("list the directory").at(self.path.display())?.flatten();
        for entry in entries.filter(|entry| !names.contains(&Path::new(&entry.file_name()))) {
            let path = entry.path();
            let removed = if path.is_dir() { remove_tree(&path) } else { fs::remove_file(&path) };
            if let Err(error) = removed {
                tracing::warn!("{}: it is kept, too, since it cannot be removed: {error}", path.display());
            }
        }
        let kept = visible(&self.path);
        fs::rename(&self.path, &kept).doing("rename the directory").at(self.path.display())?;
        self.forget();
        if let Some(entry) = &self.entry {
            enter_kept(entry, &kept);
        }
        Ok(kept)
    }

    /// The name of the engine that may have something of this run.
    pub(super) fn engine(&self) -> Option<String> {
        fs::read_to_string(self.join(ENGINE)).ok()
    }

    fn remove_from_engine(&self) -> Result<()> {
        match self.engine().and_then(|name| engine_named(&name).ok()) {
            Some(engine) => engine.remove(&self.name, &self.scratch()),
            None => Ok(()),
        }
    }

    /// Nothing is here any more.
    fn forget(&self) {
        self.gone.set(true);
        if let Some(entry) = &self.entry {
            strike_out(entry, &self.path);
        }
    }

    /// The same for what a run has left that was killed, perhaps a moment ago.
    ///
    /// # Errors
    /// As [`WorkDir::remove`].
    pub(super) fn remove_left(&self) -> Result<()> {
        let noted = fs::metadata(self.join(ENGINE)).and_then(|found| found.modified());
        let is_settled = noted.is_ok_and(|noted| noted.elapsed().is_ok_and(|age| age > SETTLED));
        if let Some(engine) = self.engine().and_then(|name| engine_named(&name).ok()).filter(|_| !is_settled) {
            engine.await_late(&self.name);
        }
        self.remove()
    }

    /// Removes everything, with the engine too.
    ///
    /// # Errors
    /// Something is still there.
    pub(in crate::stage) fn remove(&self) -> Result<()> {
        if self.gone.get() {
            return Ok(());
        }
        self.remove_from_engine()?;
        let removed = fs::remove_dir_all(&self.path).or_else(|_| {
            // Directories that the train has closed to its owner, or made as another user.
            if let Some(engine) = self.engine().and_then(|name| engine_named(&name).ok()) {
                let _ = engine.reclaim(&self.path);
            }
            remove_tree(&self.path)
        });
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let hint = "the directory holds plaintext: remove it as a user who may (with rootless Podman: podman unshare rm -r)";
                Err(Error::io("cannot remove the directory", error).hint(hint).at(self.path.display()))
            }
            _ => {
                self.forget();
                Ok(())
            }
        }
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            let hint = error.advice().and_then(Advice::as_text).map(|hint| format!(" ({hint})"));
            tracing::warn!("{error}{}", hint.unwrap_or_default());
        }
    }
}

/// The place of the work directory of a destination.
struct Place {
    parent: PathBuf,
    identity: String,
}

impl Place {
    /// Beside what is in a file system, else where temporary files go.
    fn of(target: &Reference, context: &Context) -> Result<Self> {
        let Some(path) = target.path() else {
            let parent = context.temporary.canonicalize().doing("resolve the path").at(context.temporary.display())?;
            return Ok(Place { parent, identity: target.without_tag() });
        };
        let path = match path.canonicalize() {
            Ok(path) => path,
            Err(_) => {
                let given = parent_of(path);
                let parent = given.canonicalize().doing("resolve the path").at(given.display())?;
                parent.join(
                    path.file_name().ok_or_else(|| Error::usage("the path ends in no file name").at(path.display()))?,
                )
            }
        };
        let parent =
            path.parent().ok_or_else(|| Error::usage("there is no directory above this path").at(path.display()))?;
        Ok(Place { parent: parent.to_owned(), identity: path.display().to_string() })
    }
}

/// Opens the directory, which must be this user's and nobody else's to look into.
fn open(path: &Path) -> Result<File> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
    let opened = openat(CWD, path, flags, Mode::empty()).map(File::from).map_err(io::Error::from);
    let dir = opened.doing("open the directory").at(path.display())?;
    let found = dir.metadata().doing("stat the directory").at(path.display())?;
    if found.uid() != rustix::process::geteuid().as_raw() || found.mode() & 0o077 != 0 {
        let error = Error::new(Kind::Io, "another user's directory is in the way").advise(Advice::ChooseWorkDir);
        return Err(error.at(path.display()));
    }
    Ok(dir)
}

/// The name of what runs to this destination have, and the directory that they work in.
fn named(target: &Reference, context: &Context) -> Result<(String, PathBuf)> {
    let place = Place::of(target, context)?;
    let identity = format!("{}:{}", place.identity, target.tag().unwrap_or_default());
    let name = format!("{RUN}{}", hex::encode(&Sha256::of(identity.as_bytes())[..NAME_BYTES]));
    let path = place.parent.join(format!(".{name}"));
    Ok((name, path))
}

/// The directories that runs to this destination have kept, in order.
pub(super) fn kept_for(target: &Reference, context: &Context) -> Result<Vec<PathBuf>> {
    let (name, hidden) = named(target, context)?;
    let first = format!("{name}-kept");
    let is_kept = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.strip_prefix(&first).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    let entries = hidden.parent().into_iter().flat_map(|dir| fs::read_dir(dir).into_iter().flatten().flatten());
    let mut kept: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_kept).collect();
    kept.sort();
    Ok(kept)
}

/// A name beside the hidden one that is free.
fn visible(hidden: &Path) -> PathBuf {
    let name = hidden.file_name().unwrap_or_default().to_string_lossy().trim_start_matches('.').to_owned();
    let names = std::iter::once(format!("{name}-kept")).chain((2..).map(|count| format!("{name}-kept-{count}")));
    let mut free = names.map(|name| hidden.with_file_name(name)).filter(|path| fs::symlink_metadata(path).is_err());
    free.next().unwrap_or_else(|| hidden.to_owned())
}
