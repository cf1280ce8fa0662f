//! The checks that stages share.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io::Read;
use std::path::Path;

use oci_spec::image::Digest;

use super::feeder::{Feeder, Taker};
use super::load::Train;
use super::payload::{Change, Passage, observe};
use super::{Demands, paths};
use crate::error::{Context, Error, IoContext, Kind, Result};
use crate::image::layer::{self, scan};
use crate::image::{Image, NodeKind, Tree, shown};
use crate::train::check::id;
use crate::train::{Check, FileMeta, Layers, TrainConfig, Trust, trust};

/// Everything that can be checked without any file: the creator's and the builder's signatures, the route's, and whose
/// keys they are.
pub(super) fn examine_config(config: &TrainConfig, trust: Option<&Trust>) -> Vec<Check> {
    let wire = config.wire();
    let mut checks = wire.examine_creator(config);
    checks.extend(trust::examine_paillier(config));
    checks.extend(wire.examine_build(config));
    checks.extend(wire.examine_route(config));
    trust::examine(trust, config, checks)
}

/// [`examine_config`], held against what is demanded.
pub(super) fn check_config(train: &Train, demands: Demands<'_>) -> Result<Vec<Check>> {
    demands.settle(examine_config(&train.config, demands.trust))
}

/// Checks the layers of an image that no pre-run has opened yet, where the wire version binds them: base, payload, and
/// that nothing above the payload adds to it or hides any of it.
pub(super) fn check_layers(train: &Train, spool_dir: &Path) -> Result<Vec<Check>> {
    let mut checks = train.config.wire().verify_layers(&train.config, &layers_of(&train.image))?;
    checks.extend(check_above_payload(train, spool_dir)?);
    Ok(checks)
}

/// [`check_layers`] without what the wire version sees by itself.
pub(super) fn check_above_payload(train: &Train, spool_dir: &Path) -> Result<Option<Check>> {
    let (config, image) = (&train.config, &train.image);
    let Some(base) = config.wire().base_layers(config, &layers_of(image))? else { return Ok(None) };
    for (descriptor, diff_id) in image.layers().iter().zip(image.diff_ids()).take(base) {
        // Base layers are not read. Of a plain one the blob's digest is the diff ID; who unpacks a compressed one has to
        // hold it against the diff ID, and engines do.
        let is_plain = descriptor.media_type().to_string().ends_with(".tar");
        if is_plain && descriptor.digest().algorithm() == diff_id.algorithm() && descriptor.digest() != diff_id {
            let what = format!("it is not the base layer {diff_id} that the creator signed");
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
            let kind = if directory { layer::Kind::Directory } else { layer::Kind::File };
            if !is_of_control(&entry.path) || entry.kind != kind {
                let what = "above the signed payload layer, where only the train config and the creator's key may be";
                return Err(Error::verification(what).at(shown(&entry.path)));
            }
        }
    }
    Ok(Some(Check::sound(id::CONTROL, "control layer")))
}

