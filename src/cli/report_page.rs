//! The page about the journey of a train, for an auditor or a data-protection officer.

use std::path::Path;

use maud::{Markup, html};

use super::check_words::{meaning, style, verdict};
use super::color::Style;
use super::page::{page, sentence, shown, write};
use super::report_text::{
    act_facts, act_words, command_line, conclusion, journal_line, results_words, size_words, stop_state, word,
};
use super::text::unread_layers;
use super::told::Told;
use crate::error::Result;
use crate::image::rfc3339;
use crate::stage::{JourneyFinding, JourneyStop, RecordedAct, StopResults, TrainState};
use crate::store::Context;
use crate::text::counted;
use crate::text::size;
use crate::train::{Check, Verdict};

/// Said on every page.
const LIMITS: &str = "A journal holds what its station says that it did: the signature proves who says it, not \
    that it was so. Times are of the stations' own clocks. A station that hands on no journal is known by its signature in \
    the train alone. Layers of the base are bound by their digests; whether their bytes are there and fit was looked at only if \
    the report was made with --all-layers. A journal whose end was cut off together with the copy of its last line shows it only beside a receipt, \
    or by a signature in the train that it does not have. What the results say of people is for those to judge who read them.";
/// The files that a list shows.
const LISTED: usize = 200;

/// Writes the page.
pub(super) fn write_page(told: &Told<'_>, file: &Path, context: &Context) -> Result<()> {
    write(file, &report_page(told, &rfc3339(context.now)?))
}

fn report_page(told: &Told<'_>, time: &str) -> String {
    let journey = told.journey;
    let title = format!("Journey of the train {}", shown(&journey.train.id));
    let (line, style) = conclusion(told);
    let header = html! {
        h1 { (title) }
        p.verdict.(class(style)) role="status" { (sentence(&line)) }
    };
    let main = html! {
        (facts(told, time))
        h2 #route { "Route" }
        (route(told))
        h2 #findings { "Findings" }
        (findings(told))
        h2 #runs { "What ran" }
        (what_runs(told))
        @for stop in &journey.stops { (stop_section(told, stop)) }
        h2 #checks { "Checks of the train" }
        (checks(told))
        h2 #journals { "Journals" }
        (journals(told))
        h2 #limits { "What this page cannot say" }
        p { (LIMITS) }
    };
    page(&title, &header, &main)
}

fn class(style: Style) -> &'static str {
    match style {
        Style::Good => "pass",
        Style::Doubtful => "look",
        Style::Bad => "stop",
        Style::Heading | Style::Faint => "soft",
    }
}

fn facts(told: &Told<'_>, time: &str) -> Markup {
    let train = &told.journey.train;
    html! {
        dl {
            dt { "Train" } dd { (shown(&train.id)) " (wire " (train.wire) ")" }
            dt { "State" } dd { (state(train.state())) }
            dt { "Creator" } dd { (shown(&train.creator)) }
            dt { "Creator's key" } dd { code { (train.creator_key) } " (" (told.creator_pin()) ")" }
            @if let Some(key) = &train.builder_key { dt { "Builder's key" } dd { code { (key) } } }
            @if let Some(time) = &train.built_at { dt { "Built" } dd { (shown(time)) } }
            dt { "Image" } dd { (shown(&train.source)) }
            dt { "Image digest" } dd { code { (train.digest) } }
            dt { "Size" } dd { (size_words(train)) }
            dt { "Report made" } dd { (time) }
        }
    }
}

fn state(state: TrainState) -> &'static str {
    match state {
        TrainState::Unsigned => "waits for its creator's signature",
        TrainState::Closed => "encrypted, on its way",
        TrainState::Open => "open at a station",
        TrainState::Complete => "complete: every station has signed",
    }
}

