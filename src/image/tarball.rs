use std::io::{self, Write};

use super::EntrySink;
use super::disk::{leads_out, personal_mode};
use super::layer::{Kind, Meta, TarWriter};
use super::tree::shown;
use crate::error::{Context, Error, Result};

/// Writes a part of a tree as a tar archive for a person: what a [`DirectorySink`](super::DirectorySink) with
/// [`Fidelity::Personal`](super::Fidelity::Personal) puts into a directory, in walk order, below one name. Owners,
/// extended attributes and special mode bits stay behind, and links that lead out of the tree. The same tree gives the
/// same archive.
pub struct TarSink<W: Write> {
    tar: TarWriter<W>,
    root: Box<[u8]>,
    name: Box<[u8]>,
    left_out: Vec<String>,
}

impl<W: Write> TarSink<W> {
    /// Begins the archive; what lies below `root` will lie below `name`.
    pub fn new(out: W, root: &[u8], name: &[u8]) -> Self {
        TarSink { tar: TarWriter::new(out), root: root.into(), name: name.into(), left_out: Vec::new() }
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
    fn entry(&mut self, path: &[u8], kind: &Kind, meta: &Meta, size: u64) -> Result<()> {
        let name = self.renamed(path);
        let kind = match kind {
            Kind::Symlink(target) if leads_out(self.below_root(path), target) => {
                let target = String::from_utf8_lossy(target).escape_debug().to_string();
                self.left_out.push(format!("{} (a link to {target}, outside the results)", shown(path)));
                return Ok(());
            }
            Kind::HardLink(target) => Kind::HardLink(self.renamed(target)),
            Kind::Device { .. } => return Err(Error::malformed("a device node").at(shown(path))),
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
