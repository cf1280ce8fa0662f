//! The options of the stages.

use std::path::PathBuf;

use clap::Args;

use super::policy::{Demands, PolicyOptions};
use super::secrets::KeyOptions;
use crate::crypto::PrivateKey;
use crate::error::Result;
use crate::stage::{StageRequest, Station};
use crate::store::Reference;

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

    /// What is demanded of the train: pinned keys and more.
    pub(super) fn load_demands(&self) -> Result<Demands> {
        self.policy.load()
    }

    /// The request, with what was loaded.
    pub(super) fn request<'a>(&'a self, key: &'a PrivateKey, demands: &'a Demands) -> StageRequest<'a> {
        StageRequest {
            policy: demands.policy(),
            destination: self.destination.as_ref(),
            base: self.base.as_ref(),
            ..StageRequest::new(&self.source, Station { id: self.station.as_deref(), key })
        }
    }
}
