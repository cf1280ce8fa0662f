use clap::Args;

use super::output::Output;
use crate::error::Result;
use crate::image::Reference;
use crate::json::json;
use crate::stage::{World, gc};

/// Remove the blobs of a layout that no tag reaches.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pht-oci gc ./train-layout")]
pub(super) struct Gc {
    /// The layout
    #[arg(value_name = "LAYOUT")]
    layout: Reference,
}

impl Gc {
    pub(super) fn run(&self, world: &World, output: &mut Output) -> Result<()> {
        let swept = gc(&self.layout, world)?;
        let text = format!("removed {} blobs ({} bytes) that no tag reaches\n", swept.blobs, swept.bytes);
        output.value(&text, &json!({ "removed": { "blobs": swept.blobs, "bytes": swept.bytes } }))
    }
}
