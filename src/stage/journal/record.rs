//! The entry of a stage, and what earlier entries say of the train that it is about.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::act::{Act, Deed, Recording};
use super::facts::{Facts, digest_at, files_in};
use super::turn::Turn;
use super::{Journal, JournalEntry, read_line};
use crate::error::{Advice, Error, ErrorContext, IoContext, Kind, Result};
use crate::json::{Object, Value, json};
use crate::stage::parts::report::Report;
use crate::stage::parts::request::StageRequest;
use crate::store::fs::parent_of;
use crate::store::{Context, Reference};
use crate::text::{Printable, quoted};

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
    let deed = Deed { request, act, recording: &recording, context };
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
        let report = facts.done_already(deed, closed)?;
        return hand_out_again(closed, &recording).map(|()| report);
    }
    recording.receipt.map_or(Ok(()), ensure_new)?;
    // What is erased cannot be listed afterwards.
    let erased = match (act, request.results) {
        (Act::Reject, Some(dir)) if dir.is_dir() => Some(files_in(dir, request, context)?),
        _ => None,
    };
    let worked = work();
    let Some(predicate) = entry_of(&worked, &facts, deed, erased)? else { return worked };
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

/// The entry of what came of an act, with what it has `erased`; nothing of a failure that leaves all as it was.
fn entry_of(worked: &Result<Report>, facts: &Facts, deed: Deed<'_>, erased: Option<Value>) -> Result<Option<Object>> {
    let error = match worked {
        // The destination had the closed train already: who closed it has recorded it, or had no journal.
        Ok(report) if deed.act == Act::Run && report.ran.is_none() => return Ok(None),
        Ok(report) => {
            let mut entry = facts.predicate(deed, report)?;
            erased.map(|erased| entry.insert("results".to_owned(), erased));
            return Ok(Some(entry));
        }
        Err(error) => error,
    };
    if let Some(kept) = kept_by(error, deed.context) {
        return facts.kept(deed, &kept).map(Some);
    }
    if let Some(failure) = failure_of(error) {
        return facts.unfinished(deed, ("failed", failure)).map(Some);
    }
    let Some(Advice::ReviewHeld { opened, results, .. }) = error.advice() else { return Ok(None) };
    let (engine, seconds, checks) = held_by(error);
    let held = json!({
        "image": opened,
        "results": results,
        "engine": engine,
        "seconds": seconds,
        "exit_status": 0,
    });
    let mut entry = facts.unfinished(deed, ("held", held))?;
    entry.insert("checks".to_owned(), checks);
    // Where they are is what the person has to know first.
    if let Ok(files) = files_in(Path::new(results), deed.request, deed.context) {
        entry.insert("results".to_owned(), files);
    }
    Ok(Some(entry))
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

/// The cause of an error, if it is one of these.
#[cfg(feature = "engines")]
fn cause_of<T: std::error::Error + 'static>(error: &Error) -> Option<&T> {
    std::error::Error::source(error).and_then(|cause| cause.downcast_ref())
}

/// Of a run whose results are held its engine, how long it took, and the checks that were made before.
fn held_by(error: &Error) -> (Value, Value, Value) {
    #[cfg(feature = "engines")]
    if let Some(crate::stage::RunHeld { checks, ran }) = cause_of(error) {
        return (json!(ran.engine), json!(ran.seconds), super::facts::checks_json(checks));
    }
    let _ = error;
    (Value::Null, Value::Null, Value::Null)
}

/// The failure of a train, as an entry has it.
fn failure_of(error: &Error) -> Option<Value> {
    #[cfg(feature = "engines")]
    if let Some(failed) = cause_of::<crate::stage::TrainFailed>(error) {
        let (status, log) = (failed.exit_status, failed.log.display().to_string());
        return Some(json!({ "exit_status": status, "seconds": failed.seconds, "log": log }));
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
