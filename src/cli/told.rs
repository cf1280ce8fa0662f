//! A journey as it is told to people and programs.

use super::text::verdict_words;
use crate::error::Error;
use crate::stage::{Journey, Reviewers, Verification};
use crate::train::check::is_signed_by_creator;
use crate::train::{Check, CheckId, Verdict};

/// A journey, and who the reviewers are.
pub(super) struct Told<'a> {
    pub(super) journey: &'a Journey,
    pub(super) reviewers: &'a Reviewers,
    /// Whether what is not proved is refused.
    pub(super) strict: bool,
}

impl Told<'_> {
    /// The name under which a reviewer's key is pinned.
    pub(super) fn reviewer(&self, fingerprint: &str) -> Option<&str> {
        self.reviewers.name_of(fingerprint)
    }

    /// `sound`, `weak`, `unpinned` or `broken`; `open` for a train that a station has opened.
    pub(super) fn verdict(&self) -> &'static str {
        match &self.journey.verification {
            Ok(found) if found.is_only_open() => "open",
            Ok(found) => found.verdict().name(),
            Err(_) => "broken",
        }
    }

    /// The checks that were made.
    fn checks(&self) -> &[Check] {
        self.journey.verification.as_ref().map(|found| found.checks.as_slice()).unwrap_or_default()
    }

    /// Whether the creator's key was held against a pin, in words.
    pub(super) fn creator_pin(&self) -> &'static str {
        let check = self.checks().iter().find(|check| check.id == CheckId::CreatorKey);
        match check.map(|check| &check.verdict) {
            None => "no keys are pinned to compare it with",
            Some(Verdict::Sound) => "pinned",
            Some(Verdict::Broken(_)) => "another key is pinned",
            Some(_) => "not pinned",
        }
    }

    /// False if the creator's signature, or what it is of, does not hold: then nothing is signed by the creator.
    pub(super) fn is_signed_by_creator(&self) -> bool {
        is_signed_by_creator(self.checks())
    }

    /// The verdict on the train, as one says it.
    pub(super) fn words(&self) -> &'static str {
        self.journey.verification.as_ref().map_or("broken", verdict_words)
    }

    /// The number of warnings of the verification.
    pub(super) fn warnings(&self) -> usize {
        self.journey.verification.as_ref().map_or(0, |found| found.warnings.len())
    }

    /// The ids of the checks that are broken.
    pub(super) fn broken(&self) -> Vec<String> {
        let broken = self.checks().iter().filter(|check| check.is_broken());
        let mut ids: Vec<String> = broken.map(|check| check.id.name().to_owned()).collect();
        ids.dedup();
        ids
    }

    /// The findings that contradict what else was handed in.
    pub(super) fn contradictions(&self) -> usize {
        self.journey.findings.iter().filter(|finding| finding.contradicts).count()
    }
}

/// What is known of a damaged train.
pub(super) struct Damage<'a> {
    /// The image, as it was named.
    pub(super) source: &'a str,
    /// What is wrong.
    pub(super) fault: &'a Error,
    /// The checks, if some could be made.
    pub(super) found: Option<&'a Verification>,
}
