//! The results with which a train has come, as far as their names, sizes and times tell them from those that it leaves.

use std::collections::BTreeSet;
use std::fs::{self, Metadata, ReadDir};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::crypto::{Sha256, hex};

/// Each file below a directory, with its size and the time of its last change.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::stage) struct ResultsBefore(BTreeSet<(PathBuf, u64, (i64, i64))>);

impl ResultsBefore {
    /// Those in a directory, wherever that is.
    pub(in crate::stage) fn of(results: &Path) -> Self {
        let facts = |(path, found): (PathBuf, Metadata)| {
            let path = path.strip_prefix(results).map(Path::to_owned).unwrap_or(path);
            (path, found.len(), (found.mtime(), found.mtime_nsec()))
        };
        ResultsBefore(below(results).filter(|(_, found)| !found.is_dir()).map(facts).collect())
    }

    /// What tells them from others, in hexadecimal.
    pub(in crate::stage) fn digest(&self) -> String {
        let mut sha256 = Sha256::new();
        for (path, size, (seconds, nanoseconds)) in &self.0 {
            sha256.update(path.as_os_str().as_bytes());
            sha256.update(format!("\0{size} {seconds} {nanoseconds}\n").as_bytes());
        }
        hex::encode(&sha256.finish())
    }
}

/// What lies below. What cannot be looked at does not count: the train may be at work.
pub(in crate::stage) fn below(dir: &Path) -> impl Iterator<Item = (PathBuf, Metadata)> {
    let (mut open, mut here) = (vec![dir.to_owned()], None);
    std::iter::from_fn(move || {
        loop {
            let Some(entry) = here.as_mut().and_then(|entries: &mut ReadDir| entries.next()) else {
                here = fs::read_dir(open.pop()?).ok();
                continue;
            };
            let Some((entry, found)) = entry.ok().and_then(|entry| entry.metadata().ok().map(|found| (entry, found)))
            else {
                continue;
            };
            if found.is_dir() {
                open.push(entry.path());
            }
            return Some((entry.path(), found));
        }
    })
}
