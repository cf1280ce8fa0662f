//! Reports and errors, as text for text and as JSON for programs.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
#[cfg(feature = "engines")]
use std::time::Duration;

use super::advice::{close_command, review_command, send_command, words};
use super::color::{Palette, Style};
use super::format::Format;
use super::json_line::json_line;
use super::metrics::Figures;
use super::progress::Display;
use super::repeated::Repeated;
use super::text;
#[cfg(feature = "engines")]
use super::{progress::BesideBars, running_time::RunningTime, screen::Screen};
use crate::error::{Advice, Error, IoContext, Kind, Result};
use crate::image::ImageReport;
use crate::json::{Value, json};
use crate::stage::{Execution, Inspection, Report, ResultFile, Statement, Verification};
#[cfg(feature = "engines")]
use crate::stage::{Limit, TrainFailed};
use crate::text::{Printable, counted, size, some_of};
use crate::train::{Check, Verdict};

/// The output of a command: its report on standard output, in the format of `--format`.
pub(super) struct Output {
    format: Format,
    quiet: bool,
    /// Standard output is taken.
    aside: bool,
    display: Display,
    figures: Figures,
    repeated: Repeated,
}

impl Output {
    pub(super) fn new(format: Format, quiet: bool, display: Display) -> Self {
        Output { format, quiet, aside: false, display, figures: Figures::default(), repeated: Repeated::default() }
    }

    /// Hints have these options in their commands from now on.
    pub(super) fn repeat(&mut self, options: Repeated) {
        self.repeated = options;
    }

