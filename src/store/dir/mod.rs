//! One image in a directory: `manifest.json`, `version`, and every blob under the hex digits of its digest, as skopeo
//! writes it.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oci_spec::image::{Descriptor, Digest, MediaType};

use crate::error::{Error, ErrorContext, IoContext, Result};
use crate::json;
use crate::store::count::Count;
use crate::store::destination::{BlobSink, Destination, GcStats, TagChange, Transfer, Unreached};
use crate::store::extent::Extent;
use crate::store::fs::{
    Audience, Waiting, free_in, is_at, is_not_regular, lock, open_regular, sync_dir, sync_published,
};
use crate::store::index::Index;
use crate::store::layout::{Staging, is_staging, make_dir, open_home, read_small, remove_left_staging, share_modes};
use crate::store::media_type;
use crate::store::parallel::copy_each;
use crate::store::reach::reachable;
use crate::store::source::{Blob, ImageEntry, Source, read_document};
use crate::store::verify::{digest_of, is_supported};

mod location;

pub(super) use location::TRANSPORT;

const MANIFEST: &str = "manifest.json";
const VERSION: &str = "version";
const OUR_VERSION: &[u8] = b"Directory Transport Version: 1.1\n";

/// An image in a directory, to read from.
#[derive(Debug, Clone)]
pub struct Dir {
    dir: PathBuf,
    read: Count,
}

impl Dir {
    /// Opens the image in `dir`.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) if there is none.
    pub fn open(dir: &Path) -> Result<Self> {
        let dir = Dir { dir: dir.to_owned(), read: Count::default() };
        if dir.dir.join(MANIFEST).is_file() {
            return Ok(dir);
        }
        Err(Error::malformed("not a directory with an image: there is no `manifest.json`").at(dir.name()))
    }

    /// True if `dir` looks like such a directory.
    pub fn is_dir(dir: &Path) -> bool {
        dir.join(MANIFEST).is_file() && dir.join(VERSION).is_file()
    }

    fn manifest(&self) -> Result<Descriptor> {
        let bytes = read_small(&self.dir.join(MANIFEST))?;
        let document = json::parse_object(&bytes).at(MANIFEST)?;
        let stated = document.get("mediaType").and_then(json::Value::as_str);
        let media_type = match stated {
            Some(stated) => stated,
            None if document.contains_key("manifests") => media_type::INDEX,
            None => media_type::MANIFEST,
        };
        Ok(Descriptor::new(MediaType::from(media_type), bytes.len() as u64, digest_of(&bytes)))
    }

    /// The file of a blob: the one manifest, a further one, or any other blob.
    fn path_of(&self, digest: &Digest) -> PathBuf {
        let blob = self.dir.join(digest.digest());
        let further = self.dir.join(format!("{}.manifest.json", digest.digest()));
        if blob.exists() || !further.exists() { blob } else { further }
    }
}

/// True if the directory holds nothing but leftovers of an interrupted writer of a first image.
fn holds_only_ours(dir: &Path) -> Result<bool> {
    let names = fs::read_dir(dir).doing("list the directory")?.map(|entry| entry.map(|entry| entry.file_name()));
    let names = names.collect::<io::Result<Vec<_>>>().doing("list the directory")?;
    let was_interrupted = names.iter().any(|name| is_staging(name));
    let is_ours = |name: &OsString| is_staging(name) || name == VERSION || name.to_str().is_some_and(is_blob);
    Ok(names.is_empty() || was_interrupted && names.iter().all(is_ours))
}

/// True for the name of a blob or of a further manifest.
fn is_blob(name: &str) -> bool {
    let hex = name.strip_suffix(".manifest.json").unwrap_or(name);
    format!("sha256:{hex}").parse::<Digest>().is_ok_and(|digest| is_supported(&digest))
}

impl Source for Dir {
    fn name(&self) -> String {
        format!("dir:{}", self.dir.display())
    }

    fn bytes_read(&self) -> u64 {
        self.read.get()
    }

    fn list(&self) -> Result<Vec<ImageEntry>> {
        Ok(vec![ImageEntry { tag: None, descriptor: self.manifest().at(self.name())? }])
    }

