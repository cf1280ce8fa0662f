use std::io::Write;
use std::path::Path;

use oci_spec::image::Digest;

use super::parts::as_built::as_built_tags;
use super::parts::build_review::{command_warnings, ensure_is_no_train, file_warnings, route_warnings};
use super::parts::checks::{feed, files_below};
use super::parts::ignore::IGNORE_FILE;
use super::parts::labels::{ImageState, labels};
use super::parts::load::facts_of;
use super::parts::payload::{PayloadWriter, Transform, transform, write_control};
use super::parts::report::Report;
use super::parts::space::{ensure_file_count, ensure_stage, size_below};
use super::parts::train_files::{TrainFiles, read_train_files};
use super::parts::volumes::hides_train;
use crate::crypto::{PrivateKey, PublicKey, hex, random};
use crate::error::{Error, ErrorContext, IoContext, Result};
use crate::image::{
    AddedLayer, BytesMoved, Edit, Image, ImageReport, LayerCounts, LayerSink, NodeKind, Tree, open_image, rfc3339,
};
use crate::json::json;
use crate::store::fs::StagedFile;
use crate::store::tag::LATEST;
use crate::store::{Audience, Context, Destination, Reference, TagChange, Unreached, open_destination};
use crate::tar::{EntryKind, Meta};
use crate::text::{Printable, counted, some_of};
use crate::train::wire::newest;
use crate::train::{
    BuildSeal, CreatorSeal, Draft, DraftStop, FileMeta, PartyId, Produced, SignedDraft, SignedImage, Source,
    TrainConfig, Wire, paths,
};

/// How many paths a report names.
const NAMED: usize = 10;

/// The length of a builder's key that is made for one train.
pub(super) const MADE_KEY_BITS: usize = 3072;

/// What the history says of the layer with files and config, and of that with the config alone.
pub(super) const AS_BUILT_LAYER: &str = "pht-oci build: train";
pub(super) const CONTROL_LAYER: &str = "pht-oci build: control";

/// A stop of the route of a new train.
pub type BuildStop = DraftStop;

/// The creator's part in a build.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum BuildCreator<'a> {
    /// The creator is here and signs.
    Key(&'a PrivateKey),
    /// The creator is elsewhere: the public key is known, and the signature if it was made already. Without one the train
    /// waits for it, and [`sign`](super::sign) puts it in.
    Away {
        /// The creator's public key.
        key: &'a PublicKey,
        /// The creator's signature of the train.
        signature: Option<&'a [u8]>,
    },
}

impl BuildCreator<'_> {
    fn public_key(self) -> PublicKey {
        match self {
            BuildCreator::Key(key) => key.public_key(),
            BuildCreator::Away { key, .. } => key.clone(),
        }
    }
}

/// A request to build a train.
#[non_exhaustive]
pub struct BuildRequest<'a> {
    /// The destination.
    pub destination: &'a Reference,
    /// The master image; `None` for the empty image.
    pub base: Option<&'a Reference>,
    /// Where stations find the master image, if not where it is read from.
    pub master: Option<&'a Reference>,
    /// The immutable files: a directory, or a tar archive.
    pub files: &'a Path,
    /// The files in the order of a central service, on which the hash of the earlier wire versions depends.
    pub file_list: Option<&'a [String]>,
    /// The query, if there is one.
    pub query: Option<&'a Path>,
    /// The stops, in the order of the route.
    pub route: Vec<BuildStop>,
    /// The creator's id.
    pub creator: &'a str,
    /// The creator's key, and how it comes to sign.
    pub creator_key: BuildCreator<'a>,
    /// The creator's Paillier public key, as [`read_public`](crate::train::paillier::read_public) reads it.
    pub paillier_key: Option<&'a str>,
    /// The builder's private key, for wire versions with a build signature.
    pub builder_key: Option<&'a PrivateKey>,
    /// The wire version.
    pub wire: &'static dyn Wire,
    /// The train's id; random if absent.
    pub id: Option<&'a str>,
    /// The bytes that bind signatures to this train; random if absent.
    pub session_id: Option<[u8; 64]>,
    /// The proposal that the train belongs to.
    pub proposal: &'a str,
    /// The command that runs the train; the master image's if empty.
    pub command: &'a [String],
    /// A new file for what the creator has to sign: the train config.
    pub statement: Option<&'a Path>,
}

