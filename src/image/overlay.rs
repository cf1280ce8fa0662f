//! The merged view of a stack of layers, as a pure function of their entries (OCI image specification, layer:
//! applying changesets, whiteouts).
//!
//! Layers are given from the top down, so that reading can stop as soon as nothing below can be seen any more. A
//! whiteout or an opaque marker hides what lies in lower layers, never what its own layer holds.

use std::collections::{HashMap, HashSet};

use super::changeset::{Changeset, Link, LinkedFile, Mark, is_aufs_link, mark_of};
use super::sorted::{Shrinking, SortedMap};
use super::tree::{Content, Node, NodeKind, Tree};
use crate::error::{Advice, Error, Result};
use crate::path::{ancestors, is_below, shown, walk_order};
use crate::store::{DEFAULT_MAX_FILES, Extent};
use crate::tar::{Entry, EntryKind, Meta};

/// Which paths of an image a view is about: whole directories or single files.
#[derive(Debug, Clone)]
pub struct PathFilter {
    roots: Vec<Box<[u8]>>,
    also: HashSet<Box<[u8]>>,
}

impl PathFilter {
    /// The given normalised paths and everything below them.
    pub fn new<'a>(roots: impl IntoIterator<Item = &'a [u8]>) -> Self {
        PathFilter { roots: roots.into_iter().map(Box::from).collect(), also: HashSet::new() }
    }

    /// Whether the view is about `path`: a root, something below one, or a directory above one.
    pub fn has(&self, path: &[u8]) -> bool {
        self.roots.iter().any(|root| **root == *path || is_below(path, root) || is_below(root, path))
            || self.also.contains(path)
    }

    /// Whether an entry of a layer matters: it is at a wanted path, or it is a whiteout that hides one.
    pub fn matters(&self, path: &[u8]) -> bool {
        match mark_of(path) {
            Some(Mark::Opaque(dir)) => self.has(dir),
            Some(Mark::Whiteout(hidden)) => self.has(&hidden),
            // Only as what hard links elsewhere may name.
            Some(Mark::Foreign) => is_aufs_link(path) && self.has(path),
            // To be refused, wherever it is.
            Some(Mark::Below) => true,
            None => self.has(path),
        }
    }

    fn with(&self, also: impl IntoIterator<Item = Box<[u8]>>) -> Self {
        let mut wanted = self.clone();
        wanted.also.extend(also);
        wanted
    }
}

/// An entry that can be seen, and the layer it comes from.
struct Placed {
    kind: EntryKind,
    meta: Meta,
    size: u64,
    layer: usize,
    file: FileId,
    content: (usize, u64),
}

/// Layer and position of the entry that a file comes from: what makes two names one file. Where the contents lie does
/// not tell: empty files lie at the place of the next one.
type FileId = (usize, u64);

/// A hard link whose file is not in its own layer's wanted entries.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dangling {
    /// The link.
    pub path: Box<[u8]>,
    /// The file that it names.
    pub target: Box<[u8]>,
    /// The layer that it is in.
    pub layer: usize,
    /// What engines give its file when they come to it.
    pub meta: Meta,
    /// True if layers above hide it: then its file is all that is left of it.
    pub is_hidden: bool,
}

/// A merged view while it is put together from the top down.
pub struct Overlay {
    wanted: PathFilter,
    visible: SortedMap<Placed>,
    /// Directories that something visible lies in.
    implied: HashSet<Box<[u8]>>,
    hidden: HashSet<Box<[u8]>>,
    opaque: HashSet<Box<[u8]>>,
    /// Files that a hard link names: the only ones that can have several names.
    linked: HashSet<FileId>,
    /// Bounds memory on hostile images.
    max_files: usize,
}

impl Overlay {
    /// An empty view of `wanted`.
    pub fn new(wanted: PathFilter) -> Self {
        let (visible, implied, hidden, opaque, linked) = Default::default();
        Overlay { wanted, visible, implied, hidden, opaque, linked, max_files: DEFAULT_MAX_FILES }
    }

