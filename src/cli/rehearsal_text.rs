//! What `try` shows in a terminal, and as JSON.

use super::color::{Palette, Style};
use super::review_text::{NEVER_SAFE, file_json, finding_json, findings, inventory};
use super::text::printable;
use crate::error::Kind;
use crate::json::{Value, json};
use crate::review::Review;
use crate::stage::{Limit, Rehearsal, RehearsedStop};
use crate::text::size;
use crate::text::{Printable, counted};

/// A rehearsal for a person at a terminal.
pub(super) fn rehearsal_text(color: Palette, rehearsal: &Rehearsal) -> String {
    let heading = format!(
        "try on {} with {}, over {}",
        Printable::new(&rehearsal.base),
        rehearsal.engine,
        counted(rehearsal.stations.len() as u64, "station")
    );
    let mut text = color.style(Style::Heading, &heading) + "\n" + &warnings(color, &rehearsal.warnings);
    for stop in &rehearsal.stops {
        text += &stop_text(color, stop, rehearsal.stations.len());
    }
    text.push('\n');
    let stopped = rehearsal.stopped();
    let (style, verdict) = match (&rehearsal.error, stopped) {
        (Some(error), _) if error.kind() == Kind::Train => {
            (Style::Bad, "the train fails, as it would at a station".to_owned())
        }
        (Some(_), _) => (Style::Bad, "the train does not come to its end".to_owned()),
        (None, 0) => {
            (Style::Good, format!("the train comes to its end, and no rule of a station stops it; {NEVER_SAFE}"))
        }
        (None, _) => (
            Style::Doubtful,
            format!(
                "the train comes to its end, but a station would stop its results: {}",
                counted(stopped, "finding")
            ),
        ),
    };
    if let Some(place) = rehearsal.results.as_deref() {
        let where_to = if place == "-" { "decrypted, and not kept: give --out DIR".into() } else { printable(place) };
        text += &format!("  {}  {where_to}\n", color.style(Style::Faint, "results"));
    }
    text + &format!("  {}\n", color.style(style, &verdict))
}

fn warnings(color: Palette, all: &[String]) -> String {
    let said =
        |warning: &String| format!("  {}: {}\n", color.style(Style::Doubtful, "warning"), Printable::new(warning));
    all.iter().map(said).collect()
}

fn stop_text(color: Palette, stop: &RehearsedStop, of: usize) -> String {
    let mut heading = format!("stop {} of {of}: {}", stop.index + 1, Printable::new(&stop.station));
    heading += &stop.milliseconds.map(|time| format!(", {}.{} s", time / 1000, time % 1000 / 100)).unwrap_or_default();
    heading += &stop.memory.map(|bytes| format!(", memory {}", size(bytes))).unwrap_or_default();
    let mut text = format!("\n{}\n", color.style(Style::Heading, &heading));
    if let Some(review) = &stop.review {
        text += &of_review(color, review);
    }
    if let Some(failed) = stop.failed {
        let how = match (failed.limit, failed.exit_status) {
            (Some(limit), _) => limit.to_string(),
            (None, Some(status)) => format!("exit status {status}"),
            (None, None) => "the train was ended".to_owned(),
        };
        text += &format!("  {}: {how}\n", color.style(Style::Bad, "FAILED"));
    }
    text + &warnings(color, &stop.warnings)
}

fn of_review(color: Palette, review: &Review) -> String {
    if review.files.is_empty() && review.gone.iter().all(Vec::is_empty) {
        return String::new();
    }
    inventory(color, 2, review) + &findings(color, 2, review)
}

/// A rehearsal for programs.
pub(super) fn rehearsal_json(rehearsal: &Rehearsal) -> Value {
    let verdict = match (&rehearsal.error, rehearsal.stopped()) {
        (Some(_), _) => "failed",
        (None, 0) => "pass",
        (None, _) => "stop",
    };
    json!({
        "stage": "try",
        "base": rehearsal.base,
        "engine": rehearsal.engine,
        "stations": rehearsal.stations,
        "verdict": verdict,
        "warnings": rehearsal.warnings,
        "stops": rehearsal.stops.iter().map(stop_json).collect::<Vec<_>>(),
        "results": rehearsal.results,
    })
}

fn stop_json(stop: &RehearsedStop) -> Value {
    let review = stop.review.as_ref();
    let files = review.map(|review| review.files.iter().map(file_json).collect::<Vec<_>>());
    let findings = review.map(|review| review.findings.iter().map(finding_json).collect::<Vec<_>>());
    json!({
        "index": stop.index as u64,
        "station": stop.station,
        "milliseconds": stop.milliseconds,
        "memory": stop.memory,
        "failed": stop.failed.map(|failed| json!({
            "exit_status": failed.exit_status,
            "limit": failed.limit.map(Limit::name),
        })),
        "written": stop.written,
        "written_more": stop.written_more as u64,
        "verdict": review.map(|review| review.verdict().name()),
        "files": files,
        "gone": review.and_then(|review| review.gone.clone()),
        "findings": findings,
        "warnings": stop.warnings,
    })
}
