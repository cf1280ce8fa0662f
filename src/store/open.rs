use std::path::PathBuf;
use std::sync::Arc;

use super::context::Context;
use super::destination::Destination;
use super::fs::Audience;
use super::reference::Reference;
use super::source::Source;
use crate::error::Result;

/// Opens what a reference names, for reading.
///
/// # Errors
/// As [`Location::source`](super::Location::source).
pub fn open_source(reference: &Reference, context: &Context) -> Result<Arc<dyn Source>> {
    reference.location().source(reference, context)
}

/// Opens what a reference names, for writing what `audience` may read.
///
/// # Errors
/// As [`Location::destination`](super::Location::destination).
pub fn open_destination(reference: &Reference, context: &Context, audience: Audience) -> Result<Box<dyn Destination>> {
    reference.location().destination(reference, context, audience)
}

/// The directory for temporary files of an image at a reference: in its own file system, if it is in one.
pub fn spool_dir(reference: &Reference, context: &Context) -> PathBuf {
    reference.location().spool_dir(context)
}
