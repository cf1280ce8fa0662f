use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use oci_spec::image::{Descriptor, Digest};

use super::registry::Repository;
use super::source::{Blob, Source};
use super::source_around::SourceAround;
use crate::error::Result;

/// A source that leaves some of its blobs where another one has them.
pub struct JoinedSource {
    own: Arc<dyn Source>,
    other: Arc<dyn Source>,
    /// The blobs that the other one has.
    elsewhere: HashSet<Digest>,
    /// What had been read from the other one before.
    read_before: u64,
}

impl JoinedSource {
    /// `own`, with the blobs that are `elsewhere` read from `other`.
    pub fn new(own: Arc<dyn Source>, other: Arc<dyn Source>, elsewhere: impl IntoIterator<Item = Digest>) -> Self {
        let read_before = other.bytes_read();
        JoinedSource { own, other, elsewhere: elsewhere.into_iter().collect(), read_before }
    }

    fn source_of(&self, blob: &Descriptor) -> &dyn Source {
        if self.elsewhere.contains(blob.digest()) { &*self.other } else { &*self.own }
    }
}

impl SourceAround for JoinedSource {
    fn inner(&self) -> &dyn Source {
        &*self.own
    }

    fn open(&self, descriptor: &Descriptor) -> Result<Blob> {
        self.source_of(descriptor).open(descriptor)
    }

    fn bytes_read(&self) -> u64 {
        self.own.bytes_read() + self.other.bytes_read().saturating_sub(self.read_before)
    }

    fn local_path(&self, descriptor: &Descriptor) -> Option<PathBuf> {
        self.source_of(descriptor).local_path(descriptor)
    }

    /// Where blobs may be mounted from: the base is what is large.
    fn repository(&self) -> Option<&Repository> {
        self.other.repository()
    }
}
