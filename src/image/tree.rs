use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, ErrorContext, IoContext, Kind, Result};
use crate::path::{ShownPath, ancestors, is_below, shown, walk_order};
use crate::store::Extent;
use crate::store::fs::{Beneath, Identity, is_replaced};
use crate::tar::Meta;

/// The kind of a node of a [`Tree`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeKind {
    /// A regular file; of several names of one file, the first in walk order.
    File {
        /// Bytes of contents.
        size: u64,
        /// Their place.
        content: Content,
    },
    /// A further name of a file: the position in the tree of the node that is the file.
    Link(usize),
    /// A symbolic link, its target as it stands.
    Symlink(Box<[u8]>),
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
    /// A character (`true`) or block device with its major and minor number.
    Device(bool, (u32, u32)),
}

/// The place of a file's contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// In a layer, or the spool of a compressed one, from `offset`.
    Layer {
        /// The position of the layer in the image, from the bottom.
        layer: usize,
        /// Their offset.
        offset: u64,
    },
    /// In a file on disk.
    Disk(DiskFile),
}

/// A file on disk as it was when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskFile {
    /// The position of its [`DiskRoot`] in the tree.
    pub(super) root: u32,
    pub(super) identity: Identity,
}

/// A directory on disk that files of a tree are in.
#[derive(Debug, Clone)]
pub struct DiskRoot {
    pub(super) dir: Arc<Beneath>,
    /// The path in the tree of what lies in it.
    pub(super) above: Box<[u8]>,
    /// The name of the only file in it that is meant, whatever its path in the tree.
    pub(super) name: Option<PathBuf>,
}

impl DiskRoot {
    /// Where a node is on disk, relative to the directory.
    fn below<'a>(&'a self, path: &'a [u8]) -> &'a Path {
        let below = path.strip_prefix(&*self.above).unwrap_or(path);
        let below = below.strip_prefix(b"/").unwrap_or(below);
        self.name.as_deref().unwrap_or_else(|| Path::new(OsStr::from_bytes(below)))
    }

    /// Opens a file, which has to be the one that was looked at.
    fn open(&self, path: &[u8], size: u64, identity: Identity) -> Result<DiskReader> {
        let below = self.below(path);
        let place = || self.dir.shown(below).display().to_string();
        let file = match self.dir.open(below) {
            Err(error) if is_replaced(&error) => return Err(changed().at(place())),
            opened => opened.doing("open the file").at(place())?,
        };
        let reader = DiskReader { file, size, left: size, identity };
        if reader.is_as_it_was().doing("stat the file").at(place())? { Ok(reader) } else { Err(changed().at(place())) }
    }
}

/// The error of a file or directory that is not as it was when it was looked at.
pub(super) fn changed() -> Error {
    let hint = "see to it that nothing writes there any more, and run the command again";
    Error::new(Kind::Io, "changed while it was read").hint(hint)
}

/// The contents of a file that may not change while they are read.
struct DiskReader {
    file: File,
    size: u64,
    left: u64,
    identity: Identity,
}

impl DiskReader {
    fn is_as_it_was(&self) -> io::Result<bool> {
        let found = self.file.metadata()?;
        Ok(found.is_file() && found.len() == self.size && Identity::of(&found) == self.identity)
    }
}

impl Read for DiskReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.file.read(&mut buffer[..most])?;
        self.left -= read as u64;
        // What was read until now is thrown away.
        if read == 0 && !buffer.is_empty() && (self.left > 0 || !self.is_as_it_was()?) {
            return Err(changed().into());
        }
        Ok(read)
    }
}

/// One file, directory or link.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Node {
    /// Normalised path, relative to the root of the image.
    pub path: Box<[u8]>,
    /// Its kind.
    pub kind: NodeKind,
    /// Mode, owner, times and the rest.
    pub meta: Meta,
}