    /// What reports have told so far, for --metrics.
    pub(super) fn figures(&self) -> &Figures {
        &self.figures
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
    pub(super) fn color(&self) -> Palette {
        if self.aside { Palette::of(&io::stderr()) } else { Palette::of(&io::stdout()) }
    }

    /// What shows the output of a train.
    #[cfg(feature = "engines")]
    pub(super) fn screen(&self) -> Screen<BesideBars> {
        Screen::new(self.format, self.quiet, &self.display)
    }

    /// The report of a stage.
    pub(super) fn report(&mut self, report: &Report) -> Result<()> {
        self.figures = Figures::of_report(report);
        match self.format {
            Format::Json => self.print(&json_line(&report_json(report))),
            Format::Text if self.quiet => Ok(()),
            Format::Text => self.print(&report_text(self.color(), report)),
        }
    }

    /// How a train is about to run, on standard error: the report comes when it has run.
    #[cfg(feature = "engines")]
    pub(super) fn announce(&self, runs: &Execution) {
        if self.format == Format::Text && !self.quiet {
            let color = Palette::of(&io::stderr());
            let text = color.paint(&text::execution(color, runs));
            // Whoever has closed standard error does not want to see it.
            let _ = self.display.stderr().write_all(text.as_bytes());
        }
    }

    /// How long a train has run, on standard error, when that is due and progress is shown.
    #[cfg(feature = "engines")]
    pub(super) fn running(&self, time: &RunningTime, elapsed: Duration) {
        if self.format == Format::Text
            && self.display.is_on()
            && let Some(text) = time.due(elapsed)
        {
            let _ = writeln!(self.display.stderr(), "pht-oci: {text}");
        }
    }

    /// What a creator is about to sign, on standard error: standard output has the result.
    pub(super) fn statement(&self, statement: &Statement) -> Result<()> {
        if self.format == Format::Json || self.quiet {
            return Ok(());
        }
        self.display.end();
        let color = Palette::of(&io::stderr());
        print_to(&mut io::stderr(), color.paint(&text::statement(color, statement)).as_bytes())
    }

    /// The report of sign, with what was signed.
    pub(super) fn signing(&mut self, report: &Report, statement: Option<&Statement>) -> Result<()> {
        if self.format == Format::Text {
            return self.report(report);
        }
        self.figures = Figures::of_report(report);
        let mut document = report_json(report);
        document["statement"] = statement.map_or(Value::Null, statement_json);
        self.print(&json_line(&document))
    }

    /// The report of a command that knows no train.
    pub(super) fn image_report(&mut self, command: &str, report: &ImageReport, notes: &[String]) -> Result<()> {
        self.figures = Figures::of_image(report);
        match self.format {
            Format::Json => {
                let mut document = image_report_json(command, report);
                document["notes"] = json!(notes);
                self.print(&json_line(&document))
            }
            Format::Text if self.quiet => Ok(()),
            Format::Text => self.print(&image_report_text(self.color(), command, report, notes)),
        }
    }

    /// The state of a train by its own config.
    pub(super) fn inspection(&mut self, inspection: &Inspection) -> Result<()> {
        match self.format {
            Format::Json => self.print(&json_line(&inspection_json(inspection))),
            Format::Text if self.quiet => Ok(()),
            Format::Text => self.print(&text::inspection(self.color(), inspection)),
        }
    }

    /// The result of verify.
    pub(super) fn verification(&mut self, found: &Verification) -> Result<()> {
        self.figures = Figures::of_checks(&found.checks);
        match self.format {
            Format::Json => self.print(&json_line(&verification_json(found))),
            Format::Text if self.quiet => Ok(()),
            Format::Text => self.print(&text::verification(self.color(), found)),
        }
    }

    /// A result of another kind.
    pub(super) fn value(&mut self, text: &str, json: &Value) -> Result<()> {
        match self.format {
            Format::Json => self.print(&json_line(json)),
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
            Format::Json => json_line(&error_json(error, &self.repeated)),
            Format::Text => {
                let hint = error.advice().map(|hint| hint_lines(&words(hint, &self.repeated))).unwrap_or_default();
                format!("pht-oci: {}\n{hint}", Printable::new(&error.to_string()))
            }
        };
        // If even standard error is closed, the exit status has to say it.
        let _ = io::stderr().write_all(text.as_bytes());
    }

    fn print(&self, text: &str) -> Result<()> {
        self.display.end();
        // What is a document has been made harmless as such.
        let painted = if self.format == Format::Json { text.to_owned() } else { self.color().paint(text) };
        if self.aside { print_to(&mut io::stderr(), painted.as_bytes()) } else { self.data(painted.as_bytes()) }
    }
}

/// A hint, and below it the commands that it is about, each as it can be typed.
fn hint_lines(words: &str) -> String {
    let mut lines = words.lines().map(|line| Printable::new(line).to_string());
    let first = format!("pht-oci: hint: {}\n", lines.next().unwrap_or_default());
    lines.fold(first, |text, line| text + "  " + &line + "\n")
}

/// Shows the help where nothing was asked for: on standard error, for it is no answer.
pub(super) fn print_help(text: &str) -> ExitCode {
    let _ = io::stderr().write_all(text.as_bytes());
    ExitCode::from(Kind::Usage.exit_status())
}

/// What the parser says of a command line, on standard error.
pub(super) fn print_usage_error(text: &str) {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let palette = Palette::of(&io::stderr());
    let _ = io::stderr().write_all(format!("pht-oci: {}", palette.paint(text)).as_bytes());
}

fn print_to(stream: &mut dyn Write, bytes: &[u8]) -> Result<()> {
    match stream.write_all(bytes).and_then(|()| stream.flush()) {
        // Nobody wants to read on: `pht-oci inspect x | head -1`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.doing("write the report"),
    }
}

fn error_json(error: &Error, repeated: &Repeated) -> Value {
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
    if let Some(kept) = kept(error) {
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
fn kept(error: &Error) -> Option<Value> {
    match error.advice()? {
        Advice::SendKept { archive, target, .. } => {
            let command = send_command(archive, target);
            Some(json!({ "image": archive, "results": null, "destination": target, "command": command }))
        }
        Advice::CloseKept { opened, results, source, target, .. } => {
            let command = close_command(opened, results, source, target);
            Some(json!({ "image": opened, "results": results, "destination": target, "command": command }))
        }
        Advice::ReviewHeld { opened, results, target, .. } | Advice::SeeToHeld { opened, results, target } => {
            let command = review_command(opened, results);
            Some(json!({ "image": opened, "results": results, "destination": target, "command": command }))
        }
        _ => None,
    }
}

fn report_json(report: &Report) -> Value {
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

pub(super) fn check_json(check: &Check) -> Value {
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
        heading += &format!(" at station {}", Printable::new(station));
    }
    if let Some(wire) = report.wire {
        heading += &format!(" (wire {wire})");
    }
    let mut text = color.style(Style::Heading, &heading) + "\n";
    report.checks.iter().for_each(|check| text += &text::check(color, check));
    text += &text::warnings(color, &report.warnings, &report.checks);
    // Before a run a person has read it already, on the same terminal.
    let is_announced = report.ran.is_some() && io::stdout().is_terminal();
    let runs = report.runs.as_ref().filter(|_| !is_announced);
    text += &runs.map(|runs| text::execution(color, runs)).unwrap_or_default();
    text += &report.results.as_deref().and_then(results_text).unwrap_or_default();
    report.notes.iter().for_each(|note| text += &format!("  {}\n", Printable::new(note)));
    text + &destination_text(&report.image)
}

/// The results that a report names.
const NAMED: usize = 20;

/// The results that leave; nothing if there are none.
fn results_text(results: &[ResultFile]) -> Option<String> {
    let names: Vec<String> = results.iter().map(ResultFile::to_string).collect();
    let names = some_of(&names, NAMED)?;
    let count = counted(results.len() as u64, "result");
    Some(format!(
        "  {count} of {} in all: {}\n",
        size(results.iter().map(|file| file.size).sum()),
        Printable::new(&names)
    ))
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
        let layers = counted(reused as u64, "layer");
        text += &match (reused, dropped + added) {
            (0, 0) => String::new(),
            (_, 0) => format!(": {layers}"),
            _ => format!(": {layers} kept, {dropped} dropped, {added} added"),
        };
        text += &format!("\n  {digest}");
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
        "verdict": if found.is_only_open() { "open" } else { found.verdict().name() },
        "fault": found.fault.as_ref().map(Error::to_string),
        "checks": found.checks.iter().map(check_json).collect::<Vec<_>>(),
        "stops": stops.collect::<Vec<_>>(),
        "read": found.read,
        "unread_layers": found.unread_layers,
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

pub(super) fn execution_json(runs: &Execution) -> Value {
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
