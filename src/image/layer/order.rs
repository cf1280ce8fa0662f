//! The order of entries in a layer. Engines unpack one entry after the other, some onto the layers below, others into a
//! directory for each layer; a view keeps what each path has in the end. Where these three could differ, the layer is
//! refused.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::BuildHasher;
use std::ops::Bound;

use crate::error::{Error, ErrorContext, Result};
use crate::image::changeset::{Mark, is_aufs_link, mark_of};
use crate::path::{ancestors, is_below, shown};
use crate::tar::{Entry, EntryKind};

/// The most entries of one layer, unless more files are wanted: bounds memory on hostile images, some 20 bytes each.
const MAX_ENTRIES: usize = 1 << 21;
/// The most directories of one layer that have something in them, but no entry of their own before it.
const MAX_IMPLIED: usize = 1 << 17;
/// Attributes by which overlay file systems know what is deleted or moved: to engines that use one they are whiteouts.
const OVERLAY_ATTRIBUTES: [&[u8]; 6] = [
    b"SCHILY.xattr.trusted.overlay.",
    b"SCHILY.xattr.user.overlay.",
    b"SCHILY.xattr.user.fuseoverlayfs.",
    b"LIBARCHIVE.xattr.trusted.overlay.",
    b"LIBARCHIVE.xattr.user.overlay.",
    b"LIBARCHIVE.xattr.user.fuseoverlayfs.",
];

/// Directories that a layer has something in without an entry for them before it. If a lower layer has a link there, some
/// engines write through it.
#[derive(Debug, Clone, Default)]
pub struct ImpliedDirs(BTreeSet<Box<[u8]>>);

impl ImpliedDirs {
    /// True if every implied directory has been found to be one.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn below<'a>(&'a self, path: &[u8]) -> impl Iterator<Item = &'a Box<[u8]>> {
        let (first, end) = ([path, b"/"].concat(), [path, b"0"].concat()); // `0` follows `/`
        self.0.range::<[u8], _>((Bound::Included(&*first), Bound::Excluded(&*end)))
    }
}

/// A layer's content at a path, so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PathState {
    /// A directory, with a hash of its metadata.
    Directory(u32),
    /// A directory without an entry so far.
    Implied,
    /// Anything else, with a hash of the owner and mode that its further names have as well.
    Other(u32),
    /// It is removed from the layers below.
    Removed,
}

/// Looks at the entries of a layer in their order.
pub(super) struct LayerOrder<'a> {
    /// By a hash of the path, with a key that nobody knows: names take ten times the memory.
    seen: HashMap<u64, PathState>,
    hasher: RandomState,
    /// The files that have attributes, and a hash of them.
    attributes: HashMap<u64, u64>,
    /// Targets of hard links that this layer does not have.
    targets: HashSet<u64>,
    opaque: Vec<Box<[u8]>>,
    implied: BTreeSet<Box<[u8]>>,
    /// Those of the layers above.
    above: &'a ImpliedDirs,
    settled: BTreeSet<Box<[u8]>>,
    most: usize,
}

impl<'a> LayerOrder<'a> {
    /// Begins a layer; the layers above have passed through the directories `above`.
    pub(super) fn new(above: &'a ImpliedDirs) -> Self {
        let (seen, hasher, attributes, targets, opaque, implied, settled) = Default::default();
        LayerOrder { seen, hasher, attributes, targets, opaque, implied, above, settled, most: MAX_ENTRIES }
    }

    /// The same where so many files, and as many directories, are wanted.
    pub(super) fn for_files(self, max_files: usize) -> Self {
        LayerOrder { most: MAX_ENTRIES.max(max_files.saturating_mul(2)), ..self }
    }

    /// The next entry.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) if engines could make different files of the layer.
    pub(super) fn add(&mut self, entry: &Entry) -> Result<()> {
        self.look(entry).at(shown(&entry.path))
    }

