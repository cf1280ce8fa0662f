use std::collections::HashSet;

use oci_spec::image::{Descriptor, Digest};

use super::document::{Image, MAX_INDEX_DEPTH, contents_of};
use super::open::open_image;
use super::report::{BytesMoved, ImageReport, LayerCounts};
use super::target::PendingTarget;
use crate::error::{Advice, Error, ErrorContext, IoContext, Result};
use crate::store::tag::LATEST;
use crate::store::{
    Context, Destination, Reference, Source, TagChange, Transfer, Unreached, Verified, ensure_free_space, read_document,
};
use crate::text::Printable;

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
    /// The tags of the images to copy, under which they appear at the destination; none for one image, the one that
    /// `source` names.
    pub tags: &'a [String],
}

impl<'a> CopyRequest<'a> {
    /// The image for the platform that is asked for.
    pub fn new(source: &'a Reference, destination: &'a Reference) -> Self {
        CopyRequest { source, destination, all: false, tags: &[] }
    }
}

/// What was copied.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct CopyReport {
    /// The image; of several the one whose tag changed last.
    pub image: ImageReport,
    /// Each tag with the digest of its manifest, where tags were asked for.
    pub notes: Vec<String>,
}

/// Copies images between any two places, manifests and every blob as they are; each is verified on the way. Of several
/// tags the travelling one appears last, since others act upon it.
///
/// # Errors
/// [`Kind::Verification`](crate::error::Kind::Verification) or [`Kind::Malformed`](crate::error::Kind::Malformed) if
/// something is not what its descriptor says. Then nothing has changed.
pub fn copy(request: &CopyRequest<'_>, context: &Context) -> Result<CopyReport> {
    if request.tags.is_empty() { copy_one(request, context) } else { copy_tags(request, context) }
}

fn copy_one(request: &CopyRequest<'_>, context: &Context) -> Result<CopyReport> {
    let image = open_image(request.source, context)?;
    let pending = PendingTarget::open(request.source, Some(request.destination), context)?;
    let mut target = pending.resolve(request.source, Some(request.destination), &image)?;
    if target.in_place || request.source.is_same_place(request.destination) && request.destination.tag().is_none() {
        return Err(same_image(request.source));
    }
    let mut copied = Copied::default();
    let set = copied.image(request, &mut *target.destination, &image, target.tag.clone(), target.replaces.clone())?;
    target.destination.publish(&[set], Unreached::Keep)?;
    let destination = format!("{}:{}", target.destination.name(), target.tag);
    let source = (request.source.to_string(), image.source().bytes_read());
    Ok(CopyReport { image: copied.report(source, destination, &*target.destination), notes: Vec::new() })
}

fn copy_tags(request: &CopyRequest<'_>, context: &Context) -> Result<CopyReport> {
    for place in [request.source, request.destination] {
        if place.tag().is_some() || place.digest().is_some() {
            let what = "an image is named, and tags of several are asked for";
            return Err(Error::usage(what).hint("give the place alone").at(place));
        }
    }
    if request.source.is_same_place(request.destination) {
        return Err(same_image(request.source));
    }
    let mut tags: Vec<&str> = Vec::new();
    for tag in request.tags {
        if tags.contains(&tag.as_str()) {
            return Err(Error::usage(format!("the tag `{}` is asked for twice", Printable::new(tag))));
        }
        tags.push(tag);
    }
    // The first of them changes last.
    tags.sort_by_key(|tag| *tag != LATEST);
    let mut images = Vec::new();
    for tag in &tags {
        images.push(open_image(&request.source.with_tag(Some((*tag).to_owned())), context)?);
    }
    let mut destination = PendingTarget::open(request.source, Some(request.destination), context)?.into_destination();
    if tags.len() > 1 && !destination.supports_multiple() {
        let what = format!("there is room for one image only, and {} are asked for", tags.len());
        return Err(Error::usage(what).hint("copy to a layout, an archive or a registry").at(destination.name()));
    }
    let (mut copied, mut changes, mut notes) = (Copied::default(), Vec::new(), Vec::new());
    for (tag, image) in tags.iter().zip(&images) {
        let set = copied.image(request, &mut *destination, image, (*tag).to_owned(), None)?;
        if let TagChange::Set { descriptor, .. } = &set {
            notes.push(format!("{tag}: {}", descriptor.digest()));
        }
        changes.push(set);
    }
    destination.publish(&changes, Unreached::Keep)?;
    let read = images.iter().map(|image| image.source().bytes_read()).sum();
    let name = format!("{}:{}", destination.name(), tags.first().unwrap_or(&LATEST));
    let image = copied.report((request.source.to_string(), read), name, &*destination);
    Ok(CopyReport { image, notes })
}

fn same_image(place: &Reference) -> Error {
    Error::usage("source and destination are the same image").at(place)
}

fn verify(from: &dyn Source, blob: &Descriptor) -> Result<()> {
    let place = format!("{} {}", from.name(), blob.digest());
    let mut reader = Verified::new(from.open(blob)?.into_reader(), blob).at(&place)?;
    reader.drain().doing("read the blob").at(place)
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
    /// The manifest of the first image.
    first: Option<Descriptor>,
}

impl Copied {
    /// Copies an image; the change that gives it its name.
    fn image(
        &mut self,
        request: &CopyRequest<'_>,
        to: &mut dyn Destination,
        image: &Image,
        tag: String,
        replaces: Option<Digest>,
    ) -> Result<TagChange> {
        let descriptor = if request.all { image.listed().descriptor.clone() } else { tagged(image) };
        if request.all && descriptor.digest() != image.descriptor().digest() && !to.supports_multiple() {
            let error = Error::usage("there is room for one image only").advise(Advice::CopyOne);
            return Err(error.at(to.name()));
        }
        ensure_copy(to, image.source(), &descriptor)?;
        self.manifest(to, image.source(), &descriptor, MAX_INDEX_DEPTH)?;
        self.first.get_or_insert_with(|| descriptor.clone());
        Ok(TagChange::Set { tag, descriptor: Box::new(descriptor), replaces })
    }

    fn report(&self, (source, read): (String, u64), destination: String, to: &dyn Destination) -> ImageReport {
        let digest = self.first.as_ref().map(|first| first.digest().to_string());
        ImageReport {
            source,
            destination,
            digest_before: digest.clone(),
            digest_after: digest,
            layers: LayerCounts { reused: self.blobs, ..LayerCounts::default() },
            bytes: BytesMoved { read, written: to.bytes_written(), transferred: self.bytes },
        }
    }

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
