//! Signing and key wrapping: the config after a build, and after a station's run.

use super::config::{V3Config, is_layer_digest};
use super::content::Digests;
use super::statement::{BUILDER, Signer, digest, key_commitment, statement_hash};
use crate::crypto::{PrivateKey, StageKey, hex};
use crate::error::{Error, Result};
use crate::json::{Value, json};
use crate::path::walk_order;
use crate::train::config::TrainConfig;
use crate::train::draft::{Draft, key_hex};
use crate::train::files::FileMeta;
use crate::train::keys::ensure_key_of;
use crate::train::route::StageKind;
use crate::train::wire::patch::{creator_of, internal, object, put, sorted_route_of, wrap};
use crate::train::wire::{BuildSeal, ContentFeed, DraftFeed, HasFeed, Produced, SignedDraft, StopSeal, Wire};

/// The networks that the specification knows.
const ECO_SYSTEMS: [&str; 2] = ["tue", "padme"];

/// Signs for a station; then the stage's key is wrapped for the next stop and for the creator and for nobody else.
pub(super) fn stop(config: &mut TrainConfig, seal: &StopSeal<'_>) -> Result<()> {
    let stop = config.route().stop(seal.index)?;
    config.route_state()?.ensure_turn(stop, StageKind::PostRun)?;
    ensure_key_of(config, stop, seal.key)?;
    let form = V3Config::read(config)?;
    let station = stop.station.to_json();
    let signer = Signer { station: &station, index: i64::try_from(stop.index).unwrap_or(i64::MAX) };
    let parts = Parts { seal_key: seal.stage_key, session_id: config.session_id(), produced: seal.produced };
    let record = parts.record(&config.statement().hash, &signer, Some(&form.last().digest), seal.key)?;
    let next = config.route().stops().get(seal.index + 1);
    let for_next = next.map(|next| wrap(&next.public_key, seal.stage_key)).transpose()?;
    let for_creator = wrap(&config.creator().public_key, seal.stage_key)?;
    config.edit(|raw| {
        put(creator_of(raw)?, "encrypted_key", for_creator);
        let route = sorted_route_of(raw)?;
        for entry in route.iter_mut() {
            object(entry)?.shift_remove("encrypted_key");
        }
        let mut place = |index: usize, key, value| match route.get_mut(index) {
            Some(entry) => object(entry).map(|entry| put(entry, key, value)),
            None => Err(internal("the route has changed")),
        };
        place(seal.index, "signature", record)?;
        for_next.map_or(Ok(()), |key| place(seal.index + 1, "encrypted_key", key.into()))
    })
}

/// What a stage vouches for.
struct Parts<'a> {
    seal_key: &'a StageKey,
    session_id: &'a [u8],
    produced: &'a Produced,
}

impl Parts<'_> {
    /// The record that is signed for a build or a stop.
    fn record(
        &self,
        statement: &[u8; 64],
        signer: &Signer<'_>,
        previous: Option<&[u8; 64]>,
        key: &PrivateKey,
    ) -> Result<Value> {
        let payload = self.produced.payload.as_deref().filter(|payload| is_layer_digest(payload));
        let payload = payload.ok_or_else(|| internal("there is no payload layer to sign"))?;
        let commitment = key_commitment(self.seal_key, self.session_id)?;
        let digest = digest(statement, signer, previous, payload, &commitment)?;
        Ok(json!({
            "payload": payload,
            "key_commitment": hex::encode(&commitment),
            "digest": hex::encode(&digest),
            "signature": hex::encode(&key.sign_pss_prehashed(&digest)?),
        }))
    }
}

/// A new train: digests the immutable files, then the creator signs.
pub(super) struct AuthenticatedDraft {
    draft: Draft,
    /// The files in walk order: path and mode.
    files: Vec<(String, u32)>,
    digests: Digests,
}

impl AuthenticatedDraft {
    pub(super) fn new(draft: Draft, files: &[FileMeta]) -> Result<Self> {
        draft.check(&ECO_SYSTEMS)?;
        if files.is_empty() {
            return Err(Error::usage("a train needs at least one file"));
        }
        if let Some(chain) = draft.base_chain.as_deref().filter(|chain| !is_layer_digest(chain)) {
            return Err(Error::usage(format!("the base's chain ID is {chain}; this wire version has SHA-256 only")));
        }
        let mut order: Vec<usize> = (0..files.len()).collect();
        order.sort_by(|&a, &b| walk_order(&files[a].path, &files[b].path));
        let named = |&index: &usize| match str::from_utf8(&files[index].path) {
            Ok(path) => Ok((path.to_owned(), files[index].mode)),
            Err(_) => Err(Error::usage(format!("the file name `{}` is not UTF-8", files[index].path.escape_ascii()))),
        };
        let files = order.iter().map(named).collect::<Result<_>>()?;
        Ok(AuthenticatedDraft { draft, files, digests: Digests::new(order) })
    }
}

impl HasFeed for AuthenticatedDraft {
    fn feed(&mut self) -> &mut dyn ContentFeed {
        &mut self.digests
    }
}

impl DraftFeed for AuthenticatedDraft {
    fn finish(self: Box<Self>, creator: &PrivateKey) -> Result<SignedDraft> {
        if creator.public_key() != self.draft.creator_key {
            return Err(Error::key("this private key is not the creator's"));
        }
        let digests = self.digests.finish()?;
        let file_list: Vec<String> = self.files.iter().map(|(path, _)| path.clone()).collect();
        let mut config = self.draft.to_object(&file_list);
        config.shift_insert(0, "wire".to_owned(), super::V3.name().into());
        let files = self.files.iter().zip(digests).map(|((path, mode), (sha512, size))| {
            json!({"path": path, "mode": mode, "size": size, "sha512": hex::encode(&sha512)})
        });
        put(&mut config, "files", files.collect::<Value>());
        put(&mut config, "base_chain", self.draft.base_chain.clone());
        let hash = statement_hash(&config).map_err(|error| Error::usage(error.to_string()))?;
        let signature = creator.sign_pss_prehashed(&hash)?;
        put(&mut config, "hash", hex::encode(&hash));
        put(&mut config, "signature", hex::encode(&signature));
        Ok(SignedDraft { draft: self.draft, config, hash, signature })
    }
}

/// Signs for the builder, and wraps the key for the first station and for the creator.
pub(super) fn build(signed: SignedDraft, seal: &BuildSeal<'_>) -> Result<TrainConfig> {
    let SignedDraft { draft, mut config, hash, .. } = signed;
    let missing = || Error::usage("a train of wire version 3 needs a builder's key");
    let builder = seal.builder.ok_or_else(missing)?;
    let stage_key = seal.stage_key.ok_or_else(|| internal("the train was not encrypted"))?;
    let parts = Parts { seal_key: stage_key, session_id: &draft.session_id, produced: seal.produced };
    let mut build = parts.record(&hash, &BUILDER, None, builder)?;
    object(&mut build)?.shift_insert(0, "rsa_public_key".to_owned(), key_hex(&builder.public_key()).into());
    put(&mut config, "build", build);
    put(creator_of(&mut config)?, "encrypted_key", wrap(&draft.creator_key, stage_key)?);
    let first = draft.route.first().ok_or_else(|| internal("the route is empty"))?;
    let entry = sorted_route_of(&mut config)?.first_mut().ok_or_else(|| internal("the route is empty"))?;
    put(object(entry)?, "encrypted_key", wrap(&first.public_key, stage_key)?);
    TrainConfig::from_object(config)
}
