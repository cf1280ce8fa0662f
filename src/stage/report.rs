use std::path::PathBuf;

use crate::train::Check;

/// What a stage has done: the rows of its report, the same for people and for programs.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The command, as in `pre-run`.
    pub stage: &'static str,
    /// Who acted.
    pub station: Option<String>,
    /// The wire version.
    pub wire: &'static str,
    /// The image that was read.
    pub source: String,
    /// The image that was published, or the directory that was written.
    pub destination: String,
    /// The manifest's digest before.
    pub digest_before: Option<String>,
    /// The manifest's digest now.
    pub digest_after: Option<String>,
    /// What became of the layers.
    pub layers: Layers,
    /// Bytes moved.
    pub bytes: Bytes,
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
pub(super) fn some_of(names: &[String], most: usize) -> Option<String> {
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

/// What became of the layers of an image.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    /// Digests of the new ones, from the bottom up.
    pub added: Vec<String>,
    /// Digests of those that are not part of the image any more.
    pub dropped: Vec<String>,
    /// How many stayed as they are.
    pub reused: usize,
}

/// Bytes that a stage moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bytes {
    /// Read from layers, manifests and configs.
    pub read: u64,
    /// Written to the destination.
    pub written: u64,
    /// Of those written, base layers that had to be copied.
    pub transferred: u64,
}
