//! Several blobs on their way at once: a registry answers one request slowly and three about as fast.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use oci_spec::image::Descriptor;

use super::destination::Transfer;
use super::source::Source;
use super::verify::Verified;
use crate::error::{Error, ErrorContext, IoContext, Result};

/// The number of blobs copied at once, at most. Each may hold an upload's chunk in memory.
const AT_ONCE: usize = 3;

/// Takes each blob by `take`, a few at a time; how each came here, in their order. One that occurs again is there by
/// then. After a failure no other is begun, those on their way are given up, and the failure is the result.
pub(super) fn copy_each(
    descriptors: &[Descriptor],
    take: impl Fn(&Descriptor, &Shared) -> Result<Transfer> + Sync,
) -> Result<Vec<Transfer>> {
    let (next, shared) = (AtomicUsize::new(0), Shared::default());
    let (done, failure) = (Mutex::new(vec![None; descriptors.len()]), Mutex::new(None));
    let work = || {
        while !shared.is_given_up() {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(descriptor) = descriptors.get(at) else { return };
            if descriptors[..at].iter().any(|before| before.digest() == descriptor.digest()) {
                lock(&done)[at] = Some(Transfer::Reused);
                continue;
            }
            match take(descriptor, &shared) {
                Ok(transfer) => lock(&done)[at] = Some(transfer),
                // The first: what the others report is that they were given up.
                Err(error) if !shared.0.swap(true, Ordering::Relaxed) => *lock(&failure) = Some(error),
                Err(error) => tracing::debug!("{error}"),
            }
        }
    };
    std::thread::scope(|scope| {
        // This thread is one of them.
        for _ in 1..descriptors.len().min(AT_ONCE) {
            scope.spawn(work);
        }
        work();
    });
    match lock(&failure).take() {
        Some(error) => Err(error),
        None => lock(&done).iter().copied().collect::<Option<_>>().ok_or_else(lost),
    }
}

fn lost() -> Error {
    Error::internal("a blob was not copied")
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The state shared by the blobs that are copied at once: whether one has failed.
#[derive(Default)]
pub(super) struct Shared(AtomicBool);

impl Shared {
    fn is_given_up(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Copies a blob of `source`, verified on the way; `to` is the place for messages. An error once another has
    /// failed.
    pub(super) fn copy(
        &self,
        source: &dyn Source,
        descriptor: &Descriptor,
        to: &str,
        sink: &mut impl Write,
    ) -> Result<()> {
        let mut reader = self.reader(Verified::new(source.open(descriptor)?.into_reader(), descriptor)?);
        let copied = io::copy(&mut reader, sink).doing(format_args!("copy the blob to {to}"));
        copied.map(drop).at(format_args!("{} {}", source.name(), descriptor.digest()))
    }

    fn reader<R: Read>(&self, inner: R) -> impl Read {
        SharedReader { inner, shared: self }
    }
}

struct SharedReader<'s, R> {
    inner: R,
    shared: &'s Shared,
}

impl<R: Read> Read for SharedReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.shared.is_given_up() {
            return Err(io::Error::other("given up, as another blob could not be copied"));
        }
        self.inner.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use oci_spec::image::MediaType;

    use super::*;
    use crate::error::Kind;
    use crate::store::digest_of;

    fn descriptors(count: u8) -> Vec<Descriptor> {
        (0..count).map(|byte| Descriptor::new(MediaType::ImageLayer, byte.into(), digest_of(&[byte]))).collect()
    }

    #[test]
    fn every_blob_is_taken_in_its_place_and_a_few_at_once() {
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let taken = copy_each(&descriptors(20), |descriptor, _| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(20));
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(Transfer::Copied(descriptor.size()))
        });
        assert_eq!(taken.unwrap(), (0..20).map(Transfer::Copied).collect::<Vec<_>>());
        assert_eq!(most.into_inner(), AT_ONCE);
        assert_eq!(copy_each(&[], |_, _| Ok(Transfer::Reused)).unwrap(), []);
        let twice = [descriptors(2), descriptors(2)].concat();
        let taken = copy_each(&twice, |descriptor, _| Ok(Transfer::Copied(descriptor.size())));
        assert_eq!(taken.unwrap(), [Transfer::Copied(0), Transfer::Copied(1), Transfer::Reused, Transfer::Reused]);
    }

    #[test]
    fn after_a_failure_the_others_are_given_up() {
        let begun = AtomicUsize::new(0);
        let taken = copy_each(&descriptors(20), |descriptor, shared| {
            begun.fetch_add(1, Ordering::SeqCst);
            if descriptor.size() == 1 {
                return Err(Error::new(Kind::Registry, "the second"));
            }
            // Endless, were it not for the other's failure.
            io::copy(&mut shared.reader(io::repeat(0)), &mut io::sink())
                .map(Transfer::Copied)
                .map_err(|error| Error::io("cannot copy it", error))
        });
        let error = taken.unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (Kind::Registry, "the second".to_owned()));
        assert!(begun.into_inner() <= AT_ONCE);
    }
}
