//! What is written of a stage, and what earlier entries say of the same stop.

use std::path::Path;

use super::JournalEntry;
use super::act::{Act, Deed};
use crate::crypto::hex;
use crate::error::{Advice, Error, ErrorContext, Result};
use crate::image::{ImageReport, Nowhere, ReadDirectory, open_image, read_directory, rfc3339};
use crate::json::{Object, Value, json};
use crate::stage::kept::CLOSED;
use crate::stage::parts::execution::Execution;
use crate::stage::parts::hashing::BackgroundHasher;
use crate::stage::parts::listing::Listing;
use crate::stage::parts::load::{Depth, Train};
use crate::stage::parts::payload::{Transform, transform};
use crate::stage::parts::report::{Report, ResultFile};
use crate::stage::parts::request::StageRequest;
use crate::store::{Context, Reference};
use crate::text::Printable;
use crate::train::{Check, PartyId, Role, paths};

/// What an entry says of a train and of the stop that acts.
pub(super) struct Facts {
    source: String,
    pub(super) digest: String,
    pub(super) id: String,
    wire: &'static str,
    /// What the creator signed: with it, all that stays the same on the way.
    pub(super) hash: String,
    config: String,
    creator: (PartyId, String, bool),
    station: (PartyId, String),
    /// Whether the train has the station's signature, and the station whose turn it is.
    has_signed: bool,
    next: Option<PartyId>,
    pub(super) index: usize,
    stops: usize,
    runs: Execution,
}

impl Facts {
    pub(super) fn read(request: &StageRequest<'_>, context: &Context) -> Result<Self> {
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
    pub(super) fn closed_by<'e>(&self, entries: &'e [JournalEntry]) -> Option<&'e JournalEntry> {
        entries.iter().rev().find(|entry| {
            let acts = [Act::Run, Act::PostRun, Act::Release];
            acts.iter().any(|act| act.closes() && entry.text("/act") == Some(act.name()))
                && entry.text("/outcome") == Some("done")
                && self.is_about(entry)
        })
    }

    /// True if results of this stop have been held after it was closed, by a run that was made again.
    pub(super) fn has_held_since(&self, closed: &JournalEntry, entries: &[JournalEntry]) -> bool {
        entries[closed.line..].iter().any(|entry| entry.text("/outcome") == Some("held") && self.is_about(entry))
    }

    fn is_about(&self, entry: &JournalEntry) -> bool {
        entry.text("/train/hash") == Some(&self.hash)
            && entry.get("/stop/index").and_then(Value::as_u64) == Some(self.index as u64)
    }

    /// The report that the work is done, if what was made of it is where this act would put it; else an error.
    pub(super) fn done_already(&self, deed: Deed<'_>, closed: &JournalEntry) -> Result<Report> {
        let Deed { request, act, recording, context } = deed;
        let after = closed.text("/after").unwrap_or_default();
        let time = closed.text("/time").unwrap_or_default();
        let was = closed.text("/act").unwrap_or_default();
        let target = request.destination.unwrap_or(request.source);
        // A run whose results were held is closed by their release: to run it again is to repeat both.
        let is_released = act == Act::Run && was == Act::Release.name();
        let is_there = act.closes() && digest_at(target, context).as_deref() == Some(after);
        if is_there && (is_released || was == act.name() && self.is_same_work(deed, closed)?) {
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
            recording.journal.path().display()
        );
        let error = Error::verification(what).at(&self.source);
        // What is kept where it was closed need only be sent.
        let kept = closed.text("/destination").filter(|place| {
            let place = place.parse::<Reference>().ok().filter(is_kept_closed);
            place.and_then(|place| digest_at(&place, context)).as_deref() == Some(after)
        });
        Err(match kept {
            Some(archive) => {
                let (archive, target) = (archive.to_owned(), target.absolute());
                error.advise(Advice::SendKept { first: None, archive, target })
            }
            None => error.advise(Advice::Again),
        })
    }

    /// True if `act` would close the stop with what it was closed with: for other results, or other approvals, "done" would
    /// be untrue.
    fn is_same_work(&self, deed: Deed<'_>, closed: &JournalEntry) -> Result<bool> {
        let Deed { request, act, recording, context } = deed;
        let digest = Some(self.digest.as_str());
        let is_same_train = act == Act::Run || [closed.text("/before"), closed.text("/after")].contains(&digest);
        let approvals = |all: Option<&Value>| -> Vec<Value> {
            let mut all = all.and_then(Value::as_array).cloned().unwrap_or_default();
            all.sort_by_key(Value::to_string);
            all
        };
        if !is_same_train || approvals(closed.get("/approvals")) != approvals(recording.details.get("approvals")) {
            return Ok(false);
        }
        match (request.results, closed.get("/results")) {
            (Some(dir), Some(listed)) if dir.is_dir() => Ok(*listed == files_in(dir, request, context)?),
            _ => Ok(true),
        }
    }

    /// What all entries have.
    fn common(&self, deed: Deed<'_>) -> Result<Object> {
        let Deed { request, act, recording, context } = deed;
        let (creator, key, pinned) = &self.creator;
        // Who only erases is asked for no pins.
        let pinned = (act != Act::Reject).then_some(*pinned);
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
            "source": absolute(&self.source),
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

    pub(super) fn predicate(&self, deed: Deed<'_>, report: &Report) -> Result<Object> {
        let mut entry = self.common(deed)?;
        let results = report.results.as_deref().map(listed);
        let ran =
            report.ran.as_ref().map(|ran| json!({ "engine": ran.engine, "seconds": ran.seconds, "exit_status": 0 }));
        entry.insert("before".to_owned(), json!(report.image.digest_before));
        entry.insert("after".to_owned(), json!(report.image.digest_after));
        entry.insert("destination".to_owned(), json!(absolute(&report.image.destination)));
        entry.insert("checks".to_owned(), checks_json(&report.checks));
        entry.insert("results".to_owned(), json!(results));
        entry.insert("ran".to_owned(), json!(ran));
        entry.insert("signature".to_owned(), json!(report.signature));
        Ok(entry)
    }

    /// The entry of a train that was closed, and is kept here since it could not be sent.
    pub(super) fn kept(&self, deed: Deed<'_>, (place, digest): &(String, String)) -> Result<Object> {
        let mut entry = self.common(deed)?;
        entry.insert("after".to_owned(), json!(digest));
        entry.insert("destination".to_owned(), json!(place));
        Ok(entry)
    }

    /// The entry of a train that has failed, or whose results wait for a person: it closes nothing.
    pub(super) fn unfinished(&self, deed: Deed<'_>, (outcome, ran): (&str, Value)) -> Result<Object> {
        let mut entry = self.common(deed)?;
        entry.insert("outcome".to_owned(), json!(outcome));
        entry.insert("ran".to_owned(), ran);
        Ok(entry)
    }
}

