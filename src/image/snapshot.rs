//! What an image shows, with digests in the place of contents, so that two images can be compared while neither is
//! kept.

use super::changeset::{Mark, mark_of};
use super::document::Image;
use super::layer::{ImpliedDirs, digest_files};
use super::overlay::{Dangling, Overlay, PathFilter, targets_outside};
use super::tree::{Content, NodeKind, Tree};
use super::view::MAX_LINK_CHAIN;
use crate::error::{Error, ErrorContext, Result};
use crate::path::{ancestors, is_below};
use crate::tar::{Entry, EntryKind, Meta, PaxRecords};

/// The number of hard links to files of lower layers that are followed; no builder of images writes even one.
const MAX_LINKS_DOWN: usize = 1000;
/// What PAX records have to be alike, by the beginning of their keywords: extended attributes and ACLs. Others tell of
/// the file system that an archive was made from.
const ATTRIBUTES: [&[u8]; 3] = [b"SCHILY.xattr.", b"LIBARCHIVE.xattr.", b"SCHILY.acl."];

/// The state of one path in an image.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileRecord {
    /// Normalised path, relative to the root of the image.
    pub path: Box<[u8]>,
    /// The file, directory or other node.
    pub kind: FileRecordKind,
    /// Permission bits with set-user-ID, set-group-ID and sticky bit.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u64, u64),
    /// Extended attributes and ACLs as PAX records, sorted.
    pub attributes: PaxRecords,
}

/// The node at a path, contents as their digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileRecordKind {
    /// A regular file.
    File {
        /// Bytes of contents.
        size: u64,
        /// Their SHA-256.
        digest: [u8; 32],
        /// If it is a further name of a file: the position of the first one.
        first_name: Option<usize>,
    },
    /// A symbolic link, its target as it stands.
    Symlink(Box<[u8]>),
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
    /// A character (`true`) or block device with its major and minor number.
    Device(bool, (u32, u32)),
}

impl FileRecordKind {
    /// The name of the kind in messages.
    pub fn name(&self) -> &'static str {
        match self {
            FileRecordKind::File { .. } => "a regular file",
            FileRecordKind::Symlink(_) => "a symbolic link",
            FileRecordKind::Directory => "a directory",
            FileRecordKind::Fifo => "a named pipe",
            FileRecordKind::Device(true, _) => "a character device",
            FileRecordKind::Device(false, _) => "a block device",
        }
    }
}

/// Reads all layers of `image`, each verified against its digests: what they together show, in walk order. Directories
/// that have no entry of their own are as engines make them: root's, with mode 0755. Contents are never held, nor
/// spooled; names are, so memory grows with their number, by less than a kilobyte each.
///
/// # Errors
/// A layer that is not what descriptor and image config say; what no file system could hold.
pub fn snapshot(image: &Image) -> Result<Vec<FileRecord>> {
    snapshot_above(image, 0, &mut |_| {})
}

