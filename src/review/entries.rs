//! The entries of results, and the digest that an approval binds.

use std::collections::BTreeMap;

use crate::crypto::{Sha256, hex};
use crate::error::{ErrorContext, IoContext, Result};
use crate::image::{Node, NodeKind, Tree};
use crate::store::interrupt;
use crate::tar::PaxRecord;

/// The context of the digest, so that no digest of something else is one of results.
const CONTEXT: &[u8] = b"pht-oci results v1";

/// One file, directory or link of the results.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResultEntry {
    /// The path below the results.
    pub path: Box<[u8]>,
    /// What it is.
    pub kind: ResultKind,
    /// Permission bits with set-user-ID, set-group-ID and sticky bit.
    pub mode: u32,
    /// Extended attributes by name, as they travel.
    pub attributes: Vec<PaxRecord>,
}

/// What an entry of the results is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResultKind {
    /// A regular file.
    File {
        /// Bytes of contents.
        size: u64,
        /// Their SHA-256.
        digest: [u8; 32],
    },
    /// A further name of a file: the path of the first one.
    Link(Box<[u8]>),
    /// A symbolic link, its target as it stands.
    Symlink(Box<[u8]>),
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
    /// A device node.
    Device,
}

impl ResultKind {
    /// The stable name in reports.
    pub fn name(&self) -> &'static str {
        match self {
            ResultKind::File { .. } => "file",
            ResultKind::Link(_) => "link",
            ResultKind::Symlink(_) => "symlink",
            ResultKind::Directory => "directory",
            ResultKind::Fifo => "pipe",
            ResultKind::Device => "device",
        }
    }
}

/// Size and SHA-256 of the plaintext of a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileDigest {
    /// Bytes.
    pub size: u64,
    /// Their SHA-256.
    pub digest: [u8; 32],
}

/// Takes the content of one file after the other.
#[derive(Default)]
pub struct FileDigester {
    current: Option<(u64, Sha256)>,
    done: Vec<FileDigest>,
}

impl FileDigester {
    /// The next file begins.
    pub fn begin(&mut self) {
        self.end();
        self.current = Some((0, Sha256::new()));
    }

    /// A piece of it.
    pub fn update(&mut self, content: &[u8]) {
        if let Some((size, hasher)) = &mut self.current {
            *size += content.len() as u64;
            hasher.update(content);
        }
    }

    fn end(&mut self) {
        let done = self.current.take().map(|(size, hasher)| FileDigest { size, digest: hasher.finish() });
        self.done.extend(done);
    }

    /// All of them.
    pub fn finish(mut self) -> Vec<FileDigest> {
        self.end();
        self.done
    }
}

/// The entries below `root`, in walk order; `digests` are those of the regular files among them, in that order.
pub fn entries_of(tree: &Tree, root: &[u8], digests: &[FileDigest]) -> Vec<ResultEntry> {
    let mut files = digests.iter();
    let below = |path: &[u8]| -> Box<[u8]> {
        let path = path.strip_prefix(root).unwrap_or(path);
        path.strip_prefix(b"/").unwrap_or(path).into()
    };
    let kind_of = |node: &Node, files: &mut std::slice::Iter<'_, FileDigest>| match &node.kind {
        NodeKind::File { .. } => {
            let FileDigest { size, digest } = files.next().copied().unwrap_or_default();
            ResultKind::File { size, digest }
        }
        NodeKind::Link(to) => ResultKind::Link(tree.nodes().get(*to).map(|node| below(&node.path)).unwrap_or_default()),
        NodeKind::Symlink(target) => ResultKind::Symlink(target.clone()),
        NodeKind::Directory => ResultKind::Directory,
        NodeKind::Fifo => ResultKind::Fifo,
        NodeKind::Device(..) => ResultKind::Device,
    };
    let nodes = &tree.nodes()[tree.below(root)];
    let entries = nodes.iter().map(|node| ResultEntry {
        path: below(&node.path),
        kind: kind_of(node, &mut files),
        mode: node.meta.permissions(),
        attributes: attributes_of(node),
    });
    entries.collect()
}

/// Extended attributes and ACLs: what is left of PAX records without times and names.
fn attributes_of(node: &Node) -> Vec<PaxRecord> {
    let travels = |name: &[u8]| [&b"SCHILY."[..], b"LIBARCHIVE."].iter().any(|prefix| name.starts_with(prefix));
    let records = node.meta.pax.iter().filter(|(name, _)| travels(name));
    let mut found: Vec<_> = records.map(|(name, value)| (name.clone(), value.clone())).collect();
    found.sort();
    found
}

