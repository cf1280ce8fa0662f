//! Where images live: a trait to read from, a trait to write to, and one implementation for each transport.
//!
//! A transport is a file (or folder) of this module that implements [`Source`] and [`Destination`]; everything above
//! sees only the two traits. Whatever a transport hands out is untrusted: readers go through [`Verified`], which
//! checks size and digest, above the transports, so that none can forget.

pub mod archive;
pub mod dir;
mod extent;
mod index;
pub mod interrupt;
pub mod layout;
mod lock;
mod parallel;
pub mod progress;
mod pump;
mod reach;
pub mod registry;
mod room;
mod spool;
mod verify;
mod witness;

use std::io::{Read, Write};
use std::path::PathBuf;

use oci_spec::image::{Descriptor, Digest};

use crate::error::{Context, Error, IoContext, Result};

pub use extent::{Count, Extent, ExtentReader};
pub use lock::Waiting;
pub(crate) use lock::{is_at, lock};
pub use progress::Progress;
pub use pump::{BUFFER, Pump};
pub use room::check_room;
pub use spool::Spool;
pub use verify::{Digester, Verified, digest_of, is_supported, sha256_digest};

/// The largest manifest, index or image config that is read, in bytes. Registries refuse manifests above 4 MiB.
pub const MAX_DOCUMENT: u64 = 8 << 20;

/// The annotation that names an image in a layout (OCI image layout, `index.json`).
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// One image that a store lists.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its tag, if it has one.
    pub tag: Option<String>,
    /// Its manifest or index.
    pub descriptor: Descriptor,
}

/// The image with a tag. Where names of repositories stand before tags, as in Docker archives, the tag alone will do if
/// only one image has it.
pub fn tagged<'a>(listed: &'a [Listed], tag: &str) -> Option<&'a Listed> {
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

    /// How many bytes of blobs were read so far.
    fn bytes_read(&self) -> u64;

    /// The images there.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) if there is nothing of this transport's form.
    fn list(&self) -> Result<Vec<Listed>>;

    /// The image with this tag, if there is one. Where there is no list of images, it is looked up by its tag alone.
    ///
    /// # Errors
    /// As [`list`](Source::list).
    fn find(&self, tag: &str) -> Result<Option<Listed>> {
        Ok(tagged(&self.list()?, tag).cloned())
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
    fn repository(&self) -> Option<&registry::Repository> {
        None
    }

    /// Where long steps with its blobs are told.
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
    Verified::new(reader, descriptor).at(&place)?.read_to_end(&mut bytes).doing("read it").at(&place)?;
    Ok(bytes)
}

/// A blob that is being written; nothing of it is visible before [`Destination::publish`].
pub trait BlobSink: Write + Send {
    /// Whether digesting and writing happen on threads of its own, so that who writes to it need not have one for that.
    fn is_apart(&self) -> bool {
        false
    }

    /// Ends the blob and says what was written.
    ///
    /// # Errors
    /// Input/output.
    fn finish(self: Box<Self>) -> Result<Written>;
}

/// A finished blob.
#[derive(Debug, Clone)]
pub struct Written {
    /// `sha256:...` of the bytes.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
}

/// How a blob of the source came to the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transfer {
    /// It was there already, or could be shared without moving a byte.
    Reused,
    /// This many bytes were copied.
    Copied(u64),
}

/// What publishing changes about the names of images.
#[derive(Debug, Clone)]
pub enum TagChange {
    /// The tag names this manifest from now on; it replaces what had the tag, and `replaces` if given.
    Set {
        /// The tag.
        tag: String,
        /// The manifest.
        descriptor: Box<Descriptor>,
        /// An entry that disappears with it: an image that had no tag.
        replaces: Option<Digest>,
    },
    /// The tag disappears, if it is there.
    Drop {
        /// The tag.
        tag: String,
    },
}

impl TagChange {
    /// The same change to a tag that is written in another way.
    pub(crate) fn with_tag(&self, full: impl FnOnce(&String) -> Result<String>) -> Result<Self> {
        Ok(match self {
            TagChange::Set { tag, descriptor, replaces } => {
                let (descriptor, replaces) = (descriptor.clone(), replaces.clone());
                TagChange::Set { tag: full(tag)?, descriptor, replaces }
            }
            TagChange::Drop { tag } => TagChange::Drop { tag: full(tag)? },
        })
    }
}

/// What a [`Destination::publish`] removed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Swept {
    /// Number of blobs.
    pub blobs: u64,
    /// Their size in bytes.
    pub bytes: u64,
}

impl Swept {
    /// What a person is told of it; nothing, if nothing was removed.
    pub fn note(self) -> Option<String> {
        let Swept { blobs, bytes } = self;
        (blobs > 0).then(|| format!("removed {blobs} blobs ({bytes} bytes) that no image needs"))
    }
}

/// A place that images are written to. Nothing of it changes before [`publish`](Destination::publish).
pub trait Destination {
    /// The place as the user would write it, for messages.
    fn name(&self) -> String;

    /// How many bytes of blobs were written so far.
    fn bytes_written(&self) -> u64;

    /// The images that are there now.
    ///
    /// # Errors
    /// Input/output, or a destination of another form.
    fn list(&self) -> Result<Vec<Listed>>;

    /// Whether it can hold several images, by tags.
    fn holds_several(&self) -> bool {
        true
    }

    /// How many bytes can still be written there, where that can be told.
    ///
    /// # Errors
    /// Input/output.
    fn free(&self) -> Result<Option<u64>> {
        Ok(None)
    }

    /// How many bytes [`take`](Destination::take) would write for this blob, at least.
    fn costs(&self, _source: &dyn Source, descriptor: &Descriptor) -> u64 {
        descriptor.size()
    }

    /// The tag as it will stand there: Docker archives put a repository in front.
    ///
    /// # Errors
    /// As [`list`](Destination::list).
    fn full_tag(&self, tag: &str) -> Result<String> {
        Ok(tag.to_owned())
    }

    /// Finds out whether anything can be written there, if that takes more than to open it.
    ///
    /// # Errors
    /// It cannot.
    fn probe(&self) -> Result<()> {
        Ok(())
    }

    /// Begins a new blob. It may hold plaintext: it is readable by this user alone until it is published.
    ///
    /// # Errors
    /// Input/output.
    fn create(&mut self) -> Result<Box<dyn BlobSink>>;

    /// Writes a manifest. Most stores keep manifests among the other blobs.
    ///
    /// # Errors
    /// As [`create`](Destination::create).
    fn put_manifest(&mut self, _media_type: &str, bytes: &[u8]) -> Result<Written> {
        let mut sink = self.create()?;
        sink.write_all(bytes).doing("write a manifest")?;
        sink.finish()
    }

    /// Makes blobs of `source` part of what will be published, several at once where that is faster; how each came there.
    ///
    /// # Errors
    /// As [`Source::open`], [`Verified`], and input/output.
    fn take(&mut self, source: &dyn Source, descriptors: &[Descriptor]) -> Result<Vec<Transfer>>;

    /// Makes everything written so far visible: blobs first, names last and all at once. Where they cannot change at once,
    /// the first of them, which is the travelling one that others act upon, changes last. With `sweep`, every blob that
    /// no name reaches any more is removed afterwards.
    ///
    /// # Errors
    /// Input/output; then the names are as they were.
    fn publish(&mut self, changes: &[TagChange], sweep: bool) -> Result<Swept>;
}
