//! A whole stop: pre-run, the train with no network, post-run. Nothing of the plaintext outlives it, but results that
//! could not be closed: these are kept, for their owner alone.

mod data;
mod done;
mod failure;
mod keep;
mod leftovers;
mod log;
mod observer;
mod opened;
mod register;
mod traces;
mod widened;
mod work_dir;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::engine::{
    Engine, ExitReason, Job, Mount, Outcome, PeakMemory, RunOptions, Volume, Watch, supervise, with_submounts,
};
use crate::error::{Advice, Error, ErrorContext, Kind, Result};
use crate::image::{Image, PendingTarget, Target, open_image};
use crate::stage::kept::RESULTS;
use crate::stage::parts::execution::Execution;
use crate::stage::parts::labels::Apart;
use crate::stage::parts::load::{Depth, Train};
use crate::stage::parts::report::{Ran, Report};
use crate::stage::parts::request::StageRequest;
use crate::stage::parts::results_before::ResultsBefore;
use crate::stage::parts::space::ensure_stage;
use crate::stage::post_run::post_run_elsewhere;
use crate::stage::pre_run::pre_run_apart;
use crate::store::tag::LATEST;
use crate::store::{Context, Reference};
use crate::text::{Printable, seconds_text};
use crate::train::paths;

pub(in crate::stage) use data::{IN_TRAIN, VARIABLE};
pub use failure::{Limit, TrainFailed};
pub use keep::{KeptBefore, KeptRun, RunHeld, kept_anywhere, kept_before, kept_runs};
pub use leftovers::{Leftover, cleanup, leftovers};
pub use log::Onlooker;
pub(in crate::stage) use observer::{Observer, Usage};
pub use opened::keeps_base;
pub(in crate::stage) use work_dir::WorkDir;

use data::Preparation;
use done::{done_there, replaced_by};
use failure::{failed, left_nothing, seconds_of};
use keep::{Kept, Whole, hold, keep};
use log::{Log, Named};
use opened::Opened;
use traces::{dropped, ensure_room, lack_in};
use widened::Widened;

/// The bytes of a log that are kept without another limit.
pub const LOG_LIMIT: u64 = 64 << 20;
/// The time between two looks at how large the results are; and at its memory, too, where somebody wants to know.
const RESULTS_LOOKS: Duration = Duration::from_secs(1);
const MEMORY_LOOKS: Duration = Duration::from_millis(100);

/// The exit status of who was killed, as the system does with what wants too much memory: 128 and the number of SIGKILL.
const KILLED: i32 = 137;

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
    /// The most bytes that the results may have.
    pub results_limit: Option<u64>,
    /// The most bytes of output that the log keeps.
    pub log_limit: u64,
    /// The file for its output [default: beside the destination].
    pub log: Option<&'a Path>,
    /// Whether the results are held for a person to see, and the train is not closed.
    pub hold: bool,
    /// Whether it runs even if the results of an earlier run are held, or the destination has the train as this stop has
    /// signed it.
    pub again: bool,
    /// A command of the station's that prepares its data between pre-run and the train, for `/bin/sh`.
    pub prepare: Option<&'a str>,
    /// Called with how the train runs, before it does: a person should see it while the run can still be stopped.
    pub announce: Option<&'a dyn Fn(&Execution)>,
    /// Called every second or so while it runs, with how long it has.
    pub running: Option<&'a dyn Fn(Duration)>,
}

impl<'a> RunRequest<'a> {
    /// For as long as it takes, with the log beside the destination.
    pub fn new(stage: StageRequest<'a>, engine: &'static dyn Engine, options: &'a RunOptions) -> Self {
        RunRequest {
            stage,
            engine,
            options,
            limit: None,
            results_limit: None,
            log_limit: LOG_LIMIT,
            log: None,
            hold: false,
            again: false,
            prepare: None,
            announce: None,
            running: None,
        }
    }
}

/// Opens a train, runs it with no network, and closes it. Its output goes to a file and to `show`. If the destination has
/// the train already as this stop has signed it, nothing runs, and the report is without [`ran`](Report::ran).
///
/// # Errors
/// As [`pre_run`](super::pre_run) and [`post_run`](super::post_run); [`Kind::Usage`](crate::error::Kind::Usage) if the
/// engine cannot do what is asked for; [`Kind::Train`](crate::error::Kind::Train) if the train fails ([`TrainFailed`] says
/// how), [`Kind::Interrupted`](crate::error::Kind::Interrupted) if it is interrupted. Then the image is as it was. A train
/// that has run and cannot be closed is kept, and the error says where and how to go on; so is one whose results are held
/// ([`Kind::Decision`](crate::error::Kind::Decision)).
pub fn run(request: &RunRequest<'_>, show: &mut dyn Onlooker, context: &Context) -> Result<Report> {
    run_observed(request, None, show, context)
}

