use std::io;

use super::parts::base_contents::BaseVerifier;
use super::parts::checks::{
    collect_config, collect_ivs, ensure_control_on_top, ensure_immutable, ensure_only_files, ensure_results_kinds,
    files_below,
};
use super::parts::closed_layers::{ensure_control_form, ensure_payload_form};
use super::parts::labels::{ImageState, Labels};
use super::parts::load::{Depth, Train, name_of, read_view};
use super::parts::openness::sign_of_plaintext;
use super::parts::payload::Transform;
use super::parts::request::VerificationPolicy;
use crate::error::{Error, ErrorContext, IoContext, Kind, Result};
use crate::image::{Image, VerifiedLayers, open_image};
use crate::store::{Context, Reference, Verified};
use crate::text::{Printable, counted};
use crate::train::check::{CheckId, is_in_order, overall, require_ok, withdraw_unfounded, withdraw_unordered};
use crate::train::{Check, FileMeta, Stop, Verdict, paths};

/// What the check of the layers that were needed is about.
const LAYERS_READ: &str = "layers that were read";
/// What the check of all layers is about.
const ALL_LAYERS: &str = "all layers";

/// The result of verify: everything that is checked without a private key.
#[derive(Debug)]
#[non_exhaustive]
pub struct Verification {
    /// The image.
    pub source: String,
    /// Its manifest's digest; `None` if the manifest or the image config could not be read.
    pub digest: Option<String>,
    /// The wire version; `None` if the config could not be read.
    pub wire: Option<&'static str>,
    /// The train's id; `None` if the config could not be read.
    pub id: Option<String>,
    /// Every check with its verdict, broken ones too.
    pub checks: Vec<Check>,
    /// The stops in route order.
    pub stops: Vec<StopVerdict>,
    /// Bytes read from layers, manifests and configs.
    pub read: u64,
    /// Of the lowest layers so many were not read: what is above them tells all that was asked for.
    pub unread_layers: usize,
    /// True if the train is open: what it says of itself is then that of the closed one, and need not be broken.
    pub open: bool,
    /// True if its creator has yet to sign it: no stage takes it before.
    pub waits_for_creator: bool,
    /// The station whose pre-run has opened it, where that is known.
    pub opened_at: Option<String>,
    /// Conditions that the person should know about; nothing failed.
    pub warnings: Vec<String>,
    /// Why the train's files could not be looked at, if they could not: a layer is damaged or missing, or its form is not
    /// that of one. The check of the layers is then broken, and the others are of the config alone, if that can be read.
    pub fault: Option<Error>,
}

/// The verdicts on one stop.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StopVerdict {
    /// The position on the route, from 0.
    pub index: usize,
    /// The station's id.
    pub station: String,
    /// The fingerprint of its public key.
    pub key: String,
    /// True if it has signed, whether or not that holds.
    pub signed: bool,
    /// Whether its signature holds; `None` if it has not signed, or nothing could be said of it.
    pub signature: Option<Verdict>,
    /// Whether what it signed could be recomputed: weak if this wire version does not allow it.
    pub digest: Option<Verdict>,
}

/// The error of a train that is open.
fn open_error(at: Option<&str>) -> Error {
    let place = at.map(|station| format!(" at station `{}`", Printable::new(station))).unwrap_or_default();
    let what = format!("the train is open{place}: only a closed one can be verified");
    Error::verification(what).hint("verify the encrypted image, or run post-run first")
}

impl Verification {
    /// The verdict on the train: the worst of its checks.
    pub fn verdict(&self) -> Verdict {
        overall(&self.checks)
    }

    /// True if the train is open, and nothing is wrong with it but that.
    pub fn is_only_open(&self) -> bool {
        self.open && !matches!(self.verdict(), Verdict::Broken(_) | Verdict::Unpinned(_))
    }

    /// An error if the train does not meet `policy`.
    ///
    /// # Errors
    /// [`Kind::Verification`] if a check is broken or, strictly, weak, or if the train is open; the [`fault`](Self::fault),
    /// if there is one.
    pub fn enforce(self, policy: VerificationPolicy<'_>) -> Result<()> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        // Where the payload is signed, that of an open train cannot be what is.
        let is_in_plaintext = self.open && self.checks.iter().any(|check| check.id == CheckId::Payload);
        let policy = VerificationPolicy { strict: policy.strict && !is_in_plaintext, ..policy };
        policy.enforce(self.checks).at(&self.source)?;
        if is_in_plaintext { Err(open_error(self.opened_at.as_deref()).at(&self.source)) } else { Ok(()) }
    }
}

