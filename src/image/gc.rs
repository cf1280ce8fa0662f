use crate::error::Result;
use crate::store::{Context, GcStats, Reference};

/// Removes every blob of a layout that no tag reaches, and what an interrupted run has left.
///
/// # Errors
/// [`Kind::Usage`](crate::error::Kind::Usage) if it is no layout: other places hold nothing that is not reached.
/// [`Kind::Malformed`](crate::error::Kind::Malformed) if a manifest cannot be read: then nothing has been removed.
pub fn gc(layout: &Reference, context: &Context) -> Result<GcStats> {
    layout.location().collect_garbage(context)
}
