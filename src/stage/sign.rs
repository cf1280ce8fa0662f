//! The creator's signature of a train that somebody else has built: looked at first, made where the key is, put in where
//! the train is.

use std::path::Path;

use super::build::{AS_BUILT_LAYER, CONTROL_LAYER, MADE_KEY_BITS, write_config};
use super::parts::as_built::as_built_tags;
use super::parts::base_contents::BaseVerifier;
use super::parts::checks::{collect_config, ensure_image, ensure_immutable, feed, files_below};
use super::parts::labels::{ImageState, Labels, labels};
use super::parts::load::{Depth, Train, facts_of};
use super::parts::payload::{PayloadWriter, Transform, transform, write_control};
use super::parts::report::Report;
use super::parts::request::VerificationPolicy;
use super::parts::train_files::read_train_files;
use crate::crypto::{PrivateKey, hex};
use crate::error::{Error, ErrorContext, Result};
use crate::image::{
    AddedLayer, BytesMoved, Edit, ImageReport, LayerCounts, LayerSink, PendingTarget, Target, VerifiedLayers,
    open_image, rfc3339,
};
use crate::json::{Object, Value};
use crate::path::shown;
use crate::store::{Context, Reference, TagChange, spool_dir};
use crate::tar::Meta;
use crate::text::{Printable, counted};
use crate::train::check::CheckId;
use crate::train::{
    Check, FileMeta, SignatureSeal, SignedImage, TrainConfig, ensure_creator_key, paths, unwrap_creator_key,
};

/// What the creator puts a name to, for a person to look at.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Statement {
    /// The train's id.
    pub id: String,
    /// The wire version.
    pub wire: &'static str,
    /// The proposal that the train belongs to.
    pub proposal: String,
    /// The bytes that bind signatures to this train, in hex.
    pub session_id: String,
    /// The hash that is signed, in hex.
    pub hash: String,
    /// The creator's id and the fingerprint of the key.
    pub creator: (String, String),
    /// The fingerprint of the builder's key, where the creator vouches for it.
    pub builder: Option<String>,
    /// The Paillier key that stations are to compute under, as it stands in the config.
    pub paillier: Option<String>,
    /// Where the master image comes from.
    pub source: String,
    /// The stops in order: station, network, fingerprint.
    pub route: Vec<(String, String, String)>,
    /// True if the signature covers route and keys.
    pub binds_route: bool,
    /// The immutable files by their paths; with mode and size where they are signed.
    pub files: Vec<(String, Option<(u32, u64)>)>,
    /// Where the files lie that the train's were held against, and are the same.
    pub held_against: Option<String>,
    /// How the image runs: the image config's `config`; none if there is no image to look at.
    pub execution: Option<Object>,
    /// The digests of the base layers, from the bottom up.
    pub base: Vec<String>,
    /// True if the signature covers how the image runs, and its base.
    pub binds_image: bool,
    /// The checks, none of them broken.
    pub checks: Vec<Check>,
}

/// Where a creator's signature comes from.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum SignWith<'a> {
    /// The creator's private key.
    Key(&'a PrivateKey),
    /// A signature that was made elsewhere.
    Signature(&'a [u8]),
    /// The train has it, and waits for its builder.
    Nothing,
}

/// A request to sign a train that waits for its creator.
#[non_exhaustive]
pub struct SignRequest<'a> {
    /// The train as built.
    pub source: &'a Reference,
    /// The destination; in place if absent.
    pub destination: Option<&'a Reference>,
    /// The creator's signature.
    pub with: SignWith<'a>,
    /// The builder's private key, for wire versions in which the builder signs last.
    pub builder_key: Option<&'a PrivateKey>,
    /// What the creator knows of the train, to hold it against.
    pub known: KnownFiles<'a>,
    /// The policy that the train has to meet.
    pub policy: VerificationPolicy<'a>,
}

