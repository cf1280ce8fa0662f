//! The entry of a stage, and what earlier entries say of the train that it is about.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::turn::Turn;
use super::{Journal, JournalEntry, read_line};
use crate::crypto::hex;
use crate::error::{Advice, Error, ErrorContext, IoContext, Kind, Result};
use crate::image::{ImageReport, open_image, rfc3339};
use crate::json::{Object, Value, json};
use crate::stage::parts::execution::Execution;
use crate::stage::parts::load::{Depth, Train};
use crate::stage::parts::report::Report;
use crate::stage::parts::request::StageRequest;
use crate::store::fs::parent_of;
use crate::store::{Context, Reference};
use crate::text::{Printable, quoted};
use crate::train::{PartyId, Role};

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
    fn closes(self) -> bool {
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

/// What is left of a run may be erased whenever it is; but once its stop is `closed`, nothing is rejected any more.
fn erased_later(mut report: Report, closed: &JournalEntry) -> Report {
    let [was, time] =
        ["/act", "/time"].map(|member| Printable::new(closed.text(member).unwrap_or_default()).to_string());
    let what = format!("the stop was closed by {was} at {time}: only what was left of its run is erased");
    report.notes.push(what + ", and no rejection is recorded");
    report
}

/// The last of the entries by which the station of `request` has closed the stop of the train there.
///
/// # Errors
/// [`Kind::Malformed`](crate::error::Kind::Malformed) if this is no train,
/// [`Kind::Key`](crate::error::Kind::Key) if the station is not on its route.
pub fn closing_entry<'e>(
    request: &StageRequest<'_>,
    entries: &'e [JournalEntry],
    context: &Context,
) -> Result<Option<&'e JournalEntry>> {
    Ok(Facts::read(request, context)?.closed_by(entries))
}

/// Does `work`, the stage of `request`, and records it; without a journal it is only done. A stop that was closed before is
/// not closed again as something else, and is not opened again either; if its work is done where it has to be, nothing is
/// done again, and the report says so.
///
/// # Errors
/// Those of `work`, before which nothing is recorded but the failure of a train, and that results are held;
/// [`Kind::Verification`](crate::error::Kind::Verification) if the journal says that the stop is closed, or the journal
/// was changed; [`Kind::Decision`](crate::error::Kind::Decision) if the work is done and could not be recorded;
/// input/output.
pub fn recorded(
    request: &StageRequest<'_>,
    act: Act,
    recording: Option<Recording<'_>>,
    context: &Context,
    work: impl FnOnce() -> Result<Report>,
) -> Result<Report> {
    let Some(recording) = recording else { return work() };
    let room = recording.journal.prepare()?;
    let mut facts = Facts::read(request, context)?;
    // What another process does to the same stop has to be in the journal before it is asked.
    let turn = Turn::take(recording.journal.path(), &facts.hash, facts.index, context.waiting)?;
    let entries = recording.journal.entries()?;
    if turn.waited {
        facts = Facts::read(request, context)?;
    }
    // What was held after the stop was closed is rejected as if it never had been.
    let is_meant = |closed: &&JournalEntry| act != Act::Reject || !facts.has_held_since(closed, &entries);
    let closed = facts.closed_by(&entries).filter(is_meant);
    if let (Some(closed), Act::Reject) = (closed, act) {
        return work().map(|report| erased_later(report, closed));
    }
    if let (Some(closed), false) = (closed, recording.again) {
        let report = facts.done_already(request, act, closed, recording.journal, context)?;
        return hand_out_again(closed, &recording).map(|()| report);
    }
    recording.receipt.map_or(Ok(()), ensure_new)?;
    let worked = work();
    let predicate = match &worked {
        Ok(report) => facts.predicate(request, act, &recording, report, context)?,
        Err(error) => match (kept_by(error, context), failure_of(error)) {
            (Some(kept), _) => facts.kept(request, act, &recording, &kept, context)?,
            (None, Some(failure)) => facts.unfinished(request, act, &recording, ("failed", failure), context)?,
            (None, None) => match error.advice() {
                Some(Advice::ReviewHeld { opened, results, .. }) => {
                    let held = json!({ "image": opened, "results": results, "exit_status": 0 });
                    facts.unfinished(request, act, &recording, ("held", held), context)?
                }
                _ => return worked,
            },
        },
    };
    let subject = format!("train/{}", facts.id);
    let after = predicate.get("after").and_then(Value::as_str).map(str::to_owned);
    let digest = after.as_deref().unwrap_or(&facts.digest);
    drop(room);
    let mut line = Vec::new();
    let written = recording.journal.append_line((&subject, digest), predicate, request.station.key, &mut line);
    let mut report = match (worked, written) {
        (Ok(report), Ok(())) => report,
        (Ok(report), Err(error)) => {
            let error = unrecorded(error, &line, recording.journal, context);
            let place = format!("{} is done and in {}, but not recorded", act.name(), report.image.destination);
            return Err(error.at(place));
        }
        (Err(error), written) => {
            if let Err(second) = written {
                tracing::warn!("the failure could not be recorded: {second}");
            }
            return Err(error);
        }
    };
    if let Some(path) = recording.receipt {
        write_new(path, &line)?;
        report.notes.push(format!("the receipt is in {}", path.display()));
    }
    report.notes.push(format!("recorded in {}", recording.journal.path().display()));
    Ok(report)
}

