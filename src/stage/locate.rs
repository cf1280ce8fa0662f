use std::path::{Path, PathBuf};
use std::sync::Arc;

use oci_spec::image::Digest;

use super::World;
use crate::error::{Context, Error, Result};
use crate::image::{Image, Reference, Transport};
use crate::store::archive::{Archive, ArchiveWriter, Form};
use crate::store::dir::{Dir, DirWriter};
use crate::store::layout::{Layout, LayoutWriter};
use crate::store::progress::Watched;
use crate::store::registry::{Registry, RegistryWriter};
use crate::store::{Destination, Listed, Source, tagged};

/// How pre-run in place names the encrypted image that it started from.
pub(super) const ENCRYPTED: &str = "-encrypted";
/// The tag of the train as built, by the convention of the field's registries.
pub(super) const BASE: &str = "base";
/// The tag of the travelling train, by the same convention.
pub(super) const LATEST: &str = "latest";

/// Opens what a reference names, for reading.
///
/// # Errors
/// As the transport's.
pub fn open_source(reference: &Reference, world: &World) -> Result<Arc<dyn Source>> {
    let archive = |file: &Path, form| Archive::open(file, Some(form), &world.temporary);
    match reference.transport() {
        Transport::Oci(dir) if !dir.exists() => {
            Err(Error::usage("there is no such file or directory").at(dir.display()))
        }
        Transport::Oci(dir) => Ok(watched(Layout::open(dir)?, world)),
        Transport::OciArchive(file) => Ok(watched(archive(file, Form::Oci)?, world)),
        Transport::DockerArchive(file) => Ok(watched(archive(file, Form::Docker)?, world)),
        Transport::Dir(dir) => Ok(watched(Dir::open(dir)?, world)),
        Transport::Registry(repository) => {
            let (tag, digest) = (reference.tag(), reference.digest());
            Ok(watched(Registry::open(repository, tag, digest, &world.source)?, world))
        }
    }
}

fn watched<S: Source + 'static>(source: S, world: &World) -> Arc<dyn Source> {
    Arc::new(Watched::new(source, &world.progress))
}

/// Opens what a reference names, for writing.
///
/// # Errors
/// As the transport's.
pub fn open_destination(reference: &Reference, world: &World) -> Result<Box<dyn Destination>> {
    let archive = |file: &Path, form| -> Result<Box<dyn Destination>> {
        Ok(Box::new(ArchiveWriter::open(file, form, world.waiting, &world.temporary)?))
    };
    match reference.transport() {
        Transport::Oci(dir) => Ok(Box::new(LayoutWriter::open(dir, world.waiting)?)),
        Transport::OciArchive(file) => archive(file, Form::Oci),
        Transport::DockerArchive(file) => archive(file, Form::Docker),
        Transport::Dir(dir) => Ok(Box::new(DirWriter::open(dir, world.waiting)?)),
        Transport::Registry(_) if reference.digest().is_some() => {
            let hint = "name a tag: docker://HOST/REPO:TAG";
            Err(Error::usage("an image cannot be published under a digest").hint(hint).at(reference))
        }
        Transport::Registry(repository) => Ok(Box::new(RegistryWriter::open(repository, &world.destination)?)),
    }
}

/// Where temporary files for a destination go: into its own file system, if it is in one.
pub(super) fn spool_dir(reference: &Reference, world: &World) -> PathBuf {
    match reference.transport() {
        Transport::Oci(dir) | Transport::Dir(dir) => dir.clone(),
        Transport::OciArchive(file) | Transport::DockerArchive(file) => {
            let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
            parent.unwrap_or(Path::new(".")).to_owned()
        }
        Transport::Registry(_) => world.temporary.clone(),
    }
}

/// Opens the image that a reference names.
pub(super) fn open_image(reference: &Reference, world: &World) -> Result<Image> {
    let source = open_source(reference, world)?;
    let listed = choose(&source.list()?, reference.tag()).at(source.name())?;
    Image::open(source, listed, world.platform.as_ref())
}