/// The files of a train as its creator has them.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct KnownFiles<'a> {
    /// The immutable files: a directory, or a tar archive.
    pub files: Option<&'a Path>,
    /// The query, if it is not among them.
    pub query: Option<&'a Path>,
}

impl<'a> KnownFiles<'a> {
    /// Files, and a query beside them.
    pub fn new(files: Option<&'a Path>, query: Option<&'a Path>) -> Self {
        KnownFiles { files, query }
    }
}

impl<'a> SignRequest<'a> {
    /// In place, with nothing to hold the train against.
    pub fn new(source: &'a Reference, with: SignWith<'a>) -> Self {
        SignRequest {
            source,
            destination: None,
            with,
            builder_key: None,
            known: KnownFiles::default(),
            policy: VerificationPolicy::default(),
        }
    }
}

/// Signs a train, or puts a signature into it, that was made for it. `approve` is shown what is signed, before anything is;
/// an error of its is the outcome then.
///
/// # Errors
/// [`Kind::Verification`](crate::error::Kind::Verification) if the train is not what it says, its files are not the known
/// ones or the signature was made for something else; [`Kind::Key`](crate::error::Kind::Key) if a key is another's;
/// [`Kind::Usage`](crate::error::Kind::Usage) if it does not wait for its creator. Then nothing has changed.
pub fn sign(
    request: &SignRequest<'_>,
    approve: &mut dyn FnMut(&Statement) -> Result<()>,
    context: &Context,
) -> Result<Report> {
    let pending = PendingTarget::open(request.source, request.destination, context)?;
    let image = open_image(request.source, context)?;
    let mut target = pending.resolve(request.source, request.destination, &image)?;
    let mut train = Train::load(image, &spool_dir(request.source, context), Depth::All)?;
    let name = train.name();
    ensure_waits(&train.config, request.with).at(&name)?;
    let base = ensure_as_built(&train).at(&name)?;
    let mut checks = ensure_config(&train.config, request.policy).at(&name)?;
    checks.extend(ensure_contents(&train, request.with, base).at(&name)?);
    train.view.verify()?;
    let mut statement = Statement::of(&train.config, Some(&train), checks);
    statement.held_against = ensure_known(&train.config, request.known, context)?;
    approve(&statement)?;
    let made = made_builder(&train.config, request)?;
    let config = seal(&train.config, request.with, request.builder_key.or(made.as_ref())).at(&name)?;
    let mut report = publish(&train, &config, base, &mut target)?;
    report.checks = statement.checks;
    report.warnings = request.policy.warnings(&train.config);
    let absent = train.image.left_out().len() as u64;
    if absent > 0 && config.form().base().is_some() && matches!(request.with, SignWith::Key(_)) {
        let layers = counted(absent, "base layer");
        report
            .warnings
            .push(format!("the image is thin: {layers} not looked at, though the signature binds what is in them"));
    }
    if made.is_some() {
        report.notes.push("no builder's key was given: one was made for this train alone, and is gone".to_owned());
    }
    if config.form().waits_for_builder() {
        report.notes.push("waits for its builder, who signs what the creator has signed".to_owned());
    }
    Ok(report)
}

/// The creator's signature of the train that a train config describes, for who has no image; `approve` as in [`sign`].
///
/// # Errors
/// As [`sign`]; [`Kind::Malformed`](crate::error::Kind::Malformed) if it is no train config.
pub fn sign_statement(
    document: &[u8],
    key: &PrivateKey,
    known: KnownFiles<'_>,
    approve: &mut dyn FnMut(&Statement) -> Result<()>,
    context: &Context,
) -> Result<Vec<u8>> {
    let config = TrainConfig::parse(document)?;
    ensure_waits(&config, SignWith::Key(key))?;
    ensure_creator_key(&config, key)?;
    let checks = ensure_config(&config, VerificationPolicy::default())?;
    let mut statement = Statement::of(&config, None, checks);
    statement.held_against = ensure_known(&config, known, context)?;
    approve(&statement)?;
    config.form().sign_as_creator(key)
}

