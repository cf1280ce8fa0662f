//! The results that leave, by path, size and digest: read in the pass in which they are encrypted.

use super::hashing::HashSink;
use super::report::ResultFile;
use crate::crypto::{Sha256, hex};
use crate::error::Result;
use crate::image::{NodeKind, Tree};
use crate::text::Printable;
use crate::train::{ContentFeed, HasFeed};

/// Digests each file that it is fed.
pub(in crate::stage) struct Listing {
    current: Option<Sha256>,
    digests: Vec<[u8; 32]>,
}

impl Listing {
    pub(in crate::stage) fn new() -> Self {
        Listing { current: None, digests: Vec::new() }
    }

    fn end(&mut self) {
        self.digests.extend(self.current.take().map(Sha256::finish));
    }

    /// The list: the files of `tree` below `root` are those that were fed.
    pub(in crate::stage) fn finish(mut self, tree: &Tree, root: &[u8]) -> Vec<ResultFile> {
        self.end();
        let digests = self.digests.iter().map(|digest| Some(hex::encode(digest)));
        files(tree, root).zip(digests).map(|(file, sha256)| ResultFile { sha256, ..file }).collect()
    }
}

/// The files of `tree` below `root`, without their digests.
pub(in crate::stage) fn files(tree: &Tree, root: &[u8]) -> impl Iterator<Item = ResultFile> {
    let nodes = tree.below(root).map(|at| &tree.nodes()[at]);
    let files = nodes.filter(|node| matches!(node.kind, NodeKind::File { .. }));
    files.map(move |node| ResultFile {
        path: Printable::new(node.path.get(root.len() + 1..).unwrap_or_default()).to_string(),
        size: tree.file(node).map_or(0, |(size, _)| size),
        sha256: None,
    })
}

impl HasFeed for Listing {
    fn feed(&mut self) -> &mut dyn ContentFeed {
        self
    }
}

impl ContentFeed for Listing {
    fn order(&self) -> &[usize] {
        &[]
    }

    fn begin(&mut self, _file: usize) -> Result<()> {
        self.end();
        self.current = Some(Sha256::new());
        Ok(())
    }

    fn update(&mut self, content: &[u8]) {
        if let Some(digest) = &mut self.current {
            digest.update(content);
        }
    }
}

/// Feeds two at once, as far as they are there.
pub(in crate::stage) struct Both<'a>(
    pub(in crate::stage) Option<&'a mut dyn HashSink>,
    pub(in crate::stage) Option<&'a mut dyn HashSink>,
);

impl HashSink for Both<'_> {
    fn begin(&mut self, file: usize) -> Result<()> {
        self.0.iter_mut().try_for_each(|first| first.begin(file))?;
        self.1.iter_mut().try_for_each(|second| second.begin(file))
    }

    fn update(&mut self, content: &[u8]) -> Result<()> {
        self.0.iter_mut().try_for_each(|first| first.update(content))?;
        self.1.iter_mut().try_for_each(|second| second.update(content))
    }
}
