//! The names of what `run` leaves behind for a person to see to.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// The beginning of the name of a run's directory, and of the names of its container and image.
pub(in crate::stage) const RUN: &str = "pht-oci-run-";
/// The beginning of the name of a directory with a closed train that could not be sent.
pub(in crate::stage) const CLOSED: &str = "pht-oci-closed-";
/// The opened train, in a run's directory that is kept.
pub(in crate::stage) const OPENED: &str = "opened";
/// The results of the train, in a run's directory.
pub(in crate::stage) const RESULTS: &str = "results";

/// A file beside them where the train may not have had room for all of its results.
pub(in crate::stage) const INCOMPLETE: &str = "incomplete";

/// What a directory has that `run` has kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remains {
    /// A closed train that could not be sent.
    Closed,
    /// The results of a train that has run, in plaintext.
    Results,
    /// Its results are gone.
    NoResults,
}

impl Remains {
    /// What a directory has that a run has kept; nothing if it is another one, by its name.
    pub fn of(dir: &Path) -> Option<Self> {
        let name = dir.file_name().map(OsStr::as_encoded_bytes).filter(|_| dir.is_dir())?;
        match name {
            _ if name.starts_with(CLOSED.as_bytes()) => Some(Remains::Closed),
            _ if !name.starts_with(RUN.as_bytes()) => None,
            _ if dir.join(RESULTS).is_dir() => Some(Remains::Results),
            _ => Some(Remains::NoResults),
        }
    }
}

/// The directories in `dir` in which runs have kept something.
pub fn kept_in(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(if dir.as_os_str().is_empty() { Path::new(".") } else { dir });
    let paths = entries.into_iter().flatten().flatten().map(|entry| entry.path());
    paths.filter(|path| Remains::of(path).is_some()).collect()
}

/// Where the opened train and its results are in a directory that a run has kept, whatever is there.
pub fn parts_of_kept(dir: &Path) -> (PathBuf, PathBuf) {
    (dir.join(OPENED), dir.join(RESULTS))
}