    /// The directories that this layer and those above it pass through and that are still to be found in lower ones.
    pub(super) fn finish(mut self) -> ImpliedDirs {
        let left = self.above.0.difference(&self.settled).cloned();
        self.implied.extend(left);
        ImpliedDirs(self.implied)
    }

    fn look(&mut self, entry: &Entry) -> Result<()> {
        if self.seen.len() > self.most || self.implied.len() > MAX_IMPLIED {
            return Err(Error::malformed(format!("more than {} entries in one layer", self.most)));
        }
        ensure_no_overlay_mark(entry)?;
        self.pass_through(&entry.path)?;
        match mark_of(&entry.path) {
            Some(Mark::Whiteout(hidden)) => self.remove(&hidden),
            Some(Mark::Opaque(b"")) => {
                Err(Error::malformed("an opaque whiteout of the root: engines do not agree on what that hides"))
            }
            Some(Mark::Opaque(dir)) => {
                self.settled.extend(self.above.0.iter().filter(|implied| is_below(implied, dir)).cloned());
                self.opaque.push(dir.into());
                Ok(())
            }
            Some(Mark::Foreign) if entry.kind == EntryKind::File && is_aufs_link(&entry.path) => {
                let state = PathState::Other(self.hash_of_meta(entry, false));
                match self.seen.insert(self.key(&entry.path), state) {
                    None => Ok(()),
                    Some(_) => Err(Error::malformed("appears twice in one layer")),
                }
            }
            Some(Mark::Foreign | Mark::Below) => Ok(()),
            None if entry.path.is_empty() => Ok(()), // the root itself
            None => self.place(entry),
        }
    }

    /// All above the entry are directories.
    fn pass_through(&mut self, path: &[u8]) -> Result<()> {
        for dir in ancestors(path) {
            let key = self.key(dir);
            match self.seen.get(&key) {
                // What lies above it was looked at when it came.
                Some(PathState::Directory(_) | PathState::Implied) => break,
                Some(PathState::Other(_)) => {
                    let what = format!("lies below {}, which is not a directory in the same layer", shown(dir));
                    return Err(Error::malformed(what));
                }
                Some(PathState::Removed) => return Err(removed_and_there(dir)),
                None => {
                    self.seen.insert(key, PathState::Implied);
                    self.imply(dir);
                }
            }
        }
        Ok(())
    }

    fn imply(&mut self, dir: &[u8]) {
        // A directory of AUFS's own is in no image.
        if !dir.starts_with(b".wh..wh.") && !self.opaque.iter().any(|opaque| is_below(dir, opaque)) {
            self.implied.insert(dir.into());
        }
    }

    fn remove(&mut self, hidden: &[u8]) -> Result<()> {
        let name = hidden.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        if matches!(name, b"" | b"." | b"..") {
            return Err(Error::malformed("a whiteout without a name"));
        }
        if self.seen.insert(self.key(hidden), PathState::Removed).is_some() {
            return Err(removed_and_there(hidden));
        }
        self.settled.extend(self.above.0.get(hidden).cloned());
        self.settled.extend(self.above.below(hidden).cloned());
        Ok(())
    }

    fn place(&mut self, entry: &Entry) -> Result<()> {
        let key = self.key(&entry.path);
        if self.targets.contains(&key) {
            return Err(Error::malformed("comes after a hard link to it in the same layer"));
        }
        let now = match &entry.kind {
            EntryKind::Directory => PathState::Directory(self.hash_of_meta(entry, true)),
            EntryKind::HardLink(target) => self.link(entry, target)?,
            _ => PathState::Other(self.hash_of_meta(entry, false)),
        };
        let is_directory = entry.kind == EntryKind::Directory;
        match self.seen.insert(key, now) {
            None => {}
            Some(PathState::Implied) if is_directory => {}
            Some(before @ PathState::Directory(_)) if before == now => {}
            Some(PathState::Removed) if !is_directory => {}
            Some(PathState::Removed) => return Err(removed_and_there(&entry.path)),
            Some(PathState::Implied) => return Err(Error::malformed("comes after entries below it in the same layer")),
            Some(_) => return Err(Error::malformed("appears twice in one layer")),
        }
        if let Some(attributes) = self.hash_of_attributes(entry) {
            self.attributes.insert(key, attributes);
        }
        self.finish_entry(entry)
    }

