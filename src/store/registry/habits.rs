use std::sync::atomic::{AtomicBool, Ordering};

/// What a registry has shown not to take. What was learned with one blob holds for the next.
#[derive(Debug, Default)]
pub(super) struct Habits {
    refuses_ranges: AtomicBool,
    refuses_bodies: AtomicBool,
}

impl Habits {
    /// True if it takes no PATCH that says which part it is.
    pub(super) fn refuses_ranges(&self) -> bool {
        self.refuses_ranges.load(Ordering::Relaxed)
    }

    pub(super) fn note_refused_range(&self) {
        self.refuses_ranges.store(true, Ordering::Relaxed);
    }

    /// True if it takes no PUT that brings the blob along.
    pub(super) fn refuses_bodies(&self) -> bool {
        self.refuses_bodies.load(Ordering::Relaxed)
    }

    pub(super) fn note_refused_body(&self) {
        self.refuses_bodies.store(true, Ordering::Relaxed);
    }
}
