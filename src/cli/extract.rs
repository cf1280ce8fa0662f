use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::Args;

use super::on_terminal::{OnTerminal, ensure_no_terminal};
use super::output::Output;
use crate::error::{Error, IoContext, Result};
use crate::image::{ExtractRequest, ExtractTo, extract};
use crate::json::json;
use crate::path::shown;
use crate::stage::inspect;
use crate::store::{Context, Progress, Reference};
use crate::text::Printable;
use crate::train::paths;
use crate::train::wire::by_name;

/// Extract files and directories from an image, as its layers together show them.
///
/// A file goes to standard output or to --out; a directory to --out, or with `--out -` to standard output as a tar
/// archive. Several paths go into one tar archive, each at its own name, as `docker cp` puts them.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pht-oci extract ./train /opt/train_config.json
  pht-oci extract ./train /opt/pht_train --out ./code
  pht-oci extract ./train /opt/pht_train --out - | tar t
  pht-oci extract ./train /opt/pht_results /opt/train_config.json \\
    --out handout.tar")]
pub(super) struct Extract {
    /// The image
    #[arg(value_name = "SRC", value_parser = Reference::locate)]
    source: Reference,
    /// The paths in the image
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<String>,
    /// A new file or directory, or `-` for standard output
    #[arg(long, value_name = "F")]
    out: Option<PathBuf>,
}

/// Who can read what is encrypted.
const HOW_TO_READ: &str = "pre-run opens it at a station, and pht-oci results reads the results for their creator";

impl Extract {
    pub(super) fn run(&self, context: &Context, output: &mut Output) -> Result<()> {
        let mut stdout = std::io::stdout().lock();
        if self.out.as_deref().is_some_and(|out| out.as_os_str() == "-") {
            ensure_no_terminal(&stdout)?;
        }
        let is_terminal = stdout.is_terminal();
        let is_shown = is_terminal && self.out.is_none();
        let encrypted = self.ciphertext(context);
        if is_shown && let [first, ..] = &encrypted[..] {
            let hint = format!("{HOW_TO_READ}; --out FILE writes it as it is");
            return Err(Error::usage("encrypted, and not shown on a terminal").hint(hint).at(first));
        }
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
        let paths = self.paths.iter().map(String::as_str).collect();
        let left_out = extract(ExtractRequest { source: &self.source, paths, to }, &context)?;
        if is_terminal {
            on_terminal.end().doing("write the contents")?;
        }
        left_out.iter().for_each(|what| output.warn(&format!("left out: {what}")));
        if !encrypted.is_empty() {
            output.warn(&format!("what lies in {} is encrypted: {HOW_TO_READ}", encrypted.join(" and ")));
        }
        match &self.out {
            Some(out) if out.as_os_str() != "-" => {
                let (paths, out) = (self.paths.join(", "), out.display().to_string());
                let text = format!("{}: {}\n", Printable::new(&paths), Printable::new(&out));
                let source = self.source.to_string();
                let json = json!({ "source": source, "paths": self.paths, "out": out, "left_out": left_out });
                output.value(&text, &json)
            }
            _ => Ok(()),
        }
    }

    /// The directories of which ciphertext was handed out, if the image is a closed train and it was.
    fn ciphertext(&self, context: &Context) -> Vec<String> {
        let asked = |part: &[u8]| {
            let root = paths::on_disk(part);
            self.paths.iter().any(|path| {
                let path = Path::new("/").join(path);
                path.starts_with(&root) || root.starts_with(&path)
            })
        };
        let roots: Vec<&[u8]> = [paths::RESULTS, paths::TRAIN].into_iter().filter(|part| asked(part)).collect();
        // Of an image that is no train there is nothing to say.
        let train = if roots.is_empty() { None } else { inspect(&self.source, context).ok() };
        let Some(train) = train.filter(|train| train.stage != Some("pre-run")) else { return Vec::new() };
        let has_results = train.route.iter().any(|stop| stop.signed);
        let travels_encrypted = by_name(train.wire).is_ok_and(|wire| wire.encrypts_train());
        let is_ciphertext = |part: &&[u8]| if *part == paths::RESULTS { has_results } else { travels_encrypted };
        roots.into_iter().filter(is_ciphertext).map(|part| shown(part).to_string()).collect()
    }
}
