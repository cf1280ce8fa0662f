//! Signing and key wrapping: the config after a build, and after a station's run.

use super::config::{V3Config, is_layer_digest};
use super::content::Digests;
use super::statement::{Message, Signer, Vouched, key_commitment, recipients, record, statement, time_text};
use super::version::Authenticated;
use crate::crypto::{PrivateKey, StageKey, hex};
use crate::error::{Advice, Error, Result};
use crate::json::{Object, Value, json};
use crate::path::walk_order;
use crate::train::common::CommonFields;
use crate::train::draft::{Draft, key_hex};
use crate::train::files::{FileMeta, show};
use crate::train::image::LayerFacts;
use crate::train::keys::ensure_key_of;
use crate::train::route::StageKind;
use crate::train::wire::interface::{
    BuildSeal, ContentFeed, DraftFeed, HasFeed, Produced, SignedDraft, StopSeal, WireConfig,
};
use crate::train::wire::patch::{creator_of, internal, object, put, sorted_route_of, wrap};

/// Signs for a station; then the stage's key is wrapped for the next stop and for the creator and for nobody else.
pub(super) fn stop(v3: &V3Config, config: &CommonFields, seal: &StopSeal<'_>) -> Result<Object> {
    let stop = config.route().stop(seal.index)?;
    v3.route_state(config)?.ensure_turn(stop, StageKind::PostRun)?;
    ensure_key_of(config, stop, seal.key)?;
    let next = config.route().stops().get(seal.index + 1);
    let for_next = next.map(|next| wrap(&next.public_key, seal.stage_key)).transpose()?;
    let for_creator = wrap(&config.creator().public_key, seal.stage_key)?;
    let work = Work { wire: v3.wire, stage_key: seal.stage_key, session_id: config.session_id(), now: seal.now };
    let vouched = work.vouched(seal.produced, &for_creator, for_next.as_deref())?;
    let signer = Signer::Stop { station: &stop.station, index: stop.index, previous: &v3.last().digest };
    let signature = signed_record(&record(v3.wire, &v3.hash, &signer, &vouched)?, &vouched, seal.key)?;
    let mut raw = config.raw().clone();
    put(creator_of(&mut raw)?, "encrypted_key", for_creator);
    let route = sorted_route_of(&mut raw)?;
    for entry in route.iter_mut() {
        object(entry)?.shift_remove("encrypted_key");
    }
    let mut place = |index: usize, key, value| match route.get_mut(index) {
        Some(entry) => object(entry).map(|entry| put(entry, key, value)),
        None => Err(internal("the route has changed")),
    };
    place(seal.index, "signature", signature)?;
    for_next.map_or(Ok(()), |key| place(seal.index + 1, "encrypted_key", key.into()))?;
    Ok(raw)
}

/// The work of a stage, without its products.
struct Work<'a> {
    wire: &'a Authenticated,
    stage_key: &'a StageKey,
    session_id: &'a [u8],
    now: i64,
}

impl Work<'_> {
    fn vouched(&self, produced: &Produced, for_creator: &str, for_next: Option<&str>) -> Result<Vouched> {
        let payload = produced.payload.as_deref().filter(|payload| is_layer_digest(payload));
        Ok(Vouched {
            payload: payload.ok_or_else(|| internal("there is no payload layer to sign"))?.to_owned(),
            key_commitment: key_commitment(self.wire, self.stage_key, self.session_id)?,
            recipients: recipients(for_creator, for_next)?,
            time: time_text(self.now)?,
        })
    }
}

/// The record of a build or a stop as configs hold it.
fn signed_record(message: &Message, vouched: &Vouched, key: &PrivateKey) -> Result<Value> {
    Ok(json!({
        "payload": vouched.payload,
        "key_commitment": hex::encode(&vouched.key_commitment),
        "recipients": hex::encode(&vouched.recipients),
        "time": vouched.time,
        "digest": hex::encode(message.digest()),
        "signature": hex::encode(&key.sign_pss(message.bytes())?),
    }))
}

/// A new train: digests the immutable files, then the creator signs.
pub(super) struct AuthenticatedDraft {
    wire: &'static Authenticated,
    draft: Draft,
    /// The files in walk order: path and mode.
    files: Vec<(String, u32)>,
    digests: Digests,
}

