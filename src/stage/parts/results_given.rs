//! The results that post-run is given: whether they are what a run has left.

use std::fs;
use std::path::Path;

use super::checks::result_files;
use super::labels::Labels;
use super::listing::files;
use super::load::Train;
use super::payload::Transform;
use super::report::NO_RESULTS;
use super::request::StageRequest;
use super::results_before::ResultsBefore;
use crate::error::{Advice, Error, ErrorContext, IoContext, Result};
use crate::image::{Content, Tree};
use crate::path::shown;
use crate::store::fs::identity;
use crate::text::some_of;
use crate::train::{Stop, paths};

/// The results that a message names.
const NAMED: usize = 10;

/// The results of a request, in an opened image or in a directory.
pub(in crate::stage) struct GivenResults<'a> {
    pub(in crate::stage) request: &'a StageRequest<'a>,
    /// What the opened image says of itself.
    pub(in crate::stage) labels: &'a Labels,
    /// The directory as it was read, where they are not in the image.
    pub(in crate::stage) directory: Option<&'a Tree>,
}

impl GivenResults<'_> {
    /// Refuses to sign that there are no results where pre-run has put them into a directory, and to drop those that a run
    /// has left in the image where they are taken from a directory.
    pub(in crate::stage) fn ensure_all(&self, train: &Train, stop: &Stop) -> Result<()> {
        let outside = self.labels.results_outside && self.labels.verified_config(stop).is_some();
        if outside && self.directory.is_none() {
            let what = "pre-run wrote the results into a directory, and none is given: they would be lost";
            return Err(Error::usage(what).advise(Advice::GiveResults));
        }
        if self.directory.is_none() || !self.labels.results_outside || self.labels.was_opened_apart() {
            return Ok(());
        }
        let left: Vec<String> = files(train.tree(), paths::RESULTS).map(|file| file.path).collect();
        let Some(left) = some_of(&left, NAMED) else { return Ok(()) };
        let what =
            format!("the run has left results in the image, and others are given, so that these would be lost: {left}");
        let hint = "mount the directory that pre-run has made at /opt/pht_results, and run the train again";
        Err(Error::usage(what).hint(hint).at(shown(paths::RESULTS)))
    }

    /// Says if no train has run, or if it has left nothing. Who demands no more signs the stop all the same: a train may
    /// have nothing to say at a station.
    ///
    /// # Errors
    /// [`Kind::Verification`](crate::error::Kind::Verification) where more is demanded.
    pub(in crate::stage) fn lack(&self, train: &Train) -> Result<Option<&'static str>> {
        let results = self.directory.unwrap_or(train.tree());
        let (strict, demanding) = (self.request.policy.strict, self.request.require_results);
        let (what, is_refused) = if self.directory.is_none() && self.labels.layers_of_run(&train.image) == Some(0) {
            ("nothing has run in the image: it is as pre-run left it", strict || demanding)
        } else if result_files(results, Transform::Keep)?.is_empty() {
            (NO_RESULTS, demanding)
        } else if self.is_directory_as_before() {
            ("nothing is new in the directory of the results: it is as pre-run left it", demanding)
        } else if self.directory.is_none() && self.are_all_as_opened(train) {
            ("nothing is new in the results: they are those that pre-run has decrypted", demanding)
        } else {
            return Ok(None);
        };
        if is_refused { Err(Error::verification(what).hint("run the train first")) } else { Ok(Some(what)) }
    }

    /// True if all results are where pre-run has put them, in the first layer above the base.
    fn are_all_as_opened(&self, train: &Train) -> bool {
        let Some(payload) = self.labels.base_layers.filter(|_| self.labels.layers_of_run(&train.image).is_some())
        else {
            return false;
        };
        let tree = train.tree();
        tree.below(paths::RESULTS).filter_map(|at| tree.file(&tree.nodes()[at])).all(|(_, content)| match content {
            Content::Layer { layer, .. } => *layer == payload,
            Content::Disk(_) => false,
        })
    }

    /// True if nobody has left anything in the directory that pre-run has made. Under `run` it is known that a train has run.
    fn is_directory_as_before(&self) -> bool {
        let before = self.labels.results_before.as_ref().filter(|_| !self.labels.was_opened_apart());
        let now = self.request.results.map(|dir| ResultsBefore::of(dir).digest());
        before.is_some() && before == now.as_ref()
    }
}

/// What is to be said of another directory than the one that pre-run has made for the results of this train: what is in it
/// leaves, be it the station's data. Whoever approves results has seen them. Machines number their file systems each in
/// its own way.
///
/// # Errors
/// [`Kind::Usage`](crate::error::Kind::Usage) where nothing is taken on trust.
pub(in crate::stage) fn other_directory(
    results: &Path,
    request: &StageRequest<'_>,
    labels: &Labels,
) -> Result<Option<String>> {
    let Some(made) = labels.results_directory.as_deref() else { return Ok(None) };
    let inode = |identity: &str| identity.rsplit(' ').next().map(str::to_owned);
    let found = fs::symlink_metadata(results).doing("stat the results").at(results.display())?;
    if request.release.is_some() || request.moved_results || inode(made) == inode(&identity(&found)) {
        return Ok(None);
    }
    let what = "not the directory that pre-run has made for the results of this train";
    if request.policy.strict {
        return Err(Error::usage(what).advise(Advice::NameMovedResults).at(results.display()));
    }
    Ok(Some(format!("{} is {what}: what is in it leaves", results.display())))
}
