//! The Personal Health Train security protocol on OCI images.

#![forbid(unsafe_code)]

pub mod crypto;
pub mod error;
pub mod image;
pub mod json;
pub mod store;
