use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::write::ArchiveWriter;
use crate::error::Result;
use crate::store::archive::{Archive, ArchiveFormat};
use crate::store::context::Context;
use crate::store::destination::Destination;
use crate::store::fs::{Audience, parent_of};
use crate::store::progress_source::ProgressSource;
use crate::store::reference::{Location, Reference, Transport, parse_local};
use crate::store::source::Source;

/// `oci-archive:FILE`: an OCI image layout in a tar file.
pub(in crate::store) static OCI_TRANSPORT: Transport = Transport {
    prefix: "oci-archive:",
    syntax: "FILE[:TAG|@DIGEST|:@N]",
    description: "an OCI image layout in a tar file",
    parse: |text| parse_local(text, "oci-archive:FILE[:TAG]", |file| at_path(file, ArchiveFormat::Oci)),
    recognises: |path| !path.is_dir(),
    at_path: Some(|file| at_path(file, ArchiveFormat::Oci)),
};

/// `docker-archive:FILE`: what `docker save` writes.
pub(in crate::store) static DOCKER_TRANSPORT: Transport = Transport {
    prefix: "docker-archive:",
    syntax: "FILE[:NAME|@DIGEST|:@N]",
    description: "an archive written by `docker save`",
    parse: |text| parse_local(text, "docker-archive:FILE[:NAME]", |file| at_path(file, ArchiveFormat::Docker)),
    recognises: |path| !path.is_dir() && ArchiveFormat::of(path) == ArchiveFormat::Docker,
    at_path: Some(|file| at_path(file, ArchiveFormat::Docker)),
};

fn at_path(file: PathBuf, format: ArchiveFormat) -> Arc<dyn Location> {
    Arc::new(ArchiveLocation { file, format })
}

impl Reference {
    /// An OCI image layout in a tar file.
    pub fn oci_archive(file: impl Into<PathBuf>, tag: Option<String>) -> Self {
        Self::new(at_path(file.into(), ArchiveFormat::Oci), tag)
    }

    /// An archive as `docker save` writes it; the tag is the image's whole name.
    pub fn docker_archive(file: impl Into<PathBuf>, tag: Option<String>) -> Self {
        Self::new(at_path(file.into(), ArchiveFormat::Docker), tag)
    }
}

/// A tar file with images.
#[derive(Debug)]
pub(in crate::store) struct ArchiveLocation {
    pub(in crate::store) file: PathBuf,
    pub(in crate::store) format: ArchiveFormat,
}

impl fmt::Display for ArchiveLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.format.name(), self.file.display())
    }
}

impl Location for ArchiveLocation {
    fn path(&self) -> Option<&Path> {
        Some(&self.file)
    }

    fn spool_dir(&self, _context: &Context) -> PathBuf {
        parent_of(&self.file).to_owned()
    }

    fn source(&self, _reference: &Reference, context: &Context) -> Result<Arc<dyn Source>> {
        let archive = Archive::open(&self.file, Some(self.format), &context.temporary)?;
        Ok(Arc::new(ProgressSource::new(archive, &context.progress)))
    }

    fn destination(
        &self,
        reference: &Reference,
        context: &Context,
        audience: Audience,
    ) -> Result<Box<dyn Destination>> {
        // In a Docker archive images have whole names, with a colon.
        if self.format == ArchiveFormat::Oci {
            reference.ensure_place_ends_there()?;
        }
        let writer = ArchiveWriter::open(&self.file, self.format, context.waiting, audience, &context.temporary)?;
        Ok(Box::new(writer))
    }
}
