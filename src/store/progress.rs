//! How long tasks go on. All that takes long is driven by the reading of blobs, so a task is a blob that is read: from
//! a source, or from where it was spooled.

use std::fmt::Debug;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use oci_spec::image::Descriptor;

use super::registry::Repository;
use super::source::{Blob, ImageEntry, Source};
use crate::error::Result;

/// Smaller blobs are no long task, in bytes.
const MIN: u64 = 1 << 20;

/// A blob that is being read. It ends when nobody reads it any more.
#[derive(Debug)]
pub struct Task {
    what: String,
    total: u64,
    done: AtomicU64,
}

impl Task {
    /// The task in words, as in `reading sha256:0123456789ab`.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// The bytes to read.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The bytes read so far.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed).min(self.total)
    }

    pub(super) fn add(&self, bytes: usize) {
        self.done.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// A display of the progress of long tasks.
pub trait ProgressListener: Debug + Send + Sync {
    /// A task begins. How far it is can be asked at any time; it has ended when nobody else holds it.
    fn begins(&self, task: Arc<Task>);
}

/// The listener for long tasks; none by default.
#[derive(Debug, Clone, Default)]
pub struct Progress(Option<Arc<dyn ProgressListener>>);

impl Progress {
    /// Tells this one.
    pub fn new(listener: Arc<dyn ProgressListener>) -> Self {
        Progress(Some(listener))
    }

    /// Begins a task, if somebody looks on and it is a long one.
    pub(crate) fn begin(&self, verb: &str, descriptor: &Descriptor, total: u64) -> Option<Arc<Task>> {
        let listener = self.0.as_ref().filter(|_| total >= MIN)?;
        let digest = descriptor.digest();
        let start = digest.digest().get(..12).unwrap_or_default();
        let what = format!("{verb} {}:{start}", digest.algorithm());
        let task = Arc::new(Task { what, total, done: AtomicU64::new(0) });
        listener.begins(task.clone());
        Some(task)
    }
}

/// A source of which every long read is told.
pub struct ProgressSource<S> {
    inner: S,
    progress: Progress,
}

impl<S: Source> ProgressSource<S> {
    /// The same source, watched.
    pub fn new(inner: S, progress: &Progress) -> Self {
        ProgressSource { inner, progress: progress.clone() }
    }
}

impl<S: Source> Source for ProgressSource<S> {
    fn name(&self) -> String {
        self.inner.name()
    }

    fn bytes_read(&self) -> u64 {
        self.inner.bytes_read()
    }

    fn list(&self) -> Result<Vec<ImageEntry>> {
        self.inner.list()
    }

    fn find(&self, tag: &str) -> Result<Option<ImageEntry>> {
        self.inner.find(tag)
    }

    fn open(&self, descriptor: &Descriptor) -> Result<Blob> {
        let begin = |verb: &str| self.progress.begin(verb, descriptor, descriptor.size());
        Ok(match self.inner.open(descriptor)? {
            Blob::Extent(extent) => Blob::Extent(extent.watched(begin("reading"))),
            Blob::Stream(stream) => match begin("fetching") {
                Some(task) => Blob::Stream(Box::new(ProgressReader { inner: stream, task })),
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

struct ProgressReader {
    inner: Box<dyn Read + Send>,
    task: Arc<Task>,
}

impl Read for ProgressReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.task.add(read);
        Ok(read)
    }
}
