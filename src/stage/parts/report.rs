use std::fmt;
use std::path::PathBuf;

use super::execution::Execution;
use crate::image::ImageReport;
use crate::json::{Value, json};
use crate::text::size;
use crate::train::Check;

/// The report of a stage, the same for people and for programs.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Report {
    /// The command, as in `pre-run`.
    pub stage: &'static str,
    /// The station that acted.
    pub station: Option<String>,
    /// The wire version.
    pub wire: Option<&'static str>,
    /// The changes of the image.
    pub image: ImageReport,
    /// Every check with its verdict.
    pub checks: Vec<Check>,
    /// Conditions that the person should know about; nothing failed.
    pub warnings: Vec<String>,
    /// Notes on what else was done.
    pub notes: Vec<String>,
    /// How the image runs, of a stage after which it does.
    pub runs: Option<Execution>,
    /// The run of the train, if it ran.
    pub ran: Option<Ran>,
    /// The results that leave, of a stage that closes a train.
    pub results: Option<Vec<ResultFile>>,
    /// The SHA-256 of the stop's signature, in hexadecimal, of a stage that closes a train: it tells this closing from
    /// any other.
    pub signature: Option<String>,
}

/// A file among the results that leave.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResultFile {
    /// Its path below `/opt/pht_results`, with what cannot be seen escaped.
    pub path: String,
    /// The size of its plaintext in bytes.
    pub size: u64,
    /// The SHA-256 of its plaintext, in hexadecimal, where that was asked for.
    pub sha256: Option<String>,
}

impl ResultFile {
    /// As reports and journals have it.
    pub(crate) fn to_json(&self) -> Value {
        json!({ "path": self.path, "size": self.size, "sha256": self.sha256 })
    }
}

impl fmt::Display for ResultFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.path, size(self.size))
    }
}

/// What is said of a train that has written nothing.
pub(in crate::stage) const NO_RESULTS: &str = "there are no results: the train has left nothing in /opt/pht_results";

/// The run of a train.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Ran {
    /// The engine that ran it.
    pub engine: &'static str,
    /// The duration in seconds, to the millisecond.
    pub seconds: f64,
    /// The file with its output.
    pub log: PathBuf,
}
