use oci_spec::image::Digest;

use super::document::Image;
use crate::error::{Advice, Error, Result};
use crate::store::tag::{ENCRYPTED_SUFFIX, LATEST};
use crate::store::{
    Audience, Context, Destination, ImageEntry, Reference, Unreached, open_destination, open_source, several_images,
    tagged,
};
use crate::text::Printable;

/// Where an image will be published. Whether that is in place, and under which tag, can be said only when the image
/// that it is made from is known: see [`resolve`](PendingTarget::resolve).
pub struct PendingTarget {
    destination: Box<dyn Destination>,
    reference: Reference,
}

impl PendingTarget {
    /// Opens DEST, or SRC again if there is none, for what everybody may read. The lock on it is taken before SRC is
    /// read.
    ///
    /// # Errors
    /// There is nothing at SRC; as [`open_destination`].
    pub fn open(source: &Reference, destination: Option<&Reference>, context: &Context) -> Result<PendingTarget> {
        Self::open_for(source, destination, context, Audience::Anyone)
    }

    /// The same for what `audience` may read.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_for(
        source: &Reference,
        destination: Option<&Reference>,
        context: &Context,
        audience: Audience,
    ) -> Result<PendingTarget> {
        if let Some(named) = destination.filter(|named| named.digest().is_some() || named.place().is_some()) {
            let hint = "name a tag, as in oci:DIR:TAG";
            return Err(Error::usage("an image cannot be published under a digest or a position").hint(hint).at(named));
        }
        let reference = destination.unwrap_or(source).clone();
        if destination.is_none() || source.is_same_place(&reference) {
            open_source(source, context)?; // before anything is made at a place that is not there
        }
        let destination = open_destination(&reference, context, audience)?;
        Ok(PendingTarget { destination, reference })
    }

    /// Fails early where nothing can be written.
    ///
    /// # Errors
    /// As [`Destination::check_writable`].
    pub fn check_writable(&self) -> Result<()> {
        self.destination.check_writable()
    }

    /// The destination, where each image keeps its own tag.
    pub fn into_destination(self) -> Box<dyn Destination> {
        self.destination
    }

    /// Settles tag and place now that the source image is known; `given` is DEST, if there is one.
    ///
    /// # Errors
    /// As [`Destination::qualify_tag`].
    pub fn resolve(self, source: &Reference, given: Option<&Reference>, image: &Image) -> Result<Target> {
        let own = image.listed().tag.clone();
        let same = source.is_same_place(&self.reference);
        let tag = match given.and_then(Reference::tag) {
            Some(tag) => self.destination.qualify_tag(tag)?,
            None => self.destination.qualify_tag(own.as_deref().unwrap_or(LATEST))?,
        };
        let is_one_of_several = |listed: &ImageEntry| own.is_some() && listed.tag == own;
        if same && own.as_deref() == Some(&tag) && source.path().is_some() {
            let several = self.destination.list()?.iter().filter(|listed| is_one_of_several(listed)).count() > 1;
            if several {
                return Err(several_images(&tag).advise(Advice::GiveDestination).at(self.destination.name()));
            }
        }
        if same && own.as_deref() == Some(&tag) {
            self.ensure_is_not_aside(&tag)?;
        }
        let untagged = own.is_none() && given.and_then(Reference::tag).is_none();
        Ok(Target {
            in_place: same && (own.as_deref() == Some(&tag) || untagged),
            replaces: (same && untagged).then(|| image.listed().descriptor.digest().clone()),
            destination: self.destination,
            reference: self.reference,
            tag,
        })
    }

    /// Refuses to replace the encrypted image that pre-run in place has put aside: whoever begins again, or rejects what
    /// was opened, goes back to it.
    fn ensure_is_not_aside(&self, tag: &str) -> Result<()> {
        let Some(opened) = tag.strip_suffix(ENCRYPTED_SUFFIX) else { return Ok(()) };
        if tagged(&self.destination.list()?, opened).is_none() {
            return Ok(());
        }
        let what = format!(
            "`{tag}` is what pre-run has put aside of `{opened}`, and is not replaced",
            tag = Printable::new(tag)
        );
        let hint =
            format!("name `{}`, from which pre-run begins again by itself, or give a DEST", Printable::new(opened));
        Err(Error::usage(what).hint(hint).at(self.destination.name()))
    }
}

/// The place and tag under which an image is published.
pub struct Target {
    /// The opened destination.
    pub destination: Box<dyn Destination>,
    /// The destination as it was named.
    pub reference: Reference,
    /// The tag as it stands there.
    pub tag: String,
    /// True if the image replaces the one that it was made from.
    pub in_place: bool,
    /// The entry without a tag that it replaces, if that is what it was made from.
    pub replaces: Option<Digest>,
}

impl Target {
    /// The place as the user would write it, with the tag where there are tags.
    pub fn shown(&self) -> String {
        match self.destination.supports_multiple() {
            true => format!("{}:{}", self.destination.name(), self.tag),
            false => self.destination.name(),
        }
    }

    /// What becomes of the blobs that nothing reaches when this is published: in place, none of them stays.
    pub fn unreached(&self) -> Unreached {
        if self.in_place { Unreached::Remove } else { Unreached::Keep }
    }

    /// Refuses pre-run in place where there is no room for the encrypted image beside the opened one.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::error::Kind::Usage) if the destination holds one image only.
    pub fn ensure_keeps_encrypted(&self) -> Result<()> {
        if !self.in_place || self.destination.supports_multiple() {
            return Ok(());
        }
        let what = "pre-run in place keeps the encrypted image beside the opened one, but there is room for one only";
        Err(Error::usage(what).advise(Advice::GiveDestination).at(self.destination.name()))
    }
}
