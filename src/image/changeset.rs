//! One layer, put in order: what it holds when all its entries have been extracted one after the other, and what it
//! hides in lower layers (OCI image specification, layer: whiteouts).

use std::collections::{BTreeMap, HashMap, HashSet};

use super::layer::{Entry, Kind, Meta};
use super::tree::{ancestors, shown};
use crate::error::{Error, Result};

/// How the name of a whiteout begins.
const WHITEOUT: &[u8] = b".wh.";
/// The whiteout that hides everything its directory has in lower layers.
pub const OPAQUE: &[u8] = b".wh..wh..opq";

/// What a name that begins with `.wh.` stands for.
pub(super) enum Mark<'a> {
    /// The directory's contents in lower layers are hidden.
    Opaque(&'a [u8]),
    /// This path of lower layers is hidden.
    Whiteout(Box<[u8]>),
    /// Something of AUFS that has no meaning in an image.
    Foreign,
}

pub(super) fn mark_of(path: &[u8]) -> Option<Mark<'_>> {
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

/// One layer, put in order.
pub(super) struct Changeset {
    /// The last entry of each path, directories first, and what it names if it is a hard link.
    pub files: Vec<(Entry, Option<Link>)>,
    /// The paths of lower layers that are hidden.
    pub whiteouts: Vec<Box<[u8]>>,
    /// The directories whose contents in lower layers are hidden.
    pub opaque: Vec<Box<[u8]>>,
}

impl Changeset {
    /// Puts the entries of a layer, which are in the order of the archive, in order.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) for a whiteout of nothing.
    pub fn collapse(entries: Vec<Entry>) -> Result<Self> {
        let (mut whiteouts, mut opaque) = (Vec::new(), Vec::new());
        let mut names = Names::of(&entries);
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
                None => {
                    let link = names.extract(&entry);
                    files.push(Placed { position, entry, link });
                }
            }
        }
        let files = Self::last_of_each(files, &mut opaque);
        Ok(Changeset { files, whiteouts, opaque })
    }

    /// Of two entries at one path the last stays. What is not a directory removes what was there, and all below it.
    fn last_of_each(mut files: Vec<Placed>, opaque: &mut Vec<Box<[u8]>>) -> Vec<(Entry, Option<Link>)> {
        let mut cut: HashMap<Box<[u8]>, usize> = HashMap::new();
        for Placed { position, entry, .. } in &files {
            if entry.kind != Kind::Directory {
                cut.insert(entry.path.clone(), *position);
            }
        }
        files.sort_by(|a, b| a.entry.path.cmp(&b.entry.path).then(b.position.cmp(&a.position)));
        files.dedup_by(|later, first| later.entry.path == first.entry.path);
        files.retain(|file| {
            !ancestors(&file.entry.path).any(|dir| cut.get(dir).is_some_and(|removed| *removed > file.position))
        });
        // A directory that was something else for a moment holds nothing of what lower layers have there.
        let remade =
            files.iter().filter(|file| file.entry.kind == Kind::Directory && cut.contains_key(&file.entry.path));
        opaque.extend(remade.map(|file| file.entry.path.clone()));
        files.into_iter().map(|file| (file.entry, file.link)).collect()
    }
}

struct Placed {
    /// In the archive.
    position: usize,
    entry: Entry,
    link: Option<Link>,
}

/// What a hard link names.
#[derive(Debug, Clone)]
pub(super) enum Link {
    /// A file of the same layer.
    Own(LinkedFile),
    /// What lower layers have at this path.
    Lower(Box<[u8]>),
    /// Something that has no further names.
    Nothing,
}

/// A file that a hard link names: all but its path.
#[derive(Debug, Clone)]
pub(super) struct LinkedFile {
    pub kind: Kind,
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
        if entry.kind != Kind::Directory {
            self.remove_below(&entry.path);
        }
        if self.targets.contains(&entry.path) {
            let named = match (&link, &entry.kind) {
                (Some(link), _) => link.clone(),
                (None, Kind::Directory) => Link::Nothing,
                (None, _) => Link::Own(LinkedFile {
                    kind: entry.kind.clone(),
                    meta: entry.meta.clone(),
                    size: entry.size,
                    offset: entry.offset,
                    position: entry.position,
                }),
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
