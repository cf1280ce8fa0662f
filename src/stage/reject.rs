use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use super::kept::{OPENED, Remains};
use super::parts::labels::{ImageState, Labels};
use super::parts::report::Report;
use crate::error::{Advice, Error, ErrorContext, IoContext, Result};
use crate::image::{Image, ImageReport, PendingTarget, open_image};
use crate::store::fs::{identity, remove_tree};
use crate::store::tag::ENCRYPTED_SUFFIX;
use crate::store::{Context, Reference, TagChange, open_source};

/// A request to give up the results of a run.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct RejectRequest<'a> {
    /// The opened train.
    pub source: &'a Reference,
    /// The directory with the results, if they are not in the image.
    pub results: Option<&'a Path>,
}

impl<'a> RejectRequest<'a> {
    /// Of results in the image itself.
    pub fn new(source: &'a Reference) -> Self {
        RejectRequest { source, results: None }
    }
}

/// Erases the results of a run: the directory that they are in, the opened image, and what only it reaches. Where it was
/// opened in place, the encrypted train is there again as it came.
///
/// # Errors
/// [`Kind::Verification`](crate::error::Kind::Verification) if this is no opened train,
/// [`Kind::Usage`](crate::error::Kind::Usage) if the directory of its results is not given, or another one: then nothing
/// is erased. Input/output.
pub fn reject(request: &RejectRequest<'_>, context: &Context) -> Result<Report> {
    let pending = PendingTarget::open(request.source, None, context)?;
    let image = open_image(request.source, context)?;
    let labels = Labels::read(&image);
    if labels.state != Some(ImageState::PreRun) {
        let hint = "name the image that pre-run has opened";
        return Err(Error::verification("not a train that was opened here").hint(hint).at(request.source));
    }
    let results = results_to_erase(request.results, &labels)?;
    let mut target = pending.resolve(request.source, None, &image)?;
    let before = encrypted(&image, context)?;
    if before.as_ref().is_some_and(|before| Labels::read(before).state == Some(ImageState::PreRun)) {
        let what = "what pre-run has put aside is open itself, so that the train as it came is not here any more";
        let hint = "remove both, and begin again from the train as it came";
        return Err(Error::verification(what).hint(hint).at(request.source));
    }
    let aside = format!("{}{ENCRYPTED_SUFFIX}", target.tag);
    let changes = match &before {
        Some(before) => {
            let descriptor = Box::new(before.listed().descriptor.clone());
            let replaces = target.replaces.clone();
            vec![TagChange::Set { tag: target.tag.clone(), descriptor, replaces }, TagChange::Drop { tag: aside }]
        }
        None => vec![TagChange::Drop { tag: target.tag.clone() }],
    };
    let unreached = target.unreached();
    let collected = target.destination.publish(&changes, unreached)?;
    // Last: a train that cannot be put back keeps its results.
    if let Some(dir) = results {
        let erased = fs::remove_dir_all(dir).doing("erase the results");
        erased
            .map_err(|error| error.hint("the train is back already: remove the directory yourself"))
            .at(dir.display())?;
    }
    let mut report = Report {
        stage: "reject",
        image: ImageReport {
            source: request.source.to_string(),
            destination: target.shown(),
            digest_before: Some(image.descriptor().digest().to_string()),
            digest_after: before.as_ref().map(|before| before.listed().descriptor.digest().to_string()),
            ..ImageReport::default()
        },
        ..Report::default()
    };
    report.notes.push("the results are erased; a log of the run still has what the train has printed".to_owned());
    report.notes.push(match before {
        Some(_) => "the train is there again as it came".to_owned(),
        None => "the opened train is gone; the encrypted one is where it was opened from".to_owned(),
    });
    report.notes.extend(collected.note());
    if target.reference.is_shared() {
        let what =
            "the registry keeps the opened image, which holds plaintext, under its digest until it collects garbage";
        report.warnings.push(what.to_owned());
    }
    drop(target);
    remove_kept(request.source, context);
    Ok(report)
}

/// Removes the directory in which a run has kept the train, when nothing of it is left there.
fn remove_kept(source: &Reference, context: &Context) {
    let opened = source.path().filter(|path| path.file_name() == Some(OsStr::new(OPENED)));
    let Some(dir) = opened.and_then(Path::parent).filter(|dir| Remains::of(dir) == Some(Remains::NoResults)) else {
        return;
    };
    if open_source(source, context).and_then(|layout| layout.list()).is_ok_and(|images| !images.is_empty()) {
        return;
    }
    if let Err(error) = remove_tree(dir) {
        tracing::warn!("{}: the results are gone, and the directory cannot be removed: {error}", dir.display());
    }
}

/// The encrypted image that pre-run in place has put aside.
fn encrypted(image: &Image, context: &Context) -> Result<Option<Image>> {
    let Some(tag) = image.listed().tag.as_deref() else { return Ok(None) };
    image.beside(&format!("{tag}{ENCRYPTED_SUFFIX}"), context.platform.as_ref())
}

/// The directory that is to be erased, which has to be the one that pre-run has made for this train.
fn results_to_erase<'a>(given: Option<&'a Path>, labels: &Labels) -> Result<Option<&'a Path>> {
    let Some(dir) = given else {
        if labels.results_outside {
            let what = "pre-run wrote the results into a directory, and none is given: they would stay";
            return Err(Error::usage(what).advise(Advice::GiveResults));
        }
        return Ok(None);
    };
    if !labels.results_outside {
        let what = "the results are in the image, so that this directory is not theirs";
        return Err(Error::usage(what).hint("run the command without it").at(dir.display()));
    }
    let found = fs::symlink_metadata(dir).doing("stat the results").at(dir.display())?;
    if !found.is_dir() {
        return Err(Error::usage("not a directory of results").at(dir.display()));
    }
    if labels.results_directory.as_deref().is_some_and(|made| made != identity(&found)) {
        let what = "not the directory that pre-run has made for the results of this train";
        let hint = "give that directory, wherever it was moved to on its file system; a copy of it is not known";
        return Err(Error::usage(what).hint(hint).at(dir.display()));
    }
    Ok(Some(dir))
}
