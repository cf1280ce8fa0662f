use std::collections::HashSet;

use oci_spec::image::{Descriptor, Digest};

use super::document::{Image, MAX_INDEX_DEPTH, contents_of};
use super::open::open_image;
use super::report::{BytesMoved, ImageReport, LayerCounts};
use super::target::PendingTarget;
use super::thin::move_blobs;
use crate::error::{Advice, Error, ErrorContext, IoContext, Result};
use crate::store::tag::LATEST;
use crate::store::{
    Audience, Context, Destination, Reference, Source, TagChange, Transfer, Unreached, Verified, ensure_free_space,
    mark_left_out, read_document,
};
use crate::text::Printable;

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
    /// The tags of the images to copy, under which they appear at the destination; none for one image, the one that
    /// `source` names.
    pub tags: &'a [String],
    /// The image that whoever gets the copy has already: its layers are left out.
    pub without: Option<&'a Reference>,
    /// The image with the layers that a thin one goes without.
    pub with: Option<&'a Reference>,
}

impl<'a> CopyRequest<'a> {
    /// The image for the platform that is asked for.
    pub fn new(source: &'a Reference, destination: &'a Reference) -> Self {
        CopyRequest { source, destination, all: false, shared: false, tags: &[], without: None, with: None }
    }
}

/// What was copied.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct CopyReport {
    /// The image; of several the one whose tag changed last.
    pub image: ImageReport,
    /// Each tag with the digest of its manifest, where tags were asked for; what a thin copy goes without.
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

/// Who may read a copy of these images: of an opened one its owner alone.
fn audience(request: &CopyRequest<'_>, images: &[Image]) -> Audience {
    match images.iter().any(is_opened) {
        true => Audience::Owner { shared: request.shared },
        false => Audience::Anyone,
    }
}

fn copy_one(request: &CopyRequest<'_>, context: &Context) -> Result<CopyReport> {
    let image = open_whole(request.source, request, context)?;
    let thinning = Thinning::read(request, context)?;
    let audience = audience(request, std::slice::from_ref(&image));
    let pending = PendingTarget::open_for(request.source, Some(request.destination), context, audience)?;
    let mut target = pending.resolve(request.source, Some(request.destination), &image)?;
    if target.in_place || request.source.is_same_place(request.destination) && request.destination.tag().is_none() {
        return Err(same_image(request.source));
    }
    let mut copied = Copied::default();
    let name = (target.tag.clone(), target.replaces.clone());
    let set = copied.image(request, &mut *target.destination, &image, thinning.as_ref(), name)?;
    target.destination.publish(&[set], Unreached::Keep)?;
    let destination = target.shown();
    let source = (request.source.to_string(), image.source().bytes_read());
    Ok(CopyReport { image: copied.report(source, destination, &*target.destination), notes: copied.left_out_notes() })
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
        images.push(open_whole(&request.source.with_tag(Some((*tag).to_owned())), request, context)?);
    }
    let thinning = Thinning::read(request, context)?;
    let audience = audience(request, &images);
    let pending = PendingTarget::open_for(request.source, Some(request.destination), context, audience)?;
    let mut destination = pending.into_destination();
    if tags.len() > 1 && !destination.supports_multiple() {
        let what = format!("there is room for one image only, and {} are asked for", tags.len());
        return Err(Error::usage(what).hint("copy to a layout, an archive or a registry").at(destination.name()));
    }
    let (mut copied, mut changes, mut notes) = (Copied::default(), Vec::new(), Vec::new());
    for (tag, image) in tags.iter().zip(&images) {
        let set = copied.image(request, &mut *destination, image, thinning.as_ref(), ((*tag).to_owned(), None))?;
        if let TagChange::Set { descriptor, .. } = &set {
            notes.push(format!("{tag}: {}", descriptor.digest()));
        }
        changes.push(set);
    }
    destination.publish(&changes, Unreached::Keep)?;
    let read = images.iter().map(|image| image.source().bytes_read()).sum();
    let name = format!("{}:{}", destination.name(), tags.first().unwrap_or(&LATEST));
    let image = copied.report((request.source.to_string(), read), name, &*destination);
    notes.extend(copied.left_out_notes());
    Ok(CopyReport { image, notes })
}

/// Opens an image, completed with what it goes without if an image is given that has it.
fn open_whole(reference: &Reference, request: &CopyRequest<'_>, context: &Context) -> Result<Image> {
    let image = open_image(reference, context)?;
    match request.with {
        None => Ok(image),
        Some(with) => image.completed(&open_image(with, context)?),
    }
}

/// What a copy is to go without: the lowest layers of each image, as far as another image has them.
struct Thinning {
    name: String,
    layers: HashSet<Digest>,
}

impl Thinning {
    fn read(request: &CopyRequest<'_>, context: &Context) -> Result<Option<Self>> {
        let Some(without) = request.without else { return Ok(None) };
        let other = open_image(without, context)?;
        let layers = other.layers().iter().map(|layer| layer.digest().clone()).collect();
        Ok(Some(Thinning { name: without.to_string(), layers }))
    }