/// Checks everything about a train that needs no private key. Of wire 3 it reads manifest, config, control and payload
/// layer; of the earlier ones, where these do not hold what the config lists, the layers below as well.
///
/// # Errors
/// [`Kind::Malformed`] if this is no train. What is broken is no error but a verdict.
pub fn verify(source: &Reference, policy: VerificationPolicy<'_>, context: &Context) -> Result<Verification> {
    let image = match open_image(source, context) {
        // Its bytes are not those that it names: damage, be it that nothing more can be said of the train.
        Err(fault) if fault.kind() == Kind::Verification => {
            return Ok(without_config(source.to_string(), None, vec![damage(&fault)], fault));
        }
        opened => opened?,
    };
    let whole = Train::load(image.clone(), &context.temporary, Depth::ListedFiles(usize::MAX));
    match whole.and_then(|train| verify_whole(train, policy, context)) {
        Err(fault) if matches!(fault.kind(), Kind::Malformed | Kind::Verification) => {
            verify_config(image, fault, policy, context)
        }
        verified => verified,
    }
}

fn verify_whole(mut train: Train, policy: VerificationPolicy<'_>, context: &Context) -> Result<Verification> {
    let name = train.name();
    let mut open = is_open(&train);
    let mut checks = collect(&train, policy, open).map_err(|fault| train.view.damage_or(fault.at(&name)))?;
    let in_doubt = |check: &Check| check.id == CheckId::ImmutableHash && check.is_broken();
    // The train may be put together of more layers than those that were read, as long as the wire does not say which.
    if checks.iter().any(in_doubt) && !train.view.complete && train.reload(&context.temporary).is_ok() {
        open = is_open(&train);
        checks = collect(&train, policy, open).map_err(|fault| train.view.damage_or(fault.at(&name)))?;
    }
    match train.view.verify() {
        Ok(()) => checks.push(Check::sound(CheckId::Layers, LAYERS_READ)),
        // Damage comes before whatever followed from the damaged bytes.
        Err(error) => {
            let damaged = broken(error, CheckId::Layers, LAYERS_READ)?;
            let of_payload = |check: &&mut Check| check.id == CheckId::Payload && check.verdict == Verdict::Sound;
            for check in checks.iter_mut().filter(of_payload) {
                let reason = "the signed digest is the image's, and bytes of a layer do not have theirs";
                *check = Check::weak(check.id, check.subject.clone(), reason);
            }
            checks.insert(0, damaged);
        }
    }
    if policy.all_layers {
        checks.push(read_layers(&train.image).at(&name)?);
    }
    let mut report = report(&train, policy, checks, open);
    report.warnings.extend(train.lacks_layer());
    Ok(report)
}

/// What the config alone tells, where the rest could not be looked at: who has signed what is worth knowing of a train
/// that is damaged, too. If the config is lost with a layer, that is all there is to say. An image that is whole and no
/// train leaves the `fault`.
fn verify_config(
    image: Image,
    fault: Error,
    policy: VerificationPolicy<'_>,
    context: &Context,
) -> Result<Verification> {
    let mut checks = vec![damage(&fault)];
    let seen = read_view(&image, &context.temporary, Depth::Config);
    let is_unread = seen.is_err();
    match seen.and_then(|seen| Train::in_view(image.clone(), seen, Depth::Config)) {
        Ok(train) => {
            checks.extend(collect_config(&train.config, policy));
            let open = Labels::read(&image).state == Some(ImageState::PreRun);
            let mut report = Verification { fault: Some(fault), ..report(&train, policy, checks, open) };
            let what = "of the image and of the train's files nothing was checked: that needs the layers";
            report.warnings.push(what.to_owned());
            Ok(report)
        }
        Err(lost) if is_unread || lost.kind() == Kind::Verification => {
            Ok(without_config(name_of(&image), Some(&image), checks, fault))
        }
        Err(_) => Err(fault),
    }
}

/// What is read first of an image that is damaged.
fn damage(fault: &Error) -> Check {
    Check::broken(CheckId::Layers, LAYERS_READ, fault.to_string())
}