    fn open(&self, descriptor: &Descriptor) -> Result<Blob> {
        let digest = descriptor.digest();
        let place = || format!("{} {digest}", self.name());
        let mut path = self.path_of(digest);
        if !path.exists() && self.manifest().at(self.name())?.digest() == digest {
            path = self.dir.join(MANIFEST);
        }
        let (file, found) = match open_regular(&path) {
            Ok(opened) => opened,
            Err(error) if is_not_regular(&error) => {
                return Err(Error::malformed("the blob is not a regular file").at(place()));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let hint = "the directory is incomplete; copy the image again, whole";
                return Err(Error::malformed("the blob is absent").hint(hint).at(place()));
            }
            Err(error) => return Err(Error::io("cannot open the blob", error).at(place())),
        };
        if found.len() != descriptor.size() {
            let what = format!("the blob has {} bytes where its descriptor says {}", found.len(), descriptor.size());
            return Err(Error::malformed(what).hint("the copy is damaged; fetch the image again").at(place()));
        }
        Ok(Blob::Extent(Extent::new(Arc::new(file), 0, found.len(), self.read.clone())))
    }

    fn local_path(&self, descriptor: &Descriptor) -> Option<PathBuf> {
        Some(self.path_of(descriptor.digest()))
    }
}

/// A directory to write one image to. New blobs wait in a staging directory inside; the new `manifest.json` replaces
/// the old one in one step, and then what only the old one needed is removed.
pub struct DirWriter {
    dir: Dir,
    staging: Option<Staging>,
    written: Count,
    made: bool,
    audience: Audience,
    /// What was moved into the directory and was not there before; it goes again if nothing is published.
    moved: Vec<PathBuf>,
    /// The directory, locked.
    home: File,
}

impl DirWriter {
    /// Opens the directory for writing what `audience` may read, or makes it.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) if it holds something else,
    /// [`Kind::Usage`](crate::error::Kind::Usage) if it is no place for plaintext; input/output, or another process is
    /// writing and `waiting` says not to wait.
    pub fn open(dir: &Path, waiting: Waiting, audience: Audience) -> Result<Self> {
        let dir = Dir { dir: dir.to_owned(), read: Count::default() };
        let name = dir.name();
        audience.ensure_path(&dir.dir).at(&name)?;
        let (made, home) = loop {
            let made = make_dir(&dir.dir, audience).at(&name)?;
            let opened = open_home(&dir.dir, audience).and_then(|home| {
                lock(&home, waiting, &name)?;
                if made {
                    audience.close_to_others(&home)?;
                }
                audience.ensure_dir(&home.metadata().doing("stat the directory")?)?;
                Ok(home)
            });
            match opened {
                Ok(home) if is_at(&home, &dir.dir) => break (made, home),
                Ok(_) => {}
                Err(error) => {
                    if made {
                        let _ = fs::remove_dir(&dir.dir);
                    }
                    return Err(error.at(name));
                }
            }
        };
        if !Dir::is_dir(&dir.dir) && !holds_only_ours(&dir.dir).at(&name)? {
            let what = "the directory is neither empty nor an image of `dir:`";
            return Err(Error::usage(what).hint("name a new directory").at(name));
        }
        let left = remove_left_staging(&dir.dir).at(&name)?;
        let (written, moved) = Default::default();
        let writer = DirWriter { dir, staging: None, written, made, audience, moved, home };
        if left {
            writer.remove_unneeded().at(name)?;
        }
        Ok(writer)
    }

    fn staging(&mut self) -> Result<&mut Staging> {
        match &mut self.staging {
            Some(staging) => Ok(staging),
            empty => Ok(empty.insert(Staging::new(&self.dir.dir, self.written.clone(), self.audience)?)),
        }
    }

    fn staged(&self, digest: &Digest) -> Option<PathBuf> {
        self.staging.as_ref().map(|staging| staging.path_of(digest)).filter(|path| path.exists())
    }

    fn has(&self, descriptor: &Descriptor) -> bool {
        let there = self.dir.dir.join(descriptor.digest().digest());
        fs::metadata(there).is_ok_and(|found| found.is_file() && found.len() == descriptor.size())
    }

    fn publish_all(&mut self, descriptor: &Descriptor) -> Result<()> {
        let dir = self.dir.dir.clone();
        let audience = self.audience;
        audience.close_to_group(&self.home)?;
        let staging = self.staging()?;
        let manifest = staging.path_of(descriptor.digest());
        let blobs: Vec<Digest> =
            staging.finished()?.into_iter().filter(|digest| digest != descriptor.digest()).collect();
        let staged: Vec<PathBuf> = blobs.iter().map(|digest| staging.path_of(digest)).collect();
        share_modes(staged.iter().chain([&manifest]).map(PathBuf::as_path), audience)?;
        let version = staging.write(&dir.join(VERSION), OUR_VERSION)?;
        for (digest, from) in blobs.iter().zip(staged) {
            self.move_in(&from, dir.join(digest.digest()))?;
        }
        self.move_in(&version, dir.join(VERSION))?;
        sync_dir(&self.home).doing("sync the directory")?;
        fs::rename(manifest, dir.join(MANIFEST)).doing("replace `manifest.json`")?;
        // From here on it is published; what does not succeed now is said, and nothing fails.
        self.moved.clear();
        self.made = false;
        sync_published(&dir);
        if let Err(error) = self.remove_unneeded() {
            tracing::error!("{error}; blobs of the image that was here before, which may hold plaintext, are left");
            return Ok(());
        }
        if let Some(staging) = self.staging.take()
            && let Err(error) = fs::remove_dir_all(staging.dir())
        {
            tracing::warn!("{}: cannot be removed, which the next run does: {error}", staging.dir().display());
        }
        Ok(())
    }

