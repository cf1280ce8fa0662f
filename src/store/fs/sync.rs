use std::fs::File;
use std::io;
use std::path::Path;

use rustix::io::Errno;

/// Sees to it that the names in a directory are on the disk. CIFS and some of FUSE cannot do that for a directory, and
/// keep names in their own way.
///
/// # Errors
/// Input/output.
pub(crate) fn sync_dir(dir: &File) -> io::Result<()> {
    match dir.sync_all() {
        Err(error) if is_unsupported(&error) => {
            tracing::debug!(%error, "the file system cannot sync a directory");
            Ok(())
        }
        synced => synced,
    }
}

/// The same after something was published: that cannot be taken back, so that a fault is said and nothing fails.
pub(crate) fn sync_published(dir: &Path) {
    if let Err(error) = File::open(dir).and_then(|dir| sync_dir(&dir)) {
        tracing::warn!(
            "{} is complete, but could not be synced ({error}): a crash of this machine now may undo it",
            dir.display()
        );
    }
}

/// True if a file system answers so to what it does not have.
fn is_unsupported(error: &io::Error) -> bool {
    let unsupported = [Errno::INVAL, Errno::OPNOTSUPP, Errno::NOSYS, Errno::NOTTY, Errno::BADF];
    error.raw_os_error().is_some_and(|raw| unsupported.iter().any(|known| known.raw_os_error() == raw))
}
