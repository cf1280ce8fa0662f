//! Work on another core: a thread that takes batches through a bounded queue, and gives them back to be filled again.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// A thread that works on batches of type `B` and ends with a `T`.
///
/// It ends when all batches were taken and the worker is [joined](Worker::join), or earlier if it fails; then
/// [`send`](Worker::send) says so, and what the thread ended with tells why.
pub(crate) struct Worker<B, T> {
    full: Option<SyncSender<B>>,
    empty: Receiver<B>,
    thread: Option<JoinHandle<T>>,
}

/// The side of a [`Worker`]'s own thread.
pub(crate) struct Batches<B> {
    full: Receiver<B>,
    empty: SyncSender<B>,
}

impl<B: Send + 'static, T: Send + 'static> Worker<B, T> {
    /// Starts the thread; at most `waiting` batches wait for it.
    pub(crate) fn spawn(waiting: usize, work: impl FnOnce(Batches<B>) -> T + Send + 'static) -> Self {
        let (full, to_take) = sync_channel(waiting);
        // One batch is being filled and one is in work besides those that wait.
        let (give_back, empty) = sync_channel(waiting + 2);
        let thread = std::thread::spawn(move || work(Batches { full: to_take, empty: give_back }));
        Worker { full: Some(full), empty, thread: Some(thread) }
    }

    /// Hands a batch over, and waits while too many wait already. `false` if the thread has ended.
    pub(crate) fn send(&self, batch: B) -> bool {
        self.full.as_ref().is_some_and(|full| full.send(batch).is_ok())
    }

    /// A batch that the thread is done with.
    pub(crate) fn recycled(&self) -> Option<B> {
        self.empty.try_recv().ok()
    }

    /// Waits until every batch was taken: what the thread ended with. `None` if that was asked before.
    pub(crate) fn join(&mut self) -> Option<T> {
        self.full = None;
        let ended = self.thread.take()?.join();
        Some(ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    }
}

impl<B> Batches<B> {
    /// The next batch; `None` when there will be no more.
    pub(crate) fn take(&self) -> Option<B> {
        self.full.recv().ok()
    }

    /// Gives a batch back. Once everything was sent nobody takes it any more; then it is dropped.
    pub(crate) fn give_back(&self, batch: B) {
        let _ = self.empty.try_send(batch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summing(fails_at: u32) -> Worker<u32, Result<u32, u32>> {
        Worker::spawn(2, move |batches| {
            let mut sum = 0;
            while let Some(number) = batches.take() {
                if number == fails_at {
                    return Err(number);
                }
                sum += number;
                batches.give_back(number);
            }
            Ok(sum)
        })
    }

    #[test]
    fn takes_every_batch_and_gives_it_back() {
        let mut worker = summing(0);
        let sent = (1..=100).filter(|number| worker.send(*number)).count();
        assert_eq!((sent, worker.join(), worker.join()), (100, Some(Ok(5050)), None));
        assert!(worker.recycled().is_some());
    }

    #[test]
    fn says_that_the_thread_has_ended() {
        let mut worker = summing(3);
        assert!((1..=100).any(|number| !worker.send(number)));
        assert_eq!(worker.join(), Some(Err(3)));
    }
}
