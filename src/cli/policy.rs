//! The options of every command that verifies: pinned keys, strictness, the oldest wire version that is accepted.

use std::path::PathBuf;

use clap::Args;

use crate::error::{Error, ErrorContext, Result};
use crate::stage::{VerificationPolicy, read_trust};
use crate::train::{MinWire, TrustStore};

/// The variable with the oldest wire version that is accepted.
const MIN_WIRE: &str = "PHT_MIN_WIRE";

/// Demands on a train beyond those of its wire version.
#[derive(Debug, Args)]
pub(super) struct PolicyOptions {
    /// Pinned keys, which must be those of the train's parties: creators/ID.pem, builders/*.pem, stations/ID.pem
    #[arg(long, value_name = "DIR", env = "PHT_TRUST_DIR")]
    trust: Option<PathBuf>,
    /// Refuse a train of which something is not proved, instead of reporting it as weak
    #[arg(long)]
    strict: bool,
    /// Refuse a train of an older wire version; of this, the variable and the file `min-wire` in the directory of
    /// --trust the strictest counts
    #[arg(long, value_name = "VERSION", env = MIN_WIRE)]
    min_wire: Option<String>,
}

/// What [`PolicyOptions`] name, read.
pub(super) struct Demands {
    strict: bool,
    trust: Option<TrustStore>,
    min_wire: Option<MinWire>,
}

impl PolicyOptions {
    /// Reads the pinned keys, if a directory of them is given, and what else is demanded.
    pub(super) fn load(&self) -> Result<Demands> {
        let option = self.min_wire.as_deref().map(|name| MinWire::new(name, "--min-wire").at("--min-wire"));
        // The option says nothing of the variable; neither can lower the other's demand.
        let variable = std::env::var_os(MIN_WIRE).map(|name| {
            let name = name.to_str().ok_or_else(|| Error::usage("not UTF-8"));
            name.and_then(|name| MinWire::new(name, MIN_WIRE)).at(MIN_WIRE)
        });
        let (variable, option) = (variable.transpose()?, option.transpose()?);
        Ok(Demands {
            strict: self.strict,
            trust: self.trust.as_deref().map(read_trust).transpose()?,
            // Without the option its value is that of the variable: of two equal ones the latter is named.
            min_wire: MinWire::strictest([&option, &variable].into_iter().flatten()).cloned(),
        })
    }
}

impl Demands {
    /// The policy.
    pub(super) fn policy(&self) -> VerificationPolicy<'_> {
        VerificationPolicy { trust: self.trust.as_ref(), strict: self.strict, min_wire: self.min_wire.as_ref() }
    }
}
