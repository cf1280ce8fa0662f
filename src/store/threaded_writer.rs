//! A writer that hands full buffers to a thread of its own.

use std::io::{self, Write};

use zeroize::Zeroizing;

use super::worker::{Batches, Worker};

/// The size of the buffers that travel between threads: large enough that a hand-over costs nothing, small enough to
/// stay in the cache of the core that takes it.
pub const BUFFER: usize = 256 << 10;
/// How many full buffers may wait: so many that a short lead of either side costs neither time. With those being filled
/// and emptied, a writer holds up to 4.5 MiB.
const WAITING: usize = 16;

/// Its bytes may be plaintext: erased on drop. It never grows, so that nothing of it stays elsewhere.
type Buffer = Zeroizing<Vec<u8>>;

fn buffer() -> Buffer {
    Zeroizing::new(Vec::with_capacity(BUFFER))
}

/// Writes to `W` on a thread of its own. A fault there is reported by a later write, or by [`ThreadedWriter::finish`].
pub struct ThreadedWriter<W> {
    current: Buffer,
    worker: Worker<Buffer, io::Result<W>>,
}

impl<W: Write + Send + 'static> ThreadedWriter<W> {
    /// Starts the thread.
    pub fn new(mut inner: W) -> Self {
        let worker = Worker::spawn(WAITING, move |buffers: Batches<Buffer>| {
            while let Some(mut buffer) = buffers.take() {
                inner.write_all(&buffer)?;
                buffer.clear();
                buffers.give_back(buffer);
            }
            inner.flush()?;
            Ok(inner)
        });
        ThreadedWriter { current: buffer(), worker }
    }

    /// Waits until everything is written and gives the writer back.
    ///
    /// # Errors
    /// An error of `W`.
    pub fn finish(mut self) -> io::Result<W> {
        if !self.current.is_empty() {
            self.hand_over()?;
        }
        self.join()
    }

    fn hand_over(&mut self) -> io::Result<()> {
        let next = self.worker.recycled().unwrap_or_else(buffer);
        let buffer = std::mem::replace(&mut self.current, next);
        let sent = self.worker.send(buffer);
        if sent { Ok(()) } else { self.join().and(Err(io::Error::other("the writing thread has ended"))) }
    }

    fn join(&mut self) -> io::Result<W> {
        self.worker.join().unwrap_or_else(|| Err(io::Error::other("an earlier write has failed")))
    }
}

impl<W: Write + Send + 'static> Write for ThreadedWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = BUFFER - self.current.len();
        let taken = bytes.len().min(room);
        self.current.extend_from_slice(&bytes[..taken]);
        if self.current.len() == BUFFER {
            self.hand_over()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_every_byte_on_in_order() {
        for len in [0, 1, BUFFER - 1, BUFFER, BUFFER + 1, 20 * BUFFER + 7] {
            let bytes: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
            let mut threaded_writer = ThreadedWriter::new(Vec::new());
            bytes.chunks(1000).for_each(|chunk| threaded_writer.write_all(chunk).unwrap());
            assert_eq!(threaded_writer.finish().unwrap(), bytes);
        }
    }

    #[test]
    fn reports_the_fault_of_the_other_side() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::Error::new(io::ErrorKind::StorageFull, "no space"))
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut threaded_writer = ThreadedWriter::new(Full);
        let result =
            threaded_writer.write_all(&vec![0; 100 * BUFFER]).and_then(|()| threaded_writer.finish().map(drop));
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
