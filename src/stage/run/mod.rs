//! A whole stop: pre-run, the train with no network, post-run. Nothing of the plaintext outlives it.

mod log;
mod rescue;
mod work_dir;

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::Mode;

use super::engine::{Ending, Engine, Job, Order, attend};
use super::locate::{Target, open_image};
use super::post_run::post_run_elsewhere;
use super::report::{Ran, Report};
use super::{StageRequest, World, paths, pre_run};
use crate::error::{Context, Error, IoContext, Kind, Result};
use crate::image::{Image, Reference, Transport, View, Wanted};
use log::Log;
use rescue::rescue;
use work_dir::WorkDir;

/// What run is asked to do.
pub struct RunRequest<'a> {
    /// The train, who acts, and where it goes. Its `results` are run's own.
    pub stage: StageRequest<'a>,
    /// Who runs it.
    pub engine: &'static dyn Engine,
    /// What the station gives to it.
    pub order: &'a Order,
    /// How long it may run.
    pub limit: Option<Duration>,
    /// The file for its output [default: beside the destination].
    pub log: Option<&'a Path>,
}

/// Why a train did not come to a good end. It is the cause of the error that [`run`] returns then.
#[derive(Debug, Clone)]
pub struct TrainFailed {
    /// Its exit status; `None` if it was ended because it took too long.
    pub exit_status: Option<i32>,
    /// The file with its output.
    pub log: PathBuf,
}

impl fmt::Display for TrainFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.exit_status {
            Some(status) => write!(f, "it ended with exit status {status}"),
            None => f.write_str("it ran longer than it may and was ended"),
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
pub fn run(request: &RunRequest<'_>, show: &mut (dyn Write + Send), world: &World) -> Result<Report> {
    let order = request.order.settled()?;
    request.engine.check(&order).at(request.engine.name())?;
    let stage = &request.stage;
    // Before all the work: can the train go there at all?
    Target::open(stage.source, stage.destination, world)?.destination.probe()?;
    let before = open_image(stage.source, world)?;
    let target = stage.destination.unwrap_or(stage.source);
    // Other images may come to the same place while the train runs.
    let source = pinned(stage.source, &before);
    let stage = &StageRequest { source: &source, ..*stage };
    let work = WorkDir::new(target, world)?;
    let layout = work.join(work.name());
    let opened = Reference::new(Transport::Oci(layout.clone()), Some(work.name().to_owned()));
    let results = work.join("results");
    let world_of_work = World { temporary: work.join(""), ..world.clone() };
    let pre = StageRequest { destination: Some(&opened), results: Some(&results), ..*stage };
    let pre = pre_run(&pre, &world_of_work)?;
    let image = open_image(&opened, &world_of_work)?;
    open_results(&image, &results, &world_of_work)?;

    let path = request.log.map_or_else(|| log::default_path(target, world), Path::to_owned);
    let mut log = Log::begin(&path, show)?;
    work.note_engine(request.engine.name())?;
    let scratch = work.scratch();
    let (name, reference) = (work.name(), &opened);
    let job =
        Job { name, image: &image, reference, layout: &layout, results: &results, scratch: &scratch, order: &order };
    request.engine.prepare(&job, &world_of_work).at(request.engine.name())?;
    let ran = drive(request, &job, &mut log)?;

    let post = StageRequest { results: Some(&results), keep_initial_results: false, ..*stage };
    let post = post_run_elsewhere(&post, &opened, &before, world)
        .map_err(|error| rescue(&post, (&opened, &before), world, error))?;
    let mut report = whole(pre, post, ran);
    report.warnings.extend(log.warning());
    // The train is where it has to go; what could not be removed is to be known, but nothing to fail for.
    report.warnings.extend(work.remove().err().map(|error| error.to_string()));
    Ok(report)
}

/// The image by its tag, where it was named without one because it was the only one there.
fn pinned(source: &Reference, image: &Image) -> Reference {
    match &image.listed().tag {
        Some(tag) if source.tag().is_none() && source.digest().is_none() => {
            Reference::new(source.transport().clone(), Some(tag.clone()))
        }
        _ => source.clone(),
    }
}

/// Pre-run has made a private directory of the results. Whoever the train runs as has to have the rights that it has in
/// the image; the directory above stays private.
fn open_results(image: &Image, results: &Path, world: &World) -> Result<()> {
    let mut view = View::read(image, Wanted::new([paths::RESULTS]), &world.temporary, |_| Ok(false))?;
    view.verify()?;
    let mode = view.tree.get(paths::RESULTS).map_or(0o755, |node| node.meta.permissions());
    let changed = rustix::fs::chmod(results, Mode::from_raw_mode(mode)).map_err(std::io::Error::from);
    changed.doing("set its mode").at(results.display())
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
    let ending = attend(engine.start(job.name, job.scratch), request.limit, log, &end)?;
    let seconds = begin.elapsed().as_secs();
    let kept = log.path().to_owned();
    let failed = |exit_status| {
        let hint = format!("its output is in {}; the encrypted image is as it was", kept.display());
        let cause = TrainFailed { exit_status, log: kept.clone() };
        Err(Error::new(Kind::Io, "the train has failed").because(cause).hint(hint))
    };
    let status = match ending {
        Ending::TimedOut => return failed(None),
        Ending::Exited(ended) => engine
            .exit_status(job.name, job.scratch, ended)
            .map_err(|error| error.hint(format!("what was printed is in {}", kept.display())).at(engine.name()))?,
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
    let mut report = Report { stage: "run", source: pre.source, digest_before: pre.digest_before, ..post };
    report.layers.dropped = pre.layers.dropped;
    report.bytes.read += pre.bytes.read;
    report.bytes.written += pre.bytes.written;
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
    report.notes.insert(0, format!("{engine} ran the train for {seconds} s; its output is in {}", log.display()));
    report.ran = Some(ran);
    report
}