    fn move_in(&mut self, from: &Path, to: PathBuf) -> Result<()> {
        let is_new = fs::symlink_metadata(&to).is_err();
        fs::rename(from, &to).doing("rename the file into place").at(to.display())?;
        if is_new {
            self.moved.push(to);
        }
        Ok(())
    }

    /// Removes the blobs that the image does not need: of the image that was here before, or of an interrupted run.
    fn remove_unneeded(&self) -> Result<()> {
        let mut needed: HashSet<String> = HashSet::new();
        if self.dir.dir.join(MANIFEST).exists() {
            let mut index = Index::empty();
            index.push(&ImageEntry { tag: None, descriptor: self.dir.manifest()? })?;
            let has = |descriptor: &Descriptor| self.dir.open(descriptor).is_ok();
            for descriptor in reachable(&self.dir, &index, &has)? {
                needed.insert(descriptor.digest().digest().to_owned());
            }
        }
        for entry in fs::read_dir(&self.dir.dir).doing("list the directory")? {
            let entry = entry.doing("list the directory")?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let hex = name.strip_suffix(".manifest.json").unwrap_or(&name);
            if is_blob(&name) && !needed.contains(hex) {
                fs::remove_file(entry.path()).doing("remove the file").at(name)?;
            }
        }
        Ok(())
    }
}

impl Destination for DirWriter {
    fn name(&self) -> String {
        self.dir.name()
    }

    fn bytes_written(&self) -> u64 {
        self.written.get()
    }

    fn list(&self) -> Result<Vec<ImageEntry>> {
        if self.dir.dir.join(MANIFEST).exists() { self.dir.list() } else { Ok(Vec::new()) }
    }

    fn supports_multiple(&self) -> bool {
        false
    }

    fn available_space(&self) -> Result<Option<u64>> {
        free_in(&self.dir.dir).map(Some)
    }

    fn estimate_bytes(&self, _source: &dyn Source, descriptor: &Descriptor) -> u64 {
        let there = self.has(descriptor) || self.staged(descriptor.digest()).is_some();
        if there { 0 } else { descriptor.size() }
    }

    fn create(&mut self) -> Result<Box<dyn BlobSink>> {
        let name = self.name();
        Ok(Box::new(self.staging().and_then(|staging| staging.create()).at(name)?))
    }

    fn copy_blobs(&mut self, source: &dyn Source, descriptors: &[Descriptor]) -> Result<Vec<Transfer>> {
        let is_there = |found: &&Descriptor| self.has(found) || self.staged(found.digest()).is_some();
        let there: HashSet<&Digest> = descriptors.iter().filter(is_there).map(Descriptor::digest).collect();
        let name = self.name();
        let staging: &Staging = self.staging()?;
        copy_each(descriptors, |descriptor, shared| {
            if there.contains(descriptor.digest()) {
                return Ok(Transfer::Reused);
            }
            staging.copy(source, descriptor, &name, shared)
        })
    }

    fn publish(&mut self, changes: &[TagChange], _unreached: Unreached) -> Result<GcStats> {
        let name = self.name();
        let image = changes.iter().find_map(|change| match change {
            TagChange::Set { descriptor, .. } => Some(descriptor),
            TagChange::Drop { .. } | TagChange::Forget { .. } | TagChange::Strip { .. } => None,
        });
        let image = image.ok_or_else(|| Error::usage("there is no image to publish").at(&name))?;
        if self.staged(image.digest()).is_none() {
            // It is the image that is here already.
            let bytes = read_document(&self.dir, image)?;
            self.put_manifest("", &bytes)?;
        }
        self.publish_all(image).at(name)?;
        Ok(GcStats::default())
    }
}

impl Drop for DirWriter {
    fn drop(&mut self) {
        for moved in &self.moved {
            let _ = fs::remove_file(moved);
        }
        if let Some(staging) = self.staging.take() {
            let _ = fs::remove_dir_all(staging.dir());
        }
        if self.made {
            // Empty if nothing was published; else this fails, and rightly.
            let _ = fs::remove_dir(&self.dir.dir);
        }
    }
}
