use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::write::LayoutWriter;
use crate::error::{Error, Result};
use crate::store::GcStats;
use crate::store::context::Context;
use crate::store::destination::{Destination, Unreached};
use crate::store::fs::Audience;
use crate::store::layout::Layout;
use crate::store::progress_source::ProgressSource;
use crate::store::reference::{Location, Reference, Transport, parse_local};
use crate::store::source::Source;

/// `oci:DIR`: an OCI image layout in a directory.
pub(in crate::store) static TRANSPORT: Transport = Transport {
    prefix: "oci:",
    syntax: "DIR[:TAG|@DIGEST|:@N]",
    description: "an OCI image layout",
    parse: |text| parse_local(text, "oci:DIR[:TAG]", |dir| Arc::new(LayoutLocation(dir))),
    recognises: Path::is_dir,
    at_path: Some(|path| Arc::new(LayoutLocation(path))),
};

impl Reference {
    /// An OCI image layout in a directory.
    pub fn layout(dir: impl Into<PathBuf>, tag: Option<String>) -> Self {
        Self::new(Arc::new(LayoutLocation(dir.into())), tag)
    }
}

/// What to do with an image that is in the store of an engine, or in a registry.
const ELSEWHERE: &str = "an image of Podman or Docker is saved first (podman save -o train.tar NAME); one in a registry is \
                         docker://HOST/NAME:TAG";

/// The directory of a layout.
#[derive(Debug)]
pub(in crate::store) struct LayoutLocation(pub(in crate::store) PathBuf);

impl fmt::Display for LayoutLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oci:{}", self.0.display())
    }
}

impl Location for LayoutLocation {
    fn path(&self) -> Option<&Path> {
        Some(&self.0)
    }

    fn spool_dir(&self, _context: &Context) -> PathBuf {
        self.0.clone()
    }

    fn source(&self, reference: &Reference, context: &Context) -> Result<Arc<dyn Source>> {
        if !self.0.exists() {
            let error = Error::usage("there is no such file or directory");
            // `NAME:TAG`, as engines call what is in their store.
            let is_bare = reference.tag().is_some() && self.0.components().count() == 1;
            return Err(if is_bare { error.hint(ELSEWHERE) } else { error }.at(self.0.display()));
        }
        Ok(Arc::new(ProgressSource::new(Layout::open(&self.0)?, &context.progress)))
    }

    fn destination(
        &self,
        reference: &Reference,
        context: &Context,
        audience: Audience,
    ) -> Result<Box<dyn Destination>> {
        reference.ensure_place_ends_there()?;
        Ok(Box::new(LayoutWriter::open(&self.0, context.waiting, audience)?))
    }

    fn collect_garbage(&self, context: &Context) -> Result<GcStats> {
        if !self.0.exists() {
            return Err(Error::usage("there is no such directory").at(self.0.display()));
        }
        Layout::open(&self.0)?; // before anything is made at a place that holds no layout
        LayoutWriter::open(&self.0, context.waiting, Audience::Anyone)?.publish(&[], Unreached::Remove)
    }
}
