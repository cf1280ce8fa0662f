use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::store::context::Context;
use crate::store::destination::Destination;
use crate::store::dir::{Dir, DirWriter};
use crate::store::fs::Audience;
use crate::store::layout::Layout;
use crate::store::progress_source::ProgressSource;
use crate::store::reference::{Location, Reference, Transport};
use crate::store::source::Source;

/// `dir:DIR`: one image, a manifest and its blobs beside one another, as skopeo writes it.
pub(in crate::store) static TRANSPORT: Transport = Transport {
    prefix: "dir:",
    syntax: "DIR",
    description: "one image, as written by `skopeo copy`",
    parse: |dir| match dir {
        "" => Err(Error::usage("`dir:`: the place is empty; write dir:DIR")),
        dir => Ok(Reference::new(Arc::new(DirLocation(dir.into())), None)),
    },
    recognises: |path| path.is_dir() && !Layout::is_layout(path) && Dir::is_dir(path),
    at_path: Some(|path| Arc::new(DirLocation(path))),
};

/// The directory of an image.
#[derive(Debug)]
struct DirLocation(PathBuf);

impl fmt::Display for DirLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dir:{}", self.0.display())
    }
}

impl Location for DirLocation {
    fn path(&self) -> Option<&Path> {
        Some(&self.0)
    }

    fn spool_dir(&self, _context: &Context) -> PathBuf {
        self.0.clone()
    }

    fn source(&self, _reference: &Reference, context: &Context) -> Result<Arc<dyn Source>> {
        Ok(Arc::new(ProgressSource::new(Dir::open(&self.0)?, &context.progress)))
    }

    fn destination(
        &self,
        _reference: &Reference,
        context: &Context,
        audience: Audience,
    ) -> Result<Box<dyn Destination>> {
        Ok(Box::new(DirWriter::open(&self.0, context.waiting, audience)?))
    }
}
