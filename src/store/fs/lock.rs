use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use crate::error::{Error, Kind, Result};
use crate::store::interrupt;

/// The interval at which a waiting writer tries again.
const LOOKS: Duration = Duration::from_millis(50);

/// The behavior when another process is writing to the same place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Waiting {
    /// Wait until it has finished.
    #[default]
    Wait,
    /// Fail at once.
    Fail,
}

/// Locks an open file or directory for one writer; `name` is for the message while it waits.
///
/// # Errors
/// Another process has the lock and `waiting` says not to wait; input/output.
pub(crate) fn lock(file: &File, waiting: Waiting, name: &str) -> Result<()> {
    if try_lock(file)? {
        return Ok(());
    }
    if waiting == Waiting::Fail {
        let what = "another process is writing here";
        return Err(Error::new(Kind::Io, what).hint("try again when that process has finished"));
    }
    tracing::warn!("another process is writing to {name}; waiting for it to finish");
    loop {
        // Not a call that blocks: a signal would not end it.
        interrupt::check()?;
        std::thread::sleep(LOOKS);
        if try_lock(file)? {
            return Ok(());
        }
    }
}

/// Locks an open file or directory for one writer, until it is closed; `false` if another process has the lock.
///
/// # Errors
/// Input/output: not every file system has locks.
pub(crate) fn try_lock(file: &File) -> Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(Error::io("cannot lock the file", error.into())),
    }
}

/// True if the open file is the one at this path: the last holder of the lock may have removed or replaced it.
pub(crate) fn is_at(file: &File, path: &Path) -> bool {
    let identity = |found: fs::Metadata| (found.dev(), found.ino());
    let (open, there) = (file.metadata().map(identity), fs::metadata(path).map(identity));
    matches!((open, there), (Ok(open), Ok(there)) if open == there)
}
