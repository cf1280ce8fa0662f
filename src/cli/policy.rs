//! The options of every command that verifies: pinned keys and strictness.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::error::Result;
use crate::stage::{VerificationPolicy, read_trust};
use crate::train::TrustStore;

/// Demands on a train beyond those of its wire version.
#[derive(Debug, Args)]
pub(super) struct PolicyOptions {
    /// Pinned keys, which must be those of the train's parties: creators/ID.pem, builders/*.pem, stations/ID.pem
    #[arg(long, value_name = "DIR", env = "PHT_TRUST_DIR")]
    trust: Option<PathBuf>,
    /// Refuse a train of which something is not proved, instead of reporting it as weak
    #[arg(long)]
    strict: bool,
}

impl PolicyOptions {
    /// Reads the pinned keys, if a directory of them is given.
    pub(super) fn load(&self) -> Result<Option<TrustStore>> {
        self.trust.as_deref().map(read_trust).transpose()
    }

    /// The directory of pinned keys, if one is given.
    pub(super) fn directory(&self) -> Option<&Path> {
        self.trust.as_deref()
    }

    /// The policy, with the keys that were loaded.
    pub(super) fn policy<'a>(&self, trust: Option<&'a TrustStore>) -> VerificationPolicy<'a> {
        VerificationPolicy { trust, strict: self.strict }
    }
}
