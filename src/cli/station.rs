//! The options of the stages.

use std::path::{Path, PathBuf};

use clap::Args;

use super::journal::JournalOptions;
use super::policy::{Demands, PolicyOptions};
use super::secrets::KeyOptions;
use crate::crypto::PrivateKey;
use crate::error::Result;
use crate::json::Object;
use crate::stage::{Act, Report, StageRequest, Station};
use crate::store::{Context, Reference};

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
    #[arg(long, visible_alias = "as-built", value_name = "REF", value_parser = Reference::locate)]
    base: Option<Reference>,
    #[command(flatten)]
    journal: JournalOptions,
}

/// The directory of the results, for those who run the train themselves.
#[derive(Debug, Args)]
pub(super) struct ResultsOption {
    /// Keep the plaintext results in this directory instead of the image: pre-run creates it, post-run reads it
    #[arg(long, value_name = "DIR")]
    pub(super) results: Option<PathBuf>,
    /// Take the owners of the results along too, as far as the user may; else files of DIR are the user's, and root's in
    /// the image
    #[arg(long, requires = "results")]
    pub(super) keep_owners: bool,
}

/// What is demanded of the results of a run.
#[derive(Debug, Args)]
pub(super) struct ResultsDemand {
    /// Refuse to sign a stop whose train has left nothing; under `run` also if it has left nothing new
    #[arg(long)]
    pub(super) require_results: bool,
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

    /// Does the stage of `request`, and records it if the station has a journal.
    pub(super) fn recorded(
        &self,
        request: &StageRequest<'_>,
        act: Act,
        details: Object,
        context: &Context,
        work: impl FnOnce() -> Result<Report>,
    ) -> Result<Report> {
        self.journal.recorded(request, act, details, context, work)
    }

    /// True if what is done already is to be done again.
    #[cfg(feature = "engines")]
    pub(super) fn is_again(&self) -> bool {
        self.journal.is_again()
    }

    /// The directory of pinned keys, if one is given.
    pub(super) fn trust_dir(&self) -> Option<&Path> {
        self.policy.trust_dir()
    }

    /// The request, with what was loaded.
    pub(super) fn request<'a>(&'a self, key: &'a PrivateKey, demands: &'a Demands) -> StageRequest<'a> {
        StageRequest {
            policy: demands.policy(),
            digest_results: self.journal.is_kept(),
            destination: self.destination.as_ref(),
            base: self.base.as_ref(),
            ..StageRequest::new(&self.source, Station { id: self.station.as_deref(), key })
        }
    }
}
