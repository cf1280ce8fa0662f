//! The merged view of a stack of layers, as a pure function of their entries (OCI image specification, layer:
//! applying changesets, whiteouts).
//!
//! Layers are given from the top down, so that reading can stop as soon as nothing below can be seen any more. A
//! whiteout or an opaque marker hides what lies in lower layers, never what its own layer holds.

use std::collections::{HashMap, HashSet, hash_map};

use super::layer::{Entry, Kind, Meta};
use super::tree::{Content, Node, NodeKind, Tree, is_below, shown};
use crate::error::{Error, Result};
use crate::store::Extent;

/// How the name of a whiteout begins.
const WHITEOUT: &[u8] = b".wh.";
/// The whiteout that hides everything its directory has in lower layers.
pub const OPAQUE: &[u8] = b".wh..wh..opq";
/// The most entries that one view may have: bounds memory on hostile images.
const MAX_ENTRIES: usize = 1 << 20;

/// Which paths of an image a view is about: whole directories or single files.
#[derive(Debug, Clone)]
pub struct Wanted {
    roots: Vec<Box<[u8]>>,
    also: HashSet<Box<[u8]>>,
}

impl Wanted {
    /// The given normalised paths and everything below them.
    pub fn new<'a>(roots: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Wanted { roots: roots.into_iter().map(Box::from).collect(), also: HashSet::new() }
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
            Some(Mark::Foreign) => false,
            None => self.has(path),
        }
    }

    fn with(&self, also: impl IntoIterator<Item = Box<[u8]>>) -> Self {
        Wanted { roots: self.roots.clone(), also: also.into_iter().collect() }
    }
}

/// What a name that begins with `.wh.` stands for.
enum Mark<'a> {
    /// The directory's contents in lower layers are hidden.
    Opaque(&'a [u8]),
    /// This path of lower layers is hidden.
    Whiteout(Box<[u8]>),
    /// Something of AUFS that has no meaning in an image.
    Foreign,
}

fn mark_of(path: &[u8]) -> Option<Mark<'_>> {
    let (dir, name) = match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&[][..], path),
    };
    let hidden = name.strip_prefix(WHITEOUT)?;
    Some(match hidden {
        _ if name == OPAQUE => Mark::Opaque(dir),
        _ if hidden.starts_with(WHITEOUT) => Mark::Foreign,
        _ if dir.is_empty() => Mark::Whiteout(hidden.into()),
        _ => Mark::Whiteout([dir, b"/", hidden].concat().into()),
    })
}

/// An entry that can be seen, and the layer it comes from.
struct Placed {
    kind: Kind,
    meta: Meta,
    size: u64,
    layer: usize,
    /// Layer and offset of the contents.
    content: (usize, u64),
    /// What makes two names of one layer one file.
    identity: u64,
}

/// A hard link whose file is not in its own layer's wanted entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dangling {
    /// The link.
    pub path: Box<[u8]>,
    /// The file that it names.
    pub target: Box<[u8]>,
    /// The layer that it is in.
    pub layer: usize,
}

/// A merged view while it is put together from the top down.
pub struct Overlay {
    wanted: Wanted,
    visible: HashMap<Box<[u8]>, Placed>,
    /// Directories that something visible lies in.
    implied: HashSet<Box<[u8]>>,
    hidden: HashSet<Box<[u8]>>,
    opaque: HashSet<Box<[u8]>>,
}

impl Overlay {
    /// An empty view of `wanted`.
    pub fn new(wanted: Wanted) -> Self {
        let (visible, implied, hidden, opaque) = Default::default();
        Overlay { wanted, visible, implied, hidden, opaque }
    }

