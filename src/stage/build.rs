use std::path::Path;

use oci_spec::image::Digest;

use super::parts::checks::{feed, files_below};
use super::parts::labels::{ImageState, labels};
use super::parts::load::facts_of;
use super::parts::payload::{PayloadWriter, Transform, transform, write_control};
use super::parts::report::{Report, some_of};
use super::parts::space::{ensure_file_count, ensure_stage, size_below};
use super::parts::volumes::hides_train;
use crate::crypto::{PrivateKey, random};
use crate::error::{Error, IoContext, Result};
use crate::image::{
    AddedLayer, BytesMoved, Edit, Image, ImageReport, LayerCounts, LayerSink, Node, NodeKind, ReadDirectory, Tree,
    open_image, read_directory, read_file, rfc3339,
};
use crate::json::json;
use crate::store::tag::{BASE, LATEST};
use crate::store::{Audience, Context, Destination, Reference, TagChange, Unreached, open_destination};
use crate::tar::{EntryKind, Meta};
use crate::text::Printable;
use crate::train::files::QUERY;
use crate::train::wire::newest;
use crate::train::{
    BuildSeal, Draft, DraftStop, FileMeta, PartyId, Produced, SignedDraft, SignedImage, Source, TrainConfig, Wire,
    paths,
};

/// How many paths a report names.
const NAMED: usize = 10;

/// A stop of the route of a new train.
pub type BuildStop = DraftStop;

/// A request to build a train.
#[non_exhaustive]
pub struct BuildRequest<'a> {
    /// The destination.
    pub destination: &'a Reference,
    /// The master image; `None` for the empty image.
    pub base: Option<&'a Reference>,
    /// The directory of the immutable files.
    pub files: &'a Path,
    /// The query, if there is one.
    pub query: Option<&'a Path>,
    /// The stops, in the order of the route.
    pub route: Vec<BuildStop>,
    /// The creator's id.
    pub creator: &'a str,
    /// The creator's private key.
    pub creator_key: &'a PrivateKey,
    /// The creator's Paillier public key, as [`read_public`](crate::train::paillier::read_public) reads it.
    pub paillier_key: Option<&'a str>,
    /// The builder's private key, for wire versions with a build signature.
    pub builder_key: Option<&'a PrivateKey>,
    /// The wire version.
    pub wire: &'static dyn Wire,
    /// The train's id; random if absent.
    pub id: Option<&'a str>,
    /// The proposal that the train belongs to.
    pub proposal: &'a str,
    /// The command that runs the train; the master image's if empty.
    pub command: &'a [String],
}

impl<'a> BuildRequest<'a> {
    /// A train of the newest wire version on the empty image, with these files, signed by its creator. Its route, and what
    /// else it is to have, is set in the fields.
    pub fn new(destination: &'a Reference, files: &'a Path, creator: &'a str, creator_key: &'a PrivateKey) -> Self {
        BuildRequest {
            destination,
            base: None,
            files,
            query: None,
            route: Vec::new(),
            creator,
            creator_key,
            paillier_key: None,
            builder_key: None,
            wire: newest(),
            id: None,
            proposal: "",
            command: &[],
        }
    }
}

/// Builds a train from a master image and its files, signed by creator and builder.
///
/// # Errors
/// [`Kind::Usage`](crate::error::Kind::Usage) if no such train is possible, [`Kind::Key`](crate::error::Kind::Key) if
/// a key does not fit. Then nothing has changed.
pub fn build(request: &BuildRequest<'_>, context: &Context) -> Result<Report> {
    let base = match request.base {
        Some(reference) => open_image(reference, context)?,
        None => Image::scratch(context.platform.as_ref()),
    };
    let files = read_files(request, context)?;
    ensure_file_count(&Tree::default(), &files, context.max_files)?;
    let mut destination = open_destination(request.destination, context, Audience::Anyone)?;
    ensure_stage(&*destination, &base, base.layers().len(), size_below(&files, paths::TRAIN))?;
    let (execution, dropped) = execution(request, &base)?;
    let signed = sign(request, &files, &base, &execution)?;
    let keep = base.layers().len();
    let own = write_layers(request, &files, signed, (&base, &mut *destination), context.now)?;
    let OwnLayers { layers, of_base, left_out } = own;
    // The train as built is the base of all later stages, or the master image is.
    let added = layers.iter().take(of_base).map(|(layer, _)| layer.diff_id.clone());
    let stage_base: Vec<Digest> = base.diff_ids().iter().cloned().chain(added).collect();
    let edit = Edit {
        apart: false,
        keep,
        added: layers,
        settings: if request.command.is_empty() { Vec::new() } else { vec![("Cmd", json!(request.command))] },
        without_volumes: Vec::new(),
        execution: request.wire.has_payload_as_built().then(|| execution.to_image_config()),
        for_engine: false,
        labels: labels(ImageState::Built, &stage_base, None, None),
        created: rfc3339(context.now)?,
    };
    let image = edit.write(&base, &mut *destination)?;
    let tag = request.destination.tag().unwrap_or(LATEST);
    destination.publish(&tags(tag, &image.descriptor), Unreached::Keep)?;
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
    let mut report = Report { stage: "build", wire: Some(request.wire.name()), image, ..Report::default() };
    if request.wire.has_payload_as_built() {
        let dropped = some_of(&dropped, usize::MAX);
        let told = |names| format!("the master image's {names} cannot be signed, and is not part of the train");
        report.warnings.extend(dropped.map(told));
    }
    report.warnings.extend(some_of(&left_out, NAMED).map(|paths| format!("left out: {paths}")));
    Ok(report)
}

