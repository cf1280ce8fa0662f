//! The review of a train's results: every file through every check.

use std::cell::RefCell;
use std::io::Read;
use std::path::Path;

use super::against::Candidates;
use super::checks::RULES;
use super::checks::inventory::shown_path;
use super::declaration::Declaration;
use super::entries::{ResultEntry, ResultKind, State, compare, results_digest};
use super::finding::{Finding, Notes, Severity};
use super::inspect::{Found, inspect};
use super::nested::{Budget, Role};
use super::policy::ReleasePolicy;
use super::subject::{Run, Shared, Whole};
use crate::error::{ErrorContext, IoContext, Result};
use crate::image::Tree;
use crate::store::interrupt;

/// The most bytes of a file that are looked at; what is larger is hashed, and stops.
pub const MAX_READ: u64 = 16 << 20;

/// What is to be reviewed.
#[non_exhaustive]
pub struct ReviewInput<'a> {
    /// The results, in plaintext.
    pub tree: &'a Tree,
    /// The directory of the results in it.
    pub root: &'a [u8],
    /// Its entries, as [`entries_of`](super::entries_of) gives them.
    pub entries: Vec<ResultEntry>,
    /// What came with the train, if that is known.
    pub before: Option<Vec<ResultEntry>>,
    /// What the creator has declared, if anything.
    pub declaration: Option<&'a Declaration>,
    /// The station's data.
    pub against: &'a [&'a Path],
}

impl<'a> ReviewInput<'a> {
    /// Nothing but the results.
    pub fn new(tree: &'a Tree, root: &'a [u8], entries: Vec<ResultEntry>) -> Self {
        ReviewInput { tree, root, entries, before: None, declaration: None, against: &[] }
    }
}

/// What the checks have found.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Review {
    /// The digest of the results, which an approval binds.
    pub digest: String,
    /// The rules of the station.
    pub policy: ReleasePolicy,
    /// Every entry, in walk order.
    pub files: Vec<FileReview>,
    /// What is no longer there; `None` if it is not known what came with the train.
    pub gone: Option<Vec<String>>,
    /// What was found, by file, worst first.
    pub findings: Vec<Finding>,
    /// The directories of data that the results were compared with.
    pub against: Vec<String>,
}

/// One entry of the results.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FileReview {
    /// Its path below the results.
    pub path: String,
    /// What it is.
    pub entry: ResultEntry,
    /// The type by content; empty if it is no regular file, or was not looked at.
    pub format: &'static str,
    /// How it stands to what came with the train.
    pub state: Option<State>,
    /// The worst of its findings.
    pub verdict: Severity,
}

impl Review {
    /// The worst of all findings.
    pub fn verdict(&self) -> Severity {
        self.findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Pass)
    }

    /// The findings in one file.
    pub fn of<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a Finding> {
        self.findings.iter().filter(move |finding| finding.path == path)
    }
}

/// Reviews results by a station's rules.
///
/// # Errors
/// Input/output.
pub fn review(input: ReviewInput<'_>, policy: &ReleasePolicy) -> Result<Review> {
    let (states, gone) = match &input.before {
        Some(before) => {
            let (states, gone) = compare(&input.entries, before);
            (Some(states), Some(gone.iter().map(|path| shown_path(path)).collect()))
        }
        None => (None, None),
    };
    let whole = Whole {
        policy,
        tree: input.tree,
        root: input.root,
        entries: &input.entries,
        states: states.as_deref(),
        declaration: input.declaration,
    };
    let mut findings = Vec::new();
    for rule in &RULES {
        for run in [Some(&rule.run), rule.also.as_ref()].into_iter().flatten() {
            if let Run::Whole(check) = run {
                findings.extend(check(&whole)?);
            }
        }
    }
    let candidates = (!input.against.is_empty()).then(|| RefCell::new(Candidates::default()));
    let shared = Shared { policy, budget: Budget::default(), candidates };
    let mut formats = vec![""; input.entries.len()];
    for (at, entry) in input.entries.iter().enumerate() {
        interrupt::check()?;
        // What came with the train was for its own station to review.
        let is_old = states.as_ref().is_some_and(|states| states[at] == State::Unchanged);
        let ResultKind::File { size, .. } = entry.kind else { continue };
        if is_old {
            continue;
        }
        let (format, found) = of_file(&whole, entry, size, &shared)?;
        formats[at] = format;
        findings.extend(found);
    }
    if let Some(candidates) = &shared.candidates {
        for dir in input.against {
            candidates.borrow_mut().look_into(dir)?;
        }
        findings.extend(candidates.borrow().findings(policy));
    }
    let order = |finding: &Finding| (finding.path.clone(), std::cmp::Reverse(finding.severity), finding.check);
    findings.sort_by_key(order);
    let digest = results_digest(&input.entries);
    let files = input.entries.into_iter().enumerate().map(|(at, entry)| {
        let path = shown_path(&entry.path);
        let found = findings.iter().filter(|finding| finding.path == path);
        let verdict = found.map(|finding| finding.severity).max().unwrap_or(Severity::Pass);
        let state = states.as_ref().and_then(|states| states.get(at).copied());
        FileReview { path, entry, format: formats[at], state, verdict }
    });
    let (files, policy) = (files.collect(), policy.clone());
    let against = input.against.iter().map(|dir| dir.display().to_string()).collect();
    Ok(Review { digest, policy, files, gone, findings, against })
}

fn of_file(
    whole: &Whole<'_>,
    entry: &ResultEntry,
    size: u64,
    shared: &Shared<'_>,
) -> Result<(&'static str, Vec<Finding>)> {
    let path = shown_path(&entry.path);
    let mut notes = Notes::new(whole.policy, path.clone());
    if let Some(candidates) = &shared.candidates {
        candidates.borrow_mut().enter(&path);
    }
    let place = [whole.root, b"/", &entry.path].concat();
    let Some(node) = whole.tree.get(&place) else { return Ok(("", Vec::new())) };
    let mut bytes = Vec::new();
    whole.tree.open(node)?.take(MAX_READ).read_to_end(&mut bytes).doing("read the file").at(&path)?;
    let is_whole = size <= MAX_READ;
    if !is_whole {
        notes.stop(super::finding::ReviewCheck::Size, "", format!("only the first {MAX_READ} bytes are looked at"));
    }
    name_as_value(&entry.path, &mut notes);
    let found = Found { name: &entry.path, bytes: &bytes, size, whole: is_whole, role: Role::File, depth: 0 };
    let format = inspect(&found, shared, &mut notes)?;
    Ok((format.name(), notes.finish()))
}

/// Names travel in plaintext in some wire versions, and are read by everybody in all.
fn name_as_value(path: &[u8], notes: &mut Notes<'_>) {
    let name = String::from_utf8_lossy(path);
    if name
        .split(['/', ' '])
        .any(|word| super::tokens::token_of(word.split_once('.').map_or(word, |(stem, _)| stem)).is_some())
    {
        notes.stop(super::finding::ReviewCheck::Identifier, "its name", "what names a person");
    }
}
