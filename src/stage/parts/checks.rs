//! The checks that stages share.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io::Read;
use std::path::Path;

use oci_spec::image::Digest;

use super::hashing::{BackgroundHasher, HashSink};
use super::load::Train;
use super::payload::{CopyBuffer, Transform, hash_file};
use super::request::VerificationPolicy;
use crate::error::{Error, ErrorContext, IoContext, Kind, Result};
use crate::image::{Image, NodeKind, Tree, scan};
use crate::path::shown;
use crate::tar::EntryKind;
use crate::train::check::id;
use crate::train::{Check, FileMeta, HasFeed, Layers, TrainConfig, TrustStore, paths, trust};

/// Everything that can be checked without any file: the creator's and the builder's signatures, the route's, and whose
/// keys they are.
pub(in crate::stage) fn collect_config(config: &TrainConfig, trust: Option<&TrustStore>) -> Vec<Check> {
    let wire = config.wire();
    let mut checks = wire.collect_creator(config);
    checks.extend(trust::collect_paillier(config));
    checks.extend(wire.collect_build(config));
    checks.extend(wire.collect_route(config));
    trust::collect(trust, config, checks)
}

/// [`collect_config`], held against what is demanded.
pub(in crate::stage) fn ensure_config(train: &Train, policy: VerificationPolicy<'_>) -> Result<Vec<Check>> {
    policy.enforce(collect_config(&train.config, policy.trust))
}

/// Checks the layers of an image that no pre-run has opened yet, where the wire version binds them: base, payload, and
/// that nothing above the payload adds to it or hides any of it.
pub(in crate::stage) fn ensure_layers(train: &Train, spool_dir: &Path) -> Result<Vec<Check>> {
    let mut checks = train.config.wire().verify_layers(&train.config, &layers_of(&train.image))?;
    checks.extend(ensure_above_payload(train, spool_dir)?);
    Ok(checks)
}

/// [`ensure_layers`] without what the wire version sees by itself.
pub(in crate::stage) fn ensure_above_payload(train: &Train, spool_dir: &Path) -> Result<Option<Check>> {
    let (config, image) = (&train.config, &train.image);
    let Some(base) = config.wire().base_layers(config, &layers_of(image))? else { return Ok(None) };
    for (descriptor, diff_id) in image.layers().iter().zip(image.diff_ids()).take(base) {
        // Base layers are not read. Of a plain one the blob's digest is the diff ID; who unpacks a compressed one has to
        // hold it against the diff ID, and engines do.
        let is_plain = descriptor.media_type().to_string().ends_with(".tar");
        if is_plain && descriptor.digest().algorithm() == diff_id.algorithm() && descriptor.digest() != diff_id {
            let what = format!("not the base layer {diff_id} that the creator signed");
            return Err(Error::verification(what).at(format_args!("layer {}", descriptor.digest())));
        }
    }
    for (layer, descriptor) in image.layers().iter().enumerate().skip(base + 1) {
        // One that may not be there is enough to refuse the image, however many there are.
        let first: RefCell<Option<Box<[u8]>>> = RefCell::default();
        let matters =
            |path: &[u8]| is_of_control(path) || *path == **first.borrow_mut().get_or_insert_with(|| path.into());
        let scanned = scan(image.source(), descriptor, &image.diff_ids()[layer], spool_dir, &matters)?;
        for entry in &scanned.entries {
            let directory = matches!(&*entry.path, b"" | paths::OPT);
            let kind = if directory { EntryKind::Directory } else { EntryKind::File };
            if !is_of_control(&entry.path) || entry.kind != kind {
                let what = "above the signed payload layer, where only the train config and the creator's key may be";
                return Err(Error::verification(what).at(shown(&entry.path)));
            }
        }
    }
    Ok(Some(Check::sound(id::CONTROL, "control layer")))
}

/// Looks for files of a closed train that begin with one initialisation vector, where the cipher has such.
pub(in crate::stage) fn collect_ivs(config: &TrainConfig, tree: &Tree) -> Result<Option<Check>> {
    let wire = config.wire();
    let Some(length) = wire.cipher().leading_iv() else { return Ok(None) };
    let signed = config.route_state().is_ok_and(|route_state| route_state.last_signed().is_some());
    let roots = [(paths::RESULTS, signed), (paths::TRAIN, wire.encrypts_train())];
    let (mut files, mut different) = (0, HashSet::new());
    for at in roots.into_iter().filter(|(_, encrypted)| *encrypted).flat_map(|(root, _)| tree.below(root)) {
        let node = &tree.nodes()[at];
        if let (NodeKind::File { .. }, Some(extent)) = (&node.kind, tree.extent(node)) {
            let mut iv = Vec::with_capacity(length);
            extent.part(0, length as u64).reader().read_to_end(&mut iv).doing("read the file").at(node.shown())?;
            files += 1;
            different.insert(iv);
        }
    }
    let reason = || {
        format!(
            "{files} files share {} initialisation vectors: of files under the same one anybody can see how far they \
             begin alike",
            different.len()
        )
    };
    Ok(match (files, different.len()) {
        (0, _) => None,
        (files, different) if files == different => Some(Check::sound(id::FILE_IVS, "encrypted files")),
        _ => Some(Check::weak(id::FILE_IVS, "encrypted files", reason())),
    })
}

/// True if a path is one of the control layer, or above one.
fn is_of_control(path: &[u8]) -> bool {
    matches!(path, b"" | paths::OPT | paths::CONFIG | paths::USER_KEY)
}

