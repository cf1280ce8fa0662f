//! Reports and errors as JSON documents; `pht-oci help json` says what is in them.

use super::advice::{close_command, review_command, send_command, words};
use super::repeated::Repeated;
use crate::error::{Advice, Error};
use crate::image::ImageReport;
use crate::json::{Value, json};
use crate::stage::{Execution, Inspection, Report, ResultFile, Statement, Verification};
#[cfg(feature = "engines")]
use crate::stage::{Limit, TrainFailed};
use crate::train::{Check, Verdict};

pub(super) fn error_json(error: &Error, repeated: &Repeated) -> Value {
    let mut document = json!({ "error": {
        "kind": error.kind().name(),
        "exit_status": error.kind().exit_status(),
        "message": error.to_string(),
        "what": error.what(),
        "where": error.places().collect::<Vec<_>>(),
        "hint": error.advice().map(|hint| words(hint, repeated)),
    }});
    if let Some((id, subject)) = error.check() {
        document["error"]["check"] = id.into();
        document["error"]["subject"] = subject.into();
    }
    if let Some(kept) = kept(error, repeated) {
        document["error"]["kept"] = kept;
    }
    #[cfg(feature = "engines")]
    if let Some(failed) = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<TrainFailed>()) {
        document["error"]["train"] = json!({
            "exit_status": failed.exit_status,
            "limit": failed.limit.map(Limit::name),
            "log": failed.log.display().to_string(),
        });
    }
    document
}

/// What was kept of a train that has run, and how to go on with it.
fn kept(error: &Error, given: &Repeated) -> Option<Value> {
    match error.advice()? {
        Advice::SendKept { archive, target, .. } => {
            let command = send_command(archive, target, given);
            Some(json!({ "image": archive, "results": null, "destination": target, "command": command }))
        }
        Advice::CloseKept { opened, results, source, target, .. } => {
            let command = close_command(opened, results, source, target, given);
            Some(json!({ "image": opened, "results": results, "destination": target, "command": command }))
        }
        Advice::ReviewHeld { opened, results, target, .. } | Advice::SeeToHeld { opened, results, target } => {
            let command = review_command(opened, results, given);
            Some(json!({ "image": opened, "results": results, "destination": target, "command": command }))
        }
        _ => None,
    }
}

pub(super) fn report_json(report: &Report) -> Value {
    let mut document = image_report_json(report.stage, &report.image);
    document["station"] = json!(report.station);
    document["wire"] = json!(report.wire);
    document["checks"] = report.checks.iter().map(check_json).collect();
    document["warnings"] = json!(report.warnings);
    document["notes"] = json!(report.notes);
    if let Some(runs) = &report.runs {
        document["runs"] = execution_json(runs);
    }
    if let Some(results) = &report.results {
        document["results"] = results.iter().map(ResultFile::to_json).collect();
    }
    if let Some(ran) = &report.ran {
        let log = ran.log.display().to_string();
        document["ran"] = json!({ "engine": ran.engine, "seconds": ran.seconds, "log": log });
    }
    document
}

/// The report of a command that knows no train: what a train would have is null or empty.
pub(super) fn image_report_json(command: &str, report: &ImageReport) -> Value {
    json!({
        "stage": command,
        "station": null,
        "wire": null,
        "source": report.source,
        "destination": report.destination,
        "digest": { "before": report.digest_before, "after": report.digest_after },
        "layers": {
            "added": report.layers.added,
            "dropped": report.layers.dropped,
            "reused": report.layers.reused,
        },
        "bytes": {
            "read": report.bytes.read,
            "written": report.bytes.written,
            "transferred": report.bytes.transferred,
        },
        "checks": [],
        "warnings": [],
        "notes": [],
    })
}

pub(super) fn check_json(check: &Check) -> Value {
    json!({
        "id": check.id.name(),
        "subject": check.subject.to_string(),
        "verdict": check.verdict.name(),
        "reason": check.reason(),
    })
}

