use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use oci_spec::image::{Descriptor, Digest};

use super::reach::{present, reachable};
use super::staging::{Staging, holds_only_ours, recover, remove_if_there, share_mode};
use crate::error::{Error, ErrorContext, IoContext, Result};
use crate::store::count::Count;
use crate::store::destination::{BlobSink, Destination, GcStats, TagChange, Transfer, Unreached};
use crate::store::fs::{Waiting, free_in, is_at, lock};
use crate::store::index::Index;
use crate::store::layout::{Layout, read_small};
use crate::store::parallel::copy_each;
use crate::store::source::{ImageEntry, Source};

/// A layout to write to.
///
/// New blobs wait in a staging directory; publishing renames them into `blobs/`, then replaces `index.json` in one
/// step, then removes what is not reached any more. A journal in the staging directory names every blob that could be
/// left behind, so that the next writer can clean up after a crash at any moment. One writer at a time holds the lock
/// (`flock` on the directory).
#[derive(Debug)]
pub struct LayoutWriter {
    layout: Layout,
    staging: Option<Staging>,
    written: Count,
    /// We made the directory; it goes again if nothing is published.
    made: bool,
    _lock: File,
}

impl LayoutWriter {
    /// Opens the layout in `dir` for writing, or makes it when something is published.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) if `dir` is something else, input/output, or another process
    /// is writing and `waiting` says not to wait.
    pub fn open(dir: &Path, waiting: Waiting) -> Result<Self> {
        let layout = Layout { dir: dir.to_owned(), read: Count::default() };
        let (made, file) = loop {
            let made = make_dir(dir).at(layout.name())?;
            let file = File::open(dir).doing("open the directory").at(layout.name())?;
            lock(&file, waiting, &layout.name()).at(layout.name())?;
            // A writer that we waited for and that published nothing has removed the directory that it had made.
            if is_at(&file, dir) {
                break (made, file);
            }
        };
        let writer = LayoutWriter { _lock: file, layout, staging: None, written: Count::default(), made };
        let layout = &writer.layout;
        if !made && !Layout::is_layout(dir) && !holds_only_ours(dir)? {
            let what = "the directory is neither empty nor an OCI image layout";
            return Err(Error::malformed(what).at(layout.name()));
        }
        if dir.join("oci-layout").exists() {
            layout.ensure_version().at(layout.name())?;
        }
        recover(layout, || reachable(layout, &writer.index()?)).at(layout.name())?;
        Ok(writer)
    }

    fn index(&self) -> Result<Index> {
        let path = self.layout.dir.join("index.json");
        if path.exists() { Index::parse(&read_small(&path)?).at("index.json") } else { Ok(Index::empty()) }
    }

    fn staging(&mut self) -> Result<&mut Staging> {
        match &mut self.staging {
            Some(staging) => Ok(staging),
            empty => Ok(empty.insert(Staging::new(&self.layout.dir, self.written.clone())?)),
        }
    }

    fn has(&self, descriptor: &Descriptor) -> bool {
        let path = self.layout.blob_path(descriptor.digest());
        fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() == descriptor.size())
    }

    /// Moves the staged blobs to where readers look for them; no image reaches them yet.
    fn commit_blobs(&mut self) -> Result<()> {
        let Some(staging) = &self.staging else { return Ok(()) };
        let finished = staging.finished()?;
        staging.journal(finished.iter())?;
        for digest in &finished {
            let (from, to) = (staging.path_of(digest), self.layout.blob_path(digest));
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent).doing("create the directory").at(parent.display())?;
            }
            share_mode(&from)?;
            fs::rename(&from, &to).doing("rename the blob into place").at(to.display())?;
        }
        Ok(())
    }

    /// The blobs that no image of `index` reaches.
    fn unreached(&self, index: &Index) -> Result<Vec<(Digest, u64)>> {
        let reached: HashSet<String> = reachable(&self.layout, index)?;
        Ok(present(&self.layout)?.into_iter().filter(|(digest, _)| !reached.contains(digest.as_ref())).collect())
    }

    fn replace_index(&mut self, index: &Index) -> Result<()> {
        let dir = self.layout.dir.clone();
        let staging = self.staging()?;
        let new_marker = !dir.join("oci-layout").exists();
        if new_marker {
            let marker = staging.write("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
            fs::rename(marker, dir.join("oci-layout")).doing("write `oci-layout`")?;
        }
        let written = staging.write("index.json", &index.to_vec())?;
        fs::rename(written, dir.join("index.json")).doing("replace `index.json`")?;
        File::open(&dir).and_then(|dir| dir.sync_all()).doing("sync the directory")
    }

    fn publish_all(&mut self, changes: &[TagChange], unreached: Unreached) -> Result<GcStats> {
        let mut index = self.index()?;
        index.apply(changes)?;
        if unreached == Unreached::Remove {
            // Where it cannot be told what the other images need, nothing may be removed, now or after a crash: find
            // that out before anything moves.
            reachable(&self.layout, &index)?;
        }
        self.commit_blobs()?;
        let garbage = match unreached {
            Unreached::Remove => self.unreached(&index)?,
            Unreached::Keep => Vec::new(),
        };
        self.staging()?.journal(garbage.iter().map(|(digest, _)| digest))?;
        self.replace_index(&index)?;
        self.made = false;
        let mut collected = GcStats::default();
        for (digest, size) in garbage {
            remove_if_there(&self.layout.blob_path(&digest))?;
            collected.blobs += 1;
            collected.bytes += size;
        }
        if let Some(staging) = self.staging.take() {
            fs::remove_dir_all(staging.dir()).doing("remove the staging directory")?;
        }
        Ok(collected)
    }
}

