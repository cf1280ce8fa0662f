use std::path::{Path, PathBuf};

use super::kept::{INCOMPLETE, Remains};
use super::parts::base::{BaseLayers, adopt_base};
use super::parts::base_contents::BaseVerifier;
use super::parts::checks::{
    ensure_config, ensure_immutable, ensure_results, ensure_results_kinds, result_files, with_all_layers,
};
use super::parts::hashing::{BackgroundHasher, HashSink};
use super::parts::labels::{ImageState, Labels};
use super::parts::listing::{Both, Listing, files};
use super::parts::load::{Depth, Train, read_view};
use super::parts::payload::{PayloadWriter, Transform, transform};
use super::parts::publish::{StageOutput, what_is_replaced};
use super::parts::release::{SeenFiles, approved_by};
use super::parts::report::{Report, ResultFile};
use super::parts::request::{StageRequest, Station};
use super::parts::results_given::{GivenResults, other_directory};
use super::parts::space::{ensure_file_count, ensure_stage, size_below};
use crate::crypto::StageKey;
use crate::error::{Advice, Error, ErrorContext, Kind, Result};
use crate::image::{
    AddedLayer, EntrySink, Image, LayerSink, PendingTarget, ReadDirectory, Target, Tree, VerifiedLayers, open_image,
    read_directory,
};
use crate::path::shown;
use crate::review::{ApprovalSubject, entries_of, results_digest};
use crate::store::{Audience, Context, Digest, Reference, spool_dir};
use crate::text::{counted, some_of};
use crate::train::check::CheckId;
use crate::train::{Check, Produced, StageKind, Stop, StopSeal, StopSignature, paths, unwrap_stage_key};

/// The number of changes outside the results that a report names.
const NAMED: usize = 10;

/// Closes a train after its run: hashes, signs and encrypts the results (train security protocol, post-run). What the
/// run changed elsewhere is dropped, and no plaintext stays.
///
/// # Errors
/// [`Kind::Verification`](crate::error::Kind::Verification) if the run changed the train or its config, or it is not
/// the station's turn; [`Kind::Key`](crate::error::Kind::Key) if the key is not the station's;
/// [`Kind::Malformed`](crate::error::Kind::Malformed) if this is no train. Then nothing has changed.
pub fn post_run(request: &StageRequest<'_>, context: &Context) -> Result<Report> {
    let pending = PendingTarget::open(request.source, request.destination, context)
        .map_err(|error| request.not_writable(error))?;
    let image = open_image(request.source, context)?;
    let target = pending.resolve(request.source, request.destination, &image)?;
    close(request, image, target, OpenedAt::Source, context)
}

/// [`post_run`] of an image that was opened elsewhere (at `opened`) and takes the place that the encrypted one, `before`,
/// has or would get: where it was opened nothing stays, which is the caller's to see to.
///
/// # Errors
/// As [`post_run`]; [`Kind::Io`] if the encrypted image is another one by now.
#[cfg_attr(not(feature = "engines"), allow(dead_code, reason = "`run` alone opens a train elsewhere"))]
pub(super) fn post_run_elsewhere(
    request: &StageRequest<'_>,
    opened: &Reference,
    before: &Image,
    context: &Context,
) -> Result<Report> {
    let pending = PendingTarget::open(request.source, request.destination, context)?;
    let target = pending.resolve(request.source, request.destination, before)?;
    let digest = |image: &Image| image.listed().descriptor.digest().clone();
    if target.in_place && digest(&open_image(request.source, context)?) != digest(before) {
        let what = "another image was published here while the train ran";
        return Err(Error::new(Kind::Io, what)
            .hint("find out who published it, and run the train again")
            .at(request.source));
    }
    let image = open_image(opened, context)?;
    // A train that came thin leaves thin, if the engine has its base from elsewhere.
    close(request, image.completed_as_far(before)?, target, OpenedAt::Elsewhere, context)
}

/// Where the image that is closed was opened.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OpenedAt {
    /// At the request's own source.
    Source,
    /// In another place, where nothing of it stays.
    Elsewhere,
}

