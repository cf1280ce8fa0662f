//! An image that was put together here, written to a place of its own.

use super::document::Image;
use super::edit::put_config;
use crate::error::Result;
use crate::json::{self, Value, object_at};
use crate::store::{
    Audience, Context, Descriptor, Digest, MediaType, Reference, TagChange, Unreached, digest_of, open_destination,
};

impl Image {
    /// Its ID as engines have it: the digest of its config (OCI image specification, "ImageID").
    pub fn id(&self) -> Digest {
        digest_of(&json::to_vec(&Value::Object(self.config().clone())))
    }

    /// Writes all of it to `destination`, under the tag that this has, and publishes it.
    ///
    /// # Errors
    /// As [`Destination::copy_blobs`](crate::store::Destination::copy_blobs) and
    /// [`Destination::publish`](crate::store::Destination::publish).
    pub fn write(&self, destination: &Reference, tag: &str, context: &Context) -> Result<()> {
        let mut opened = open_destination(destination, context, Audience::Owner { shared: false })?;
        opened.copy_blobs(self.source(), self.layers())?;
        let config = put_config(&mut *opened, self.format().config(), self.config().clone())?;
        let mut manifest = self.manifest().clone();
        let entry = object_at(&mut manifest, "config");
        entry.insert("mediaType".to_owned(), config.media_type().to_string().into());
        entry.insert("digest".to_owned(), config.digest().to_string().into());
        entry.insert("size".to_owned(), config.size().into());
        let media_type = self.format().manifest();
        let written = opened.put_manifest(media_type, &json::to_vec(&Value::Object(manifest)))?;
        let descriptor = Box::new(Descriptor::new(MediaType::from(media_type), written.size, written.digest));
        let tag = opened.qualify_tag(tag)?;
        opened.publish(&[TagChange::Set { tag, descriptor, replaces: None }], Unreached::Keep).map(drop)
    }
}
