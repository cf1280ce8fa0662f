//! The checks that stages share.

use std::collections::HashSet;
use std::io::Read;
use std::path::Path;

use super::base_contents::BaseVerifier;
use super::closed_layers::{ensure_control_form, ensure_payload_form};
use super::hashing::{BackgroundHasher, HashSink};
use super::load::Train;
use super::payload::{Transform, hash_file};
use super::request::VerificationPolicy;
use crate::error::{Error, ErrorContext, IoContext, Kind, Result};
use crate::image::{Content, CopyBuffer, NodeKind, Tree};
use crate::path::shown;
use crate::train::check::{CheckId, require_ok};
use crate::train::{Check, FileMeta, HasFeed, TrainConfig, paths, trust};

/// Everything that can be checked without any file: the creator's and the builder's signatures, the route's, and whose
/// keys they are.
pub(in crate::stage) fn collect_config(config: &TrainConfig, policy: VerificationPolicy<'_>) -> Vec<Check> {
    let form = config.form();
    let mut checks: Vec<Check> = policy.collect_wire(config).into_iter().collect();
    // First of all: what depends on whose turn it is means nothing if a stop has signed too early.
    let order = config.route().route_state().err();
    let order = order.map(|error| Check::broken(CheckId::RouteOrder, "route", error.what()));
    let is_in_order = order.is_none();
    checks.extend(order);
    checks.extend(form.collect_creator(config));
    checks.extend(trust::collect_paillier(config));
    checks.extend(form.collect_build(config));
    if is_in_order {
        checks.extend(form.collect_route(config));
    }
    trust::collect(policy.trust, config, checks)
}

/// [`collect_config`], held against what is demanded.
pub(in crate::stage) fn ensure_config(train: &Train, policy: VerificationPolicy<'_>) -> Result<Vec<Check>> {
    policy.enforce(collect_config(&train.config, policy))
}

/// Checks the image of a train that no pre-run has opened yet, where the wire version binds it: how it runs, its layers,
/// each entry of payload and control layer.
pub(in crate::stage) fn ensure_image(train: &Train, verifier: &mut BaseVerifier<'_>) -> Result<Vec<Check>> {
    let form = train.config.form();
    ensure_control_on_top(train)?;
    let mut checks = require_ok(form.collect_layers(&train.facts))?;
    checks.extend(require_ok(form.collect_image(&train.facts))?);
    if let Some(base) = form.base() {
        verifier.ensure(train, base.len())?;
    }
    ensure_payload_form(train)?;
    checks.extend(ensure_control_form(train)?);
    Ok(checks)
}

/// Where payload and control layer are fixed, the train config lies in the topmost layer.
pub(in crate::stage) fn ensure_control_on_top(train: &Train) -> Result<()> {
    let top = train.image.layers().len().checked_sub(1);
    let place = train.tree().get(paths::CONFIG).and_then(|node| train.tree().file(node));
    match place {
        Some((_, Content::Layer { layer, .. })) if Some(*layer) != top && train.config.form().base().is_some() => {
            let what = "not a train: there is no control layer on top, with the train config in it";
            Err(Error::malformed(what)
                .hint("if it has been opened and run, finish with post-run")
                .at(shown(paths::CONFIG)))
        }
        _ => Ok(()),
    }
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
        (files, different) if files == different => Some(Check::sound(CheckId::FileIvs, "encrypted files")),
        _ => Some(Check::weak(CheckId::FileIvs, "encrypted files", reason())),
    })
}

/// Checks the immutable files against what the creator signed; `change` is how to read them.
pub(in crate::stage) fn ensure_immutable(train: &Train, change: Transform<'_>) -> Result<Vec<Check>> {
    let tree = train.tree();
    ensure_only_files(tree)?;
    let files = files_below(tree, paths::TRAIN, change)?;
    let metas: Vec<FileMeta> = files.iter().map(|(_, meta)| meta.clone()).collect();
    let mut check = train.config.form().immutable_check(&train.config, &metas)?;
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
    let mut check = train.config.form().result_check(&train.config, &result_files(tree, change)?)?;
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

/// Does `attempt`; if a hash does not hold and there are layers that were not read, reads them and tries once more. If
/// what was read is damaged, that is the error, instead of whatever followed from the damaged bytes.
///
/// Reading ends where all that the config lists was found. That is right for every train of the field, but a train may
/// be put together of more layers than that; then the hashes tell.
pub(in crate::stage) fn with_all_layers<T>(
    train: &mut Train,
    spool_dir: &Path,
    mut attempt: impl FnMut(&mut Train) -> Result<T>,
) -> Result<T> {
    let mut attempt = |train: &mut Train| attempt(train).map_err(|fault| train.view.damage_or(fault));
    match attempt(train) {
        Err(error) if error.kind() == Kind::Verification && !train.view.complete => {
            tracing::debug!(%error, "reading the lower layers too");
            match train.reload(spool_dir) {
                Ok(()) => attempt(train),
                Err(damage) if damage.kind() == Kind::Verification => Err(damage),
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