/// The same for an observer, who keeps the output that `show` gets: no error names a log.
///
/// # Errors
/// As [`run`]; what the observer says.
pub(in crate::stage) fn run_observed(
    request: &RunRequest<'_>,
    observer: Option<&dyn Observer>,
    show: &mut dyn Onlooker,
    context: &Context,
) -> Result<Report> {
    request.options.volumes.iter().try_for_each(|volume| ensure_volume(volume, request.prepare.is_some()))?;
    ensure_apart(&request.options.volumes)?;
    let mut options = request.options.resolved()?;
    request.engine.check(&options).at(request.engine.name())?;
    leftovers::sweep(context);
    let stage = &request.stage;
    let before = open_image(stage.source, context)?;
    if let Some(done) = before_all_work(request, &before, context)? {
        return Ok(done);
    }
    let target = stage.destination.unwrap_or(stage.source);
    // Other images may come to the same place while the train runs.
    let source = pinned(stage.source, &before);
    let stage = &StageRequest { source: &source, ..*stage };
    let work = WorkDir::new(target, context).map_err(|error| stage.not_writable(error))?;
    let work_context = Context { temporary: work.join(""), ..context.clone() };
    let reference = Reference::layout(work.join(work.name()), Some(tag_of(target, &before)));
    let results = work.join(RESULTS);
    let pre = StageRequest { destination: Some(&reference), results: Some(&results), keep_owners: true, ..*stage };
    let pre = pre_run_apart(&pre, Apart { from: &source.absolute(), hold: request.hold }, &work_context)?;
    if let (Some(announce), Some(runs)) = (request.announce, &pre.runs) {
        announce(runs);
    }
    let opened = Opened::unpack(&reference, &before, &work, &work_context)?;

    let (path, named) = match request.log {
        Some(path) => (path.to_owned(), Named::ByUser),
        None => (log::default_path(target, context)?, Named::ByDefault),
    };
    let mut log = Log::begin(&path, named, request.log_limit, show, context)?;
    let data = request.prepare.map(|command| Preparation::run(command, &opened, &work, &mut log)).transpose()?;
    options.variables.extend(data.iter().map(Preparation::variable));
    work.note_engine(request.engine.name())?;
    let widened = Widened::for_user(&opened.process, &results)?;
    let mounts = mounts(&opened, &results, data.as_ref(), &options)?;
    let scratch = work.scratch();
    let (name, image, process) = (work.name(), &opened.base, &opened.process);
    let job = Job { name, image, process, mounts: &mounts, scratch: &scratch, options: &options };
    let held = request.engine.prepare(&job, &work_context).at(request.engine.name())?;
    log.tell(&starting(request, observer.is_some()));
    let came = ResultsBefore::of(&results);
    let (ran, written) = drive(request, observer, &job, &results, &mut log)?;
    drop(held);

    let post = StageRequest { results: Some(&results), keep_owners: true, keep_initial_results: false, ..*stage };
    let (checks, results) = (&pre.checks[..], &results);
    let kept = Kept { post: &post, opened: &reference, before: &before, results, checks, ran: &ran };
    let look = || observer.map_or(Ok(()), |observer| observer.look(&reference, results));
    let taken = request.engine.reclaim(results).and_then(|()| widened.restore()).and_then(|()| look());
    let (lack, elsewhere) = (lack_in(results, &came), dropped(written.as_deref()));
    if let (Ok(()), true, Some(lack)) = (&taken, stage.require_results, lack) {
        return Err(left_nothing(lack, log.path()));
    }
    let told: Vec<&str> = lack.into_iter().chain(elsewhere.as_deref()).collect();
    let (post, work) = close_or_leave(&kept, taken, request.hold.then_some(&told[..]), work, context)?;
    let mut report = whole(pre, post, ran);
    // That there is nothing at all has been said by then.
    let lack = lack.map(str::to_owned).filter(|what| !report.warnings.contains(what));
    report.warnings.extend(lack.into_iter().chain(log.warning()));
    report.notes.extend(elsewhere);
    // The train is where it has to go; what could not be removed is to be known, but nothing to fail for.
    report.warnings.extend(work.remove().err().map(|error| error.to_string()));
    Ok(report)
}

