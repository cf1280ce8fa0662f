//! How long tasks go on. All that takes long is driven by the reading of blobs, so a task is a blob that is read: from
//! a source, or from where it was spooled.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use oci_spec::image::Descriptor;

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
