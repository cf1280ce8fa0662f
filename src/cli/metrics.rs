//! Figures of a command in the text format of Prometheus, as node_exporter collects them from files.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Instant;

use rustix::fs::{Mode, fchmod};

use crate::error::{ErrorContext, IoContext, Result};
use crate::image::ImageReport;
use crate::stage::Report;
use crate::store::fs::{ensure_replaceable, parent_of};
use crate::train::Check;

/// The verdicts of checks, each with a figure of its own even if no check has it: a graph needs the zeros.
const VERDICTS: [&str; 4] = ["sound", "weak", "unpinned", "broken"];

/// What a command has told of its work.
#[derive(Debug, Default)]
pub(super) struct Figures {
    moved: Option<[u64; 3]>,
    train_seconds: Option<f64>,
    checks: Option<[usize; VERDICTS.len()]>,
}

impl Figures {
    pub(super) fn of_report(report: &Report) -> Self {
        let train_seconds = report.ran.as_ref().map(|ran| ran.seconds);
        Figures { train_seconds, checks: Some(counted(&report.checks)), ..Self::of_image(&report.image) }
    }

    pub(super) fn of_image(report: &ImageReport) -> Self {
        let bytes = &report.bytes;
        Figures { moved: Some([bytes.read, bytes.written, bytes.transferred]), ..Self::default() }
    }

    pub(super) fn of_checks(checks: &[Check]) -> Self {
        Figures { checks: Some(counted(checks)), ..Self::default() }
    }
}

fn counted(checks: &[Check]) -> [usize; VERDICTS.len()] {
    VERDICTS.map(|verdict| checks.iter().filter(|check| check.verdict.name() == verdict).count())
}

/// A command that has ended.
pub(super) struct Ended<'a> {
    pub(super) command: &'a str,
    /// When it began, in seconds since 1970, and by the clock that nobody sets.
    pub(super) began: (u64, Instant),
    pub(super) exit_status: u8,
    pub(super) figures: &'a Figures,
}

impl Ended<'_> {
    /// Writes the figures to a file, which takes the place of the one before as a whole; everybody may read it, since the
    /// collector is another user.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        self.write_in(parent_of(path), path).doing("write the metrics").at(path.display())
    }

    fn write_in(&self, parent: &Path, path: &Path) -> io::Result<()> {
        ensure_replaceable(path)?;
        // The collector takes what ends in `.prom`; this does not.
        let mut file = tempfile::Builder::new().prefix(".pht-oci-metrics-").tempfile_in(parent)?;
        file.write_all(self.text().as_bytes())?;
        fchmod(file.as_file(), Mode::from_raw_mode(0o644))?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let mut figure = |name: &str, help: &str, values: &[(Option<&str>, String)]| {
            let _ = writeln!(text, "# HELP pht_oci_{name} {help}\n# TYPE pht_oci_{name} gauge");
            for (verdict, value) in values {
                let verdict = verdict.map(|verdict| format!(",verdict=\"{verdict}\"")).unwrap_or_default();
                let _ = writeln!(text, "pht_oci_{name}{{command=\"{}\"{verdict}}} {value}", self.command);
            }
        };
        let one = |value: String| [(None, value)];
        let (began, clock) = self.began;
        figure("exit_status", "exit status of the command", &one(self.exit_status.to_string()));
        figure("start_time_seconds", "when the command began, in seconds since 1970", &one(began.to_string()));
        let duration = format!("{:.3}", clock.elapsed().as_secs_f64());
        figure("duration_seconds", "how long the command took", &one(duration));
        if let Some(seconds) = self.figures.train_seconds {
            figure("train_duration_seconds", "how long the train itself took", &one(seconds.to_string()));
        }
        if let Some(moved) = self.figures.moved {
            let helps = [
                ("read_bytes", "bytes read from the source"),
                ("written_bytes", "bytes written to the destination"),
                ("transferred_bytes", "bytes of base layers that had to be copied"),
            ];
            for ((name, help), bytes) in helps.into_iter().zip(moved) {
                figure(name, help, &one(bytes.to_string()));
            }
        }
        if let Some(checks) = self.figures.checks {
            let values: Vec<_> =
                VERDICTS.into_iter().zip(checks).map(|(verdict, count)| (Some(verdict), count.to_string())).collect();
            figure("checks", "checks of the train, by their verdict", &values);
        }
        text
    }
}
