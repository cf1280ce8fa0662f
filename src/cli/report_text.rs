//! The journey of a train in a terminal, and the words that its page shares.

use std::time::Duration;

use super::check_words::{meaning, style, verdict};
use super::color::{Palette, Style};
use super::text::{execution, label, printable, unread_layers, verification};
use super::told::{Damage, Told};
use crate::json::{Object, Value, json};
use crate::stage::{
    Inspection, JourneyFinding, JourneyJournal, JourneyStop, RecordedAct, RecordedApproval, ResultFile, StopResults,
};
use crate::text::{Printable, counted, limit_text, seconds_text, size, some_of};
use crate::train::Verdict;

/// The result files of a stop that the text names.
const LISTED: usize = 20;

/// The result files that a line of an act names.
const NAMED: usize = 5;

/// A journey for a person at a terminal.
pub(super) fn report_text(color: Palette, told: &Told<'_>, time: &str) -> String {
    let (journey, train) = (told.journey, &told.journey.train);
    let heading = format!("journey of the train {} (wire {})", Printable::new(&train.id), train.wire);
    let mut text = color.style(Style::Heading, &heading) + "\n";
    let mut row = |name: &str, value: &str| {
        text += &format!("  {}  {value}\n", color.style(Style::Faint, &format!("{name:8}")));
    };
    row("image", &printable(&train.source));
    row("digest", &train.digest);
    row("creator", &format!("{}  {} ({})", printable(&train.creator), train.creator_key, told.creator_pin()));
    train.builder_key.iter().for_each(|key| row("builder", key));
    train.built_at.iter().for_each(|time| row("built", &printable(time)));
    row("master", &printable(&train.master));
    row("size", &size_words(train));
    let files = train.listed.iter().map(|file| printable(&file.path)).collect::<Vec<_>>();
    row("files", &some_of(&files, LISTED).unwrap_or_default());
    row("state", train.state().name());
    row("report", &format!("made {time} by {} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")));
    text += &execution(color, &train.runs);
    for stop in &journey.stops {
        text += "\n";
        text += &stop_text(color, told, stop);
    }
    text += "\n";
    text += &checks_text(color, told);
    for journal in &journey.journals {
        let (line, style) = journal_line(journal);
        text += &format!("  {} {}\n", color.style(style, "journal"), printable(&line));
    }
    for finding in &journey.findings {
        let (word, style) = word(finding);
        let place =
            finding.stop.and_then(|stop| journey.stops.get(stop)).map(|stop| printable(&stop.state.station) + ": ");
        let what = printable(&finding.what);
        text += &format!("  {} {}{what} ({})\n", color.style(style, word), place.unwrap_or_default(), finding.id);
    }
    let (line, style) = conclusion(told);
    text + &format!("  {}\n", color.style(style, &line))
}

/// What is left to say of a train that is too damaged to tell its journey.
pub(super) fn damage_text(color: Palette, damage: &Damage<'_>) -> String {
    let heading = "the train is damaged, and its journey cannot be told; no journal was read";
    let checks = damage.found.map(|found| verification(color, found)).unwrap_or_default();
    color.style(Style::Bad, heading) + "\n" + &checks
}

/// How large a train is, and its base, be it elsewhere.
pub(super) fn size_words(train: &Inspection) -> String {
    let base = train.base_size.map_or("not known".to_owned(), size);
    let thin = if train.left_out == 0 { "" } else { ", which is not here: the train is thin" };
    format!("{} in all, the base {base}{thin}", size(train.size))
}