    /// The same with another limit on its files, and as many directories.
    #[must_use]
    pub fn limited(self, max_files: usize) -> Self {
        Overlay { max_files, ..self }
    }

    /// What the view is about.
    pub fn wanted(&self) -> &PathFilter {
        &self.wanted
    }

    /// Puts the next lower layer under what is there: its entries that [matter](PathFilter::matters), in their order.
    /// Contents of files are at their offset in what is numbered `contents`. Returns the hard links that name something
    /// of a lower layer.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) for a layer that no file system could hold: entries below a
    /// file or a symbolic link, bare whiteouts, too many entries.
    pub fn push_lower(&mut self, layer: usize, contents: usize, entries: Vec<Entry>) -> Result<Vec<Dangling>> {
        if self.visible.len() + entries.len() > self.max_files.saturating_mul(2) {
            return Err(too_many_files(self.max_files));
        }
        let Changeset { files, mut links, whiteouts, mut opaque } = Changeset::collapse(entries)?;
        let mut dangling = Vec::new();
        let mut clear = None;
        for entry in Shrinking::of(files) {
            // Targets of hard links were read along; they are not part of the view.
            if !self.wanted.has(&entry.path) {
                continue;
            }
            if self.is_hidden(&entry.path, layer, &mut clear)? {
                if let Some(Link::Lower(target)) = links.remove(&entry.position) {
                    let (path, meta) = (entry.path.clone(), entry.meta.clone());
                    dangling.push(Dangling { path, target, layer, meta, is_hidden: true });
                }
                // Where a directory hides it, what lower layers have in a directory of this name went when this came.
                let above = self.visible.get(&entry.path);
                if entry.kind != EntryKind::Directory && above.is_some_and(|above| above.kind == EntryKind::Directory) {
                    opaque.push(entry.path);
                }
                continue;
            }
            let (file, content) = ((layer, entry.position), (contents, entry.offset));
            let mut placed = Placed { size: entry.size, kind: entry.kind, meta: entry.meta, layer, file, content };
            match links.remove(&entry.position) {
                Some(Link::Own(file)) => {
                    placed.become_name_of(*file, layer, contents);
                    self.linked.insert(placed.file);
                }
                Some(Link::Lower(target)) => {
                    let (path, meta) = (entry.path.clone(), placed.meta.clone());
                    dangling.push(Dangling { path, target, layer, meta, is_hidden: false });
                }
                Some(Link::Nothing) | None => {}
            }
            self.imply_parents(&entry.path);
            self.visible.push(entry.path, placed);
        }
        self.visible.end_run();
        self.hidden.extend(whiteouts);
        self.opaque.extend(opaque);
        Ok(dangling)
    }

    /// Makes a dangling link a name of the file that `lower`, a view of the layers below it, has at its target. Without
    /// one the link stays dangling, and [`Overlay::into_tree`] refuses it.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) for a link that would change its file.
    pub fn resolve(&mut self, link: &Dangling, mut lower: Overlay) -> Result<()> {
        let found = lower.visible.remove(&link.target).filter(|found| found.kind != EntryKind::Directory);
        let Some(found) = found else { return Ok(()) };
        if !link.meta.leaves_file_as_it_is(&found.meta) {
            let file = shown(&link.target);
            let what =
                format!("a hard link with another owner, mode or attribute than its file in a lower layer, {file}");
            return Err(Error::malformed(what).at(shown(&link.path)));
        }
        if let Some(placed) = self.visible.get_mut(&link.path).filter(|_| !link.is_hidden) {
            self.linked.insert(found.file);
            // It lies in its own layer and in no other, whatever it names.
            *placed = Placed { layer: placed.layer, ..found };
        }
        Ok(())
    }

    /// Whether something can be seen at `path`.
    pub fn shows(&self, path: &[u8]) -> bool {
        self.visible.contains(path)
    }

