//! Tar archives (POSIX.1-2017 ustar and pax, GNU), and how they are compressed. Knows no image.

mod codec;
mod draft;
mod entry;
mod header;
mod pax;
mod read;
#[cfg(test)]
mod tests;
mod write;
mod zstd;

pub use codec::{Compression, Decoder, Encoder};
pub use entry::{Entry, EntryKind, Meta, PaxRecord, PaxRecords, is_attribute, normalise, number, pax_mtime};
pub use read::{Reader, Sequential, Skip};
pub use write::Writer;
