//! What a train has left, as a person should know it before results are closed or held.

use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::stage::parts::report::NO_RESULTS;
use crate::stage::parts::results_before::{ResultsBefore, below};
use crate::store::fs::free_in;
use crate::text::{Printable, some_of};

/// The paths that a note names.
const NAMED: usize = 10;
/// With less space than this, in bytes, a train may not have written all of its results.
const LITTLE_SPACE: u64 = 64 << 10;

/// What is to be said of results if the train has left nothing, or nothing new: beside those with which it came.
pub(super) fn lack_in(results: &Path, came: &ResultsBefore) -> Option<&'static str> {
    if !has_file(results) {
        return Some(NO_RESULTS);
    }
    (ResultsBefore::of(results) == *came)
        .then_some("the train has left nothing new: its results are those with which it came")
}

/// True if there is a regular file below, and be it empty.
fn has_file(results: &Path) -> bool {
    below(results).any(|(_, found)| found.is_file())
}

/// What is to be said of what the train has written where nobody gets it.
pub(super) fn dropped(written: Option<&[PathBuf]>) -> Option<String> {
    let paths: Vec<String> =
        written?.iter().map(|path| Printable::new(&path.display().to_string()).to_string()).collect();
    some_of(&paths, NAMED)
        .map(|paths| format!("what the train has written outside /opt/pht_results is dropped: {paths}"))
}

/// An error if the train has had no room for its results: one that does not look ends well all the same.
///
/// # Errors
/// [`Kind::Io`]: the train is not to blame, and may run once more.
pub(super) fn ensure_room(results: &Path) -> Result<()> {
    if free_in(results).is_ok_and(|free| free < LITTLE_SPACE) {
        let what = "no space is left where the train has written its results: they may be incomplete";
        let hint = "free some space there and run the train once more, or see that the results are whole";
        return Err(Error::new(Kind::Io, what).hint(hint).at(results.display()));
    }
    Ok(())
}
