//! Hashing on another core: contents go to a thread in batches, with marks where files begin.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use zeroize::Zeroizing;

use crate::error::{Error, Kind, Result};
use crate::store::BUFFER;
use crate::train::{ContentCheck, DraftFeed, ResultHasher};

/// How many batches may wait, 4 MiB: so much that the slowest digest always finds work, whatever else its core does.
const WAITING: usize = 16;

/// What takes contents on the other side.
pub(super) trait Taker: Send + 'static {
    /// The next file begins.
    fn begin(&mut self, file: usize) -> Result<()>;
    /// Whether it looks at the contents at all.
    fn reads_content(&mut self) -> bool {
        true
    }
    /// A piece of it.
    fn update(&mut self, content: &[u8]);
}

impl Taker for Box<dyn ContentCheck> {
    fn begin(&mut self, file: usize) -> Result<()> {
        self.feed().begin(file)
    }

    fn reads_content(&mut self) -> bool {
        self.feed().reads_content()
    }

    fn update(&mut self, content: &[u8]) {
        self.feed().update(content);
    }
}

impl Taker for Box<dyn DraftFeed> {
    fn begin(&mut self, file: usize) -> Result<()> {
        self.feed().begin(file)
    }

    fn reads_content(&mut self) -> bool {
        self.feed().reads_content()
    }

    fn update(&mut self, content: &[u8]) {
        self.feed().update(content);
    }
}

impl Taker for ResultHasher {
    fn begin(&mut self, _file: usize) -> Result<()> {
        Ok(())
    }

    fn update(&mut self, content: &[u8]) {
        ResultHasher::update(self, content);
    }
}

/// Contents of one or several files.
struct Batch {
    /// Plaintext: erased on drop. It never grows, so that nothing of it stays elsewhere.
    bytes: Zeroizing<Vec<u8>>,
    /// Which files begin, and where in `bytes`.
    begins: Vec<(usize, usize)>,
}

impl Batch {
    fn new() -> Self {
        Batch { bytes: Zeroizing::new(Vec::with_capacity(BUFFER)), begins: Vec::new() }
    }

    fn give(&self, taker: &mut impl Taker) -> Result<()> {
        let mut from = 0;
        for &(file, at) in &self.begins {
            taker.update(&self.bytes[from..at]);
            taker.begin(file)?;
            from = at;
        }
        taker.update(&self.bytes[from..]);
        Ok(())
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.begins.clear();
    }
}

/// Feeds `T` on a thread of its own.
pub(super) struct Feeder<T> {
    reads_content: bool,
    batch: Batch,
    sender: Option<SyncSender<Batch>>,
    empty: Receiver<Batch>,
    thread: Option<JoinHandle<Result<T>>>,
}

impl<T: Taker> Feeder<T> {
    pub(super) fn new(mut taker: T) -> Self {
        let reads_content = taker.reads_content();
        let (sender, batches) = sync_channel::<Batch>(WAITING);
        let (give_back, empty) = sync_channel(WAITING + 2);
        let thread = std::thread::spawn(move || {
            for mut batch in batches {
                batch.give(&mut taker)?;
                batch.clear();
                // Nobody takes it back once everything was sent; then it is dropped.
                let _ = give_back.try_send(batch);
            }
            Ok(taker)
        });
        Feeder { reads_content, batch: Batch::new(), sender: Some(sender), empty, thread: Some(thread) }
    }

    /// Waits until everything is taken.
    pub(super) fn finish(mut self) -> Result<T> {
        self.send()?;
        self.join()
    }

    fn send(&mut self) -> Result<()> {
        let next = self.empty.try_recv().unwrap_or_else(|_| Batch::new());
        let batch = std::mem::replace(&mut self.batch, next);
        let sent = self.sender.as_ref().is_some_and(|sender| sender.send(batch).is_ok());
        if sent { Ok(()) } else { self.join().and(Err(ended())) }
    }

    fn join(&mut self) -> Result<T> {
        self.sender = None;
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Err(ended()),
        }
    }
}

fn ended() -> Error {
    Error::new(Kind::Io, "the hashing thread has ended")
}

/// Sees the plaintext of files while they are transformed.
pub(super) trait Observer {
    /// The next file begins.
    fn begin(&mut self, file: usize) -> Result<()>;
    /// A piece of it.
    fn see(&mut self, content: &[u8]) -> Result<()>;
}

impl<T: Taker> Observer for Feeder<T> {
    fn begin(&mut self, file: usize) -> Result<()> {
        self.batch.begins.push((file, self.batch.bytes.len()));
        if self.batch.begins.len() >= BUFFER / 64 { self.send() } else { Ok(()) }
    }

    fn see(&mut self, content: &[u8]) -> Result<()> {
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

/// Sees nothing.
pub(super) struct Nobody;

impl Observer for Nobody {
    fn begin(&mut self, _file: usize) -> Result<()> {
        Ok(())
    }

    fn see(&mut self, _content: &[u8]) -> Result<()> {
        Ok(())
    }
}
