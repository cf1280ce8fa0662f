//! Archives of images in one tar file: an OCI image layout (`oci-archive:`), or what `docker save` writes
//! (`docker-archive:`). They are read where they are; only what cannot be read at any position is spooled.

mod docker;
mod lists;
mod location;
mod members;
mod names;
mod write;

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oci_spec::image::{Descriptor, Digest};

use crate::error::{Advice, Error, ErrorContext, IoContext, Kind, Result};
use crate::json;
use crate::store::count::Count;
use crate::store::extent::Extent;
use crate::store::index::Index;
use crate::store::interrupt;
use crate::store::source::{Blob, ImageEntry, MAX_DOCUMENT, Source};
use crate::store::spool::Spool;
use crate::tar::{Compression, Decoder, Reader, Sequential};

pub(super) use location::{DOCKER_TRANSPORT, OCI_TRANSPORT};
use members::Members;
use names::{DOCKER_MANIFEST, blob_name};
pub use write::ArchiveWriter;

/// The format of an archive's list of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArchiveFormat {
    /// By `index.json` (OCI image layout).
    Oci,
    /// By `manifest.json` (Docker's image tarball). Docker 25 and newer write both.
    Docker,
}

impl ArchiveFormat {
    /// The format of the archive at a path, by the names of its members. Whatever is none is said when it is opened.
    pub fn of(path: &Path) -> Self {
        // A pipe can be read only once.
        let is_docker = path.is_file() && has_member(path, DOCKER_MANIFEST).unwrap_or(false);
        if is_docker { ArchiveFormat::Docker } else { ArchiveFormat::Oci }
    }

    /// The prefix of references, without its colon.
    fn name(self) -> &'static str {
        match self {
            ArchiveFormat::Oci => "oci-archive",
            ArchiveFormat::Docker => "docker-archive",
        }
    }
}

/// An archive to read from.
pub struct Archive {
    path: PathBuf,
    format: ArchiveFormat,
    members: Members,
    read: Count,
    images: docker::Images,
}

impl Archive {
    /// Opens an archive in this format, or in the one that its content tells. Compressed ones, and what cannot be read at
    /// any position (a pipe), are spooled into `spool_dir`.
    ///
    /// # Errors
    /// [`Kind::Malformed`] if it is no archive of images, or none of this format.
    pub fn open(path: &Path, format: Option<ArchiveFormat>, spool_dir: &Path) -> Result<Self> {
        let place = format!("{}:{}", format.unwrap_or(ArchiveFormat::Oci).name(), path.display());
        Self::open_here(path, format, spool_dir).at(place)
    }

    fn open_here(path: &Path, format: Option<ArchiveFormat>, spool_dir: &Path) -> Result<Self> {
        let read = Count::default();
        let members = Members::read(to_extent(path, spool_dir, &read)?)?;
        if members.place(DOCKER_MANIFEST).is_none() && members.place("repositories").is_some() {
            let what = "an archive of Docker older than 1.10: there is no `manifest.json` in it";
            return Err(Error::malformed(what).hint("load it into a newer Docker, and save it anew"));
        }
        lists::ensure_agreement(&members)?;
        let format = match format {
            Some(format) => format,
            // Where both are, as Docker 25 writes them, a stage in place must keep what `docker load` reads.
            None if members.get(DOCKER_MANIFEST).is_some() => ArchiveFormat::Docker,
            None => ArchiveFormat::Oci,
        };
        let images = match format {
            ArchiveFormat::Oci => docker::Images::of(read_index(&members)?),
            ArchiveFormat::Docker => docker::read(&members)?,
        };
        Ok(Archive { path: path.to_owned(), format, members, read, images })
    }

    /// The format of the archive's list of images.
    pub fn format(&self) -> ArchiveFormat {
        self.format
    }

    fn blob(&self, digest: &Digest) -> Option<Extent> {
        match self.images.names.get(digest.as_ref()) {
            Some(name) => self.members.get(name),
            None => self.members.get(&blob_name(digest)),
        }
    }

    fn has(&self, descriptor: &Descriptor) -> bool {
        self.images.documents.contains_key(descriptor.digest().as_ref()) || self.blob(descriptor.digest()).is_some()
    }
}

