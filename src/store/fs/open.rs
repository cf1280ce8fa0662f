use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a file for reading if it is a regular one, and never waits for the other end of a pipe. A link is followed: some
/// tools keep the files of a layout as links into a store.
///
/// # Errors
/// Input/output; `InvalidInput` for anything that is no regular file.
pub(crate) fn open_regular(path: &Path) -> io::Result<(File, Metadata)> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    let found = file.metadata()?;
    if found.is_file() { Ok((file, found)) } else { Err(not_regular()) }
}

/// True if the error is that of [`open_regular`] for what is no regular file; a socket cannot even be opened.
pub(crate) fn is_not_regular(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidInput || error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error())
}

/// Refuses to put a file in place of what is no regular one: a link, a pipe or a device of the system's would be gone.
///
/// # Errors
/// Input/output; `InvalidInput` for anything that is there and no regular file.
#[cfg(feature = "cli")]
pub(crate) fn ensure_replaceable(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Ok(found) if !found.is_file() => Err(not_regular()),
        _ => Ok(()),
    }
}

/// The error of [`open_regular`] for what is no regular file.
pub(crate) fn not_regular() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")
}
