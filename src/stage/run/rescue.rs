//! Keeps a train that has run and that its registry refuses: it may have run for days.

use std::path::Path;

use crate::error::{Advice, Error, IoContext, Kind, Result};
use crate::image::Image;
use crate::stage::parts::request::StageRequest;
use crate::stage::post_run::post_run_elsewhere;
use crate::store::tag::LATEST;
use crate::store::{Context, Reference};

/// What is to be said of the `error` with which post-run has ended. If it was the registry's, the train is closed into
/// an archive on this machine, encrypted as it would travel, and the error says where and what to do with it.
pub(super) fn rescue(
    post: &StageRequest<'_>,
    opened: &Reference,
    before: &Image,
    context: &Context,
    error: Error,
) -> Error {
    const LOST: &str = "the train has run, but its results are lost";
    if error.kind() != Kind::Registry {
        return error.at(LOST);
    }
    let target = post.destination.unwrap_or(post.source);
    match close_here(post, opened, before, context) {
        Ok(archive) => {
            let first = error.advice().cloned().map(Box::new);
            let advice = Advice::SendKept { first, archive: archive.to_string(), target: target.to_string() };
            error.at("the train has run, but the registry refused the closed train").advise(advice)
        }
        Err(second) => {
            tracing::warn!("the closed train could not be kept on this machine either: {second}");
            error.at(LOST)
        }
    }
}

/// Closes the train into a new archive in a private directory.
fn close_here(post: &StageRequest<'_>, opened: &Reference, before: &Image, context: &Context) -> Result<Reference> {
    let mut dir = tempfile::Builder::new();
    let dir = dir
        .prefix("pht-oci-closed-")
        .tempdir_in(&context.temporary)
        .doing("create a directory for the closed train")?;
    let archive = archive_in(dir.path(), post.destination.unwrap_or(post.source));
    post_run_elsewhere(&StageRequest { destination: Some(&archive), ..*post }, opened, before, context)?;
    let _ = dir.keep();
    Ok(archive)
}

fn archive_in(dir: &Path, target: &Reference) -> Reference {
    let tag = target.tag().unwrap_or(LATEST).to_owned();
    Reference::oci_archive(dir.join("train.tar"), Some(tag))
}
