//! The immutable files of a train that is being built or signed, as they lie outside an image.

use std::collections::HashSet;
use std::path::Path;

use super::ignore::{IGNORE_FILE, Ignore};
use crate::error::{Advice, Error, ErrorContext, Kind, Result};
use crate::image::{DiskRoot, Node, NodeKind, ReadDirectory, Tarball, Tree, read_directory, read_file};
use crate::path::{ancestors, is_below};
use crate::store::{Context, Count, archive};
use crate::tar::Meta;
use crate::train::files::QUERY;
use crate::train::paths;

/// The largest `.phtignore` that is read, in bytes.
const MAX_IGNORE: u64 = 1 << 20;

/// The files of a train, and what of the place where they lie is none.
pub(in crate::stage) struct TrainFiles {
    /// The files at their places in an image: root's, and no newer than now.
    pub(in crate::stage) tree: Tree,
    /// The number of entries that `.phtignore` leaves out, with directories counted once.
    pub(in crate::stage) ignored: usize,
}

/// Reads the files of a train: a directory, or a tar archive of what one would hold. `query` is stored as `query.json`.
///
/// # Errors
/// [`Kind::Usage`] for what is neither, or holds what no train may; input/output.
pub(in crate::stage) fn read_train_files(files: &Path, query: Option<&Path>, context: &Context) -> Result<TrainFiles> {
    let found = read(files, context)?;
    let ignore = match found.get(&below(IGNORE_FILE)) {
        None => Ignore::default(),
        Some(node) => {
            let text = found.read(node, MAX_IGNORE).map_err(|error| error.as_kind(Kind::Usage))?;
            Ignore::parse(&text).at(files.join(IGNORE_FILE).display())?
        }
    };
    let (mut nodes, mut left_out, mut ignored) = (Vec::with_capacity(found.nodes().len()), HashSet::new(), 0);
    for node in found.nodes() {
        let relative = node.path.strip_prefix(paths::TRAIN).and_then(|path| path.strip_prefix(b"/"));
        if let Some(relative) = relative {
            let with_directory = ancestors(&node.path).any(|above| left_out.contains(above));
            let own = ignore.leaves_out(relative, node.kind == NodeKind::Directory);
            if with_directory || own || relative == IGNORE_FILE.as_bytes() {
                ignored += usize::from(own && !with_directory);
                left_out.insert(&*node.path);
                continue;
            }
        }
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
            let hint = format!("put a copy in its place, or leave it out by a line in {IGNORE_FILE}");
            return Err(Error::usage(what).hint(hint).at(node.shown()));
        };
        let meta = Meta::new(node.meta.permissions(), node.meta.mtime.min(context.now));
        nodes.push(Node { path: node.path.clone(), kind, meta });
    }
    // An archive may leave out the entries of directories.
    let there: HashSet<&[u8]> = nodes.iter().map(|node| &*node.path).collect();
    let above = nodes.iter().flat_map(|node| ancestors(&node.path));
    let missing: HashSet<Box<[u8]>> =
        above.filter(|path| is_below(path, paths::TRAIN) && !there.contains(path)).map(Box::from).collect();
    let meta = Meta::new(0o755, context.now);
    nodes.extend(missing.into_iter().map(|path| Node { path, kind: NodeKind::Directory, meta: meta.clone() }));
    let mut roots = found.roots().to_vec();
    if let Some(query) = query {
        let (node, root) = query_node(query, &nodes, (roots.len(), context.now))?;
        nodes.push(node);
        roots.push(root);
    }
    Ok(TrainFiles { tree: Tree::new(nodes, found.into_layers()).on_disk(roots), ignored })
}

/// Where a file of this name lies in a train.
fn below(name: &str) -> Vec<u8> {
    [paths::TRAIN, b"/", name.as_bytes()].concat()
}

fn read(files: &Path, context: &Context) -> Result<Tree> {
    // A fault of the request, not of a train; but for the limit, which is the same for both.
    let as_usage = |error: Error| match (error.kind(), error.advice()) {
        (Kind::Malformed, Some(Advice::RaiseMaxFiles)) => error,
        (Kind::Malformed, _) => error.as_kind(Kind::Usage),
        _ => error,
    };
    if files.is_dir() {
        let options = ReadDirectory { owners: false, max_files: context.max_files };
        return read_directory(files, paths::TRAIN, options).map_err(as_usage);
    }
    if !files.exists() {
        let hint = "give the directory with the train's files, a tar archive of them, or - for one on standard input";
        return Err(Error::usage("there is no such directory").hint(hint).at(files.display()));
    }
    let read = || {
        let contents = archive::to_extent(files, &context.temporary, &Count::default())?;
        if contents.is_empty() {
            return Err(Error::malformed("nothing is in it"));
        }
        Tarball::read(contents, paths::TRAIN, [paths::TRAIN], context.max_files).map(|found| found.tree)
    };
    let hint = "give the directory with the train's files, or a tar archive of them";
    let tree = read().map_err(as_usage).map_err(|error| match (error.kind(), error.advice()) {
        (Kind::Usage, None) => Error::usage("neither a directory nor a tar archive").because(error).hint(hint),
        _ => error,
    });
    let tree = tree.at(files.display())?;
    if tree.nodes().is_empty() {
        let what = "neither a directory nor a tar archive with files";
        return Err(Error::usage(what).hint(hint).at(files.display()));
    }
    Ok(tree)
}

/// The query as a file of the train, and the root of the tree that it is found below: the one at `position`.
fn query_node(query: &Path, nodes: &[Node], (position, now): (usize, i64)) -> Result<(Node, DiskRoot)> {
    let path: Box<[u8]> = below(QUERY).into();
    if nodes.iter().any(|node| node.path == path) {
        let what = format!("{QUERY} is among the files and given as the query");
        return Err(Error::usage(what).hint("give the query once").at(query.display()));
    }
    let position = u32::try_from(position).map_err(|_| Error::internal("more roots than a tree can have"))?;
    read_file(query, path, Meta::new(0o644, now), position)
}
