use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::private::{Audience, own_uid};
use crate::error::{Error, ErrorContext, IoContext, Kind, Result};

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
    /// [`Kind::Usage`](crate::error::Kind::Usage) if it is there already and not empty, is no name of a directory, or is
    /// no place for plaintext.
    pub(crate) fn new(out: &'a Path, audience: Audience) -> Result<Self> {
        audience.ensure_path(parent_of(out))?;
        let filling = beside(out).ok_or_else(|| Error::usage("the path ends in no name").at(out.display()))?;
        let staged = StagedDir { out, filling };
        staged.take_back_unpublished();
        let occupied = out.read_dir().is_ok_and(|mut entries| entries.next().is_some());
        if occupied || out.symlink_metadata().is_ok_and(|found| !found.is_dir()) {
            let hint = "give a new or an empty directory";
            return Err(Error::usage("the path exists and is not an empty directory").hint(hint).at(out.display()));
        }
        Ok(staged)
    }

    /// The path of the directory to fill; nothing is there, also on a second attempt.
    pub(crate) fn filling(&self) -> &Path {
        self.clear();
        &self.filling
    }

    /// The path of the directory that was filled.
    pub(crate) fn filled(&self) -> &Path {
        &self.filling
    }

    /// What tells the directory that is filled from others, also when it is in place.
    pub(crate) fn identity(&self) -> Result<String> {
        let found = fs::symlink_metadata(&self.filling).doing("stat the directory").at(self.filling.display())?;
        Ok(identity(&found))
    }

    /// Moves the directory into place.
    pub(crate) fn reveal(&self) -> Result<()> {
        fs::rename(&self.filling, self.out).doing("rename the temporary directory into place").at(self.out.display())
    }

    /// Moves the directory into place, then does `publish`. Where that fails everything is as it was; a note beside tells
    /// the next run if this one is killed between the two.
    ///
    /// # Errors
    /// As [`reveal`](Self::reveal) and `publish`.
    pub(crate) fn reveal_before<T>(&self, publish: impl FnOnce() -> Result<T>) -> Result<T> {
        let before = self.out.symlink_metadata().ok().map(|found| found.mode() & 0o7777);
        let note = self.write_note()?;
        let published = self.reveal().and_then(|()| publish().inspect_err(|_| self.take_back(before)));
        // What is there now is complete, or gone.
        let _ = fs::remove_file(note);
        published
    }

    fn take_back(&self, before: Option<u32>) {
        if fs::rename(self.out, &self.filling).is_err() {
            let _ = fs::remove_dir_all(self.out);
        }
        if let Some(mode) = before {
            let _ = DirBuilder::new().mode(mode).create(self.out);
        }
    }

    fn note(&self) -> PathBuf {
        let mut name = self.filling.file_name().map(OsStr::to_owned).unwrap_or_default();
        name.push(".unpublished");
        self.filling.with_file_name(name)
    }

    /// Notes which directory is moved into place though nothing is published yet.
    fn write_note(&self) -> Result<PathBuf> {
        let note = self.note();
        let _ = fs::remove_file(&note);
        let found = fs::symlink_metadata(&self.filling).doing("stat the directory").at(self.filling.display())?;
        let written = File::options().write(true).create_new(true).mode(0o600).open(&note);
        let written = written.and_then(|mut file| file.write_all(identity(&found).as_bytes()));
        if written.is_err() {
            let _ = fs::remove_file(&note);
        }
        written.doing("write the file").at(note.display())?;
        Ok(note)
    }

    /// Removes what a killed run has moved into place without publishing anything; not what has changed since.
    fn take_back_unpublished(&self) {
        let note = self.note();
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let Ok(mut file) = File::options().read(true).custom_flags(flags).open(&note) else { return };
        let Ok(written) = file.metadata() else { return };
        if !written.is_file() || written.uid() != own_uid() {
            return;
        }
        let mut text = String::new();
        let is_this = file.read_to_string(&mut text).is_ok()
            && fs::symlink_metadata(self.out).is_ok_and(|found| found.is_dir() && identity(&found) == text);
        if is_this && !has_changed(self.out, (written.ctime(), written.ctime_nsec())) {
            let _ = fs::remove_dir_all(self.out);
        }
        let _ = fs::remove_file(note);
    }

    fn clear(&self) {
        // If it cannot be removed, it cannot be made either, and that is said.
        let _ = fs::remove_dir_all(&self.filling);
    }
}

impl Drop for StagedDir<'_> {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The error of a new file whose directory is not there.
pub(crate) fn no_directory() -> Error {
    let hint = "create that directory first, or correct the path";
    Error::new(Kind::Io, "there is no directory to create it in").hint(hint)
}

/// The directory that a path lies in.
pub(crate) fn parent_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What tells a directory from others of this machine.
pub(crate) fn identity(found: &fs::Metadata) -> String {
    format!("{} {}", found.dev(), found.ino())
}

/// Whether anything below a directory has changed since a time. What cannot be looked at counts as changed.
fn has_changed(dir: &Path, since: (i64, i64)) -> bool {
    let Ok(entries) = fs::read_dir(dir) else { return true };
    entries.into_iter().any(|entry| {
        let Ok((entry, found)) = entry.and_then(|entry| entry.metadata().map(|found| (entry, found))) else {
            return true;
        };
        (found.ctime(), found.ctime_nsec()) > since || found.is_dir() && has_changed(&entry.path(), since)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_in(dir: &Path) -> Vec<OsString> {
        let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    }

    fn fill(staged: &StagedDir<'_>) {
        let filling = staged.filling();
        fs::create_dir(filling).unwrap();
        fs::write(filling.join("file"), "plaintext").unwrap();
    }

    #[test]
    fn what_cannot_be_published_is_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        for was_there in [false, true] {
            if was_there {
                fs::create_dir(&out).unwrap();
            }
            let staged = StagedDir::new(&out, Audience::Anyone).unwrap();
            fill(&staged);
            let failed: Result<()> = staged.reveal_before(|| {
                assert!(out.join("file").exists());
                Err(Error::usage("no"))
            });
            failed.unwrap_err();
            drop(staged);
            assert_eq!(names_in(dir.path()), if was_there { vec![OsString::from("out")] } else { Vec::new() });
        }
        let staged = StagedDir::new(&out, Audience::Anyone).unwrap();
        fill(&staged);
        assert_eq!(staged.reveal_before(|| Ok(3)).unwrap(), 3);
        drop(staged);
        assert_eq!(names_in(dir.path()), ["out"]);
    }

    #[test]
    fn the_next_run_takes_back_what_a_killed_one_has_not_published() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        for changed in [false, true] {
            let staged = StagedDir::new(&out, Audience::Anyone).unwrap();
            fill(&staged);
            // As far as a run comes that is killed then.
            staged.write_note().unwrap();
            staged.reveal().unwrap();
            std::mem::forget(staged);
            if changed {
                std::thread::sleep(std::time::Duration::from_millis(20));
                fs::write(out.join("file"), "the train's").unwrap();
            }
            let next = StagedDir::new(&out, Audience::Anyone);
            assert_eq!(next.is_err(), changed, "what a train has written is not thrown away");
            assert_eq!(out.exists(), changed);
        }
        assert_eq!(names_in(dir.path()), ["out"], "the note is gone");
    }
}
