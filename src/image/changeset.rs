//! One layer, put in order: what it holds when all its entries have been extracted one after the other, and what it
//! hides in lower layers (OCI image specification, layer: whiteouts).

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::error::{Error, Result};
use crate::path::{ancestors, shown};
use crate::tar::{Entry, EntryKind, Meta};

/// How the name of a whiteout begins.
pub const WHITEOUT: &[u8] = b".wh.";
/// The whiteout that hides everything its directory has in lower layers.
pub const OPAQUE: &[u8] = b".wh..wh..opq";

/// Where AUFS kept files that have several names. Layers that old versions of Docker wrote on it have such a file there,
/// and hard links to it as its names; engines give each name the file, and make no such directory.
const AUFS_LINKS: &[u8] = b".wh..wh.plnk/";

/// True for a file of AUFS that hard links may name.
pub(super) fn is_aufs_link(path: &[u8]) -> bool {
    path.strip_prefix(AUFS_LINKS).is_some_and(|name| !name.is_empty() && !name.contains(&b'/'))
}

/// What a name that begins with `.wh.` stands for.
pub(super) enum Mark<'a> {
    /// The directory's contents in lower layers are hidden.
    Opaque(&'a [u8]),
    /// This path of lower layers is hidden.
    Whiteout(Box<[u8]>),
    /// Something of AUFS that has no meaning in an image.
    Foreign,
    /// An entry below a name that no directory can have in an image. Engines differ in what they make of it.
    Below,
}

pub(super) fn mark_of(path: &[u8]) -> Option<Mark<'_>> {
    let (dir, name) = match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&[][..], path),
    };
    let mut parents = dir.split(|&byte| byte == b'/');
    if parents.any(|parent| parent.starts_with(WHITEOUT)) {
        // AUFS kept hard links in such a directory, at the root.
        return Some(if path.starts_with(b".wh..wh.") { Mark::Foreign } else { Mark::Below });
    }
    let hidden = name.strip_prefix(WHITEOUT)?;
    Some(match hidden {
        _ if name == OPAQUE => Mark::Opaque(dir),
        _ if hidden.starts_with(WHITEOUT) => Mark::Foreign,
        _ if dir.is_empty() => Mark::Whiteout(hidden.into()),
        _ => Mark::Whiteout([dir, b"/", hidden].concat().into()),
    })
}

/// One layer, put in order.
pub(super) struct Changeset {
    /// The last entry of each path, directories first.
    pub files: Vec<Entry>,
    /// What the hard links among them name, by their [position](Entry::position).
    pub links: HashMap<u64, Link>,
    /// The paths of lower layers that are hidden.
    pub whiteouts: Vec<Box<[u8]>>,
    /// The directories whose contents in lower layers are hidden.
    pub opaque: Vec<Box<[u8]>>,
}

impl Changeset {
    /// Puts the entries of a layer, which are in the order of the archive, in order.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) for a whiteout of nothing, and for what lies below a whiteout.
    pub(crate) fn collapse(mut entries: Vec<Entry>) -> Result<Self> {
        let (mut whiteouts, mut opaque, mut links) = (Vec::new(), Vec::new(), HashMap::new());
        let mut names = Names::of(&entries);
        for entry in &entries {
            match mark_of(&entry.path) {
                Some(Mark::Whiteout(hidden)) if hidden.is_empty() || hidden.ends_with(b"/") => {
                    return Err(Error::malformed("a whiteout without a name").at(shown(&entry.path)));
                }
                Some(Mark::Whiteout(hidden)) => whiteouts.push(hidden),
                Some(Mark::Opaque(dir)) => opaque.push(dir.into()),
                Some(Mark::Foreign) if entry.kind == EntryKind::File && is_aufs_link(&entry.path) => {
                    names.extract(entry);
                }
                Some(Mark::Foreign) => {}
                Some(Mark::Below) => {
                    let what = "below a name that begins with `.wh.`, which no directory can have";
                    return Err(Error::malformed(what).at(shown(&entry.path)));
                }
                None if entry.path.is_empty() => {} // the root itself
                None => links.extend(names.extract(entry).map(|link| (entry.position, link))),
            }
        }
        // In place: a layer of many files has one list of them.
        entries.retain(|entry| !entry.path.is_empty() && mark_of(&entry.path).is_none());
        keep_last_of_each(&mut entries, &mut opaque);
        Ok(Changeset { files: entries, links, whiteouts, opaque })
    }
}

