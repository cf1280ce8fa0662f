use std::path::PathBuf;

use super::parts::base::BaseLayers;
use super::parts::base_contents::BaseVerifier;
use super::parts::checks::{
    collect_ivs, ensure_config, ensure_image, ensure_immutable, ensure_results_kinds, result_files, with_all_layers,
};
use super::parts::execution::Execution;
use super::parts::hashing::BackgroundHasher;
use super::parts::labels::{Apart, ImageState, Labels, ResultsOutside};
use super::parts::load::{Depth, Train};
use super::parts::masters::ensure_master;
use super::parts::payload::{PayloadWriter, Transform, transform};
use super::parts::publish::{StageOutput, ensure_not_in_archive, ensure_not_in_registry, what_is_replaced};
use super::parts::report::Report;
use super::parts::request::{StageRequest, Station};
use super::parts::results_before::ResultsBefore;
use super::parts::space::{decrypted, ensure_stage, size_below};
use crate::error::{Advice, Error, ErrorContext, Result};
use crate::image::{
    AddedLayer, DirectorySink, EntrySink, Fidelity, Image, LayerSink, Node, NodeKind, PendingTarget, Target, Tree,
    VerifiedLayers, open_image,
};
use crate::path::shown;
use crate::store::fs::{StagedDir, own_uid};
use crate::store::tag::ENCRYPTED_SUFFIX;
use crate::store::{Audience, Context, Unreached, spool_dir};
use crate::tar::{EntryKind, Meta};
use crate::text::{Printable, counted};
use crate::train::{Check, StageKind, Stop, TrainConfig, paths, unwrap_stage_key};

/// Verifies a train and opens it for its run: the image that is published holds the immutable files and the previous
/// results in plaintext (train security protocol, pre-run).
///
/// # Errors
/// [`Kind::Verification`](crate::error::Kind::Verification) if anything does not hold or it is not the station's turn,
/// [`Kind::Key`](crate::error::Kind::Key) if the key is not the station's,
/// [`Kind::Malformed`](crate::error::Kind::Malformed) if this is no train. Then nothing has changed.
pub fn pre_run(request: &StageRequest<'_>, context: &Context) -> Result<Report> {
    ensure_not_in_registry(request.source, request.destination)?;
    open_train(request, None, context)
}

/// [`pre_run`] into a private place for a run. The base layers stay in the source: the opened image is whole only
/// together with the encrypted one.
///
/// # Errors
/// As [`pre_run`].
#[cfg_attr(not(feature = "engines"), allow(dead_code, reason = "`run` alone opens a train elsewhere"))]
pub(super) fn pre_run_apart(request: &StageRequest<'_>, apart: Apart<'_>, context: &Context) -> Result<Report> {
    open_train(request, Some(apart), context)
}

fn open_train(request: &StageRequest<'_>, apart: Option<Apart<'_>>, context: &Context) -> Result<Report> {
    let audience = Audience::Owner { shared: request.shared };
    let results = request.results.map(|dir| StagedDir::new(dir, audience)).transpose()?;
    let pending = PendingTarget::open_for(request.source, request.destination, context, audience)
        .map_err(|error| request.not_writable(error))?;
    if request.destination.unwrap_or(request.source).path().is_some() {
        pending.check_writable().map_err(|error| request.not_writable(error))?;
    }
    let Start { image, before, warning } = start(request, context)?;
    let mut target = pending.resolve(request.source, request.destination, &image)?;
    target.ensure_keeps_encrypted()?;
    let spool = spool_dir(&target.reference, context);
    let base = BaseLayers::detect(&image, request.base, context)?;
    let mut train = Train::load(image, &spool, Depth::ListedFiles(usize::MAX))?;
    let name = train.name();
    request.policy.ensure_wire(&train.config).map_err(|fault| train.view.damage_or(fault.at(&name)))?;
    let own = VerifiedLayers::in_memory();
    let memory = request.policy.memory.unwrap_or(&own);
    let (copied, lost) = (0, Vec::new());
    let mut pre_run = PreRun { request, apart, context, spool, base, results, before, warning, memory, copied, lost };
    let opened = with_all_layers(&mut train, &pre_run.spool.clone(), |train| pre_run.attempt(train, &mut target));
    opened.map_err(|error| request.not_writable_there(error)).at(name)
}

/// The image to start from.
struct Start {
    image: Image,
    /// What becomes of an image that was opened before, whose place it takes: if nothing has run in that one, it goes.
    before: Unreached,
    /// What the person has to know, if a train has run in it, or it has left plaintext elsewhere.
    warning: Option<String>,
}