/// Closes a train that has run. If it is held, with what is `told` of it, or cannot be closed, it is left for a person.
fn close_or_leave(
    kept: &Kept<'_>,
    taken: Result<()>,
    held: Option<&[&str]>,
    work: WorkDir,
    context: &Context,
) -> Result<(Report, WorkDir)> {
    let room = ensure_room(kept.results);
    let whole = if room.is_ok() { Whole::Yes } else { Whole::Perhaps };
    if let (Ok(()), Some(told)) = (&taken, held) {
        told.iter().for_each(|what| tracing::warn!("{what}"));
        room.err().iter().for_each(|error| tracing::warn!("{error}"));
        return Err(hold(kept, work, whole));
    }
    match taken.and(room).and_then(|()| post_run_elsewhere(kept.post, kept.opened, kept.before, context)) {
        Ok(report) => Ok((report, work)),
        Err(error) => Err(keep(kept, work, whole, context, error)),
    }
}

/// Sees to it that the train can be run and closed, and that it has to be; the report if it is done already.
fn before_all_work(request: &RunRequest<'_>, before: &Image, context: &Context) -> Result<Option<Report>> {
    let stage = &request.stage;
    let there = ensure_can_go_there(stage, before, context).map_err(|error| stage.not_writable(error))?;
    before.ensure_layers()?;
    // The closed train is about as large as the one that came.
    ensure_stage(&*there.destination, before, before.layers().len(), 0).map_err(|error| stage.not_writable(error))?;
    ensure_none_waits(request, context)?;
    let came = Train::load(before.clone(), &context.temporary, Depth::Config)?;
    if !request.again
        && let Some(done) = done_there(stage, &came, &there, context)?
    {
        return Ok(Some(done));
    }
    // Once the train has run for hours it may be too late to move that away.
    if !request.hold
        && let Some(what) = replaced_by(stage, &came, &there, context)?
    {
        tracing::warn!("{what}");
    }
    Ok(None)
}

/// Sees to it that the closed train can be published where it has to go.
fn ensure_can_go_there(stage: &StageRequest<'_>, before: &Image, context: &Context) -> Result<Target> {
    let pending = PendingTarget::open(stage.source, stage.destination, context)?;
    pending.check_writable()?;
    pending.resolve(stage.source, stage.destination, before)
}

/// What is said when the train starts. Who forgot to give a place for what comes out should know it before hours have gone.
fn starting(request: &RunRequest<'_>, is_rehearsed: bool) -> String {
    let has_data = !request.options.volumes.is_empty() || request.prepare.is_some();
    let data = if has_data { "" } else { ", with no data mounted" };
    let begins = format!("verified; {} starts the train{data}", request.engine.name());
    match request.stage.destination {
        None if !request.hold && !is_rehearsed => {
            format!("{begins}; once closed, it replaces {}", Printable::new(&request.stage.source.to_string()))
        }
        _ => begins,
    }
}

/// Sees to it that no results of this train wait for a person, wherever they were to go: of two runs nobody would know
/// which was approved. That others are there is said.
///
/// # Errors
/// [`Kind::Decision`] if they do, and it is not to run again all the same.
fn ensure_none_waits(run: &RunRequest<'_>, context: &Context) -> Result<()> {
    let request = &run.stage;
    let mut waiting: Option<KeptBefore> = None;
    let here = kept_before(request.source, request.destination, context)?;
    let paths: Vec<PathBuf> = here.iter().map(|kept| kept.run.path.clone()).collect();
    let elsewhere = kept_anywhere(request.source, context)?.into_iter();
    let elsewhere = elsewhere.filter(|kept| kept.is_of_train && kept.is_held && !paths.contains(&kept.run.path));
    for before in elsewhere.chain(here) {
        let place = before.run.path.display().to_string();
        if !before.is_of_train {
            tracing::warn!("results of another train are still here, in plaintext: {place}");
        } else if run.again || !before.is_held {
            tracing::warn!("results of an earlier run of this train are still here, in plaintext: {place}");
        } else if let Some(older) = waiting.replace(before) {
            tracing::warn!("results of an earlier run of this train are held, too: {}", older.run.path.display());
        }
    }
    // The last of them: of runs to one place the newest.
    let Some(before) = waiting else { return Ok(()) };
    let what = format!("the results of an earlier run of this train are held in {}", before.run.path.display());
    Err(Error::decision(what).advise(Advice::SeeToHeld {
        opened: before.run.opened.to_string(),
        results: before.run.results.display().to_string(),
        target: request.destination.unwrap_or(request.source).to_string(),
    }))
}

