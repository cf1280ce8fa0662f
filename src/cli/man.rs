use std::fs;
use std::path::PathBuf;

use clap::{Args, CommandFactory};

use super::output::Output;
use crate::cli::Cli;
use crate::error::{ErrorContext, IoContext, Result};
use crate::json::json;
use crate::manual;

/// Write the manual: a page for the program, one for each command, and one for each topic.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pht-oci man --out /usr/local/share/man/man1")]
pub(super) struct Man {
    /// The directory for the pages; it is made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl Man {
    pub(super) fn run(&self, output: &mut Output) -> Result<()> {
        fs::create_dir_all(&self.out).doing("create the directory").at(self.out.display())?;
        clap_mangen::generate_to(Cli::command(), &self.out).doing("write the manual").at(self.out.display())?;
        for page in &manual::PAGES {
            let path = self.out.join(format!("pht-oci-{}.1", page.topic));
            fs::write(&path, page.to_roff()).doing("write the manual").at(path.display())?;
        }
        let out = self.out.display().to_string();
        output.value(&format!("{out}\n"), &json!({ "destination": out }))
    }
}