impl Start {
    /// From an image that nobody has opened here.
    fn first(image: Image) -> Self {
        Start { image, before: Unreached::Keep, warning: None }
    }
}

/// If the travelling tag is this station's own pre-run already, starts from the encrypted image beside it, so that a run
/// that failed can be started again.
fn start(request: &StageRequest<'_>, context: &Context) -> Result<Start> {
    let image = open_image(request.source, context)?;
    let labels = Labels::read(&image);
    if labels.state != Some(ImageState::PreRun) {
        return Ok(Start::first(image));
    }
    let aside = format!("{}{ENCRYPTED_SUFFIX}", image.listed().tag.as_deref().unwrap_or_default());
    match image.beside(&aside, context.platform.as_ref())? {
        Some(mut encrypted) => {
            tracing::info!("the image has been through pre-run; starting again from `{aside}`");
            encrypted.with_tag_of(image.listed());
            let of_run = labels.layers_of_run(&image);
            let before = if of_run == Some(0) { Unreached::RemoveOf(image.blobs()) } else { Unreached::Keep };
            let warning = of_run.filter(|of_run| *of_run > 0).map(|of_run| {
                let was = image.descriptor().digest();
                format!(
                    "the layers that a run added to {was} ({of_run}) are dropped: pre-run started again from `{aside}`"
                )
            });
            let elsewhere = labels.results_outside.then(|| {
                "a directory that pre-run has made for the results before may still be there, with what it has decrypted"
                    .to_owned()
            });
            Ok(Start { image: encrypted, before, warning: warning.or(elsewhere) })
        }
        None => Ok(Start::first(image)),
    }
}

struct PreRun<'a> {
    request: &'a StageRequest<'a>,
    /// If the base layers stay where they are.
    apart: Option<Apart<'a>>,
    context: &'a Context,
    spool: PathBuf,
    base: BaseLayers,
    /// The directory for the plaintext results, if they do not go into the image.
    results: Option<StagedDir<'a>>,
    /// What becomes of an image that was opened before: one in which nothing has run is of no use to anybody any more.
    before: Unreached,
    /// Of a run that is left behind.
    warning: Option<String>,
    /// Of the base layers.
    memory: &'a VerifiedLayers,
    /// The bytes of base layers that were copied while they were checked.
    copied: u64,
    /// What the directory for the results cannot hold.
    lost: Vec<String>,
}

/// What happens to the two parts of the payload.
#[derive(Clone, Copy)]
struct Transforms<'k> {
    of_train: Transform<'k>,
    of_results: Transform<'k>,
}

/// The train as this stage has opened it.
struct Opened<'s> {
    stop: &'s Stop,
    base_layers: usize,
    payload: AddedLayer,
    checks: Vec<Check>,
}

