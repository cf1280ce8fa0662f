//! Stopping early. A signal is meant for the whole process, and so is this flag: everything that moves contents looks
//! at it, and the error that it then reports takes the way of every other error, on which temporary files go.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::error::{Error, Kind, Result};

static REQUESTED: AtomicBool = AtomicBool::new(false);
/// How many things there are that have to be cleared up before the process ends.
static PENDING: AtomicUsize = AtomicUsize::new(0);

/// The flag. Once it is set, every stage that runs in this process ends with [`Kind::Interrupted`] as soon as it reads
/// or writes on, and publishes nothing; one that is publishing already ends as if nothing were.
pub fn flag() -> &'static AtomicBool {
    &REQUESTED
}

/// Something that has to be cleared up before the process ends, however much somebody insists: a container that runs on
/// data, and its plaintext. It is, until this is dropped.
#[cfg_attr(not(feature = "engines"), allow(dead_code, reason = "`run` alone has containers"))]
#[derive(Debug)]
pub(crate) struct Pending(());

#[cfg_attr(not(feature = "engines"), allow(dead_code, reason = "`run` alone has containers"))]
impl Pending {
    pub(crate) fn new() -> Self {
        PENDING.fetch_add(1, Ordering::SeqCst);
        Pending(())
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        PENDING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// True if the process would leave something behind that nobody should find, if it ended now.
pub fn has_pending() -> bool {
    PENDING.load(Ordering::SeqCst) > 0
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
