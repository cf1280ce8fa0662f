//! What config and layers prove without any key.

use super::config::{Record, V3Config};
use super::content::FilesCheck;
use super::statement::{BUILDER, Signer, digest, key_commitment, statement_hash};
use crate::crypto::{PublicKey, StageKey, hex};
use crate::error::{Error, Result};
use crate::train::check::{Check, id};
use crate::train::config::TrainConfig;
use crate::train::files::FileMeta;
use crate::train::route::RouteState;
use crate::train::wire::Layers;

/// How reports call the layers of the master image.
pub(super) const BASE: &str = "base layers";

/// Why a base does not fit.
pub(super) const OTHER_BASE: &str = "no stack of the image's lowest layers has the chain ID that the creator signed: a \
                                     base layer was changed, added or removed";

/// Layers of an encrypted image above its base: payload and control.
const ABOVE_BASE: usize = 2;

/// The statement, and the creator's signature of it.
pub(super) fn creator(config: &TrainConfig) -> Vec<Check> {
    let creator = config.creator();
    let (subject, signed) = (format!("creator `{}`", creator.id), config.statement());
    let expected = statement_hash(config.raw());
    let changed = "`hash` is not that of the train's statement: its id, proposal, session, creator, route, files or base \
                   was changed";
    let holds = creator.public_key.verify_pss_prehashed(&signed.hash, &signed.signature);
    let reason = "`signature` does not verify with the creator's key over `hash`";
    vec![
        Check::of(expected.is_ok_and(|hash| hash == signed.hash), id::STATEMENT, "statement", changed),
        Check::of(holds, id::CREATOR_SIGNATURE, subject, reason),
    ]
}

/// The builder's digest and signature.
pub(super) fn build(config: &TrainConfig) -> Vec<Check> {
    let (Ok(form), Some(build)) = (V3Config::read(config), config.build()) else {
        return vec![Check::broken(id::BUILD_SIGNATURE, "build", "there is no build")];
    };
    let own = "the builder's key comes from the train itself; nobody vouches for it";
    let mut checks = record(config, "build", &BUILDER, &build.public_key, None, &form.build);
    checks.push(Check::weak(id::BUILDER_KEY, "build", own));
    checks
}

/// The order of the route, every digest and signature on it, and for whom the key is wrapped.
pub(super) fn route(config: &TrainConfig) -> Vec<Check> {
    let route_state = match config.route_state() {
        Ok(route_state) => route_state,
        Err(error) => return vec![Check::broken(id::ROUTE_ORDER, "route", error.what())],
    };
    let Ok(form) = V3Config::read(config) else {
        return vec![Check::broken(id::ROUTE_ORDER, "route", "a signature has no digest")];
    };
    let mut checks = vec![Check::sound(id::ROUTE_ORDER, "route"), Check::sound(id::ROUTE_BINDING, "route")];
    let mut previous = form.build.digest;
    for (stop, found) in route_state.signed().iter().zip(form.stops.iter().flatten()) {
        let station = stop.station.to_json();
        let signer = Signer { station: &station, index: i64::try_from(stop.index).unwrap_or(i64::MAX) };
        checks.extend(record(config, &stop.subject(), &signer, &stop.public_key, Some(&previous), found));
        previous = found.digest;
    }
    checks.push(recipients(config, &route_state));
    checks
}

/// A digest that is the one that its place in the train gives, and its signature.
#[allow(clippy::too_many_arguments, reason = "each is one of the things that the digest is made of")]
fn record(
    config: &TrainConfig,
    subject: &str,
    signer: &Signer<'_>,
    key: &PublicKey,
    previous: Option<&[u8; 64]>,
    found: &Record,
) -> Vec<Check> {
    let expected = digest(&config.statement().hash, signer, previous, &found.payload, &found.key_commitment);
    let changed = "its digest is not the one that train, stop, earlier digests, payload and key give: it is from another \
                   train or stop, or one of them was changed";
    let holds = key.verify_pss_prehashed(&found.digest, &found.signature);
    let is_build = signer.index < 0;
    let (digest_id, signature_id) =
        if is_build { (id::BUILD_DIGEST, id::BUILD_SIGNATURE) } else { (id::STOP_DIGEST, id::STOP_SIGNATURE) };
    vec![
        Check::of(expected.is_ok_and(|digest| digest == found.digest), digest_id, subject, changed),
        Check::of(holds, signature_id, subject, "its signature does not verify with its key over its digest"),
    ]
}

/// Who has a wrapped key: the stop whose turn it is and the creator, and nobody else.
fn recipients(config: &TrainConfig, route_state: &RouteState<'_>) -> Check {
    let next = route_state.next().map(|stop| stop.index);
    let extra = |stop: &&crate::train::Stop| stop.encrypted_key.is_some() && Some(stop.index) != next;
    match config.route().stops().iter().find(extra) {
        None => Check::sound(id::KEY_RECIPIENTS, "route"),
        Some(stop) => {
            let reason = "a key is wrapped for it, but it is not its turn: it could read what is not meant for it";
            Check::broken(id::KEY_RECIPIENTS, stop.subject(), reason)
        }
    }
}

/// The base layers, and above them the payload that the last signature vouches for and the control layer.
pub(super) fn layers(config: &TrainConfig, layers: &Layers) -> Vec<Check> {
    let Ok(form) = V3Config::read(config) else {
        return vec![Check::broken(id::BASE_CHAIN, BASE, "the config names no base")];
    };
    let Some(base) = find_base(form.base_chain.as_deref(), layers) else {
        return vec![Check::broken(id::BASE_CHAIN, BASE, OTHER_BASE)];
    };
    let above = &layers.diff_ids[base..];
    let expected = &form.last().payload;
    let reason = match above {
        [payload, _] if payload == expected => None,
        [payload, _] => {
            Some(format!("its diff ID is {payload}, but {expected} is signed: results or files were changed"))
        }
        _ => Some(format!("{} layers lie above the base, but a train has {ABOVE_BASE}", above.len())),
    };
    let payload = match reason {
        None => Check::sound(id::PAYLOAD, "payload layer"),
        Some(reason) => Check::broken(id::PAYLOAD, "payload layer", reason),
    };
    vec![Check::sound(id::BASE_CHAIN, BASE), payload]
}

/// What a closed train shows of its files: names, modes and sizes. The contents are under the payload's signature.
pub(super) fn closed(config: &TrainConfig, files: &[FileMeta]) -> Vec<Check> {
    const SUBJECT: &str = "names, modes and sizes of the immutable files";
    vec![match FilesCheck::new(config, files) {
        Ok(_) => Check::sound(id::IMMUTABLE_FILES, SUBJECT),
        Err(error) => Check::broken(id::IMMUTABLE_FILES, SUBJECT, error.to_string()),
    }]
}

/// How many of the lowest layers have this chain ID.
pub(super) fn find_base(base_chain: Option<&str>, layers: &Layers) -> Option<usize> {
    match base_chain {
        None => Some(0),
        Some(chain) => layers.chain_ids.iter().position(|found| found == chain).map(|position| position + 1),
    }
}

/// The key is the one that the last signature commits to.
pub(super) fn stage_key(config: &TrainConfig, stage_key: &StageKey) -> Result<()> {
    let (expected, found) =
        (V3Config::read(config)?.last().key_commitment, key_commitment(stage_key, config.session_id())?);
    if found == expected {
        return Ok(());
    }
    let (found, expected) = (hex::encode(&found[..8]), hex::encode(&expected[..8]));
    let what = format!(
        "its encrypted_key holds another key than the stage's: its commitment is {found}..., but {expected}... is signed"
    );
    Err(Error::verification(what))
}
