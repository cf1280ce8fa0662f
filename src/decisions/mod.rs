//! Decisions that a reader would question, with the reasons, and when to look again.

#[doc = include_str!("digests.md")]
pub mod digests {}

#[doc = include_str!("registries.md")]
pub mod registries {}

#[doc = include_str!("rsa.md")]
pub mod rsa {}

#[doc = include_str!("sync.md")]
pub mod sync {}

#[doc = include_str!("tar.md")]
pub mod tar {}
