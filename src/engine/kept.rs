//! The bases that engines have kept, to be listed and removed.

use super::client::Client;
use super::docker::DOCKER;
use super::podman::PODMAN;
use super::roots::Roots;
use crate::error::Result;
use crate::store::Context;

/// The engines with a store of their own.
const STORES: [&Client; 2] = [&PODMAN, &DOCKER];

/// A base that is kept between runs.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct KeptBase {
    /// Who keeps it: an engine, or `cache` for the user's cache of unpacked bases.
    pub keeper: &'static str,
    /// Its image ID, or the chain ID of its layers in the cache.
    pub id: String,
    /// Its size in bytes, as who keeps it counts.
    pub bytes: u64,
}

/// All bases that this user's engines and cache have kept. Engines that are not here have none.
///
/// # Errors
/// An error of an engine; input/output.
pub fn kept_bases(context: &Context) -> Result<Vec<KeptBase>> {
    let mut kept = Vec::new();
    for client in answering() {
        let listed = client.kept()?.into_iter();
        kept.extend(listed.map(|(id, bytes)| KeptBase { keeper: client.0, id, bytes }));
    }
    if let Some(cache) = context.cache.as_ref().filter(|cache| cache.exists()) {
        let roots = Roots::open(cache)?.list()?.into_iter();
        kept.extend(roots.map(|root| KeptBase { keeper: "cache", id: root.chain_id, bytes: root.bytes }));
    }
    Ok(kept)
}

/// Removes every base that nothing runs from; those that were removed.
///
/// # Errors
/// An error of an engine; input/output.
pub fn prune(context: &Context) -> Result<Vec<KeptBase>> {
    let mut removed = Vec::new();
    for client in answering() {
        for (id, bytes) in client.kept()? {
            match client.forget(&id) {
                Ok(()) => removed.push(KeptBase { keeper: client.0, id, bytes }),
                Err(error) => tracing::info!("{} keeps the base: {error}", client.0),
            }
        }
    }
    if let Some(cache) = context.cache.as_ref().filter(|cache| cache.exists()) {
        let roots = Roots::open(cache)?.prune()?.into_iter();
        removed.extend(roots.map(|root| KeptBase { keeper: "cache", id: root.chain_id, bytes: root.bytes }));
    }
    Ok(removed)
}

fn answering() -> impl Iterator<Item = &'static Client> {
    STORES.into_iter().filter(|client| client.answers())
}