/// The creator's signature of the hash of a train, for who was given no more: as the field's own client makes it (RSA PKCS#1
/// v1.5 with SHA-512), which wires 1.1.2 and 2.0 take.
///
/// # Errors
/// As [`PrivateKey::sign_pkcs1v15`].
pub fn sign_hash(hash: &[u8; 64], key: &PrivateKey) -> Result<Vec<u8>> {
    key.sign_pkcs1v15(hash)
}

fn ensure_waits(config: &TrainConfig, with: SignWith<'_>) -> Result<()> {
    let form = config.form();
    let (wanted, who) = match with {
        SignWith::Nothing => (form.waits_for_builder() && !form.waits_for_creator(), "builder"),
        SignWith::Key(_) | SignWith::Signature(_) => (form.waits_for_creator(), "creator"),
    };
    if wanted {
        return Ok(());
    }
    let (what, hint) = if with_nothing_to_do(config) {
        ("the train has every signature that it needs".to_owned(), "send it to its first station")
    } else if form.waits_for_creator() {
        (format!("the train does not wait for its {who}, but for its creator"), "give the creator's signature")
    } else {
        (format!("the train does not wait for its {who}, but for its builder"), "give the builder's key alone")
    };
    Err(Error::usage(what).hint(hint))
}

fn with_nothing_to_do(config: &TrainConfig) -> bool {
    !config.form().waits_for_creator() && !config.form().waits_for_builder()
}

/// The number of base layers, if the image is as build has left it.
fn ensure_as_built(train: &Train) -> Result<usize> {
    let found = Labels::read(&train.image);
    let own = if train.config.wire().has_payload_as_built() { 2 } else { 0 };
    let layers = train.image.layers().len();
    match found.base_layers {
        Some(base) if found.state == Some(ImageState::Built) && base + own == layers && layers > 0 => Ok(base),
        _ => {
            let what = "the image is not as build has left it";
            Err(Error::verification(what).hint("have the train built anew, or add the signature there"))
        }
    }
}

/// All checks of the config but for the signatures that it waits for.
fn ensure_config(config: &TrainConfig, policy: VerificationPolicy<'_>) -> Result<Vec<Check>> {
    let waits = |check: &Check| {
        check.id == CheckId::CreatorSignature && config.form().waits_for_creator()
            || check.id == CheckId::BuildSignature && config.form().waits_for_builder()
    };
    let checks = collect_config(config, policy);
    policy.enforce(checks.into_iter().filter(|check| !waits(check)).collect())
}

/// The image is what the config says. Whoever signs for the creator looks at the contents of every layer too.
fn ensure_contents(train: &Train, with: SignWith<'_>, base: usize) -> Result<Vec<Check>> {
    let config = &train.config;
    let wire = config.wire();
    let mut checks = if wire.has_payload_as_built() {
        let memory = VerifiedLayers::in_memory();
        ensure_image(train, &mut BaseVerifier::new(&memory))?
    } else {
        Vec::new()
    };
    let SignWith::Key(key) = with else { return Ok(checks) };
    ensure_creator_key(config, key)?;
    if wire.has_payload_as_built() {
        // The signature binds the blobs of the base to their diff IDs, and nobody looks at that again.
        let absent = train.image.left_out();
        let there = (0..base).filter(|layer| !absent.contains(&&train.image.layers()[*layer]));
        there.into_iter().try_for_each(|layer| train.image.ensure_layer(layer).map(drop))?;
        let key = unwrap_creator_key(config, key)?;
        checks.extend(ensure_immutable(train, Transform::Decrypt(wire.cipher(), &key))?);
    } else if !wire.encrypts_train() {
        checks.extend(ensure_immutable(train, Transform::Keep)?);
    }
    Ok(checks)
}

