use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::count::Count;
use super::interrupt;
use super::threaded_writer::{BUFFER, ThreadedWriter};
use super::verify::Digester;

/// How much may lie between two reads for it to be read for the digest's sake: headers, not contents.
const MAX_GAP: u64 = 16 << 10;

/// Digests a file in the order of its bytes, on a thread of its own, while others read it in about the same order: to
/// verify it then takes no pass of its own.
///
/// What is read far ahead is left for when its turn comes, and what was read before is not digested again, so the
/// digest is right whatever the order.
pub(super) struct IncrementalHasher(Mutex<Progress>);

struct Progress {
    /// The position of the first byte that was not digested yet.
    next: u64,
    /// None once it was finished.
    threaded_writer: Option<ThreadedWriter<Digester>>,
}

impl Progress {
    fn digest(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(threaded_writer) = &mut self.threaded_writer else { return Ok(()) };
        threaded_writer.write_all(bytes)?;
        self.next += bytes.len() as u64;
        Ok(())
    }

    /// Reads and digests what comes before `end`.
    fn catch_up(&mut self, file: &File, end: u64, count: &Count) -> io::Result<()> {
        let mut buffer = vec![0; end.saturating_sub(self.next).min(BUFFER as u64) as usize]; // at most BUFFER
        while self.next < end && self.threaded_writer.is_some() {
            interrupt::check()?;
            let wanted = (end - self.next).min(BUFFER as u64) as usize; // at most BUFFER
            file.read_exact_at(&mut buffer[..wanted], self.next)?;
            count.add(wanted);
            self.digest(&buffer[..wanted])?;
        }
        Ok(())
    }
}

impl IncrementalHasher {
    /// For the bytes of a file from `start`.
    pub(super) fn new(digester: Digester, start: u64) -> Self {
        IncrementalHasher(Mutex::new(Progress { next: start, threaded_writer: Some(ThreadedWriter::new(digester)) }))
    }

    /// `bytes` were read from `file` at `position`.
    pub(super) fn saw(&self, file: &File, position: u64, bytes: &[u8], count: &Count) -> io::Result<()> {
        let mut progress = self.progress();
        if position > progress.next && position - progress.next <= MAX_GAP {
            progress.catch_up(file, position, count)?;
        }
        let known = progress.next.checked_sub(position).and_then(|known| usize::try_from(known).ok());
        match known.and_then(|known| bytes.get(known..)) {
            Some(new) => progress.digest(new),
            None => Ok(()),
        }
    }

    /// Reads what nobody has read in its turn, up to `end`; the digest of all, the first time.
    pub(super) fn finish(&self, file: &File, end: u64, count: &Count) -> io::Result<Option<Digester>> {
        let mut progress = self.progress();
        progress.catch_up(file, end, count)?;
        let threaded_writer = progress.threaded_writer.take();
        drop(progress);
        threaded_writer.map(ThreadedWriter::finish).transpose()
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        // A reader that panicked has not changed what was digested.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for IncrementalHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IncrementalHasher(up to byte {})", self.progress().next)
    }
}
