//! Where a train and the journals of its stations do not agree.

use super::acts::RecordedAct;
use super::model::{ChainLine, JourneyFinding, JourneyJournal, JourneyStop};
use crate::stage::inspect::Inspection;
use crate::stage::parts::report::ResultFile;
use crate::stage::parts::reviewers::Reviewers;
use crate::text::{counted, some_of};
use crate::train::Verdict;

/// The results that a finding names.
const NAMED: usize = 5;

/// Takes findings of one stop.
struct Findings<'f> {
    stop: Option<usize>,
    list: &'f mut Vec<JourneyFinding>,
}

impl Findings<'_> {
    /// What cannot be true beside the rest.
    fn contradiction(&mut self, id: &'static str, what: String) {
        self.list.push(JourneyFinding { id, contradicts: true, stop: self.stop, what });
    }

    /// Something to look at.
    fn note(&mut self, id: &'static str, what: String) {
        self.list.push(JourneyFinding { id, contradicts: false, stop: self.stop, what });
    }
}

/// Gives each stop the acts that its own station has signed. One line in two copies of a journal is one act.
pub(super) fn merge(stops: &mut [JourneyStop], acts: Vec<RecordedAct>, findings: &mut Vec<JourneyFinding>) {
    let mut lines: Vec<(Option<String>, usize, String)> = Vec::new();
    for act in acts {
        let mut findings = Findings { stop: None, list: findings };
        let line = (act.signer.clone(), act.place.1, act.digest.clone());
        if lines.contains(&line) {
            continue;
        }
        lines.push(line);
        let place = format!("the {} of {}", act.act, act.time);
        let stop = act.stop.0.and_then(|index| usize::try_from(index).ok()).and_then(|index| stops.get_mut(index));
        let Some(stop) = stop else {
            findings.contradiction("stop", format!("{place} is about a stop that the route does not have"));
            continue;
        };
        findings.stop = Some(stop.state.index);
        if act.signer.as_ref() != Some(&stop.state.key) {
            let by = act.signer.as_deref().unwrap_or("another key");
            let what = format!("{place} is signed by {by}, which is not the key of this stop");
            findings.contradiction("station-key", what);
            continue;
        }
        stop.acts.push(act);
    }
    for stop in stops {
        stop.acts.sort_by_key(|act| act.place);
    }
}

/// Holds the acts of each stop against the train, and against the stop before.
pub(super) fn compare(
    train: &Inspection,
    stops: &[JourneyStop],
    journals: &[JourneyJournal],
    findings: &mut Vec<JourneyFinding>,
) {
    for journal in journals.iter().filter(|journal| journal.fault.is_none() && !journal.has_end) {
        let what = format!(
            "{0} came without {0}.head, the copy of its last line: whether lines are missing at its end is not known",
            journal.path
        );
        Findings { stop: None, list: findings }.note("journal-end", what);
    }
    let mut sent: Option<(&str, &str)> = None;
    let last_signed = stops.iter().rposition(|stop| stop.state.signed);
    for stop in stops {
        let mut findings = Findings { stop: Some(stop.state.index), list: findings };
        let has_gap = !stop.state.signed && stops[stop.state.index..].iter().any(|later| later.state.signed);
        compare_signature(stop, has_gap, journals, &mut findings);
        compare_held(stop, &mut findings);
        compare_train(train, stop, stops.len(), &mut findings);
        let came = stop.acts.iter().find(|act| act.opens()).and_then(|act| act.images.0.as_deref());
        if let (Some((digest, station)), Some(came)) = (sent, came)
            && digest != came
        {
            let what = format!("`{station}` sent the image {digest}, and {came} came here");
            findings.note("image", what);
        }
        sent = stop.closing().and_then(|act| act.images.1.as_deref()).map(|digest| (digest, &*stop.state.station));
        let is_last = last_signed == Some(stop.state.index);
        if let (Some((digest, _)), true, false) = (sent, is_last, train.open)
            && digest != train.digest
        {
            findings.note("image", format!("the image {digest} was sent, and this one is {}", train.digest));
        }
    }
}

/// Whether two journals of one station are copies of one, be it that they part in lines about other trains.
pub(super) fn compare_journals(journals: &[JourneyJournal], stops: &[JourneyStop], findings: &mut Vec<JourneyFinding>) {
    for (at, journal) in journals.iter().enumerate() {
        for other in &journals[at + 1..] {
            let mut lines = journal.chain.iter().zip(&other.chain);
            let parts = |(one, another): (&ChainLine, &ChainLine)| {
                one.signer.is_some() && one.signer == another.signer && one.digest != another.digest
            };
            let Some(line) = lines.position(parts) else { continue };
            let signer = journal.chain[line].signer.as_deref().unwrap_or_default();
            let stop = stops.iter().find(|stop| stop.state.key == signer);
            let station = stop.map_or_else(|| signer.to_owned(), |stop| format!("`{}`", stop.state.station));
            let what = format!(
                "two journals of {station} have another line {} ({}, {}): the station keeps two, or one was put together \
                 anew",
                line + 1,
                journal.path,
                other.path
            );
            Findings { stop: None, list: findings }.contradiction("two-journals", what);
        }
    }
}

/// Whether those have approved whose approvals count.
pub(super) fn compare_reviewers(
    reviewers: Option<&Reviewers>,
    stops: &[JourneyStop],
    findings: &mut Vec<JourneyFinding>,
) {
    let Some(reviewers) = reviewers else { return };
    for stop in stops {
        let mut strangers: Vec<&str> = Vec::new();
        for approval in stop.acts.iter().flat_map(|act| &act.approvals) {
            if reviewers.name_of(&approval.reviewer).is_none() && !strangers.contains(&&*approval.reviewer) {
                strangers.push(&approval.reviewer);
            }
        }
        for stranger in strangers {
            let what = format!("approved by {stranger}, which is the key of no pinned reviewer");
            Findings { stop: Some(stop.state.index), list: findings }.note("reviewer", what);
        }
    }
}

