//! Trees in tar archives that are no layers: what a person is handed.

use std::collections::HashMap;
use std::io::{self, Write};

use super::changeset::mark_of;
use super::disk::{left_out, personal_mode};
use super::overlay::{Overlay, PathFilter, too_many_files};
use super::sink::EntrySink;
use super::tree::Tree;
use crate::error::{Error, ErrorContext, Result};
use crate::path::shown;
use crate::store::Extent;
use crate::tar::{self, Entry, EntryKind, Meta};

/// What an archive of a part of a train holds.
#[non_exhaustive]
pub struct Tarball {
    /// What was asked for.
    pub tree: Tree,
    /// The members that were not.
    pub others: Vec<Box<[u8]>>,
}

impl Tarball {
    /// Whether the archive has a member for which `wanted` holds, before anything that cannot be read.
    pub fn has(contents: &Extent, wanted: impl Fn(&[u8]) -> bool) -> bool {
        let mut reader = contents.tar_reader();
        std::iter::from_fn(|| reader.next_entry().ok().flatten()).any(|entry| wanted(&entry.path))
    }

    /// Reads the members that lie at or below `wanted` when the archive is unpacked into the directory `above`.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) for what is no tar archive or none that one would unpack:
    /// paths with `..`, a name that is there twice, something below a file or a link, hard links to nothing, whiteouts, more files than wanted.
    pub fn read<'a>(
        contents: Extent,
        above: &[u8],
        wanted: impl IntoIterator<Item = &'a [u8]>,
        max_files: usize,
    ) -> Result<Tarball> {
        let wanted = PathFilter::new(wanted);
        let (mut entries, mut others) = (Vec::new(), Vec::new());
        let mut reader = contents.tar_reader();
        while let Some(entry) = reader.next_entry()? {
            if entry.offset.checked_add(entry.size).is_none_or(|end| end > contents.len()) {
                return Err(Error::malformed("the archive ends inside this file").at(shown(&entry.path)));
            }
            if entries.len() + others.len() > max_files.saturating_mul(2) {
                return Err(too_many_files(max_files));
            }
            let entry = placed_below(above, entry);
            if wanted.has(&entry.path) { entries.push(entry) } else { others.push(entry.path) }
        }
        refuse_ambiguous(&entries)?;
        let mut overlay = Overlay::new(wanted).limited(max_files);
        if let Some(link) = overlay.push_lower(0, 0, entries)?.first() {
            let what = format!("a hard link to {}, which does not exist", shown(&link.target));
            return Err(Error::malformed(what).at(shown(&link.path)));
        }
        Ok(Tarball { tree: overlay.into_tree(vec![Some(contents)])?, others })
    }
}

fn placed_below(above: &[u8], entry: Entry) -> Entry {
    let place = |path: Box<[u8]>| -> Box<[u8]> {
        if path.is_empty() { above.into() } else { [above, b"/", &path].concat().into() }
    };
    let kind = match entry.kind {
        EntryKind::HardLink(target) => EntryKind::HardLink(place(target)),
        other => other,
    };
    Entry { path: place(entry.path), kind, ..entry }
}

/// In a layer the last member of a name counts, and some names hide others. Here each would be a way to show one thing
/// to this program and another to the next.
fn refuse_ambiguous(entries: &[Entry]) -> Result<()> {
    let mut seen: HashMap<&[u8], bool> = HashMap::with_capacity(entries.len());
    for entry in entries {
        let is_directory = entry.kind == EntryKind::Directory;
        if mark_of(&entry.path).is_some() {
            return Err(Error::malformed("a whiteout, which has no meaning outside an image").at(shown(&entry.path)));
        }
        if let Some(was_directory) = seen.insert(&entry.path, is_directory)
            && !(is_directory && was_directory)
        {
            return Err(Error::malformed("twice in the archive").at(shown(&entry.path)));
        }
    }
    Ok(())
}

/// Writes a part of a tree as a tar archive for a person: what a [`DirectorySink`](super::DirectorySink) with
/// [`Fidelity::Personal`](super::Fidelity::Personal) puts into a directory, in walk order, below one name. Owners,
/// extended attributes and special mode bits stay behind, and so do pipes, device nodes and links that lead out of the
/// tree. The same tree gives the same archive.
pub struct TarSink<W: Write> {
    tar: tar::Writer<W>,
    root: Box<[u8]>,
    name: Box<[u8]>,
    left_out: Vec<String>,
}

impl<W: Write> TarSink<W> {
    /// Begins the archive; what lies below `root` will lie below `name`.
    pub fn new(out: W, root: &[u8], name: &[u8]) -> Self {
        TarSink { tar: tar::Writer::new(out), root: root.into(), name: name.into(), left_out: Vec::new() }
    }

    /// Ends the archive; what was left out, and why.
    ///
    /// # Errors
    /// Input/output.
    pub fn finish(self) -> Result<(W, Vec<String>)> {
        Ok((self.tar.finish()?, self.left_out))
    }

    fn below_root<'a>(&self, path: &'a [u8]) -> &'a [u8] {
        path.strip_prefix(&*self.root).unwrap_or(path)
    }

    fn renamed(&self, path: &[u8]) -> Box<[u8]> {
        [&self.name, self.below_root(path)].concat().into()
    }
}

impl<W: Write> EntrySink for TarSink<W> {
    fn entry(&mut self, path: &[u8], kind: &EntryKind, meta: &Meta, size: u64) -> Result<()> {
        let name = self.renamed(path);
        if let Some(why) = left_out(self.below_root(path), kind) {
            self.left_out.push(format!("{} ({why})", shown(path)));
            return Ok(());
        }
        let kind = match kind {
            EntryKind::HardLink(target) => EntryKind::HardLink(self.renamed(target)),
            other => other.clone(),
        };
        let time = meta.pax.iter().filter(|(key, _)| &**key == b"mtime").cloned().collect();
        let meta = Meta { pax: time, ..Meta::new(personal_mode(meta), meta.mtime) };
        self.tar.header(&name, &kind, &meta, size).at(shown(path))
    }
}

impl<W: Write> Write for TarSink<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tar.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tar.flush()
    }
}
