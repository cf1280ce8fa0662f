//! Layers: tar archives of files, whiteouts and links, plain or compressed (OCI image specification, layer).

mod codec;
mod entry;
mod open;
mod read;
mod write;

pub use codec::{Compression, Decoder, Encoder};
pub use entry::{Entry, Kind, Meta, PaxRecord, PaxRecords, normalise, number};
pub use open::{ScannedLayer, scan};
pub use read::{LayerReader, Sequential, Skip};
pub use write::TarWriter;