impl Node {
    /// The path for messages.
    pub fn shown(&self) -> ShownPath<'_> {
        shown(&self.path)
    }
}

/// A part of a file system: nodes in walk order, and where to read the contents of its files.
#[derive(Debug, Default)]
pub struct Tree {
    nodes: Vec<Node>,
    /// For each layer that was read, what offsets refer to.
    layers: Vec<Option<Extent>>,
    /// Where [`Content::Disk`] is.
    roots: Vec<DiskRoot>,
}

impl Tree {
    /// Nodes in any order; `layers` as [`Content::Layer`] refers to them. Links refer to the given order.
    pub fn new(nodes: Vec<Node>, layers: Vec<Option<Extent>>) -> Self {
        let mut order: Vec<usize> = (0..nodes.len()).collect();
        order.sort_by(|&a, &b| walk_order(&nodes[a].path, &nodes[b].path));
        let mut position = vec![0; nodes.len()];
        order.iter().enumerate().for_each(|(new, &old)| position[old] = new);
        let mut slots: Vec<Option<Node>> = nodes.into_iter().map(Some).collect();
        let mut sorted: Vec<Node> = order.iter().filter_map(|&old| slots[old].take()).collect();
        for node in &mut sorted {
            if let NodeKind::Link(to) = &mut node.kind {
                *to = position[*to];
            }
        }
        Tree { nodes: sorted, layers, roots: Vec::new() }
    }

    /// Files on disk below `roots`.
    #[must_use]
    pub fn on_disk(self, roots: Vec<DiskRoot>) -> Self {
        Tree { roots, ..self }
    }

    /// Where files on disk are.
    pub fn roots(&self) -> &[DiskRoot] {
        &self.roots
    }

    /// Nodes that are in walk order already.
    pub(super) fn in_order(nodes: Vec<Node>, layers: Vec<Option<Extent>>) -> Self {
        debug_assert!(nodes.is_sorted_by(|a, b| walk_order(&a.path, &b.path).is_lt()));
        Tree { nodes, layers, roots: Vec::new() }
    }

    /// The same with a node for every directory that only what lies in it names, as engines make them: root's, for all to
    /// enter. Only of a whole view is it known that no lower layer has an entry for one of them.
    #[must_use]
    pub fn with_implied_directories(self) -> Self {
        let mut implied: BTreeSet<Box<[u8]>> = BTreeSet::new();
        for node in &self.nodes {
            implied.extend(ancestors(&node.path).filter(|dir| self.get(dir).is_none()).map(Box::from));
        }
        let Tree { mut nodes, layers, roots } = self;
        let node = |path| Node { path, kind: NodeKind::Directory, meta: Meta::new(0o755, 0) };
        nodes.extend(implied.into_iter().map(node));
        Tree { roots, ..Tree::new(nodes, layers) }
    }

    /// What offsets refer to: the layers of a tree whose nodes are put together anew.
    pub fn into_layers(self) -> Vec<Option<Extent>> {
        self.layers
    }

    /// All nodes in walk order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node at `path`.
    pub fn get(&self, path: &[u8]) -> Option<&Node> {
        let found = self.nodes.binary_search_by(|node| walk_order(&node.path, path)).ok()?;
        self.nodes.get(found)
    }

    /// The positions of everything below the directory `path`, itself left out.
    pub fn below(&self, path: &[u8]) -> Range<usize> {
        let start = self.nodes.partition_point(|node| walk_order(&node.path, path).is_le());
        let count = self.nodes[start..].partition_point(|node| is_below(&node.path, path));
        start..start + count
    }

    /// Reads the contents of a file or of a further name of one.
    ///
    /// # Errors
    /// Input/output; a node without contents.
    pub fn open(&self, node: &Node) -> Result<Box<dyn Read + Send>> {
        match self.file(node) {
            Some((size, Content::Disk(DiskFile { root, identity }))) => {
                let root = self.roots.get(*root as usize).ok_or_else(|| no_contents(node))?;
                Ok(Box::new(root.open(&node.path, size, *identity)?))
            }
            Some((size, Content::Layer { .. })) => {
                let extent = self.extent(node).ok_or_else(|| no_contents(node))?;
                debug_assert_eq!(extent.len(), size);
                Ok(Box::new(extent.reader()))
            }
            None => Err(no_contents(node)),
        }
    }