    /// What the view is about.
    pub fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// Puts the next lower layer under what is there: its entries that [matter](Wanted::matters), in their order.
    /// Returns the visible hard links whose file is not among these entries.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) for a layer that no file system could hold: entries below a
    /// file or a symbolic link, bare whiteouts, too many entries.
    pub fn put_under(&mut self, layer: usize, entries: Vec<Entry>) -> Result<Vec<Dangling>> {
        if self.visible.len() + entries.len() > MAX_ENTRIES {
            return Err(Error::malformed(format!("more than {MAX_ENTRIES} entries under the train's paths")));
        }
        let Changeset { files, whiteouts, opaque } = Changeset::collapse(entries)?;
        let links = Links::of(&files);
        let mut dangling = Vec::new();
        for (_, entry) in files {
            // Targets of hard links were read along; they are not part of the view.
            if !self.wanted.has(&entry.path) || self.is_hidden(&entry.path, layer)? {
                continue;
            }
            let mut placed = Placed {
                size: entry.size,
                content: (layer, entry.offset),
                identity: entry.identity,
                kind: entry.kind,
                meta: entry.meta,
                layer,
            };
            if let Kind::HardLink(target) = &placed.kind {
                match links.resolve(target) {
                    Some(file) => placed.become_name_of(file, layer),
                    None => {
                        let (path, target) = (entry.path.clone(), target.clone());
                        dangling.push(Dangling { path, target, layer });
                    }
                }
            }
            self.imply_parents(&entry.path);
            self.visible.insert(entry.path, placed);
        }
        self.hidden.extend(whiteouts);
        self.opaque.extend(opaque);
        Ok(dangling)
    }

    /// Makes a dangling link a name of `file`, which was found in `layer`.
    pub fn resolve(&mut self, link: &Dangling, file: &Entry, layer: usize) {
        if let Some(placed) = self.visible.get_mut(&link.path) {
            placed.kind = file.kind.clone();
            placed.meta = file.meta.clone();
            placed.size = file.size;
            placed.content = (layer, file.offset);
            placed.identity = file.identity;
        }
    }

    /// Whether something can be seen at `path`.
    pub fn shows(&self, path: &[u8]) -> bool {
        self.visible.contains_key(path)
    }

    /// Size and place (layer, offset) of the regular file at `path`.
    pub fn file(&self, path: &[u8]) -> Option<(u64, usize, u64)> {
        let placed = self.visible.get(path).filter(|placed| placed.kind == Kind::File)?;
        Some((placed.size, placed.content.0, placed.content.1))
    }

    /// Whether no lower layer can add anything.
    pub fn is_settled(&self) -> bool {
        self.wanted.roots.iter().all(|root| self.is_root_settled(root))
    }

    fn is_root_settled(&self, root: &[u8]) -> bool {
        let not_a_directory = self.visible.get(root).is_some_and(|placed| placed.kind != Kind::Directory);
        let covered = |dir: &[u8]| self.opaque.contains(dir) || self.hidden.contains(dir);
        not_a_directory || covered(root) || ancestors(root).any(covered)
    }

    /// Whether upper layers hide `path`, which `layer` has.
    fn is_hidden(&self, path: &[u8], layer: usize) -> Result<bool> {
        if self.visible.contains_key(path) || self.hidden.contains(path) {
            return Ok(true);
        }
        for dir in ancestors(path) {
            if self.hidden.contains(dir) || self.opaque.contains(dir) {
                return Ok(true);
            }
            match self.visible.get(dir) {
                Some(above) if above.kind == Kind::Directory => {}
                Some(above) if above.layer == layer => return Err(below_a(dir, &above.kind)),
                Some(_) => return Ok(true),
                None => {}
            }
        }
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
            if let Some(placed) = self.visible.get(dir).filter(|placed| placed.kind != Kind::Directory) {
                return Err(below_a(dir, &placed.kind));
            }
        }
        let mut placed: Vec<(Box<[u8]>, Placed)> = self.visible.into_iter().collect();
        placed.sort_by(|a, b| super::tree::walk_order(&a.0, &b.0));
        // Names of one file under different roots are apart: one root may be encrypted and the other not.
        let mut first_names: HashMap<(usize, u64, Option<usize>), usize> = HashMap::new();
        let mut nodes = Vec::with_capacity(placed.len());
        for (path, placed) in placed {
            let kind = match placed.kind {
                Kind::File => {
                    let (layer, offset) = placed.content;
                    let root = self.wanted.roots.iter().position(|root| is_below(&path, root));
                    match first_names.entry((layer, placed.identity, root)) {
                        hash_map::Entry::Occupied(first) => NodeKind::Link(*first.get()),
                        hash_map::Entry::Vacant(vacant) => {
                            vacant.insert(nodes.len());
                            NodeKind::File { size: placed.size, content: Content::Layer { layer, offset } }
                        }
                    }
                }
                Kind::HardLink(target) => {
                    let what = format!("a hard link to {}, which is not there", shown(&target));
                    return Err(Error::malformed(what).at(shown(&path)));
                }
                Kind::Sparse => return Err(sparse(&path)),
                Kind::Symlink(target) => NodeKind::Symlink(target),
                Kind::Directory => NodeKind::Directory,
                Kind::Fifo => NodeKind::Fifo,
                Kind::Device { character, number } => NodeKind::Device(character, number),
            };
            nodes.push(Node { path, kind, meta: placed.meta });
        }
        Ok(Tree::new(nodes, layers))
    }
}