/// The image with the tag; without a tag the only image there, or `latest`.
fn choose(there: &[Listed], tag: Option<&str>) -> Result<Listed> {
    let tags = || there.iter().map(|listed| listed.tag.as_deref().unwrap_or("(no tag)")).collect::<Vec<_>>().join(", ");
    if there.is_empty() {
        return Err(Error::malformed("there is no image in it"));
    }
    let tagged = |wanted: &str| tagged(there, wanted).cloned();
    if let Some(tag) = tag {
        return tagged(tag).ok_or_else(|| {
            Error::usage(format!("no image has the tag `{tag}`")).hint(format!("there are: {}", tags()))
        });
    }
    let has_original = |listed: &&Listed| {
        let original = listed.tag.as_deref().and_then(|tag| tag.strip_suffix(ENCRYPTED));
        original.is_none_or(|original| tagged(original).is_none())
    };
    // What pre-run in place has put aside is no choice of its own.
    match there.iter().filter(has_original).collect::<Vec<_>>()[..] {
        [only] => Ok(only.clone()),
        _ => tagged(LATEST).ok_or_else(|| {
            let hint = format!("name one by its tag; there are: {}", tags());
            Error::usage("several images and no tag given").hint(hint)
        }),
    }
}

/// Where a stage publishes its image.
pub(super) struct Target {
    pub(super) destination: Box<dyn Destination>,
    pub(super) reference: Reference,
    pub(super) tag: String,
    /// The image replaces the one that it was made from.
    pub(super) in_place: bool,
    /// The entry without a tag that it replaces, if that is what it was made from.
    pub(super) replaces: Option<Digest>,
}

impl Target {
    /// Opens DEST, or SRC again if there is none. The lock on it is taken before SRC is read.
    pub(super) fn open(source: &Reference, destination: Option<&Reference>, world: &World) -> Result<Target> {
        let reference = destination.unwrap_or(source).clone();
        if destination.is_none() || same_place(source, &reference) {
            open_source(source, world)?; // before anything is made at a place that is not there
        }
        let destination = open_destination(&reference, world)?;
        Ok(Target { destination, reference, tag: String::new(), in_place: false, replaces: None })
    }

    /// Pre-run in place keeps the encrypted image beside the opened one.
    pub(super) fn check_keeps_encrypted(&self) -> Result<()> {
        if !self.in_place || self.destination.holds_several() {
            return Ok(());
        }
        let hint = "give a DEST: pre-run in place keeps the encrypted image too, and there is room for one only";
        Err(Error::usage("pre-run cannot be done in place here").hint(hint).at(self.destination.name()))
    }

    /// Settles the tag now that the source image is known.
    pub(super) fn settle(&mut self, source: &Reference, given: Option<&Reference>, image: &Image) -> Result<()> {
        let own = image.listed().tag.clone();
        let same = same_place(source, &self.reference);
        self.tag = match given.and_then(Reference::tag) {
            Some(tag) => self.destination.full_tag(tag)?,
            None => self.destination.full_tag(own.as_deref().unwrap_or(LATEST))?,
        };
        let untagged = own.is_none() && given.and_then(Reference::tag).is_none();
        self.in_place = same && (own.as_deref() == Some(&self.tag) || untagged);
        self.replaces = (same && untagged).then(|| image.listed().descriptor.digest().clone());
        Ok(())
    }
}

/// Refuses to open a train in place in a registry: its plaintext would take the place of the train for all to fetch.
pub(super) fn check_not_in_registry(source: &Reference, destination: Option<&Reference>) -> Result<()> {
    let Transport::Registry(_) = source.transport() else { return Ok(()) };
    let tag = |reference: &Reference| reference.tag().unwrap_or(LATEST).to_owned();
    let same = destination.is_none_or(|destination| {
        let keeps_tag = destination.tag().is_none() || tag(destination) == tag(source);
        same_place(source, destination) && keeps_tag
    });
    if !same {
        return Ok(());
    }
    let hint = "give a DEST of your own, as in: pht-oci pre-run docker://HOST/REPO oci:./work:latest";
    Err(Error::usage("pre-run would publish plaintext in the registry").hint(hint).at(source))
}

/// Whether what is published there can be fetched by others.
pub(super) fn is_registry(reference: &Reference) -> bool {
    matches!(reference.transport(), Transport::Registry(_))
}

pub(super) fn same_place(a: &Reference, b: &Reference) -> bool {
    let path = |reference: &Reference| reference.path().and_then(|path| path.canonicalize().ok());
    a.transport() == b.transport() || path(a).is_some() && path(a) == path(b)
}
