use clap::{Args, Command};

use super::groups::grouped;
use super::output::Output;
use crate::error::{Error, Result};
use crate::json::json;
use crate::manual;
use crate::text::Printable;

/// Show the help of a command, or a page of the manual.
#[derive(Debug, Args)]
#[command(after_help = "Topics:
  wire-3           the specification of wire 3, the authenticated version
  station          settings, limits, records and single steps of a station
  running          what a run sees, FHIR data, engines, what is kept
  creator          building and signing a train, results, encrypted sums
  review           the review of results: checks, rules, approvals, limits
  pipelines        registries, Airflow, Kubernetes, Python, metrics
  security         what each wire version binds, pinned keys, the threat model
  troubleshooting  what to do about the most frequent errors
  commands         every command, every exit status, and what is printed
  checks           what each check of a train means, and its verdicts
  json             every field of the reports as JSON
  images           what happens to an image, and where it may be
  performance      speed and memory, measured beside other tools
  migrating        each call of the reference, and what takes its place

Examples:
  pht-oci help build
  pht-oci help wire-3")]
pub(super) struct Help {
    /// A command, or a topic of the manual [default: the list of commands]
    #[arg(value_name = "COMMAND|TOPIC")]
    topic: Option<String>,
}

impl Help {
    /// `program` is the whole command line.
    pub(super) fn run(&self, program: Command, output: &mut Output) -> Result<()> {
        let page = self.topic.as_deref().and_then(manual::page);
        let (topic, text) = match (page, &self.topic) {
            (Some(page), _) => (Some(page.topic), page.text.to_owned()),
            (None, None) => (None, help_of(program, None)?),
            (None, Some(command)) => (Some(command.as_str()), help_of(program, Some(command))?),
        };
        output.value(&text, &json!({ "topic": topic, "text": text }))
    }
}

/// The help of a command as `COMMAND --help` prints it, or of the program.
fn help_of(mut program: Command, command: Option<&str>) -> Result<String> {
    program.build();
    let found = match command {
        None => return Ok(grouped(program).render_long_help().to_string()),
        Some(name) => program.find_subcommand_mut(name).ok_or_else(|| unknown(name))?,
    };
    Ok(found.render_long_help().to_string())
}

fn unknown(name: &str) -> Error {
    let topics = manual::PAGES.map(|page| page.topic).join(", ");
    Error::usage(format!("there is no command and no topic `{}`", Printable::new(name)))
        .hint(format!("topics are {topics}; `pht-oci --help` lists the commands"))
}