    /// Size and place (layer, offset) of the regular file at `path`.
    pub fn file(&self, path: &[u8]) -> Option<(u64, usize, u64)> {
        let placed = self.visible.get(path).filter(|placed| placed.kind == EntryKind::File)?;
        Some((placed.size, placed.content.0, placed.content.1))
    }

    /// Whether no lower layer can add anything.
    pub fn is_complete(&self) -> bool {
        self.wanted.roots.iter().all(|root| self.is_root_settled(root))
    }

    fn is_root_settled(&self, root: &[u8]) -> bool {
        let not_a_directory = self.visible.get(root).is_some_and(|placed| placed.kind != EntryKind::Directory);
        let covered = |dir: &[u8]| self.opaque.contains(dir) || self.hidden.contains(dir);
        // An opaque directory without an entry in its layer has its mode and owner from a lower one.
        let is_remade = self.opaque.contains(root) && self.visible.contains(root);
        not_a_directory || is_remade || self.hidden.contains(root) || ancestors(root).any(covered)
    }

    /// Whether upper layers hide `path`, which `layer` has. Entries come sorted: once nothing was found to hide a directory
    /// (`clear`), the same holds for the entries in it that follow.
    fn is_hidden(&self, path: &[u8], layer: usize, clear: &mut Option<Box<[u8]>>) -> Result<bool> {
        if self.visible.contains(path) || self.hidden.contains(path) {
            return Ok(true);
        }
        let parent = ancestors(path).next();
        if parent.is_some() && parent == clear.as_deref() {
            return Ok(false);
        }
        for dir in ancestors(path) {
            if self.hidden.contains(dir) || self.opaque.contains(dir) {
                return Ok(true);
            }
            match self.visible.get(dir) {
                Some(above) if above.kind == EntryKind::Directory => {}
                Some(above) if above.layer == layer => return Err(below_a(dir, &above.kind)),
                Some(_) => return Ok(true),
                None => {}
            }
        }
        *clear = parent.map(Box::from);
        Ok(false)
    }

    fn imply_parents(&mut self, path: &[u8]) {
        for dir in ancestors(path) {
            if self.implied.contains(dir) {
                break;
            }
            self.implied.insert(dir.into());
        }
    }

    /// Ends the view. `layers` is where the contents of each layer's files can be read.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) if something lies below a file or a symbolic link.
    pub fn into_tree(self, layers: Vec<Option<Extent>>) -> Result<Tree> {
        for dir in &self.implied {
            if let Some(placed) = self.visible.get(dir).filter(|placed| placed.kind != EntryKind::Directory) {
                return Err(below_a(dir, &placed.kind));
            }
        }
        let mut placed = self.visible.into_list();
        placed.sort_unstable_by(|a, b| walk_order(&a.0, &b.0));
        // Names of one file under different roots are apart: one root may be encrypted and the other not.
        let mut first_names: HashMap<(FileId, Option<usize>), usize> = HashMap::new();
        let mut nodes = Vec::new();
        for (path, placed) in Shrinking::of(placed) {
            let kind = match placed.kind {
                EntryKind::File => {
                    let (layer, offset) = placed.content;
                    let root = self.wanted.roots.iter().position(|root| is_below(&path, root));
                    let first = match self.linked.contains(&placed.file) {
                        true => *first_names.entry((placed.file, root)).or_insert(nodes.len()),
                        false => nodes.len(),
                    };
                    match first == nodes.len() {
                        true => NodeKind::File { size: placed.size, content: Content::Layer { layer, offset } },
                        false => NodeKind::Link(first),
                    }
                }
                EntryKind::HardLink(target) => {
                    let what = format!("a hard link to {}, which does not exist", shown(&target));
                    return Err(Error::malformed(what).at(shown(&path)));
                }
                EntryKind::Sparse => return Err(sparse(&path)),
                EntryKind::Symlink(target) => NodeKind::Symlink(target),
                EntryKind::Directory => NodeKind::Directory,
                EntryKind::Fifo => NodeKind::Fifo,
                EntryKind::Device { character, number } => NodeKind::Device(character, number),
            };
            nodes.push(Node { path, kind, meta: placed.meta });
        }
        Ok(Tree::in_order(nodes, layers))
    }
}