/// The report on an image whose train config cannot be read; without an image, not even its manifest or image config can.
fn without_config(source: String, image: Option<&Image>, checks: Vec<Check>, fault: Error) -> Verification {
    Verification {
        source,
        digest: image.map(|image| image.descriptor().digest().to_string()),
        wire: None,
        id: None,
        checks,
        stops: Vec::new(),
        read: image.map_or(0, |image| image.source().bytes_read()),
        unread_layers: image.map_or(0, |image| image.layers().len()),
        open: false,
        waits_for_creator: false,
        opened_at: None,
        warnings: Vec::new(),
        fault: Some(fault),
    }
}

fn report(train: &Train, policy: VerificationPolicy<'_>, mut checks: Vec<Check>, open: bool) -> Verification {
    policy.alarm(&train.config);
    withdraw_unfounded(&mut checks);
    withdraw_unordered(&mut checks);
    Verification {
        source: train.name(),
        digest: Some(train.image.descriptor().digest().to_string()),
        wire: Some(train.config.wire().name()),
        id: Some(train.config.id().to_owned()),
        stops: stops(train, &checks),
        read: train.image.source().bytes_read(),
        unread_layers: if policy.all_layers { 0 } else { train.view.lowest },
        open,
        waits_for_creator: train.config.form().waits_for_creator(),
        opened_at: Labels::read(&train.image).opened_at().filter(|_| open).map(str::to_owned),
        warnings: [warnings(train, policy), unordered(&checks)].concat(),
        checks,
        fault: None,
    }
}

/// Reads every layer of an image to its end, and holds it against its digest.
///
/// # Errors
/// [`Kind::Verification`] if one is damaged, [`Kind::Malformed`] if one is missing.
pub fn ensure_all_layers(source: &Reference, context: &Context) -> Result<()> {
    let image = open_image(source, context)?;
    require_ok(vec![read_layers(&image)?]).at(source).map(drop)
}

/// Reads every blob of a layer to its end, and holds it against its digest. That one is not there is an error.
fn read_layers(image: &Image) -> Result<Check> {
    for layer in image.layers() {
        let blob = image.source().open(layer)?.into_reader();
        let read = Verified::new(blob, layer)
            .and_then(|mut verified| io::copy(&mut verified, &mut io::sink()).doing("read the layer"))
            .at(layer.digest());
        match read {
            Err(error) if matches!(error.kind(), Kind::Malformed | Kind::Verification) => {
                return Ok(Check::broken(CheckId::Layers, ALL_LAYERS, error.to_string()));
            }
            read => read?,
        };
    }
    Ok(Check::sound(CheckId::Layers, ALL_LAYERS))
}

fn collect(train: &Train, policy: VerificationPolicy<'_>, open: bool) -> Result<Vec<Check>> {
    let (config, wire) = (&train.config, train.config.wire());
    let mut checks = collect_config(config, policy);
    collect_image(train, policy, open, &mut checks)?;
    ensure_results_kinds(train.tree())?;
    if let Err(error) = ensure_only_files(train.tree()) {
        checks.push(broken(error, CheckId::ImmutableFiles, "immutable files")?);
    } else if !wire.encrypts_train() {
        match ensure_immutable(train, Transform::Keep) {
            Ok(found) => checks.extend(found),
            Err(error) => checks.push(broken(error, CheckId::ImmutableHash, "immutable files")?),
        }
    }
    // What is signed are the files as they travel; of others nothing is to be held against that.
    if config.form().base().is_some() && open {
        return Ok(checks);
    }
    match files_in_sight(train) {
        Ok(files) => checks.extend(config.form().collect_closed(config, &files)),
        Err(error) => checks.push(broken(error, CheckId::ImmutableFiles, "immutable files")?),
    }
    if Labels::read(&train.image).state != Some(ImageState::PreRun) {
        checks.extend(collect_ivs(config, train.tree())?);
    }
    Ok(checks)
}