/// The receipt of an act that was done before: the answer that was lost may have been the receipt.
fn hand_out_again(closed: &JournalEntry, recording: &Recording<'_>) -> Result<()> {
    match recording.receipt {
        Some(path) if !holds(path, &closed.text) => ensure_new(path).and_then(|()| write_new(path, &closed.text)),
        _ => Ok(()),
    }
}

/// What is to be said of an act that is done and could not be recorded: to repeat it would do it twice. Its line is kept in
/// another place, if it can be.
fn unrecorded(error: Error, line: &[u8], journal: &Journal, context: &Context) -> Error {
    let kept = tempfile::Builder::new().prefix("pht-oci-journal-").suffix(".line").tempfile_in(&context.temporary);
    let kept = kept.and_then(|mut kept| {
        kept.write_all(&[line, b"\n"].concat())?;
        kept.as_file().sync_all()?;
        kept.keep().map(|(_, path)| path).map_err(|failed| failed.error)
    });
    let hint = match kept {
        Ok(path) if !line.is_empty() => format!(
            "do not repeat the command; mend that, and then record it before anything else is\ncat {} >> {}",
            quoted(&path.to_string_lossy()),
            quoted(&journal.path().to_string_lossy())
        ),
        _ => "do not repeat the command; note by hand what was done, and mend the journal before the next train"
            .to_owned(),
    };
    error.as_kind(Kind::Decision).hint(hint)
}

/// The closed train that could not be sent and is kept on this machine: its place and digest. The stop is signed by now.
fn kept_by(error: &Error, context: &Context) -> Option<(String, String)> {
    let Some(Advice::SendKept { archive, .. }) = error.advice() else { return None };
    let place: Reference = archive.parse().ok()?;
    Some((archive.clone(), digest_at(&place, context)?))
}

/// The failure of a train, as an entry has it.
fn failure_of(error: &Error) -> Option<Value> {
    #[cfg(feature = "engines")]
    if let Some(failed) =
        std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<crate::stage::TrainFailed>())
    {
        return Some(json!({ "exit_status": failed.exit_status, "log": failed.log.display().to_string() }));
    }
    let _ = error;
    None
}

/// True if the file is the receipt of this line.
fn holds(path: &Path, line: &[u8]) -> bool {
    read_line(path).is_ok_and(|text| text.strip_suffix(b"\n") == Some(line))
}

fn ensure_new(path: &Path) -> Result<()> {
    if !parent_of(path).is_dir() {
        let hint = "create the directory first";
        return Err(Error::usage("there is no directory for the receipt").hint(hint).at(path.display()));
    }
    match path.symlink_metadata() {
        Err(_) => Ok(()),
        Ok(_) => Err(Error::usage("the path exists").hint("give the name of a new file").at(path.display())),
    }
}

fn write_new(path: &Path, line: &[u8]) -> Result<()> {
    let opened = File::options().write(true).create_new(true).mode(0o644).open(path);
    let written = opened.and_then(|mut file| file.write_all(&[line, b"\n"].concat()).and_then(|()| file.sync_all()));
    written.doing("write the receipt").at(path.display())
}

