//! Reports and errors, as text for text and as JSON for programs.

use std::io::{self, Write};
use std::process::ExitCode;
#[cfg(feature = "engines")]
use std::time::Duration;

use super::advice::words;
use super::color::Palette;
use super::documents::{
    error_json, image_report_json, inspection_json, report_json, statement_json, verification_json,
};
use super::done_text::{image_report_text, report_text};
use super::format::Format;
use super::json_line::json_line;
use super::metrics::Figures;
use super::progress::Display;
use super::repeated::Repeated;
use super::text;
#[cfg(feature = "engines")]
use super::{progress::BesideBars, running_time::RunningTime, screen::Screen};
use crate::error::{Error, IoContext, Kind, Result};
use crate::image::ImageReport;
use crate::json::{Value, json};
#[cfg(feature = "engines")]
use crate::stage::Execution;
use crate::stage::{Inspection, Report, Statement, Verification};
use crate::text::Printable;

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