impl Destination for LayoutWriter {
    fn name(&self) -> String {
        self.layout.name()
    }

    fn bytes_written(&self) -> u64 {
        self.written.get()
    }

    fn list(&self) -> Result<Vec<ImageEntry>> {
        self.index()?.list().at("index.json").at(self.name())
    }

    fn holds_thin_images(&self) -> bool {
        true
    }

    fn has_blob(&self, descriptor: &Descriptor) -> Result<bool> {
        Ok(self.has(descriptor))
    }

    fn available_space(&self) -> Result<Option<u64>> {
        free_in(&self.layout.dir).map(Some)
    }

    fn estimate_bytes(&self, source: &dyn Source, descriptor: &Descriptor) -> u64 {
        let device = |path: &Path| fs::metadata(path).map(|found| found.dev()).ok();
        let shares = source.local_path(descriptor).is_some_and(|path| device(&path) == device(&self.layout.dir));
        if shares || self.has(descriptor) { 0 } else { descriptor.size() }
    }

    fn create(&mut self) -> Result<Box<dyn BlobSink>> {
        let name = self.name();
        Ok(Box::new(self.staging().and_then(|staging| staging.create()).at(name)?))
    }

    fn copy_blobs(&mut self, source: &dyn Source, descriptors: &[Descriptor]) -> Result<Vec<Transfer>> {
        let there = descriptors.iter().filter(|descriptor| self.has(descriptor));
        let there: HashSet<&Digest> = there.map(Descriptor::digest).collect();
        let name = self.name();
        let staging: &Staging = self.staging().at(&name)?;
        copy_each(descriptors, |descriptor, shared| {
            if there.contains(descriptor.digest()) {
                return Ok(Transfer::Reused);
            }
            staging.copy_blob(source, descriptor, &name, shared)
        })
    }

    fn publish(&mut self, changes: &[TagChange], unreached: Unreached) -> Result<GcStats> {
        let name = self.name();
        self.publish_all(changes, unreached).at(name)
    }
}

impl Drop for LayoutWriter {
    /// Leaves the layout as it was if nothing was published. What cannot be removed now, the next writer removes.
    fn drop(&mut self) {
        if self.staging.take().is_some() {
            let left = recover(&self.layout, || reachable(&self.layout, &self.index()?));
            if let Err(error) = left {
                tracing::debug!(%error, "cleaning up is left to the next run");
            }
        }
        if self.made {
            if !self.layout.dir.join("index.json").exists() {
                let _ = fs::remove_file(self.layout.dir.join("oci-layout"));
            }
            // Empty if nothing was published; else this fails, and rightly.
            let _ = fs::remove_dir(&self.layout.dir);
        }
    }
}

/// Makes the directory if it is not there; whether it did.
fn make_dir(dir: &Path) -> Result<bool> {
    match fs::create_dir(dir) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(false),
        Err(error) => Err(Error::io("cannot create the directory", error)),
    }
}

#[cfg(test)]
mod tests;
