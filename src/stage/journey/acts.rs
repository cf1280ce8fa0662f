//! An entry of a journal, as far as an auditor reads it. What is missing or of another form is as if it were not there:
//! the entry is of a program of another version, and its signature has been verified.

use crate::json::{Object, Value};
use crate::stage::journal::JournalEntry;
use crate::stage::parts::report::ResultFile;

/// What a station says that it did to a train.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RecordedAct {
    /// The journal, by its position among those that were given, and the line in it.
    pub place: (usize, usize),
    /// The digest of the line.
    pub digest: String,
    /// The fingerprint of the key that signed it.
    pub signer: Option<String>,
    /// `pre-run`, `run`, `post-run`, `release` or `reject`.
    pub act: String,
    /// `done`, `failed` or `held`.
    pub outcome: String,
    /// When, by the station's clock.
    pub time: String,
    /// The position of the stop, from 0, and the number of stops.
    pub stop: (Option<u64>, Option<u64>),
    /// The SHA-256 of the signature by which it closed the stop, if it says so.
    pub signature: Option<String>,
    /// The station's id and the fingerprint of its key, as it names them.
    pub station: (String, String),
    /// The creator's id and the fingerprint of its key.
    pub creator: (String, String),
    /// True if the creator's key was pinned at the station.
    pub creator_pinned: Option<bool>,
    /// The digests of the image that came and of the one that went.
    pub images: (Option<String>, Option<String>),
    /// Where it went.
    pub destination: Option<String>,
    /// True if the station did it again though it was done.
    pub again: bool,
    /// What runs.
    pub runs: RecordedRun,
    /// The engine, its volumes and what else it was told, if it ran the train.
    pub engine: Option<Object>,
    /// How long the train ran, in seconds.
    pub seconds: Option<f64>,
    /// The exit status of the train.
    pub exit_status: Option<i64>,
    /// The number of checks that were made, and those that were not sound, each by its id.
    pub checks: Option<(usize, Vec<String>)>,
    /// The results that left.
    pub results: Option<Vec<ResultFile>>,
    /// The approvals with which they left.
    pub approvals: Vec<RecordedApproval>,
    /// Why the results were rejected, if they were.
    pub reason: Option<String>,
    /// The program and its version.
    pub version: Option<String>,
}

/// What ran, as a station says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedRun {
    /// The entry point.
    pub entrypoint: Vec<String>,
    /// The command.
    pub command: Vec<String>,
    /// The user.
    pub user: Option<String>,
    /// The chain ID of the base.
    pub base: Option<String>,
}

/// A reviewer's approval, as a station has recorded it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedApproval {
    /// The fingerprint of the reviewer's key.
    pub reviewer: String,
    /// When.
    pub time: String,
    /// What the reviewer said besides.
    pub comment: Option<String>,
    /// The findings that were accepted, each with its reason.
    pub accepted: Vec<(String, String)>,
    /// The digest of the results that were approved.
    pub results: String,
    /// The digest of the rules by which they were reviewed.
    pub policy: String,
    /// The SHA-256 of what the reviewer has signed, in hexadecimal.
    pub sha256: String,
}

impl RecordedAct {
    /// Reads an entry that was verified.
    pub(super) fn read(entry: &JournalEntry, journal: usize, signer: Option<String>) -> Self {
        let text = |pointer: &str| entry.text(pointer).unwrap_or_default().to_owned();
        let maybe = |pointer: &str| entry.text(pointer).map(str::to_owned);
        let number = |pointer: &str| entry.get(pointer).and_then(Value::as_u64);
        let list = |pointer: &str| entry.get(pointer).and_then(Value::as_array);
        let checks = list("/checks").map(|checks| {
            let is_sound = |check: &&Value| check.get("verdict").and_then(Value::as_str) == Some("sound");
            (checks.len(), checks.iter().filter(|check| !is_sound(check)).map(|check| text_of(check, "id")).collect())
        });
        RecordedAct {
            place: (journal, entry.line),
            digest: entry.digest.clone(),
            signer,
            act: text("/act"),
            outcome: text("/outcome"),
            time: text("/time"),
            stop: (number("/stop/index"), number("/stop/of")),
            signature: maybe("/signature"),
            station: (text("/station/id"), text("/station/key")),
            creator: (text("/train/creator/id"), text("/train/creator/key")),
            creator_pinned: entry.get("/train/creator/pinned").and_then(Value::as_bool),
            images: (maybe("/before"), maybe("/after")),
            destination: maybe("/destination"),
            again: entry.get("/again").and_then(Value::as_bool).unwrap_or(false),
            runs: RecordedRun {
                entrypoint: texts(entry.get("/runs/entrypoint")),
                command: texts(entry.get("/runs/command")),
                user: maybe("/runs/user"),
                base: maybe("/runs/base/chain_id"),
            },
            engine: entry.get("/engine").and_then(Value::as_object).cloned(),
            seconds: entry.get("/ran/seconds").and_then(Value::as_f64),
            exit_status: entry.get("/ran/exit_status").and_then(Value::as_i64),
            checks,
            results: list("/results").map(|files| files.iter().filter_map(result).collect()),
            approvals: list("/approvals").into_iter().flatten().map(approval).collect(),
            reason: maybe("/reason"),
            version: entry.text("/tool/version").map(|version| format!("{} {version}", text("/tool/name"))),
        }
    }

    /// True if it closed the stop.
    pub fn closes(&self) -> bool {
        self.outcome == "done" && ["run", "post-run", "release"].contains(&self.act.as_str())
    }

    /// True if it opened the train as it came.
    pub fn opens(&self) -> bool {
        ["run", "pre-run"].contains(&self.act.as_str())
    }
}

fn texts(list: Option<&Value>) -> Vec<String> {
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn text_of(object: &Value, member: &str) -> String {
    object.get(member).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn result(file: &Value) -> Option<ResultFile> {
    let size = file.get("size").and_then(Value::as_u64)?;
    let sha256 = file.get("sha256").and_then(Value::as_str).map(str::to_owned);
    Some(ResultFile { path: text_of(file, "path"), size, sha256 })
}

fn approval(approval: &Value) -> RecordedApproval {
    let accepted = approval.get("accepted").and_then(Value::as_array).into_iter().flatten();
    RecordedApproval {
        reviewer: text_of(approval, "reviewer"),
        time: text_of(approval, "time"),
        comment: approval.get("comment").and_then(Value::as_str).map(str::to_owned),
        accepted: accepted.map(|one| (text_of(one, "finding"), text_of(one, "reason"))).collect(),
        results: text_of(approval, "results"),
        policy: text_of(approval, "policy"),
        sha256: text_of(approval, "sha256"),
    }
}