/// What an entry says of a train and of the stop that acts.
struct Facts {
    source: String,
    digest: String,
    id: String,
    wire: &'static str,
    /// What the creator signed: with it, all that stays the same on the way.
    hash: String,
    config: String,
    creator: (PartyId, String, bool),
    station: (PartyId, String),
    /// Whether the train has the station's signature, and the station whose turn it is.
    has_signed: bool,
    next: Option<PartyId>,
    index: usize,
    stops: usize,
    runs: Execution,
}

impl Facts {
    fn read(request: &StageRequest<'_>, context: &Context) -> Result<Self> {
        let mut train = Train::load(open_image(request.source, context)?, &context.temporary, Depth::Config)?;
        train.view.verify()?;
        let (config, stop) = (&train.config, train.stop_of(&request.station).at(train.name())?);
        let creator = config.creator();
        let pinned = request.policy.trust.and_then(|trust| trust.pinned(Role::Creator, &creator.id));
        Ok(Facts {
            source: train.name(),
            digest: train.image.descriptor().digest().to_string(),
            id: config.id().to_owned(),
            wire: config.wire().name(),
            hash: hex::encode(config.hash()),
            config: train.config_digest(),
            creator: (
                creator.id.clone(),
                creator.public_key.fingerprint(),
                pinned.is_some_and(|pinned| *pinned == creator.public_key),
            ),
            station: (stop.station.clone(), stop.public_key.fingerprint()),
            has_signed: stop.signature.is_some(),
            next: config.route().stops().iter().find(|stop| stop.signature.is_none()).map(|stop| stop.station.clone()),
            index: stop.index,
            stops: config.route().stops().len(),
            runs: Execution::of(&train, None, None, context),
        })
    }

