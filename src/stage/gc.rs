use std::path::Path;

use super::World;
use crate::error::{Error, Result};
use crate::image::{Reference, Transport};
use crate::store::layout::{Layout, LayoutWriter};
use crate::store::{Destination, Swept};

/// Removes every blob of a layout that no tag reaches, and what an interrupted run has left.
///
/// # Errors
/// [`Kind::Usage`](crate::error::Kind::Usage) if it is no layout: other places hold nothing that is not reached.
/// [`Kind::Malformed`](crate::error::Kind::Malformed) if a manifest cannot be read: then nothing has been removed.
pub fn gc(layout: &Reference, world: &World) -> Result<Swept> {
    let Transport::Oci(dir) = layout.transport() else {
        let what = "not an OCI layout; archives hold nothing that no tag reaches, and registries clean up themselves";
        return Err(Error::usage(what).at(layout));
    };
    let dir: &Path = dir;
    if !dir.exists() {
        return Err(Error::usage("there is no such directory").at(dir.display()));
    }
    Layout::open(dir)?; // before anything is made at a place that is none
    LayoutWriter::open(dir, world.waiting)?.publish(&[], true)
}
