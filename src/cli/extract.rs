use std::path::PathBuf;

use clap::Args;

use super::output::Output;
use crate::error::Result;
use crate::image::{ExtractRequest, ExtractTo, extract};
use crate::store::{Context, Progress, Reference};

/// Extract one file or directory from an image, as its layers together show it.
///
/// A file goes to standard output or to --out; a directory to --out, or with `--out -` to standard output as a tar
/// archive.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pht-oci extract ./train /opt/train_config.json
  pht-oci extract ./train /opt/pht_train --out ./code
  pht-oci extract ./train /opt/pht_train --out - | tar t")]
pub(super) struct Extract {
    /// The image
    #[arg(value_name = "SRC", value_parser = Reference::locate)]
    source: Reference,
    /// The path in the image
    #[arg(value_name = "PATH")]
    path: String,
    /// A new file or directory, or `-` for standard output
    #[arg(long, value_name = "F")]
    out: Option<PathBuf>,
}

impl Extract {
    pub(super) fn run(&self, context: &Context, output: &mut Output) -> Result<()> {
        let mut stdout = std::io::stdout().lock();
        // What goes to standard output may go to the terminal, where bars would run into it.
        let mut context = context.clone();
        let to = match self.out.as_deref() {
            Some(out) if out.as_os_str() != "-" => ExtractTo::Path(out),
            _ => {
                context.progress = Progress::default();
                ExtractTo::Stream(&mut stdout)
            }
        };
        let request = ExtractRequest { source: &self.source, path: &self.path, to };
        for what in extract(request, &context)? {
            output.warn(&format!("left out: {what}"));
        }
        Ok(())
    }
}