/// The layers of an image as wire versions see them.
pub(in crate::stage) fn layers_of(image: &Image) -> Layers {
    let text = |digest: Digest| digest.to_string();
    let count = image.layers().len();
    Layers {
        diff_ids: image.diff_ids().iter().cloned().map(text).collect(),
        chain_ids: (1..=count).filter_map(|layers| image.chain_id(layers)).map(text).collect(),
    }
}

/// Checks the immutable files against what the creator signed; `change` is how to read them.
pub(in crate::stage) fn ensure_immutable(train: &Train, change: Transform<'_>) -> Result<Vec<Check>> {
    let tree = train.tree();
    ensure_only_files(tree)?;
    let files = files_below(tree, paths::TRAIN, change)?;
    let metas: Vec<FileMeta> = files.iter().map(|(_, meta)| meta.clone()).collect();
    let mut check = train.config.wire().immutable_check(&train.config, &metas)?;
    let order = check.feed().order().to_vec();
    feed(check, tree, &files, &order, change)?.finish()
}

/// The results that are hashed: regular files, of several names of one file the first only.
pub(in crate::stage) fn result_files(tree: &Tree, change: Transform<'_>) -> Result<Vec<FileMeta>> {
    let files = files_below(tree, paths::RESULTS, change)?.into_iter();
    Ok(files.filter(|(at, _)| matches!(tree.nodes()[*at].kind, NodeKind::File { .. })).map(|(_, meta)| meta).collect())
}

/// Checks the results against what the last station signed, and writes nothing.
pub(in crate::stage) fn ensure_results(train: &Train, change: Transform<'_>) -> Result<Vec<Check>> {
    let tree = train.tree();
    let mut check = train.config.wire().result_check(&train.config, &result_files(tree, change)?)?;
    let files: Vec<usize> =
        tree.below(paths::RESULTS).filter(|&at| matches!(tree.nodes()[at].kind, NodeKind::File { .. })).collect();
    let order = check.feed().order().to_vec();
    let (mut hasher, mut buffer) = (BackgroundHasher::new(check), CopyBuffer::new());
    for file in order {
        hasher.begin(file)?;
        hash_file(tree, &tree.nodes()[files[file]], change, &mut hasher, &mut buffer)?;
    }
    hasher.finish()?.finish()
}

/// Does `attempt`; if a hash does not hold and there are layers that were not read, reads them and tries once more.
///
/// Reading ends where all that the config lists was found. That is right for every train of the field, but a train may
/// be put together of more layers than that; then the hashes tell.
pub(in crate::stage) fn with_all_layers<T>(
    train: &mut Train,
    spool_dir: &Path,
    mut attempt: impl FnMut(&mut Train) -> Result<T>,
) -> Result<T> {
    match attempt(train) {
        Err(error) if error.kind() == Kind::Verification && !train.view.complete => {
            tracing::debug!(%error, "reading the lower layers too");
            match train.reload(spool_dir) {
                Ok(()) => attempt(train),
                Err(_) => Err(error),
            }
        }
        done => done,
    }
}

/// Feeds the plaintext of files to whoever asks for them in an order of their own.
pub(in crate::stage) fn feed<T: HasFeed + 'static>(
    target: T,
    tree: &Tree,
    files: &[(usize, FileMeta)],
    order: &[usize],
    change: Transform<'_>,
) -> Result<T> {
    let (mut hasher, mut buffer) = (BackgroundHasher::new(target), CopyBuffer::new());
    for &file in order {
        hasher.begin(file)?;
        hash_file(tree, &tree.nodes()[files[file].0], change, &mut hasher, &mut buffer)?;
    }
    hasher.finish()
}

/// The files below `root` with the sizes of their plaintext, every name of a file on its own.
pub(in crate::stage) fn files_below(tree: &Tree, root: &[u8], change: Transform<'_>) -> Result<Vec<(usize, FileMeta)>> {
    let mut files = Vec::new();
    for at in tree.below(root) {
        let node = &tree.nodes()[at];
        if matches!(node.kind, NodeKind::File { .. } | NodeKind::Link(_)) {
            let path = node.path[root.len() + 1..].to_vec();
            let size = change.plaintext_len(tree, node)?;
            let is_link = matches!(node.kind, NodeKind::Link(_));
            files.push((at, FileMeta { path, mode: node.meta.permissions(), size, is_link }));
        }
    }
    Ok(files)
}

/// Below `pht_train` nothing else than files and directories is under the creator's signature.
pub(in crate::stage) fn ensure_only_files(tree: &Tree) -> Result<()> {
    for at in tree.below(paths::TRAIN) {
        let node = &tree.nodes()[at];
        let what = match node.kind {
            NodeKind::File { .. } | NodeKind::Link(_) | NodeKind::Directory => continue,
            NodeKind::Symlink(_) => "a symbolic link",
            NodeKind::Fifo => "a named pipe",
            NodeKind::Device(..) => "a device node",
        };
        let what = format!("{what} among the immutable files, which the creator's signature does not cover");
        return Err(Error::verification(what).at(shown(&node.path)));
    }
    Ok(())
}

/// Results travel as files, directories, symbolic links and pipes; a device node is none of a train's business.
pub(in crate::stage) fn ensure_results_kinds(tree: &Tree) -> Result<()> {
    match tree.below(paths::RESULTS).map(|at| &tree.nodes()[at]).find(|node| matches!(node.kind, NodeKind::Device(..)))
    {
        Some(node) => Err(Error::malformed("a device node among the results").at(node.shown())),
        None => Ok(()),
    }
}