fn read_index(members: &Members) -> Result<Index> {
    let absent = |name: &str| {
        let hint = "the archive is incomplete or of another kind; fetch it again, or have it saved anew";
        Error::malformed(format!("not an OCI archive: there is no `{name}` in it")).hint(hint)
    };
    let marker = members.document("oci-layout", MAX_DOCUMENT)?.ok_or_else(|| absent("oci-layout"))?;
    let marker = json::parse_object(&marker).at("oci-layout")?;
    match marker.get("imageLayoutVersion").and_then(json::Value::as_str) {
        Some("1.0.0") => {}
        _ => return Err(Error::malformed("not an image layout of version 1.0.0").at("oci-layout")),
    }
    let index = members.document("index.json", MAX_DOCUMENT)?.ok_or_else(|| absent("index.json"))?;
    Index::parse(&index).at("index.json")
}

/// A file as it can be read at any position, uncompressed: where it is, or spooled into `spool_dir`.
///
/// # Errors
/// [`Kind::Usage`] if there is no such file,
/// [`Kind::Malformed`] for a directory; input/output.
pub fn to_extent(path: &Path, spool_dir: &Path, read: &Count) -> Result<Extent> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Error::usage("there is no such file")),
        Err(error) => return Err(Error::io("cannot open the archive", error)),
    };
    let metadata = file.metadata().doing("stat the archive")?;
    if metadata.is_dir() {
        return Err(Error::malformed("a directory, not an archive"));
    }
    // A pipe of the shell's is a way to hand an archive over; of a device there may be no end.
    if metadata.file_type().is_char_device() || metadata.file_type().is_block_device() {
        return Err(Error::usage("a device, not an archive"));
    }
    let spooled = |mut plain: Box<dyn Read + '_>| {
        let mut spool = Spool::new(spool_dir)?;
        let copied = io::copy(&mut plain, &mut spool).doing("spool the archive");
        let damaged = "the copy is incomplete or damaged; fetch it again, or unpack it by hand";
        copied.map_err(|error| match error.advice() {
            None if error.kind() == Kind::Malformed => error.hint(damaged),
            _ => error,
        })?;
        Ok(spool.into_extent())
    };
    if !metadata.is_file() {
        return spooled(Box::new(Decoder::new(file)?));
    }
    let whole = Extent::new(Arc::new(file), 0, metadata.len(), read.clone());
    let decoder = Decoder::new(whole.reader())?;
    match decoder.compression() {
        Compression::None => Ok(whole),
        _ => spooled(Box::new(decoder)),
    }
}

/// True if there is a member with this name. Nothing is spooled, so a compressed archive is read through.
fn has_member(path: &Path, name: &str) -> Result<bool> {
    let file = File::open(path).doing("open the archive")?;
    let len = file.metadata().doing("stat the archive")?.len();
    let whole = Extent::new(Arc::new(file), 0, len, Count::default());
    let decoder = Decoder::new(whole.reader())?;
    if decoder.compression() == Compression::None {
        return Ok(Members::read(whole)?.get(name).is_some());
    }
    let mut reader = Reader::new(Sequential(decoder));
    while let Some(entry) = reader.next_entry()? {
        interrupt::check()?;
        if *entry.path == *name.as_bytes() {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Source for Archive {
    fn name(&self) -> String {
        format!("{}:{}", self.format.name(), self.path.display())
    }

    fn bytes_read(&self) -> u64 {
        self.read.get()
    }

    fn list(&self) -> Result<Vec<ImageEntry>> {
        self.images.index.list().at(self.name())
    }

    fn nth(&self, place: usize) -> Result<Option<ImageEntry>> {
        let place = match self.format {
            ArchiveFormat::Oci => Some(place),
            // An image is one, whatever the number of its names.
            ArchiveFormat::Docker => self.images.places.get(place).copied(),
        };
        place.map_or(Ok(None), |place| self.images.index.nth(place)).at(self.name())
    }

    fn open(&self, descriptor: &Descriptor) -> Result<Blob> {
        let digest = descriptor.digest();
        let place = || format!("{} {digest}", self.name());
        if let Some(document) = self.images.documents.get(digest.as_ref()) {
            return Ok(Blob::Stream(Box::new(io::Cursor::new(document.clone()))));
        }
        let Some(extent) = self.blob(digest) else {
            let error = match self.images.index.leaves_out(digest) {
                true => Error::malformed("the image is thin, and goes without this blob").advise(Advice::CompleteImage),
                false => {
                    Error::malformed("the blob is absent").hint("the archive is incomplete; fetch it again, whole")
                }
            };
            return Err(error.at(place()));
        };
        if extent.len() != descriptor.size() {
            let (found, size) = (extent.len(), descriptor.size());
            let what = format!("the blob has {found} bytes where its descriptor says {size}");
            return Err(Error::malformed(what).hint("the copy is damaged; fetch the image again").at(place()));
        }
        Ok(Blob::Extent(extent))
    }
}

#[cfg(test)]
mod tests;