pub(super) fn verification_json(found: &Verification) -> Value {
    let verdict = |verdict: &Option<Verdict>| verdict.as_ref().map(Verdict::name);
    let stops = found.stops.iter().map(|stop| {
        json!({
            "index": stop.index,
            "station": stop.station,
            "key": stop.key,
            "signed": stop.signed,
            "signature": verdict(&stop.signature),
            "digest": verdict(&stop.digest),
        })
    });
    json!({
        "source": found.source,
        "digest": found.digest,
        "wire": found.wire,
        "id": found.id,
        "verdict": if found.is_only_open() { "open" } else { found.verdict().name() },
        "fault": found.fault.as_ref().map(Error::to_string),
        "checks": found.checks.iter().map(check_json).collect::<Vec<_>>(),
        "stops": stops.collect::<Vec<_>>(),
        "read": found.read,
        "unread_layers": found.digest.as_ref().map(|_| found.unread_layers),
        "warnings": found.warnings,
    })
}

pub(super) fn statement_json(statement: &Statement) -> Value {
    let route = statement
        .route
        .iter()
        .map(|(station, eco_system, key)| json!({ "station": station, "eco_system": eco_system, "key": key }));
    let files = statement.files.iter().map(|(path, facts)| {
        json!({ "path": path, "mode": facts.map(|(mode, _)| mode), "size": facts.map(|(_, size)| size) })
    });
    json!({
        "id": statement.id,
        "wire": statement.wire,
        "proposal": statement.proposal,
        "session_id": statement.session_id,
        "hash": statement.hash,
        "creator": { "id": statement.creator.0, "key": statement.creator.1 },
        "builder": statement.builder,
        "paillier": statement.paillier,
        "source": statement.source,
        "route": route.collect::<Vec<_>>(),
        "route_is_signed": statement.binds_route,
        "files": files.collect::<Vec<_>>(),
        "held_against": statement.held_against,
        "image": statement.execution,
        "base": statement.base,
        "image_is_signed": statement.binds_image,
    })
}

/// What [`inspect`](crate::stage::inspect) found, as a document.
pub(super) fn inspection_json(train: &Inspection) -> Value {
    let stops = train.route.iter().map(|stop| {
        json!({
            "index": stop.index,
            "station": stop.station,
            "eco_system": stop.eco_system,
            "key": stop.key,
            "signed": stop.signed,
            "signed_at": stop.signed_at,
        })
    });
    let listed = train.listed.iter().map(|file| json!({ "path": file.path, "size": file.size }));
    json!({
        "source": train.source,
        "digest": train.digest,
        "wire": train.wire,
        "id": train.id,
        "hash": train.hash,
        "creator": train.creator,
        "creator_key": train.creator_key,
        "builder_key": train.builder_key,
        "built_at": train.built_at,
        "state": train.state().name(),
        "master": train.master,
        "route": stops.collect::<Vec<_>>(),
        "waits_for_creator": train.waits_for_creator,
        "next": train.next.map(|next| &train.route[next].station),
        "files": train.files,
        "file_list": listed.collect::<Vec<_>>(),
        "layers": train.layers,
        "left_out": train.left_out,
        "base_layers": train.base_layers,
        "base_size": train.base_size,
        "size": train.size,
        "stage": train.stage,
        "runs": execution_json(&train.runs),
    })
}

fn execution_json(runs: &Execution) -> Value {
    json!({
        "signed": runs.signed,
        "platform": runs.platform,
        "entrypoint": runs.entrypoint,
        "command": runs.command,
        "user": runs.user,
        "working_dir": runs.working_dir,
        "env": runs.env,
        "env_changed": runs.env_changed,
        "base": runs.base.as_ref().map(|base| json!({ "layers": base.layers, "chain_id": base.chain_id })),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn an_error_names_the_train_that_was_kept() {
        let (archive, target) =
            ("oci-archive:/var/kept/train.tar:latest".to_owned(), "docker://r.example/t".to_owned());
        let advice = Advice::SendKept { first: None, archive: archive.clone(), target: target.clone() };
        let error = Error::new(Kind::Registry, "the registry does not answer").advise(advice);
        let kept = &error_json(&error, &Repeated::default())["error"]["kept"];
        assert_eq!((&kept["image"], &kept["destination"]), (&json!(archive), &json!(target)));
        assert_eq!(kept["command"], format!("pht-oci copy {archive} {target}"));
        assert!(error_json(&Error::usage("nothing was kept"), &Repeated::default())["error"].get("kept").is_none());
    }
}
