//! The review of a train after its run, and its approval.

use std::path::Path;

use super::parts::labels::{ImageState, Labels};
use super::parts::load::{Depth, Train};
use super::parts::payload::{Transform, transform};
use super::parts::release::SeenFiles;
use super::post_run::{approval_subject, ensure_is_not_signed, ensure_was_opened, load};
use crate::crypto::PrivateKey;
use crate::error::{Advice, Error, ErrorContext, Result};
use crate::image::{
    Image, NodeKind, Nowhere, PathFilter, ReadDirectory, Tree, View, open_image, read_directory, rfc3339,
};
use crate::review::{
    Accepted, Approval, Declaration, MAX_OUTPUTS, OUTPUTS, ReleasePolicy, ResultEntry, Review, ReviewInput, entries_of,
    hash_files, review,
};
use crate::store::{Context, Reference};
use crate::train::{Stop, paths, unwrap_stage_key};

/// A request to review a train.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct ReviewRequest<'a> {
    /// The opened train after its run.
    pub source: &'a Reference,
    /// The directory with the results, if they are not in the image.
    pub results: Option<&'a Path>,
    /// The train as it came, to tell what is new where the opened image does not.
    pub before: Option<Before<'a>>,
    /// The station's data, to find what stands in them.
    pub against: &'a [&'a Path],
    /// The station's rules.
    pub policy: &'a ReleasePolicy,
}

impl<'a> ReviewRequest<'a> {
    /// Of results in the image itself.
    pub fn new(source: &'a Reference, policy: &'a ReleasePolicy) -> Self {
        ReviewRequest { source, results: None, before: None, against: &[], policy }
    }
}

/// A train as it came, and the station's key that opens it.
#[derive(Clone, Copy)]
pub struct Before<'a> {
    /// The train, encrypted.
    pub source: &'a Reference,
    /// The station's private key.
    pub key: &'a PrivateKey,
}

/// A review, and what it was about.
#[non_exhaustive]
pub struct Reviewed {
    /// The train; `None` if it was a directory of files.
    pub train: Option<ReviewedTrain>,
    /// What was found.
    pub review: Review,
    /// The results, to show them.
    pub tree: Tree,
    /// Where they are in it.
    pub root: &'static [u8],
}

/// The train whose results were reviewed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ReviewedTrain {
    /// The image.
    pub source: String,
    /// The train's id.
    pub id: String,
    /// The wire version.
    pub wire: &'static str,
    /// The creator's id.
    pub creator: String,
    /// The fingerprint of the creator's key, as the train brings it.
    pub creator_key: String,
    /// `sha256:` of the train config.
    pub config: String,
    /// The position of the stop, from 0, and the number of stops.
    pub stop: (usize, usize),
    /// The station.
    pub station: String,
    /// The directory with the results, if they are not in the image.
    pub results: Option<String>,
}

/// Reviews the results of a train after its run.
///
/// # Errors
/// [`Kind::Verification`](crate::error::Kind::Verification) if it was not opened, or every station has signed;
/// [`Kind::Malformed`](crate::error::Kind::Malformed) if it is no train.
pub fn review_train(request: &ReviewRequest<'_>, context: &Context) -> Result<Reviewed> {
    Ok(Opened::read(request, context)?.reviewed)
}

/// Reviews a directory of files that belong to no train.
///
/// # Errors
/// Input/output.
pub fn review_results(dir: &Path, against: &[&Path], policy: &ReleasePolicy, context: &Context) -> Result<Reviewed> {
    let tree = read_directory(dir, paths::RESULTS, ReadDirectory { owners: false, max_files: context.max_files })?;
    let entries = entries_of(&tree, paths::RESULTS, &hash_files(&tree, paths::RESULTS)?);
    let input = ReviewInput { against, ..ReviewInput::new(&tree, paths::RESULTS, entries) };
    let review = review(input, policy)?;
    Ok(Reviewed { train: None, review, tree, root: paths::RESULTS })
}

/// A request to approve the results of a train.
#[non_exhaustive]
pub struct ApproveRequest<'a> {
    /// What is reviewed.
    pub review: ReviewRequest<'a>,
    /// The reviewer's private key.
    pub key: &'a PrivateKey,
    /// The findings that are accepted, each with a reason.
    pub accepted: &'a [Accepted],
    /// What the reviewer says besides.
    pub comment: Option<&'a str>,
}

impl<'a> ApproveRequest<'a> {
    /// Approves what no finding stops.
    pub fn new(review: ReviewRequest<'a>, key: &'a PrivateKey) -> Self {
        ApproveRequest { review, key, accepted: &[], comment: None }
    }
}

/// Reviews the results of a train and signs that exactly these may leave.
///
/// # Errors
/// As [`review_train`]; [`Kind::Decision`](crate::error::Kind::Decision) if a finding stops that is not accepted.
pub fn approve(request: &ApproveRequest<'_>, context: &Context) -> Result<(Reviewed, Approval)> {
    let opened = Opened::read(&request.review, context)?;
    let review = &opened.reviewed.review;
    let policy = request.review.policy.digest()?;
    let subject = approval_subject(&opened.train, &opened.stop, review.digest.clone(), policy);
    let time = rfc3339(context.now)?;
    let approval = Approval::sign(&subject, review, request.accepted, request.key, (&time, request.comment))?;
    Ok((opened.reviewed, approval))
}

