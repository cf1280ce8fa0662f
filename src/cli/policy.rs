//! What every command that verifies takes: pinned keys, and how strict to be.

use std::path::PathBuf;

use clap::Args;

use crate::error::Result;
use crate::stage::{VerificationPolicy, read_trust};
use crate::train::TrustStore;

/// What is demanded of a train beyond what its wire version does.
#[derive(Debug, Args)]
pub(super) struct DemandOptions {
    /// Keys that must be those of the train's parties: creators/ID.pem, builders/*.pem, stations/ID.pem
    #[arg(long, value_name = "DIR", env = "PHT_TRUST_DIR")]
    trust: Option<PathBuf>,
    /// Refuse what this wire version cannot prove, instead of reporting it as weak
    #[arg(long)]
    strict: bool,
}

impl DemandOptions {
    /// Reads the pinned keys, if a directory of them is given.
    pub(super) fn load(&self) -> Result<Option<TrustStore>> {
        self.trust.as_deref().map(read_trust).transpose()
    }

    /// What is demanded, with the keys that were loaded.
    pub(super) fn policy<'a>(&self, trust: Option<&'a TrustStore>) -> VerificationPolicy<'a> {
        VerificationPolicy { trust, strict: self.strict }
    }
}