/// How the image runs and what its layers are, as far as the wire version binds them.
fn collect_image(train: &Train, policy: VerificationPolicy<'_>, open: bool, checks: &mut Vec<Check>) -> Result<()> {
    let form = train.config.form();
    let of_image = form.collect_image(&train.facts);
    if form.base().is_some() && open {
        // An engine's commit may say what it likes: post-run writes what was signed.
        checks.extend(of_image.into_iter().map(|check| match check.verdict {
            Verdict::Broken(reason) => {
                Check::weak(check.id, check.subject, reason + "; post-run writes what was signed")
            }
            _ => check,
        }));
        let what = "the train is open: its files are in plaintext, and only the encrypted image travels";
        checks.push(Check::weak(CheckId::Payload, "payload layer", what));
        return Ok(());
    }
    checks.extend(of_image);
    let bound = form.collect_layers(&train.facts);
    let is_bound = !bound.iter().any(Check::is_broken);
    checks.extend(bound);
    let Some(base) = form.base() else { return Ok(()) };
    ensure_control_on_top(train)?;
    if !is_bound {
        return Ok(());
    }
    let own = VerifiedLayers::in_memory();
    if let Err(error) = BaseVerifier::new(policy.memory.unwrap_or(&own)).ensure(train, base.len()) {
        checks.push(broken(error, CheckId::Base, "base layers")?);
    }
    if let Err(error) = ensure_payload_form(train) {
        checks.push(broken(error, CheckId::Payload, "payload layer")?);
    }
    match ensure_control_form(train) {
        Ok(check) => checks.extend(check),
        Err(error) => checks.push(broken(error, CheckId::Control, "control layer")?),
    }
    Ok(())
}

/// Whether the image has been through pre-run: by its labels, or by what its files are. Where the payload is signed, a
/// label is enough to say so, and so are immutable files that are what the creator signed.
fn is_open(train: &Train) -> bool {
    let labels = Labels::read(&train.image);
    match train.config.form().base() {
        Some(_) => labels.state == Some(ImageState::PreRun) || ensure_immutable(train, Transform::Keep).is_ok(),
        None => labels.is_open(train) || sign_of_plaintext(train).is_ok_and(|sign| sign.is_some()),
    }
}

/// The immutable files of a closed train.
fn files_in_sight(train: &Train) -> Result<Vec<FileMeta>> {
    let (tree, cipher) = (train.tree(), train.config.wire().cipher());
    let files = files_below(tree, paths::TRAIN, Transform::Keep)?.into_iter();
    files
        .map(|(at, meta)| {
            let size = cipher.plaintext_len_in_sight(meta.size).at(tree.nodes()[at].shown())?;
            Ok(FileMeta { size: size.unwrap_or(meta.size), ..meta })
        })
        .collect()
}

/// What does not hold as a check; every other error stays one.
fn broken(error: Error, id: CheckId, subject: &'static str) -> Result<Check> {
    match error.kind() {
        Kind::Verification => Ok(Check::broken(id, subject, error.to_string())),
        _ => Err(error),
    }
}

fn stops(train: &Train, checks: &[Check]) -> Vec<StopVerdict> {
    let of = |stop: &Stop, ids: &[CheckId]| {
        let found = checks.iter().find(|check| check.subject.stop() == Some(stop.index) && ids.contains(&check.id));
        found.map(|check| check.verdict.clone())
    };
    let stop = |stop: &Stop| StopVerdict {
        index: stop.index,
        station: stop.station.to_string(),
        key: stop.public_key.fingerprint(),
        signed: stop.signature.is_some(),
        signature: of(stop, &[CheckId::StopSignature]),
        digest: of(stop, &[CheckId::StopDigest, CheckId::LastDigest, CheckId::OlderDigest]),
    };
    train.config.route().stops().iter().map(stop).collect()
}

/// What is to be said where checks could not be made, since a signature is missing between others.
fn unordered(checks: &[Check]) -> Vec<String> {
    let what = "of the stops' signatures nothing was checked: that needs their order";
    if is_in_order(checks) { Vec::new() } else { vec![what.to_owned()] }
}

fn warnings(train: &Train, policy: VerificationPolicy<'_>) -> Vec<String> {
    let mut warnings = policy.warnings(&train.config);
    if Labels::read(&train.image).state == Some(ImageState::PreRun) {
        let text =
            "the image was opened by pre-run: its files are in plaintext, and only the encrypted image may travel";
        warnings.push(text.to_owned());
    }
    let left_out = train.image.left_out().len() as u64;
    if left_out > 0 {
        let layers = counted(left_out, "layer");
        warnings.push(format!(
            "the train is thin: of its base {layers} cannot be looked at here, and whoever runs it needs them"
        ));
    }
    warnings
}