/// An opened train with its review.
struct Opened {
    train: Train,
    stop: Stop,
    reviewed: Reviewed,
}

impl Opened {
    fn read(request: &ReviewRequest<'_>, context: &Context) -> Result<Self> {
        let image = open_image(request.source, context)?;
        let labels = Labels::read(&image);
        ensure_was_opened(&image, &labels)?;
        if labels.results_outside && request.results.is_none() {
            let what = "pre-run wrote the results into a directory, and none is given: there is nothing to look at";
            return Err(Error::usage(what).advise(Advice::GiveResults).at(request.source));
        }
        let mut train = load(image, &context.temporary, labels.base_layers, &labels)?;
        let name = train.name();
        ensure_is_not_signed(&train).at(&name)?;
        let Some(stop) = train.config.route_state().at(&name)?.next().cloned() else {
            return Err(Error::verification("every station has signed: there is nothing to release").at(name));
        };
        let before = before_of(request, &train, &stop, &labels, context).at(&name)?;
        let declaration = declaration_of(&train).at(&name)?;
        let options = ReadDirectory { owners: false, max_files: context.max_files };
        let outside = request.results.map(|dir| read_directory(dir, paths::RESULTS, options)).transpose()?;
        let tree = match outside {
            Some(tree) => tree,
            None => std::mem::take(&mut train.view.tree),
        };
        let entries = entries_of(&tree, paths::RESULTS, &hash_files(&tree, paths::RESULTS)?);
        let (against, declaration) = (request.against, declaration.as_ref());
        let input = ReviewInput { before, declaration, against, ..ReviewInput::new(&tree, paths::RESULTS, entries) };
        let review = review(input, request.policy)?;
        // What is shown to a person was what the layers claim to be.
        train.view.verify()?;
        let facts = ReviewedTrain {
            source: name,
            id: train.config.id().to_owned(),
            wire: train.config.wire().name(),
            creator: train.config.creator().id.to_string(),
            creator_key: train.config.creator().public_key.fingerprint(),
            config: train.config_digest(),
            stop: (stop.index, train.config.route().stops().len()),
            station: stop.station.to_string(),
            results: request.results.map(|dir| dir.display().to_string()),
        };
        let reviewed = Reviewed { train: Some(facts), review, tree, root: paths::RESULTS };
        Ok(Opened { train, stop, reviewed })
    }
}

/// What came with the train, if that can be told: nothing before the first stop; else what pre-run has put below the
/// layers of the run, or what the train as it came holds.
fn before_of(
    request: &ReviewRequest<'_>,
    train: &Train,
    stop: &Stop,
    labels: &Labels,
    context: &Context,
) -> Result<Option<Vec<ResultEntry>>> {
    if let Some(before) = request.before {
        return of_encrypted(before, train, stop, context).map(Some);
    }
    if train.config.route_state()?.last_signed().is_none() {
        return Ok(Some(Vec::new()));
    }
    match labels.base_layers.filter(|_| request.results.is_none() && labels.state == Some(ImageState::PreRun)) {
        Some(base) => of_opened(&train.image.up_to(base + 2), context).map(Some),
        None => Ok(None),
    }
}

/// The results that pre-run has written into the image, without what a run has changed.
fn of_opened(image: &Image, context: &Context) -> Result<Vec<ResultEntry>> {
    let wanted = PathFilter::new([paths::RESULTS]);
    let mut view = View::read(image, wanted, &context.temporary, |_| Ok(false))?;
    let entries = entries_of(&view.tree, paths::RESULTS, &hash_files(&view.tree, paths::RESULTS)?);
    view.verify()?;
    Ok(entries)
}

/// The results in the train as it came, which have to be decrypted.
fn of_encrypted(before: Before<'_>, train: &Train, stop: &Stop, context: &Context) -> Result<Vec<ResultEntry>> {
    let image = open_image(before.source, context)?;
    let mut came = Train::load(image, &context.temporary, Depth::ListedFiles(usize::MAX))?;
    if came.config_digest() != train.config_digest() {
        let what = "not the train that was opened: its train config is another one";
        return Err(Error::usage(what).at(before.source));
    }
    if came.config.route_state()?.last_signed().is_none() {
        return Ok(Vec::new());
    }
    let key = unwrap_stage_key(&came.config, stop, before.key)?;
    let decrypt = Transform::Decrypt(came.config.wire().cipher(), &key);
    let mut seen = SeenFiles::new(None);
    transform(came.tree(), paths::RESULTS, decrypt, Some(&mut seen), &mut Nowhere)?;
    let entries = entries_of(came.tree(), paths::RESULTS, &seen.finish());
    came.view.verify()?;
    Ok(entries)
}

/// What the creator has declared among the immutable files.
fn declaration_of(train: &Train) -> Result<Option<Declaration>> {
    let tree = train.tree();
    let name = [b"/", OUTPUTS.as_bytes()].concat();
    let nodes = &tree.nodes()[tree.below(paths::TRAIN)];
    let found = nodes.iter().find(|node| matches!(node.kind, NodeKind::File { .. }) && node.path.ends_with(&name));
    found.map(|node| Declaration::parse(&tree.read(node, MAX_OUTPUTS)?).at(node.shown())).transpose()
}
