//! Stopping early. A signal is meant for the whole process, and so is this flag: everything that moves contents looks
//! at it, and the error that it then reports takes the way of every other error, on which temporary files go.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Kind, Result};

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// The flag. Once it is set, every stage that runs in this process ends with [`Kind::Interrupted`] as soon as it reads
/// or writes on, and publishes nothing; one that is publishing already ends as if nothing were.
pub fn flag() -> &'static AtomicBool {
    &REQUESTED
}

/// An error if the program is to end: for loops that move contents, once for each buffer.
///
/// # Errors
/// [`Kind::Interrupted`] if the flag is set.
pub fn check() -> Result<()> {
    if !REQUESTED.load(Ordering::Relaxed) {
        return Ok(());
    }
    Err(Error::new(Kind::Interrupted, "interrupted")
        .hint("nothing was published; start the command again when you like"))
}