fn stop_text(color: Palette, told: &Told<'_>, stop: &JourneyStop) -> String {
    let (state, style) = stop_state(told, stop);
    let heading =
        format!("stop {} of {}: {}", stop.state.index + 1, told.journey.stops.len(), printable(&stop.state.station));
    let mut text = format!("  {}  {}\n", color.style(Style::Heading, &heading), color.style(style, &state));
    text += &format!("    key {}\n", stop.state.key);
    if stop.acts.is_empty() {
        text += "    no journal tells of this stop\n";
    }
    for act in &stop.acts {
        let style = if act.outcome == "failed" { Style::Doubtful } else { Style::Heading };
        text += &format!("    {}  {}\n", color.style(style, &act_words(act)), printable(&act.time));
        for (name, value) in act_facts(told, act) {
            text += &format!("      {name}: {}\n", printable(&value));
        }
    }
    if let Some(results) = &stop.results {
        text += &format!("    results: {}\n", results_words(results));
        let digest = |file: &ResultFile| printable(file.sha256.as_deref().unwrap_or("not digested"));
        let one =
            |file: &ResultFile| format!("      {}  {}  {}\n", digest(file), size(file.size), printable(&file.path));
        results.files.iter().take(LISTED).for_each(|file| text += &one(file));
        if results.files.len() > LISTED {
            text += &format!("      and {} more (--format json has all)\n", results.files.len() - LISTED);
        }
    }
    text
}

fn checks_text(color: Palette, told: &Told<'_>) -> String {
    let found = match &told.journey.verification {
        Ok(found) => found,
        Err(fault) => return format!("  {} {}\n", color.style(Style::Bad, "not checked:"), printable(fault)),
    };
    let mut text = String::new();
    for check in &found.checks {
        let mark = color.style(style(&check.verdict), &format!("{:10}", verdict(&check.verdict)));
        let reason = check.reason().map(|reason| format!(" ({})", Printable::new(reason))).unwrap_or_default();
        text += &format!("  {mark} {} [{}]{reason}\n", meaning(check.id), label(check));
    }
    for warning in &found.warnings {
        text += &format!("  {}: {}\n", color.style(Style::Doubtful, "warning"), printable(warning));
    }
    if let Some(unread) = unread_layers(found) {
        text += &format!("  {unread}\n");
    }
    text
}

/// Whether a stop has been made, as one says it.
pub(super) fn stop_state(told: &Told<'_>, stop: &JourneyStop) -> (String, Style) {
    let train = &told.journey.train;
    let time = stop.state.signed_at.as_deref().map(|time| format!(" {}", Printable::new(time))).unwrap_or_default();
    match (&stop.signature, &stop.digest) {
        (Some(Verdict::Broken(_)), _) => ("the signature is broken".to_owned(), Style::Bad),
        (_, Some(Verdict::Broken(_))) => ("the signature is of another state".to_owned(), Style::Bad),
        (None, _) if stop.state.signed => (format!("signed{time}, not checked"), Style::Doubtful),
        _ if stop.state.signed => (format!("signed{time}"), Style::Good),
        _ if train.next == Some(stop.state.index) && train.open => ("open now".to_owned(), Style::Doubtful),
        _ if train.next == Some(stop.state.index) => ("is next".to_owned(), Style::Doubtful),
        _ => ("not reached yet".to_owned(), Style::Faint),
    }
}

/// What a station did, as one says it.
pub(super) fn act_words(act: &RecordedAct) -> String {
    let done = match (act.act.as_str(), act.outcome.as_str()) {
        ("pre-run", "done") => "opened the train",
        ("run", "done") => "ran the train and closed it",
        ("run", "held") => "ran the train and held its results for review",
        ("run", "failed") => "ran the train, which failed",
        ("post-run", "done") => "closed the train",
        ("release", "done") => "released the approved results and closed the train",
        ("reject", "done") => "rejected the results and erased them",
        (act, outcome) => return printable(&format!("{act} ({outcome})")),
    };
    if act.again { format!("{done} (again)") } else { done.to_owned() }
}