fn no_builder(wire: &str) -> Error {
    Error::usage(format!("a train of wire version {wire} needs a builder's key")).advise(Advice::GiveBuilderKey)
}

impl AuthenticatedDraft {
    pub(super) fn new(wire: &'static Authenticated, draft: Draft, files: &[FileMeta]) -> Result<Self> {
        draft.check(wire.eco_systems)?;
        if files.is_empty() {
            return Err(Error::usage("a train needs at least one file"));
        }
        if draft.builder_key.is_none() {
            return Err(no_builder(wire.name));
        }
        let other = |layer: &&LayerFacts| !is_layer_digest(&layer.diff_id) || !is_layer_digest(&layer.digest);
        if let Some(layer) = draft.base_layers.iter().find(other) {
            let what =
                format!("a layer of the base has the digest {}; this wire version has SHA-256 only", layer.digest);
            return Err(Error::usage(what));
        }
        if let Some(file) = files.iter().find(|file| file.mode > 0o777) {
            let what = format!(
                "`{}` has mode {:04o}; a train has neither set-ID nor sticky bits",
                show(&file.path),
                file.mode
            );
            return Err(Error::usage(what));
        }
        let mut order: Vec<usize> = (0..files.len()).collect();
        order.sort_by(|&a, &b| walk_order(&files[a].path, &files[b].path));
        let named = |&index: &usize| match str::from_utf8(&files[index].path) {
            Ok(path) => Ok((path.to_owned(), files[index].mode)),
            Err(_) => Err(Error::usage(format!("the file name `{}` is not UTF-8", files[index].path.escape_ascii()))),
        };
        let files = order.iter().map(named).collect::<Result<_>>()?;
        Ok(AuthenticatedDraft { wire, draft, files, digests: Digests::new(order) })
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
        config.shift_insert(0, "wire".to_owned(), self.wire.name.into());
        let files = self.files.iter().zip(digests).map(|((path, mode), (sha512, size))| {
            json!({"path": path, "mode": mode, "size": size, "sha512": hex::encode(&sha512)})
        });
        put(&mut config, "files", files.collect::<Value>());
        let base = self.draft.base_layers.iter();
        let base = base.map(|layer| json!({"diff_id": layer.diff_id, "digest": layer.digest, "size": layer.size}));
        put(&mut config, "base_layers", base.collect::<Value>());
        put(&mut config, "image", self.draft.image.to_json());
        let builder = self.draft.builder_key.as_ref().ok_or_else(|| internal("there is no builder"))?;
        put(&mut config, "builder", json!({"rsa_public_key": key_hex(builder)}));
        let message = statement(self.wire, &config).map_err(|error| Error::usage(error.to_string()))?;
        let signature = creator.sign_pss(message.bytes())?;
        put(&mut config, "hash", hex::encode(message.digest()));
        put(&mut config, "signature", hex::encode(&signature));
        Ok(SignedDraft { draft: self.draft, config, hash: *message.digest(), signature })
    }
}

/// Signs for the builder, and wraps the key for the first station and for the creator.
pub(super) fn build(wire: &Authenticated, signed: SignedDraft, seal: &BuildSeal<'_>) -> Result<Object> {
    let SignedDraft { draft, mut config, hash, .. } = signed;
    let builder = seal.builder.filter(|builder| Some(builder.public_key()) == draft.builder_key);
    let builder = builder.ok_or_else(|| Error::key("this private key is not the builder's that the creator signed"))?;
    let stage_key = seal.stage_key.ok_or_else(|| internal("the train was not encrypted"))?;
    let first = draft.route.first().ok_or_else(|| internal("the route is empty"))?;
    let for_creator = wrap(&draft.creator_key, stage_key)?;
    let for_first = wrap(&first.public_key, stage_key)?;
    let work = Work { wire, stage_key, session_id: &draft.session_id, now: seal.now };
    let vouched = work.vouched(seal.produced, &for_creator, Some(&for_first))?;
    let build = signed_record(&record(wire, &hash, &Signer::Build, &vouched)?, &vouched, builder)?;
    put(&mut config, "build", build);
    put(creator_of(&mut config)?, "encrypted_key", for_creator);
    let entry = sorted_route_of(&mut config)?.first_mut().ok_or_else(|| internal("the route is empty"))?;
    put(object(entry)?, "encrypted_key", for_first);
    Ok(config)
}
