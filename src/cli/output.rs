//! Reports and errors, as text for people and as JSON for programs.

use std::io::{self, Write};

use super::paint::{Paint, Tone, may_colour};
use super::progress::Display;
use super::{Format, people};
use crate::error::{Error, IoContext, Result};
use crate::json::{Value, json};
use crate::stage::{Inspection, Report, TrainFailed, Verification};
use crate::train::{Check, Verdict};

/// Where a command says what it did: on standard output, in the form that was asked for.
pub(super) struct Output {
    format: Format,
    quiet: bool,
    /// Standard output is taken.
    aside: bool,
    display: Display,
}

impl Output {
    pub(super) fn new(format: Format, quiet: bool, display: Display) -> Self {
        Output { format, quiet, aside: false, display }
    }

    /// Reports go to standard error from now on: standard output has something else to carry.
    pub(super) fn step_aside(&mut self) {
        self.aside = true;
    }

    /// What the command was asked for, in the form that it has, whatever form reports have.
    pub(super) fn data(&self, bytes: &[u8]) -> Result<()> {
        print_to(&mut io::stdout(), bytes)
    }

    /// How what goes to standard output, or aside, is coloured.
    fn paint(&self) -> Paint {
        Paint::new(if self.aside { may_colour(&io::stderr()) } else { may_colour(&io::stdout()) })
    }

    /// Whether only errors are to be shown.
    pub(super) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// The report of a stage.
    pub(super) fn report(&mut self, report: &Report) -> Result<()> {
        match self.format {
            Format::Json => self.print(&format!("{}\n", report_json(report))),
            Format::Text if self.quiet => Ok(()),
            Format::Text => self.print(&report_text(self.paint(), report)),
        }
    }

    /// What a train says of itself.
    pub(super) fn inspection(&mut self, inspection: &Inspection) -> Result<()> {
        match self.format {
            Format::Json => self.print(&format!("{}\n", inspection_json(inspection))),
            Format::Text if self.quiet => Ok(()),
            Format::Text => self.print(&people::inspection(self.paint(), inspection)),
        }
    }

    /// What can be said of a train without any private key.
    pub(super) fn verification(&mut self, found: &Verification) -> Result<()> {
        match self.format {
            Format::Json => self.print(&format!("{}\n", verification_json(found))),
            Format::Text if self.quiet => Ok(()),
            Format::Text => self.print(&people::verification(self.paint(), found)),
        }
    }

    /// A result of another kind.
    pub(super) fn value(&mut self, text: &str, json: &Value) -> Result<()> {
        match self.format {
            Format::Json => self.print(&format!("{json}\n")),
            Format::Text if self.quiet => Ok(()),
            Format::Text => self.print(text),
        }
    }

    /// Something the person should know though nothing is wrong, on standard error: standard output has the result.
    pub(super) fn warn(&self, what: &str) {
        if !self.quiet {
            tracing::warn!("{what}");
        }
    }

    /// An error, on standard error.
    pub(super) fn error(&self, error: &Error) {
        let text = match self.format {
            Format::Json => format!("{}\n", error_json(error)),
            Format::Text => {
                let hint = error.advice().map(|hint| format!("pht-oci: hint: {hint}\n")).unwrap_or_default();
                format!("pht-oci: {error}\n{hint}")
            }
        };
        // If even standard error is closed, the exit status has to say it.
        let _ = io::stderr().write_all(text.as_bytes());
    }

    fn print(&self, text: &str) -> Result<()> {
        self.display.end();
        if self.aside { print_to(&mut io::stderr(), text.as_bytes()) } else { self.data(text.as_bytes()) }
    }
}

fn print_to(stream: &mut dyn Write, bytes: &[u8]) -> Result<()> {
    match stream.write_all(bytes).and_then(|()| stream.flush()) {
        // Nobody wants to read on: `pht-oci inspect x | head -1`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.doing("write the report"),
    }
}

fn error_json(error: &Error) -> Value {
    let mut document = json!({ "error": {
        "kind": error.kind().name(),
        "exit_status": error.kind().exit_status(),
        "message": error.to_string(),
        "what": error.what(),
        "where": error.places().collect::<Vec<_>>(),
        "hint": error.advice(),
    }});
    if let Some(failed) = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<TrainFailed>()) {
        document["error"]["train"] =
            json!({ "exit_status": failed.exit_status, "log": failed.log.display().to_string() });
    }
    document
}

fn report_json(report: &Report) -> Value {
    let mut document = json!({
        "stage": report.stage,
        "station": report.station,
        "wire": report.wire,
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
        "checks": report.checks.iter().map(check_json).collect::<Vec<_>>(),
        "warnings": report.warnings,
        "notes": report.notes,
    });
    if let Some(ran) = &report.ran {
        let log = ran.log.display().to_string();
        document["ran"] = json!({ "engine": ran.engine, "seconds": ran.seconds, "log": log });
    }
    document
}

fn check_json(check: &Check) -> Value {
    json!({
        "id": check.id,
        "subject": check.subject,
        "verdict": check.verdict.name(),
        "reason": check.verdict.reason(),
    })
}

fn report_text(paint: Paint, report: &Report) -> String {
    let mut heading = format!("{} of {}", report.stage, report.source);
    if let Some(station) = &report.station {
        heading += &format!(" at station {station}");
    }
    // A copy does not look whether it is a train.
    if !report.wire.is_empty() {
        heading += &format!(" (wire {})", report.wire);
    }
    let mut text = paint.tone(Tone::Heading, &heading) + "\n";
    report.checks.iter().for_each(|check| text += &people::check(paint, check));
    for warning in &report.warnings {
        text += &format!("  {}: {warning}\n", paint.tone(Tone::Doubtful, "warning"));
    }
    report.notes.iter().for_each(|note| text += &format!("  {note}\n"));
    text += &format!("  {}", report.destination);
    if let Some(digest) = &report.digest_after {
        let layers = &report.layers;
        let (added, reused, dropped) = (layers.added.len(), layers.reused, layers.dropped.len());
        text += &format!(": {reused} layers kept, {dropped} dropped, {added} added\n  {digest}");
    }
    text.push('\n');
    text
}

fn verification_json(found: &Verification) -> Value {
    let verdict = |verdict: &Option<Verdict>| verdict.as_ref().map(Verdict::name);
    let stops = found.stops.iter().map(|stop| {
        json!({
            "index": stop.index,
            "station": stop.station,
            "key": stop.key,
            "signature": verdict(&stop.signature),
            "digest": verdict(&stop.digest),
        })
    });
    json!({
        "source": found.source,
        "digest": found.digest,
        "wire": found.wire,
        "id": found.id,
        "verdict": found.verdict(),
        "checks": found.checks.iter().map(check_json).collect::<Vec<_>>(),
        "stops": stops.collect::<Vec<_>>(),
        "read": found.read,
        "warnings": found.warnings,
    })
}

fn inspection_json(train: &Inspection) -> Value {
    let stops = train.route.iter().map(|stop| {
        json!({
            "index": stop.index,
            "station": stop.station,
            "eco_system": stop.eco_system,
            "key": stop.key,
            "signed": stop.signed,
        })
    });
    json!({
        "source": train.source,
        "digest": train.digest,
        "wire": train.wire,
        "id": train.id,
        "creator": train.creator,
        "master": train.master,
        "route": stops.collect::<Vec<_>>(),
        "next": train.next.map(|next| &train.route[next].station),
        "files": train.files,
        "layers": train.layers,
        "base_layers": train.base_layers,
        "size": train.size,
        "stage": train.stage,
    })
}
