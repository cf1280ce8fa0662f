//! What `inspect` and `verify` show to a person.

use super::check_words::{meaning, style};
use super::color::{Palette, Style, table};
use super::route_file::DEFAULT_ECO_SYSTEM;
use crate::json::json;
use crate::stage::{Execution, Inspection, ListedFile, Statement, TrainState, Verification};
use crate::text::{Printable, counted, size};
use crate::train::{Check, CheckId, Subject, Verdict};

/// The number of immutable files that the text names.
const LISTED: usize = 20;

/// Characters of a fingerprint that a table shows.
const SHORT_KEY: usize = 19;

/// A train at one glance: what it is, where it has been, what comes next.
pub(super) fn inspection(color: Palette, train: &Inspection) -> String {
    let base = train.base_layers.map(|base| format!(", {base} of them its base")).unwrap_or_default();
    let thin = if train.left_out == 0 { String::new() } else { format!(", {} of them not here: thin", train.left_out) };
    let base_size = train.base_size.map(|bytes| format!(" ({})", size(bytes))).unwrap_or_default();
    let mut rows = vec![
        ("digest", train.digest.clone()),
        ("train", format!("{} (wire {})", Printable::new(&train.id), train.wire)),
        ("state", train.state().name().to_owned()),
        ("creator", format!("{}  {}", printable(&train.creator), train.creator_key)),
    ];
    rows.extend(train.builder_key.iter().map(|key| ("builder", key.clone())));
    rows.extend(train.built_at.iter().map(|time| ("built", printable(time))));
    rows.extend([
        ("master", printable(&train.master)),
        ("layers", format!("{}{base}{base_size}{thin}, {}", train.layers, size(train.size))),
    ]);
    let own = train.base_size.map(|base| train.size.saturating_sub(base)).filter(|own| *own > 0);
    rows.extend(own.map(|own| ("carries", format!("{} above its base: files, config and results", size(own)))));
    rows.push(("files", counted(train.files as u64, "immutable file")));
    rows.extend(train.listed.iter().take(LISTED).map(|file| ("", listed(file))));
    if train.listed.len() > LISTED {
        rows.push(("", format!("and {} more (--format json has all)", train.listed.len() - LISTED)));
    }
    let mut text = color.style(Style::Heading, &printable(&train.source)) + "\n";
    for (name, value) in rows {
        text += &format!("  {}  {value}\n", color.style(Style::Faint, &format!("{name:7}")));
    }
    text += &execution(color, &train.runs);
    text + "\n"
        + &route(color, train)
        + "\n  "
        + &color.style(Style::Heading, &next_step(train))
        + "\n"
        + &format!("  {}\n", color.style(Style::Faint, "nothing of this was verified: pht-oci verify does that"))
}

/// The stops of a train. Their networks are shown only if one is not the default.
fn route(color: Palette, train: &Inspection) -> String {
    let networks = train.route.iter().any(|stop| stop.eco_system != DEFAULT_ECO_SYSTEM);
    let stops = train.route.iter().map(|stop| {
        let (state, style) = match train.next {
            _ if stop.signed => {
                let time = stop.signed_at.as_deref().map(|time| format!(" {}", Printable::new(time)));
                (format!("has signed{}", time.unwrap_or_default()), Style::Good)
            }
            Some(next) if next == stop.index && train.open => ("is open".to_owned(), Style::Doubtful),
            Some(next) if next == stop.index => ("is next".to_owned(), Style::Doubtful),
            _ => ("waits".to_owned(), Style::Faint),
        };
        let number = (stop.index + 1).to_string();
        let network = networks.then(|| printable(&stop.eco_system));
        let cells = [number, printable(&stop.station)].into_iter().chain(network).chain([stop.key.clone(), state]);
        (cells.collect(), style)
    });
    let names = ["#", "station"].into_iter().chain(networks.then_some("network")).chain(["key", "state"]);
    table(color, 2, &names.collect::<Vec<_>>(), &stops.collect::<Vec<_>>())
}

/// An immutable file, with its size if it is known.
fn listed(file: &ListedFile) -> String {
    let path = printable(&file.path);
    file.size.map_or(path.clone(), |bytes| format!("{path}  {}", size(bytes)))
}

/// What a person has to know, but for what one of the checks above says already.
pub(super) fn warnings(color: Palette, warnings: &[String], checks: &[Check]) -> String {
    let is_new = |warning: &&String| !checks.iter().any(|check| check.reason() == Some(warning));
    let line = |warning| format!("  {}: {}\n", color.style(Style::Doubtful, "warning"), Printable::new(warning));
    warnings.iter().filter(is_new).map(line).collect()
}

