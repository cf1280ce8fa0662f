//! The train: its config, its route, the files it consists of, and what the wire versions of the train security
//! protocol demand of them.
//!
//! Knows no tar, no registry and no file system: bytes and metadata are handed in, verdicts and bytes come out. A
//! stage reads like this: [`TrainConfig::parse`] the config (which also recognises its [`Wire`]), ask its
//! [`TrainConfig::route_state`] whose turn it is, let the wire verify creator, build and route, feed the files to the
//! wire's [`ContentCheck`]s, and after the run seal the stop.

pub mod check;
pub mod common;
pub mod config;
pub mod draft;
mod fields;
pub mod files;
pub mod hash;
pub mod image;
mod json_format;
pub mod keys;
pub mod min_wire;
pub mod paillier;
pub mod party;
pub mod paths;
pub mod route;
pub mod signed_image;
pub mod trust;
pub mod unwrap;
pub mod wire;

#[cfg(test)]
mod testing;

pub use check::{Check, CheckId, Subject, Verdict};
pub use common::{CommonFields, Creator, Source};
pub use config::TrainConfig;
pub use draft::{Draft, DraftStop};
pub use files::FileMeta;
pub use hash::{ImmutableHasher, ResultHasher};
pub use image::{ImageFacts, LayerFacts};
pub use keys::{ensure_creator_key, ensure_key_of};
pub use min_wire::MinWire;
pub use party::PartyId;
pub use route::{Route, RouteState, StageKind, Stop, StopSignature};
pub use signed_image::SignedImage;
pub use trust::{Role, TrustStore};
pub use unwrap::{unwrap_creator_key, unwrap_stage_key};
pub use wire::{
    BuildSeal, ContentCheck, ContentFeed, CreatorSeal, DraftFeed, HasFeed, Produced, SignatureSeal, SignedDraft,
    StopSeal, Wire, WireConfig,
};
