use std::io::Write;

use oci_spec::image::{Descriptor, Digest};

use super::source::{ImageEntry, LEFT_OUT, Source};
use crate::error::{IoContext, Result};
use crate::text::counted;

/// A blob that is being written; nothing of it is visible before [`Destination::publish`].
pub trait BlobSink: Write + Send {
    /// True if digesting and writing happen on threads of its own, so that who writes to it need not have one for that.
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

/// The way in which a blob of the source came to the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transfer {
    /// It was there already, or could be shared without moving a byte.
    Reused,
    /// This many bytes were copied.
    Copied(u64),
}

/// True if no engine acts on an annotation: those that describe an image (OCI image specification, annotations), and the
/// one by which a thin image is known.
pub fn is_plain_annotation(name: &str) -> bool {
    name.starts_with("org.opencontainers.image.") || name == LEFT_OUT
}

/// A change that publishing makes to the names of images.
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
    /// What the tag names is for an engine: it, and the list that it stands in, lose the annotations that engines may act
    /// on. Where images are listed without annotations there is nothing to do.
    Strip {
        /// The tag.
        tag: String,
    },
    /// The tag disappears, if it is there.
    Drop {
        /// The tag.
        tag: String,
    },
    /// An image without a tag disappears, if it is there. Registries list none.
    Forget {
        /// The digest of its manifest or index.
        digest: Digest,
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
            TagChange::Strip { tag } => TagChange::Strip { tag: full(tag)? },
            TagChange::Drop { tag } => TagChange::Drop { tag: full(tag)? },
            TagChange::Forget { digest } => TagChange::Forget { digest: digest.clone() },
        })
    }
}

/// What becomes of the blobs that no name reaches any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreached {
    /// They stay.
    Keep,
    /// They are removed, where a destination has such blobs: layouts do.
    Remove,
    /// Of these they are removed.
    RemoveOf(Vec<Digest>),
}

/// The blobs that [`Destination::publish`] removed.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct GcStats {
    /// Number of blobs.
    pub blobs: u64,
    /// Their size in bytes.
    pub bytes: u64,
}

impl GcStats {
    /// The note for a person; none, if nothing was removed.
    pub fn note(self) -> Option<String> {
        let GcStats { blobs, bytes } = self;
        (blobs > 0).then(|| format!("removed {} ({bytes} bytes) that no image needs", counted(blobs, "blob")))
    }
}

/// A place that images are written to. Nothing of it changes before [`publish`](Destination::publish).
pub trait Destination {
    /// The place as the user would write it, for messages.
    fn name(&self) -> String;

    /// Bytes of blobs written so far.
    fn bytes_written(&self) -> u64;

    /// The images that are there now.
    ///
    /// # Errors
    /// Input/output, or a destination of another form.
    fn list(&self) -> Result<Vec<ImageEntry>>;

    /// True if it can hold several images, by tags.
    fn supports_multiple(&self) -> bool {
        true
    }

    /// True if images may lie there without all of their blobs.
    fn holds_thin_images(&self) -> bool {
        false
    }

    /// True if a blob is there already, so that nobody need bring it.
    ///
    /// # Errors
    /// Input/output; the registry.
    fn has_blob(&self, _descriptor: &Descriptor) -> Result<bool> {
        Ok(false)
    }

    /// The free space in bytes, where it is known.
    ///
    /// # Errors
    /// Input/output.
    fn available_space(&self) -> Result<Option<u64>> {
        Ok(None)
    }

    /// The bytes that [`copy_blobs`](Destination::copy_blobs) would write for this blob, at least.
    fn estimate_bytes(&self, _source: &dyn Source, descriptor: &Descriptor) -> u64 {
        descriptor.size()
    }

    /// The tag as it will stand there: Docker archives put a repository in front.
    ///
    /// # Errors
    /// As [`list`](Destination::list).
    fn qualify_tag(&self, tag: &str) -> Result<String> {
        Ok(tag.to_owned())
    }

    /// Finds out whether anything can be written there, if that takes more than to open it.
    ///
    /// # Errors
    /// It cannot.
    fn check_writable(&self) -> Result<()> {
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

    /// Makes blobs of `source` part of what will be published, several at once where that is faster; how each came
    /// there.
    ///
    /// # Errors
    /// As [`Source::open`], [`Verified`](super::verify::Verified), and input/output.
    fn copy_blobs(&mut self, source: &dyn Source, descriptors: &[Descriptor]) -> Result<Vec<Transfer>>;

    /// Makes everything written so far visible: blobs first, names last and all at once. Where they cannot change at
    /// once, the first of them, which is the travelling one that others act upon, changes last. Blobs that no name
    /// reaches any more go afterwards, if they are to.
    ///
    /// # Errors
    /// Input/output; then the names are as they were.
    fn publish(&mut self, changes: &[TagChange], unreached: Unreached) -> Result<GcStats>;
}
