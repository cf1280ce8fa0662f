//! Runs are registered for their user while they last, so that what a killed one has left is found from anywhere.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::crypto::{Sha256, hex};
use crate::store::Context;

/// The bytes of a digest that tell one directory from another.
const NAME_BYTES: usize = 8;

/// The directory of the register, in the user's state.
pub(super) fn register_in(state: &Path) -> PathBuf {
    state.join("runs")
}

/// The register, for who enters a run; nothing is struck out meanwhile.
pub(super) struct Register {
    dir: PathBuf,
    /// The lock. Where the file system has none, an entry may be lost of a run that begins just when another ends; the
    /// next run to the same place removes what that one leaves.
    _lock: File,
}

impl Register {
    /// The register, if there is a place for it. Who has none runs all the same.
    pub(super) fn open(context: &Context) -> Option<Self> {
        let dir = register_in(context.state.as_ref()?);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
        match made.and_then(|()| lock(&dir)) {
            Ok(lock) => Some(Register { dir, _lock: lock }),
            Err(error) => {
                let what = "the run cannot be registered, so that `cleanup` will not find it";
                tracing::warn!("{}: {what}: {error}", dir.display());
                None
            }
        }
    }

    /// Enters the directory of a run; the file that says so.
    pub(super) fn enter(&self, name: &str, path: &Path) -> Option<PathBuf> {
        let entry = self.dir.join(name);
        match fs::write(&entry, path.as_os_str().as_bytes()) {
            Ok(()) => Some(entry),
            Err(error) => {
                let what = "the run cannot be registered, so that `cleanup` will not find it";
                tracing::warn!("{}: {what}: {error}", entry.display());
                None
            }
        }
    }
}

/// Strikes out the entry of a run whose directory is gone. Another may have taken its place.
pub(super) fn strike_out(entry: &Path, path: &Path) {
    let _lock = entry.parent().map(lock);
    if fs::symlink_metadata(path).is_err() {
        let _ = fs::remove_file(entry);
    }
}

/// The directory with the entries of what runs have kept, in the user's state.
fn kept_in(state: &Path) -> PathBuf {
    state.join("kept")
}

/// Enters a directory that was kept; `entry` is that of the run, which is over.
pub(super) fn enter_kept(entry: &Path, kept: &Path) {
    let Some(state) = entry.parent().and_then(Path::parent) else { return };
    let (dir, path) = (kept_in(state), kept.as_os_str().as_bytes());
    let name = hex::encode(&Sha256::of(path)[..NAME_BYTES]);
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
    // Whoever keeps it says where it is.
    if let Err(error) = made.and_then(|()| fs::write(dir.join(name), path)) {
        tracing::info!("{}: what is kept cannot be registered: {error}", dir.display());
    }
}

/// The directories that runs of this user have kept and that are still there, in order.
pub(super) fn all_kept(context: &Context) -> Vec<PathBuf> {
    let entries = context.state.iter().flat_map(|state| fs::read_dir(kept_in(state)).into_iter().flatten().flatten());
    let there = entries.filter_map(|entry| {
        let path = PathBuf::from(OsString::from_vec(fs::read(entry.path()).ok()?));
        if path.symlink_metadata().is_ok() {
            return Some(path);
        }
        // The place itself may be away for a while: a disk, a share.
        if path.parent().is_some_and(Path::exists) {
            let _ = fs::remove_file(entry.path());
        }
        None
    });
    let mut kept: Vec<PathBuf> = there.collect();
    kept.sort();
    kept
}

fn lock(dir: &Path) -> std::io::Result<File> {
    let dir = File::open(dir)?;
    let _ = flock(&dir, FlockOperation::LockExclusive);
    Ok(dir)
}
