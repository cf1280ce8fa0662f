use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::color::{Style, table};
use super::output::Output;
use super::secrets::load_any_key;
use super::text::short;
use crate::crypto::PublicKey;
use crate::error::{Error, Result};
use crate::json::{Object, Value, json};
use crate::stage::{Act, Journal, JournalEntry, Recording, Report, StageRequest, list_pins, recorded};
use crate::store::Context;
use crate::text::{Printable, counted};
use crate::train::Role;

/// The journal of a stage.
#[derive(Debug, Args)]
pub(super) struct JournalOptions {
    /// The station's signed record of what it did, which gets one more line; then no stop is closed twice
    #[arg(long, value_name = "FILE", env = "PHT_JOURNAL")]
    journal: Option<PathBuf>,
    /// Do a stop again that is closed, as the journal or what `run` finds at DEST says, or whose results are held
    #[arg(long)]
    again: bool,
    /// A new file for the journal's line on this command, to hand on
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
}

impl JournalOptions {
    /// True if there is a journal, or a receipt is asked for.
    pub(super) fn is_wanted(&self) -> bool {
        self.journal.is_some() || self.receipt.is_some()
    }

    /// True if what is done already is to be done again.
    #[cfg(feature = "engines")]
    pub(super) fn is_again(&self) -> bool {
        self.again
    }

    /// True if there is a journal.
    pub(super) fn is_kept(&self) -> bool {
        self.journal.is_some()
    }

    /// Does the work, and records it if there is a journal.
    pub(super) fn recorded(
        &self,
        request: &StageRequest<'_>,
        act: Act,
        details: Object,
        context: &Context,
        work: impl FnOnce() -> Result<Report>,
    ) -> Result<Report> {
        if let (None, Some(receipt)) = (&self.journal, &self.receipt) {
            let hint = "give one with --journal, the variable PHT_JOURNAL, or journal in the settings";
            return Err(Error::usage("a receipt is a line of a journal, and none is given")
                .hint(hint)
                .at(receipt.display()));
        }
        let journal = self.journal.as_ref().map(Journal::new);
        let recording = journal.as_ref().map(|journal| Recording {
            again: self.again,
            receipt: self.receipt.as_deref(),
            ..Recording::new(journal, &details)
        });
        recorded(request, act, recording, context, work)
    }
}

/// Show and verify the station's record of what it did.
///
/// Every line is a DSSE envelope with an in-toto statement, signed with the station's key (RSASSA-PKCS1-v1_5, SHA-256), and
/// has the digest of the line before. Beside the journal FILE lies a copy of its last line, FILE.head.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pht-oci journal show --journal journal.intoto.jsonl
  pht-oci journal verify --journal journal.intoto.jsonl \\
    --key hospital_a.pub.pem")]
pub(super) struct JournalCommand {
    #[command(subcommand)]
    command: Look,
}

#[derive(Debug, Subcommand)]
enum Look {
    Show(Show),
    Verify(Verify),
}

/// The journal to look at.
#[derive(Debug, Args)]
struct Place {
    /// The journal
    #[arg(long, value_name = "FILE", env = "PHT_JOURNAL")]
    journal: Option<PathBuf>,
}

impl Place {
    fn given(&self) -> Result<Journal> {
        let hint = "give one with --journal, the variable PHT_JOURNAL, or journal in the settings";
        let path = self.journal.as_ref().ok_or_else(|| Error::usage("no journal is given").hint(hint))?;
        Ok(Journal::new(path))
    }
}

/// Show what the station did, line by line.
///
/// Changed, removed and moved lines are found by their digests; who signed is for `journal verify`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pht-oci journal show --journal journal.intoto.jsonl")]
struct Show {
    #[command(flatten)]
    place: Place,
}

/// Check every line: signature, form, and its place in the chain.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  pht-oci journal verify --journal journal.intoto.jsonl \\
    --key hospital_a.pub.pem")]
struct Verify {
    #[command(flatten)]
    place: Place,
    /// A key of the station, public or private; repeat if it had several [default: the private key, else the pinned stations]
    #[arg(long = "key", value_name = "PEM")]
    keys: Vec<PathBuf>,
    /// The private key of the station
    #[arg(long, value_name = "PEM", env = "PRIVATE_KEY_PATH", hide = true)]
    private_key: Option<PathBuf>,
    /// Directory of pinned keys
    #[arg(long, value_name = "DIR", env = "PHT_TRUST_DIR", hide = true)]
    trust: Option<PathBuf>,
    /// A receipt, which has to be a line of the journal
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
}

impl JournalCommand {
    pub(super) fn run(&self, output: &mut Output) -> Result<()> {
        match &self.command {
            Look::Show(show) => show.run(output),
            Look::Verify(verify) => verify.run(output),
        }
    }
}

