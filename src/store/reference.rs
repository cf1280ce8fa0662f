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
    place: Option<usize>,
}

impl Reference {
    /// The image with this tag, or the only one there.
    pub fn new(location: Arc<dyn Location>, tag: Option<String>) -> Self {
        Reference { location, tag, digest: None, place: None }
    }

    /// The same with a digest, which names the manifest.
    #[must_use]
    pub(super) fn with_digest(self, digest: Option<Digest>) -> Self {
        Reference { digest, ..self }
    }

    /// The image there that `name` (a tag, or `@N` for the one at a place) and a digest name.
    pub(super) fn select(mut self, name: Option<&str>, digest: Option<Digest>) -> Result<Self> {
        match name.map(|name| (name, name.strip_prefix('@'))) {
            None => {}
            // `PATH:@DIGEST`
            Some(("", _)) if digest.is_some() => {}
            Some((name, Some(place))) if !place.is_empty() && place.bytes().all(|byte| byte.is_ascii_digit()) => {
                if digest.is_some() {
                    return Err(Error::usage("a place and a digest at once").hint("leave the place out").at(self));
                }
                self.place = Some(place.parse().map_err(|_| not_a_tag(name))?);
            }
            Some((name, _)) => self.tag = Some(parse_tag(name)?),
        }
        Ok(self.with_digest(digest))
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

    /// The position in the list of images there, from 0, if one was given.
    pub fn place(&self) -> Option<usize> {
        self.place
    }

    /// True if it says which of the images there is meant: by tag, digest or position.
    pub fn is_selective(&self) -> bool {
        self.tag.is_some() || self.digest.is_some() || self.place.is_some()
    }

    /// The file or directory that it is in; none in a registry.
    pub fn path(&self) -> Option<&Path> {
        self.location.path()
    }

    /// Its text with an absolute path, which means the same in every working directory.
    pub fn absolute(&self) -> String {
        let text = self.to_string();
        match self.path().and_then(|path| Some((path, std::path::absolute(path).ok()?))) {
            Some((path, absolute)) => {
                // The name of the transport, or of a tag, may have the path's in it.
                let (transport, rest) = text.split_once(':').unwrap_or(("", &text));
                match rest.strip_prefix(&path.display().to_string()) {
                    Some(tag) => format!("{transport}:{}{tag}", absolute.display()),
                    None => text,
                }
            }
            None => text,
        }
    }

    /// Refuses a new place whose name may have been meant to go on behind its first colon: `oci:./day-21:47:latest` would
    /// make `./day-21`, with a tag `47:latest`.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::error::Kind::Usage) if it may.
    pub(super) fn ensure_place_ends_there(&self) -> Result<()> {
        let is_odd = |tag: &&str| tag.contains(':') && !tag.contains('/') || tag.ends_with(".tar");
        match (self.path(), self.tag().filter(is_odd)) {
            (Some(path), Some(tag)) if !path.exists() => {
                let what = format!("there is nothing here yet, and `{}` would be the tag", Printable::new(tag));
                let hint = "a path ends at its first colon: choose a name without one";
                Err(Error::usage(what).hint(hint).at(path.display()))
            }
            _ => Ok(()),
        }
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
        self.place.iter().try_for_each(|place| write!(f, ":@{place}"))?;
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

/// `PATH[:TAG][@DIGEST]` or `PATH:@N`; as in skopeo, the path ends at the first colon. `syntax` is for the message.
pub(super) fn parse_local(
    text: &str,
    syntax: &str,
    location_at: impl FnOnce(PathBuf) -> Arc<dyn Location>,
) -> Result<Reference> {
    let (rest, digest) = cut_digest(text)?;
    let (path, name) = rest.split_once(':').map_or((rest, None), |(path, name)| (path, Some(name)));
    if path.is_empty() {
        return Err(Error::usage(format!("`{}`: the place is empty; write {syntax}", Printable::new(text))));
    }
    Reference::new(location_at(path.into()), None).select(name, digest)
}

/// What stands before `@DIGEST` at the end of a text, and the digest.
pub(super) fn cut_digest(text: &str) -> Result<(&str, Option<Digest>)> {
    let Some((rest, digest)) = text.rsplit_once('@') else { return Ok((text, None)) };
    if !["sha256:", "sha512:"].iter().any(|algorithm| digest.starts_with(algorithm)) {
        return Ok((text, None));
    }
    let digest = digest.parse().map_err(|_| Error::usage(format!("`{}` is not a digest", Printable::new(digest))))?;
    Ok((rest, Some(digest)))
}

pub(super) fn parse_tag(tag: &str) -> Result<String> {
    let fits = !tag.is_empty() && tag.len() <= 255 && tag.chars().all(|c| c.is_ascii_graphic());
    if fits { Ok(tag.to_owned()) } else { Err(not_a_tag(tag)) }
}

pub(super) fn not_a_tag(tag: &str) -> Error {
    Error::usage(format!("`{}` is not a tag", Printable::new(tag)))
}
