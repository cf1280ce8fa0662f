use clap::Args;

use super::output::Output;
use crate::error::Result;
use crate::image::gc;
use crate::json::json;
use crate::store::{Context, Reference};
use crate::text::counted;

/// Remove the blobs of a layout that no tag reaches.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pht-oci gc ./train-layout")]
pub(super) struct Gc {
    /// The layout
    #[arg(value_name = "LAYOUT", value_parser = Reference::locate)]
    layout: Reference,
}

impl Gc {
    pub(super) fn run(&self, context: &Context, output: &mut Output) -> Result<()> {
        let collected = gc(&self.layout, context)?;
        let text =
            format!("removed {} ({} bytes) that no tag reaches\n", counted(collected.blobs, "blob"), collected.bytes);
        output.value(&text, &json!({ "removed": { "blobs": collected.blobs, "bytes": collected.bytes } }))
    }
}
