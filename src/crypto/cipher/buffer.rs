//! Working memory that plaintext passes through.

use std::cell::RefCell;
use std::mem;
use std::ops::{Deref, DerefMut, RangeBounds};

use zeroize::Zeroize;

/// A buffer that is erased on drop as far as it was used: most files are much smaller than the buffer.
pub(super) struct Buffer {
    bytes: Box<[u8]>,
    used: usize,
    /// True if somebody may have written plaintext of which nothing was noted.
    lent: bool,
}

/// The most buffers that a thread keeps for its next file: a cipher has two at once.
const SPARE: usize = 4;

thread_local! {
    /// Erased buffers. To make a new one costs more than to encrypt a small file, and there may be a hundred thousand.
    static SPARES: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

impl Buffer {
    /// A buffer of `length` bytes with arbitrary contents.
    pub(super) fn new(length: usize) -> Self {
        let spare = SPARES.try_with(|spares| {
            let mut spares = spares.borrow_mut();
            let found = spares.iter().position(|spare| spare.len() == length)?;
            Some(spares.swap_remove(found))
        });
        let bytes = spare.ok().flatten().unwrap_or_else(|| vec![0; length].into_boxed_slice());
        Buffer { bytes, used: 0, lent: false }
    }

    /// Notes that plaintext may stand before `end`.
    pub(super) fn used_to(&mut self, end: usize) {
        self.used = self.used.max(end);
        self.lent = false;
    }

    /// A part of it for plaintext, which [`used_to`](Self::used_to) is to note.
    pub(super) fn lend(&mut self, part: impl RangeBounds<usize>) -> &mut [u8] {
        self.lent = true;
        &mut self.bytes[(part.start_bound().cloned(), part.end_bound().cloned())]
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
        let used = if self.lent { self.bytes.len() } else { self.used.min(self.bytes.len()) };
        self.bytes[..used].zeroize();
        // A thread that ends has no use for it.
        let _ = SPARES.try_with(|spares| {
            let mut spares = spares.borrow_mut();
            if spares.len() < SPARE {
                spares.push(mem::take(&mut self.bytes));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_for_the_next_file_has_nothing_of_the_last() {
        let mut buffer = Buffer::new(100);
        buffer[..40].fill(7);
        buffer.used_to(40);
        let place = buffer.as_ptr();
        drop(buffer);
        let next = Buffer::new(100);
        assert_eq!((next.as_ptr(), &*next), (place, &[0; 100][..]));
        drop(next);
        let mut interrupted = Buffer::new(100);
        interrupted.lend(..60).fill(8);
        drop(interrupted);
        assert_eq!(&*Buffer::new(100), &[0; 100][..]);
        let other = Buffer::new(101);
        assert_eq!(other.len(), 101);
        let many: Vec<Buffer> = (0..2 * SPARE).map(|_| Buffer::new(100)).collect();
        drop(many);
        assert_eq!(SPARES.with(|spares| spares.borrow().len()), SPARE);
    }
}
