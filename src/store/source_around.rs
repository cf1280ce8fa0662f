use std::path::PathBuf;

use oci_spec::image::Descriptor;

use super::progress::Progress;
use super::registry::Repository;
use super::source::{Blob, ImageEntry, Listed, Source};
use crate::error::Result;

/// A source around another one: whatever it does not say itself, the inner one does.
pub trait SourceAround: Send + Sync {
    /// The source that this one is around.
    fn inner(&self) -> &dyn Source;

    /// [`Source::open`].
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) if the blob is absent.
    fn open(&self, descriptor: &Descriptor) -> Result<Blob>;

    /// [`Source::bytes_read`].
    fn bytes_read(&self) -> u64 {
        self.inner().bytes_read()
    }

    /// [`Source::local_path`].
    fn local_path(&self, descriptor: &Descriptor) -> Option<PathBuf> {
        self.inner().local_path(descriptor)
    }

    /// [`Source::repository`].
    fn repository(&self) -> Option<&Repository> {
        self.inner().repository()
    }

    /// [`Source::progress`].
    fn progress(&self) -> Progress {
        self.inner().progress()
    }
}

impl<S: SourceAround> Source for S {
    fn name(&self) -> String {
        self.inner().name()
    }

    fn bytes_read(&self) -> u64 {
        SourceAround::bytes_read(self)
    }

    fn list(&self) -> Result<Vec<ImageEntry>> {
        self.inner().list()
    }

    fn find(&self, tag: &str) -> Result<Option<ImageEntry>> {
        self.inner().find(tag)
    }

    fn nth(&self, place: usize) -> Result<Option<ImageEntry>> {
        self.inner().nth(place)
    }

    fn list_all(&self) -> Result<Vec<Listed>> {
        self.inner().list_all()
    }

    fn open(&self, descriptor: &Descriptor) -> Result<Blob> {
        SourceAround::open(self, descriptor)
    }

    fn local_path(&self, descriptor: &Descriptor) -> Option<PathBuf> {
        SourceAround::local_path(self, descriptor)
    }

    fn repository(&self) -> Option<&Repository> {
        SourceAround::repository(self)
    }

    fn progress(&self) -> Progress {
        SourceAround::progress(self)
    }
}
