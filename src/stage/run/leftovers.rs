//! What killed runs have left anywhere, by the register: the next run to any place removes it, and `cleanup` does.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::register::{register_in, strike_out};
use super::work_dir::WorkDir;
use crate::error::Result;
use crate::store::Context;

/// What a run that was killed has left.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Leftover {
    /// The private directory of the run, with plaintext.
    pub path: PathBuf,
    /// The engine that may still have its container.
    pub engine: Option<String>,
}

/// What killed runs of this user have left.
///
/// # Errors
/// A directory that is registered cannot be opened.
pub fn leftovers(context: &Context) -> Result<Vec<Leftover>> {
    let listed = |work: WorkDir| {
        let what = leftover(&work);
        work.leave();
        what
    };
    found(context).map(|found| found.map(listed)).collect()
}

/// Removes what killed runs of this user have left, here and with their engines; what was removed.
///
/// # Errors
/// Something is still there.
pub fn cleanup(context: &Context) -> Result<Vec<Leftover>> {
    let mut removed = Vec::new();
    for work in found(context) {
        let work = work?;
        let what = leftover(&work);
        work.remove_left()?;
        removed.push(what);
    }
    Ok(removed)
}

/// The same before a run, which does not fail for what another has left.
pub(super) fn sweep(context: &Context) {
    let mut still_there: Vec<PathBuf> = Vec::new();
    for work in found(context) {
        // What lies in another one says which engine has to be asked.
        if let Ok(work) = &work
            && still_there.iter().any(|inner| inner.starts_with(work.path()))
        {
            continue;
        }
        still_there.extend(work.as_ref().ok().map(|work| work.path().to_owned()));
        let removed = work.and_then(|work| work.remove_left().map(|()| work.path().to_owned()));
        match removed {
            Ok(path) => {
                still_there.retain(|other| *other != path);
                tracing::info!("removed what a killed run had left in {}", path.display());
            }
            Err(error) => tracing::warn!("what a killed run has left is still there: {error}"),
        }
    }
}

/// A run of a rehearsal lies in the directory of the rehearsal, and comes before it.
fn found(context: &Context) -> impl Iterator<Item = Result<WorkDir>> {
    let entries =
        context.state.iter().flat_map(|state| fs::read_dir(register_in(state)).into_iter().flatten().flatten());
    let place = |entry: PathBuf| Some((PathBuf::from(OsString::from_vec(fs::read(&entry).ok()?)), entry));
    let mut places: Vec<(PathBuf, PathBuf)> = entries.filter_map(|entry| place(entry.path())).collect();
    places.sort_by_key(|(path, _)| std::cmp::Reverse(path.components().count()));
    places.into_iter().filter_map(|(path, entry)| {
        match WorkDir::left_at(&path, entry.clone()) {
            Ok(None) => {
                // Somebody is at work there, or nothing is left.
                strike_out(&entry, &path);
                None
            }
            Ok(Some(work)) => Some(Ok(work)),
            Err(error) => Some(Err(error)),
        }
    })
}

fn leftover(work: &WorkDir) -> Leftover {
    Leftover { path: work.path().to_owned(), engine: work.engine() }
}