/// Size and SHA-256 of each regular file below `root`, in walk order.
///
/// # Errors
/// Input/output.
pub fn hash_files(tree: &Tree, root: &[u8]) -> Result<Vec<FileDigest>> {
    let mut digester = FileDigester::default();
    let mut buffer = vec![0; 256 << 10];
    for node in &tree.nodes()[tree.below(root)] {
        if !matches!(node.kind, NodeKind::File { .. }) {
            continue;
        }
        digester.begin();
        let mut contents = tree.open(node)?;
        loop {
            interrupt::check()?;
            let read = contents.read(&mut buffer).doing("read the file").at(node.shown())?;
            if read == 0 {
                break;
            }
            digester.update(&buffer[..read]);
        }
    }
    Ok(digester.finish())
}

/// The digest of results, `sha256:` and hexadecimal digits: SHA-256 over the context and, for each entry, kind, mode
/// (four octal digits), path, content (the digest of a file's, the target of a link's), the number of attributes, and
/// name and value of each, every one of these preceded by its length as eight bytes, most significant first.
pub fn results_digest(entries: &[ResultEntry]) -> String {
    let mut hasher = Sha256::new();
    let mut put = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_be_bytes());
        hasher.update(bytes);
    };
    put(CONTEXT);
    for entry in entries {
        put(entry.kind.name().as_bytes());
        put(format!("{:04o}", entry.mode).as_bytes());
        put(&entry.path);
        match &entry.kind {
            ResultKind::File { digest, .. } => put(digest),
            ResultKind::Link(target) | ResultKind::Symlink(target) => put(target),
            ResultKind::Directory | ResultKind::Fifo | ResultKind::Device => put(b""),
        }
        put(&(entry.attributes.len() as u64).to_be_bytes());
        for (name, value) in &entry.attributes {
            put(name);
            put(value);
        }
    }
    format!("sha256:{}", hex::encode(&hasher.finish()))
}

/// How an entry stands to what came with the train.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// There was nothing at this path.
    New,
    /// There was something else.
    Changed,
    /// It is as it came.
    Unchanged,
}

impl State {
    /// The stable name in reports.
    pub fn name(self) -> &'static str {
        match self {
            State::New => "new",
            State::Changed => "changed",
            State::Unchanged => "unchanged",
        }
    }
}

/// The state of each of `now`, and the paths that are gone.
pub(super) fn compare(now: &[ResultEntry], before: &[ResultEntry]) -> (Vec<State>, Vec<Box<[u8]>>) {
    let known: BTreeMap<&[u8], &ResultEntry> = before.iter().map(|entry| (&*entry.path, entry)).collect();
    let state = |entry: &ResultEntry| match known.get(&*entry.path) {
        None => State::New,
        Some(before) if *before == entry => State::Unchanged,
        Some(_) => State::Changed,
    };
    let there: std::collections::BTreeSet<&[u8]> = now.iter().map(|entry| &*entry.path).collect();
    let gone = before.iter().filter(|entry| !there.contains(&*entry.path)).map(|entry| entry.path.clone());
    (now.iter().map(state).collect(), gone.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, content: &str, mode: u32) -> ResultEntry {
        let kind = ResultKind::File { size: content.len() as u64, digest: Sha256::of(content.as_bytes()) };
        ResultEntry { path: path.as_bytes().into(), kind, mode, attributes: Vec::new() }
    }

    #[test]
    fn every_part_of_an_entry_counts() {
        let link = |kind| ResultEntry { kind, ..file("a", "x", 0o644) };
        let attribute = |name: &str, value: &str| ResultEntry {
            attributes: vec![(name.as_bytes().into(), value.as_bytes().into())],
            ..file("a", "x", 0o644)
        };
        let sets = [
            vec![],
            vec![file("a", "x", 0o644)],
            vec![file("b", "x", 0o644)],
            vec![file("a", "y", 0o644)],
            vec![file("a", "x", 0o600)],
            vec![file("a", "x", 0o4644)],
            vec![file("a", "x", 0o644), file("b", "x", 0o644)],
            vec![link(ResultKind::Symlink(b"x"[..].into()))],
            vec![link(ResultKind::Link(b"x"[..].into()))],
            vec![link(ResultKind::Directory)],
            vec![link(ResultKind::Fifo)],
            vec![attribute("user.n", "v")],
            vec![attribute("user.n", "w")],
            vec![attribute("user.nv", "")],
        ];
        let digests: std::collections::BTreeSet<String> = sets.iter().map(|set| results_digest(set)).collect();
        assert_eq!(digests.len(), sets.len());
    }

    #[test]
    fn knows_what_is_new_changed_and_gone() {
        let before = [file("a", "x", 0o644), file("b", "x", 0o644), file("c", "x", 0o644)];
        let now = [file("a", "x", 0o644), file("b", "x", 0o600), file("d", "x", 0o644)];
        let (states, gone) = compare(&now, &before);
        assert_eq!(states, [State::Unchanged, State::Changed, State::New]);
        assert_eq!(gone, [b"c"[..].into()]);
    }
}