impl Show {
    fn run(&self, output: &mut Output) -> Result<()> {
        let journal = self.place.given()?;
        let entries = journal.entries()?;
        if !journal.path().exists() {
            let hint = "the first act that is recorded makes it; is this its path?";
            return Err(Error::usage("there is no journal").hint(hint).at(journal.path().display()));
        }
        let rows = entries.iter().map(row);
        let heading = ["#", "time", "act", "train", "stop", "image", "by whom and why"];
        let text = match entries.len() {
            0 => "nothing is recorded\n".to_owned(),
            _ => {
                let color = output.color();
                let note = color.style(Style::Faint, "signatures were not checked: pht-oci journal verify does that");
                format!("{}{note}\n", table(color, 0, &heading, &rows.collect::<Vec<_>>()))
            }
        };
        let json: Vec<Value> = entries.iter().map(|entry| Value::Object(entry.statement.clone())).collect();
        output.value(&text, &json!({ "entries": json }))
    }
}

/// The cells of an entry: what a stranger may have written is escaped.
fn row(entry: &JournalEntry) -> (Vec<String>, Style) {
    let text = |pointer: &str| Printable::new(entry.text(pointer).unwrap_or_default()).to_string();
    let failed = entry.text("/outcome") == Some("failed");
    let unfinished = entry.text("/outcome").filter(|outcome| *outcome != "done");
    let act = text("/act") + &unfinished.map(|outcome| format!(" ({})", Printable::new(outcome))).unwrap_or_default();
    let number = |pointer: &str| entry.get(pointer).and_then(Value::as_u64);
    let stop = match (number("/stop/index"), number("/stop/of")) {
        (Some(index), Some(of)) => format!("{} of {of}", index + 1),
        _ => String::new(),
    };
    let image = if unfinished.is_some() { String::new() } else { short(&text("/after")) };
    let cells = [entry.line.to_string(), text("/time"), act, text("/train/id"), stop, image, remarks(entry)];
    (cells.to_vec(), if failed { Style::Bad } else { Style::Good })
}

/// Who has approved, why something was rejected, and whether the stop was closed before.
fn remarks(entry: &JournalEntry) -> String {
    let approvals = entry.get("/approvals").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let reviewers = approvals.iter().filter_map(|approval| approval.get("reviewer").and_then(Value::as_str));
    let mut remarks: Vec<String> = reviewers.map(|reviewer| format!("approved by {reviewer}")).collect();
    remarks.extend(entry.text("/reason").map(|reason| format!("because: {reason}")));
    if entry.get("/again").and_then(Value::as_bool) == Some(true) {
        remarks.push("with --again".to_owned());
    }
    Printable::new(&remarks.join("; ")).to_string()
}

impl Verify {
    fn run(&self, output: &mut Output) -> Result<()> {
        let journal = self.place.given()?;
        let keys = self.load_keys()?;
        let entries = journal.verify(&keys)?;
        if let Some(path) = &self.receipt {
            journal.ensure_has(path, &entries, &keys)?;
        }
        let lines = counted(entries.len() as u64, "line");
        let (path, has_head) = (journal.path().display().to_string(), journal.has_head());
        let mut text = format!("{}: {lines}, each signed and in its place\n", Printable::new(&path));
        if !has_head {
            let what = "the copy of the last line is missing";
            text += &format!(
                "{what} ({}.head): nothing shows whether lines are missing at the end\n",
                Printable::new(&path)
            );
        }
        let last = entries.last().map(|entry| entry.digest.clone());
        let signers: Vec<String> = keys.iter().map(PublicKey::fingerprint).collect();
        let lines = entries.len() as u64;
        let json = json!({ "journal": path, "lines": lines, "last": last, "keys": signers, "has_end": has_head });
        output.value(&text, &json)
    }

    fn load_keys(&self) -> Result<Vec<PublicKey>> {
        if !self.keys.is_empty() {
            return self.keys.iter().map(|path| load_any_key(path)).collect();
        }
        if let Some(path) = &self.private_key {
            return Ok(vec![load_any_key(path)?]);
        }
        let pins = self.trust.as_deref().map(pinned_stations).transpose()?.unwrap_or_default();
        if pins.is_empty() {
            return Err(Error::usage("no key of the station is given")
                .hint("give it with --key STATION.pub.pem, or pin it as stations/ID.pem"));
        }
        Ok(pins)
    }
}

/// The keys of the stations that are pinned.
pub(super) fn pinned_stations(dir: &Path) -> Result<Vec<PublicKey>> {
    let pins = list_pins(dir)?.into_iter().filter(|pin| pin.role == Role::Station);
    Ok(pins.map(|pin| pin.key).collect())
}
