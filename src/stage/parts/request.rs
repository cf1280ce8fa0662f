use std::path::Path;

use super::release::Release;
use crate::crypto::PrivateKey;
use crate::error::Result;
use crate::store::Reference;
use crate::train::check::{require_ok, require_sound};
use crate::train::{Check, TrustStore};

/// Demands on a train beyond those of its wire version.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct VerificationPolicy<'a> {
    /// The keys that the parties of the train must have.
    pub trust: Option<&'a TrustStore>,
    /// Refuse what the wire version cannot prove.
    pub strict: bool,
}

impl VerificationPolicy<'_> {
    /// The checks, if they meet the policy.
    ///
    /// # Errors
    /// [`Kind::Verification`](crate::error::Kind::Verification) if one is broken or, with `strict`, weak.
    pub fn enforce(&self, checks: Vec<Check>) -> Result<Vec<Check>> {
        if self.strict { require_sound(checks) } else { require_ok(checks) }
    }

    /// The warning where no keys are pinned.
    pub(in crate::stage) fn warnings(&self) -> Vec<String> {
        let text = "the public keys come from the train itself: their owners were not verified against pinned keys";
        if self.trust.is_none() { vec![text.to_owned()] } else { Vec::new() }
    }
}

/// A request of a station to a stage.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct StageRequest<'a> {
    /// The train: for pre-run as it arrived, for post-run the image after the run.
    pub source: &'a Reference,
    /// The destination; in place if absent.
    pub destination: Option<&'a Reference>,
    /// The train as built, if it cannot be told otherwise.
    pub base: Option<&'a Reference>,
    /// The station that acts.
    pub station: Station<'a>,
    /// The policy that the train has to meet.
    pub policy: VerificationPolicy<'a>,
    /// A directory for the plaintext results, instead of the image. Pre-run makes it: it must not exist, or be empty.
    pub results: Option<&'a Path>,
    /// At pre-run of the first station: carry results along that are there already, though nobody vouches for them.
    pub keep_initial_results: bool,
    /// At post-run: the approvals without which nothing leaves.
    pub release: Option<Release<'a>>,
}

impl<'a> StageRequest<'a> {
    /// In place, and nothing unusual.
    pub fn new(source: &'a Reference, station: Station<'a>) -> Self {
        StageRequest {
            source,
            destination: None,
            base: None,
            station,
            policy: VerificationPolicy::default(),
            results: None,
            keep_initial_results: false,
            release: None,
        }
    }
}

/// The station that acts at a stage.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Station<'a> {
    /// The station's id, if it was given; else it is the stop whose key this is.
    pub id: Option<&'a str>,
    /// Its private key.
    pub key: &'a PrivateKey,
}

impl<'a> Station<'a> {
    /// The stop on the route whose key this is.
    pub fn of(key: &'a PrivateKey) -> Self {
        Station { id: None, key }
    }
}