impl<'a> BuildRequest<'a> {
    /// A train of the newest wire version on the empty image, with these files, signed by its creator. Its route, and what
    /// else it is to have, is set in the fields.
    pub fn new(destination: &'a Reference, files: &'a Path, creator: &'a str, creator_key: &'a PrivateKey) -> Self {
        BuildRequest {
            destination,
            base: None,
            master: None,
            files,
            file_list: None,
            query: None,
            route: Vec::new(),
            creator,
            creator_key: BuildCreator::Key(creator_key),
            paillier_key: None,
            builder_key: None,
            wire: newest(),
            id: None,
            session_id: None,
            proposal: "",
            command: &[],
            statement: None,
        }
    }
}

/// Builds a train from a master image and its files, signed by creator and builder; or only by its builder, if the creator
/// signs elsewhere.
///
/// # Errors
/// [`Kind::Usage`](crate::error::Kind::Usage) if no such train is possible, [`Kind::Key`](crate::error::Kind::Key) if
/// a key does not fit, [`Kind::Verification`](crate::error::Kind::Verification) if a signature is not the creator's of
/// this train. Then nothing has changed.
pub fn build(request: &BuildRequest<'_>, context: &Context) -> Result<Report> {
    ensure_names(request)?;
    let base = match request.base {
        Some(reference) => open_image(reference, context)?,
        None => Image::scratch(context.platform.as_ref()),
    };
    ensure_is_no_train(&base, context)?;
    let TrainFiles { tree: files, ignored } = read_files(request, context)?;
    let (execution, dropped) = execution(request, &base, &context.temporary)?;
    let (mut warnings, mut notes) = review(request, &execution, &files)?;
    let mut destination = open_destination(request.destination, context, Audience::Anyone)?;
    ensure_stage(&*destination, &base, base.layers().len(), size_below(&files, paths::TRAIN))?;
    let made = made_builder(request)?;
    let builder = request.builder_key.or(made.as_ref());
    let draft = draft(request, builder, &base, &execution)?;
    let (id, source) = (draft.id.clone(), draft.source.clone());
    let signed = sign(request, draft, &files)?;
    let keep = base.layers().len();
    let parts = (&files, &execution);
    let OwnLayers { layers, of_base, left_out, config } =
        write_layers((request.wire, builder), parts, signed, (&base, &mut *destination), context.now)?;
    // The train as built is the base of all later stages, or the master image is.
    let added = layers.iter().take(of_base).map(|(layer, _)| layer.diff_id.clone());
    let stage_base: Vec<Digest> = base.diff_ids().iter().cloned().chain(added).collect();
    let edit = Edit {
        keep,
        added: layers,
        settings: if request.command.is_empty() { Vec::new() } else { vec![("Cmd", json!(request.command))] },
        execution: request.wire.has_payload_as_built().then(|| execution.to_image_config()),
        labels: labels(ImageState::Built, &stage_base, None, None),
        created: rfc3339(context.now)?,
        ..Edit::default()
    };
    let image = edit.write(&base, &mut *destination)?;
    let tag = request.destination.tag().unwrap_or(LATEST);
    let there = destination.qualify_tag(tag)?;
    let replaced = destination.list()?.into_iter().find(|listed| listed.tag.as_ref() == Some(&there));
    let set = TagChange::Set { tag: tag.to_owned(), descriptor: Box::new(image.descriptor.clone()), replaces: None };
    let tags = as_built_tags(&image, set, &mut *destination)?;
    if let Some(out) = request.statement {
        write_statement(out, &config)?;
    }
    destination.publish(&tags, Unreached::Keep)?;
    let image = ImageReport {
        source: request.base.map_or_else(|| "scratch".to_owned(), Reference::to_string),
        destination: format!("{}:{tag}", destination.name()),
        digest_before: None,
        digest_after: Some(image.descriptor.digest().to_string()),
        layers: LayerCounts { added: edit.added_digests(), dropped: Vec::new(), reused: keep },
        bytes: BytesMoved {
            read: base.source().bytes_read(),
            written: destination.bytes_written(),
            transferred: image.copied,
        },
    };
    warnings.extend(left_behind(request.wire, &dropped, &left_out));
    notes.insert(0, format!("train {}", Printable::new(&id)));
    notes.extend(replaced.map(|replaced| {
        format!("replaced what had the name {} before: {}", Printable::new(&there), replaced.descriptor.digest())
    }));
    notes.extend(told_of(&config, &source, made.is_some(), ignored));
    Ok(Report { stage: "build", wire: Some(request.wire.name()), image, warnings, notes, ..Report::default() })
}

