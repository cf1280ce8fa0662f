use std::collections::HashSet;
use std::io::Read;
use std::path::PathBuf;

use oci_spec::image::{Descriptor, Digest};

use super::extent::Extent;
use super::progress::Progress;
use super::registry::Repository;
use super::verify::Verified;
use crate::error::{Error, ErrorContext, IoContext, Result};

/// The largest manifest, index or image config that is read, in bytes. Registries refuse manifests above 4 MiB.
pub const MAX_DOCUMENT: u64 = 8 << 20;

/// The annotation that names an image in a layout (OCI image layout, `index.json`).
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// The whole name of an image, as containerd and Docker note it in an index.
pub(super) const IMAGE_NAME: &str = "io.containerd.image.name";
/// The annotation of an image in a layout or an archive that is thin: the digests of the blobs that whoever gets it has
/// already, separated by commas. The image's own documents are those of the whole image.
pub const LEFT_OUT: &str = "de.personalhealthtrain.left-out";

/// The blobs that a thin image says it goes without.
pub fn left_out(listed: &Descriptor) -> HashSet<Digest> {
    let named = listed.annotations().as_ref().and_then(|annotations| annotations.get(LEFT_OUT));
    named.into_iter().flat_map(|text| text.split(',')).filter_map(|digest| digest.trim().parse().ok()).collect()
}

/// Notes which blobs an image goes without; none makes it a whole one.
pub fn mark_left_out(listed: &mut Descriptor, left_out: &[Digest]) {
    let mut annotations = listed.annotations().clone().unwrap_or_default();
    annotations.remove(LEFT_OUT);
    if !left_out.is_empty() {
        let names: Vec<&str> = left_out.iter().map(AsRef::as_ref).collect();
        annotations.insert(LEFT_OUT.to_owned(), names.join(","));
    }
    listed.set_annotations(Some(annotations).filter(|annotations| !annotations.is_empty()));
}

/// One image that a store lists.
#[derive(Debug, Clone)]
pub struct ImageEntry {
    /// Its tag, if it has one.
    pub tag: Option<String>,
    /// Its manifest or index.
    pub descriptor: Descriptor,
}

/// One image of a place, as far as the place's own list of images tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its tag, if it has one. In a Docker archive it is the image's whole name.
    pub tag: Option<String>,
    /// The digest of its manifest or index. Registries list tags alone.
    pub digest: Option<Digest>,
}

/// The image with a tag. Where names of repositories stand before tags, as in Docker archives, the tag alone will do if
/// only one image has it.
pub fn tagged<'a>(listed: &'a [ImageEntry], tag: &str) -> Option<&'a ImageEntry> {
    let ends = |own: &str| own.rsplit_once(':').is_some_and(|(_, own)| own == tag);
    let exact = listed.iter().find(|listed| listed.tag.as_deref() == Some(tag));
    let mut ending = listed.iter().filter(|listed| listed.tag.as_deref().is_some_and(ends));
    exact.or_else(|| ending.next().filter(|_| ending.next().is_none()))
}

/// A blob as a source hands it out, not verified yet.
pub enum Blob {
    /// It lies in a local file and can be read at any position.
    Extent(Extent),
    /// It arrives once, from the beginning.
    Stream(Box<dyn Read + Send>),
}

impl Blob {
    /// Reads it from the beginning.
    pub fn into_reader(self) -> Box<dyn Read + Send> {
        match self {
            Blob::Extent(extent) => Box::new(extent.reader()),
            Blob::Stream(stream) => stream,
        }
    }
}

/// A place that images are read from.
pub trait Source: Send + Sync {
    /// The place as the user would write it, for messages.
    fn name(&self) -> String;

    /// Bytes of blobs read so far.
    fn bytes_read(&self) -> u64;

    /// The images there.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) if there is nothing of this transport's form.
    fn list(&self) -> Result<Vec<ImageEntry>>;

    /// The image with this tag, if there is one. Where there is no list of images, it is looked up by its tag alone.
    ///
    /// # Errors
    /// As [`list`](Source::list).
    fn find(&self, tag: &str) -> Result<Option<ImageEntry>> {
        Ok(tagged(&self.list()?, tag).cloned())
    }

    /// The image at a position in the list of images, from 0.
    ///
    /// # Errors
    /// As [`list`](Source::list).
    fn nth(&self, place: usize) -> Result<Option<ImageEntry>> {
        Ok(self.list()?.into_iter().nth(place))
    }

    /// All images there, whatever was asked for, without a look at any of them.
    ///
    /// # Errors
    /// As [`list`](Source::list).
    fn list_all(&self) -> Result<Vec<Listed>> {
        let listed = |image: ImageEntry| Listed { digest: Some(image.descriptor.digest().clone()), tag: image.tag };
        Ok(self.list()?.into_iter().map(listed).collect())
    }

    /// Opens a blob: a manifest, a config or a layer.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) if it is absent.
    fn open(&self, descriptor: &Descriptor) -> Result<Blob>;

    /// The file that is the blob and nothing but the blob, where there is one that may be shared by a hard link.
    fn local_path(&self, _descriptor: &Descriptor) -> Option<PathBuf> {
        None
    }

    /// The repository that it is, if it is in a registry: one in the same registry may share its blobs.
    fn repository(&self) -> Option<&Repository> {
        None
    }

    /// The listener for long tasks with its blobs.
    fn progress(&self) -> Progress {
        Progress::default()
    }
}

/// Reads a manifest, an index or an image config whole, verified.
///
/// # Errors
/// As [`Source::open`] and [`Verified`]; documents above [`MAX_DOCUMENT`] are malformed.
pub fn read_document(source: &dyn Source, descriptor: &Descriptor) -> Result<Vec<u8>> {
    let place = format!("{} {}", source.name(), descriptor.digest());
    if descriptor.size() > MAX_DOCUMENT {
        let found = descriptor.size();
        return Err(Error::malformed(format!("a document of {found} bytes; at most {MAX_DOCUMENT} are read")).at(place));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(descriptor.size()).unwrap_or_default());
    let reader = source.open(descriptor)?.into_reader();
    Verified::new(reader, descriptor).at(&place)?.read_to_end(&mut bytes).doing("read the document").at(&place)?;
    Ok(bytes)
}
