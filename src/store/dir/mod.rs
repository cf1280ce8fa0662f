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
use crate::store::fs::{Waiting, free_in, is_at, lock};
use crate::store::index::Index;
use crate::store::layout::{Staging, is_staging, remove_left_staging};
use crate::store::parallel::copy_each;
use crate::store::reach::reachable;
use crate::store::source::{Blob, ImageEntry, MAX_DOCUMENT, Source, read_document};
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
        let path = self.dir.join(MANIFEST);
        let len = fs::metadata(&path).doing("read the manifest").at(MANIFEST)?.len();
        if len > MAX_DOCUMENT {
            return Err(Error::malformed(format!("{len} bytes; at most {MAX_DOCUMENT} are read")).at(MANIFEST));
        }
        let bytes = fs::read(&path).doing("read the manifest").at(MANIFEST)?;
        let document = json::parse_object(&bytes).at(MANIFEST)?;
        let stated = document.get("mediaType").and_then(json::Value::as_str);
        let media_type = match stated {
            Some(stated) => stated,
            None if document.contains_key("manifests") => "application/vnd.oci.image.index.v1+json",
            None => "application/vnd.oci.image.manifest.v1+json",
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
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let hint = "the directory is incomplete; copy the image again, whole";
                return Err(Error::malformed("the blob is absent").hint(hint).at(place()));
            }
            Err(error) => return Err(Error::io("cannot open the blob", error).at(place())),
        };
        let found = file.metadata().doing("stat the blob").at(place())?;
        if !found.is_file() || found.len() != descriptor.size() {
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
    _lock: File,
}

impl DirWriter {
    /// Opens the directory for writing, or makes it.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) if it holds something else, input/output, or another process
    /// is writing and `waiting` says not to wait.
    pub fn open(dir: &Path, waiting: Waiting) -> Result<Self> {
        let dir = Dir { dir: dir.to_owned(), read: Count::default() };
        let name = dir.name();
        let (made, file) = loop {
            let made = fs::create_dir(&dir.dir).is_ok();
            let file = File::open(&dir.dir).doing("open the directory").at(&name)?;
            lock(&file, waiting, &name).at(&name)?;
            if is_at(&file, &dir.dir) {
                break (made, file);
            }
        };
        if !Dir::is_dir(&dir.dir) && !holds_only_ours(&dir.dir).at(&name)? {
            return Err(Error::malformed("the directory is neither empty nor an image of `dir:`").at(name));
        }
        let left = remove_left_staging(&dir.dir).at(&name)?;
        let writer = DirWriter { dir, staging: None, written: Count::default(), made, _lock: file };
        if left {
            writer.remove_unneeded().at(name)?;
        }
        Ok(writer)
    }

    fn staging(&mut self) -> Result<&mut Staging> {
        match &mut self.staging {
            Some(staging) => Ok(staging),
            empty => Ok(empty.insert(Staging::new(&self.dir.dir, self.written.clone())?)),
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
        let staging = self.staging()?;
        let manifest = staging.path_of(descriptor.digest());
        for digest in staging.finished()? {
            if digest != *descriptor.digest() {
                let (from, to) = (staging.path_of(&digest), dir.join(digest.digest()));
                super::layout::share_mode(&from)?;
                fs::rename(from, &to).doing("rename the file into place").at(to.display())?;
            }
        }
        let version = staging.write(VERSION, OUR_VERSION)?;
        fs::rename(version, dir.join(VERSION)).doing("write `version`")?;
        super::layout::share_mode(&manifest)?;
        File::open(&dir).and_then(|dir| dir.sync_all()).doing("sync the directory")?;
        fs::rename(manifest, dir.join(MANIFEST)).doing("replace `manifest.json`")?;
        File::open(&dir).and_then(|dir| dir.sync_all()).doing("sync the directory")?;
        self.made = false;
        self.remove_unneeded()?;
        if let Some(staging) = self.staging.take() {
            fs::remove_dir_all(staging.dir()).doing("remove the staging directory")?;
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
            TagChange::Drop { .. } | TagChange::Strip { .. } => None,
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
        if let Some(staging) = self.staging.take() {
            let _ = fs::remove_dir_all(staging.dir());
        }
        if self.made {
            // Empty if nothing was published; else this fails, and rightly.
            let _ = fs::remove_dir(&self.dir.dir);
        }
    }
}
