//! Trees as they are, into a tar archive, a layer or a directory.

use std::io::{self, Read, Write};

use super::sink::EntrySink;
use super::tree::{Node, NodeKind, Tree};
use crate::error::{ErrorContext, IoContext, Result};
use crate::store::{BUFFER, interrupt};
use crate::tar::EntryKind;

/// Hands every entry below `root` to `sink` in walk order, files with their contents.
///
/// # Errors
/// Input/output; what the sink cannot hold.
pub fn write_tree(tree: &Tree, root: &[u8], sink: &mut dyn EntrySink) -> Result<()> {
    let mut buffer = CopyBuffer::new();
    for node in &tree.nodes()[tree.below(root)] {
        let kind = tree.entry_kind(node);
        let size = tree.file(node).filter(|_| kind == EntryKind::File).map_or(0, |(size, _)| size);
        sink.entry(&node.path, &kind, &node.meta, size).at(node.shown())?;
        if kind == EntryKind::File {
            buffer.copy(&mut tree.open(node)?, sink).at(node.shown())?;
        }
    }
    Ok(())
}

/// Hands the contents of one file to `out`.
///
/// # Errors
/// Input/output.
pub fn write_contents(tree: &Tree, node: &Node, out: &mut dyn Write) -> Result<()> {
    CopyBuffer::new().copy(&mut tree.open(node)?, out).at(node.shown())
}

/// A buffer that is erased in the end, since what passes through it may be plaintext.
pub(crate) struct CopyBuffer(zeroize::Zeroizing<Vec<u8>>);

impl CopyBuffer {
    pub(crate) fn new() -> Self {
        CopyBuffer(zeroize::Zeroizing::new(vec![0; BUFFER]))
    }

    /// All of it.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        &mut self.0
    }

    fn copy(&mut self, contents: &mut dyn Read, out: &mut (impl Write + ?Sized)) -> Result<()> {
        loop {
            let read = read_some(contents, &mut self.0)?;
            if read == 0 {
                return Ok(());
            }
            interrupt::check()?;
            out.write_all(&self.0[..read]).doing("write the file's contents")?;
        }
    }
}

/// Reads what there is; nothing at the end only.
///
/// # Errors
/// Input/output.
pub fn read_some(contents: &mut dyn Read, buffer: &mut [u8]) -> Result<usize> {
    loop {
        match contents.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read.doing("read the file's contents"),
        }
    }
}

impl Tree {
    /// The kind of a node's entry in a tar archive.
    pub fn entry_kind(&self, node: &Node) -> EntryKind {
        match &node.kind {
            NodeKind::File { .. } => EntryKind::File,
            NodeKind::Link(to) => EntryKind::HardLink(self.nodes()[*to].path.clone()),
            NodeKind::Symlink(target) => EntryKind::Symlink(target.clone()),
            NodeKind::Directory => EntryKind::Directory,
            NodeKind::Fifo => EntryKind::Fifo,
            NodeKind::Device(character, number) => EntryKind::Device { character: *character, number: *number },
        }
    }
}
