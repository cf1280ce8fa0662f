//! What is told of a journey.

use super::acts::RecordedAct;
use crate::error::{Error, ErrorContext, Result};
use crate::stage::inspect::{Inspection, StopState};
use crate::stage::parts::report::ResultFile;
use crate::stage::parts::request::VerificationPolicy;
use crate::stage::verify::Verification;
use crate::text::counted;
use crate::train::Verdict;

/// The journey of a train.
#[derive(Debug)]
#[non_exhaustive]
pub struct Journey {
    /// The train by its own config.
    pub train: Inspection,
    /// What was checked of it; or why it could not be.
    pub verification: std::result::Result<Verification, String>,
    /// The stops in route order.
    pub stops: Vec<JourneyStop>,
    /// The journals that were given.
    pub journals: Vec<JourneyJournal>,
    /// Where they and the train do not agree, and what else an auditor should look at; contradictions first.
    pub findings: Vec<JourneyFinding>,
}

/// A stop, by the train and by the journals.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct JourneyStop {
    /// The station, its key, whether and when it has signed.
    pub state: StopState,
    /// The SHA-256 of its signature, in hexadecimal, if it has signed.
    pub sha256: Option<String>,
    /// The verdict on its signature.
    pub signature: Option<Verdict>,
    /// The verdict on what it signed.
    pub digest: Option<Verdict>,
    /// What its journals say that it did, in order.
    pub acts: Vec<RecordedAct>,
    /// The results that left it, where a journal lists them.
    pub results: Option<StopResults>,
    /// The act that closed it as it is in the train, by its position among the acts.
    pub(super) closing: Option<usize>,
}

impl JourneyStop {
    /// The act that closed the stop: of several the one that the train is of, as far as that can be told, else the last
    /// that may be it.
    pub fn closing(&self) -> Option<&RecordedAct> {
        let last = || self.acts.iter().rev().find(|act| act.closes() && self.may_be_of(act));
        self.closing.and_then(|at| self.acts.get(at)).or_else(last)
    }

    /// False if the act has closed the stop with another signature than the train has.
    pub(super) fn may_be_of(&self, act: &RecordedAct) -> bool {
        act.signature.is_none() || self.sha256.is_none() || act.signature == self.sha256
    }
}

/// The results that left a stop.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StopResults {
    /// All of them.
    pub files: Vec<ResultFile>,
    /// Their bytes.
    pub size: u64,
    /// Bytes of those that are new or changed since the stop before; `None` if its list is not known.
    pub added: Option<u64>,
}

/// A journal that was given.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct JourneyJournal {
    /// The file.
    pub path: String,
    /// Its lines, and how many of them are about this train.
    pub lines: Option<(usize, usize)>,
    /// The digest of the last line: who has a receipt can compare.
    pub last: Option<String>,
    /// The fingerprints of the keys that signed it.
    pub signers: Vec<String>,
    /// True if nothing is missing at its end, as far as the copy of its last line tells.
    pub has_end: bool,
    /// What is wrong with it.
    pub fault: Option<String>,
    /// Its lines: of two journals of one station they are the same.
    pub(super) chain: Vec<ChainLine>,
}

/// A line of a journal, whatever it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ChainLine {
    /// The fingerprint of the key that signed it.
    pub(super) signer: Option<String>,
    /// Its digest.
    pub(super) digest: String,
}

/// Something that an auditor should know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JourneyFinding {
    /// The stable name, as in `not-recorded`.
    pub id: &'static str,
    /// True if what was handed in cannot all be true; else it is something to look at.
    pub contradicts: bool,
    /// The position of the stop, if it is about one.
    pub stop: Option<usize>,
    /// What was found.
    pub what: String,
}

impl Journey {
    /// An error if the train does not meet the policy, a journal does not hold, or they contradict each other.
    ///
    /// # Errors
    /// [`Kind::Verification`](crate::error::Kind::Verification).
    pub fn enforce(self, policy: VerificationPolicy<'_>) -> Result<()> {
        match self.verification {
            Ok(found) => found.enforce(policy)?,
            Err(fault) => return Err(Error::verification(fault).at(&self.train.source)),
        }
        let contradictions: Vec<&JourneyFinding> = self.findings.iter().filter(|finding| finding.contradicts).collect();
        match contradictions[..] {
            [] => Ok(()),
            [only] => Err(Error::verification(only.what.clone()).in_check(only.id, only.subject(&self.stops))),
            [first, ..] => {
                let what = format!("{}, and {} more", first.what, counted(contradictions.len() as u64 - 1, "finding"));
                Err(Error::verification(what).in_check(first.id, first.subject(&self.stops)))
            }
        }
        .at(&self.train.source)
    }
}

impl JourneyFinding {
    /// The name of the stop that it is about.
    fn subject(&self, stops: &[JourneyStop]) -> String {
        let stop = self.stop.and_then(|stop| stops.get(stop));
        stop.map_or_else(|| "journey".to_owned(), |stop| format!("station `{}`", stop.state.station))
    }
}
