//! Signing and key wrapping: the config after a build, and after a station's run.

use super::collect::{build_message, may_end_document, stop_digest};
use super::config::ClassicConfig;
use super::content::ImmutableFeed;
use super::version::Classic;
use crate::crypto::{PrivateKey, StageKey, hex};
use crate::error::{Advice, Error, Result};
use crate::json::{Object, Value, json};
use crate::path::walk_order;
use crate::train::common::CommonFields;
use crate::train::draft::{Draft, key_hex};
use crate::train::files::{FileMeta, QUERY, QueryRule, hash_order};
use crate::train::keys::ensure_key_of;
use crate::train::route::{StageKind, Stop};
use crate::train::wire::interface::{BuildSeal, ContentFeed, DraftFeed, HasFeed, SignedDraft, StopSeal, WireConfig};
use crate::train::wire::patch::{creator_of, internal, object, put, route_of, sorted_route_of, wrap};

/// Signs for a station: result hash, result signature and route signature; then the stage's key is wrapped for every
/// stop and for the creator, and the route is sorted.
pub(super) fn stop(own: &ClassicConfig, config: &CommonFields, seal: &StopSeal<'_>) -> Result<Object> {
    let route_state = own.route_state(config)?;
    let stop = config.route().stop(seal.index)?;
    route_state.ensure_turn(stop, StageKind::PostRun)?;
    ensure_key_of(config, stop, seal.key)?;
    ensure_is_no_document(config.session_id())?;
    let result_hash = seal.produced.result_hash.ok_or_else(|| internal("the results were not hashed"))?;
    let digest = stop_digest(config.session_id(), route_state.signed(), &result_hash);
    let result_signature = seal.key.sign_pss_prehashed(&result_hash)?;
    let signature = json!({
        "digest": hex::encode(&digest),
        "signature": hex::encode(&seal.key.sign_pss_prehashed(&digest)?),
    });
    let wrapped = wrap_for_stops(config.route().stops(), seal.stage_key)?;
    let wrapped_for_creator = wrap(&config.creator().public_key, seal.stage_key)?;
    let mut raw = config.raw().clone();
    put(&mut raw, "result_hash", hex::encode(&result_hash));
    put(&mut raw, "result_signature", hex::encode(&result_signature));
    put(creator_of(&mut raw)?, "encrypted_key", wrapped_for_creator);
    let route = sorted_route_of(&mut raw)?;
    for (entry, key) in route.iter_mut().zip(wrapped) {
        put(object(entry)?, "encrypted_key", key);
    }
    let entry = route.get_mut(seal.index).ok_or_else(|| internal("the route has changed"))?;
    put(object(entry)?, "signature", signature);
    Ok(raw)
}

/// Refuses a session id that could be the end of a JSON document. Every stage has checked it before, so that no train runs
/// for nothing; but nothing is signed without a look.
fn ensure_is_no_document(session_id: &[u8]) -> Result<()> {
    if may_end_document(session_id) {
        let what = "the session id is text that could end a document of another wire version, not random";
        return Err(Error::verification(what).hint("do not sign for this train; ask its creator").at("session_id"));
    }
    Ok(())
}

/// A new train: hashes the immutable files, then the creator signs.
pub(super) struct ClassicDraft {
    wire: &'static Classic,
    draft: Draft,
    file_list: Vec<String>,
    feed: ImmutableFeed,
}

impl ClassicDraft {
    pub(super) fn new(wire: &'static Classic, draft: Draft, files: &[FileMeta]) -> Result<Self> {
        draft.check(wire.eco_systems)?;
        let file_list = list_files(files, wire.query)?;
        let paths: Vec<&[u8]> = files.iter().map(|file| file.path.as_slice()).collect();
        let order = hash_order(&file_list, &paths, wire.query)?;
        let feed = ImmutableFeed::new(&draft.creator, &draft.session_id, order);
        Ok(ClassicDraft { wire, draft, file_list, feed })
    }
}