/// How a train runs.
pub(super) fn execution(color: Palette, runs: &Execution) -> String {
    let or = |text: &Option<String>, default: &str| text.as_deref().map_or(default.to_owned(), printable);
    let changed = match runs.env_changed.as_deref() {
        None => " (how the base has it is not known here)".to_owned(),
        Some([]) => " (as the base has it)".to_owned(),
        Some(names) => format!(" (not as the base has it: {})", printable(&names.join(", "))),
    };
    let env = if runs.env.is_empty() { "(none)".to_owned() } else { printable(&runs.env.join(", ")) };
    let base = match &runs.base {
        None => "not known".to_owned(),
        Some(base) => {
            let chain = base.chain_id.as_ref().map(|id| format!(", chain ID {id}")).unwrap_or_default();
            counted(base.layers as u64, "layer") + &chain
        }
    };
    let rows = [
        ("entry", list(&runs.entrypoint)),
        ("command", list(&runs.command)),
        ("user", format!("{}, in {}", or(&runs.user, "root"), or(&runs.working_dir, "/"))),
        ("env", env + &changed),
        ("runs on", or(&runs.platform, "not known")),
        ("base", base),
    ];
    let mut text = String::new();
    for (name, value) in rows {
        text += &format!("  {}  {value}\n", color.style(Style::Faint, &format!("{name:7}")));
    }
    if !runs.signed {
        let note = "no signature covers how the image runs, nor its base, in this wire version (image-config, base)";
        text += &format!("  {}  {note}\n", color.style(Style::Doubtful, "weak   "));
    }
    text
}

/// The words of a command, each within quotes, so that nobody takes two for one.
fn list(words: &[String]) -> String {
    if words.is_empty() { "(none)".to_owned() } else { printable(&json!(words).to_string()) }
}

/// What a creator signs, for the person who does.
pub(super) fn statement(color: Palette, statement: &Statement) -> String {
    let signed = |covered: bool| if covered { "" } else { "  (the signature does not cover this)" };
    let mut text = color.style(Style::Heading, &format!("to be signed: train {}", printable(&statement.id))) + "\n";
    let mut row = |name: &str, value: &str| {
        text += &format!("  {}  {value}\n", color.style(Style::Faint, &format!("{name:8}")));
    };
    row("wire", statement.wire);
    row("proposal", &printable(&statement.proposal));
    row("creator", &format!("{} {}", printable(&statement.creator.0), statement.creator.1));
    if let Some(builder) = &statement.builder {
        row("builder", builder);
    }
    if let Some(paillier) = &statement.paillier {
        row("paillier", &printable(paillier));
    }
    for (index, (station, eco_system, key)) in statement.route.iter().enumerate() {
        let stop = format!("{} {} ({}) {key}", index + 1, printable(station), printable(eco_system));
        row(if index == 0 { "route" } else { "" }, &(stop + signed(statement.binds_route)));
    }
    for (at, (path, facts)) in statement.files.iter().enumerate() {
        let facts = facts.map(|(mode, bytes)| format!("  {mode:04o} {bytes} bytes")).unwrap_or_default();
        row(if at == 0 { "files" } else { "" }, &(printable(path) + &facts));
    }
    let held = match &statement.held_against {
        Some(place) => format!("the same as those in {}", printable(place)),
        None => "not held against any that you have: give --files".to_owned(),
    };
    row("", &held);
    match &statement.execution {
        None => row("image", "not looked at: there is none here"),
        Some(image) => {
            for (name, value) in image.iter().filter(|(name, _)| name.as_str() != "Labels") {
                row(&name.to_lowercase(), &(printable(&value.to_string()) + signed(statement.binds_image)));
            }
        }
    }
    row("source", &printable(&statement.source));
    for (at, layer) in statement.base.iter().enumerate() {
        row(if at == 0 { "base" } else { "" }, &(printable(layer) + signed(statement.binds_image)));
    }
    row("hash", &statement.hash);
    text
}

/// The next step, and who takes it.
fn next_step(train: &Inspection) -> String {
    if train.waits_for_creator {
        return "waits for its creator to sign it (pht-oci sign); until then no stage takes it".to_owned();
    }
    if train.waits_for_builder {
        return "waits for its builder to sign it (pht-oci sign); until then no stage takes it".to_owned();
    }
    let Some(next) = train.next.map(|next| &train.route[next].station) else {
        return "every station has signed; the creator can decrypt the results (pht-oci results)".to_owned();
    };
    let next = printable(next);
    match train.state() {
        TrainState::Open => format!("opened at {next}, in plaintext: run it, then pht-oci post-run"),
        _ => format!("next: pht-oci pre-run at {next} (or pht-oci run)"),
    }
}

/// Text of others as a person may see it.
pub(super) fn printable(text: &str) -> String {
    Printable::new(text).to_string()
}

pub(super) fn short(key: &str) -> String {
    let short: String = key.chars().take(SHORT_KEY).collect();
    if short.len() < key.len() { short + "..." } else { short }
}

