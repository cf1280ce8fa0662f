use clap::Args;

use super::output::Output;
use crate::error::Result;
use crate::json::{Value, json};
use crate::stage::{Leftover, cleanup, kept_runs, leftovers};
use crate::store::Context;
use crate::text::Printable;

/// Remove what runs that were killed have left: containers, and plaintext on disk.
///
/// The next `run` does the same. Runs that are in progress are left alone, and so are results that `run` has held or kept:
/// these are listed, and are for a person to see to.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pht-oci cleanup --dry-run
  pht-oci cleanup")]
pub(super) struct Cleanup {
    /// Only list what would be removed
    #[arg(long)]
    dry_run: bool,
}

impl Cleanup {
    pub(super) fn run(&self, context: &Context, output: &mut Output) -> Result<()> {
        let found = if self.dry_run { leftovers(context)? } else { cleanup(context)? };
        let verb = if self.dry_run { "left by a killed run" } else { "removed" };
        let line = |found: &Leftover| {
            let engine = found.engine.as_ref().map(|engine| format!(" and its container in {engine}"));
            Printable::new(&format!("{verb}: {}{}", found.path.display(), engine.unwrap_or_default())).to_string()
        };
        let held = kept_runs(context);
        let mut lines: Vec<String> = found.iter().map(line).collect();
        if lines.is_empty() {
            lines.push("nothing is left of a killed run".to_owned());
        }
        lines.extend(held.iter().map(|kept| {
            let path = kept.path.display();
            let what = format!(
                "kept, not removed: {path} has results in plaintext; see to them (pht-oci \
                         review, then release or reject; or post-run, if they were not held), then remove it"
            );
            Printable::new(&what).to_string()
        }));
        let entry = |found: &Leftover| json!({ "path": found.path.display().to_string(), "engine": found.engine });
        let list: Vec<Value> = found.iter().map(entry).collect();
        let held: Vec<String> = held.iter().map(|kept| kept.path.display().to_string()).collect();
        output.value(&(lines.join("\n") + "\n"), &json!({ "removed": !self.dry_run, "runs": list, "held": held }))
    }
}