/// What else an entry says, as names and values that are not escaped yet.
pub(super) fn act_facts(told: &Told<'_>, act: &RecordedAct) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let Some(engine) = &act.engine {
        facts.push(("ran by", engine_words(engine)));
        let mounted = volumes(engine);
        facts.push(("data", if mounted.is_empty() { "none mounted".to_owned() } else { mounted.join(", ") }));
    }
    facts.extend(act.seconds.map(|seconds| ("took", seconds_text(seconds))));
    facts.extend(act.exit_status.filter(|status| *status != 0).map(|status| ("exit status", status.to_string())));
    if let Some((all, not_sound)) = act.checks.as_ref().filter(|(all, _)| *all > 0) {
        let found = some_of(not_sound, LISTED).map(|ids| format!("{} of them not sound: {ids}", not_sound.len()));
        facts.push(("checks", format!("{all}, {}", found.unwrap_or_else(|| "all sound".to_owned()))));
    }
    // Who only erases asks for no key.
    let pinned = act.creator_pinned.filter(|_| act.act != "reject");
    facts.extend(pinned.map(|pinned| ("creator's key", if pinned { "pinned" } else { "not pinned" }.to_owned())));
    facts.extend(act.approvals.iter().map(|approval| ("approved", approval_words(told, approval))));
    if act.closes() && act.approvals.is_empty() {
        facts.push(("approved", "no approval is recorded".to_owned()));
    }
    facts.extend(act.results.as_deref().map(|results| ("results", files_words(results))));
    facts.extend(act.reason.iter().map(|reason| ("reason", reason.clone())));
    // In steps, and after a review, it is the opened image of this station that is closed.
    let came = if act.opens() { "came as" } else { "open as" };
    facts.extend(act.images.0.iter().map(|digest| (came, digest.clone())));
    facts.extend(act.images.1.iter().map(|digest| ("went as", digest.clone())));
    // What is rejected goes nowhere.
    facts.extend(act.destination.iter().filter(|_| act.act != "reject").map(|place| ("to", place.clone())));
    facts.extend(act.version.iter().map(|version| ("program", version.clone())));
    let journal = told.journey.journals.get(act.place.0).map(|journal| journal.path.as_str()).unwrap_or_default();
    facts.push(("recorded", format!("line {} of {journal}", act.place.1)));
    facts
}

/// The results of an act: of several that closed one stop each had its own.
fn files_words(files: &[ResultFile]) -> String {
    let names: Vec<String> = files.iter().map(ResultFile::to_string).collect();
    some_of(&names, NAMED).unwrap_or_else(|| "none".to_owned())
}

fn engine_words(engine: &Object) -> String {
    let of = |name: &str| engine.get(name).filter(|value| !value.is_null());
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut words = of("name").map(&plain).unwrap_or_default();
    let bytes = of("memory").and_then(Value::as_u64).map(|bytes| format!("memory {}", size(bytes)));
    let limit = |name: &str| of(name).map(|value| format!("{name} {}", plain(value)));
    let prepared = of("prepare").map(|command| format!("data prepared by {}", plain(command)));
    let time = of("timeout").and_then(Value::as_u64).map(|seconds| limit_text(Duration::from_secs(seconds)));
    let time = time.map(|time| format!("time limit {time}"));
    for limit in [bytes, limit("cpus"), limit("pids"), time, limit("gpus"), prepared] {
        words += &limit.map(|limit| format!(", {limit}")).unwrap_or_default();
    }
    words
}

/// The data that a train was given.
fn volumes(engine: &Object) -> Vec<String> {
    let list = engine.get("volumes").and_then(Value::as_array).into_iter().flatten();
    let text = |volume: &Value, name: &str| volume.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let kind = |volume: &Value| match volume.get("read_only").and_then(Value::as_bool) {
        Some(true) => "read-only",
        _ => "writable",
    };
    list.map(|volume| format!("{} at {} ({})", text(volume, "host"), text(volume, "path"), kind(volume))).collect()
}

fn approval_words(told: &Told<'_>, approval: &RecordedApproval) -> String {
    let who = match told.reviewer(&approval.reviewer) {
        Some(name) => format!("{name} ({})", approval.reviewer),
        None => approval.reviewer.clone(),
    };
    let mut words = format!("by {who}, {}", approval.time);
    for (finding, reason) in &approval.accepted {
        words += &format!("; accepted {finding}: {reason}");
    }
    words += &approval.comment.as_ref().map(|comment| format!("; says: {comment}")).unwrap_or_default();
    // By these the file of the approval and the rules can be told, if somebody has kept them.
    for (name, digest) in [("approval", &approval.sha256), ("rules", &approval.policy)] {
        if !digest.is_empty() {
            words += &format!("; {name} {digest}");
        }
    }
    words
}