/// Looks for files of a closed train that begin with one initialisation vector, where the cipher has such.
pub(super) fn examine_ivs(config: &TrainConfig, tree: &Tree) -> Result<Option<Check>> {
    let wire = config.wire();
    let Some(length) = wire.cipher().leading_iv() else { return Ok(None) };
    let signed = config.standing().is_ok_and(|standing| standing.last_signed().is_some());
    let roots = [(paths::RESULTS, signed), (paths::TRAIN, wire.encrypts_train())];
    let (mut files, mut different) = (0, HashSet::new());
    for at in roots.into_iter().filter(|(_, encrypted)| *encrypted).flat_map(|(root, _)| tree.below(root)) {
        let node = &tree.nodes()[at];
        if let (NodeKind::File { .. }, Some(extent)) = (&node.kind, tree.extent(node)) {
            let mut iv = Vec::with_capacity(length);
            extent.part(0, length as u64).reader().read_to_end(&mut iv).doing("read it").at(node.shown())?;
            files += 1;
            different.insert(iv);
        }
    }
    let reason = || {
        format!(
            "{files} files have {} initialisation vectors between them: files under one show to anybody how far they \
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

/// Whether a path is one of the control layer, or above one.
fn is_of_control(path: &[u8]) -> bool {
    matches!(path, b"" | paths::OPT | paths::CONFIG | paths::USER_KEY)
}

/// The layers of an image as wire versions see them.
pub(super) fn layers_of(image: &Image) -> Layers {
    let text = |digest: Digest| digest.to_string();
    let count = image.layers().len();
    Layers {
        diff_ids: image.diff_ids().iter().cloned().map(text).collect(),
        chain_ids: (1..=count).filter_map(|layers| image.chain_id(layers)).map(text).collect(),
    }
}

/// Checks the immutable files against what the creator signed; `change` is how to read them.
pub(super) fn check_immutable(train: &Train, change: Change<'_>) -> Result<Vec<Check>> {
    let tree = train.tree();
    check_only_files(tree)?;
    let files = files_below(tree, paths::TRAIN, change)?;
    let metas: Vec<FileMeta> = files.iter().map(|(_, meta)| meta.clone()).collect();
    let mut check = train.config.wire().immutable_check(&train.config, &metas)?;
    let order = check.feed().order().to_vec();
    feed(check, tree, &files, &order, change)?.finish()
}

/// The results that are hashed: regular files, of several names of one file the first only.
pub(super) fn result_files(tree: &Tree, change: Change<'_>) -> Result<Vec<FileMeta>> {
    let files = files_below(tree, paths::RESULTS, change)?.into_iter();
    Ok(files.filter(|(at, _)| matches!(tree.nodes()[*at].kind, NodeKind::File { .. })).map(|(_, meta)| meta).collect())
}

/// Checks the results against what the last station signed, and writes nothing.
pub(super) fn check_results(train: &Train, change: Change<'_>) -> Result<Vec<Check>> {
    let tree = train.tree();
    let mut check = train.config.wire().result_check(&train.config, &result_files(tree, change)?)?;
    let files: Vec<usize> =
        tree.below(paths::RESULTS).filter(|&at| matches!(tree.nodes()[at].kind, NodeKind::File { .. })).collect();
    let order = check.feed().order().to_vec();
    let (mut feeder, mut passage) = (Feeder::new(check), Passage::new());
    for file in order {
        observe(tree, &tree.nodes()[files[file]], change, file, &mut feeder, &mut passage)?;
    }
    feeder.finish()?.finish()
}

/// Does `attempt`; if a hash does not hold and there are layers that were not read, reads them and tries once more.
///
/// Reading ends where all that the config lists was found. That is right for every train of the field, but a train may
/// be put together of more layers than that; then the hashes tell.
pub(super) fn with_all_layers<T>(
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
pub(super) fn feed<T: Taker>(
    taker: T,
    tree: &Tree,
    files: &[(usize, FileMeta)],
    order: &[usize],
    change: Change<'_>,
) -> Result<T> {
    let (mut feeder, mut passage) = (Feeder::new(taker), Passage::new());
    for &file in order {
        observe(tree, &tree.nodes()[files[file].0], change, file, &mut feeder, &mut passage)?;
    }
    feeder.finish()
}

/// The files below `root` with the sizes of their plaintext, every name of a file on its own.
pub(super) fn files_below(tree: &Tree, root: &[u8], change: Change<'_>) -> Result<Vec<(usize, FileMeta)>> {
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
pub(super) fn check_only_files(tree: &Tree) -> Result<()> {
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
pub(super) fn check_results_kinds(tree: &Tree) -> Result<()> {
    match tree.below(paths::RESULTS).map(|at| &tree.nodes()[at]).find(|node| matches!(node.kind, NodeKind::Device(..)))
    {
        Some(node) => Err(Error::malformed("a device node among the results").at(node.shown())),
        None => Ok(()),
    }
}
