use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::private::{Audience, make_private};
use super::staged_dir::{beside, no_directory, parent_of};
use crate::error::{Error, ErrorContext, IoContext, Result};

/// A file that is to appear when all in it is verified, as [`StagedDir`](super::staged_dir::StagedDir) is a directory:
/// until then it fills under another name beside, always the same one.
pub(crate) struct StagedFile<'a> {
    out: &'a Path,
    filling: PathBuf,
}

impl<'a> StagedFile<'a> {
    /// # Errors
    /// [`Kind::Usage`](crate::error::Kind::Usage) if something is there already, or it is no name of a file, or no place
    /// for plaintext.
    pub(crate) fn new(out: &'a Path, audience: Audience) -> Result<Self> {
        audience.ensure_path(parent_of(out))?;
        if !parent_of(out).exists() {
            return Err(no_directory().at(out.display()));
        }
        if out.symlink_metadata().is_ok() {
            return Err(there_already().at(out.display()));
        }
        let filling = beside(out).ok_or_else(|| Error::usage("the path ends in no file name").at(out.display()))?;
        Ok(StagedFile { out, filling })
    }

    /// The file to fill, empty; nobody else can read it.
    pub(crate) fn filling(&self) -> Result<File> {
        self.clear();
        let made = File::options().write(true).create_new(true).mode(0o600).open(&self.filling);
        let file = made.doing("create the temporary file").at(self.filling.display())?;
        make_private(&file).at(self.filling.display())?;
        Ok(file)
    }

    /// Moves the file into place; an existing one is never replaced.
    pub(crate) fn reveal(&self, file: &File) -> Result<()> {
        file.sync_all().doing("sync the file").at(self.out.display())?;
        let moved = match renameat_with(CWD, &self.filling, CWD, self.out, RenameFlags::NOREPLACE) {
            Err(Errno::EXIST) => return Err(there_already().at(self.out.display())),
            // Not every file system can do it; then there is a moment between the look and the move.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM)
                if self.out.symlink_metadata().is_err() =>
            {
                fs::rename(&self.filling, self.out)
            }
            moved => moved.map_err(Into::into),
        };
        moved.doing("rename the temporary file into place").at(self.out.display())
    }

    fn clear(&self) {
        // If it cannot be removed, it cannot be made either, and that is said.
        let _ = fs::remove_file(&self.filling);
    }
}

impl Drop for StagedFile<'_> {
    fn drop(&mut self) {
        self.clear();
    }
}

fn there_already() -> Error {
    Error::usage("the path exists").hint("give the name of a new file")
}