impl PreRun<'_> {
    fn attempt(&mut self, train: &mut Train, target: &mut Target) -> Result<Report> {
        // First of all: who swapped a key on the route must not make it look like a mistake of the station.
        self.request.policy.alarm(&train.config);
        let mut checks = ensure_config(train, self.request.policy)?;
        ensure_not_opened(train, &self.request.station)?;
        let mut verifier = self.verifier(target);
        checks.extend(ensure_image(train, &mut verifier)?);
        self.copied += verifier.copied();
        checks.extend(ensure_master(train, self.request.policy.masters, self.context)?);
        let stop = train.stop_of(&self.request.station)?.clone();
        train.config.route_state()?.ensure_turn(&stop, StageKind::PreRun)?;
        if self.apart.is_none() {
            ensure_not_in_archive(self.request.source, self.request.destination)?;
        }
        checks.extend(collect_ivs(&train.config, train.tree())?);

        let (wire, cipher) = (train.config.wire(), train.config.wire().cipher());
        let encrypted = train.config.is_encrypted()?;
        let key = encrypted.then(|| unwrap_stage_key(&train.config, &stop, self.request.station.key)).transpose()?;
        let has_results = train.config.route_state()?.last_signed().is_some();
        let of_train = Transform::decrypt_with(key.as_ref().filter(|_| wire.encrypts_train()), cipher);
        let of_results = Transform::decrypt_with(key.as_ref().filter(|_| has_results), cipher);

        checks.extend(ensure_immutable(train, of_train)?);
        ensure_results_kinds(train.tree())?;
        if !has_results && !self.request.keep_initial_results {
            ensure_no_results(train)?;
        }
        let (base, _) = self.base.resolve(train, of_train, &self.spool)?;
        if train.config.form().base().is_none() {
            let mut verifier = self.verifier(target);
            verifier.ensure(train, base)?;
            self.copied += verifier.copied();
        }
        let results = if self.results.is_some() { 0 } else { size_below(train.tree(), paths::RESULTS) };
        let payload = decrypted(size_below(train.tree(), paths::TRAIN).saturating_add(results));
        ensure_stage(&*target.destination, &train.image, if self.apart.is_some() { 0 } else { base }, payload)?;
        let payload = self.write_payload(train, target, Transforms { of_train, of_results }, &mut checks)?;
        let checks = self.request.policy.enforce(checks)?;
        self.publish(train, target, Opened { stop: &stop, base_layers: base, payload, checks })
    }

    /// Checks base layers, and copies what it reads of them, if they are to go along.
    fn verifier<'t>(&self, target: &'t mut Target) -> BaseVerifier<'t>
    where
        Self: 't,
    {
        match self.apart {
            Some(_) => BaseVerifier::new(self.memory),
            None => BaseVerifier::copying_to(self.memory, &mut *target.destination),
        }
    }

    fn write_payload(
        &mut self,
        train: &Train,
        target: &mut Target,
        Transforms { of_train, of_results }: Transforms<'_>,
        checks: &mut Vec<Check>,
    ) -> Result<AddedLayer> {
        let tree = train.tree();
        let sink = LayerSink::new(&mut *target.destination, train.image.format())?;
        let mut payload = PayloadWriter::new(sink, train.config.wire(), tree, self.context.now)?;
        payload.begin(paths::RESULTS, tree)?;
        match &self.results {
            None => checks.extend(copy_results(&train.config, tree, of_results, payload.sink())?),
            Some(directory) => {
                let fidelity = if self.request.keep_owners { Fidelity::Exact } else { Fidelity::Station };
                let mut sink = begin_results(directory, tree, fidelity)?;
                checks.extend(copy_results(&train.config, tree, of_results, &mut sink)?);
                self.lost = sink.finish()?;
            }
        }
        payload.begin(paths::TRAIN, tree)?;
        transform(tree, paths::TRAIN, of_train, None, payload.sink())?;
        payload.finish()
    }

    /// Says if the train runs as a user who cannot write to the results, in the opened image or in their directory. `run`
    /// sees to that itself.
    fn closed_to_user(&self, runs: &Execution, tree: &Tree) -> Option<String> {
        let user = runs.user.as_deref().filter(|_| self.apart.is_none())?;
        let name = user.split(':').next().filter(|name| !matches!(*name, "" | "0" | "root"))?;
        if let Some(dir) = self.request.results {
            return (name != own_uid().to_string()).then(|| {
                format!(
                    "the train runs as user `{}`, and {} is for its owner alone: give it to that user, with all that is in it, before \
                     the train runs",
                    Printable::new(user),
                    dir.display()
                )
            });
        }
        // By its name alone nobody knows which number the user has; what is root's is not theirs.
        let is_theirs = |meta: &Meta| name.parse().map_or(meta.uid != 0, |uid: u64| uid == meta.uid);
        let is_closed = |meta: &Meta| !is_theirs(meta) && meta.mode & 0o002 == 0;
        let own = tree.get(paths::RESULTS).map_or_else(|| Meta::new(0o755, 0), |node| node.meta.clone());
        let mut below = tree.nodes()[tree.below(paths::RESULTS)].iter();
        let is_written = |node: &&Node| matches!(node.kind, NodeKind::File { .. } | NodeKind::Directory);
        let closed = match is_closed(&own) {
            true => shown(paths::RESULTS).to_string(),
            false => below.find(|node| is_written(node) && is_closed(&node.meta))?.shown().to_string(),
        };
        Some(format!(
            "the train runs as user `{}`, who cannot write to {closed} in the opened image: `run` lets this user, and so \
             does a directory for the results that is mounted there and theirs",
            Printable::new(user)
        ))
    }

    fn publish(&mut self, train: &mut Train, target: &mut Target, opened: Opened<'_>) -> Result<Report> {
        let Opened { stop, base_layers, payload, checks } = opened;
        // Plaintext may be handed to the station only when the layers that it came from are what they claim to be.
        train.view.verify()?;
        let (document, config) = (train.document.clone(), train.config.clone());
        let replaced = what_is_replaced(target, train, stop, self.context);
        let output = StageOutput {
            state: ImageState::PreRun,
            stop,
            base_layers,
            payload,
            document: &document,
            config: &config,
            rewritten: false,
            apart: self.apart,
            unreached: if target.in_place { self.before.clone() } else { Unreached::Keep },
            forgotten: Vec::new(),
            results_outside: self.results.as_ref().map(outside).transpose()?,
        };
        // The results come first: without them the image would be published by a command that fails.
        let publish = || output.publish(train, target, self.context);
        let (mut report, collected) = match &self.results {
            Some(results) => results.reveal_before(publish)?,
            None => publish()?,
        };
        report.notes.extend(collected.note());
        report.checks = checks;
        report.image.bytes.transferred += self.copied;
        report.runs = Some(Execution::of(train, Some(base_layers), self.base.given(), self.context));
        report.warnings = self.request.policy.warnings(&train.config);
        report.warnings.extend(self.warning.take().into_iter().chain(replaced));
        report.warnings.extend(report.runs.as_ref().and_then(|runs| self.closed_to_user(runs, train.tree())));
        report.warnings.extend(self.lost.drain(..).map(|what| format!("left out of the results: {what}")));
        if target.reference.is_shared() {
            let what = "the opened train is in a registry in plaintext: whoever can pull it can read it";
            report.warnings.push(what.to_owned());
        }
        if let Some(archive) = target.reference.path().filter(|path| target.in_place && path.is_file()) {
            let archive = archive.display();
            let what =
                format!("{archive} holds the opened train in plaintext now; with another DEST it stays as it came");
            report.warnings.push(what);
        }
        if target.in_place {
            report
                .notes
                .push(format!("the encrypted image stays as `{}{ENCRYPTED_SUFFIX}` until post-run", target.tag));
        }
        let results = self.request.results;
        report.notes.extend(results.map(|dir| format!("the previous results are in {}", dir.display())));
        Ok(report)
    }
}

