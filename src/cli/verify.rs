use clap::Args;

use super::output::Output;
use super::policy::PolicyOptions;
use crate::error::Result;
use crate::stage::{VerificationPolicy, verify};
use crate::store::{Context, Reference};

/// Check everything about a train that needs no private key: signatures, digests, layers, pinned keys.
///
/// Every check is shown with its verdict; if one is broken the exit status is 3.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pht-oci verify ./train-layout
  pht-oci verify oci:inbox:latest --trust ./pinned-keys --strict")]
pub(super) struct Verify {
    /// The train
    #[arg(value_name = "SRC", value_parser = Reference::locate)]
    source: Reference,
    /// Read every layer to its end, those of the base, too, which their digests alone bind otherwise
    #[arg(long)]
    all_layers: bool,
    #[command(flatten)]
    policy: PolicyOptions,
}

impl Verify {
    pub(super) fn run(&self, context: &Context, output: &mut Output) -> Result<()> {
        let demands = self.policy.load()?;
        let policy = VerificationPolicy { all_layers: self.all_layers, ..demands.policy() };
        let found = verify(&self.source, policy, context)?;
        output.verification(&found)?;
        found.enforce(policy)
    }
}