impl Placed {
    /// Hard links share everything but the name.
    fn become_name_of(&mut self, file: &LinkTarget, layer: usize) {
        self.kind = file.kind.clone();
        self.meta = file.meta.clone();
        self.size = file.size;
        self.content = (layer, file.offset);
        self.identity = file.identity;
    }
}

fn below_a(dir: &[u8], kind: &Kind) -> Error {
    Error::malformed(format!("something lies below it, but it is {}", kind.name())).at(shown(dir))
}

fn sparse(path: &[u8]) -> Error {
    Error::malformed("a sparse file; this program cannot read its form")
        .hint("write the layer without sparse files")
        .at(shown(path))
}

/// The directories above `path`, nearest first, the root left out.
fn ancestors(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = path;
    std::iter::from_fn(move || {
        let slash = rest.iter().rposition(|&byte| byte == b'/')?;
        rest = &rest[..slash];
        Some(rest)
    })
}

/// One layer, put in order: the last entry of each path, directories first, and what it hides below.
struct Changeset {
    /// With the position in the archive.
    files: Vec<(usize, Entry)>,
    whiteouts: Vec<Box<[u8]>>,
    opaque: Vec<Box<[u8]>>,
}

impl Changeset {
    fn collapse(entries: Vec<Entry>) -> Result<Self> {
        let (mut whiteouts, mut opaque) = (Vec::new(), Vec::new());
        let mut files = Vec::with_capacity(entries.len());
        for (position, entry) in entries.into_iter().enumerate() {
            match mark_of(&entry.path) {
                Some(Mark::Whiteout(hidden)) if hidden.is_empty() || hidden.ends_with(b"/") => {
                    return Err(Error::malformed("a whiteout without a name").at(shown(&entry.path)));
                }
                Some(Mark::Whiteout(hidden)) => whiteouts.push(hidden),
                Some(Mark::Opaque(dir)) => opaque.push(dir.into()),
                Some(Mark::Foreign) => {}
                None if entry.path.is_empty() => {} // the root itself
                None => files.push((position, entry)),
            }
        }
        // Extracting goes through the archive from the beginning, so of two entries at one path the last stays.
        files.sort_by(|a, b| a.1.path.cmp(&b.1.path).then(b.0.cmp(&a.0)));
        files.dedup_by(|later, first| later.1.path == first.1.path);
        Ok(Changeset { files, whiteouts, opaque })
    }
}

/// The files that hard links of one layer name.
struct Links(HashMap<Box<[u8]>, LinkTarget>);

struct LinkTarget {
    kind: Kind,
    meta: Meta,
    size: u64,
    offset: u64,
    identity: u64,
}

impl Links {
    fn of(files: &[(usize, Entry)]) -> Self {
        let targets: HashSet<&[u8]> = files.iter().filter_map(|(_, entry)| target_of(entry)).collect();
        let named = files.iter().filter(|(_, entry)| targets.contains(&*entry.path));
        let target = |entry: &Entry| LinkTarget {
            kind: entry.kind.clone(),
            meta: entry.meta.clone(),
            size: entry.size,
            offset: entry.offset,
            identity: entry.identity,
        };
        Links(named.map(|(_, entry)| (entry.path.clone(), target(entry))).collect())
    }

    /// Follows links to links; a circle is as good as nothing.
    fn resolve(&self, target: &[u8]) -> Option<&LinkTarget> {
        let mut found = self.0.get(target)?;
        for _ in 0..self.0.len() {
            match &found.kind {
                Kind::HardLink(further) => found = self.0.get(further)?,
                Kind::Directory => return None,
                _ => return Some(found),
            }
        }
        None
    }
}

fn target_of(entry: &Entry) -> Option<&[u8]> {
    match &entry.kind {
        Kind::HardLink(target) => Some(target),
        _ => None,
    }
}

/// The targets of hard links among `entries` that the view is not about: their layer must be read once more for them.
pub fn targets_outside(wanted: &Wanted, entries: &[Entry]) -> Option<Wanted> {
    let mut outside = entries.iter().filter_map(target_of).filter(|target| !wanted.has(target)).peekable();
    outside.peek()?;
    Some(wanted.with(outside.map(Box::from)))
}
