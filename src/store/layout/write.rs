use std::collections::HashSet;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use oci_spec::image::{Descriptor, Digest};
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat, renameat};
use rustix::io::Errno;

use super::reach::{blob_dirs, present, reachable};
use super::staging::{Staging, holds_only_ours, may_share, recover, remove_if_there, share_modes};
use crate::error::{Error, ErrorContext, IoContext, Kind, Result};
use crate::store::count::Count;
use crate::store::destination::{BlobSink, Destination, GcStats, TagChange, Transfer, Unreached};
use crate::store::fs::{Audience, Waiting, free_in, is_at, lock, sync_dir, sync_published};
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
    audience: Audience,
    /// The directory, locked.
    home: File,
}

impl LayoutWriter {
    /// Opens the layout in `dir` for writing what `audience` may read, or makes it when something is published.
    ///
    /// # Errors
    /// [`Kind::Malformed`] if `dir` is something else; [`Kind::Usage`] if it is no place for plaintext, or keeps its blobs
    /// elsewhere; input/output, or another process is writing and `waiting` says not to wait.
    pub fn open(dir: &Path, waiting: Waiting, audience: Audience) -> Result<Self> {
        let layout = Layout { dir: dir.to_owned(), read: Count::default() };
        audience.ensure_path(dir).at(layout.name())?;
        let (made, home) = loop {
            let made = make_dir(dir, audience).at(layout.name())?;
            let opened = open_home(dir, audience).and_then(|home| {
                lock(&home, waiting, &layout.name())?;
                Ok(home)
            });
            match opened {
                // A writer that we waited for and that published nothing has removed the directory that it had made.
                Ok(home) if is_at(&home, dir) => break (made, home),
                Ok(_) => {}
                Err(error) => {
                    if made {
                        let _ = fs::remove_dir(dir);
                    }
                    return Err(error.at(layout.name()));
                }
            }
        };
        let writer = LayoutWriter { layout, staging: None, written: Count::default(), made, audience, home };
        writer.ensure_place().at(writer.layout.name())?;
        let layout = &writer.layout;
        if !made && !Layout::is_layout(dir) && !holds_only_ours(dir)? {
            let what = "the directory is neither empty nor an OCI image layout";
            return Err(Error::usage(what).hint("name a new directory, or an image layout").at(layout.name()));
        }
        if dir.join("oci-layout").exists() {
            layout.ensure_version().at(layout.name())?;
        }
        recover(layout, || reachable(layout, &writer.index()?)).at(layout.name())?;
        Ok(writer)
    }

    /// Sees to it that what is written here stays here, and that nobody reads it who should not.
    fn ensure_place(&self) -> Result<()> {
        if self.made {
            self.audience.close_to_others(&self.home)?;
        }
        self.audience.ensure_dir(&self.home.metadata().doing("stat the directory")?)?;
        for dir in blob_dirs(&self.layout)? {
            let found = fs::symlink_metadata(&dir).doing("stat the directory").at(dir.display())?;
            if found.is_symlink() {
                return Err(elsewhere().at(dir.display()));
            }
            self.audience.ensure_dir(&found).at(dir.display())?;
        }
        Ok(())
    }

    fn index(&self) -> Result<Index> {
        let path = self.layout.dir.join("index.json");
        if path.exists() { Index::parse(&read_small(&path)?).at("index.json") } else { Ok(Index::empty()) }
    }

    fn staging(&mut self) -> Result<&mut Staging> {
        match &mut self.staging {
            Some(staging) => Ok(staging),
            empty => Ok(empty.insert(Staging::new(&self.layout.dir, self.written.clone(), self.audience)?)),
        }
    }

