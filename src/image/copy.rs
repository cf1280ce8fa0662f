use std::collections::HashSet;

use oci_spec::image::Descriptor;

use super::document::{Image, MAX_INDEX_DEPTH, contents_of};
use super::open::open_image;
use super::report::{BytesMoved, ImageReport, LayerCounts};
use super::target::PendingTarget;
use crate::error::{Advice, Error, ErrorContext, IoContext, Result};
use crate::store::{
    Audience, Context, Destination, Reference, Source, TagChange, Transfer, Unreached, Verified, ensure_free_space,
    read_document,
};

/// The label with the stage that made an image, and what it says of one that was opened. No other stage leaves plaintext.
const STAGE_LABEL: &str = "de.personalhealthtrain.stage";
const OPENED: &str = "pre-run";
/// The most manifests and blobs that an image is made of.
const MAX_PARTS: usize = 1 << 16;

/// A request to copy an image.
#[non_exhaustive]
pub struct CopyRequest<'a> {
    /// The image.
    pub source: &'a Reference,
    /// The destination.
    pub destination: &'a Reference,
    /// Of an index the images for all platforms, not only the one asked for.
    pub all: bool,
    /// Copy plaintext to a place that others own or may write, too.
    pub shared: bool,
}

impl<'a> CopyRequest<'a> {
    /// The image for the platform that is asked for.
    pub fn new(source: &'a Reference, destination: &'a Reference) -> Self {
        CopyRequest { source, destination, all: false, shared: false }
    }
}

/// Copies an image between any two places, its manifest and every blob as they are; each is verified on the way.
///
/// # Errors
/// [`Kind::Verification`](crate::error::Kind::Verification) or [`Kind::Malformed`](crate::error::Kind::Malformed) if
/// something is not what its descriptor says. Then nothing has changed.
pub fn copy(request: &CopyRequest<'_>, context: &Context) -> Result<ImageReport> {
    let image = open_image(request.source, context)?;
    let audience = if is_opened(&image) { Audience::Owner { shared: request.shared } } else { Audience::Anyone };
    let pending = PendingTarget::open_for(request.source, Some(request.destination), context, audience)?;
    let mut target = pending.resolve(request.source, Some(request.destination), &image)?;
    if target.in_place || request.source.is_same_place(request.destination) && request.destination.tag().is_none() {
        return Err(Error::usage("source and destination are the same image").at(request.source));
    }
    let descriptor = if request.all { image.listed().descriptor.clone() } else { tagged(&image) };
    if request.all && descriptor.digest() != image.descriptor().digest() && !target.destination.supports_multiple() {
        let error = Error::usage("there is room for one image only").advise(Advice::CopyOne);
        return Err(error.at(target.destination.name()));
    }
    ensure_copy(&*target.destination, image.source(), &descriptor)?;
    let mut copied = Copied::default();
    copied.manifest(&mut *target.destination, image.source(), &descriptor, MAX_INDEX_DEPTH)?;
    let set = TagChange::Set {
        tag: target.tag.clone(),
        descriptor: Box::new(descriptor.clone()),
        replaces: target.replaces.clone(),
    };
    target.destination.publish(&[set], Unreached::Keep)?;
    Ok(ImageReport {
        source: request.source.to_string(),
        destination: format!("{}:{}", target.destination.name(), target.tag),
        digest_before: Some(descriptor.digest().to_string()),
        digest_after: Some(descriptor.digest().to_string()),
        layers: LayerCounts { reused: copied.blobs, ..LayerCounts::default() },
        bytes: BytesMoved {
            read: image.source().bytes_read(),
            written: target.destination.bytes_written(),
            transferred: copied.bytes,
        },
    })
}

fn verify(from: &dyn Source, blob: &Descriptor) -> Result<()> {
    let place = format!("{} {}", from.name(), blob.digest());
    let mut reader = Verified::new(from.open(blob)?.into_reader(), blob).at(&place)?;
    reader.drain().doing("read the blob").at(place)
}

/// True if the image says that it holds plaintext, or was committed from one that does.
fn is_opened(image: &Image) -> bool {
    image.label(STAGE_LABEL) == Some(OPENED)
}

/// The manifest itself, with the annotations that the tag has.
fn tagged(image: &Image) -> Descriptor {
    let mut descriptor = image.descriptor().clone();
    descriptor.set_annotations(image.listed().descriptor.annotations().clone());
    descriptor
}

/// The blobs copied so far.
#[derive(Default)]
struct Copied {
    /// Layers.
    blobs: usize,
    bytes: u64,
}

impl Copied {
    /// Copies what a manifest or an index names, then itself.
    fn manifest(
        &mut self,
        to: &mut dyn Destination,
        from: &dyn Source,
        descriptor: &Descriptor,
        depth: usize,
    ) -> Result<()> {
        if depth == 0 {
            return Err(Error::malformed(format!("indexes nested more than {MAX_INDEX_DEPTH} deep")).at(from.name()));
        }
        let contents = contents_of(from, descriptor).at(from.name())?;
        for child in &contents.manifests {
            self.manifest(to, from, child, depth - 1)?;
        }
        for (blob, transfer) in contents.blobs.iter().zip(to.copy_blobs(from, &contents.blobs)?) {
            match transfer {
                Transfer::Copied(bytes) => self.bytes += bytes,
                // What was shared by a second name has not been read on the way.
                Transfer::Reused if from.local_path(blob).is_some() => verify(from, blob)?,
                Transfer::Reused => {}
            }
        }
        self.blobs += contents.layers;
        to.put_manifest(descriptor.media_type().as_ref(), &read_document(from, descriptor)?)?;
        Ok(())
    }
}

/// Sees to it that there is room for a copy.
fn ensure_copy(destination: &dyn Destination, source: &dyn Source, image: &Descriptor) -> Result<()> {
    if destination.available_space()?.is_none() {
        return Ok(());
    }
    let (mut seen, mut needed, mut open) = (HashSet::new(), 0, vec![image.clone()]);
    while let Some(descriptor) = open.pop() {
        if seen.len() > MAX_PARTS {
            return Err(Error::malformed(format!("more than {MAX_PARTS} manifests and blobs")).at(source.name()));
        }
        let contents = contents_of(source, &descriptor).at(source.name())?;
        open.extend(contents.manifests.into_iter().filter(|found| seen.insert(found.digest().to_string())));
        for blob in contents.blobs.iter().filter(|blob| seen.insert(blob.digest().to_string())) {
            needed = u64::saturating_add(needed, destination.estimate_bytes(source, blob));
        }
    }
    ensure_free_space(destination, needed)
}
