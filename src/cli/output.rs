//! Reports and errors, as text for text and as JSON for programs.

use std::io::{self, Write};

use super::advice::words;
use super::color::{Palette, Style, may_color};
use super::format::Format;
use super::progress::Display;
use super::text;
use crate::error::{Error, IoContext, Result};
use crate::image::ImageReport;
use crate::json::{Value, json};
#[cfg(feature = "engines")]
use crate::stage::TrainFailed;
use crate::stage::{Inspection, Report, Statement, Verification};
use crate::text::{Printable, counted};
use crate::train::{Check, Verdict};

/// The output of a command: its report on standard output, in the format of `--format`.
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

    /// The data that the command was asked for, as it is, whatever the format of reports.
    pub(super) fn data(&self, bytes: &[u8]) -> Result<()> {
        print_to(&mut io::stdout(), bytes)
    }

    /// The palette for the stream that reports go to.
    fn color(&self) -> Palette {
        Palette::new(if self.aside { may_color(&io::stderr()) } else { may_color(&io::stdout()) })
    }

    /// True if only errors are to be shown.
    #[cfg(feature = "engines")]
    pub(super) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// The report of a stage.
    pub(super) fn report(&mut self, report: &Report) -> Result<()> {
        match self.format {
            Format::Json => self.print(&format!("{}\n", report_json(report))),
            Format::Text if self.quiet => Ok(()),
            Format::Text => self.print(&report_text(self.color(), report)),
        }
    }

    /// What a creator is about to sign, on standard error: standard output has the result.
    pub(super) fn statement(&self, statement: &Statement) -> Result<()> {
        if self.format == Format::Json || self.quiet {
            return Ok(());
        }
        self.display.end();
        let text = text::statement(Palette::new(may_color(&io::stderr())), statement);
        print_to(&mut io::stderr(), text.as_bytes())
    }

    /// The report of sign, with what was signed.
    pub(super) fn signing(&mut self, report: &Report, statement: Option<&Statement>) -> Result<()> {
        if self.format == Format::Text {
            return self.report(report);
        }
        let mut document = report_json(report);
        document["statement"] = statement.map_or(Value::Null, statement_json);
        self.print(&format!("{document}\n"))
    }

    /// The report of a command that knows no train.
    pub(super) fn image_report(&mut self, command: &str, report: &ImageReport, notes: &[String]) -> Result<()> {
        match self.format {
            Format::Json => {
                let mut document = image_report_json(command, report);
                document["notes"] = json!(notes);
                self.print(&format!("{document}\n"))
            }
            Format::Text if self.quiet => Ok(()),
            Format::Text => self.print(&image_report_text(self.color(), command, report, notes)),
        }
    }

    /// The state of a train by its own config.
    pub(super) fn inspection(&mut self, inspection: &Inspection) -> Result<()> {
        match self.format {
            Format::Json => self.print(&format!("{}\n", inspection_json(inspection))),
            Format::Text if self.quiet => Ok(()),
            Format::Text => self.print(&text::inspection(self.color(), inspection)),
        }
    }

    /// The result of verify.
    pub(super) fn verification(&mut self, found: &Verification) -> Result<()> {
        match self.format {
            Format::Json => self.print(&format!("{}\n", verification_json(found))),
            Format::Text if self.quiet => Ok(()),
            Format::Text => self.print(&text::verification(self.color(), found)),
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

    /// A result that is data too: what the command was asked for, even if only errors are to be shown.
    pub(super) fn result(&mut self, text: &str, json: &Value) -> Result<()> {
        let is_quiet = std::mem::replace(&mut self.quiet, false);
        let printed = self.value(text, json);
        self.quiet = is_quiet;
        printed
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
                let hint = error
                    .advice()
                    .map(|hint| format!("pht-oci: hint: {}\n", Printable::new(&words(hint))))
                    .unwrap_or_default();
                format!("pht-oci: {}\n{hint}", Printable::new(&error.to_string()))
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
    #[cfg_attr(not(feature = "engines"), allow(unused_mut, reason = "no train has run that could have failed"))]
    let mut document = json!({ "error": {
        "kind": error.kind().name(),
        "exit_status": error.kind().exit_status(),
        "message": error.to_string(),
        "what": error.what(),
        "where": error.places().collect::<Vec<_>>(),
        "hint": error.advice().map(words),
    }});
    #[cfg(feature = "engines")]
    if let Some(failed) = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<TrainFailed>()) {
        document["error"]["train"] =
            json!({ "exit_status": failed.exit_status, "log": failed.log.display().to_string() });
    }
    document
}

fn report_json(report: &Report) -> Value {
    let mut document = image_report_json(report.stage, &report.image);
    document["station"] = json!(report.station);
    document["wire"] = json!(report.wire);
    document["checks"] = report.checks.iter().map(check_json).collect();
    document["warnings"] = json!(report.warnings);
    document["notes"] = json!(report.notes);
    if let Some(ran) = &report.ran {
        let log = ran.log.display().to_string();
        document["ran"] = json!({ "engine": ran.engine, "seconds": ran.seconds, "log": log });
    }
    document
}

/// The report of a command that knows no train: what a train would have is null or empty.
fn image_report_json(command: &str, report: &ImageReport) -> Value {
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

fn check_json(check: &Check) -> Value {
    json!({
        "id": check.id.name(),
        "subject": check.subject.to_string(),
        "verdict": check.verdict.name(),
        "reason": check.reason(),
    })
}

fn report_text(color: Palette, report: &Report) -> String {
    let mut heading = format!("{} of {}", report.stage, Printable::new(&report.image.source));
    if let Some(station) = &report.station {
        heading += &format!(" at station {station}");
    }
    if let Some(wire) = report.wire {
        heading += &format!(" (wire {wire})");
    }
    let mut text = color.style(Style::Heading, &heading) + "\n";
    report.checks.iter().for_each(|check| text += &text::check(color, check));
    for warning in &report.warnings {
        text += &format!("  {}: {}\n", color.style(Style::Doubtful, "warning"), Printable::new(warning));
    }
    report.notes.iter().for_each(|note| text += &format!("  {}\n", Printable::new(note)));
    text + &destination_text(&report.image)
}

fn image_report_text(color: Palette, command: &str, report: &ImageReport, notes: &[String]) -> String {
    let heading = format!("{command} of {}", Printable::new(&report.source));
    let mut text = color.style(Style::Heading, &heading) + "\n";
    notes.iter().for_each(|note| text += &format!("  {}\n", Printable::new(note)));
    text + &destination_text(report)
}

/// The image's place, and the changes of its layers.
fn destination_text(report: &ImageReport) -> String {
    let mut text = format!("  {}", Printable::new(&report.destination));
    if let Some(digest) = &report.digest_after {
        let layers = &report.layers;
        let (added, reused, dropped) = (layers.added.len(), layers.reused, layers.dropped.len());
        let kept = counted(reused as u64, "layer");
        text += &format!(": {kept} kept, {dropped} dropped, {added} added\n  {digest}");
    }
    text + "\n"
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
        "verdict": found.verdict().name(),
        "checks": found.checks.iter().map(check_json).collect::<Vec<_>>(),
        "stops": stops.collect::<Vec<_>>(),
        "read": found.read,
        "warnings": found.warnings,
    })
}

fn statement_json(statement: &Statement) -> Value {
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
        "waits_for_creator": train.waits_for_creator,
        "next": train.next.map(|next| &train.route[next].station),
        "files": train.files,
        "layers": train.layers,
        "base_layers": train.base_layers,
        "size": train.size,
        "stage": train.stage,
    })
}