    /// Whether the blob is here, or waits to be published.
    fn has(&self, descriptor: &Descriptor) -> bool {
        if self.staging.as_ref().is_some_and(|staging| staging.path_of(descriptor.digest()).exists()) {
            return true;
        }
        let path = self.layout.blob_path(descriptor.digest());
        fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() == descriptor.size())
    }

    /// Moves the staged blobs to where readers look for them; no image reaches them yet.
    fn commit_blobs(&mut self) -> Result<()> {
        let Some(staging) = &self.staging else { return Ok(()) };
        self.audience.close_to_group(&self.home)?;
        let finished = staging.finished()?;
        staging.journal(finished.iter())?;
        let paths: Vec<PathBuf> = finished.iter().map(|digest| staging.path_of(digest)).collect();
        share_modes(paths.iter().map(PathBuf::as_path), self.audience)?;
        let mut dirs: Vec<(&str, File)> = Vec::new();
        for (digest, from) in finished.iter().zip(&paths) {
            let algorithm = digest.algorithm().as_ref();
            let known = dirs.iter().position(|(known, _)| *known == algorithm);
            let at = match known {
                Some(at) => at,
                None => {
                    dirs.push((algorithm, self.blob_dir(algorithm)?));
                    dirs.len() - 1
                }
            };
            let moved = renameat(CWD, from, &dirs[at].1, digest.digest()).map_err(io::Error::from);
            moved.doing("rename the blob into place").at(self.layout.blob_path(digest).display())?;
        }
        for (algorithm, dir) in &dirs {
            sync_dir(dir).doing(format_args!("sync the directory blobs/{algorithm}"))?;
        }
        Ok(())
    }

    /// The directory of the blobs of one algorithm, made if it is not there. No link leads to it.
    fn blob_dir(&self, algorithm: &str) -> Result<File> {
        let blobs = self.dir_in(&self.home, "blobs").at("blobs")?;
        self.dir_in(&blobs, algorithm).at(format_args!("blobs/{algorithm}"))
    }

    fn dir_in(&self, parent: &File, name: &str) -> Result<File> {
        let mode = Mode::from_raw_mode(if self.audience.is_owner() { 0o700 } else { 0o777 });
        match mkdirat(parent, name, mode) {
            Err(error) if error != Errno::EXIST => {
                return Err(Error::io("cannot create the directory", error.into()));
            }
            _ => {}
        }
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
        match openat(parent, name, flags, Mode::empty()).map(File::from) {
            Ok(dir) => self.audience.close_to_group(&dir).map(|()| dir),
            Err(Errno::LOOP | Errno::NOTDIR) => Err(elsewhere()),
            Err(error) => Err(Error::io("cannot open the directory", error.into())),
        }
    }

    /// The blobs that no image of `index` reaches.
    fn unreached(&self, index: &Index) -> Result<Vec<(Digest, u64)>> {
        let reached: HashSet<String> = reachable(&self.layout, index)?;
        Ok(present(&self.layout)?.into_iter().filter(|(digest, _)| !reached.contains(digest.as_ref())).collect())
    }

    /// Publishes: when the new `index.json` has its name, everything is done.
    fn replace_index(&mut self, index: &Index) -> Result<()> {
        let dir = self.layout.dir.clone();
        let staging = self.staging()?;
        let (place, marker) = (dir.join("index.json"), dir.join("oci-layout"));
        let written = staging.write(&place, &index.to_vec())?;
        let is_new = !marker.exists();
        if is_new {
            let written = staging.write(&marker, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
            fs::rename(written, &marker).doing("write `oci-layout`")?;
        }
        // What cannot be synced is to be known before the tags move, not afterwards.
        let replaced = sync_dir(&self.home).doing("sync the directory");
        let replaced = replaced.and_then(|()| fs::rename(written, &place).doing("replace `index.json`"));
        if replaced.is_err() && is_new {
            let _ = fs::remove_file(&marker);
        }
        replaced?;
        sync_published(&dir);
        Ok(())
    }

    fn publish_all(&mut self, changes: &[TagChange], unreached: Unreached) -> Result<GcStats> {
        let mut index = self.index()?;
        index.apply(changes)?;
        if unreached != Unreached::Keep {
            // Where it cannot be told what the other images need, nothing may be removed, now or after a crash: find
            // that out before anything moves.
            reachable(&self.layout, &index)?;
        }
        self.commit_blobs()?;
        let garbage = match unreached {
            Unreached::Keep => Vec::new(),
            Unreached::Remove => self.unreached(&index)?,
            Unreached::RemoveOf(digests) => {
                let all = self.unreached(&index)?.into_iter();
                all.filter(|(digest, _)| digests.contains(digest)).collect()
            }
        };
        self.staging()?.journal(garbage.iter().map(|(digest, _)| digest))?;
        self.replace_index(&index)?;
        self.made = false;
        Ok(self.clean_up(garbage))
    }

    /// Removes what is not needed any more. Everything is published by now, so that a fault is said and nothing fails:
    /// the journal stays, and with it the next writer tries again.
    fn clean_up(&mut self, garbage: Vec<(Digest, u64)>) -> GcStats {
        let (mut collected, mut kept) = (GcStats::default(), false);
        for (digest, size) in garbage {
            match remove_if_there(&self.layout.blob_path(&digest)) {
                Ok(()) => {
                    collected.blobs += 1;
                    collected.bytes += size;
                }
                Err(error) => {
                    kept = true;
                    tracing::error!("{error}; the blob, which may hold plaintext, is still there: run pht-oci gc");
                }
            }
        }
        if let Some(staging) = self.staging.take().filter(|_| !kept)
            && let Err(error) = fs::remove_dir_all(staging.dir())
        {
            tracing::warn!("{}: cannot be removed, which the next run does: {error}", staging.dir().display());
        }
        collected
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
        let shares = source.local_path(descriptor).is_some_and(|path| {
            device(&path) == device(&self.layout.dir) && may_share(&path, descriptor, self.audience)
        });
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
pub(in crate::store) fn make_dir(dir: &Path, audience: Audience) -> Result<bool> {
    match DirBuilder::new().mode(if audience.is_owner() { 0o700 } else { 0o777 }).create(dir) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let what = "the path exists and is not a directory";
            Err(Error::usage(what).hint("give a new directory, or one with an image in it"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = dir.parent().unwrap_or(dir).display();
            Err(Error::new(Kind::Io, format!("there is no directory {parent} to create it in"))
                .hint("create that directory first, or correct the path"))
        }
        Err(error) => Err(Error::io("cannot create the directory", error)),
    }
}

/// Opens the directory to write to. Where only its owner may read, a link that has come to its place since it was looked
/// at is not followed.
pub(in crate::store) fn open_home(dir: &Path, audience: Audience) -> Result<File> {
    if !audience.is_owner() {
        return File::open(dir).doing("open the directory");
    }
    let is_link = fs::symlink_metadata(dir).is_ok_and(|found| found.is_symlink());
    audience.ensure_path(dir)?;
    let dir = if is_link { &dir.canonicalize().doing("resolve the path")? } else { dir };
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW;
    let opened = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(dir);
    opened.doing("open the directory")
}

/// The error of a layout with a link in the place of a directory of blobs.
fn elsewhere() -> Error {
    let what = "a link, behind which the blobs of other layouts may lie";
    let hint = "write to a layout of its own: give a DEST, or copy the image there first";
    Error::new(Kind::Usage, what).hint(hint)
}

#[cfg(test)]
mod tests;
