//! The journey of a train, for those who audit it: what the train itself proves, beside what the stations' journals say.

mod acts;
mod compare;

use std::path::PathBuf;

use super::inspect::{Inspection, StopState, describe};
use super::journal::{Journal, JournalEntry};
use super::parts::load::{Depth, Train};
use super::parts::report::ResultFile;
use super::parts::request::VerificationPolicy;
use super::verify::{Verification, verify};
use crate::crypto::{PublicKey, hex};
use crate::error::{Error, ErrorContext, Result};
use crate::image::open_image;
use crate::store::{Context, Reference};
use crate::text::counted;
use crate::train::Verdict;

pub use acts::{RecordedAct, RecordedApproval, RecordedRun};

/// A request for the journey of a train.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct JourneyRequest<'a> {
    /// The train.
    pub source: &'a Reference,
    /// What is demanded of it.
    pub policy: VerificationPolicy<'a>,
    /// The files of journals that stations have handed on.
    pub journals: &'a [PathBuf],
    /// Keys of stations beside those on the route, for entries about other trains.
    pub keys: &'a [PublicKey],
}

impl<'a> JourneyRequest<'a> {
    /// Of what the train alone tells.
    pub fn new(source: &'a Reference) -> Self {
        JourneyRequest { source, policy: VerificationPolicy::default(), journals: &[], keys: &[] }
    }
}

/// The journey of a train.
#[derive(Debug, Clone)]
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
    /// The verdict on its signature.
    pub signature: Option<Verdict>,
    /// The verdict on what it signed.
    pub digest: Option<Verdict>,
    /// What its journals say that it did, in order.
    pub acts: Vec<RecordedAct>,
    /// The results that left it, where a journal lists them.
    pub results: Option<StopResults>,
}

impl JourneyStop {
    /// The act that closed the stop: the last one, if there are several.
    pub fn closing(&self) -> Option<&RecordedAct> {
        self.acts.iter().rev().find(|act| act.closes())
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
    pub fn enforce(&self, policy: VerificationPolicy<'_>) -> Result<()> {
        match &self.verification {
            Ok(found) => found.enforce(policy)?,
            Err(fault) => return Err(Error::verification(fault.clone()).at(&self.train.source)),
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

/// What the train and the journals of its stations say of its journey. No private key is needed, and no network but for an
/// image in a registry.
///
/// # Errors
/// [`Kind::Malformed`](crate::error::Kind::Malformed) if this is no train; input/output. What is broken or contradictory is
/// no error but a finding.
pub fn journey(request: &JourneyRequest<'_>, context: &Context) -> Result<Journey> {
    let image = open_image(request.source, context)?;
    let mut train = Train::load(image, &context.temporary, Depth::Config)?;
    train.view.verify()?;
    let described = describe(&train, context);
    let verification = verify(request.source, request.policy, context).map_err(|error| error.to_string());
    let route_keys = train.config.route().stops().iter().map(|stop| stop.public_key.clone());
    let keys: Vec<PublicKey> = route_keys.chain(request.keys.iter().cloned()).collect();
    let hash = hex::encode(train.config.hash());
    let mut findings = Vec::new();
    let (mut journals, mut entries) = (Vec::new(), Vec::new());
    for (at, path) in request.journals.iter().enumerate() {
        let (journal, of_train) = read_journal(path, at, &keys, (&hash, &described.id), &mut findings)?;
        journals.push(journal);
        entries.extend(of_train);
    }
    let verdicts = verification.as_ref().ok();
    let mut stops: Vec<JourneyStop> = described
        .route
        .iter()
        .map(|state| {
            let verdict = verdicts.and_then(|found| found.stops.get(state.index));
            JourneyStop {
                state: state.clone(),
                signature: verdict.and_then(|stop| stop.signature.clone()),
                digest: verdict.and_then(|stop| stop.digest.clone()),
                acts: Vec::new(),
                results: None,
            }
        })
        .collect();
    compare::merge(&mut stops, entries, &mut findings);
    add_results(&mut stops);
    compare::compare(&described, &stops, &journals, &mut findings);
    findings.sort_by_key(|finding| (!finding.contradicts, finding.stop));
    Ok(Journey { train: described, verification, stops, journals, findings })
}

/// Reads a journal: the acts that are about this train. One that does not hold says nothing at all.
fn read_journal(
    path: &std::path::Path,
    at: usize,
    keys: &[PublicKey],
    (hash, id): (&str, &str),
    findings: &mut Vec<JourneyFinding>,
) -> Result<(JourneyJournal, Vec<RecordedAct>)> {
    let mut journal = JourneyJournal {
        path: path.display().to_string(),
        lines: None,
        last: None,
        signers: Vec::new(),
        has_end: false,
        fault: None,
    };
    let (entries, has_end) = match Journal::new(path).verify_copy(keys) {
        Ok(read) => read,
        Err(error) if error.kind() == crate::error::Kind::Verification => {
            let what = format!("the journal does not hold, and nothing of it is used: {error}");
            findings.push(JourneyFinding { id: "journal", contradicts: true, stop: None, what });
            journal.fault = Some(error.to_string());
            return Ok((journal, Vec::new()));
        }
        Err(error) => return Err(error),
    };
    let is_of_train = |entry: &&JournalEntry| entry.text("/train/hash") == Some(hash);
    let act = |entry: &JournalEntry| RecordedAct::read(entry, at, entry.signer(keys).map(PublicKey::fingerprint));
    let acts: Vec<RecordedAct> = entries.iter().filter(is_of_train).map(act).collect();
    let others = entries.iter().filter(|entry| entry.text("/train/id") == Some(id) && !is_of_train(entry)).count();
    if others > 0 {
        let what =
            format!("{} of {} is about another train with the same id", counted(others as u64, "line"), journal.path);
        findings.push(JourneyFinding { id: "another-train", contradicts: false, stop: None, what });
    }
    for entry in &entries {
        let signer = entry.signer(keys).map(PublicKey::fingerprint);
        journal.signers.extend(signer.filter(|signer| !journal.signers.contains(signer)));
    }
    journal.lines = Some((entries.len(), acts.len()));
    journal.last = entries.last().map(|entry| entry.digest.clone());
    journal.has_end = has_end;
    Ok((journal, acts))
}

/// The results that left each stop, and what is new among them.
fn add_results(stops: &mut [JourneyStop]) {
    let mut before: Option<Vec<ResultFile>> = Some(Vec::new());
    for stop in stops {
        let files = stop.closing().and_then(|act| act.results.clone());
        stop.results = files.as_ref().map(|files| {
            let size = |files: &mut dyn Iterator<Item = &ResultFile>| files.map(|file| file.size).sum::<u64>();
            let is_new = |before: &[ResultFile], file: &ResultFile| {
                !before.iter().any(|old| (&old.path, &old.sha256) == (&file.path, &file.sha256))
            };
            let new = |before: &Vec<ResultFile>| size(&mut files.iter().filter(|file| is_new(before, file)));
            StopResults { size: size(&mut files.iter()), added: before.as_ref().map(new), files: files.clone() }
        });
        before = files;
    }
}
