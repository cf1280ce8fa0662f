use std::path::PathBuf;

use crate::error::Error;
use crate::review::{ResultKind, Review, Severity, State};
use crate::stage::parts::report::NO_RESULTS;
use crate::stage::run::{Limit, Usage};
use crate::text::{Printable, some_of};

/// The paths outside of the results that a rehearsal lists, and those that it names in a warning.
const LISTED: usize = 100;
const NAMED: usize = 5;

/// What a rehearsal has shown.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Rehearsal {
    /// The master image.
    pub base: String,
    /// The engine that ran the train.
    pub engine: &'static str,
    /// The stations in the order of the route.
    pub stations: Vec<String>,
    /// What is to be said of the train itself.
    pub warnings: Vec<String>,
    /// The stops that it came to, the last perhaps one at which it ended.
    pub stops: Vec<RehearsedStop>,
    /// Where the results are (`-` where nobody wanted them); `None` if the train did not come to its end.
    pub results: Option<String>,
    /// Why the train did not come to its end.
    pub error: Option<Error>,
}

impl Rehearsal {
    /// The number of findings against the rules of a station, over all stops.
    pub fn stopped(&self) -> u64 {
        let findings = self.stops.iter().filter_map(|stop| stop.review.as_ref()).flat_map(|review| &review.findings);
        findings.filter(|finding| finding.severity == Severity::Stop).count() as u64
    }
}

/// What was seen at one stop.
#[derive(Debug)]
#[non_exhaustive]
pub struct RehearsedStop {
    /// The position from 0.
    pub index: usize,
    /// The station.
    pub station: String,
    /// How long the train ran, in milliseconds; `None` if it was not started.
    pub milliseconds: Option<u64>,
    /// The most bytes of memory that it has taken, if the engine tells it.
    pub memory: Option<u64>,
    /// What it has written outside of its results, some of it; `None` if that is not known.
    pub written: Option<Vec<String>>,
    /// How much more that was.
    pub written_more: usize,
    /// The review of its results; `None` if it has failed.
    pub review: Option<Review>,
    /// Why it failed, if it did so itself.
    pub failed: Option<StopFailure>,
    /// What a station would have said.
    pub warnings: Vec<String>,
}

/// How a train failed.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct StopFailure {
    /// Its exit status; `None` if it was ended from outside.
    pub exit_status: Option<i32>,
    /// The limit that ended it, if one did.
    pub limit: Option<Limit>,
}

impl StopFailure {
    pub(super) fn new(exit_status: Option<i32>, limit: Option<Limit>) -> Self {
        StopFailure { exit_status, limit }
    }
}

impl RehearsedStop {
    pub(super) fn new(index: usize, station: &str, usage: Option<Usage>, review: Option<Review>) -> Self {
        let written = usage.as_ref().and_then(|usage| usage.written.as_ref());
        let shown = |path: &PathBuf| Printable::new(path.as_os_str().as_encoded_bytes()).to_string();
        RehearsedStop {
            index,
            station: station.to_owned(),
            milliseconds: usage.as_ref().map(|usage| u64::try_from(usage.time.as_millis()).unwrap_or(u64::MAX)),
            memory: usage.as_ref().and_then(|usage| usage.memory),
            written: written.map(|paths| paths.iter().take(LISTED).map(shown).collect()),
            written_more: written.map_or(0, |paths| paths.len().saturating_sub(LISTED)),
            review,
            failed: None,
            warnings: Vec::new(),
        }
    }
}

/// What is odd in what a stop has shown.
pub(super) fn reasons(stop: &RehearsedStop, index: usize) -> Vec<String> {
    let mut said = Vec::new();
    match stop.written.as_deref() {
        Some(paths) => {
            let named = some_of(paths.get(..NAMED).unwrap_or(paths), NAMED);
            let more = paths.len().saturating_sub(NAMED) + stop.written_more;
            said.extend(named.map(|named| {
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                format!("written outside of /opt/pht_results, and lost at every station: {named}{more}")
            }));
        }
        None if stop.milliseconds.is_some() => said.push(
            "what the train has written outside of /opt/pht_results was not looked at: the engine cannot tell it here"
                .to_owned(),
        ),
        None => {}
    }
    let Some(review) = &stop.review else { return said };
    let has_results = review.files.iter().any(|file| !matches!(file.entry.kind, ResultKind::Directory));
    let is_same = review.files.iter().all(|file| file.state == Some(State::Unchanged))
        && review.gone.as_ref().is_some_and(Vec::is_empty);
    if !has_results {
        said.push(NO_RESULTS.to_owned());
    } else if index > 0 && is_same {
        said.push("the train has changed nothing in /opt/pht_results at this station".to_owned());
    }
    said
}
