//! Keeps what a train has computed when it cannot be closed, for it may have run for days, or when a person has to see it
//! first.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::register::all_kept;
use super::work_dir::{WorkDir, kept_for};
use crate::error::{Advice, Error, IoContext, Kind, Result};
use crate::image::{Image, open_image};
use crate::stage::kept::{CLOSED, INCOMPLETE, OPENED, parts_of_kept};
use crate::stage::parts::labels::Labels;
use crate::stage::parts::load::{Depth, Train};
use crate::stage::parts::report::Ran;
use crate::stage::parts::request::StageRequest;
use crate::stage::post_run::post_run_elsewhere;
use crate::store::tag::LATEST;
use crate::store::{Context, Reference};
use crate::text::seconds_text;
use crate::train::Check;

/// A train that has run.
pub(super) struct Kept<'a> {
    /// The request with which post-run has failed.
    pub(super) post: &'a StageRequest<'a>,
    /// The opened image, without its base.
    pub(super) opened: &'a Reference,
    /// The encrypted image.
    pub(super) before: &'a Image,
    /// The directory with the results.
    pub(super) results: &'a Path,
    /// The checks that were made before it ran.
    pub(super) checks: &'a [Check],
    /// How it has run.
    pub(super) ran: &'a Ran,
}

/// What a run has done whose results are held: the cause of the error that [`run`](super::run) then returns.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RunHeld {
    /// The checks that were made before the train ran.
    pub checks: Vec<Check>,
    /// How it has run.
    pub ran: Ran,
}

impl fmt::Display for RunHeld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ran it for {}", self.ran.engine, seconds_text(self.ran.seconds))
    }
}

impl std::error::Error for RunHeld {}

/// Whether the train has had room for all of its results.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    Yes,
    Perhaps,
}

/// What is to be said of the `error` with which post-run has ended. If it was the registry's, the train is closed into
/// an archive on this machine, encrypted as it would travel. Else the opened train and its results stay in plaintext,
/// for their owner alone, beside the destination. The error says where, and how to go on.
pub(super) fn keep(kept: &Kept<'_>, work: WorkDir, whole: Whole, context: &Context, error: Error) -> Error {
    if error.kind() == Kind::Registry {
        match close_here(kept, context) {
            Ok(archive) => {
                let target = kept.post.destination.unwrap_or(kept.post.source);
                let first = error.advice().cloned().map(Box::new);
                let advice = Advice::SendKept { first, archive: archive.to_string(), target: target.absolute() };
                // The opened train is gone by the time that this is read.
                let error = match (kept.opened.path(), kept.post.source.path()) {
                    (Some(opened), Some(source)) => error.moved(opened, source),
                    _ => error,
                };
                return error.at("the train has run, but its registry has not taken the closed train").advise(advice);
            }
            Err(second) => tracing::warn!("the closed train could not be kept on this machine either: {second}"),
        }
    }
    let before = work.join("");
    match leave(kept, work, whole) {
        Ok(Place { dir, opened, results, source, target }) => {
            let error = match kept.opened.path() {
                Some(hidden) => error.moved(hidden, &dir.join(OPENED)),
                None => error,
            };
            let error = error.moved(&before, &dir.join(""));
            let first = error.advice().and_then(Advice::as_text).map(str::to_owned);
            let advice = Advice::CloseKept { first, opened, results, source, target };
            error.at("the train has run, but it could not be closed").advise(advice)
        }
        Err(second) => error.at(format!("the train has run, but its results are lost ({second})")),
    }
}

/// What is to be said of a train whose results a person has to see before they leave: it is kept as [`keep`] keeps it.
pub(super) fn hold(kept: &Kept<'_>, work: WorkDir, whole: Whole) -> Error {
    let what = "the train has run, and its results are held until a person has approved them";
    match leave(kept, work, whole) {
        Ok(Place { opened, results, source, target, .. }) => {
            let held = RunHeld { checks: kept.checks.to_vec(), ran: kept.ran.clone() };
            let advice = Advice::ReviewHeld { opened, results, source, target };
            Error::new(Kind::Decision, what).because(held).advise(advice)
        }
        Err(error) => error.at("the train has run, but its results cannot be held"),
    }
}

/// What a run has kept for a person to see to: results in plaintext.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct KeptRun {
    /// The directory.
    pub path: PathBuf,
    /// The opened train in it.
    pub opened: Reference,
    /// Its results.
    pub results: PathBuf,
}