/// The stops as a line.
fn route(told: &Told<'_>) -> Markup {
    html! {
        ol.route {
            li.(if told.is_signed_by_creator() { "pass" } else { "stop" }) {
                b { "Built" }
                span { (shown(&told.journey.train.creator)) }
                span.soft { (told.journey.train.built_at.as_deref().map(shown).unwrap_or_default()) }
            }
            @for stop in &told.journey.stops {
                @let (state, style) = stop_state(told, stop);
                li.(class(style)) {
                    a href=(format!("#stop-{}", stop.state.index)) { b { (shown(&stop.state.station)) } }
                    span { (state) }
                    @if let Some(results) = &stop.results {
                        span.soft { (results.added.map_or(String::new(), |added| format!("+{}", size(added)))) }
                    }
                }
            }
        }
    }
}

fn findings(told: &Told<'_>) -> Markup {
    let stops = &told.journey.stops;
    let stop_of = |finding: &JourneyFinding| finding.stop.and_then(|stop| stops.get(stop));
    html! {
        @if told.journey.findings.is_empty() {
            p {
                @if told.journey.journals.is_empty() { "No journal was given to compare the train with." }
                @else { "None: the train and the journals tell the same journey." }
            }
        } @else {
            table.stack {
                thead { tr { th scope="col" { "Weight" } th scope="col" { "Finding" } th scope="col" { "Stop" } th scope="col" { "What was found" } } }
                tbody {
                    @for finding in &told.journey.findings {
                        @let (word, style) = word(finding);
                        tr {
                            td { span.word.(class(style)) { (word) } }
                            td data-name="finding" { (finding.id) }
                            td data-name="stop" {
                                @match stop_of(finding) {
                                    Some(stop) => { a href=(format!("#stop-{}", stop.state.index)) { (shown(&stop.state.station)) } }
                                    None => "all"
                                }
                            }
                            td data-name="found" { (shown(&finding.what)) }
                        }
                    }
                }
            }
        }
    }
}

fn what_runs(told: &Told<'_>) -> Markup {
    let train = &told.journey.train;
    let runs = &train.runs;
    let or = |text: &Option<String>, default: &str| text.as_deref().map_or(default.to_owned(), shown);
    html! {
        p.soft {
            @if runs.signed && !told.is_signed_by_creator() { "As the train says; the creator's signature does not hold." }
            @else if runs.signed { "Signed by the creator." }
            @else { "As the image says; no signature covers it in this wire version." }
        }
        dl {
            dt { "Entry point" } dd { code { (command_line(&runs.entrypoint, &[])) } }
            dt { "Command" } dd { code { (command_line(&[], &runs.command)) } }
            dt { "User" } dd { (or(&runs.user, "root")) ", in " (or(&runs.working_dir, "/")) }
            dt { "Variables" } dd { @if runs.env.is_empty() { "none" } @else { (shown(&runs.env.join(", "))) } }
            dt { "Platform" } dd { (or(&runs.platform, "not known")) }
            dt { "Base" } dd {
                @match &runs.base {
                    Some(base) => {
                        (counted(base.layers as u64, "layer"))
                        @if let Some(id) = &base.chain_id { ", chain ID " code { (id) } }
                    }
                    None => "not known"
                }
            }
            dt { "Master image" } dd { (shown(&train.master)) }
        }
        h3 { (counted(train.listed.len() as u64, "file")) " of the train" }
        table.list {
            thead { tr { th scope="col" { "File" } th.number scope="col" { "Size" } } }
            tbody {
                @for file in train.listed.iter().take(LISTED) {
                    tr { td { (shown(&file.path)) } td.number { (file.size.map_or("not signed".to_owned(), size)) } }
                }
            }
        }
        @if train.listed.len() > LISTED { p.soft { "Only the first " (LISTED) " are shown." } }
    }
}

