use clap::Args;

use super::output::Output;
use super::station::{ResultsOption, StageOptions};
use crate::error::Result;
use crate::json::Object;
#[cfg(feature = "engines")]
use crate::stage::kept_anywhere;
use crate::stage::{Act, StageRequest, pre_run};
use crate::store::Context;

/// Before the run: verify the train, decrypt the previous results.
///
/// Without DEST the image is replaced; the encrypted one stays as TAG-encrypted until post-run.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pht-oci pre-run ./train-layout --station 1 --private-key station_1.pem
  pht-oci pre-run oci:inbox:latest oci:work:latest --results ./results \\
    --private-key station_1.pem")]
pub(super) struct PreRun {
    #[command(flatten)]
    stage: StageOptions,
    #[command(flatten)]
    results: ResultsOption,
    /// Allow a DEST that belongs to somebody else, or that others may write: they can read and exchange the plaintext
    #[arg(long)]
    shared: bool,
    /// At the first station: keep results that were built into the train
    #[arg(long)]
    keep_initial_results: bool,
}

impl PreRun {
    pub(super) fn run(&self, context: &Context, output: &mut Output) -> Result<()> {
        let key = self.stage.load_key()?;
        let demands = self.stage.load_demands()?;
        let request = self.stage.request(&key, &demands);
        let results = self.results.results.as_deref();
        let (keep_owners, keep_initial_results) = (self.results.keep_owners, self.keep_initial_results);
        let request = StageRequest { results, keep_owners, shared: self.shared, keep_initial_results, ..request };
        let report =
            self.stage.recorded(&request, Act::PreRun, Object::new(), context, || pre_run(&request, context))?;
        output.report(&report)?;
        #[cfg(feature = "engines")]
        warn_of_held(&request, context, output);
        Ok(())
    }
}

/// Says if results of the same train wait for a person: a second run may come to other ones.
#[cfg(feature = "engines")]
fn warn_of_held(request: &StageRequest<'_>, context: &Context, output: &Output) {
    let kept = kept_anywhere(request.source, context).unwrap_or_default();
    for before in kept.iter().filter(|before| before.is_of_train && before.is_held) {
        let place = before.run.path.display();
        output
            .warn(&format!("the results of an earlier run of this train are held in {place}: release or reject them"));
    }
}
