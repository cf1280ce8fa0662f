//! Runs are registered for their user while they last, so that what a killed one has left is found from anywhere.

use std::fs::{self, DirBuilder};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::store::Context;

/// The directory of the register, in the user's state.
pub(super) fn register_in(state: &Path) -> PathBuf {
    state.join("runs")
}

/// Registers a run; the file that says so. Who has no place for the register runs all the same: the next run to the same
/// place removes what is left.
pub(super) fn register(name: &str, path: &Path, context: &Context) -> Option<PathBuf> {
    let dir = register_in(context.state.as_ref()?);
    let entry = dir.join(name);
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
    match made.and_then(|()| fs::write(&entry, path.as_os_str().as_bytes())) {
        Ok(()) => Some(entry),
        Err(error) => {
            tracing::warn!(
                "{}: the run cannot be registered, so that `cleanup` will not find it: {error}",
                dir.display()
            );
            None
        }
    }
}
