//! What a stage has done, or a command has done with an image, as a person reads it.

use std::io::{self, IsTerminal};

use super::color::{Palette, Style};
use super::text;
use crate::image::ImageReport;
use crate::stage::{Report, ResultFile};
use crate::text::{Printable, counted, size, some_of};

/// The results that a report names.
const NAMED: usize = 20;

pub(super) fn report_text(color: Palette, report: &Report) -> String {
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

pub(super) fn image_report_text(color: Palette, command: &str, report: &ImageReport, notes: &[String]) -> String {
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
