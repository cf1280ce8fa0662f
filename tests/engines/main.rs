//! Our images in the hands of others: skopeo, umoci, Podman and Docker read them, run them and commit them back.

#[path = "../support/mod.rs"]
mod support;

mod archives;
mod engine;
mod masters;
mod readers;
mod trains;