/// The files of the train, of which there has to be one.
fn read_files(request: &BuildRequest<'_>, context: &Context) -> Result<TrainFiles> {
    let files = read_train_files(request.files, request.query, context)?;
    ensure_file_count(&Tree::default(), &files.tree, context.max_files)?;
    if !files.tree.nodes().iter().any(|node| matches!(node.kind, NodeKind::File { .. })) {
        let hint = "give the directory with the train's files";
        return Err(Error::usage("the directory holds no files").hint(hint).at(request.files.display()));
    }
    Ok(files)
}

/// What of the master image and of the files is not part of the train.
fn left_behind(wire: &dyn Wire, dropped: &[String], left_out: &[String]) -> Vec<String> {
    let dropped = some_of(dropped, usize::MAX).filter(|_| wire.has_payload_as_built());
    let told = |names| format!("the master image's {names} cannot be signed, and is not part of the train");
    let left_out = some_of(left_out, NAMED).map(|paths| format!("left out: {paths}"));
    dropped.map(told).into_iter().chain(left_out).collect()
}

/// What a creator should know of a train that was built.
fn told_of(config: &TrainConfig, source: &Source, has_made_key: bool, ignored: usize) -> Vec<String> {
    let mut notes = vec![format!("stations look for the master image at {}", place_of(source))];
    if has_made_key {
        notes.push("no builder's key was given: one was made for this train alone, and is gone".to_owned());
    }
    if ignored > 0 {
        notes.push(format!("left out by {IGNORE_FILE}: {}", counted(ignored as u64, "path")));
    }
    if config.form().waits_for_creator() {
        notes.push(format!("waits for its creator, who signs the hash {}", hex::encode(config.hash())));
    }
    notes
}

/// What a config cannot do without.
fn ensure_names(request: &BuildRequest<'_>) -> Result<()> {
    for (what, id) in [("the creator's id", Some(request.creator)), ("the train's id", request.id)] {
        if id.is_some_and(str::is_empty) {
            return Err(Error::usage(format!("{what} is empty")));
        }
    }
    match request.master {
        Some(master) if !master.is_shared() => {
            let hint = "name it as stations reach it: docker://HOST/REPO:TAG or docker://HOST/REPO@DIGEST";
            Err(Error::usage("the master image's source is no repository in a registry").hint(hint).at(master))
        }
        _ => Ok(()),
    }
}

/// What a station would have said, and what is in the train.
fn review(request: &BuildRequest<'_>, execution: &SignedImage, files: &Tree) -> Result<(Vec<String>, Vec<String>)> {
    let creator = request.creator_key.public_key();
    let mut warnings = route_warnings(&request.route, (&PartyId::from(request.creator), &creator));
    let builder = request.builder_key.map(PrivateKey::public_key);
    let stations = request.route.iter().map(|stop| &stop.public_key);
    let parties: Vec<&PublicKey> = stations.chain([&creator]).chain(&builder).collect();
    warnings.extend(command_warnings(execution, files)?);
    warnings.extend(file_warnings(files, &parties)?);
    if request.base.is_some_and(|base| !base.is_shared()) && request.master.is_none() {
        let base = request.base.map(ToString::to_string).unwrap_or_default();
        warnings.push(format!(
            "the train names {} as its master image, which no station can reach: say where it is in a registry",
            Printable::new(&base)
        ));
    }
    let count = files.nodes().iter().filter(|node| matches!(node.kind, NodeKind::File { .. })).count() as u64;
    let mut notes = vec![format!("{}, {} bytes", counted(count, "file"), size_below(files, paths::TRAIN))];
    let command: Vec<&str> = execution.list("Entrypoint").chain(execution.list("Cmd")).collect();
    if !command.is_empty() {
        notes.push(format!("command: {}", Printable::new(&command.join(" "))));
    }
    Ok((warnings, notes))
}