    /// The layers of an image that a copy goes without.
    fn of(&self, image: &Image) -> Result<HashSet<Digest>> {
        let shared = image.layers().iter().take_while(|layer| self.layers.contains(layer.digest())).count();
        if shared == 0 {
            let what = "the image shares no layer with the one that is to be left out, from the bottom up";
            let hint =
                "give the image that it was built on, as packed then: layers are told by the digests of their blobs";
            return Err(Error::usage(what).hint(hint).at(&self.name));
        }
        if shared == image.layers().len() {
            let what = "the image has no layer of its own beside those that are to be left out";
            return Err(Error::usage(what).hint("give the image that it was built on").at(&self.name));
        }
        Ok(image.layers()[..shared].iter().map(|layer| layer.digest().clone()).collect())
    }
}

fn same_image(place: &Reference) -> Error {
    Error::usage("source and destination are the same image").at(place)
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
    /// The manifest of the first image.
    first: Option<Descriptor>,
    /// What the copies go without.
    left_out: Vec<Digest>,
}

impl Copied {
    /// Copies an image; the change that gives it its name.
    fn image(
        &mut self,
        request: &CopyRequest<'_>,
        to: &mut dyn Destination,
        image: &Image,
        thinning: Option<&Thinning>,
        (tag, replaces): (String, Option<Digest>),
    ) -> Result<TagChange> {
        let mut descriptor = if request.all { image.listed().descriptor.clone() } else { tagged(image) };
        if request.all && descriptor.digest() != image.descriptor().digest() && !to.supports_multiple() {
            let error = Error::usage("there is room for one image only").advise(Advice::CopyOne);
            return Err(error.at(to.name()));
        }
        let absent = image.left_out().into_iter().map(|layer| layer.digest().clone());
        let mut left_out: HashSet<Digest> = absent.collect();
        if let Some(thinning) = thinning {
            if !to.holds_thin_images() {
                let what = "images there are whole, so nothing can be left out";
                return Err(Error::usage(what).hint("copy to oci-archive:FILE or oci:DIR").at(to.name()));
            }
            left_out.extend(thinning.of(image)?);
        }
        ensure_copy(to, image.source(), &descriptor, &left_out)?;
        let mut gone = Vec::new();
        self.manifest(to, image.source(), &descriptor, (MAX_INDEX_DEPTH, &left_out, &mut gone))?;
        mark_left_out(&mut descriptor, &gone);
        self.left_out.extend(gone.into_iter().filter(|digest| !self.left_out.contains(digest)).collect::<Vec<_>>());
        self.first.get_or_insert_with(|| descriptor.clone());
        Ok(TagChange::Set { tag, descriptor: Box::new(descriptor), replaces })
    }

    fn left_out_notes(&self) -> Vec<String> {
        let note = |digest: &Digest| format!("left out: {digest}");
        self.left_out.iter().map(note).collect()
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

    /// Copies what a manifest or an index names, then itself. What is left out of it and is not there either is added to
    /// `gone`.
    fn manifest(
        &mut self,
        to: &mut dyn Destination,
        from: &dyn Source,
        descriptor: &Descriptor,
        (depth, left_out, gone): (usize, &HashSet<Digest>, &mut Vec<Digest>),
    ) -> Result<()> {
        if depth == 0 {
            return Err(Error::malformed(format!("indexes nested more than {MAX_INDEX_DEPTH} deep")).at(from.name()));
        }
        let contents = contents_of(from, descriptor).at(from.name())?;
        for child in &contents.manifests {
            self.manifest(to, from, child, (depth - 1, left_out, gone))?;
        }
        let moved = move_blobs(to, from, &contents.blobs, left_out)?;
        for (blob, transfer) in &moved.transfers {
            match transfer {
                Transfer::Copied(bytes) => self.bytes += bytes,
                // What was shared by a second name has not been read on the way.
                Transfer::Reused if !left_out.contains(blob.digest()) && from.local_path(blob).is_some() => {
                    verify(from, blob)?;
                }
                Transfer::Reused => {}
            }
        }
        gone.extend(moved.left_out);
        self.blobs += contents.layers;
        to.put_manifest(descriptor.media_type().as_ref(), &read_document(from, descriptor)?)?;
        Ok(())
    }
}

/// Sees to it that there is room for a copy.
fn ensure_copy(
    destination: &dyn Destination,
    source: &dyn Source,
    image: &Descriptor,
    left_out: &HashSet<Digest>,
) -> Result<()> {
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
        let moved = contents.blobs.iter().filter(|blob| !left_out.contains(blob.digest()));
        for blob in moved.filter(|blob| seen.insert(blob.digest().to_string())) {
            needed = u64::saturating_add(needed, destination.estimate_bytes(source, blob));
        }
    }
    ensure_free_space(destination, needed)
}
