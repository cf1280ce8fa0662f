use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Args;

use super::on_terminal::{OnTerminal, ensure_no_terminal};
use super::output::Output;
use crate::error::{IoContext, Result};
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
        if self.out.as_deref().is_some_and(|out| out.as_os_str() == "-") {
            ensure_no_terminal(&stdout)?;
        }
        let is_terminal = stdout.is_terminal();
        let mut on_terminal = OnTerminal::new(std::io::stdout());
        // What goes to standard output may go to the terminal, where bars would run into it.
        let mut context = context.clone();
        let to = match self.out.as_deref() {
            Some(out) if out.as_os_str() != "-" => ExtractTo::Path(out),
            _ => {
                context.progress = Progress::default();
                ExtractTo::Stream(if is_terminal { &mut on_terminal } else { &mut stdout })
            }
        };
        let request = ExtractRequest { source: &self.source, path: &self.path, to };
        let left_out = extract(request, &context)?;
        if is_terminal {
            on_terminal.end().doing("write the contents")?;
        }
        left_out.iter().for_each(|what| output.warn(&format!("left out: {what}")));
        Ok(())
    }
}