fn stop_section(told: &Told<'_>, stop: &JourneyStop) -> Markup {
    let (state, style) = stop_state(told, stop);
    let says = |found: &Option<Verdict>| match found {
        None if stop.state.signed => "not checked".to_owned(),
        None => "not signed yet".to_owned(),
        Some(found) => match found.reason() {
            Some(reason) => format!("{} ({})", verdict(found), shown(reason)),
            None => verdict(found).to_owned(),
        },
    };
    html! {
        section.file #(format!("stop-{}", stop.state.index)) {
            h2 { "Stop " (stop.state.index + 1) ": " (shown(&stop.state.station)) " " span.word.(class(style)) { (state) } }
            dl {
                dt { "Network" } dd { (shown(&stop.state.eco_system)) }
                dt { "Station's key" } dd { code { (stop.state.key) } }
                dt { "Signature" } dd { (says(&stop.signature)) }
                dt { "Signed state" } dd { (says(&stop.digest)) }
                @if let Some(results) = &stop.results { dt { "Results" } dd { (results_words(results)) } }
            }
            @if stop.acts.is_empty() { p.soft { "No journal tells of this stop." } }
            @for act in &stop.acts { (act_part(told, act)) }
            @if let Some(results) = &stop.results { (result_table(results)) }
        }
    }
}

fn act_part(told: &Told<'_>, act: &RecordedAct) -> Markup {
    // What a station says it ran is shown where it is not what the train says.
    let train = &told.journey.train.runs;
    let differs = (&act.runs.entrypoint, &act.runs.command) != (&train.entrypoint, &train.command);
    html! {
        h3 { time { (shown(&act.time)) } " " (act_words(act)) }
        dl.small {
            @if differs { dt { "runs" } dd { code { (command_line(&act.runs.entrypoint, &act.runs.command)) } } }
            @for (name, value) in act_facts(told, act) { dt { (name) } dd { (shown(&value)) } }
        }
    }
}

fn result_table(results: &StopResults) -> Markup {
    html! {
        h3 { "Results sent on" }
        table.stack {
            thead { tr { th scope="col" { "File" } th scope="col" { "Size" } th scope="col" { "SHA-256" } } }
            tbody {
                @for file in results.files.iter().take(LISTED) {
                    tr { td data-name="file" { (shown(&file.path)) } td data-name="size" { (size(file.size)) } td data-name="SHA-256" { code { (shown(file.sha256.as_deref().unwrap_or_default())) } } }
                }
            }
        }
        @if results.files.is_empty() { p.soft { "No file." } }
        @if results.files.len() > LISTED { p.soft { "Only the first " (LISTED) " are shown." } }
    }
}

fn checks(told: &Told<'_>) -> Markup {
    let found = match &told.journey.verification {
        Ok(found) => found,
        Err(fault) => return html! { p.stop { "The checks could not be made: " (shown(fault)) } },
    };
    html! {
        @for warning in &found.warnings { p.look { (shown(warning)) } }
        (check_table(&found.checks))
        @if let Some(unread) = unread_layers(found) { p.soft { (unread) } }
    }
}

/// Checks with their verdicts, and what each means.
pub(super) fn check_table(checks: &[Check]) -> Markup {
    html! {
        table.stack {
            thead { tr { th scope="col" { "Verdict" } th scope="col" { "What is meant" } th scope="col" { "About" } th scope="col" { "Check" } } }
            tbody {
                @for check in checks {
                    tr {
                        td { span.word.(class(style(&check.verdict))) { (verdict(&check.verdict)) } }
                        td data-name="means" {
                            (meaning(check.id))
                            @if let Some(reason) = check.reason() { " " span.soft { "(" (shown(reason)) ")" } }
                        }
                        td data-name="about" { (shown(&check.subject.to_string())) }
                        td data-name="check" { (check.id.name()) }
                    }
                }
            }
        }
    }
}

fn journals(told: &Told<'_>) -> Markup {
    html! {
        @if told.journey.journals.is_empty() { p { "None was given." } }
        @for journal in &told.journey.journals {
            @let (line, style) = journal_line(journal);
            section.file {
                p.(class(style)) { (shown(&line)) }
                dl.small {
                    @for key in &journal.signers { dt { "signed by" } dd { code { (key) } } }
                    @if let Some(last) = &journal.last { dt { "last line" } dd { code { (last) } } }
                    @if journal.fault.is_none() {
                        dt { "end" } dd { @if journal.has_end { "as the copy of the last line has it" } @else { "not known" } }
                    }
                }
            }
        }
    }
}