/// Whether what left is what the run had left, where that was held for a person.
fn compare_held(stop: &JourneyStop, findings: &mut Findings<'_>) {
    let Some(closing) = stop.closing().filter(|act| act.act == "release") else { return };
    let before = stop.acts.iter().rfind(|act| act.outcome == "held" && act.place < closing.place);
    let (Some(held), Some(left)) = (before.and_then(|act| act.results.as_ref()), closing.results.as_ref()) else {
        return;
    };
    let of = |list: &[ResultFile], path: &str| list.iter().find(|file| file.path == path).cloned();
    let new = left.iter().filter(|file| of(held, &file.path).is_none()).map(|file| format!("{} is new", file.path));
    let gone = held.iter().filter(|file| of(left, &file.path).is_none()).map(|file| format!("{} is gone", file.path));
    let other = left.iter().filter(|file| of(held, &file.path).is_some_and(|was| was != **file));
    let changed: Vec<String> = other.map(|file| format!("{} was changed", file.path)).chain(new).chain(gone).collect();
    if let Some(changed) = some_of(&changed, NAMED) {
        let what = format!("the results that were released are not those that the run had left: {changed}");
        findings.note("results-changed", what);
    }
}

/// Whether the train's signature and the journal agree that the stop is closed.
fn compare_signature(stop: &JourneyStop, has_gap: bool, journals: &[JourneyJournal], findings: &mut Findings<'_>) {
    // What is said of a signature that does not hold would be said of whoever has put it there.
    if matches!(stop.signature, Some(Verdict::Broken(_))) {
        return;
    }
    let closings: Vec<&RecordedAct> = stop.acts.iter().filter(|act| act.closes()).collect();
    let has_journal = journals.iter().any(|journal| journal.signers.contains(&stop.state.key));
    let is_other = |closing: &&RecordedAct| !stop.may_be_of(closing);
    match (stop.state.signed, closings.last()) {
        (true, Some(_)) if closings.iter().all(is_other) => {
            let what = "the train is signed by this station, and its journal tells of other signatures only: it is not whole, or \
                        the station has closed the stop once more";
            findings.contradiction("not-recorded", what.to_owned());
        }
        (true, None) if has_journal => {
            let what = "the train is signed by this station, and its journal does not say that the station closed it";
            findings.contradiction("not-recorded", what.to_owned());
        }
        (false, Some(closing)) => {
            let why = match has_gap {
                true => "its signature was taken away, for a later station has signed",
                false => "this is an older state of it, or a copy that took another way",
            };
            let what = format!(
                "the journal says that the station closed the train ({}, {}), and the train is not signed here: {why}",
                closing.act, closing.time
            );
            findings.contradiction("not-signed", what);
        }
        _ => {}
    }
    let times: Vec<&str> = closings.iter().map(|closing| &*closing.time).collect();
    if let Some(signed) = stop.state.signed_at.as_deref().filter(|signed| !times.is_empty() && !times.contains(signed))
    {
        let what = format!("the signature was made {signed}, and the journal says {}", times.join(", "));
        findings.contradiction("time", what);
    }
    if closings.len() > 1 {
        let what = format!(
            "the station has closed this stop {} ({}), and the train is of {}",
            counted(closings.len() as u64, "time"),
            times.join(", "),
            match stop.closing.and_then(|at| stop.acts.get(at)) {
                Some(act) => format!("the {} of {} (line {})", act.act, act.time, act.place.1),
                None if !stop.state.signed => "none of these".to_owned(),
                None => "one of these, or of none".to_owned(),
            }
        );
        findings.note("closed-again", what);
    }
}

/// Whether what the station says of the train is so.
fn compare_train(train: &Inspection, stop: &JourneyStop, stops: usize, findings: &mut Findings<'_>) {
    let mut told: Vec<String> = Vec::new();
    for act in &stop.acts {
        let mut differs = |id: &'static str, what: &str, recorded: &str, own: &str| {
            let what = format!("{what}: {recorded} by the journal, {own} by the train");
            if recorded != own && !told.contains(&what) {
                findings.contradiction(id, what.clone());
                told.push(what);
            }
        };
        differs("creator", "the creator", &act.creator.0, &train.creator);
        differs("creator-key", "the creator's key", &act.creator.1, &train.creator_key);
        differs("station", "the station", &act.station.0, &stop.state.station);
        differs("station-key", "the station's key", &act.station.1, &stop.state.key);
        differs("stop", "the number of stops", &act.stop.1.unwrap_or_default().to_string(), &stops.to_string());
        let line = |entrypoint: &[String], command: &[String]| format!("{:?}", [entrypoint, command].concat());
        let recorded = line(&act.runs.entrypoint, &act.runs.command);
        differs("command", "what runs", &recorded, &line(&train.runs.entrypoint, &train.runs.command));
        let own = train.runs.base.as_ref().and_then(|base| base.chain_id.as_deref());
        if let (Some(recorded), Some(own)) = (act.runs.base.as_deref(), own) {
            differs("base", "the base", recorded, own);
        }
    }
    if stop.acts.iter().any(|act| act.act == "release" && act.closes() && act.approvals.is_empty()) {
        findings.note("no-approval", "the station has released the results and recorded no approval".to_owned());
    }
    if stop.acts.iter().any(|act| act.opens() && act.creator_pinned == Some(false)) {
        let what = "the station has opened the train though it had no pinned key of the creator";
        findings.note("creator-pin", what.to_owned());
    }
}