/// Every check with its verdict, and what they say of each stop.
pub(super) fn verification(color: Palette, found: &Verification) -> String {
    let wire = found.wire.map(|wire| format!(" (wire {wire})")).unwrap_or_default();
    let heading = format!("verify of {}{wire}", Printable::new(&found.source));
    let mut text = color.style(Style::Heading, &heading) + "\n";
    text.extend(found.digest.iter().map(|digest| format!("  {digest}\n")));
    found.checks.iter().for_each(|one| text += &check(color, one));
    text += "\n";
    let stops = found.stops.iter().map(|stop| {
        let signature = match stop.signature {
            None if stop.signed => "not checked",
            None => "has not signed",
            Some(Verdict::Broken(_)) => "BROKEN",
            Some(_) => "holds",
        };
        let digest = match stop.digest {
            None => "",
            Some(Verdict::Sound) => "recomputed",
            Some(Verdict::Weak(_) | Verdict::Unpinned(_)) => "cannot be recomputed",
            Some(Verdict::Broken(_)) => "BROKEN",
        };
        let worst = [&stop.signature, &stop.digest].into_iter().flatten().map(style).max_by_key(|style| *style as u8);
        let number = (stop.index + 1).to_string();
        let cells = [number, printable(&stop.station), short(&stop.key), signature.to_owned()];
        (cells.into_iter().chain([digest.to_owned()]).collect(), worst.unwrap_or(Style::Faint))
    });
    let stops: Vec<_> = stops.collect();
    if !stops.is_empty() {
        text += &table(color, 2, &["#", "station", "key", "signature", "digest"], &stops);
        text += "\n";
    }
    text += &warnings(color, &found.warnings, &found.checks);
    let count = |name| found.checks.iter().filter(|check| check.verdict.name() == name).count();
    let unpinned = match count("unpinned") {
        0 => String::new(),
        number => format!(", {number} without a pin"),
    };
    let counts = format!("{} sound, {} weak, {} broken{unpinned}", count("sound"), count("weak"), count("broken"));
    if let Some(unread) = unread_layers(found) {
        text += &format!("  {unread}\n");
    }
    let style = if found.is_only_open() { Style::Doubtful } else { style(&found.verdict()) };
    text + &format!("  the train is {} ({counts})\n", color.style(style, verdict_words(found)))
}

/// The verdict on a train, as one says it.
pub(super) fn verdict_words(found: &Verification) -> &'static str {
    match found.verdict() {
        Verdict::Broken(_) | Verdict::Unpinned(_) if found.open => {
            return "open, and what can be checked does not all hold";
        }
        _ if found.open => return "open, and a train can only be verified when it is closed",
        _ if found.waits_for_creator => return "not signed yet: it waits for its creator",
        _ => {}
    }
    let is_weak = |check: &&Check| matches!(check.verdict, Verdict::Weak(_));
    let (trust, others): (Vec<&Check>, Vec<&Check>) =
        found.checks.iter().filter(is_weak).partition(|check| check.id == CheckId::Trust);
    match found.verdict() {
        Verdict::Sound => "sound",
        Verdict::Weak(_) if others.is_empty() => "sound, but no keys are pinned",
        Verdict::Weak(_) if trust.is_empty() => "sound but for what is not proved",
        Verdict::Weak(_) => "sound but for what is not proved, and no keys are pinned",
        Verdict::Unpinned(_) => "not trusted: nobody vouches for some of its keys",
        Verdict::Broken(_) => "broken",
    }
}

/// What was not read of the train, if something was not, and how to have it read.
pub(super) fn unread_layers(found: &Verification) -> Option<String> {
    let layers = counted(found.unread_layers as u64, "layer");
    (found.unread_layers > 0 && found.fault.is_none())
        .then(|| format!("not read: the lowest {layers} of the image (--all-layers reads all)"))
}

/// A check's id and what it is about, where the id does not say that.
pub(super) fn label(check: &Check) -> String {
    let (id, subject) = (check.id.name(), check.subject.to_string());
    if id.split('-').next() == Some(&subject) { id.to_owned() } else { format!("{id}: {}", printable(&subject)) }
}

/// One check as a line of a report: what holds, or else what was found.
pub(super) fn check(color: Palette, check: &Check) -> String {
    let mark = match check.verdict {
        Verdict::Sound => "ok    ",
        Verdict::Weak(_) => "weak  ",
        Verdict::Unpinned(_) => "NO PIN",
        Verdict::Broken(_) => "BROKEN",
    };
    let mark = color.style(style(&check.verdict), mark);
    let reason = check.reason().map(|reason| format!(" ({})", Printable::new(&reason))).unwrap_or_default();
    let subject = printable(&check.subject.to_string());
    let what = match (&check.verdict, &check.subject) {
        // Whose signature it is, where there are several; what else it is about is in the sentence.
        (Verdict::Sound, Subject::Creator(_) | Subject::Stop { .. }) => {
            format!("{} [{}: {subject}]", meaning(check.id), check.id)
        }
        (Verdict::Sound, _) => format!("{} [{}]", meaning(check.id), check.id),
        _ => label(check),
    };
    format!("  {mark} {what}{reason}\n")
}
