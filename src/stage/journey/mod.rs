//! The journey of a train, for those who audit it: what the train itself proves, beside what the stations' journals say.

mod acts;
mod compare;
mod model;

use std::path::{Path, PathBuf};

use super::inspect::{Inspection, describe};
use super::journal::{Journal, JournalEntry};
use super::parts::load::{Depth, Train};
use super::parts::report::ResultFile;
use super::parts::request::VerificationPolicy;
use super::parts::reviewers::Reviewers;
use super::verify::verify;
use crate::crypto::{PublicKey, hex};
use crate::error::{Kind, Result};
use crate::image::open_image;
use crate::store::{Context, Reference};
use crate::text::counted;
use crate::train::StopSignature;

pub use acts::{RecordedAct, RecordedApproval, RecordedRun};
use model::ChainLine;
pub use model::{Journey, JourneyFinding, JourneyJournal, JourneyStop, StopResults};

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
    /// Those whose approvals count, where that is known.
    pub reviewers: Option<&'a Reviewers>,
}

impl<'a> JourneyRequest<'a> {
    /// Of what the train alone tells.
    pub fn new(source: &'a Reference) -> Self {
        JourneyRequest { source, policy: VerificationPolicy::default(), journals: &[], keys: &[], reviewers: None }
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
            let signed = train.config.route().stop(state.index).ok().and_then(|stop| stop.signature.as_ref());
            JourneyStop {
                state: state.clone(),
                sha256: signed.map(StopSignature::sha256),
                signature: verdict.and_then(|stop| stop.signature.clone()),
                digest: verdict.and_then(|stop| stop.digest.clone()),
                acts: Vec::new(),
                results: None,
                closing: None,
            }
        })
        .collect();
    compare::merge(&mut stops, entries, &mut findings);
    compare::compare_journals(&journals, &stops, &mut findings);
    find_closings(&described, &mut stops);
    add_results(&mut stops);
    compare::compare(&described, &stops, &journals, &mut findings);
    compare::compare_reviewers(request.reviewers, &stops, &mut findings);
    findings.sort_by_key(|finding| (!finding.contradicts, finding.stop));
    Ok(Journey { train: described, verification, stops, journals, findings })
}

/// Reads a journal: the acts that are about this train. One that does not hold says nothing at all.
fn read_journal(
    path: &Path,
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
        chain: Vec::new(),
    };
    let (entries, has_end) = match Journal::new(path).verify_copy(keys) {
        Ok(read) => read,
        Err(error) if error.kind() == Kind::Verification => {
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
        let lines = counted(others as u64, "line");
        let what = format!("another train has the same id ({lines} of {})", journal.path);
        findings.push(JourneyFinding { id: "another-train", contradicts: false, stop: None, what });
    }
    for entry in &entries {
        let signer = entry.signer(keys).map(PublicKey::fingerprint);
        journal.chain.push(ChainLine { signer: signer.clone(), digest: entry.digest.clone() });
        journal.signers.extend(signer.filter(|signer| !journal.signers.contains(signer)));
    }
    journal.lines = Some((entries.len(), acts.len()));
    journal.last = entries.last().map(|entry| entry.digest.clone());
    journal.has_end = has_end;
    Ok((journal, acts))
}

/// Finds of several acts that closed a stop the one that this train is of: that has made its signature, or whose image went
/// on to the next stop, or is the train itself, or else the one of the time of the signature.
fn find_closings(train: &Inspection, stops: &mut [JourneyStop]) {
    let mut next = (!train.open).then(|| train.digest.clone());
    for stop in stops.iter_mut().rev().filter(|stop| stop.state.signed) {
        let may_be = |act: &RecordedAct| act.closes() && stop.may_be_of(act);
        let of = |fits: &dyn Fn(&RecordedAct) -> bool| stop.acts.iter().rposition(|act| may_be(act) && fits(act));
        let made = stop.sha256.as_ref().and_then(|own| of(&|act| act.signature.as_ref() == Some(own)));
        let sent = next.as_deref().and_then(|next| of(&|act| act.images.1.as_deref() == Some(next)));
        let signed = stop.state.signed_at.as_deref().and_then(|time| of(&|act| act.time == time));
        stop.closing = made.or(sent).or(signed);
        next = stop.acts.iter().find(|act| act.opens()).and_then(|act| act.images.0.clone());
    }
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