/// The mounts of the train: its code and its config, which it can only read, its results, then the station's data.
fn mounts(opened: &Opened, results: &Path, data: Option<&Preparation>, options: &RunOptions) -> Result<Vec<Mount>> {
    let own = |host: &Path, path: &[u8], read_only| Mount {
        host: host.to_owned(),
        path: paths::on_disk(path),
        read_only,
        private: true,
    };
    let mut mounts = vec![
        own(&opened.train, paths::TRAIN, true),
        own(&opened.config, paths::CONFIG, true),
        own(results, paths::RESULTS, false),
    ];
    mounts.extend(data.map(Preparation::mount));
    for volume in &options.volumes {
        mounts.extend(with_submounts(volume.mount())?);
    }
    Ok(mounts)
}

/// Refuses two volumes at one place: engines differ in which of them the train would see.
fn ensure_apart(volumes: &[Volume]) -> Result<()> {
    let again = |(at, volume): &(usize, &Volume)| volumes[..*at].iter().any(|before| before.path == volume.path);
    match volumes.iter().enumerate().find(again) {
        None => Ok(()),
        Some((_, volume)) => {
            let error = Error::usage("two volumes are given for this place");
            Err(error.hint("leave one out, or give each its own path").at(volume.path.display()))
        }
    }
}

/// Refuses a volume that would hide or change what of the train was verified, or what was prepared for it.
fn ensure_volume(volume: &Volume, prepares: bool) -> Result<()> {
    let own = [paths::TRAIN, paths::RESULTS, paths::CONFIG, paths::USER_KEY].map(paths::on_disk);
    let place = || format!("volume {}:{}", volume.host.display(), volume.path.display());
    let overlaps = |own: &&std::path::PathBuf| own.starts_with(&volume.path) || volume.path.starts_with(own);
    if let Some(own) = own.iter().find(overlaps) {
        let what = format!("the train's own {} must not be hidden or changed", own.display());
        return Err(Error::usage(what).at(place()));
    }
    if prepares && overlaps(&&Path::new(data::IN_TRAIN).to_owned()) {
        return Err(Error::usage(format!("{} is for the data that is prepared", data::IN_TRAIN)).at(place()));
    }
    Ok(())
}

/// The image by its tag, where it was named without one because it was the only one there.
fn pinned(source: &Reference, image: &Image) -> Reference {
    match &image.listed().tag {
        Some(tag) if !source.is_selective() => source.with_tag(Some(tag.clone())),
        _ => source.clone(),
    }
}

/// The tag of the opened image: the one that the closed train gets where nobody names another, for it may be kept.
fn tag_of(target: &Reference, before: &Image) -> String {
    let is_plain = |tag: &&str| tag.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    let tag = target.tag().or(before.listed().tag.as_deref()).filter(is_plain);
    tag.unwrap_or(LATEST).to_owned()
}

/// Runs the train until its end, good or bad.
fn drive(
    request: &RunRequest<'_>,
    observer: Option<&dyn Observer>,
    job: &Job<'_>,
    results: &Path,
    log: &mut Log<'_>,
) -> Result<(Ran, Option<Vec<PathBuf>>)> {
    let engine = request.engine;
    let begin = Instant::now();
    let end = || {
        if let Err(error) = engine.remove(job.name, job.scratch) {
            tracing::warn!("{error}");
        }
    };
    let too_large = || request.results_limit.is_some_and(|limit| opened::exceeds(results, limit));
    let mut memory = PeakMemory::default();
    let mut look = || {
        if observer.is_some() {
            memory.look(|| engine.first_process(job.name, job.scratch));
        }
        if let Some(running) = request.running {
            running(begin.elapsed());
        }
        too_large()
    };
    let interval = if observer.is_some() { MEMORY_LOOKS } else { RESULTS_LOOKS };
    let watch = Watch { limit: request.limit, interval, stop: &mut look };
    let ending = supervise(engine.start(job.name, job.scratch), watch, log, &end);
    log.finish();
    let time = begin.elapsed();
    let ending = ending?;
    let written = engine.written(job).unwrap_or_else(|error| {
        tracing::info!("what the train has written outside of its results is not known: {error}");
        None
    });
    if let Some(observer) = observer {
        observer.ended(Usage { time, memory: memory.bytes(), written: written.clone() });
    }
    let (said, log) = (log.last_line(), log.path());
    let named = Some(log).filter(|_| observer.is_none());
    let limits = &job.options.limits;
    let outcome = match ending {
        ExitReason::TimedOut => return Err(failed(None, request.limit.map(Limit::Time), time, log)),
        ExitReason::Stopped => return Err(failed(None, request.results_limit.map(Limit::Results), time, log)),
        ExitReason::Exited(ended) => engine
            .outcome(job.name, job.scratch, ended)
            .map_err(|error| not_started(error, &job.process.arguments, engine.name(), said.as_deref(), named))?,
    };
    match outcome {
        Outcome { exit_status, out_of_memory } if out_of_memory || exit_status == KILLED && limits.memory.is_some() => {
            return Err(failed(Some(exit_status), limits.memory.map(Limit::Memory), time, log));
        }
        Outcome { exit_status: 0, .. } => {}
        Outcome { exit_status, .. } => {
            // Then the train is not to blame; what it has written goes.
            ensure_room(results).map_err(|error| error.hint("free some space there, and run the train once more"))?;
            return Err(failed(Some(exit_status), None, time, log));
        }
    }
    if too_large() {
        return Err(failed(Some(0), request.results_limit.map(Limit::Results), time, log));
    }
    // Good or not, it is tried again in the end; the results are not to be lost for it.
    end();
    Ok((Ran { engine: engine.name(), seconds: seconds_of(time), log: log.to_owned() }, written))
}

