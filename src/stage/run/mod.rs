//! A whole stop: pre-run, the train with no network, post-run. Nothing of the plaintext outlives it.

mod log;
mod rescue;
mod work_dir;

use std::ffi::OsStr;
use std::fmt;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::Mode;

use crate::engine::{Engine, ExitReason, Job, Mount, RunOptions, Volume, supervise};
use crate::error::{Error, ErrorContext, IoContext, Kind, Result};
use crate::image::{Image, PathFilter, PendingTarget, View, open_image};
use crate::stage::parts::execution::Execution;
use crate::stage::parts::report::{Ran, Report};
use crate::stage::parts::request::StageRequest;
use crate::stage::post_run::post_run_elsewhere;
use crate::stage::pre_run::pre_run;
use crate::store::{Context, Reference};
use crate::train::paths;

use log::Log;
use rescue::rescue;
use work_dir::WorkDir;

/// A request for a whole stop.
#[non_exhaustive]
pub struct RunRequest<'a> {
    /// The train, who acts, and where it goes. Its `results` are run's own.
    pub stage: StageRequest<'a>,
    /// The engine.
    pub engine: &'static dyn Engine,
    /// The options of the container.
    pub options: &'a RunOptions,
    /// The time limit.
    pub limit: Option<Duration>,
    /// The file for its output [default: beside the destination].
    pub log: Option<&'a Path>,
    /// Called with how the train runs, before it does: a person should see it while the run can still be stopped.
    pub announce: Option<&'a dyn Fn(&Execution)>,
}

impl<'a> RunRequest<'a> {
    /// For as long as it takes, with the log beside the destination.
    pub fn new(stage: StageRequest<'a>, engine: &'static dyn Engine, options: &'a RunOptions) -> Self {
        RunRequest { stage, engine, options, limit: None, log: None, announce: None }
    }
}

/// The failure of a train: the cause of the error that [`run`] then returns.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TrainFailed {
    /// Its exit status; `None` if it was ended because it took too long.
    pub exit_status: Option<i32>,
    /// The file with its output.
    pub log: PathBuf,
}

impl fmt::Display for TrainFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.exit_status {
            Some(status) => write!(f, "exit status {status}"),
            None => f.write_str("stopped at the time limit"),
        }
    }
}

impl std::error::Error for TrainFailed {}

/// Opens a train, runs it with no network, and closes it. Its output goes to a file and to `show`.
///
/// # Errors
/// As [`pre_run`] and [`post_run`](super::post_run); [`Kind::Usage`] if the engine cannot do what is asked for;
/// [`Kind::Io`] if the train fails ([`TrainFailed`] says how), [`Kind::Interrupted`] if it is interrupted. Then the
/// image is as it was. A train that has run and that its registry does not take is kept in an archive, closed.
pub fn run(request: &RunRequest<'_>, show: &mut (dyn Write + Send), context: &Context) -> Result<Report> {
    request.options.volumes.iter().try_for_each(ensure_volume)?;
    let options = request.options.resolved()?;
    request.engine.check(&options).at(request.engine.name())?;
    let stage = &request.stage;
    // Before all the work: can the train go there at all?
    PendingTarget::open(stage.source, stage.destination, context)?.check_writable()?;
    let before = open_image(stage.source, context)?;
    let target = stage.destination.unwrap_or(stage.source);
    // Other images may come to the same place while the train runs.
    let source = pinned(stage.source, &before);
    let stage = &StageRequest { source: &source, ..*stage };
    let work = WorkDir::new(target, context)?;
    let layout = work.join(work.name());
    let opened = Reference::layout(&layout, Some(work.name().to_owned()));
    let results = work.join("results");
    let work_context = Context { temporary: work.join(""), ..context.clone() };
    let pre = StageRequest { destination: Some(&opened), results: Some(&results), ..*stage };
    let pre = pre_run(&pre, &work_context)?;
    if let (Some(announce), Some(runs)) = (request.announce, &pre.runs) {
        announce(runs);
    }
    let image = open_image(&opened, &work_context)?;
    open_results(&image, &results, &work_context)?;

    let path = request.log.map_or_else(|| log::default_path(target, context), Path::to_owned);
    let mut log = Log::begin(&path, show)?;
    work.note_engine(request.engine.name())?;
    let scratch = work.scratch();
    let (name, reference) = (work.name(), &opened);
    let mounts = mounts(&results, &options);
    let job =
        Job { name, image: &image, reference, layout: &layout, mounts: &mounts, scratch: &scratch, options: &options };
    request.engine.prepare(&job, &work_context).at(request.engine.name())?;
    let ran = drive(request, &job, &mut log)?;

    let post = StageRequest { results: Some(&results), keep_initial_results: false, ..*stage };
    let post = post_run_elsewhere(&post, &opened, &before, context)
        .map_err(|error| rescue(&post, &opened, &before, context, error))?;
    let mut report = whole(pre, post, ran);
    report.warnings.extend(log.warning());
    // The train is where it has to go; what could not be removed is to be known, but nothing to fail for.
    report.warnings.extend(work.remove().err().map(|error| error.to_string()));
    Ok(report)
}

