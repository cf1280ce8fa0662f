use std::fmt::{self, Debug, Display};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oci_spec::image::Digest;

use super::context::Context;
use super::destination::{Destination, GcStats};
use super::fs::Audience;
use super::source::Source;
use crate::error::{Error, Result};
use crate::text::Printable;

/// The name of an image, as the user writes it: a place of one of the [`TRANSPORTS`](super::TRANSPORTS), and a tag or a
/// digest there.
///
/// Parsing reads no file: a text without a prefix is an OCI layout. [`Reference::locate`] looks what lies there.
#[derive(Debug, Clone)]
pub struct Reference {
    location: Arc<dyn Location>,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// The image with this tag, or the only one there.
    pub fn new(location: Arc<dyn Location>, tag: Option<String>) -> Self {
        Reference { location, tag, digest: None }
    }

    /// The same with a digest, which names the manifest.
    #[must_use]
    pub(super) fn with_digest(self, digest: Option<Digest>) -> Self {
        Reference { digest, ..self }
    }

    /// The same place with another tag.
    #[must_use]
    pub fn with_tag(&self, tag: Option<String>) -> Self {
        Self::new(self.location.clone(), tag)
    }

    /// The place.
    pub fn location(&self) -> &dyn Location {
        &*self.location
    }

    /// The place without tag and digest, as the user would write it.
    pub fn without_tag(&self) -> String {
        self.location.to_string()
    }

    /// The tag, if one was given. In a Docker archive it is the image's whole name.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The manifest's digest, if one was given.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The file or directory that it is in; none in a registry.
    pub fn path(&self) -> Option<&Path> {
        self.location.path()
    }

    /// True if others can fetch what is published there.
    pub fn is_shared(&self) -> bool {
        self.location.is_shared()
    }

    /// True if both are in one place, whatever their tags.
    pub fn is_same_place(&self, other: &Reference) -> bool {
        let path = |reference: &Reference| reference.path().and_then(|path| path.canonicalize().ok());
        self.without_tag() == other.without_tag() || path(self).is_some() && path(self) == path(other)
    }
}

impl PartialEq for Reference {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for Reference {}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.location)?;
        self.tag.iter().try_for_each(|tag| write!(f, ":{tag}"))?;
        self.digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
    }
}

/// A place of one transport: a directory, a file, a repository.
///
/// It is shown as the user would write it, with its prefix and without a tag.
pub trait Location: Debug + Display + Send + Sync {
    /// The file or directory that it is; none in a registry.
    fn path(&self) -> Option<&Path> {
        None
    }

    /// True if others can fetch what is published there.
    fn is_shared(&self) -> bool {
        false
    }

    /// The directory for temporary files of an image there: in the same file system, if it is in one.
    fn spool_dir(&self, context: &Context) -> PathBuf;

    /// Opens it for reading.
    ///
    /// # Errors
    /// There is nothing of this transport's form; input/output; the registry.
    fn source(&self, reference: &Reference, context: &Context) -> Result<Arc<dyn Source>>;

    /// Opens it for writing what `audience` may read.
    ///
    /// # Errors
    /// Something else is there; another process writes to it and nobody wants to wait; it is no place for plaintext;
    /// input/output; the registry.
    fn destination(&self, reference: &Reference, context: &Context, audience: Audience)
    -> Result<Box<dyn Destination>>;

    /// Removes every blob that no tag reaches.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::error::Kind::Usage) where nothing can lie unreached.
    fn collect_garbage(&self, _context: &Context) -> Result<GcStats> {
        let what = "not an OCI layout; archives hold no unreachable blobs, and registries collect their own garbage";
        Err(Error::usage(what).at(self))
    }
}

/// One way in which images are stored and named.
#[derive(Debug)]
#[non_exhaustive]
pub struct Transport {
    /// The prefix of references of this transport, as in `oci-archive:`.
    pub prefix: &'static str,
    /// The syntax of the rest, for messages and help.
    pub syntax: &'static str,
    /// A description in one line, for help.
    pub description: &'static str,
    /// Parses what follows the prefix; reads no file.
    pub(super) parse: fn(&str) -> Result<Reference>,
    /// True if this is what lies at a path of this machine; looked at in the order of the table.
    pub(super) recognises: fn(&Path) -> bool,
    /// The place at a path, for transports that live in the file system.
    pub(super) at_path: Option<fn(PathBuf) -> Arc<dyn Location>>,
}

/// `PATH[:TAG]`; as in skopeo, the path ends at the first colon. `syntax` is for the message.
pub(super) fn path_and_tag(text: &str, syntax: &str) -> Result<(PathBuf, Option<String>)> {
    let (path, tag) = match text.split_once(':') {
        Some((path, tag)) => (path, Some(parse_tag(tag)?)),
        None => (text, None),
    };
    if path.is_empty() {
        return Err(Error::usage(format!("`{}`: the place is empty; write {syntax}", Printable::new(text))));
    }
    Ok((path.into(), tag))
}

pub(super) fn parse_tag(tag: &str) -> Result<String> {
    let fits = !tag.is_empty() && tag.len() <= 255 && tag.chars().all(|c| c.is_ascii_graphic());
    if fits { Ok(tag.to_owned()) } else { Err(not_a_tag(tag)) }
}

pub(super) fn not_a_tag(tag: &str) -> Error {
    Error::usage(format!("`{}` is not a tag", Printable::new(tag)))
}
