use clap::{Args, Subcommand};

use super::output::Output;
use crate::engine::{KeptBase, kept_bases, prune};
use crate::error::Result;
use crate::json::{Value, json};
use crate::store::Context;
use crate::text::Printable;

/// List or remove the bases that `run` has kept, with the engines and unpacked on disk.
///
/// A base is kept so that the next run of a train on it costs no more than the train. It holds no plaintext of a train.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pht-oci cache list
  pht-oci cache prune")]
pub(super) struct Cache {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the bases, with their sizes
    #[command(after_help = "Example:\n  pht-oci cache list --format json")]
    List,
    /// Remove every base that nothing runs from
    #[command(after_help = "Example:\n  pht-oci cache prune")]
    Prune,
}

impl Cache {
    pub(super) fn run(&self, context: &Context, output: &mut Output) -> Result<()> {
        let (bases, removed) = match self.action {
            Action::List => (kept_bases(context)?, false),
            Action::Prune => (prune(context)?, true),
        };
        let line =
            |base: &KeptBase| format!("{:<7} {:>12} bytes  {}", base.keeper, base.bytes, Printable::new(&base.id));
        let nothing = if removed { "nothing is kept that could be removed" } else { "nothing is kept" };
        let lines = if bases.is_empty() { vec![nothing.to_owned()] } else { bases.iter().map(line).collect() };
        let entry = |base: &KeptBase| json!({ "keeper": base.keeper, "id": base.id, "bytes": base.bytes });
        let list: Vec<Value> = bases.iter().map(entry).collect();
        output.value(&(lines.join("\n") + "\n"), &json!({ "removed": removed, "bases": list }))
    }
}
