use clap::Args;

use super::output::Output;
use super::release_options::{ApprovalOptions, RuleOptions, load_reviewers, recorded};
use super::station::{ResultsOption, StageOptions};
use crate::error::Result;
use crate::stage::{Act, Release as Approved, Report, StageRequest, post_run};
use crate::store::Context;

/// Close a train whose results were approved: post-run, and nothing leaves but what was approved.
///
/// While the results are encrypted they are compared with the approvals: if anything was changed, added or removed, or an
/// approval is for another train, stop or set of rules, or of nobody who may approve, nothing is published and the exit
/// status is 7.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pht-oci release oci:work:latest oci:outbox:latest \\
    --private-key station_1.pem --trust ./trust --approval anna.json
  pht-oci release oci:work:latest --results ./results --trust ./trust \\
    --reviewers 2 --approval anna.json --approval ben.json")]
pub(super) struct Release {
    #[command(flatten)]
    stage: StageOptions,
    #[command(flatten)]
    results: ResultsOption,
    #[command(flatten)]
    approvals: ApprovalOptions,
    #[command(flatten)]
    rules: RuleOptions,
}

impl Release {
    pub(super) fn run(&self, context: &Context, output: &mut Output) -> Result<()> {
        let key = self.stage.load_key()?;
        let demands = self.stage.load_demands()?;
        let approvals = self.approvals.load()?;
        let reviewers = load_reviewers(self.stage.trust_dir())?;
        let policy = self.rules.policy(true);
        let request = self.stage.request(&key, &demands);
        let (results, keep_owners) = (self.results.results.as_deref(), self.results.keep_owners);
        let release = Some(Approved::new(&policy, &reviewers, &approvals));
        let request = StageRequest { results, keep_owners, release, ..request };
        let report = self
            .stage
            .recorded(&request, Act::Release, recorded(&approvals), context, || post_run(&request, context))?;
        let report = Report { stage: Act::Release.name(), ..report };
        output.report(&report)
    }
}