/// Of two entries at one path the last stays. What is not a directory removes what was there, and all below it.
fn keep_last_of_each(files: &mut Vec<Entry>, opaque: &mut Vec<Box<[u8]>>) {
    let cut = cuts(files);
    files.sort_unstable_by(|a, b| a.path.cmp(&b.path).then(b.position.cmp(&a.position)));
    files.dedup_by(|later, first| later.path == first.path);
    files.retain(|file| !ancestors(&file.path).any(|dir| cut.get(dir).is_some_and(|removed| *removed > file.position)));
    // A directory that was something else for a moment holds nothing of what lower layers have there.
    let remade = files.iter().filter(|file| file.kind == EntryKind::Directory && cut.contains_key(&file.path));
    opaque.extend(remade.map(|file| file.path.clone()));
}

/// The paths at which something was a directory and something else was not, with the last position of the latter.
fn cuts(files: &[Entry]) -> HashMap<Box<[u8]>, u64> {
    let mut directories: HashSet<&[u8]> = HashSet::new();
    for entry in files {
        if entry.kind == EntryKind::Directory {
            directories.insert(&entry.path);
        }
        for dir in ancestors(&entry.path) {
            if !directories.insert(dir) {
                break;
            }
        }
    }
    let others = files.iter().filter(|file| file.kind != EntryKind::Directory && directories.contains(&*file.path));
    others.map(|file| (file.path.clone(), file.position)).collect()
}

/// What a hard link names.
#[derive(Debug, Clone)]
pub(super) enum Link {
    /// A file of the same layer.
    Own(Box<LinkedFile>),
    /// What lower layers have at this path.
    Lower(Box<[u8]>),
    /// Something that has no further names.
    Nothing,
}

/// A file that a hard link names: all but its path.
#[derive(Debug, Clone)]
pub(super) struct LinkedFile {
    pub kind: EntryKind,
    pub meta: Meta,
    pub size: u64,
    pub offset: u64,
    pub position: u64,
}

/// What is at the targets of hard links while a layer is extracted. A link names what is there when it comes: the file
/// keeps the link as a name when its path is written anew later.
struct Names {
    targets: HashSet<Box<[u8]>>,
    there: BTreeMap<Box<[u8]>, Link>,
}

impl Names {
    fn of(entries: &[Entry]) -> Self {
        Names {
            targets: entries.iter().filter_map(Entry::link_target).map(Box::from).collect(),
            there: BTreeMap::new(),
        }
    }

    /// The next entry is extracted; what it names, if it is a hard link.
    fn extract(&mut self, entry: &Entry) -> Option<Link> {
        let link = entry.link_target().map(|target| match self.there.get(target) {
            Some(found) => found.clone(),
            None => Link::Lower(target.into()),
        });
        if self.targets.is_empty() {
            return link;
        }
        if entry.kind != EntryKind::Directory {
            self.remove_below(&entry.path);
        }
        if self.targets.contains(&entry.path) {
            let named = match (&link, &entry.kind) {
                (Some(link), _) => link.clone(),
                (None, EntryKind::Directory) => Link::Nothing,
                (None, _) => Link::Own(Box::new(LinkedFile {
                    kind: entry.kind.clone(),
                    meta: entry.meta.clone(),
                    size: entry.size,
                    offset: entry.offset,
                    position: entry.position,
                })),
            };
            self.there.insert(entry.path.clone(), named);
        }
        link
    }

    fn remove_below(&mut self, path: &[u8]) {
        let (first, end) = ([path, b"/"].concat(), [path, b"0"].concat()); // `0` follows `/`
        let below = self.there.range::<[u8], _>((std::ops::Bound::Included(&*first), std::ops::Bound::Excluded(&*end)));
        let below: Vec<Box<[u8]>> = below.map(|(path, _)| path.clone()).collect();
        for path in below {
            self.there.insert(path, Link::Nothing);
        }
    }
}
