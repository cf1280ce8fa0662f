use std::path::PathBuf;

use crate::image::ImageReport;
use crate::train::Check;

/// What a stage has done: the rows of its report, the same for people and for programs.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The command, as in `pre-run`.
    pub stage: &'static str,
    /// Who acted.
    pub station: Option<String>,
    /// The wire version.
    pub wire: Option<&'static str>,
    /// What became of the image.
    pub image: ImageReport,
    /// Every check with its verdict.
    pub checks: Vec<Check>,
    /// What the person should know: nothing is wrong, but something is not as it might seem.
    pub warnings: Vec<String>,
    /// What happened besides.
    pub notes: Vec<String>,
    /// How the train ran, if it did.
    pub ran: Option<Ran>,
}

/// The first `most` names of a list, and how many more there are; nothing of an empty list.
pub(in crate::stage) fn some_of(names: &[String], most: usize) -> Option<String> {
    let named = names.get(..most).unwrap_or(names).join(", ");
    match names.len().saturating_sub(most) {
        0 if names.is_empty() => None,
        0 => Some(named),
        more => Some(format!("{named} and {more} more")),
    }
}

/// How a train ran.
#[derive(Debug, Clone)]
pub struct Ran {
    /// The engine that ran it.
    pub engine: &'static str,
    /// How long it took, in whole seconds.
    pub seconds: u64,
    /// The file with its output.
    pub log: PathBuf,
}
