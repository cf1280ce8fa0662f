use std::io::{self, Read};
use std::sync::Arc;

use oci_spec::image::Descriptor;

use super::progress::{Progress, Task};
use super::source::{Blob, Source};
use super::source_around::SourceAround;
use crate::error::Result;

/// A source of which every long read is told.
pub(crate) struct ProgressSource<S> {
    inner: S,
    progress: Progress,
}

impl<S: Source> ProgressSource<S> {
    /// The same source, watched.
    pub(crate) fn new(inner: S, progress: &Progress) -> Self {
        ProgressSource { inner, progress: progress.clone() }
    }
}

impl<S: Source> SourceAround for ProgressSource<S> {
    fn inner(&self) -> &dyn Source {
        &self.inner
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
