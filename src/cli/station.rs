//! The options of the stages.

use std::path::{Path, PathBuf};

use clap::Args;

use super::policy::PolicyOptions;
use super::secrets::KeyOptions;
use crate::crypto::PrivateKey;
use crate::error::Result;
use crate::stage::{StageRequest, Station};
use crate::store::Reference;
use crate::train::TrustStore;

/// The train, and who acts.
#[derive(Debug, Args)]
pub(super) struct StageOptions {
    /// The train
    #[arg(value_name = "SRC", value_parser = Reference::locate)]
    source: Reference,
    /// The destination [default: in place]
    #[arg(value_name = "DEST", value_parser = Reference::locate)]
    destination: Option<Reference>,
    /// The station's id [default: the stop with this key]
    #[arg(long, value_name = "ID", env = "STATION_ID")]
    station: Option<String>,
    #[command(flatten)]
    key: KeyOptions,
    #[command(flatten)]
    policy: PolicyOptions,
    /// The train as built; needed only without labels and without a tag `base`
    #[arg(long, value_name = "REF", value_parser = Reference::locate)]
    base: Option<Reference>,
}

/// The directory of the results, for those who run the train themselves.
#[derive(Debug, Args)]
pub(super) struct ResultsOption {
    /// Keep the plaintext results in this directory instead of the image: pre-run creates it, post-run reads it
    #[arg(long, value_name = "DIR")]
    pub(super) results: Option<PathBuf>,
}

impl StageOptions {
    /// The private key of the station.
    pub(super) fn load_key(&self) -> Result<PrivateKey> {
        self.key.load()
    }

    /// The keys that are pinned.
    pub(super) fn load_trust(&self) -> Result<Option<TrustStore>> {
        self.policy.load()
    }

    /// The directory of pinned keys, if one is given.
    pub(super) fn trust_dir(&self) -> Option<&Path> {
        self.policy.directory()
    }

    /// The request, with the keys that were loaded.
    pub(super) fn request<'a>(&'a self, key: &'a PrivateKey, trust: Option<&'a TrustStore>) -> StageRequest<'a> {
        StageRequest {
            policy: self.policy.policy(trust),
            destination: self.destination.as_ref(),
            base: self.base.as_ref(),
            ..StageRequest::new(&self.source, Station { id: self.station.as_deref(), key })
        }
    }
}
