use std::io;
use std::path::Path;

use super::release::Release;
use crate::crypto::PrivateKey;
use crate::error::{Advice, Error, Kind, Result};
use crate::image::VerifiedLayers;
use crate::store::Reference;
use crate::text::Printable;
use crate::train::check::{require_ok, require_sound};
use crate::train::trust::nobody_vouches;
use crate::train::{Check, MinWire, TrainConfig, TrustStore};

/// The target of the warning that nobody vouches for the keys of a train: whoever shows less than all warnings shows this
/// one all the same.
pub const UNPINNED: &str = "pht_oci::unpinned";

/// Demands on a train beyond those of its wire version.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct VerificationPolicy<'a> {
    /// The keys that the parties of the train must have.
    pub trust: Option<&'a TrustStore>,
    /// Refuse what the wire version cannot prove.
    pub strict: bool,
    /// The oldest wire version that is accepted, beside that of `trust`: the stricter one counts.
    pub min_wire: Option<&'a MinWire>,
    /// The layers that were unpacked and hashed before, and need not be again.
    pub memory: Option<&'a VerifiedLayers>,
    /// The master images of which pre-run accepts one; all, if there are none.
    pub masters: &'a [Reference],
    /// [`verify`](crate::stage::verify) reads every layer to its end, those of the base, too, which their digests alone
    /// bind otherwise.
    pub all_layers: bool,
}

impl VerificationPolicy<'_> {
    /// The checks, if they meet the policy.
    ///
    /// # Errors
    /// [`Kind::Verification`](crate::error::Kind::Verification) if one is broken or, with `strict`, weak.
    pub fn enforce(&self, checks: Vec<Check>) -> Result<Vec<Check>> {
        if self.strict { require_sound(checks) } else { require_ok(checks) }
    }

    /// Holds the wire version of a train against the oldest one that is accepted, if there is such a demand.
    pub(in crate::stage) fn collect_wire(&self, config: &TrainConfig) -> Option<Check> {
        let demands = [self.min_wire, self.trust.and_then(TrustStore::min_wire)];
        MinWire::strictest(demands.into_iter().flatten()).map(|minimum| minimum.check(config))
    }

    /// Refuses a train of too old a wire version, before anything else is asked of it.
    ///
    /// # Errors
    /// [`Kind::Verification`](crate::error::Kind::Verification).
    pub(in crate::stage) fn ensure_wire(&self, config: &TrainConfig) -> Result<()> {
        let checked = require_ok(self.collect_wire(config).into_iter().collect());
        checked.map(drop).map_err(|error| error.hint("ask for a train that is built with a newer wire version"))
    }

    /// The warning where no keys are pinned.
    pub(in crate::stage) fn warnings(&self, config: &TrainConfig) -> Vec<String> {
        if self.trust.is_none() { vec![nobody_vouches(config)] } else { Vec::new() }
    }

    /// The same for those who know the creator's key, since it is their own, or who pass the train on.
    pub(in crate::stage) fn warnings_of_others(&self) -> Vec<String> {
        let text = "the public keys come from the train itself: their owners were not verified against pinned keys";
        if self.trust.is_none() { vec![text.to_owned()] } else { Vec::new() }
    }

    /// Says aloud that no keys are pinned, before a train is opened or run.
    pub(in crate::stage) fn alarm(&self, config: &TrainConfig) {
        for text in self.warnings(config) {
            tracing::warn!(target: UNPINNED, "{}", Printable::new(&text));
        }
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
    /// With `results`: take the owners of the results along, from the image to the directory or back. Only root can give
    /// files to others.
    pub keep_owners: bool,
    /// At pre-run: publish plaintext in a place that others own or may write, too.
    pub shared: bool,
    /// At pre-run of the first station: carry results along that are there already, though nobody vouches for them.
    pub keep_initial_results: bool,
    /// At post-run: take results from another directory than the one that pre-run has made.
    pub moved_results: bool,
    /// At post-run: refuse to sign a stop without results.
    pub require_results: bool,
    /// Digest the results that leave for post-run's report.
    pub digest_results: bool,
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
            keep_owners: false,
            shared: false,
            keep_initial_results: false,
            moved_results: false,
            require_results: false,
            digest_results: false,
            release: None,
        }
    }
}

impl StageRequest<'_> {
    /// The error of a place that cannot be written to, with advice where another one could be named.
    pub(in crate::stage) fn not_writable(&self, error: Error) -> Error {
        let has_advice = self.destination.is_some() || error.kind() != Kind::Io || error.advice().is_some();
        if has_advice { error } else { error.advise(Advice::GiveDestination) }
    }

    /// The same where other things may have failed by then.
    pub(in crate::stage) fn not_writable_there(&self, error: Error) -> Error {
        let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<io::Error>());
        let is_there = cause.is_some_and(|cause| {
            matches!(cause.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
        });
        if is_there { self.not_writable(error) } else { error }
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