/// Checks, as an entry has them.
pub(super) fn checks_json(checks: &[Check]) -> Value {
    let checks = checks.iter().map(|check| {
        let (id, verdict) = (check.id.name(), check.verdict.name());
        json!({ "id": id, "subject": check.subject.to_string(), "verdict": verdict })
    });
    json!(checks.collect::<Vec<_>>())
}

/// The results that leave, as an entry has them.
fn listed(results: &[ResultFile]) -> Value {
    json!(results.iter().map(ResultFile::to_json).collect::<Vec<_>>())
}

/// The results in a directory, as an entry would have them.
pub(super) fn files_in(dir: &Path, request: &StageRequest<'_>, context: &Context) -> Result<Value> {
    let options = ReadDirectory { owners: request.keep_owners, max_files: context.max_files };
    let tree = read_directory(dir, paths::RESULTS, options)?;
    let mut files = BackgroundHasher::new(Listing::new());
    transform(&tree, paths::RESULTS, Transform::Keep, Some(&mut files), &mut Nowhere)?;
    Ok(listed(&files.finish()?.finish(&tree, paths::RESULTS)))
}

/// True if a train was put there since it could not be sent.
fn is_kept_closed(place: &Reference) -> bool {
    let dir = place.path().and_then(Path::parent).and_then(Path::file_name);
    dir.is_some_and(|name| name.to_string_lossy().starts_with(CLOSED))
}

/// The name of a place as it means the same in every working directory.
fn absolute(name: &str) -> String {
    name.parse::<Reference>().map_or_else(|_| name.to_owned(), |place| place.absolute())
}

/// The digest of the image there, if there is one.
pub(super) fn digest_at(place: &Reference, context: &Context) -> Option<String> {
    open_image(place, context).ok().map(|image| image.descriptor().digest().to_string())
}