/// What the opened image says of the directory in which the results are.
fn outside(results: &StagedDir<'_>) -> Result<ResultsOutside> {
    Ok(ResultsOutside { directory: results.identity()?, before: ResultsBefore::of(results.filled()).digest() })
}

/// Decrypts the previous results into `sink` and checks them against what the last station signed.
pub(super) fn copy_results(
    config: &TrainConfig,
    tree: &Tree,
    change: Transform<'_>,
    sink: &mut dyn EntrySink,
) -> Result<Vec<Check>> {
    let mut check = config.form().result_check(config, &result_files(tree, change)?)?;
    if check.feed().order().is_empty() {
        transform(tree, paths::RESULTS, change, None, sink)?;
        return check.finish();
    }
    let mut hasher = BackgroundHasher::new(check);
    transform(tree, paths::RESULTS, change, Some(&mut hasher), sink)?;
    hasher.finish()?.finish()
}

/// Refuses a train that this very station has opened: what it found then would look like an attack.
fn ensure_not_opened(train: &Train, station: &Station<'_>) -> Result<()> {
    let Ok(stop) = train.stop_of(station) else { return Ok(()) };
    let labels = Labels::read(&train.image);
    let is_next =
        train.config.route_state().is_ok_and(|state| state.next().is_some_and(|next| next.index == stop.index));
    if !is_next || labels.verified_config(stop).is_none() || !labels.is_open(train) {
        return Ok(());
    }
    let what = format!("the train is open already: {} ran pre-run on it", stop.subject());
    Err(Error::verification(what).hint("run the train, then post-run; or begin again from the encrypted image"))
}

fn ensure_no_results(train: &Train) -> Result<()> {
    let tree = train.tree();
    let files: Vec<String> = result_files(tree, Transform::Keep)?
        .iter()
        .map(|file| shown(&[paths::RESULTS, b"/", &file.path].concat()).to_string())
        .collect();
    let Some(first) = files.first() else { return Ok(()) };
    let what = format!("{} found, but no station has signed yet", counted(files.len() as u64, "result"));
    Err(Error::verification(what).advise(Advice::KeepInitialResults).at(first))
}

/// The directory for the results, as they are in the image, with its own mode.
fn begin_results(directory: &StagedDir<'_>, tree: &Tree, fidelity: Fidelity) -> Result<DirectorySink> {
    let mut sink = DirectorySink::new(directory.filling(), paths::RESULTS, fidelity)?;
    if let Some(node) = tree.get(paths::RESULTS) {
        sink.entry(&node.path, &EntryKind::Directory, &node.meta, 0)?;
    }
    Ok(sink)
}