/// By the convention of the field a travelling train `latest` has the train as built beside it, as `base`.
fn tags(tag: &str, descriptor: &oci_spec::image::Descriptor) -> Vec<TagChange> {
    let names = if tag == LATEST { vec![LATEST, BASE] } else { vec![tag] };
    let set =
        |tag: &str| TagChange::Set { tag: tag.to_owned(), descriptor: Box::new(descriptor.clone()), replaces: None };
    names.into_iter().map(set).collect()
}

/// The immutable files as a tree of an image: root's, and no newer than now.
fn read_files(request: &BuildRequest<'_>, context: &Context) -> Result<Tree> {
    let now = context.now;
    if !request.files.is_dir() {
        let error = match request.files.exists() {
            true => Error::usage("a file, not a directory").hint("give the directory that holds the train's files"),
            false => Error::usage("there is no such directory").hint("give the directory that holds the train's files"),
        };
        return Err(error.at(request.files.display()));
    }
    let options = ReadDirectory { owners: false, max_files: context.max_files };
    let found = read_directory(request.files, paths::TRAIN, options)?;
    let mut roots = found.roots().to_vec();
    let mut nodes = Vec::with_capacity(found.nodes().len());
    for node in found.nodes() {
        let kind = match &node.kind {
            // In the image every name is a file of its own.
            NodeKind::Link(_) => {
                found.file(node).map(|(size, content)| NodeKind::File { size, content: content.clone() })
            }
            NodeKind::File { .. } | NodeKind::Directory => Some(node.kind.clone()),
            _ => None,
        };
        let Some(kind) = kind else {
            let what = "neither a file nor a directory; a train consists of files and directories only";
            return Err(Error::usage(what).at(node.shown()));
        };
        let meta = Meta::new(node.meta.permissions(), node.meta.mtime.min(now));
        nodes.push(Node { path: node.path.clone(), kind, meta });
    }
    if let Some(query) = request.query {
        let path: Box<[u8]> = [paths::TRAIN, b"/", QUERY.as_bytes()].concat().into();
        if nodes.iter().any(|node| node.path == path) {
            let what = format!("{QUERY} is among the files and given as the query");
            return Err(Error::usage(what).at(query.display()));
        }
        let (node, root) = read_file(query, path, Meta::new(0o644, now), roots.len() as u32)?; // one or two
        nodes.push(node);
        roots.push(root);
    }
    Ok(Tree::new(nodes, Vec::new()).on_disk(roots))
}

/// How the train runs, and what the master image has of it that cannot be signed. Volumes must not hide the train.
fn execution(request: &BuildRequest<'_>, base: &Image) -> Result<(SignedImage, Vec<String>)> {
    let (mut execution, dropped) = SignedImage::of(base.config())?;
    if !request.command.is_empty() {
        execution.set("Cmd", json!(request.command));
    }
    if let Some(volume) = execution.volumes().find(|volume| hides_train(volume)) {
        let volume = Printable::new(volume.as_bytes());
        let what = format!("the master image declares the volume {volume}, which hides the train's files");
        return Err(Error::usage(what).hint("take a master image without this volume"));
    }
    Ok((execution, dropped))
}

