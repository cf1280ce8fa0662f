//! The checks of config and layers that need no key.

use super::config::{Record, V3Config};
use super::content::FilesCheck;
use super::statement::{Signer, key_commitment, record};
use crate::crypto::{PublicKey, StageKey, hex};
use crate::error::{Error, Result};
use crate::train::check::{Check, CheckId, NAMED_BY_CREATOR, Subject};
use crate::train::common::CommonFields;
use crate::train::files::FileMeta;
use crate::train::image::{ImageFacts, LayerFacts};
use crate::train::route::RouteState;
use crate::train::wire::interface::WireConfig;

/// The name of the master image's layers in reports.
pub(super) const BASE: &str = "base layers";
const PAYLOAD: &str = "payload layer";
const ROUTE: &str = "route";

/// Why a base does not fit.
pub(super) const OTHER_BASE: &str = "the image's lowest layers do not have the diff IDs that the creator signed: a base \
                                     layer was changed, added or removed";

/// Layers of an encrypted image above its base: payload and control.
const ABOVE_BASE: usize = 2;

impl V3Config {
    /// The statement, and the creator's signature of it.
    pub(super) fn check_creator(&self, config: &CommonFields) -> Vec<Check> {
        let creator = config.creator();
        let changed = "`hash` is not that of the train's statement: a field that the creator signed was changed, added \
                       or removed";
        let (holds, reason) = match &self.signature {
            None => (false, "not yet signed: the train waits for its creator"),
            Some(signature) => (
                creator.public_key.verify_pss(self.statement.bytes(), signature),
                "`signature` does not verify with the creator's key over the train's statement",
            ),
        };
        let is_stated = self.hash == *self.statement.digest();
        vec![
            Check::of(is_stated, CheckId::Statement, "statement", changed),
            Check::of(holds, CheckId::CreatorSignature, Subject::Creator(creator.id.clone()), reason),
        ]
    }

    /// The builder's digest and signature.
    pub(super) fn check_build(&self) -> Vec<Check> {
        let ids = (CheckId::BuildDigest, CheckId::BuildSignature);
        let mut checks = self.check_record(ids, &Subject::Build, &Signer::Build, &self.builder, &self.build);
        checks.push(Check::sound(CheckId::BuilderKey, Subject::Build).noting(NAMED_BY_CREATOR));
        checks
    }

    /// The order of the route, every digest and signature on it, for whom the key is wrapped, and the times.
    pub(super) fn check_route(&self, config: &CommonFields) -> Vec<Check> {
        let state = match self.route_state(config) {
            Ok(state) => state,
            Err(error) => return vec![Check::broken(CheckId::RouteOrder, ROUTE, error.what())],
        };
        let mut checks = vec![Check::sound(CheckId::RouteOrder, ROUTE), Check::sound(CheckId::RouteBinding, ROUTE)];
        let mut previous = &self.build;
        for (stop, found) in state.signed().iter().zip(self.stops.iter().flatten()) {
            let signer = Signer::Stop { station: &stop.station, index: stop.index, previous: &previous.digest };
            let ids = (CheckId::StopDigest, CheckId::StopSignature);
            checks.extend(self.check_record(ids, &stop.subject(), &signer, &stop.public_key, found));
            previous = found;
        }
        checks.push(check_keys(config, &state));
        let others = "the wrapped keys are not those that the last signer vouches for: one was exchanged on the way";
        let same = self.recipients == previous.vouched.recipients;
        checks.push(Check::of(same, CheckId::Recipients, "wrapped keys", others));
        checks.push(self.check_times(&state));
        checks
    }

    /// A digest that is the one that its place in the train gives, and its signature.
    fn check_record(
        &self,
        (digest_id, signature_id): (CheckId, CheckId),
        subject: &Subject,
        signer: &Signer<'_>,
        key: &PublicKey,
        found: &Record,
    ) -> Vec<Check> {
        let changed = "its digest is not the one that train, stop, earlier digest, payload, keys and time give: it is \
                       from another train or stop, or one of them was changed";
        let message = record(self.wire, &self.hash, signer, &found.vouched);
        let same = message.as_ref().is_ok_and(|message| *message.digest() == found.digest);
        let holds = message.is_ok_and(|message| key.verify_pss(message.bytes(), &found.signature));
        vec![
            Check::of(same, digest_id, subject.clone(), changed),
            Check::of(holds, signature_id, subject.clone(), "its signature does not verify with its key"),
        ]
    }