/// Closes `image`.
fn close(
    request: &StageRequest<'_>,
    image: Image,
    mut target: Target,
    opened: OpenedAt,
    context: &Context,
) -> Result<Report> {
    let spool = spool_dir(&target.reference, context);
    let labels = Labels::read(&image);
    ensure_was_opened(&image, &labels)?;
    if opened == OpenedAt::Source && target.in_place && labels.was_opened_apart() {
        let what = "the opened train is kept here until it is closed, and would be closed into what is removed then";
        return Err(Error::usage(what).hint("give a DEST for the closed train").at(request.source));
    }
    if labels.needs_approval && request.release.is_none() {
        let what = "the results are held until a person has approved them";
        return Err(Error::decision(what).advise(Advice::ReleaseHeld).at(request.source));
    }
    let base = BaseLayers::detect(&image, request.base, context)?;
    let image = with_its_base(base.complete(image)?, &labels, &mut target, context)?;
    let mut train = load(image, &spool, base.floor(), &labels)?;
    let mut warnings = Vec::new();
    if opened == OpenedAt::Source && request.source.path().is_some_and(may_be_incomplete) {
        let what = "the train had no room left when it ran: its results may be incomplete";
        if request.policy.strict {
            let hint =
                "run the train once more, or see that they are whole and remove the file `incomplete` beside them";
            return Err(Error::verification(what).hint(hint).at(request.source));
        }
        warnings.push(what.to_owned());
    }
    let results = match request.results {
        Some(dir) => {
            ensure_own_way(dir)?;
            if let Some(other) = other_directory(dir, request, &labels)? {
                warnings.push(other);
            }
            let options = ReadDirectory { owners: request.keep_owners, max_files: context.max_files };
            Some(read_directory(dir, paths::RESULTS, options)?)
        }
        None => None,
    };
    let name = train.name();
    request.policy.ensure_wire(&train.config).map_err(|fault| train.view.damage_or(fault.at(&name)))?;
    let post_run = PostRun { request, context, spool: &spool, labels, base, results, opened };
    let closed = with_all_layers(&mut train, &spool, |train| post_run.attempt(train, &mut target));
    let mut report = closed.at(name)?;
    report.warnings.extend(warnings);
    Ok(report)
}

/// The image with the base that it was opened without, from where the encrypted image is: a train that came whole must not
/// leave thin. One that came thin, or goes to where its base is, stays as it is.
fn with_its_base(image: Image, labels: &Labels, target: &mut Target, context: &Context) -> Result<Image> {
    let Some(from) = &labels.opened_from else { return Ok(image) };
    let mut missing = image.left_out();
    missing.retain(|layer| !target.destination.has_blob(layer).is_ok_and(|there| there));
    if missing.is_empty() {
        return Ok(image);
    }
    // Of a label alone no registry is asked.
    let from = Reference::locate(from)?;
    let encrypted = if from.is_shared() { None } else { open_image(&from, context).ok() };
    match encrypted.and_then(|encrypted| image.completed(&encrypted).ok()) {
        Some(whole) => Ok(whole),
        None => {
            let what = match from.is_shared() {
                true => "the opened train goes without its base".to_owned(),
                false => format!("the opened train goes without its base, and {from} does not have it"),
            };
            Err(Error::usage(what).advise(Advice::GiveBase))
        }
    }
}

/// True if a run that has kept this opened train had no room for its results.
fn may_be_incomplete(opened: &Path) -> bool {
    opened.parent().is_some_and(|dir| Remains::of(dir).is_some() && dir.join(INCOMPLETE).exists())
}

/// Refuses to sign what somebody else's link leads to.
fn ensure_own_way(results: &Path) -> Result<()> {
    let own = Audience::Owner { shared: false }.ensure_path(results);
    own.map_err(|error| error.hint("name the directory with the results itself"))
}

/// An image that no run has touched since this program closed it is encrypted; to close it again would encrypt twice.
pub(super) fn ensure_was_opened(image: &Image, labels: &Labels) -> Result<()> {
    let above = labels.base_layers.map(|base| image.layers().len() - base);
    match (labels.state, above) {
        (Some(ImageState::Built), Some(0)) | (Some(ImageState::PostRun | ImageState::Rebased), Some(2)) => {
            Err(not_opened())
        }
        _ => Ok(()),
    }
}

