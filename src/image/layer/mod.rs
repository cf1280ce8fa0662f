//! Layers: tar archives of files, whiteouts and links, plain or compressed (OCI image specification, layer).

mod codec;
mod entry;
mod open;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use codec::{Compression, Decoder, Encoder};
pub use entry::{Entry, Kind, Meta, PaxRecord, PaxRecords, normalise, number, pax_mtime};
pub use open::{ScannedLayer, check_contents, digest_files, scan};
pub use read::{LayerReader, Sequential, Skip};
pub use write::TarWriter;
