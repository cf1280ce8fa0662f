//! A journey as it is told to people and programs.

use crate::stage::{Journey, Reviewers};

/// A journey, and who the reviewers are.
pub(super) struct Told<'a> {
    pub(super) journey: &'a Journey,
    pub(super) reviewers: &'a Reviewers,
}

impl Told<'_> {
    /// The name under which a reviewer's key is pinned.
    pub(super) fn reviewer(&self, fingerprint: &str) -> Option<&str> {
        self.reviewers.name_of(fingerprint)
    }

    /// `sound`, `weak`, `unpinned` or `broken`; `open` for a train that a station has opened.
    pub(super) fn verdict(&self) -> &'static str {
        match &self.journey.verification {
            Ok(found) if found.open => "open",
            Ok(found) => found.verdict().name(),
            Err(_) => "broken",
        }
    }

    /// The findings that contradict what else was handed in.
    pub(super) fn contradictions(&self) -> usize {
        self.journey.findings.iter().filter(|finding| finding.contradicts).count()
    }
}
