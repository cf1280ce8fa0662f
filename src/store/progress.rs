//! How long steps go on. All that takes long is driven by the reading of blobs, so a step is a blob that is read: from a
//! source, or from where it was spooled.

use std::fmt::Debug;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use oci_spec::image::Descriptor;

use super::registry::Repository;
use super::{Blob, Listed, Source};
use crate::error::Result;

/// Smaller blobs are no long step, in bytes.
const MIN: u64 = 1 << 20;

/// A blob that is being read. It ends when nobody reads it any more.
#[derive(Debug)]
pub struct Step {
    what: String,
    total: u64,
    done: AtomicU64,
}

impl Step {
    /// What is done, as in `reading sha256:0123456789ab`.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// How many bytes there are.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many of them were read so far.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed).min(self.total)
    }

    pub(super) fn add(&self, bytes: usize) {
        self.done.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// Who shows a person how long steps go on.
pub trait Watcher: Debug + Send + Sync {
    /// A step begins. How far it is can be asked at any time; it has ended when nobody else holds it.
    fn begins(&self, step: Arc<Step>);
}

/// Where long steps are told; nowhere by default.
#[derive(Debug, Clone, Default)]
pub struct Progress(Option<Arc<dyn Watcher>>);

impl Progress {
    /// Tells this one.
    pub fn new(watcher: Arc<dyn Watcher>) -> Self {
        Progress(Some(watcher))
    }

    /// Begins a step, if somebody looks on and it is a long one.
    pub(crate) fn begin(&self, verb: &str, descriptor: &Descriptor, total: u64) -> Option<Arc<Step>> {
        let watcher = self.0.as_ref().filter(|_| total >= MIN)?;
        let digest = descriptor.digest();
        let start = digest.digest().get(..12).unwrap_or_default();
        let what = format!("{verb} {}:{start}", digest.algorithm());
        let step = Arc::new(Step { what, total, done: AtomicU64::new(0) });
        watcher.begins(step.clone());
        Some(step)
    }
}

/// A source of which every long read is told.
pub struct Watched<S> {
    inner: S,
    progress: Progress,
}

impl<S: Source> Watched<S> {
    /// The same source, watched.
    pub fn new(inner: S, progress: &Progress) -> Self {
        Watched { inner, progress: progress.clone() }
    }
}

impl<S: Source> Source for Watched<S> {
    fn name(&self) -> String {
        self.inner.name()
    }

    fn bytes_read(&self) -> u64 {
        self.inner.bytes_read()
    }

    fn list(&self) -> Result<Vec<Listed>> {
        self.inner.list()
    }

    fn find(&self, tag: &str) -> Result<Option<Listed>> {
        self.inner.find(tag)
    }

    fn open(&self, descriptor: &Descriptor) -> Result<Blob> {
        let begin = |verb: &str| self.progress.begin(verb, descriptor, descriptor.size());
        Ok(match self.inner.open(descriptor)? {
            Blob::Extent(extent) => Blob::Extent(extent.watched(begin("reading"))),
            Blob::Stream(stream) => match begin("fetching") {
                Some(step) => Blob::Stream(Box::new(WatchedReader { inner: stream, step })),
                None => Blob::Stream(stream),
            },
        })
    }

    fn local_path(&self, descriptor: &Descriptor) -> Option<PathBuf> {
        self.inner.local_path(descriptor)
    }

    fn repository(&self) -> Option<&Repository> {
        self.inner.repository()
    }

    fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

struct WatchedReader {
    inner: Box<dyn Read + Send>,
    step: Arc<Step>,
}

impl Read for WatchedReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.step.add(read);
        Ok(read)
    }
}
