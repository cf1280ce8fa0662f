use std::fs;
use std::path::PathBuf;

use clap::{Args, Command};

use super::output::Output;
use crate::error::{ErrorContext, IoContext, Result};
use crate::json::json;
use crate::manual;

/// Write the manual pages: one for the program, one for each command, and one for each topic.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pht-oci man --out /usr/local/share/man/man1")]
pub(super) struct Man {
    /// The directory for the pages; created if it does not exist
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl Man {
    /// `program` is the whole command line.
    pub(super) fn run(&self, program: Command, output: &mut Output) -> Result<()> {
        fs::create_dir_all(&self.out).doing("create the directory").at(self.out.display())?;
        clap_mangen::generate_to(program, &self.out).doing("write the manual pages").at(self.out.display())?;
        for page in &manual::PAGES {
            let path = self.out.join(format!("pht-oci-{}.1", page.topic));
            fs::write(&path, page.to_roff()).doing("write the manual page").at(path.display())?;
        }
        let out = self.out.display().to_string();
        output.value(&format!("{out}\n"), &json!({ "destination": out }))
    }
}
