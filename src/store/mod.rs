//! The places of images: a trait to read from, a trait to write to, and one implementation for each transport.
//!
//! A transport is a file (or folder) of this module that implements [`Source`] and [`Destination`] and has a line in
//! [`TRANSPORTS`]; everything above sees only the two traits. Whatever a transport hands out is untrusted: readers go
//! through [`Verified`], which checks size and digest, above the transports, so that none can forget.

pub mod archive;
mod context;
mod count;
mod descriptor;
mod destination;
pub mod dir;
mod extent;
pub(crate) mod fs;
mod incremental_hasher;
mod index;
pub mod interrupt;
mod joined_source;
pub mod layout;
pub mod media_type;
mod open;
mod parallel;
mod platform;
pub mod progress;
mod progress_source;
mod reach;
mod reference;
pub mod registry;
mod source;
mod source_around;
mod spool;
pub mod tag;
mod threaded_writer;
mod transports;
mod verify;
mod worker;

/// What describes a blob, and what names it (OCI image specification).
pub use oci_spec::image::{Descriptor, Digest, MediaType};

pub use context::{Context, DEFAULT_MAX_FILES};
pub use count::Count;
pub(crate) use descriptor::read_descriptor;
pub use destination::{BlobSink, Destination, GcStats, TagChange, Transfer, Unreached, Written, is_plain_annotation};
pub use extent::{Extent, ExtentReader};
pub use fs::{Audience, Waiting, ensure_free_space};
pub(crate) use index::several_images;
pub use joined_source::JoinedSource;
pub use open::{open_destination, open_source, spool_dir};
pub use platform::Platform;
pub use progress::Progress;
pub use reference::{Location, Reference, Transport};
pub use source::{
    Blob, ImageEntry, LEFT_OUT, Listed, MAX_DOCUMENT, REF_NAME, Source, left_out, mark_left_out, read_document, tagged,
};
pub use source_around::SourceAround;
pub use spool::Spool;
pub use threaded_writer::{BUFFER, ThreadedWriter};
pub use transports::TRANSPORTS;
pub use verify::{Digester, Verified, digest_of, is_supported, sha256_digest};
pub(crate) use worker::{Batches, Worker};