/// The results of a stop in one line.
pub(super) fn results_words(results: &StopResults) -> String {
    let all = format!("{} in {}", size(results.size), counted(results.files.len() as u64, "file"));
    match results.added {
        Some(added) => format!("{all}, {} of them new or changed at this stop", size(added)),
        None => format!("{all}; what is new is not known, since no journal here tells what left the stop before"),
    }
}

/// A journal in one line, not escaped yet.
pub(super) fn journal_line(journal: &JourneyJournal) -> (String, Style) {
    let (Some((all, own)), None) = (journal.lines, &journal.fault) else {
        let fault = journal.fault.as_deref().unwrap_or("not read");
        return (format!("{}: does not hold, and is not used: {fault}", journal.path), Style::Bad);
    };
    if all == 0 {
        return (format!("{}: nothing is recorded", journal.path), Style::Doubtful);
    }
    let lines = counted(all as u64, "line");
    (format!("{}: {lines}, each signed and in its place; {own} about this train", journal.path), Style::Good)
}

/// The word for the weight of a finding.
pub(super) fn word(finding: &JourneyFinding) -> (&'static str, Style) {
    if finding.contradicts { ("contradiction", Style::Bad) } else { ("look", Style::Doubtful) }
}

/// What it all comes to, in one line.
pub(super) fn conclusion(told: &Told<'_>) -> (String, Style) {
    let journey = told.journey;
    let contradictions = told.contradictions();
    let (train, style) = match told.verdict() {
        "sound" => ("every check of the train holds".to_owned(), Style::Good),
        "open" => ("the train is open, and can only be verified when it is closed".to_owned(), Style::Doubtful),
        "weak" if told.strict => (format!("the train is {}, which --strict refuses", told.words()), Style::Bad),
        "weak" => (format!("no check of the train is broken; it is {}", told.words()), Style::Doubtful),
        "unpinned" => ("nobody vouches for some keys of the train".to_owned(), Style::Bad),
        _ if told.journey.train.waits_for_creator => {
            ("the train is not signed yet: it waits for its creator".to_owned(), Style::Bad)
        }
        _ => match some_of(&told.broken(), LISTED) {
            Some(checks) => (format!("the train is broken ({checks})"), Style::Bad),
            None => ("the train is broken".to_owned(), Style::Bad),
        },
    };
    let (warnings, missing) = (told.warnings(), "every check of the train holds, and there is a warning");
    let (train, mut style) =
        if style == Style::Good && warnings > 0 { (missing.to_owned(), Style::Doubtful) } else { (train, style) };
    let silent = without_journal(told).filter(|_| !journey.journals.is_empty());
    let journals = match (journey.journals.len(), contradictions) {
        (0, 0) => "no journal was given".to_owned(),
        (_, 0) if journey.findings.is_empty() && silent.is_none() => "the journals agree with it".to_owned(),
        (_, 0) if journey.findings.is_empty() => "what was handed in agrees with it".to_owned(),
        (_, 0) => format!("{} to look at", counted(journey.findings.len() as u64, "finding")),
        (_, count) => {
            style = Style::Bad;
            let others = match journey.findings.len() - count {
                0 => String::new(),
                others => format!(", and {} to look at", counted(others as u64, "finding")),
            };
            format!("{} between what was handed in{others}", counted(count as u64, "contradiction"))
        }
    };
    if style == Style::Good && (silent.is_some() || !journey.findings.is_empty()) {
        style = Style::Doubtful;
    }
    let silent = silent.map(|stations| format!(", and no journal tells of {stations}")).unwrap_or_default();
    (format!("{train}; {journals}{silent}"), style)
}

/// The stations that have signed and of whose stop no journal tells.
fn without_journal(told: &Told<'_>) -> Option<String> {
    let stops = told.journey.stops.iter().filter(|stop| stop.state.signed && stop.acts.is_empty());
    let stations: Vec<String> = stops.map(|stop| Printable::new(&stop.state.station).to_string()).collect();
    some_of(&stations, LISTED)
}

/// The words of a command, each within quotes, so that nobody takes two for one.
pub(super) fn command_line(entrypoint: &[String], command: &[String]) -> String {
    let words = [entrypoint, command].concat();
    if words.is_empty() { "(none)".to_owned() } else { printable(&json!(words).to_string()) }
}