impl KeptRun {
    /// Nothing, if the results are gone.
    fn at(path: PathBuf) -> Option<Self> {
        let (opened, results) = parts_of_kept(&path);
        results.is_dir().then_some(KeptRun { path, opened: Reference::layout(opened, None), results })
    }
}

/// What the runs of this user have kept and nobody has removed, wherever they ran.
pub fn kept_runs(context: &Context) -> Vec<KeptRun> {
    all_kept(context).into_iter().filter_map(KeptRun::at).collect()
}

/// What earlier runs to the same place have kept, beside the train that is to run.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct KeptBefore {
    /// What was kept.
    pub run: KeptRun,
    /// True if it is of this very train.
    pub is_of_train: bool,
    /// True if it waits for a person to approve it.
    pub is_held: bool,
}

/// What earlier runs to the same place have kept.
///
/// # Errors
/// [`Kind::Malformed`] if `source` is no train.
pub fn kept_before(source: &Reference, destination: Option<&Reference>, context: &Context) -> Result<Vec<KeptBefore>> {
    tell(kept_for(destination.unwrap_or(source), context)?, source, context)
}

/// What earlier runs of a train have kept, to wherever they went.
///
/// # Errors
/// [`Kind::Malformed`] if `source` is no train.
pub fn kept_anywhere(source: &Reference, context: &Context) -> Result<Vec<KeptBefore>> {
    let mut kept = kept_for(source, context)?;
    kept.extend(all_kept(context));
    kept.sort();
    kept.dedup();
    tell(kept, source, context)
}

/// What is in directories that were kept, for a train that may run.
fn tell(kept: Vec<PathBuf>, source: &Reference, context: &Context) -> Result<Vec<KeptBefore>> {
    let kept: Vec<KeptRun> = kept.into_iter().filter_map(KeptRun::at).collect();
    if kept.is_empty() {
        return Ok(Vec::new());
    }
    let config = Train::load(open_image(source, context)?, &context.temporary, Depth::Config)?.config_digest();
    let told = |run: KeptRun| {
        let labels = open_image(&run.opened, context).map(|image| Labels::read(&image)).unwrap_or_default();
        let is_of_train = labels.any_verified_config() == Some(config.as_str());
        KeptBefore { run, is_of_train, is_held: labels.needs_approval }
    };
    Ok(kept.into_iter().map(told).collect())
}

/// Where a train was kept, and what closes it.
struct Place {
    dir: PathBuf,
    opened: String,
    results: String,
    source: String,
    target: String,
}

/// Closes the train into a new archive in a private directory.
fn close_here(kept: &Kept<'_>, context: &Context) -> Result<Reference> {
    let mut dir = tempfile::Builder::new();
    let dir = dir.prefix(CLOSED).tempdir_in(&context.temporary).doing("create a directory for the closed train")?;
    let archive = archive_in(dir.path(), kept.post.destination.unwrap_or(kept.post.source));
    let post = StageRequest { destination: Some(&archive), ..*kept.post };
    post_run_elsewhere(&post, kept.opened, kept.before, context)?;
    let _ = dir.keep();
    Ok(archive)
}

fn archive_in(dir: &Path, target: &Reference) -> Reference {
    let tag = target.tag().unwrap_or(LATEST).to_owned();
    Reference::oci_archive(dir.join("train.tar"), Some(tag))
}

/// Leaves the work directory under a name that nobody cleans up, with what closes the train and nothing else: the data of
/// the station are still where they came from.
fn leave(kept: &Kept<'_>, work: WorkDir, whole: Whole) -> Result<Place> {
    let below = |path: &Path| path.file_name().map(PathBuf::from).unwrap_or_default();
    let (opened, results) = (kept.opened.path().map(below).unwrap_or_default(), below(kept.results));
    let dir = work.keep(&[&opened, &results])?;
    if whole == Whole::Perhaps
        && let Err(error) = fs::write(dir.join(INCOMPLETE), "")
    {
        tracing::warn!("{}: it cannot be noted there that the results may be incomplete: {error}", dir.display());
    }
    // A name that people and scripts can type; where it cannot be given, the old one does.
    let (hidden, plain) = (dir.join(opened), dir.join(OPENED));
    let opened = if fs::rename(&hidden, &plain).is_ok() { plain } else { hidden };
    let opened = Reference::layout(opened, kept.opened.tag().map(str::to_owned));
    Ok(Place {
        opened: opened.to_string(),
        results: dir.join(results).display().to_string(),
        source: kept.post.source.absolute(),
        target: kept.post.destination.unwrap_or(kept.post.source).absolute(),
        dir,
    })
}
