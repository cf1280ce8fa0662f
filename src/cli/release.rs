use clap::Args;

use super::output::Output;
use super::release_options::{ApprovalOptions, RuleOptions, load_reviewers};
use super::station::{ResultsOption, StageOptions};
use crate::error::Result;
use crate::stage::{Release as Approved, post_run};
use crate::store::Context;

/// Close a train whose results were approved: post-run, and nothing leaves but what was approved.
///
/// While the results are encrypted they are compared with the approvals: if anything was changed, added or removed, or an
/// approval is for another train, stop or set of rules, or of nobody who may approve, nothing is published and the exit
/// status is 7.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pht-oci release oci:work:latest oci:outbox:latest --private-key station_1.pem --trust ./trust --approval anna.json
  pht-oci release oci:work:latest --results ./results --trust ./trust --reviewers 2 --approval anna.json --approval ben.json")]
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
        let trust = self.stage.load_trust()?;
        let approvals = self.approvals.load()?;
        let reviewers = load_reviewers(self.stage.trust_dir())?;
        let policy = self.rules.policy(true);
        let mut request = self.stage.request(&key, trust.as_ref());
        request.results = self.results.results.as_deref();
        request.release = Some(Approved::new(&policy, &reviewers, &approvals));
        output.report(&post_run(&request, context)?)
    }
}