/// [`snapshot`] of the layers from number `floor` on, as if there were none below; `change` is called with what they do to
/// those.
///
/// # Errors
/// As [`snapshot`], and hard links to files of the layers below.
pub fn snapshot_above(image: &Image, floor: usize, change: &mut dyn FnMut(LayerChange<'_>)) -> Result<Vec<FileRecord>> {
    let mut digests = Vec::new();
    let mut overlay = Overlay::new(PathFilter::new([&b""[..]]));
    let mut links = LinksDown::default();
    let mut implied = ImpliedDirs::default();
    for layer in (floor..image.layers().len()).rev() {
        let entries = read_layer(image, layer, &mut digests, &mut implied)?;
        entries.iter().for_each(|entry| report(entry, change));
        let place = || format!("layer {}", image.layers()[layer].digest());
        links.look(layer, &entries).at(place())?;
        links.follow(None, overlay.push_lower(layer, 0, entries).at(place())?).at(place())?;
    }
    // Nothing of the layers below is wanted, but whether they have links that were written through.
    for layer in (0..floor).rev() {
        if implied.is_empty() {
            break;
        }
        read_layer(image, layer, &mut Vec::new(), &mut implied)?;
    }
    links.resolve(&mut overlay)?;
    seen_in(&overlay.into_tree(Vec::new())?, &digests)
}

/// The effect of a layer's entry on the layers below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LayerChange<'a> {
    /// Something is at this path.
    Entry(&'a [u8], &'a EntryKind),
    /// The path is removed, with all below it.
    Removed(&'a [u8]),
    /// All that the directory held is removed.
    Emptied(&'a [u8]),
}

/// Calls `change` with what layer number `layer` of `image` does to those below it. The layer is read to its end and
/// verified.
///
/// # Errors
/// As [`snapshot`].
pub fn layer_changes(image: &Image, layer: usize, change: &mut dyn FnMut(LayerChange<'_>)) -> Result<()> {
    let entries = read_layer(image, layer, &mut Vec::new(), &mut ImpliedDirs::default())?;
    entries.iter().for_each(|entry| report(entry, change));
    Ok(())
}

fn report(entry: &Entry, change: &mut dyn FnMut(LayerChange<'_>)) {
    match mark_of(&entry.path) {
        Some(Mark::Whiteout(hidden)) => change(LayerChange::Removed(&hidden)),
        Some(Mark::Opaque(dir)) => change(LayerChange::Emptied(dir)),
        Some(Mark::Foreign) => {}
        Some(Mark::Below) | None => change(LayerChange::Entry(&entry.path, &entry.kind)),
    }
}

fn read_layer(
    image: &Image,
    layer: usize,
    digests: &mut Vec<[u8; 32]>,
    implied: &mut ImpliedDirs,
) -> Result<Vec<Entry>> {
    let (descriptor, diff_id) = (&image.layers()[layer], &image.diff_ids()[layer]);
    digest_files(image.source(), descriptor, diff_id, digests, implied).at(image.source().name())
}

/// Hard links to files of lower layers, each with the view of those layers at its target.
#[derive(Default)]
struct LinksDown(Vec<LinkDown>);

struct LinkDown {
    link: Dangling,
    lower: Overlay,
    /// The link in whose view it is: a link to a link.
    parent: Option<usize>,
}

impl LinksDown {
    fn follow(&mut self, parent: Option<usize>, links: Vec<Dangling>) -> Result<()> {
        if self.0.len() + links.len() > MAX_LINKS_DOWN {
            return Err(Error::malformed(format!("more than {MAX_LINKS_DOWN} hard links to files of lower layers")));
        }
        let lower = |link: &Dangling| Overlay::new(PathFilter::new([&*link.target]));
        self.0.extend(links.into_iter().map(|link| LinkDown { lower: lower(&link), link, parent }));
        Ok(())
    }

    /// The entries of the next lower layer.
    fn look(&mut self, layer: usize, entries: &[Entry]) -> Result<()> {
        for at in 0..self.0.len() {
            let LinkDown { link, lower, .. } = &mut self.0[at];
            if lower.shows(&link.target) || lower.is_complete() {
                continue;
            }
            let further = lower.push_lower(layer, 0, entries_about(lower.wanted(), entries)?)?;
            self.follow(Some(at), further)?;
        }
        Ok(())
    }

    fn resolve(mut self, overlay: &mut Overlay) -> Result<()> {
        while let Some(LinkDown { link, lower, parent }) = self.0.pop() {
            // A link in the view of another one came after it.
            match parent {
                Some(parent) => self.0[parent].lower.resolve(&link, lower)?,
                None => overlay.resolve(&link, lower)?,
            }
        }
        Ok(())
    }
}

/// The entries that matter to a view, and those that hard links among them name.
fn entries_about(wanted: &PathFilter, entries: &[Entry]) -> Result<Vec<Entry>> {
    let mut wanted = wanted.clone();
    for _ in 0..=MAX_LINK_CHAIN {
        let about: Vec<Entry> = entries.iter().filter(|entry| wanted.matters(&entry.path)).cloned().collect();
        match targets_outside(&wanted, &about) {
            Some(more) => wanted = more,
            None => return Ok(about),
        }
    }
    Err(Error::malformed(format!("hard links to hard links, more than {MAX_LINK_CHAIN} in a row")))
}

/// The nodes of a tree whose contents are positions in `digests`.
fn seen_in(tree: &Tree, digests: &[[u8; 32]]) -> Result<Vec<FileRecord>> {
    let mut seen: Vec<FileRecord> = Vec::with_capacity(tree.nodes().len());
    let mut positions = Vec::with_capacity(tree.nodes().len());
    let mut above: Vec<usize> = Vec::new();
    for node in tree.nodes() {
        while above.last().is_some_and(|&dir| !is_below(&node.path, &seen[dir].path)) {
            above.pop();
        }
        let known = above.last().map_or(0, |&dir| seen[dir].path.len());
        let missing: Vec<&[u8]> = ancestors(&node.path).take_while(|dir| dir.len() > known).collect();
        for dir in missing.into_iter().rev() {
            above.push(seen.len());
            seen.push(FileRecord::new(dir.into(), FileRecordKind::Directory, &Meta::new(0o755, 0)));
        }
        let kind = match &node.kind {
            NodeKind::Symlink(target) => FileRecordKind::Symlink(target.clone()),
            NodeKind::Directory => FileRecordKind::Directory,
            NodeKind::Fifo => FileRecordKind::Fifo,
            NodeKind::Device(character, number) => FileRecordKind::Device(*character, *number),
            NodeKind::File { .. } => file(tree.file(node), digests, None).at(node.shown())?,
            NodeKind::Link(to) => file(tree.file(node), digests, Some(positions[*to])).at(node.shown())?,
        };
        if kind == FileRecordKind::Directory {
            above.push(seen.len());
        }
        positions.push(seen.len());
        seen.push(FileRecord::new(node.path.clone(), kind, &node.meta));
    }
    Ok(seen)
}

fn file(found: Option<(u64, &Content)>, digests: &[[u8; 32]], first_name: Option<usize>) -> Result<FileRecordKind> {
    let digest = match found {
        Some((size, Content::Layer { offset, .. })) => {
            usize::try_from(*offset).ok().and_then(|at| digests.get(at)).map(|digest| (size, *digest))
        }
        _ => None,
    };
    let (size, digest) = digest.ok_or_else(|| Error::malformed("a file without contents"))?;
    Ok(FileRecordKind::File { size, digest, first_name })
}

impl FileRecord {
    fn new(path: Box<[u8]>, kind: FileRecordKind, meta: &Meta) -> Self {
        let counts = |key: &[u8]| ATTRIBUTES.iter().any(|attribute| key.starts_with(attribute));
        let mut attributes: Vec<_> = meta.pax.iter().filter(|(key, _)| counts(key)).cloned().collect();
        attributes.sort();
        // The mode of a symbolic link means nothing, and every archiver writes another one.
        let mode = if matches!(kind, FileRecordKind::Symlink(_)) { 0o777 } else { meta.permissions() };
        FileRecord { path, kind, mode, owner: (meta.uid, meta.gid), attributes: attributes.into() }
    }
}