impl Placed {
    /// Hard links share everything but the name.
    fn become_name_of(&mut self, file: LinkedFile, layer: usize, contents: usize) {
        self.kind = file.kind;
        self.meta = file.meta;
        self.size = file.size;
        self.file = (layer, file.position);
        self.content = (contents, file.offset);
    }
}

/// The error of more files than are wanted.
pub(crate) fn too_many_files(most: usize) -> Error {
    Error::malformed(format!("more than {most} files, which is the limit")).advise(Advice::RaiseMaxFiles)
}

fn below_a(dir: &[u8], kind: &EntryKind) -> Error {
    Error::malformed(format!("{}, with files below", kind.name())).at(shown(dir))
}

fn sparse(path: &[u8]) -> Error {
    Error::malformed("a sparse file in a form that is not supported")
        .hint("write the layer without sparse files")
        .at(shown(path))
}

/// The targets of hard links among `entries` that the view is not about: their layer must be read once more for them.
pub(crate) fn targets_outside(wanted: &PathFilter, entries: &[Entry]) -> Option<PathFilter> {
    let mut outside = entries.iter().filter_map(Entry::link_target).filter(|target| !wanted.has(target)).peekable();
    outside.peek()?;
    Some(wanted.with(outside.map(Box::from)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn entry(path: &str, kind: EntryKind, meta: Meta) -> Entry {
        Entry { path: path.as_bytes().into(), kind, meta, size: 0, offset: 0, exact: true, position: 1 }
    }

    /// A link in the upper layer to a file in the lower one.
    fn linked(link: Meta, file: Meta) -> Result<()> {
        let mut view = Overlay::new(PathFilter::new([&b"r"[..]]));
        let dangling = view.push_lower(1, 1, vec![entry("r/x", EntryKind::HardLink(b"bin/sh"[..].into()), link)])?;
        let mut lower = Overlay::new(PathFilter::new([&b"bin/sh"[..]]));
        lower.push_lower(0, 0, vec![entry("bin/sh", EntryKind::File, file)])?;
        view.resolve(&dangling[0], lower)
    }

    #[test]
    fn a_link_cannot_change_a_file_of_a_lower_layer() {
        let meta = |mode, uid, pax: &[(&str, &str)]| {
            let pax = pax.iter().map(|(key, value)| (key.as_bytes().into(), value.as_bytes().into())).collect();
            Meta { uid, pax, ..Meta::new(mode, 0) }
        };
        let capability = [("SCHILY.xattr.security.capability", "x")];
        linked(meta(0o755, 0, &[("mtime", "1.5")]), meta(0o755, 0, &[])).unwrap();
        linked(meta(0o755, 0, &[]), meta(0o755, 0, &capability)).unwrap();
        for link in [meta(0o4755, 0, &[]), meta(0o755, 1000, &[]), meta(0o755, 0, &capability)] {
            assert_eq!(linked(link.clone(), meta(0o755, 0, &[])).unwrap_err().kind(), Kind::Malformed, "{link:?}");
        }
        // Whether anything is left of it or not.
        for (mode, right) in [(0o4755, false), (0o755, true)] {
            let mut view = Overlay::new(PathFilter::new([&b""[..]]));
            view.push_lower(2, 2, vec![entry(".wh.zz", EntryKind::File, Meta::default())]).unwrap();
            let hidden = vec![entry("zz", EntryKind::HardLink(b"bin/sh"[..].into()), meta(mode, 0, &[]))];
            let dangling = view.push_lower(1, 1, hidden).unwrap();
            let mut lower = Overlay::new(PathFilter::new([&b"bin/sh"[..]]));
            lower.push_lower(0, 0, vec![entry("bin/sh", EntryKind::File, meta(0o755, 0, &[]))]).unwrap();
            assert_eq!(view.resolve(&dangling[0], lower).is_ok(), right, "{mode:o}");
            assert!(!view.shows(b"zz"));
        }
    }
}
