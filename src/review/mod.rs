//! Results before they leave: what is in them, by content, and whether a station's rules let it out. Knows files of
//! results, no train.
//!
//! [`review()`] takes every file through the checks of [`RULES`]. What is hostile in a result costs bounded time and
//! memory: files are read to [`MAX_READ`] bytes, archives within a budget, pickles opcode by opcode and never run. No
//! finding holds a datum, so that it may be logged. That nothing is found does not say that results are safe.

mod against;
mod approval;
mod checks;
mod declaration;
mod encoded;
mod entries;
mod few;
mod fhir;
mod fields;
mod finding;
mod format;
mod inspect;
mod labels;
mod names;
mod nested;
mod personal;
mod pickle;
mod picture;
mod policy;
mod report;
mod subject;
mod tar_gaps;
mod tokens;
mod traces;
mod words;

pub use approval::{Accepted, Approval, ApprovalSubject, PREDICATE_TYPE};
pub use checks::{RULES, Rule};
pub use declaration::{Declaration, MAX_OUTPUTS, OUTPUTS, Output};
pub use entries::{FileDigest, FileDigester, ResultEntry, ResultKind, State, entries_of, hash_files, results_digest};
pub use finding::{Finding, ReviewCheck, Severity};
pub use policy::ReleasePolicy;
pub use report::{FileReview, MAX_READ, Review, ReviewInput, review};

/// Entry points of the fuzzer.
#[cfg(fuzzing)]
pub mod fuzzing;
