//! One act at a time on one stop of one train, whatever other processes of the station do.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::crypto::{Sha256, hex};
use crate::error::{ErrorContext, IoContext, Result};
use crate::store::fs::{Lock, Waiting, is_at, lock, parent_of, try_lock};

/// The lock on one stop, beside the journal; nobody else acts on it until it is dropped.
pub(super) struct Turn {
    path: PathBuf,
    /// Somebody else had it before.
    pub(super) waited: bool,
    /// Open, and with it locked.
    _file: File,
}

impl Turn {
    /// Waits for the turn to act on the stop at `index` of the train with this hash, by this journal.
    ///
    /// # Errors
    /// Another process acts on it and `waiting` says not to wait; input/output.
    pub(super) fn take(journal: &Path, train: &str, index: usize, waiting: Waiting) -> Result<Self> {
        let name = journal.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let prefix = format!(".{name}.");
        remove_left(journal, &prefix);
        let stop = Sha256::of(format!("{train} {index}").as_bytes());
        let path = parent_of(journal).join(format!("{prefix}{}.lock", hex::encode(&stop[..8])));
        let mut waited = false;
        loop {
            let mut options = File::options();
            let opened = options.write(true).create(true).truncate(false).mode(0o600).open(&path);
            let file = opened.doing("open the lock of the stop").at(path.display())?;
            if try_lock(&file).at(path.display())? != Lock::Held {
                lock(&file, waiting, "this stop of the train").at(path.display())?;
                waited = true;
            }
            // Whoever had it before has removed the file.
            if is_at(&file, &path) {
                return Ok(Turn { path, waited, _file: file });
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // While it is locked: who waits finds that it is gone, and makes it anew.
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes what killed processes have left.
fn remove_left(journal: &Path, prefix: &str) {
    let Ok(entries) = fs::read_dir(parent_of(journal)) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is_lock = name.to_str().is_some_and(|name| name.starts_with(prefix) && name.ends_with(".lock"));
        if !is_lock {
            continue;
        }
        match File::options().write(true).open(entry.path()) {
            Ok(file) if matches!(try_lock(&file), Ok(Lock::Held)) && is_at(&file, &entry.path()) => {
                let _ = fs::remove_file(entry.path());
            }
            Err(error) if error.kind() != ErrorKind::NotFound => tracing::debug!("{}: {error}", entry.path().display()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_acts_on_a_stop_at_a_time_and_nothing_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let journal = dir.path().join("journal");
        fs::write(dir.path().join(".journal.0123456789abcdef.lock"), "").unwrap();
        let turn = Turn::take(&journal, "a", 0, Waiting::Fail).unwrap();
        assert!(Turn::take(&journal, "a", 0, Waiting::Fail).is_err());
        drop(Turn::take(&journal, "a", 1, Waiting::Fail).unwrap());
        drop(turn);
        drop(Turn::take(&journal, "a", 0, Waiting::Fail).unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