/// The error of an engine that could not start the train, with what the engine said last; in one form for all of them if
/// the program is not there.
fn not_started(error: Error, command: &[String], engine: &str, said: Option<&str>, log: Option<&Path>) -> Error {
    let told = format!("{error} {}", said.unwrap_or_default());
    if let Some(program) = command.first().filter(|program| lacks(&told, program)) {
        let what = format!("the train could not start: its command `{}` is not in the image", Printable::new(program));
        let hint = "have the train built on a master image that has the command, or with another command";
        return Error::new(Kind::Train, what).hint(hint).at(engine);
    }
    let error = match said {
        // What the engine says of itself leads to the cause; in which state it has left the container does not.
        Some(said) => {
            tracing::info!("{error}");
            let kind = error.kind();
            Error::new(kind, error.what()).because(format!("{engine} said: {}", Printable::new(said)))
        }
        None => error,
    };
    match log {
        Some(log) => error.hint(format!("the engine's output is in {}", log.display())).at(engine),
        None => error.at(engine),
    }
}

/// True if the words of an engine say that the program cannot be found; the wording is that of runc and crun, behind all
/// of them, or of the system.
fn lacks(told: &str, program: &str) -> bool {
    let told = told.to_lowercase();
    let absent = told.contains("executable file not found") || told.contains("no such file or directory");
    absent && told.contains(&program.to_lowercase())
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
    report.notes.insert(
        0,
        format!("{engine} ran the train for {}; the train's output is in {}", seconds_text(*seconds), log.display()),
    );
    report.ran = Some(ran);
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_engine_has_one_text_for_a_missing_program() {
        let command = ["python".to_owned(), "main.py".to_owned()];
        for said in [
            r#"exec: "python": executable file not found in $PATH"#,
            "Error: crun: executable file `python` not found in $PATH: No such file or directory: OCI runtime error",
            "ch-run[1]: error: can't execve(2): python: No such file or directory",
        ] {
            let error = not_started(Error::new(Kind::Io, "x"), &command, "podman", Some(said), Some(Path::new("log")));
            assert_eq!(error.kind(), Kind::Train, "{said}");
            assert!(error.to_string().ends_with("its command `python` is not in the image"), "{error}");
        }
        let said = "cannot mount /srv: No such file or directory";
        let error = not_started(Error::new(Kind::Io, "x"), &command, "podman", Some(said), Some(Path::new("log")));
        let shown = "podman: x: podman said: cannot mount /srv: No such file or directory";
        assert_eq!((error.kind(), error.to_string().as_str()), (Kind::Io, shown));
    }

    #[test]
    fn no_volume_hides_what_was_verified() {
        for path in ["/", "/opt", "/opt/pht_train", "/opt/./pht_train//x", "/opt/pht_results", "/opt/train_config.json"]
        {
            let error = ensure_volume(&format!("/srv:{path}").parse().unwrap(), false).unwrap_err();
            assert!(error.to_string().contains("must not be hidden"), "{error}");
        }
        ensure_volume(&"/srv:/data".parse().unwrap(), true).unwrap();
        ensure_volume(&"/srv:/opt/train_data".parse().unwrap(), false).unwrap();
        assert!(ensure_volume(&"/srv:/opt/train_data/x".parse().unwrap(), true).is_err());
    }

    #[test]
    fn every_volume_has_a_place_of_its_own() {
        let volumes = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<Volume>>();
        ensure_apart(&volumes(&["/a:/data", "/b:/data/more", "/a:/other"])).unwrap();
        for twice in [["/a:/data", "/b:/data"], ["/a:/data", "/b:/data/:rw"], ["/a:/data", "/b://data"]] {
            assert!(ensure_apart(&volumes(&twice)).is_err(), "{twice:?}");
        }
    }
}