impl HasFeed for ClassicDraft {
    fn feed(&mut self) -> &mut dyn ContentFeed {
        &mut self.feed
    }
}

impl DraftFeed for ClassicDraft {
    fn finish(self: Box<Self>, creator: &PrivateKey) -> Result<SignedDraft> {
        if creator.public_key() != self.draft.creator_key {
            return Err(Error::key("this private key is not the creator's"));
        }
        let hash = self.feed.finish()?;
        let signature = self.wire.creator_scheme.sign(creator, &hash)?;
        let mut config = self.draft.to_object(&self.file_list);
        put(&mut config, self.wire.fields.hash, hex::encode(&hash));
        put(&mut config, self.wire.fields.signature, hex::encode(&signature));
        Ok(SignedDraft { draft: self.draft, config, hash, signature })
    }
}

fn no_builder(wire: &str) -> Error {
    Error::usage(format!("a train of wire version {wire} needs a builder's key")).advise(Advice::GiveBuilderKey)
}

/// Signs for the builder, where the version has one, and wraps the key for the first station, where there is one yet.
pub(super) fn build(wire: &Classic, signed: SignedDraft, seal: &BuildSeal<'_>) -> Result<Object> {
    let SignedDraft { draft, mut config, hash, signature } = signed;
    if wire.has_build {
        let missing = || no_builder(wire.name);
        let builder = seal.builder.ok_or_else(missing)?;
        let signature = builder.sign_pkcs1v15(&build_message(&hash, &signature))?;
        let build = json!({"signature": hex::encode(&signature), "rsa_public_key": key_hex(&builder.public_key())});
        put(&mut config, "build", build);
    }
    put(&mut config, "result_hash", Value::Null);
    put(&mut config, "result_signature", Value::Null);
    if wire.encrypts_train {
        let stage_key = seal.stage_key.ok_or_else(|| internal("the train was not encrypted"))?;
        let first = draft.route.first().ok_or_else(|| internal("the route is empty"))?;
        let wrapped = wrap(&first.public_key, stage_key)?;
        let entry = route_of(&mut config)?.first_mut().ok_or_else(|| internal("the route is empty"))?;
        put(object(entry)?, "encrypted_key", wrapped);
    }
    Ok(config)
}

/// The `file_list` of a new train: in walk order, the query last where it is listed.
fn list_files(files: &[FileMeta], rule: QueryRule) -> Result<Vec<String>> {
    let mut paths: Vec<&[u8]> = files.iter().map(|file| file.path.as_slice()).collect();
    paths.sort_by(|a, b| walk_order(a, b));
    let query = paths.iter().position(|path| *path == QUERY.as_bytes()).map(|position| paths.remove(position));
    if paths.is_empty() {
        return Err(Error::usage(format!("a train needs at least one file besides {QUERY}")));
    }
    paths.extend(query.filter(|_| rule == QueryRule::Listed));
    let text = |path: &[u8]| match str::from_utf8(path) {
        Ok(path) => Ok(path.to_owned()),
        Err(_) => Err(Error::usage(format!("the file name `{}` is not UTF-8", path.escape_ascii()))),
    };
    paths.into_iter().map(text).collect()
}

fn wrap_for_stops(stops: &[Stop], stage_key: &StageKey) -> Result<Vec<String>> {
    stops.iter().map(|stop| wrap(&stop.public_key, stage_key)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn signs_nothing_that_another_wire_version_would_take() {
        let end_of_document = format!("{}\"}}", "a".repeat(62));
        for session_id in [end_of_document.as_bytes(), b"}"] {
            assert_eq!(ensure_is_no_document(session_id).unwrap_err().kind(), Kind::Verification);
        }
        for session_id in [&[0x80; 64][..], b"session", b"\x00}"] {
            ensure_is_no_document(session_id).unwrap();
        }
    }
}