    /// The entry by which this stop of this train was closed, the last one.
    fn closed_by<'e>(&self, entries: &'e [JournalEntry]) -> Option<&'e JournalEntry> {
        entries.iter().rev().find(|entry| {
            let acts = [Act::Run, Act::PostRun, Act::Release];
            acts.iter().any(|act| act.closes() && entry.text("/act") == Some(act.name()))
                && entry.text("/outcome") == Some("done")
                && self.is_about(entry)
        })
    }

    /// True if results of this stop have been held after it was closed, by a run that was made again.
    fn has_held_since(&self, closed: &JournalEntry, entries: &[JournalEntry]) -> bool {
        entries[closed.line..].iter().any(|entry| entry.text("/outcome") == Some("held") && self.is_about(entry))
    }

    fn is_about(&self, entry: &JournalEntry) -> bool {
        entry.text("/train/hash") == Some(&self.hash)
            && entry.get("/stop/index").and_then(Value::as_u64) == Some(self.index as u64)
    }

    /// The report that the work is done, if what was made of it is where this act would put it; else an error.
    fn done_already(
        &self,
        request: &StageRequest<'_>,
        act: Act,
        closed: &JournalEntry,
        journal: &Journal,
        context: &Context,
    ) -> Result<Report> {
        let after = closed.text("/after").unwrap_or_default();
        let time = closed.text("/time").unwrap_or_default();
        let was = closed.text("/act").unwrap_or_default();
        let target = request.destination.unwrap_or(request.source);
        if act.closes() && was == act.name() && digest_at(target, context).as_deref() == Some(after) {
            let note = format!(
                "already done {} (line {} of the journal): nothing was done again",
                Printable::new(time),
                closed.line
            );
            let image = ImageReport {
                source: self.source.clone(),
                destination: target.to_string(),
                digest_before: Some(self.digest.clone()),
                digest_after: Some(after.to_owned()),
                ..ImageReport::default()
            };
            return Ok(Report {
                stage: act.name(),
                station: Some(self.station.0.to_string()),
                wire: Some(self.wire),
                image,
                notes: vec![note],
                ..Report::default()
            });
        }
        if self.has_signed {
            // The train itself says so, and where it has to go now.
            let hint = match &self.next {
                Some(next) => format!("send it to station `{next}`"),
                None => "send it to its creator".to_owned(),
            };
            let what = format!("station `{}` has signed this train already", self.station.0);
            return Err(Error::verification(what).hint(hint).at(&self.source));
        }
        let what = format!(
            "station `{}` has closed this stop of the train already, by {} {} (to {}, {}, line {} of {}): an older state of \
             the train has come in again, or the stop would be signed twice",
            self.station.0,
            Printable::new(was),
            Printable::new(time),
            Printable::new(closed.text("/destination").unwrap_or_default()),
            Printable::new(after),
            closed.line,
            journal.path().display()
        );
        Err(Error::verification(what).advise(Advice::Again).at(&self.source))
    }

    /// What all entries have.
    fn common(
        &self,
        request: &StageRequest<'_>,
        act: Act,
        recording: &Recording<'_>,
        context: &Context,
    ) -> Result<Object> {
        let (creator, key, pinned) = &self.creator;
        let runs = &self.runs;
        let base = runs.base.as_ref();
        let mut entry = json!({
            "act": act.name(),
            "outcome": "done",
            "time": rfc3339(context.now)?,
            "station": { "id": self.station.0.to_string(), "key": self.station.1 },
            "train": {
                "id": self.id,
                "wire": self.wire,
                "hash": self.hash,
                "config": self.config,
                "creator": { "id": creator.to_string(), "key": key, "pinned": pinned },
            },
            "stop": { "index": self.index as u64, "of": self.stops as u64 },
            "trust": { "pinned": request.policy.trust.is_some(), "strict": request.policy.strict },
            "source": self.source,
            "before": self.digest,
            "after": null,
            "again": recording.again,
            "runs": {
                "signed": runs.signed,
                "entrypoint": runs.entrypoint,
                "command": runs.command,
                "user": runs.user,
                "base": base.map(|base| json!({ "layers": base.layers as u64, "chain_id": base.chain_id })),
            },
            "tool": { "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION") },
        });
        let Value::Object(entry) = &mut entry else { return Err(Error::internal("an entry that is no object")) };
        entry.extend(recording.details.clone());
        Ok(std::mem::take(entry))
    }

    fn predicate(
        &self,
        request: &StageRequest<'_>,
        act: Act,
        recording: &Recording<'_>,
        report: &Report,
        context: &Context,
    ) -> Result<Object> {
        let mut entry = self.common(request, act, recording, context)?;
        let checks: Vec<Value> = report
            .checks
            .iter()
            .map(|check| {
                let (id, verdict) = (check.id.name(), check.verdict.name());
                json!({ "id": id, "subject": check.subject.to_string(), "verdict": verdict })
            })
            .collect();
        let results = report.results.as_ref().map(|results| -> Vec<Value> {
            let one = results.iter().map(|file| json!({ "path": file.path, "size": file.size, "sha256": file.sha256 }));
            one.collect()
        });
        let ran =
            report.ran.as_ref().map(|ran| json!({ "engine": ran.engine, "seconds": ran.seconds, "exit_status": 0 }));
        entry.insert("before".to_owned(), json!(report.image.digest_before));
        entry.insert("after".to_owned(), json!(report.image.digest_after));
        entry.insert("destination".to_owned(), json!(report.image.destination));
        entry.insert("checks".to_owned(), json!(checks));
        entry.insert("results".to_owned(), json!(results));
        entry.insert("ran".to_owned(), json!(ran));
        Ok(entry)
    }

    /// The entry of a train that was closed, and is kept here since it could not be sent.
    fn kept(
        &self,
        request: &StageRequest<'_>,
        act: Act,
        recording: &Recording<'_>,
        (place, digest): &(String, String),
        context: &Context,
    ) -> Result<Object> {
        let mut entry = self.common(request, act, recording, context)?;
        entry.insert("after".to_owned(), json!(digest));
        entry.insert("destination".to_owned(), json!(place));
        Ok(entry)
    }

    /// The entry of a train that has failed, or whose results wait for a person: it closes nothing.
    fn unfinished(
        &self,
        request: &StageRequest<'_>,
        act: Act,
        recording: &Recording<'_>,
        (outcome, ran): (&str, Value),
        context: &Context,
    ) -> Result<Object> {
        let mut entry = self.common(request, act, recording, context)?;
        entry.insert("outcome".to_owned(), json!(outcome));
        entry.insert("ran".to_owned(), ran);
        Ok(entry)
    }
}

/// The digest of the image there, if there is one.
fn digest_at(place: &Reference, context: &Context) -> Option<String> {
    open_image(place, context).ok().map(|image| image.descriptor().digest().to_string())
}
