//! The checks of the config alone: the creator's, the builder's and the stations' signatures.

use super::config::ClassicConfig;
use super::content::short;
use super::version::Scheme;
use crate::crypto::Sha512;
use crate::train::check::{Check, CheckId, Subject};
use crate::train::common::CommonFields;
use crate::train::files::{FileMeta, hash_order};
use crate::train::route::{RouteState, Stop, StopSignature};
use crate::train::wire::interface::WireConfig;

/// The name in reports of the files under `pht_train`.
const IMMUTABLE: &str = "immutable files";

/// The length that the protocol gives the session id, in bytes.
const SESSION_ID_LENGTH: usize = 64;

/// The creator's signature of the immutable hash.
pub(super) fn creator(own: &ClassicConfig, config: &CommonFields) -> Vec<Check> {
    let creator = config.creator();
    let subject = Subject::Creator(creator.id.clone());
    let holds = own.wire.creator_scheme.verify(&creator.public_key, &own.hash, &own.signature);
    let field = own.wire.fields.signature;
    let reason = format!("{field} does not verify with the creator's key over {}", short(&own.hash));
    let mut checks = vec![Check::of(holds, CheckId::CreatorSignature, subject, reason)];
    let length = config.session_id().len();
    if may_end_document(config.session_id()) {
        let reason = "is text that could end a document of another wire version, not random: a station that signs results \
                      of this train may sign that document";
        checks.push(Check::broken(CheckId::SessionId, "session id", reason));
    } else if length != SESSION_ID_LENGTH {
        let reason = format!("has {length} bytes; the protocol has {SESSION_ID_LENGTH}");
        checks.push(Check::weak(CheckId::SessionId, "session id", reason));
    }
    checks
}

/// Whether a session id could be the end of a JSON document.
///
/// A station signs SHA-512 of results and session id, both of which a train can choose. If they were the document whose
/// digest a stop signs in another wire version, the signature would be good there, for whoever uses one key in both. Such
/// a document ends in printable text and `}`; a random session id never does.
pub(super) fn may_end_document(session_id: &[u8]) -> bool {
    let is_text = session_id.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
    is_text && session_id.ends_with(b"}")
}

/// The builder's signature, over the immutable hash and the creator's signature of it.
pub(super) fn build(own: &ClassicConfig) -> Vec<Check> {
    let Some(build) = own.build.as_ref().filter(|_| own.wire.has_build) else { return Vec::new() };
    let message = build_message(&own.hash, &own.signature);
    let holds = build.public_key.verify_pkcs1v15(&message, &build.signature);
    vec![
        Check::of(
            holds,
            CheckId::BuildSignature,
            Subject::Build,
            "build.signature does not verify with build.rsa_public_key",
        ),
        Check::weak(
            CheckId::BuilderKey,
            Subject::Build,
            "the builder's key comes from the train itself; nobody vouches for it",
        ),
    ]
}

/// The visible part of a closed train's files. If they travel encrypted, only a station can hash their contents.
pub(super) fn closed(own: &ClassicConfig, config: &CommonFields, files: &[FileMeta]) -> Vec<Check> {
    let mut checks = Vec::new();
    if own.wire.encrypts_train {
        let paths: Vec<&[u8]> = files.iter().map(|file| file.path.as_slice()).collect();
        let reason = "encrypted, so that only a station or the creator can check them";
        checks.push(match hash_order(config.file_list(), &paths, own.wire.query) {
            Ok(_) => Check::weak(CheckId::ImmutableHash, IMMUTABLE, reason),
            Err(error) => Check::broken(CheckId::ImmutableHash, IMMUTABLE, error.to_string()),
        });
    }
    if own.result_hash.is_some() {
        let reason = "encrypted, so that only a station or the creator can check them";
        checks.push(Check::weak(CheckId::ResultHash, "results", reason));
    }
    checks
}

/// The order of the route, and every signature on it.
pub(super) fn route(own: &ClassicConfig, config: &CommonFields) -> Vec<Check> {
    let route_state = match own.route_state(config) {
        Ok(route_state) => route_state,
        Err(error) => return vec![Check::broken(CheckId::RouteOrder, "route", error.what())],
    };
    let unsigned = "no signature covers the stations and keys of the route in this wire version";
    let mut checks =
        vec![Check::sound(CheckId::RouteOrder, "route"), Check::weak(CheckId::RouteBinding, "route", unsigned)];
    for stop in route_state.signed() {
        checks.extend(stop.signature.as_ref().map(|signature| stop_signature(stop, signature)));
    }
    checks.extend(digests(own, config, &route_state));
    checks
}

fn stop_signature(stop: &Stop, signature: &StopSignature) -> Check {
    let holds = stop.public_key.verify_pss_prehashed(&signature.digest, &signature.signature);
    let reason = "its route signature does not verify with its key over its digest";
    Check::of(holds, CheckId::StopSignature, stop.subject(), reason)
}

/// The reference never recomputes a digest, so that one from another train passes there.
fn digests(own: &ClassicConfig, config: &CommonFields, route_state: &RouteState<'_>) -> Vec<Check> {
    let (Some((last, older)), Some(result_hash)) = (route_state.signed().split_last(), &own.result_hash) else {
        return Vec::new();
    };
    let gone = "cannot be recomputed: the result hash in it was replaced by a later station, whose own digest covers \
                this one";
    let mut checks: Vec<Check> =
        older.iter().map(|stop| Check::weak(CheckId::OlderDigest, stop.subject(), gone)).collect();
    let expected = stop_digest(config.session_id(), older, result_hash);
    let found = last.signature.as_ref().map(|signature| signature.digest);
    let reason = "its digest is not the one that session id, earlier digests and result_hash give: it is from another \
                  train, or one of them was changed";
    checks.push(Check::of(found == Some(expected), CheckId::LastDigest, last.subject(), reason));
    let signature = own.result_signature.as_deref().unwrap_or_default();
    let holds = Scheme::PssPrehashed.verify(&last.public_key, result_hash, signature);
    let reason = "result_signature does not verify with its key over result_hash";
    checks.push(Check::of(holds, CheckId::ResultSignature, last.subject(), reason));
    checks
}

/// The digest that a station signs on the route (train security protocol, route signature); `earlier` have all signed.
pub(super) fn stop_digest(session_id: &[u8], earlier: &[Stop], result_hash: &[u8; 64]) -> [u8; 64] {
    let mut sha512 = Sha512::new();
    if earlier.is_empty() {
        sha512.update(session_id);
    }
    for signature in earlier.iter().filter_map(|stop| stop.signature.as_ref()) {
        sha512.update(&signature.digest);
    }
    sha512.update(result_hash);
    sha512.finish()
}

/// The message that the builder signs: the immutable hash, then the creator's signature.
pub(super) fn build_message(hash: &[u8; 64], signature: &[u8]) -> Vec<u8> {
    [hash, signature].concat()
}