/// Holds the train against the files that its creator has; where they lie.
fn ensure_known(config: &TrainConfig, known: KnownFiles<'_>, context: &Context) -> Result<Option<String>> {
    let Some(files) = known.files else { return Ok(None) };
    let tree = read_train_files(files, known.query, context)?.tree;
    let found = files_below(&tree, paths::TRAIN, Transform::Keep)?;
    let metas: Vec<FileMeta> = found.iter().map(|(_, meta)| meta.clone()).collect();
    let place = || Printable::new(&files.display().to_string()).to_string();
    let mut check = config.form().immutable_check(config, &metas).at(place())?;
    let order = check.feed().order().to_vec();
    feed(check, &tree, &found, &order, Transform::Keep)?.finish().at(place())?;
    Ok(Some(place()))
}

/// A builder's key for this train alone, where the builder signs last and nobody in particular is named.
fn made_builder(config: &TrainConfig, request: &SignRequest<'_>) -> Result<Option<PrivateKey>> {
    let form = config.form();
    let is_needed = form.waits_for_builder() && form.builder_key().is_none() && request.builder_key.is_none();
    if is_needed { PrivateKey::generate(MADE_KEY_BITS).map(Some) } else { Ok(None) }
}

fn seal(config: &TrainConfig, with: SignWith<'_>, builder: Option<&PrivateKey>) -> Result<TrainConfig> {
    let made;
    let creator = match with {
        SignWith::Key(key) => {
            made = config.form().sign_as_creator(key)?;
            Some(made.as_slice())
        }
        SignWith::Signature(signature) => Some(signature),
        SignWith::Nothing => None,
    };
    let builder = builder.filter(|_| config.form().waits_for_builder());
    config.seal_creator(&SignatureSeal { creator, builder })
}

/// Writes the layer with the config anew, and nothing else: the image is the one that a build with all signatures makes.
fn publish(train: &Train, config: &TrainConfig, base: usize, target: &mut Target) -> Result<Report> {
    let image = &train.image;
    let keep = image.layers().len().saturating_sub(1);
    let document = config.to_bytes()?;
    let meta = train.tree().get(paths::CONFIG).map(|node| node.meta.clone());
    let meta = meta.ok_or_else(|| Error::internal("the train config is gone").at(shown(paths::CONFIG)))?;
    let sink = LayerSink::new(&mut *target.destination, image.format())?;
    let (layer, made) = if config.wire().has_payload_as_built() {
        (write_control(sink, config, &document, &meta, meta.mtime)?, CONTROL_LAYER)
    } else {
        (write_train(sink, train, config, &document, &meta)?, AS_BUILT_LAYER)
    };
    let mut stage_base = image.diff_ids()[..base.min(keep)].to_vec();
    if base > keep {
        stage_base.push(layer.diff_id.clone());
    }
    let edit = Edit {
        keep,
        added: vec![(layer, made.to_owned())],
        settings: Vec::new(),
        execution: config.form().image().map(SignedImage::to_image_config),
        labels: labels(ImageState::Built, &stage_base, None, None),
        created: match image.config().get("created").and_then(Value::as_str) {
            Some(created) => created.to_owned(),
            None => rfc3339(meta.mtime)?,
        },
        ..Edit::default()
    };
    let new = edit.write(image, &mut *target.destination)?;
    let set = TagChange::Set {
        tag: target.tag.clone(),
        descriptor: Box::new(new.descriptor.clone()),
        replaces: target.replaces.clone(),
    };
    let tags = as_built_tags(&new, set, &mut *target.destination)?;
    let collected = target.destination.publish(&tags, target.unreached())?;
    let digest = |layer: &crate::store::Descriptor| layer.digest().to_string();
    let report = ImageReport {
        source: train.name(),
        destination: target.shown(),
        digest_before: Some(image.descriptor().digest().to_string()),
        digest_after: Some(new.descriptor.digest().to_string()),
        layers: LayerCounts {
            added: edit.added_digests(),
            dropped: image.layers()[keep..].iter().map(digest).collect(),
            reused: keep,
        },
        bytes: BytesMoved {
            read: image.source().bytes_read(),
            written: target.destination.bytes_written(),
            transferred: new.copied,
        },
    };
    let (stage, wire) = ("sign", Some(config.wire().name()));
    let mut report = Report { stage, wire, image: report, ..Report::default() };
    report.notes.extend(collected.note());
    Ok(report)
}