    /// Settles the directories that the layers above have passed through here.
    fn finish_entry(&mut self, entry: &Entry) -> Result<()> {
        if self.above.is_empty() {
            return Ok(());
        }
        let is_directory = entry.kind == EntryKind::Directory;
        if let Some(dir) = self.above.0.get(&entry.path) {
            if !is_directory {
                let what = format!("is {}, but a layer above has entries below it", entry.kind.name());
                return Err(Error::malformed(what));
            }
            self.settled.insert(dir.clone());
        } else if !is_directory {
            // A layer in between has put a directory in its place.
            self.settled.extend(self.above.below(&entry.path).cloned());
        }
        Ok(())
    }

    /// Names of one file have one owner and one mode, and no attributes but the file's. Engines give the file those of the last name, or of the first.
    fn link(&mut self, entry: &Entry, target: &[u8]) -> Result<PathState> {
        let key = self.key(target);
        match self.seen.get(&key) {
            Some(&PathState::Other(meta)) => {
                if meta != self.hash_of_meta(entry, false) {
                    let what = format!("a hard link with another owner or mode than its file, {}", shown(target));
                    return Err(Error::malformed(what));
                }
                // Most archivers write them with the file alone.
                let own = self.hash_of_attributes(entry);
                if own.is_some() && own.as_ref() != self.attributes.get(&key) {
                    let what = format!("a hard link with other attributes than its file, {}", shown(target));
                    return Err(Error::malformed(what));
                }
                return Ok(PathState::Other(meta));
            }
            Some(PathState::Removed) => return Err(removed_and_there(target)),
            Some(_) => return Err(Error::malformed(format!("a hard link to the directory {}", shown(target)))),
            None if is_aufs_link(target) => {
                return Err(Error::malformed(format!(
                    "a hard link to {}, which does not come before it",
                    shown(target)
                )));
            }
            None => {}
        }
        self.targets.insert(key);
        for dir in ancestors(target) {
            match self.seen.get(&self.key(dir)) {
                Some(PathState::Directory(_) | PathState::Implied) => break,
                Some(_) => return Err(Error::malformed(format!("a hard link through {}", shown(dir)))),
                None => self.imply(dir),
            }
        }
        Ok(PathState::Other(self.hash_of_meta(entry, false)))
    }

    fn key(&self, path: &[u8]) -> u64 {
        self.hasher.hash_one(path)
    }

    fn hash_of_attributes(&self, entry: &Entry) -> Option<u64> {
        let mut attributes: Vec<_> = entry.meta.attributes().collect();
        attributes.sort();
        (!attributes.is_empty()).then(|| self.hasher.hash_one(attributes))
    }

    fn hash_of_meta(&self, entry: &Entry, whole: bool) -> u32 {
        let meta = &entry.meta;
        let owner = (meta.permissions(), meta.uid, meta.gid);
        let hash = if whole { self.hasher.hash_one((owner, &meta.pax)) } else { self.hasher.hash_one(owner) };
        hash as u32
    }
}

fn removed_and_there(path: &[u8]) -> Error {
    Error::malformed(format!("{} is both removed by a whiteout and present in the same layer", shown(path)))
}

fn ensure_no_overlay_mark(entry: &Entry) -> Result<()> {
    if (EntryKind::Device { character: true, number: (0, 0) }) == entry.kind {
        return Err(Error::malformed("the character device 0:0, which some engines take for a whiteout"));
    }
    let is_mark = |key: &[u8]| OVERLAY_ATTRIBUTES.iter().any(|mark| key.starts_with(mark));
    match entry.meta.pax.iter().any(|(key, _)| is_mark(key)) {
        true => Err(Error::malformed("an attribute of an overlay file system, which some engines take for a whiteout")),
        false => Ok(()),
    }
}
