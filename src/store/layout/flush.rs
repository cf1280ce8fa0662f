use std::fs::File;
use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

/// How much may wait in memory before the system is told to write it out, in bytes.
const EAGER: u64 = 32 << 20;

/// Has a growing file written to the disk on a thread of its own, so that at the end little is left to wait for. Small
/// files never start the thread.
#[derive(Default)]
pub(super) struct Flusher {
    waiting: u64,
    running: Option<(SyncSender<()>, JoinHandle<io::Result<()>>)>,
}

impl Flusher {
    /// Another `bytes` were written to `file`.
    pub(super) fn wrote(&mut self, bytes: u64, file: &File) -> io::Result<()> {
        self.waiting += bytes;
        if self.waiting < EAGER {
            return Ok(());
        }
        self.waiting = 0;
        if self.running.is_none() {
            let file = file.try_clone()?;
            let (signal, signals) = sync_channel::<()>(1);
            let thread = std::thread::spawn(move || signals.iter().try_for_each(|()| file.sync_data()));
            self.running = Some((signal, thread));
        }
        if let Some((signal, _)) = &self.running {
            // One signal that waits already covers this; a thread that has failed says so at the end.
            let _ = signal.try_send(());
        }
        Ok(())
    }

    /// Waits until all of `file` is on the disk.
    pub(super) fn finish(&mut self, file: &File) -> io::Result<()> {
        if let Some((signal, thread)) = self.running.take() {
            drop(signal);
            match thread.join() {
                Ok(flushed) => flushed?,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        file.sync_data()
    }
}
