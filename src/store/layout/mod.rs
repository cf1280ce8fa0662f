//! OCI image layouts: a directory with `oci-layout`, `index.json` and `blobs/` (OCI image layout specification).
//!
//! Reading needs nothing but the directory. Writing works in a staging directory inside the layout, so that the
//! layout's own files change only when everything is there; [`LayoutWriter`] says how.

mod file;
mod location;
mod reach;
mod staging;
mod write;

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oci_spec::image::{Descriptor, Digest};

use crate::error::{Advice, Error, ErrorContext, IoContext, Result};
use crate::json;
use crate::store::count::Count;
use crate::store::extent::Extent;
use crate::store::fs::{is_not_regular, open_regular};
use crate::store::index::Index;
use crate::store::source::{Blob, ImageEntry, MAX_DOCUMENT, Source};

pub(super) use location::{LayoutLocation, TRANSPORT};
pub(super) use staging::{Staging, is_staging, remove_left_staging, share_modes};
pub use write::LayoutWriter;
pub(super) use write::{make_dir, open_home};

/// The images that an `index.json` with these bytes lists.
///
/// # Errors
/// [`Kind::Malformed`](crate::error::Kind::Malformed) if it is no index, or two images have one tag.
#[doc(hidden)] // For the fuzz targets.
pub fn listed_in(index: &[u8]) -> Result<Vec<ImageEntry>> {
    Index::parse(index)?.list()
}

/// A layout to read from.
#[derive(Debug, Clone)]
pub struct Layout {
    dir: PathBuf,
    read: Count,
}

impl Layout {
    /// Opens the layout in `dir`.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) if it is none, or of a version this program does not know.
    pub fn open(dir: &Path) -> Result<Self> {
        let layout = Layout { dir: dir.to_owned(), read: Count::default() };
        layout.ensure_version().at(layout.name())?;
        Ok(layout)
    }

    /// True if `dir` looks like a layout.
    pub fn is_layout(dir: &Path) -> bool {
        dir.join("oci-layout").is_file() || dir.join("index.json").is_file()
    }

    fn ensure_version(&self) -> Result<()> {
        let marker = self.dir.join("oci-layout");
        if !marker.is_file() {
            return Err(Error::malformed("not an OCI image layout: there is no file `oci-layout`"));
        }
        let document = json::parse_object(&read_small(&marker)?).at("oci-layout")?;
        match document.get("imageLayoutVersion").and_then(json::Value::as_str) {
            Some("1.0.0") => Ok(()),
            Some(other) => Err(Error::malformed(format!("image layout version {other}; only 1.0.0 is supported"))),
            None => Err(Error::malformed("`imageLayoutVersion` is missing").at("oci-layout")),
        }
    }

    fn index(&self) -> Result<Index> {
        let path = self.dir.join("index.json");
        if !path.is_file() {
            return Err(Error::malformed("not an OCI image layout: there is no file `index.json`"));
        }
        Index::parse(&read_small(&path)?).at("index.json")
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        // Both parts are checked by `Digest`: no separators and no dots only.
        self.dir.join("blobs").join(digest.algorithm().as_ref()).join(digest.digest())
    }
}

impl Source for Layout {
    fn name(&self) -> String {
        format!("oci:{}", self.dir.display())
    }

    fn bytes_read(&self) -> u64 {
        self.read.get()
    }

    fn list(&self) -> Result<Vec<ImageEntry>> {
        self.index().and_then(|index| index.list().at("index.json")).at(self.name())
    }

    fn nth(&self, place: usize) -> Result<Option<ImageEntry>> {
        self.index().and_then(|index| index.nth(place).at("index.json")).at(self.name())
    }

    fn open(&self, descriptor: &Descriptor) -> Result<Blob> {
        let digest = descriptor.digest();
        let path = self.blob_path(digest);
        let place = || format!("{} {digest}", self.name());
        let (file, metadata) = match open_regular(&path) {
            Ok(opened) => opened,
            Err(error) if is_not_regular(&error) => {
                return Err(Error::malformed("the blob is not a regular file").at(place()));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let is_thin = self.index().is_ok_and(|index| index.leaves_out(digest));
                let error =
                    match is_thin {
                        true => Error::malformed("the image is thin, and goes without this blob")
                            .advise(Advice::CompleteImage),
                        false => Error::malformed("the blob is absent")
                            .hint("the layout is incomplete; copy it again, whole"),
                    };
                return Err(error.at(place()));
            }
            Err(error) => return Err(Error::io("cannot open the blob", error).at(place())),
        };
        if metadata.len() != descriptor.size() {
            let (found, size) = (metadata.len(), descriptor.size());
            let what = format!("the blob has {found} bytes where its descriptor says {size}");
            return Err(Error::malformed(what).hint("the copy is damaged; fetch the image again").at(place()));
        }
        Ok(Blob::Extent(Extent::new(Arc::new(file), 0, metadata.len(), self.read.clone())))
    }

    fn local_path(&self, descriptor: &Descriptor) -> Option<PathBuf> {
        Some(self.blob_path(descriptor.digest()))
    }
}

/// Reads a small file of a layout, or of an image in a directory, whole.
///
/// # Errors
/// [`Kind::Malformed`](crate::error::Kind::Malformed) for anything but a regular file, and for a large one.
pub(super) fn read_small(path: &Path) -> Result<Vec<u8>> {
    let (file, found) = match open_regular(path) {
        Err(error) if is_not_regular(&error) => {
            return Err(Error::malformed("not a regular file").at(path.display()));
        }
        opened => opened.doing("read the file").at(path.display())?,
    };
    let len = found.len();
    if len > MAX_DOCUMENT {
        return Err(Error::malformed(format!("{len} bytes; at most {MAX_DOCUMENT} are read")).at(path.display()));
    }
    let mut bytes = Vec::new();
    file.take(MAX_DOCUMENT).read_to_end(&mut bytes).doing("read the file").at(path.display())?;
    Ok(bytes)
}
