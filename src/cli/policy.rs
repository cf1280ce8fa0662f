//! The options of every command that verifies: pinned keys, strictness, the oldest wire version that is accepted.

use std::path::{Path, PathBuf};

use clap::Args;

use super::directories::own_directory;
use crate::error::{Error, ErrorContext, Result};
use crate::image::VerifiedLayers;
use crate::stage::{VerificationPolicy, read_trust};
use crate::store::Reference;
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
    /// Unpack base layers again that were verified before, and remember none
    #[arg(long)]
    no_cache: bool,
    /// The same of the station's settings, which nothing overrules
    #[arg(long, value_name = "VERSION", hide = true)]
    accept_min_wire: Option<String>,
    /// A master image of the station's settings, of which the train has to be one; repeat for more
    #[arg(long = "accept-master", value_name = "REF", hide = true, value_parser = Reference::locate)]
    accept_masters: Vec<Reference>,
}

/// What [`PolicyOptions`] name, read.
pub(super) struct Demands {
    strict: bool,
    trust: Option<TrustStore>,
    min_wire: Option<MinWire>,
    memory: Option<VerifiedLayers>,
    masters: Vec<Reference>,
}

impl PolicyOptions {
    /// The directory of pinned keys.
    pub(super) fn trust_dir(&self) -> Option<&Path> {
        self.trust.as_deref()
    }

    /// The master images of which the station accepts one.
    pub(super) fn masters(&self) -> &[Reference] {
        &self.accept_masters
    }

    /// The oldest wire version that is accepted, by options, environment and settings.
    pub(super) fn demanded_wire(&self) -> Result<Option<MinWire>> {
        let option = self.min_wire.as_deref().map(|name| MinWire::new(name, "--min-wire").at("--min-wire"));
        // The option says nothing of the variable; neither can lower the other's demand.
        let variable = std::env::var_os(MIN_WIRE).map(|name| {
            let name = name.to_str().ok_or_else(|| Error::usage("not UTF-8"));
            name.and_then(|name| MinWire::new(name, MIN_WIRE)).at(MIN_WIRE)
        });
        let settings = "the station's settings";
        let accepted = self.accept_min_wire.as_deref().map(|name| MinWire::new(name, settings).at(settings));
        let (variable, option, accepted) = (variable.transpose()?, option.transpose()?, accepted.transpose()?);
        // Without the option its value is that of the variable: of two equal ones the latter is named.
        Ok(MinWire::strictest([&accepted, &option, &variable].into_iter().flatten()).cloned())
    }

    /// Reads the pinned keys, if a directory of them is given, and what else is demanded.
    pub(super) fn load(&self) -> Result<Demands> {
        let min_wire = self.demanded_wire()?;
        Ok(Demands {
            strict: self.strict,
            masters: self.accept_masters.clone(),
            trust: self.trust.as_deref().map(read_trust).transpose()?,
            memory: if self.no_cache {
                None
            } else {
                own_directory("XDG_CACHE_HOME", ".cache").map(VerifiedLayers::in_directory)
            },
            min_wire,
        })
    }
}

impl Demands {
    /// The policy; a command that reads all layers says so itself.
    pub(super) fn policy(&self) -> VerificationPolicy<'_> {
        VerificationPolicy {
            trust: self.trust.as_ref(),
            strict: self.strict,
            min_wire: self.min_wire.as_ref(),
            memory: self.memory.as_ref(),
            masters: &self.masters,
            all_layers: false,
        }
    }
}