/// Has the creator sign the train.
fn sign(request: &BuildRequest<'_>, tree: &Tree, base: &Image, execution: &SignedImage) -> Result<SignedDraft> {
    let files = files_below(tree, paths::TRAIN, Transform::Keep)?;
    if files.is_empty() {
        return Err(Error::usage("the directory holds no files").at(request.files.display()));
    }
    let metas: Vec<FileMeta> = files.iter().map(|(_, meta)| meta.clone()).collect();
    let mut draft = request.wire.draft(draft(request, base, execution)?, &metas)?;
    let order = draft.feed().order().to_vec();
    feed(draft, tree, &files, &order, Transform::Keep)?.finish(request.creator_key)
}

/// The train's own layers as build has written them.
struct OwnLayers {
    /// Each with its history entry.
    layers: Vec<(AddedLayer, String)>,
    /// The number of them that count as the base of later stages.
    of_base: usize,
    /// What the form of the payload layer has no place for.
    left_out: Vec<String>,
}

/// Has the builder sign, and writes the train's layers.
fn write_layers(
    request: &BuildRequest<'_>,
    files: &Tree,
    signed: SignedDraft,
    (base, destination): (&Image, &mut dyn Destination),
    now: i64,
) -> Result<OwnLayers> {
    let wire = request.wire;
    let key = if wire.encrypts_train() { Some(wire.cipher().generate_key()?) } else { None };
    let change = key.as_ref().map_or(Transform::Keep, |key| Transform::Encrypt(wire.cipher(), key));
    let mut payload = PayloadWriter::new(LayerSink::new(destination, base.format())?, wire, files, now)?;
    payload.begin(paths::RESULTS, files)?;
    payload.begin(paths::TRAIN, files)?;
    transform(files, paths::TRAIN, change, None, payload.sink())?;
    let seal = |produced: &Produced| {
        TrainConfig::build(
            wire,
            signed,
            &BuildSeal { builder: request.builder_key, stage_key: key.as_ref(), produced, now },
        )
    };
    if !wire.has_payload_as_built() {
        let config = seal(&Produced::default())?;
        write_config(&mut payload, &config.to_bytes()?, now)?;
        let layers = vec![(payload.finish()?, "pht-oci build: train".to_owned())];
        return Ok(OwnLayers { layers, of_base: 1, left_out: Vec::new() });
    }
    let empty = payload.empty_directories().into_iter();
    let left_out = empty.map(|path| format!("{path} (an empty directory)")).collect();
    let payload = payload.finish()?;
    let config = seal(&Produced { result_hash: None, payload: Some(payload.diff_id.to_string()) })?;
    let (document, meta) = (config.to_bytes()?, Meta::new(0o644, now));
    let control = write_control(LayerSink::new(destination, base.format())?, &config, &document, &meta, now)?;
    let made = |what: &str| format!("pht-oci build: {what}");
    let layers = vec![(payload, made("payload")), (control, made("control"))];
    Ok(OwnLayers { layers, of_base: 0, left_out })
}

fn draft(request: &BuildRequest<'_>, master: &Image, execution: &SignedImage) -> Result<Draft> {
    let (address, tag) = match request.base {
        Some(base) => (base.without_tag(), base.tag().map(str::to_owned)),
        None => ("scratch".to_owned(), None),
    };
    Ok(Draft {
        id: match request.id {
            Some(id) => id.to_owned(),
            None => random_uuid()?,
        },
        proposal_id: PartyId::from(request.proposal),
        source: Source { kind: "docker_repository".to_owned(), address, tag, branch: None },
        creator: PartyId::from(request.creator),
        creator_key: request.creator_key.public_key(),
        paillier_key: request.paillier_key.map(str::to_owned),
        route: request.route.clone(),
        session_id: random::bytes()?,
        builder_key: request.builder_key.map(PrivateKey::public_key),
        base_layers: facts_of(master).layers,
        image: execution.clone(),
    })
}

/// A random UUID (RFC 9562, version 4).
fn random_uuid() -> Result<String> {
    let mut bytes: [u8; 16] = random::bytes()?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = crate::crypto::hex::encode(&bytes);
    Ok([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
}

fn write_config(layer: &mut PayloadWriter, document: &[u8], now: i64) -> Result<()> {
    let sink = layer.sink();
    sink.entry(paths::CONFIG, &EntryKind::File, &Meta::new(0o644, now), document.len() as u64)?;
    sink.write_all(document).doing("write the train config")
}
