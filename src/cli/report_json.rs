//! The journey of a train, for programs.

use super::check_words::meaning;
use super::documents::{check_json, inspection_json};
use super::told::{Damage, Told};
use crate::error::Error;
use crate::json::{Value, json};
use crate::stage::{
    JourneyFinding, JourneyJournal, JourneyStop, RecordedAct, RecordedApproval, ResultFile, StopResults,
};
use crate::train::{Check, Verdict};

/// What a report has of the train itself, as `inspect` shows it.
const OF_TRAIN: [&str; 15] = [
    "source",
    "digest",
    "wire",
    "id",
    "creator",
    "creator_key",
    "builder_key",
    "built_at",
    "state",
    "master",
    "file_list",
    "base_size",
    "left_out",
    "size",
    "runs",
];

/// A journey as a document.
pub(super) fn report_json(told: &Told<'_>, made: &str) -> Value {
    let journey = told.journey;
    let found = journey.verification.as_ref().ok();
    let fault = match &journey.verification {
        Ok(found) => found.fault.as_ref().map(Error::to_string),
        Err(fault) => Some(fault.clone()),
    };
    let mut inspected = inspection_json(&journey.train);
    let mut document = json!({
        "made": made,
        "tool": tool(),
        "verdict": told.verdict(),
        "fault": fault,
        "checks": found.map(|found| explained(&found.checks)).unwrap_or_default(),
        "unread_layers": found.map(|found| found.unread_layers),
        "warnings": found.map(|found| found.warnings.clone()).unwrap_or_default(),
        "stops": journey.stops.iter().map(|stop| stop_json(told, stop)).collect::<Vec<_>>(),
        "journals": journey.journals.iter().map(journal_json).collect::<Vec<_>>(),
        "findings": journey.findings.iter().map(finding_json).collect::<Vec<_>>(),
    });
    for member in OF_TRAIN {
        document[member] = inspected[member].take();
    }
    document
}

/// The same of a train that is too damaged to tell its journey: what is not known is `null`, and no journal was read.
pub(super) fn damage_json(damage: &Damage<'_>, made: &str) -> Value {
    let found = damage.found;
    let mut document = json!({
        "made": made,
        "tool": tool(),
        "verdict": "broken",
        "fault": damage.fault.to_string(),
        "checks": found.map(|found| explained(&found.checks)).unwrap_or_default(),
        "unread_layers": found.filter(|found| found.digest.is_some()).map(|found| found.unread_layers),
        "warnings": found.map(|found| found.warnings.clone()).unwrap_or_default(),
        "stops": [],
        "journals": [],
        "findings": [],
    });
    for member in OF_TRAIN {
        document[member] = Value::Null;
    }
    document["source"] = damage.source.into();
    document["digest"] = json!(found.and_then(|found| found.digest.as_ref()));
    document["wire"] = json!(found.and_then(|found| found.wire));
    document["id"] = json!(found.and_then(|found| found.id.as_ref()));
    document
}

/// This program, as documents name it.
fn tool() -> Value {
    json!({ "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION") })
}

/// Checks, each with what it means.
fn explained(checks: &[Check]) -> Vec<Value> {
    let explained = checks.iter().map(|check| {
        let mut document = check_json(check);
        document["means"] = meaning(check.id).into();
        document
    });
    explained.collect()
}

fn stop_json(told: &Told<'_>, stop: &JourneyStop) -> Value {
    let verdict = |verdict: &Option<Verdict>| verdict.as_ref().map(Verdict::name);
    json!({
        "index": stop.state.index as u64,
        "station": stop.state.station,
        "eco_system": stop.state.eco_system,
        "key": stop.state.key,
        "signed": stop.state.signed,
        "signed_at": stop.state.signed_at,
        "signature": verdict(&stop.signature),
        "digest": verdict(&stop.digest),
        "acts": stop.acts.iter().map(|act| act_json(told, act)).collect::<Vec<_>>(),
        "results": stop.results.as_ref().map(results_json),
    })
}

fn results_json(results: &StopResults) -> Value {
    json!({
        "files": files_json(&results.files),
        "size": results.size,
        "added": results.added,
    })
}

fn files_json(files: &[ResultFile]) -> Vec<Value> {
    files.iter().map(ResultFile::to_json).collect()
}

fn act_json(told: &Told<'_>, act: &RecordedAct) -> Value {
    let journal = told.journey.journals.get(act.place.0).map(|journal| &journal.path);
    json!({
        "journal": journal,
        "line": act.place.1 as u64,
        "act": act.act,
        "outcome": act.outcome,
        "time": act.time,
        "before": act.images.0,
        "after": act.images.1,
        "destination": act.destination,
        "again": act.again,
        "creator_pinned": act.creator_pinned,
        "entrypoint": act.runs.entrypoint,
        "command": act.runs.command,
        "user": act.runs.user,
        "base": act.runs.base,
        "engine": act.engine,
        "results": act.results.as_deref().map(files_json),
        "seconds": act.seconds,
        "exit_status": act.exit_status,
        "checks": act.checks.as_ref().map(|(all, _)| *all as u64),
        "checks_not_sound": act.checks.as_ref().map(|(_, not_sound)| not_sound.len() as u64),
        "not_sound": act.checks.as_ref().map(|(_, not_sound)| not_sound),
        "signature": act.signature,
        "approvals": act.approvals.iter().map(|approval| approval_json(told, approval)).collect::<Vec<_>>(),
        "reason": act.reason,
        "version": act.version,
    })
}

fn approval_json(told: &Told<'_>, approval: &RecordedApproval) -> Value {
    let accepted = approval.accepted.iter().map(|(finding, reason)| json!({ "finding": finding, "reason": reason }));
    json!({
        "reviewer": approval.reviewer,
        "name": told.reviewer(&approval.reviewer),
        "time": approval.time,
        "comment": approval.comment,
        "accepted": accepted.collect::<Vec<_>>(),
        "results": approval.results,
        "policy": approval.policy,
        "sha256": approval.sha256,
    })
}

fn journal_json(journal: &JourneyJournal) -> Value {
    json!({
        "journal": journal.path,
        "lines": journal.lines.map(|(all, _)| all as u64),
        "of_train": journal.lines.map(|(_, own)| own as u64),
        "last": journal.last,
        "keys": journal.signers,
        "has_end": journal.has_end,
        "fault": journal.fault,
    })
}

fn finding_json(finding: &JourneyFinding) -> Value {
    json!({
        "id": finding.id,
        "contradicts": finding.contradicts,
        "stop": finding.stop.map(|stop| stop as u64),
        "what": finding.what,
    })
}
