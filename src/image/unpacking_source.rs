use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use oci_spec::image::{Descriptor, Digest};

use super::document::Image;
use super::layer::unpack;
use crate::error::{Error, Result};
use crate::store::{BUFFER, Batches, Blob, Source, SourceAround, Worker};
use crate::tar::Compression;

/// How many batches may wait for the thread that unpacks.
const WAITING: usize = 4;

/// The source of an image, some of whose layers are unpacked and held against their diff IDs while whoever copies them
/// reads them: a blob that is copied anyway is read once. The end of a blob is reported only when both hold.
pub struct UnpackingSource<'a> {
    inner: &'a dyn Source,
    diff_ids: HashMap<Digest, Digest>,
    unpacked: Arc<Mutex<HashMap<Digest, Compression>>>,
}

impl<'a> UnpackingSource<'a> {
    /// The source of `image`, which unpacks these of its layers.
    pub fn new(image: &'a Image, layers: &[usize]) -> Self {
        let pair = |&layer: &usize| (image.layers()[layer].digest().clone(), image.diff_ids()[layer].clone());
        let diff_ids = layers.iter().map(pair).collect();
        UnpackingSource { inner: image.source(), diff_ids, unpacked: Arc::default() }
    }

    /// How a blob is packed that was read to its end, and unpacks to its diff ID.
    pub fn compression_of(&self, blob: &Digest) -> Option<Compression> {
        lock(&self.unpacked).get(blob).copied()
    }
}

impl SourceAround for UnpackingSource<'_> {
    fn inner(&self) -> &dyn Source {
        self.inner
    }

    fn open(&self, descriptor: &Descriptor) -> Result<Blob> {
        let blob = self.inner.open(descriptor)?;
        let Some(diff_id) = self.diff_ids.get(descriptor.digest()).cloned() else { return Ok(blob) };
        let described = descriptor.clone();
        let work = move |batches| unpack(Blob::Stream(Box::new(BatchReader::new(batches))), &described, &diff_id);
        Ok(Blob::Stream(Box::new(Unpacking {
            inner: blob.into_reader(),
            batch: Vec::with_capacity(BUFFER),
            worker: Worker::spawn(WAITING, work),
            digest: descriptor.digest().clone(),
            unpacked: self.unpacked.clone(),
        })))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A blob that is unpacked on another core while it is read.
struct Unpacking {
    inner: Box<dyn Read + Send>,
    batch: Vec<u8>,
    worker: Worker<Vec<u8>, Result<Compression>>,
    digest: Digest,
    unpacked: Arc<Mutex<HashMap<Digest, Compression>>>,
}

impl Unpacking {
    /// Hands over what was read. `false` if nobody takes it any more: then something is wrong with it.
    fn send(&mut self) -> bool {
        let mut next = self.worker.recycled().unwrap_or_else(|| Vec::with_capacity(BUFFER));
        next.clear();
        self.worker.send(std::mem::replace(&mut self.batch, next))
    }

    /// Waits until everything is unpacked.
    fn join(&mut self) -> io::Result<()> {
        match self.worker.join() {
            None => Ok(()), // it was asked before
            Some(Ok(compression)) => {
                lock(&self.unpacked).insert(self.digest.clone(), compression);
                Ok(())
            }
            Some(Err(error)) => Err(error.into()),
        }
    }
}

impl Read for Unpacking {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.batch.extend_from_slice(&buffer[..read]);
        let ended = read == 0 && !buffer.is_empty();
        if (ended || self.batch.len() >= BUFFER) && !self.send() {
            self.join()?;
            return Err(Error::internal("unpacking has ended before the blob").into());
        }
        if ended {
            self.join()?;
        }
        Ok(read)
    }
}

/// What comes in batches, as a reader.
struct BatchReader {
    batches: Batches<Vec<u8>>,
    batch: Vec<u8>,
    position: usize,
}

impl BatchReader {
    fn new(batches: Batches<Vec<u8>>) -> Self {
        BatchReader { batches, batch: Vec::new(), position: 0 }
    }
}

impl Read for BatchReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.position == self.batch.len() {
            let Some(next) = self.batches.take() else { return Ok(0) };
            self.batches.give_back(std::mem::replace(&mut self.batch, next));
            self.position = 0;
        }
        let read = buffer.len().min(self.batch.len() - self.position);
        buffer[..read].copy_from_slice(&self.batch[self.position..][..read]);
        self.position += read;
        Ok(read)
    }
}