/// Where the payload is signed, no labels are needed to see that an image was never opened.
pub(super) fn ensure_is_not_signed(train: &Train) -> Result<()> {
    let form = train.config.form();
    let is_signed = form.base().is_some() && !form.collect_layers(&train.facts).iter().any(Check::is_broken);
    if is_signed { Err(not_opened()) } else { Ok(()) }
}

fn not_opened() -> Error {
    let what = "the image is as post-run or build left it: it holds nothing new";
    Error::verification(what).hint("run pre-run and the train first")
}

/// Reads the train. A config that is none any more, though pre-run has verified one, was rewritten by the run.
pub(super) fn load(image: Image, spool: &Path, base: Option<usize>, labels: &Labels) -> Result<Train> {
    let depth = Depth::ListedFiles(base.unwrap_or(usize::MAX));
    let view = read_view(&image, spool, depth)?;
    Train::in_view(image, view, depth).map_err(|error| {
        let rewritten = error.kind() == Kind::Malformed && labels.any_verified_config().is_some();
        if rewritten { Error::verification("the run damaged the train").because(error) } else { error }
    })
}

/// Without labels nothing tells an image that was never opened; but then its results are still what the last station
/// has encrypted and signed.
fn ensure_not_encrypted(train: &Train, stop: &Stop, station: &Station<'_>) -> Result<()> {
    let signed = train.config.route_state()?.last_signed().is_some();
    if !signed || result_files(train.tree(), Transform::Keep)?.is_empty() {
        return Ok(());
    }
    let key = unwrap_stage_key(&train.config, stop, station.key)?;
    match ensure_results(train, Transform::Decrypt(train.config.wire().cipher(), &key)) {
        Ok(_) => {
            let what = "the results are still encrypted: pre-run was not run";
            Err(Error::verification(what).hint("run pre-run and the train first"))
        }
        Err(error) if error.kind() == Kind::Verification => Ok(()),
        Err(error) => Err(error),
    }
}

struct PostRun<'a> {
    request: &'a StageRequest<'a>,
    context: &'a Context,
    spool: &'a PathBuf,
    labels: Labels,
    base: BaseLayers,
    /// The results, where they are not in the image.
    results: Option<Tree>,
    /// True if the caller deletes the opened image afterwards.
    opened: OpenedAt,
}

