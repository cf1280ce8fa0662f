//! Hashing on another core: contents go to a thread in batches, with marks where files begin.

use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::store::{BUFFER, Batches, Worker};
use crate::train::HasFeed;

/// The batches that may wait, 4 MiB: enough that the slowest digest always finds work, whatever else its core does.
const WAITING: usize = 16;

/// Contents of one or several files.
struct Batch {
    /// Plaintext: erased on drop. It never grows, so that nothing of it stays elsewhere.
    bytes: Zeroizing<Vec<u8>>,
    /// The files that begin in `bytes`, and where.
    begins: Vec<(usize, usize)>,
}

impl Batch {
    fn new() -> Self {
        Batch { bytes: Zeroizing::new(Vec::with_capacity(BUFFER)), begins: Vec::new() }
    }

    fn give(&self, target: &mut impl HasFeed) -> Result<()> {
        let (feed, mut from) = (target.feed(), 0);
        for &(file, at) in &self.begins {
            feed.update(&self.bytes[from..at]);
            feed.begin(file)?;
            from = at;
        }
        feed.update(&self.bytes[from..]);
        Ok(())
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.begins.clear();
    }
}

/// Feeds `T` on a thread of its own.
pub(in crate::stage) struct BackgroundHasher<T> {
    reads_content: bool,
    batch: Batch,
    worker: Worker<Batch, Result<T>>,
}

impl<T: HasFeed + 'static> BackgroundHasher<T> {
    pub(in crate::stage) fn new(mut target: T) -> Self {
        let reads_content = target.feed().reads_content();
        let worker = Worker::spawn(WAITING, move |batches: Batches<Batch>| {
            while let Some(mut batch) = batches.take() {
                batch.give(&mut target)?;
                batch.clear();
                batches.give_back(batch);
            }
            Ok(target)
        });
        BackgroundHasher { reads_content, batch: Batch::new(), worker }
    }

    /// Waits until everything is taken.
    pub(in crate::stage) fn finish(mut self) -> Result<T> {
        self.send()?;
        self.join()
    }

    fn send(&mut self) -> Result<()> {
        let next = self.worker.recycled().unwrap_or_else(Batch::new);
        let batch = std::mem::replace(&mut self.batch, next);
        if self.worker.send(batch) { Ok(()) } else { self.join().and(Err(ended())) }
    }

    fn join(&mut self) -> Result<T> {
        self.worker.join().unwrap_or_else(|| Err(ended()))
    }
}

fn ended() -> Error {
    Error::internal("the hashing thread has ended")
}

/// Takes the plaintext of files while they are transformed.
pub(in crate::stage) trait HashSink {
    /// The next file begins.
    fn begin(&mut self, file: usize) -> Result<()>;
    /// A piece of it.
    fn update(&mut self, content: &[u8]) -> Result<()>;
}

impl<T: HasFeed + 'static> HashSink for BackgroundHasher<T> {
    fn begin(&mut self, file: usize) -> Result<()> {
        self.batch.begins.push((file, self.batch.bytes.len()));
        if self.batch.begins.len() >= BUFFER / 64 { self.send() } else { Ok(()) }
    }

    fn update(&mut self, content: &[u8]) -> Result<()> {
        let mut rest = if self.reads_content { content } else { &[] };
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(BUFFER - self.batch.bytes.len()));
            self.batch.bytes.extend_from_slice(now);
            rest = later;
            if self.batch.bytes.len() == BUFFER {
                self.send()?;
            }
        }
        Ok(())
    }
}