/// The layer with files and config, as build writes it.
fn write_train(
    sink: LayerSink,
    train: &Train,
    config: &TrainConfig,
    document: &[u8],
    meta: &Meta,
) -> Result<AddedLayer> {
    let tree = train.tree();
    let mut payload = PayloadWriter::new(sink, config.wire(), tree, meta.mtime)?;
    payload.begin(paths::RESULTS, tree)?;
    transform(tree, paths::RESULTS, Transform::Keep, None, payload.sink())?;
    payload.begin(paths::TRAIN, tree)?;
    transform(tree, paths::TRAIN, Transform::Keep, None, payload.sink())?;
    write_config(&mut payload, document, meta)?;
    payload.finish()
}

impl Statement {
    fn of(config: &TrainConfig, train: Option<&Train>, checks: Vec<Check>) -> Self {
        let (form, creator) = (config.form(), config.creator());
        let member = |name: &str| config.raw().get("creator").and_then(|creator| creator.get(name)).cloned();
        let route = config.route().stops().iter().map(|stop| {
            (stop.station.to_string(), Printable::new(&stop.eco_system).to_string(), stop.public_key.fingerprint())
        });
        let execution = match (form.image(), train) {
            (Some(signed), _) => Some(signed.to_image_config()),
            (None, Some(train)) => Some(train.image.config().clone()),
            (None, None) => None,
        };
        let execution = execution.map(|image| match SignedImage::of(&image) {
            // Without what this program notes for itself.
            Ok((signed, _)) => match signed.to_image_config().get("config") {
                Some(Value::Object(config)) => config.clone(),
                _ => Object::new(),
            },
            Err(_) => Object::new(),
        });
        let base = match (form.base(), train) {
            (Some(signed), _) => signed.iter().map(|layer| layer.digest.clone()).collect(),
            (None, Some(train)) => facts_of(&train.image).layers.into_iter().map(|layer| layer.digest).collect(),
            (None, None) => Vec::new(),
        };
        let source = config.source();
        let tag = source.tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
        Statement {
            id: config.id().to_owned(),
            wire: config.wire().name(),
            proposal: config.proposal_id().to_string(),
            session_id: hex::encode(config.session_id()),
            hash: hex::encode(config.hash()),
            creator: (creator.id.to_string(), creator.public_key.fingerprint()),
            builder: form.builder_key().filter(|_| form.creator_vouches()).map(|key| key.fingerprint()),
            paillier: member("paillier_public_key").filter(|key| !key.is_null()).map(|key| key.to_string()),
            source: format!("{}{tag}", source.address),
            route: route.collect(),
            binds_route: form.creator_vouches(),
            files: files_of(config),
            held_against: None,
            execution,
            base,
            binds_image: form.image().is_some(),
            checks,
        }
    }
}

/// The files as the config lists them.
fn files_of(config: &TrainConfig) -> Vec<(String, Option<(u32, u64)>)> {
    // Where modes and sizes are signed, they stand in the order of the list.
    let signed = config.raw().get("files").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let facts = |file: &Value| {
        let number = |name: &str| file.get(name).and_then(Value::as_u64);
        Some((u32::try_from(number("mode")?).ok()?, number("size")?))
    };
    let paths = config.file_list().iter().enumerate();
    paths.map(|(position, path)| (path.clone(), signed.get(position).and_then(facts))).collect()
}
