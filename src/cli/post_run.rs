use clap::{ArgGroup, Args};

use super::output::Output;
use super::release_options::{ApprovalOptions, RuleOptions, load_reviewers, recorded};
use super::station::{ResultsDemand, ResultsOption, StageOptions};
use crate::error::{Error, Result};
use crate::stage::{Act, Release, StageRequest, post_run};
use crate::store::Context;

/// After the run: hash, sign and encrypt the new results; drop every other change.
///
/// Without DEST the image is replaced, and every blob that no image needs any more is removed.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("approved").args(["hold", "approval"]).multiple(true))]
// Rules that nobody asks for are a mistake: results would leave without them.
#[command(mut_group("RuleOptions", |rules| rules.requires("approved")))]
#[command(after_help = "Examples:
  pht-oci post-run ./train-layout --station 1 --private-key station_1.pem
  pht-oci post-run oci:work:latest oci:outbox:latest --results ./results \\
    --private-key station_1.pem")]
pub(super) struct PostRun {
    #[command(flatten)]
    stage: StageOptions,
    #[command(flatten)]
    results: ResultsOption,
    #[command(flatten)]
    demand: ResultsDemand,
    /// Take results from another directory than the one that pre-run has made, such as a copy of it
    #[arg(long, requires = "results")]
    moved_results: bool,
    /// Let nothing out that was not approved
    #[arg(long)]
    hold: bool,
    #[command(flatten)]
    approvals: ApprovalOptions,
    #[command(flatten)]
    rules: RuleOptions,
    /// Accepted for those who know the reference's command: here the result is always based on the train as built
    #[arg(long, hide = true)]
    rebase: bool,
}

impl PostRun {
    pub(super) fn run(&self, context: &Context, output: &mut Output) -> Result<()> {
        if let Some(dir) = self.results.results.as_ref().filter(|dir| !dir.is_dir()) {
            let hint = "give the directory that pre-run has made with --results";
            return Err(Error::usage("there is no such directory")
                .hint(hint)
                .at(format_args!("--results {}", dir.display())));
        }
        let key = self.stage.load_key()?;
        let demands = self.stage.load_demands()?;
        let approvals = self.approvals.load()?;
        let reviewers = load_reviewers(self.stage.trust_dir())?;
        let policy = self.rules.policy(self.hold || self.approvals.are_given());
        let request = self.stage.request(&key, &demands);
        let (results, keep_owners) = (self.results.results.as_deref(), self.results.keep_owners);
        let release = policy.review.then(|| Release::new(&policy, &reviewers, &approvals));
        let (moved_results, require_results) = (self.moved_results, self.demand.require_results);
        let request = StageRequest { results, keep_owners, moved_results, require_results, release, ..request };
        let report = self
            .stage
            .recorded(&request, Act::PostRun, recorded(&approvals), context, || post_run(&request, context))?;
        output.report(&report)
    }
}
