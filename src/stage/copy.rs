use oci_spec::image::Descriptor;

use super::World;
use super::locate::{Target, open_image, same_place};
use super::report::{Bytes, Layers, Report};
use super::room::check_copy;
use crate::error::{Context, Error, IoContext, Result};
use crate::image::{Image, Reference};
use crate::store::{Destination, Source, TagChange, Transfer, Verified, read_document};

/// How deep indexes may be nested.
const MAX_DEPTH: usize = 4;

/// What is to be copied, and where to.
pub struct CopyRequest<'a> {
    /// The image.
    pub source: &'a Reference,
    /// Where to publish it.
    pub destination: &'a Reference,
    /// Of an index the images for all platforms, not only the one asked for.
    pub all: bool,
}

/// Copies an image between any two places, its manifest and every blob as they are; each is verified on the way.
///
/// # Errors
/// [`Kind::Verification`](crate::error::Kind::Verification) or [`Kind::Malformed`](crate::error::Kind::Malformed) if
/// something is not what its descriptor says. Then nothing has changed.
pub fn copy(request: &CopyRequest<'_>, world: &World) -> Result<Report> {
    let image = open_image(request.source, world)?;
    let mut target = Target::open(request.source, Some(request.destination), world)?;
    target.settle(request.source, Some(request.destination), &image)?;
    if target.in_place || same_place(request.source, request.destination) && request.destination.tag().is_none() {
        return Err(Error::usage("source and destination are the same image").at(request.source));
    }
    let descriptor = if request.all { image.listed().descriptor.clone() } else { tagged(&image) };
    if request.all && descriptor.digest() != image.descriptor().digest() && !target.destination.holds_several() {
        let hint = "leave --all out, or copy to a place that holds several";
        return Err(Error::usage("one image only can be there").hint(hint).at(target.destination.name()));
    }
    check_copy(&*target.destination, image.source(), &descriptor)?;
    let mut copied = Copied::default();
    copied.manifest(&mut *target.destination, image.source(), &descriptor, MAX_DEPTH)?;
    let set = TagChange::Set {
        tag: target.tag.clone(),
        descriptor: Box::new(descriptor.clone()),
        replaces: target.replaces.clone(),
    };
    target.destination.publish(&[set], false)?;
    Ok(Report {
        stage: "copy",
        source: request.source.to_string(),
        destination: format!("{}:{}", target.destination.name(), target.tag),
        digest_before: Some(descriptor.digest().to_string()),
        digest_after: Some(descriptor.digest().to_string()),
        layers: Layers { reused: copied.blobs, ..Layers::default() },
        bytes: Bytes {
            read: image.source().bytes_read(),
            written: target.destination.bytes_written(),
            transferred: copied.bytes,
        },
        ..Report::default()
    })
}

fn verify(from: &dyn Source, blob: &Descriptor) -> Result<()> {
    let place = format!("{} {}", from.name(), blob.digest());
    let mut reader = Verified::new(from.open(blob)?.into_reader(), blob).at(&place)?;
    reader.drain().doing("read it").at(place)
}

/// The manifest itself, with the annotations that the tag has.
fn tagged(image: &Image) -> Descriptor {
    let mut descriptor = image.descriptor().clone();
    descriptor.set_annotations(image.listed().descriptor.annotations().clone());
    descriptor
}

/// What has been copied so far.
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
            return Err(Error::malformed(format!("indexes nested more than {MAX_DEPTH} deep")).at(from.name()));
        }
        let contents = crate::image::contents_of(from, descriptor).at(from.name())?;
        for child in &contents.manifests {
            self.manifest(to, from, child, depth - 1)?;
        }
        for (blob, transfer) in contents.blobs.iter().zip(to.take(from, &contents.blobs)?) {
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
