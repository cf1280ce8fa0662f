use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorContext, IoContext, Result};

/// The hidden path beside `out` in which its contents are prepared, always the same for the same `out`.
pub(crate) fn beside(out: &Path) -> Option<PathBuf> {
    let mut hidden = OsString::from(".pht-oci-");
    hidden.push(out.file_name()?);
    Some(out.with_file_name(hidden))
}

/// A directory that is to appear when all in it is verified. Until then it fills under another name beside: always the
/// same one, so that what a run that was killed has left in plaintext goes away with the next.
pub(crate) struct StagedDir<'a> {
    out: &'a Path,
    filling: PathBuf,
}

impl<'a> StagedDir<'a> {
    /// # Errors
    /// [`Kind::Usage`](crate::error::Kind::Usage) if it is there already and not empty, or is no name of a directory.
    pub(crate) fn new(out: &'a Path) -> Result<Self> {
        let occupied = out.read_dir().is_ok_and(|mut entries| entries.next().is_some());
        if occupied || out.symlink_metadata().is_ok_and(|found| !found.is_dir()) {
            let hint = "give a new or an empty directory";
            return Err(Error::usage("the path exists and is not an empty directory").hint(hint).at(out.display()));
        }
        let filling = beside(out).ok_or_else(|| Error::usage("the path ends in no name").at(out.display()))?;
        Ok(StagedDir { out, filling })
    }

    /// The path of the directory to fill; nothing is there, also on a second attempt.
    pub(crate) fn filling(&self) -> &Path {
        self.clear();
        &self.filling
    }

    /// Moves the directory into place.
    pub(crate) fn reveal(&self) -> Result<()> {
        std::fs::rename(&self.filling, self.out)
            .doing("rename the temporary directory into place")
            .at(self.out.display())
    }

    fn clear(&self) {
        // If it cannot be removed, it cannot be made either, and that is said.
        let _ = std::fs::remove_dir_all(&self.filling);
    }
}

impl Drop for StagedDir<'_> {
    fn drop(&mut self) {
        self.clear();
    }
}
