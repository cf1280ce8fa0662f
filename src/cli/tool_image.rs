use std::path::PathBuf;

use clap::Args;

use super::output::Output;
use crate::error::{IoContext, Result};
use crate::image::{ToolImageRequest, tool_image};
use crate::store::{Context, Reference};

/// Make a container image of this program.
///
/// It holds only the program, which is its entry point, and the given certificate authorities.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  pht-oci tool-image oci-archive:pht-oci.tar:latest \\
    --certificates /etc/ssl/certs/ca-certificates.crt
  podman load -i pht-oci.tar
  podman run -v ./work:/work -e STATION_ID=a \\
    -e PRIVATE_KEY_PATH=/work/a.pem pht-oci pre-run /work/train")]
pub(super) struct ToolImage {
    /// The destination
    #[arg(value_name = "DEST", value_parser = Reference::locate)]
    destination: Reference,
    /// Certificate authorities (PEM) for registries
    #[arg(long, value_name = "FILE")]
    certificates: Option<PathBuf>,
}

impl ToolImage {
    pub(super) fn run(&self, context: &Context, output: &mut Output) -> Result<()> {
        let program = std::env::current_exe().doing("find this program's file")?;
        let request = ToolImageRequest {
            destination: &self.destination,
            program: &program,
            certificates: self.certificates.as_deref(),
        };
        output.image_report("tool-image", &tool_image(&request, context)?, &[])
    }
}
