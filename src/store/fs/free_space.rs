use std::path::Path;

use crate::error::{Error, ErrorContext, IoContext, Kind, Result};
use crate::store::destination::Destination;
use crate::text::size;

/// The bytes that this user can still write into the file system of a directory.
pub(crate) fn free_in(dir: &Path) -> Result<u64> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let found = rustix::fs::statvfs(dir).map_err(std::io::Error::from);
    let found = found.doing("read the free space").at(dir.display())?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Sees to it that there is room for so many bytes, where that can be told, so that nobody waits for a copy that cannot
/// succeed.
///
/// # Errors
/// [`Kind::Io`] if there is less.
pub fn ensure_free_space(destination: &dyn Destination, needed: u64) -> Result<()> {
    match destination.available_space()? {
        Some(free) if free < needed => {
            let what = format!("at least {} are needed and {} are free", size(needed), size(free));
            let hint = "free some space there, or write to another file system";
            Err(Error::new(Kind::Io, what).hint(hint).at(destination.name()))
        }
        _ => Ok(()),
    }
}
