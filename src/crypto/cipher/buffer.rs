//! Working memory that plaintext passes through.

use std::ops::{Deref, DerefMut};

use zeroize::Zeroize;

/// A buffer that is erased on drop as far as it was used: most files are much smaller than the buffer.
pub(super) struct Buffer {
    bytes: Box<[u8]>,
    used: usize,
}

impl Buffer {
    /// A buffer of `length` zero bytes.
    pub(super) fn new(length: usize) -> Self {
        Buffer { bytes: vec![0; length].into_boxed_slice(), used: 0 }
    }

    /// Notes that plaintext may stand before `end`.
    pub(super) fn used_to(&mut self, end: usize) {
        self.used = self.used.max(end);
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let used = self.used.min(self.bytes.len());
        self.bytes[..used].zeroize();
    }
}