/// The mounts of the train: its results, then the station's volumes.
fn mounts(results: &Path, options: &RunOptions) -> Vec<Mount> {
    let path = Path::new("/").join(OsStr::from_bytes(paths::RESULTS));
    let own = Mount { host: results.to_owned(), path, read_only: false, private: true };
    std::iter::once(own).chain(options.volumes.iter().map(Volume::mount)).collect()
}

/// Refuses a volume that would hide or change what of the train was verified.
fn ensure_volume(volume: &Volume) -> Result<()> {
    let own = [paths::TRAIN, paths::RESULTS, paths::CONFIG, paths::USER_KEY];
    let own = own.map(|own| Path::new("/").join(OsStr::from_bytes(own)));
    match own.iter().find(|own| own.starts_with(&volume.path) || volume.path.starts_with(own)) {
        None => Ok(()),
        Some(own) => {
            let what = format!("the train's own {} must not be hidden or changed", own.display());
            Err(Error::usage(what).at(format_args!("volume {}:{}", volume.host.display(), volume.path.display())))
        }
    }
}

/// The image by its tag, where it was named without one because it was the only one there.
fn pinned(source: &Reference, image: &Image) -> Reference {
    match &image.listed().tag {
        Some(tag) if source.tag().is_none() && source.digest().is_none() => source.with_tag(Some(tag.clone())),
        _ => source.clone(),
    }
}

/// Pre-run has made a private directory of the results. Whoever the train runs as has to have the rights that it has in
/// the image; the directory above stays private.
fn open_results(image: &Image, results: &Path, context: &Context) -> Result<()> {
    let mut view = View::read(image, PathFilter::new([paths::RESULTS]), &context.temporary, |_| Ok(false))?;
    view.verify()?;
    let mode = view.tree.get(paths::RESULTS).map_or(0o755, |node| node.meta.permissions());
    let changed = rustix::fs::chmod(results, Mode::from_raw_mode(mode)).map_err(std::io::Error::from);
    changed.doing("set the mode of the directory").at(results.display())
}

/// Runs the train until its end, good or bad.
fn drive(request: &RunRequest<'_>, job: &Job<'_>, log: &mut Log<'_>) -> Result<Ran> {
    let engine = request.engine;
    let begin = Instant::now();
    let end = || {
        if let Err(error) = engine.remove(job.name, job.scratch) {
            tracing::warn!("{error}");
        }
    };
    let ending = supervise(engine.start(job.name, job.scratch), request.limit, log, &end)?;
    let seconds = begin.elapsed().as_secs();
    let kept = log.path().to_owned();
    let failed = |exit_status| {
        let hint = format!("the train's output is in {}; the encrypted image is unchanged", kept.display());
        let cause = TrainFailed { exit_status, log: kept.clone() };
        Err(Error::new(Kind::Io, "the train failed").because(cause).hint(hint))
    };
    let status = match ending {
        ExitReason::TimedOut => return failed(None),
        ExitReason::Exited(ended) => engine
            .exit_status(job.name, job.scratch, ended)
            .map_err(|error| error.hint(format!("the engine's output is in {}", kept.display())).at(engine.name()))?,
    };
    if status != 0 {
        return failed(Some(status));
    }
    // Good or not, it is tried again in the end; the results are not to be lost for it.
    end();
    Ok(Ran { engine: engine.name(), seconds, log: kept })
}

/// One report of the two stages.
fn whole(pre: Report, post: Report, ran: Ran) -> Report {
    let mut report = Report { stage: "run", runs: pre.runs, ..post };
    let (image, before) = (&mut report.image, pre.image);
    (image.source, image.digest_before) = (before.source, before.digest_before);
    image.layers.dropped = before.layers.dropped;
    image.bytes.read += before.bytes.read;
    image.bytes.written += before.bytes.written;
    let after = std::mem::replace(&mut report.checks, pre.checks);
    let is_new = |check: &crate::train::Check, checks: &[crate::train::Check]| {
        !checks.iter().any(|known| (known.id, &known.subject) == (check.id, &check.subject))
    };
    for check in after {
        if is_new(&check, &report.checks) {
            report.checks.push(check);
        }
    }
    let Ran { engine, seconds, log } = &ran;
    report
        .notes
        .insert(0, format!("{engine} ran the train for {seconds} s; the train's output is in {}", log.display()));
    report.ran = Some(ran);
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_volume_hides_what_was_verified() {
        for path in ["/", "/opt", "/opt/pht_train", "/opt/./pht_train//x", "/opt/pht_results", "/opt/train_config.json"]
        {
            let error = ensure_volume(&format!("/srv:{path}").parse().unwrap()).unwrap_err();
            assert!(error.to_string().contains("must not be hidden"), "{error}");
        }
        ensure_volume(&"/srv:/data".parse().unwrap()).unwrap();
    }
}