    /// The texts have one length, so that they compare as the times do.
    fn check_times(&self, state: &RouteState<'_>) -> Check {
        let mut previous = &self.build.vouched.time;
        for (stop, found) in state.signed().iter().zip(self.stops.iter().flatten()) {
            if found.vouched.time < *previous {
                let reason = format!(
                    "made at {}, before its predecessor at {previous}: a clock is wrong, or the record is from another run",
                    found.vouched.time
                );
                return Check::weak(CheckId::Time, stop.subject(), reason);
            }
            previous = &found.vouched.time;
        }
        Check::sound(CheckId::Time, ROUTE)
    }

    pub(super) fn has_base(&self, image: &ImageFacts) -> bool {
        let same = |(signed, found): (&LayerFacts, &LayerFacts)| signed.diff_id == found.diff_id;
        image.layers.len() >= self.base_layers.len() && self.base_layers.iter().zip(&image.layers).all(same)
    }

    /// The base layers, and above them the payload that the last signature vouches for and the control layer.
    pub(super) fn check_layers(&self, image: &ImageFacts) -> Vec<Check> {
        if !self.has_base(image) {
            return vec![Check::broken(CheckId::Base, BASE, OTHER_BASE)];
        }
        let (base, above) = image.layers.split_at(self.base_layers.len());
        let lying =
            |(signed, found): &(&LayerFacts, &LayerFacts)| signed.digest == found.digest && signed.size != found.size;
        let base = match self.base_layers.iter().zip(base).find(lying) {
            None => Check::sound(CheckId::Base, BASE),
            Some((signed, found)) => {
                let reason = format!("{} has {} bytes, but {} are signed", found.digest, found.size, signed.size);
                Check::broken(CheckId::Base, BASE, reason)
            }
        };
        let expected = &self.last().vouched.payload;
        let reason = match above {
            [payload, _] if payload.diff_id == *expected => None,
            [payload, _] => Some(format!(
                "its diff ID is {}, but {expected} is signed: results or files were changed",
                payload.diff_id
            )),
            _ => Some(format!("{} layers lie above the base, but a train has {ABOVE_BASE}", above.len())),
        };
        let payload = match reason {
            None => Check::sound(CheckId::Payload, PAYLOAD),
            Some(reason) => Check::broken(CheckId::Payload, PAYLOAD, reason),
        };
        vec![base, payload]
    }

    /// The image config against the signed one.
    pub(super) fn check_image(&self, image: &ImageFacts) -> Check {
        match self.image.difference(image) {
            None => Check::sound(CheckId::ImageConfig, "image config"),
            Some(reason) => Check::broken(CheckId::ImageConfig, "image config", reason),
        }
    }

    /// The visible part of a closed train's files: names, modes and sizes. The payload's signature covers the contents.
    pub(super) fn check_closed(&self, files: &[FileMeta]) -> Vec<Check> {
        const SUBJECT: &str = "names, modes and sizes of the immutable files";
        vec![match FilesCheck::new(self, files) {
            Ok(_) => Check::sound(CheckId::ImmutableFiles, SUBJECT),
            Err(error) => Check::broken(CheckId::ImmutableFiles, SUBJECT, error.to_string()),
        }]
    }

    /// The key is the one that the last signature commits to.
    pub(super) fn ensure_committed(&self, config: &CommonFields, stage_key: &StageKey) -> Result<()> {
        let expected = self.last().vouched.key_commitment;
        let found = key_commitment(self.wire, stage_key, config.session_id())?;
        if found == expected {
            return Ok(());
        }
        let (found, expected) = (hex::encode(&found[..8]), hex::encode(&expected[..8]));
        let what = format!(
            "its encrypted_key holds another key than the stage's: its commitment is {found}..., but {expected}... is \
             signed"
        );
        Err(Error::verification(what))
    }
}

/// The holders of wrapped keys: the stop whose turn it is and the creator, and nobody else.
fn check_keys(config: &CommonFields, state: &RouteState<'_>) -> Check {
    let next = state.next().map(|stop| stop.index);
    let extra = |stop: &&crate::train::Stop| stop.encrypted_key.is_some() && Some(stop.index) != next;
    match config.route().stops().iter().find(extra) {
        None => Check::sound(CheckId::KeyRecipients, ROUTE),
        Some(stop) => {
            let reason = "a key is wrapped for it, but it is not its turn: it could read what is not meant for it";
            Check::broken(CheckId::KeyRecipients, stop.subject(), reason)
        }
    }
}