fn place_of(source: &Source) -> String {
    let tag = source.tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
    Printable::new(&format!("{}{tag}", source.address)).to_string()
}

fn write_statement(out: &Path, config: &TrainConfig) -> Result<()> {
    let staged = StagedFile::new(out, Audience::Anyone)?;
    let mut file = staged.filling()?;
    file.write_all(&config.to_bytes()?).doing("write the statement").at(out.display())?;
    staged.reveal(&file)
}

/// How the train runs, and what the master image has of it that cannot be signed. Volumes must not hide the train.
fn execution(request: &BuildRequest<'_>, base: &Image, spool_dir: &Path) -> Result<(SignedImage, Vec<String>)> {
    let (mut execution, dropped) = SignedImage::of(base.config())?;
    if !request.command.is_empty() {
        execution.set("Cmd", json!(request.command));
    }
    for volume in execution.volumes() {
        if hides_train(base, volume, spool_dir)? {
            let volume = Printable::new(volume.as_bytes());
            let what = format!("the master image declares the volume {volume}, which hides the train's files");
            return Err(Error::usage(what).hint("take a master image without this volume"));
        }
    }
    Ok((execution, dropped))
}

/// Has the creator sign the train, or takes the signature, or leaves it for later.
fn sign(request: &BuildRequest<'_>, draft: Draft, tree: &Tree) -> Result<SignedDraft> {
    let files = files_below(tree, paths::TRAIN, Transform::Keep)?;
    let metas: Vec<FileMeta> = files.iter().map(|(_, meta)| meta.clone()).collect();
    let mut draft = request.wire.draft(draft, &metas)?;
    let order = draft.feed().order().to_vec();
    feed(draft, tree, &files, &order, Transform::Keep)?.seal(match request.creator_key {
        BuildCreator::Key(key) => CreatorSeal::Key(key),
        BuildCreator::Away { signature: Some(signature), .. } => CreatorSeal::Signature(signature),
        BuildCreator::Away { signature: None, .. } => CreatorSeal::Later,
    })
}

/// The train's own layers as build has written them.
struct OwnLayers {
    /// Each with its history entry.
    layers: Vec<(AddedLayer, String)>,
    /// The number of them that count as the base of later stages.
    of_base: usize,
    /// What the form of the payload layer has no place for.
    left_out: Vec<String>,
    /// The train config.
    config: TrainConfig,
}

