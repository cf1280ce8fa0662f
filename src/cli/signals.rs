//! Signals that ask the program to end: the first ends it cleanly, the second at once.

use std::sync::atomic::{AtomicUsize, Ordering};

use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use crate::error::{Error, IoContext, Kind, Result};
use crate::store::interrupt;

/// The signal that came, 0 if none has.
static RECEIVED: AtomicUsize = AtomicUsize::new(0);

/// The base of exit statuses of programs that a signal ended.
const BY_SIGNAL: usize = 128;

/// Catches them from now on.
pub(super) fn catch() -> Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        let number = signal.unsigned_abs() as usize;
        // In this order: the first signal must not find its own mark.
        flag::register_conditional_shutdown(signal, 128 + signal, interrupt::flag())
            .and_then(|_| flag::register_usize(signal, &RECEIVED, number))
            .and_then(|_| flag::register(signal, interrupt::flag()))
            .doing("catch signals")?;
    }
    Ok(())
}

/// The exit status of a command that ended with `error`; after a signal it is the signal's, as shells write it.
pub(super) fn exit_status(error: &Error) -> u8 {
    match RECEIVED.load(Ordering::Relaxed) {
        signal @ 1.. if error.kind() == Kind::Interrupted => u8::try_from(BY_SIGNAL + signal).unwrap_or(u8::MAX),
        _ => error.kind().exit_status(),
    }
}
