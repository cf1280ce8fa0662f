//! What `review` shows in a terminal, and as JSON.

use super::color::{Palette, Style, table};
use super::text::printable;
use crate::crypto::hex;
use crate::json::{Value, json};
use crate::review::{FileReview, Finding, ResultKind, Review, Severity, State};
use crate::stage::{Reviewed, ReviewedTrain};
use crate::text::{Printable, counted, size};

/// Said wherever nothing is found.
pub(super) const NEVER_SAFE: &str = "that nothing is found does not say that the results are safe";

/// A review for a person at a terminal.
pub(super) fn review_text(color: Palette, reviewed: &Reviewed) -> String {
    let review = &reviewed.review;
    let mut text = color.style(Style::Heading, &heading(reviewed)) + "\n";
    text += &format!("  results  {}\n\n", review.digest);
    text += &inventory(color, 2, review);
    text.push('\n');
    text += &findings(color, 2, review);
    let verdict = match review.verdict() {
        Severity::Pass => format!("nothing found; {NEVER_SAFE}"),
        _ => format!("{} found; {NEVER_SAFE}", counted(review.findings.len() as u64, "thing")),
    };
    text + &format!("  {}\n", color.style(Style::Heading, &verdict))
}

/// Every file of a review, and what is gone.
pub(super) fn inventory(color: Palette, indent: usize, review: &Review) -> String {
    let rows = review.files.iter().map(|file| {
        let bytes = size_of(file).map(size).unwrap_or_default();
        let kind = if file.format.is_empty() { file.entry.kind.name() } else { file.format };
        let state = file.state.map_or("", State::name);
        let cells = [printable(&file.path), kind.to_owned(), bytes, state.to_owned(), file.verdict.name().to_owned()];
        (cells.to_vec(), style(file.verdict))
    });
    let heading = ["file", "type", "size", "state", "verdict"];
    let mut text = table(color, indent, &heading, &rows.collect::<Vec<_>>());
    for gone in review.gone.iter().flatten() {
        text += &format!("{:indent$}gone: {}\n", "", printable(gone));
    }
    text
}

/// Every finding of a review.
pub(super) fn findings(color: Palette, indent: usize, review: &Review) -> String {
    let mut text = String::new();
    for finding in &review.findings {
        let place = finding.place.as_deref().map(|place| format!(" ({})", Printable::new(place))).unwrap_or_default();
        let key = printable(&finding.key());
        let severity = color.style(style(finding.severity), finding.severity.name());
        text += &format!("{:indent$}{severity}  {key}{place}: {}\n", "", Printable::new(&finding.evidence));
    }
    text
}

fn heading(reviewed: &Reviewed) -> String {
    match &reviewed.train {
        Some(train) => format!(
            "review of {}, stop {} of {} ({})",
            Printable::new(&train.source),
            train.stop.0 + 1,
            train.stop.1,
            Printable::new(&train.station)
        ),
        None => "review of a directory of results".to_owned(),
    }
}

pub(super) fn style(severity: Severity) -> Style {
    match severity {
        Severity::Pass => Style::Good,
        Severity::Look => Style::Doubtful,
        Severity::Stop => Style::Bad,
    }
}

/// Bytes of a regular file.
pub(super) fn size_of(file: &FileReview) -> Option<u64> {
    match file.entry.kind {
        ResultKind::File { size, .. } => Some(size),
        _ => None,
    }
}

/// A review for programs.
pub(super) fn review_json(reviewed: &Reviewed) -> Value {
    let review = &reviewed.review;
    let mut policy = review.policy.to_json();
    if let (Some(policy), Ok(digest)) = (policy.as_object_mut(), review.policy.digest()) {
        policy.insert("digest".to_owned(), digest.into());
    }
    json!({
        "train": reviewed.train.as_ref().map(train_json),
        "results": review.digest,
        "policy": policy,
        "verdict": review.verdict().name(),
        "files": review.files.iter().map(file_json).collect::<Vec<_>>(),
        "gone": review.gone,
        "findings": review.findings.iter().map(finding_json).collect::<Vec<_>>(),
        "against": review.against,
    })
}

fn train_json(train: &ReviewedTrain) -> Value {
    json!({
        "source": train.source,
        "id": train.id,
        "wire": train.wire,
        "creator": train.creator,
        "creator_key": train.creator_key,
        "config": train.config,
        "stop": { "index": train.stop.0 as u64, "of": train.stop.1 as u64, "station": train.station },
    })
}

pub(super) fn file_json(file: &FileReview) -> Value {
    let digest = match &file.entry.kind {
        ResultKind::File { digest, .. } => Some(hex::encode(digest)),
        _ => None,
    };
    json!({
        "path": file.path,
        "kind": file.entry.kind.name(),
        "mode": format!("{:04o}", file.entry.mode),
        "size": size_of(file),
        "sha256": digest,
        "type": Some(file.format).filter(|format| !format.is_empty()),
        "state": file.state.map(State::name),
        "verdict": file.verdict.name(),
    })
}

pub(super) fn finding_json(finding: &Finding) -> Value {
    json!({
        "finding": finding.key(),
        "check": finding.check.name(),
        "severity": finding.severity.name(),
        "path": finding.path,
        "place": finding.place,
        "evidence": finding.evidence,
    })
}
