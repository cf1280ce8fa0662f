use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::error::{Context, Error, IoContext, Result};

/// A directory that is to appear when all in it is verified. Until then it fills under another name beside, which goes
/// away if nothing comes of it.
pub(super) struct OutDir<'a> {
    out: &'a Path,
    beside: TempDir,
}

impl<'a> OutDir<'a> {
    /// # Errors
    /// [`Kind::Usage`](crate::error::Kind::Usage) if it is there already and not empty; input/output.
    pub(super) fn new(out: &'a Path) -> Result<Self> {
        let occupied = out.read_dir().is_ok_and(|mut entries| entries.next().is_some());
        if occupied || out.symlink_metadata().is_ok_and(|found| !found.is_dir()) {
            let hint = "give a new or an empty directory";
            return Err(Error::usage("it is there already and not empty").hint(hint).at(out.display()));
        }
        let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let beside = tempfile::Builder::new().prefix(".pht-oci-").tempdir_in(parent);
        let beside = beside.doing("create a directory beside it").at(out.display())?;
        Ok(OutDir { out, beside })
    }

    /// Where to fill it: a directory that is not there yet, or not any more if this is another attempt.
    pub(super) fn filling(&self) -> PathBuf {
        let to = self.beside.path().join("out");
        let _ = std::fs::remove_dir_all(&to);
        to
    }

    /// Lets it appear.
    pub(super) fn reveal(self) -> Result<()> {
        std::fs::rename(self.beside.path().join("out"), self.out)
            .doing("move what was written into place")
            .at(self.out.display())
    }
}
