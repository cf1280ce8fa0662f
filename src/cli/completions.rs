use clap::{Args, Command};
use clap_complete::{Shell, generate};

use super::output::Output;
use crate::error::Result;

/// The program.
const NAME: &str = "pht-oci";

/// Print the completions of commands and options for a shell.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pht-oci completions bash > /etc/bash_completion.d/pht-oci
  pht-oci completions zsh > /usr/local/share/zsh/site-functions/_pht-oci
  pht-oci completions fish > ~/.config/fish/completions/pht-oci.fish")]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    /// `program` is the whole command line.
    pub(super) fn run(&self, mut program: Command, output: &Output) -> Result<()> {
        let mut script = Vec::new();
        generate(self.shell, &mut program, NAME, &mut script);
        // For bash, clap_complete 4.6 spells a program's name that has a hyphen in two ways, so that no command's options
        // would be found.
        let script = String::from_utf8_lossy(&script).replace("pht__subcmd__oci", "pht__oci");
        output.data(script.as_bytes())
    }
}
