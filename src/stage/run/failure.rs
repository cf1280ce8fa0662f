use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Kind};
use crate::text::limit_text;

/// A limit that ended a train.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// Of its running time.
    Time(Duration),
    /// Of its memory, in bytes.
    Memory(u64),
    /// Of its results, in bytes.
    Results(u64),
}

impl Limit {
    /// The stable name in JSON reports.
    pub fn name(self) -> &'static str {
        match self {
            Limit::Time(_) => "time",
            Limit::Memory(_) => "memory",
            Limit::Results(_) => "results",
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Limit::Time(limit) => write!(f, "the train ran longer than {}, its time limit", limit_text(*limit)),
            Limit::Memory(limit) => {
                write!(f, "the system killed the train, which may take {limit} bytes of memory and wanted more")
            }
            Limit::Results(limit) => write!(f, "the results have more than {limit} bytes, their limit"),
        }
    }
}

/// The failure of a train: the cause of the error that [`run`](super::run) then returns.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TrainFailed {
    /// Its exit status; `None` if it was ended from outside.
    pub exit_status: Option<i32>,
    /// The limit that ended it, if one did.
    pub limit: Option<Limit>,
    /// How long it ran.
    pub seconds: f64,
    /// The file with its output.
    pub log: PathBuf,
}

impl fmt::Display for TrainFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.limit, self.exit_status) {
            (Some(limit), _) => write!(f, "{limit}"),
            (None, Some(status)) => write!(f, "exit status {status}"),
            (None, None) => f.write_str("the train was ended"),
        }
    }
}

impl std::error::Error for TrainFailed {}

/// The error of a train that failed.
pub(super) fn failed(exit_status: Option<i32>, limit: Option<Limit>, time: Duration, log: &Path) -> Error {
    let cause = TrainFailed { exit_status, limit, seconds: seconds_of(time), log: log.to_owned() };
    Error::new(Kind::Train, "the train failed").because(cause).hint(unchanged(log))
}

/// A duration in seconds, to the millisecond.
pub(super) fn seconds_of(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}

/// The error of a train that ended well and left nothing, or nothing new, where a station demands results.
pub(super) fn left_nothing(what: &str, log: &Path) -> Error {
    Error::new(Kind::Train, what).hint(unchanged(log))
}

fn unchanged(log: &Path) -> String {
    format!("look at the train's output in {} with less; the encrypted image is unchanged", log.display())
}