    /// The contents of a file as an extent, where they lie in a layer.
    pub fn extent(&self, node: &Node) -> Option<Extent> {
        match self.file(node)? {
            (size, &Content::Layer { layer, offset }) => Some(self.layers.get(layer)?.as_ref()?.part(offset, size)),
            _ => None,
        }
    }

    /// Size and place of the contents of a file or of a further name of one.
    pub fn file<'a>(&'a self, node: &'a Node) -> Option<(u64, &'a Content)> {
        match &node.kind {
            NodeKind::File { size, content } => Some((*size, content)),
            NodeKind::Link(to) => match &self.nodes.get(*to)?.kind {
                NodeKind::File { size, content } => Some((*size, content)),
                _ => None,
            },
            _ => None,
        }
    }

    /// Reads a small file whole.
    ///
    /// # Errors
    /// As [`Tree::open`]; files above `most` bytes are malformed.
    pub fn read(&self, node: &Node, most: u64) -> Result<Vec<u8>> {
        let size = self.file(node).map_or(0, |(size, _)| size);
        if size > most {
            return Err(Error::malformed(format!("{size} bytes; at most {most} are read")).at(node.shown()));
        }
        let mut bytes = Vec::new();
        self.open(node)?.read_to_end(&mut bytes).doing("read the file").at(node.shown())?;
        Ok(bytes)
    }
}

fn no_contents(node: &Node) -> Error {
    Error::malformed("not a regular file").at(node.shown())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(paths: &[&str]) -> Tree {
        let node =
            |path: &&str| Node { path: path.as_bytes().into(), kind: NodeKind::Directory, meta: Meta::default() };
        Tree::new(paths.iter().map(node).collect(), Vec::new())
    }

    fn paths(nodes: &[Node]) -> Vec<&str> {
        nodes.iter().map(|node| std::str::from_utf8(&node.path).unwrap()).collect()
    }

    #[test]
    fn walks_as_docker_does() {
        let tree = tree(&["r/sub.txt", "r", "r/sub-a/y", "r/sub/x", "r/sub", "r/sub-a", "r-", "q"]);
        assert_eq!(paths(tree.nodes()), ["q", "r", "r/sub", "r/sub/x", "r/sub-a", "r/sub-a/y", "r/sub.txt", "r-"]);
        assert_eq!(paths(&tree.nodes()[tree.below(b"r")]).len(), 5);
        assert_eq!(paths(&tree.nodes()[tree.below(b"r/sub")]), ["r/sub/x"]);
        assert_eq!(tree.below(b"absent").len(), 0);
        assert_eq!(tree.below(b"").len(), 8);
        assert!(tree.get(b"r/sub-a").is_some() && tree.get(b"r/su").is_none());
    }

    #[test]
    fn directories_without_an_entry_are_made() {
        let mut tree = tree(&["r/a/b/c", "r/a/b/d", "r/a", "q"]);
        tree.nodes[2].kind = NodeKind::Link(3);
        let whole = tree.with_implied_directories();
        assert_eq!(paths(whole.nodes()), ["q", "r", "r/a", "r/a/b", "r/a/b/c", "r/a/b/d"]);
        assert_eq!(whole.get(b"r/a/b").map(|node| node.meta.mode), Some(0o755));
        assert_eq!(whole.get(b"r/a").map(|node| node.meta.mode), Some(0), "it has an entry");
        assert_eq!(whole.get(b"r/a/b/c").map(|node| &node.kind), Some(&NodeKind::Link(5)), "links follow their files");
    }
}
