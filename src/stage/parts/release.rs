//! Nothing leaves that nobody has approved.

use std::collections::BTreeSet;

use super::hashing::HashSink;
use super::reviewers::Reviewers;
use crate::error::{Advice, Error, Result};
use crate::review::{Approval, ApprovalSubject, FileDigest, FileDigester, ReleasePolicy};
use crate::text::{Printable, counted};

/// The approvals of results, and what a station demands of them.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Release<'a> {
    /// The station's rules.
    pub policy: &'a ReleasePolicy,
    /// Who may approve.
    pub reviewers: &'a Reviewers,
    /// The approvals, each with the name of its file.
    pub approvals: &'a [(String, Approval)],
}

impl<'a> Release<'a> {
    /// With these approvals.
    pub fn new(policy: &'a ReleasePolicy, reviewers: &'a Reviewers, approvals: &'a [(String, Approval)]) -> Self {
        Release { policy, reviewers, approvals }
    }

    /// The names of those who have approved exactly `subject`.
    ///
    /// # Errors
    /// [`Kind::Decision`](crate::error::Kind::Decision) if one of the approvals does not fit, or there are too few of them.
    pub(in crate::stage) fn enforce(&self, subject: &ApprovalSubject) -> Result<Vec<String>> {
        if self.reviewers.is_empty() && !self.approvals.is_empty() {
            return Err(Error::decision("no reviewer's key is pinned here").advise(Advice::PinReviewers));
        }
        let mut who = BTreeSet::new();
        for (name, approval) in self.approvals {
            let reviewer = approval.verify(subject, self.reviewers.keys()).map_err(|error| error.at(name))?;
            who.insert(reviewer);
        }
        // An approval that is demanded is demanded of one person at least.
        let needed = self.policy.reviewers.max(1);
        if who.len() < needed {
            let what = format!("approved by {} of {needed} reviewers", who.len());
            let hint = "have the results reviewed and approved, then release them; or reject them";
            return Err(Error::decision(what).hint(hint));
        }
        Ok(who.into_iter().map(|reviewer| self.reviewers.name(reviewer).to_owned()).collect())
    }
}

/// The note on who has approved.
pub(in crate::stage) fn approved_by(who: &[String]) -> Option<String> {
    let names: Vec<String> = who.iter().map(|name| Printable::new(name).to_string()).collect();
    let count = counted(names.len() as u64, "reviewer");
    (!names.is_empty()).then(|| format!("approved by {count}: {}", names.join(", ")))
}

/// Digests plaintext for the approvals while it is on its way to where it is encrypted, and hands it on to the hash of the
/// wire version, if there is one: what is compared is what leaves.
pub(in crate::stage) struct SeenFiles<'h> {
    inner: Option<&'h mut dyn HashSink>,
    digester: FileDigester,
}

impl<'h> SeenFiles<'h> {
    pub(in crate::stage) fn new(inner: Option<&'h mut dyn HashSink>) -> Self {
        SeenFiles { inner, digester: FileDigester::default() }
    }

    /// Size and digest of each file.
    pub(in crate::stage) fn finish(self) -> Vec<FileDigest> {
        self.digester.finish()
    }
}

impl HashSink for SeenFiles<'_> {
    fn begin(&mut self, file: usize) -> Result<()> {
        self.digester.begin();
        self.inner.as_mut().map_or(Ok(()), |inner| inner.begin(file))
    }

    fn update(&mut self, content: &[u8]) -> Result<()> {
        self.digester.update(content);
        self.inner.as_mut().map_or(Ok(()), |inner| inner.update(content))
    }
}
