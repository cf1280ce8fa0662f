use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

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

/// What came of an attempt to lock a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lock {
    /// It is locked until it is closed.
    Held,
    /// Another process has the lock.
    Busy,
    /// The file system has no locks (Lustre and NFS as they are often mounted, some of FUSE): nothing tells one process
    /// of another.
    Unsupported,
}

/// Locks an open file or directory for one writer; `name` is for messages. Where the file system has no locks that is
/// said, and the work goes on.
///
/// # Errors
/// Another process has the lock and `waiting` says not to wait; input/output.
pub(crate) fn lock(file: &File, waiting: Waiting, name: &str) -> Result<()> {
    match try_lock(file)? {
        Lock::Held => return Ok(()),
        Lock::Busy => {}
        Lock::Unsupported => {
            tracing::warn!("no locks on this file system: let no other process write to {name} at the same time");
            return Ok(());
        }
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
        if try_lock(file)? != Lock::Busy {
            return Ok(());
        }
    }
}

/// Locks an open file or directory for one writer, if no other process has the lock.
///
/// # Errors
/// Input/output.
pub(crate) fn try_lock(file: &File) -> Result<Lock> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Lock::Held),
        Err(Errno::WOULDBLOCK) => Ok(Lock::Busy),
        Err(Errno::NOSYS | Errno::NOLCK | Errno::OPNOTSUPP | Errno::INVAL) => Ok(Lock::Unsupported),
        Err(error) => Err(Error::io("cannot lock the file", error.into())),
    }
}

/// True if the open file is the one at this path: the last holder of the lock may have removed or replaced it.
pub(crate) fn is_at(file: &File, path: &Path) -> bool {
    let identity = |found: fs::Metadata| (found.dev(), found.ino());
    let (open, there) = (file.metadata().map(identity), fs::metadata(path).map(identity));
    matches!((open, there), (Ok(open), Ok(there)) if open == there)
}