/// Has the builder sign, and writes the train's layers.
fn write_layers(
    (wire, builder): (&'static dyn Wire, Option<&PrivateKey>),
    (files, execution): (&Tree, &SignedImage),
    signed: SignedDraft,
    (base, destination): (&Image, &mut dyn Destination),
    now: i64,
) -> Result<OwnLayers> {
    let key = if wire.encrypts_train() { Some(wire.cipher().generate_key()?) } else { None };
    let change = key.as_ref().map_or(Transform::Keep, |key| Transform::Encrypt(wire.cipher(), key));
    let mut payload = PayloadWriter::new(LayerSink::new(destination, base.format())?, wire, files, now)?;
    // The directory is root's; another user of the image has to be able to write there.
    payload.begin_results(if execution.other_user().is_some() { 0o777 } else { 0o755 })?;
    payload.begin(paths::TRAIN, files)?;
    transform(files, paths::TRAIN, change, None, payload.sink())?;
    let seal = |produced: &Produced| {
        TrainConfig::build(wire, signed, &BuildSeal { builder, stage_key: key.as_ref(), produced, now })
    };
    if !wire.has_payload_as_built() {
        let config = seal(&Produced::default())?;
        write_config(&mut payload, &config.to_bytes()?, &Meta::new(0o644, now))?;
        let layers = vec![(payload.finish()?, AS_BUILT_LAYER.to_owned())];
        return Ok(OwnLayers { layers, of_base: 1, left_out: Vec::new(), config });
    }
    let empty = payload.empty_directories().into_iter();
    let left_out = empty.map(|path| format!("{path} (an empty directory)")).collect();
    let payload = payload.finish()?;
    let config = seal(&Produced { result_hash: None, payload: Some(payload.diff_id.to_string()) })?;
    let (document, meta) = (config.to_bytes()?, Meta::new(0o644, now));
    let control = write_control(LayerSink::new(destination, base.format())?, &config, &document, &meta, now)?;
    let layers = vec![(payload, "pht-oci build: payload".to_owned()), (control, CONTROL_LAYER.to_owned())];
    Ok(OwnLayers { layers, of_base: 0, left_out, config })
}

fn draft(
    request: &BuildRequest<'_>,
    builder: Option<&PrivateKey>,
    master: &Image,
    execution: &SignedImage,
) -> Result<Draft> {
    Ok(Draft {
        id: match request.id {
            Some(id) => id.to_owned(),
            None => random_uuid()?,
        },
        proposal_id: PartyId::from(request.proposal),
        source: source(request),
        creator: PartyId::from(request.creator),
        creator_key: request.creator_key.public_key(),
        paillier_key: request.paillier_key.map(str::to_owned),
        route: request.route.clone(),
        session_id: match request.session_id {
            Some(session_id) => session_id,
            None => random::bytes()?,
        },
        file_list: request.file_list.map(<[String]>::to_vec),
        builder_key: builder.map(PrivateKey::public_key),
        base_layers: facts_of(master).layers,
        image: execution.clone(),
    })
}

/// Where stations find the master image: the reference asks Docker for `address:tag`, so that a registry has no prefix in
/// front if it is named for this alone.
fn source(request: &BuildRequest<'_>) -> Source {
    let kind = "docker_repository".to_owned();
    let (address, tag) = match (request.master, request.base) {
        (Some(master), _) => {
            let place = master.without_tag();
            let place = place.strip_prefix("docker://").unwrap_or(&place).to_owned();
            match master.digest() {
                Some(digest) => (format!("{place}@{digest}"), None),
                None => (place, master.tag().map(str::to_owned)),
            }
        }
        (None, Some(base)) => (base.without_tag(), base.tag().map(str::to_owned)),
        (None, None) => ("scratch".to_owned(), None),
    };
    Source { kind, address, tag, branch: None }
}

/// A builder's key for this train alone, where one is needed and none is given: whoever builds for themselves is nobody
/// whom a station would know. Where the builder signs last it is made when the creator has signed.
fn made_builder(request: &BuildRequest<'_>) -> Result<Option<PrivateKey>> {
    let waits = matches!(request.creator_key, BuildCreator::Away { signature: None, .. });
    let is_needed = request.wire.has_builder() && request.builder_key.is_none();
    let comes_later = waits && request.wire.builder_signs_last();
    if is_needed && !comes_later { PrivateKey::generate(MADE_KEY_BITS).map(Some) } else { Ok(None) }
}

/// A random UUID (RFC 9562, version 4).
fn random_uuid() -> Result<String> {
    let mut bytes: [u8; 16] = random::bytes()?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = crate::crypto::hex::encode(&bytes);
    Ok([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
}

/// Writes the train config as the last entry of a layer.
pub(super) fn write_config(layer: &mut PayloadWriter, document: &[u8], meta: &Meta) -> Result<()> {
    let sink = layer.sink();
    sink.entry(paths::CONFIG, &EntryKind::File, meta, document.len() as u64)?;
    sink.write_all(document).doing("write the train config")
}
