//! What a station does to a train, and how that is recorded.

use std::path::Path;

use super::Journal;
use crate::json::Object;
use crate::stage::parts::request::StageRequest;
use crate::store::Context;

/// What a station does to a train.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Act {
    /// Opens it.
    PreRun,
    /// Does a whole stop.
    Run,
    /// Closes it.
    PostRun,
    /// Closes it with results that reviewers have approved.
    Release,
    /// Erases what its run has made; it stays as it came, and the stop open.
    Reject,
}

impl Act {
    /// The name in entries.
    pub fn name(self) -> &'static str {
        match self {
            Act::PreRun => "pre-run",
            Act::Run => "run",
            Act::PostRun => "post-run",
            Act::Release => "release",
            Act::Reject => "reject",
        }
    }

    /// True if a stop is closed by it, for good.
    pub(super) fn closes(self) -> bool {
        !matches!(self, Act::PreRun | Act::Reject)
    }
}

/// How an act is recorded.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Recording<'a> {
    /// The journal.
    pub journal: &'a Journal,
    /// Do again what is done already.
    pub again: bool,
    /// A new file for the entry.
    pub receipt: Option<&'a Path>,
    /// Further members of the entry: volumes, approvals.
    pub details: &'a Object,
}

impl<'a> Recording<'a> {
    /// Records in this journal, once, with these further members.
    pub fn new(journal: &'a Journal, details: &'a Object) -> Self {
        Recording { journal, again: false, receipt: None, details }
    }
}

/// One act on a train, as it is asked for and recorded.
#[derive(Clone, Copy)]
pub(super) struct Deed<'a> {
    pub(super) request: &'a StageRequest<'a>,
    pub(super) act: Act,
    pub(super) recording: &'a Recording<'a>,
    pub(super) context: &'a Context,
}
