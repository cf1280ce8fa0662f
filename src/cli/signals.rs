//! Signals that ask the program to end: the first ends it cleanly, the second at once, but for a container that it leaves.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level;

use crate::error::{Error, IoContext, Kind, Result};
use crate::store::interrupt;

/// The signal that came, 0 if none has.
static RECEIVED: AtomicUsize = AtomicUsize::new(0);

/// The base of exit statuses of programs that a signal ended.
const BY_SIGNAL: i32 = 128;

/// Catches them from now on.
pub(super) fn catch() -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).doing("catch signals")?;
    let take = move || signals.forever().enumerate().for_each(|(before, signal)| came(signal, before));
    thread::Builder::new().name("signals".to_owned()).spawn(take).map(drop).doing("start the thread for signals")
}

/// What is done about a signal, after so many others. A container that runs on patient data is not left behind because
/// somebody was impatient: while there is one, the second changes nothing.
fn came(signal: i32, before: usize) {
    match before {
        0 => {
            // First: whoever finds the flag asks which signal it was.
            RECEIVED.store(signal.unsigned_abs() as usize, Ordering::SeqCst);
            interrupt::flag().store(true, Ordering::SeqCst);
        }
        1 if interrupt::has_pending() => tracing::warn!(
            "clearing up; once more ends the program at once, and pht-oci cleanup removes what it leaves"
        ),
        _ => low_level::exit(BY_SIGNAL + signal),
    }
}

/// The exit status of a command that ended with `error`; after a signal it is the signal's, as shells write it.
pub(super) fn exit_status(error: &Error) -> u8 {
    match i32::try_from(RECEIVED.load(Ordering::SeqCst)) {
        Ok(signal @ 1..) if error.kind() == Kind::Interrupted => u8::try_from(BY_SIGNAL + signal).unwrap_or(u8::MAX),
        _ => error.kind().exit_status(),
    }
}