impl PostRun<'_> {
    fn attempt(&self, train: &mut Train, target: &mut Target) -> Result<Report> {
        let stop = train.stop_of(&self.request.station)?.clone();
        let after_run = self.ensure_config_is_verified(train, &stop)?;
        train.config.route_state()?.ensure_turn(&stop, StageKind::PostRun)?;
        self.given().ensure_all(train, &stop)?;
        let checks = self.checked(train, &stop, after_run)?;
        let wire = train.config.wire();
        let (base, found) = self.base.resolve(train, Transform::Keep, self.spool)?;
        adopt_base(train, base, self.context)?;
        let copied = if wire.has_payload_as_built() { self.ensure_base(train, base, target)? } else { 0 };
        let results = self.results.as_ref().unwrap_or(train.tree());
        ensure_file_count(results, train.tree(), self.context.max_files)?;
        let payload = size_below(results, paths::RESULTS).saturating_add(size_below(train.tree(), paths::TRAIN));
        ensure_stage(&*target.destination, &train.image, base, payload)?;
        let key = wire.cipher().generate_key()?;
        let Written { payload, produced, left_out, listed, approved } =
            self.write_payload(train, &stop, target, &key)?;
        let (index, own, now) = (stop.index, self.request.station.key, self.context.now);
        let seal = StopSeal { index, key: own, stage_key: &key, produced: &produced, now };
        let config = train.config.seal_stop(&seal)?;
        let document = config.to_bytes()?;

        let output = StageOutput {
            state: ImageState::PostRun,
            stop: &stop,
            base_layers: base,
            payload,
            document: &document,
            config: &config,
            rewritten: true,
            apart: None,
            // After post-run in place nothing of the plaintext may stay, not even what another run has left.
            unreached: target.unreached(),
            forgotten: if target.in_place { self.opened_without_tag(train) } else { Vec::new() },
            results_outside: None,
        };
        let nothing = self.given().lack(train)?;
        let replaced = what_is_replaced(target, train, &stop, self.context);
        let (mut report, collected) = output.publish(train, target, self.context)?;
        report.checks = checks;
        let has_results = !listed.is_empty();
        report.results = Some(listed);
        report.signature = config.route().stop(index)?.signature.as_ref().map(StopSignature::sha256);
        report.image.bytes.transferred += copied;
        report.warnings = self.request.policy.warnings(&train.config);
        report.notes.push(format!("base: {} (from {})", counted(base as u64, "layer"), found.name()));
        let dropped = changes_elsewhere(train, base);
        report.notes.extend(dropped.map(|paths| format!("changes outside /opt/pht_results were dropped: {paths}")));
        let pipes = some_of(&left_out, NAMED);
        report.warnings.extend(pipes.map(|paths| format!("left out, since named pipes do not travel: {paths}")));
        report.notes.extend(collected.note());
        report.notes.extend(approved_by(&approved));
        report.warnings.extend(self.held_in_plaintext(target, &report.image.source, has_results));
        report.warnings.extend(nothing.map(str::to_owned).into_iter().chain(replaced));
        Ok(report)
    }

    fn given(&self) -> GivenResults<'_> {
        GivenResults { request: self.request, labels: &self.labels, directory: self.results.as_ref() }
    }

    /// Everything that is checked before the results are read.
    fn checked(&self, train: &mut Train, stop: &Stop, after_run: Check) -> Result<Vec<Check>> {
        self.request.policy.alarm(&train.config);
        let mut checks = ensure_config(train, self.request.policy)?;
        ensure_is_not_signed(train)?;
        checks.extend(ensure_immutable(train, Transform::Keep)?);
        checks.push(after_run);
        let checks = self.request.policy.enforce(checks)?;
        ensure_results_kinds(train.tree())?;
        if self.results.is_none() && self.labels.verified_config(stop).is_none() {
            ensure_not_encrypted(train, stop, &self.request.station)?;
        }
        Ok(checks)
    }

    /// The images without a tag that pre-run has opened of the same train: an engine that puts its own under the tag may
    /// leave them behind, with plaintext in them.
    fn opened_without_tag(&self, train: &Train) -> Vec<Digest> {
        let Some(config) = self.labels.any_verified_config() else { return Vec::new() };
        let others = train.image.nameless_others().into_iter();
        let opened = others.filter(|other| Labels::read(other).any_verified_config() == Some(config));
        opened.map(|other| other.listed().descriptor.digest().clone()).collect()
    }

    /// What still holds plaintext, where the caller does not see to that.
    fn held_in_plaintext(&self, target: &Target, source: &str, has_results: bool) -> Vec<String> {
        let mut held = Vec::new();
        if self.opened == OpenedAt::Elsewhere {
            return held;
        }
        if target.in_place && target.reference.is_shared() {
            let what = "the registry keeps the opened image, which holds plaintext, under its digest until it collects \
                        garbage";
            held.push(what.to_owned());
        }
        match (self.request.results, target.in_place) {
            (Some(_), true) if !has_results => {}
            (Some(dir), true) => held.push(format!("{} still holds the results in plaintext", dir.display())),
            (Some(dir), false) if has_results => {
                let results = dir.display();
                held.push(format!("{results} still holds the results in plaintext, and {source} the train's files"));
            }
            (_, false) => {
                let what = if has_results { "results" } else { "train's files" };
                held.push(format!("{source} still holds the {what} in plaintext"));
            }
            (None, true) => {}
        }
        held
    }

    /// Holds the base layers against their diff IDs; how many bytes of them were copied on the way.
    fn ensure_base(&self, train: &Train, base: usize, target: &mut Target) -> Result<u64> {
        let own = VerifiedLayers::in_memory();
        let memory = self.request.policy.memory.unwrap_or(&own);
        let mut verifier = BaseVerifier::copying_to(memory, &mut *target.destination);
        verifier.ensure(train, base)?;
        Ok(verifier.copied())
    }

    /// Compares the config with the one that this station's pre-run verified: a run must not choose who may read.
    fn ensure_config_is_verified(&self, train: &Train, stop: &Stop) -> Result<Check> {
        match self.labels.verified_config(stop) {
            Some(digest) if digest == train.config_digest() => {
                Ok(Check::sound(CheckId::ConfigAfterRun, "train config"))
            }
            Some(_) => {
                let hint = "do not pass this image on; start again from the encrypted one";
                let what = "not the config that pre-run verified: the run rewrote it";
                Err(Error::verification(what).hint(hint).at(shown(paths::CONFIG)))
            }
            None => {
                let why = "could not be compared with the config before the run: another program did pre-run";
                Ok(Check::weak(CheckId::ConfigAfterRun, "train config", why))
            }
        }
    }

    fn write_payload(&self, train: &Train, stop: &Stop, target: &mut Target, key: &StageKey) -> Result<Written> {
        let wire = train.config.wire();
        let encrypt = Transform::Encrypt(wire.cipher(), key);
        let sink = LayerSink::new(&mut *target.destination, train.image.format())?;
        let mut payload = PayloadWriter::new(sink, wire, train.tree(), self.context.now)?;
        payload.begin(paths::RESULTS, train.tree())?;
        let results = self.results.as_ref().unwrap_or(train.tree());
        let mut listing = self.request.digest_results.then(|| BackgroundHasher::new(Listing::new()));
        let (result_hash, approved) = match train.config.form().result_hasher(&train.config) {
            Some(hasher) => {
                let mut hasher = BackgroundHasher::new(hasher);
                let mut both = Both(Some(&mut hasher), listing.as_mut().map(|listing| listing as &mut dyn HashSink));
                let approved = self.write_results(train, stop, Some(&mut both), (encrypt, payload.sink()))?;
                (Some(hasher.finish()?.finish()), approved)
            }
            None => {
                let listing = listing.as_mut().map(|listing| listing as &mut dyn HashSink);
                (None, self.write_results(train, stop, listing, (encrypt, payload.sink()))?)
            }
        };
        let listed = match listing {
            Some(listing) => listing.finish()?.finish(results, paths::RESULTS),
            None => files(results, paths::RESULTS).collect(),
        };
        let of_train = if wire.encrypts_train() { encrypt } else { Transform::Keep };
        payload.begin(paths::TRAIN, train.tree())?;
        transform(train.tree(), paths::TRAIN, of_train, None, payload.sink())?;
        let left_out = payload.left_out().to_vec();
        let payload = payload.finish()?;
        let produced = Produced { result_hash, payload: Some(payload.diff_id.to_string()) };
        Ok(Written { payload, produced, left_out, listed, approved })
    }

    /// Encrypts the results; who has approved exactly these, where that is demanded. What is digested for that is what
    /// is encrypted, in the same pass.
    fn write_results(
        &self,
        train: &Train,
        stop: &Stop,
        hasher: Option<&mut dyn HashSink>,
        (encrypt, sink): (Transform<'_>, &mut dyn EntrySink),
    ) -> Result<Vec<String>> {
        let results = self.results.as_ref().unwrap_or(train.tree());
        let Some(release) = self.request.release else {
            transform(results, paths::RESULTS, encrypt, hasher, sink)?;
            return Ok(Vec::new());
        };
        let mut seen = SeenFiles::new(hasher);
        transform(results, paths::RESULTS, encrypt, Some(&mut seen), sink)?;
        let digest = results_digest(&entries_of(results, paths::RESULTS, &seen.finish()));
        release.enforce(&approval_subject(train, stop, digest, release.policy.digest()?))
    }
}

/// The payload as it was written.
struct Written {
    payload: AddedLayer,
    produced: Produced,
    /// What does not travel.
    left_out: Vec<String>,
    /// The results that travel.
    listed: Vec<ResultFile>,
    /// Who has approved the results.
    approved: Vec<String>,
}

/// What an approval of results at this stop has to be about.
pub(super) fn approval_subject(train: &Train, stop: &Stop, results: String, policy: String) -> ApprovalSubject {
    let (id, stop) = (train.config.id().to_owned(), (stop.index, stop.station.to_string()));
    ApprovalSubject::new(id, train.config_digest(), stop, results, policy)
}

/// What the layers above the base hold outside the train's paths: it is not part of the new image.
pub(super) fn changes_elsewhere(train: &Train, base: usize) -> Option<String> {
    let above = train.view.others.iter().filter(|(layer, _)| *layer >= base).flat_map(|(_, paths)| paths);
    let mut dropped: Vec<String> =
        above.filter(|path| ***path != *paths::USER_KEY).map(|path| shown(path).to_string()).collect();
    dropped.sort();
    dropped.dedup();
    some_of(&dropped, NAMED)
}
