//! Our images in the hands of others: skopeo, umoci, Podman and Docker read them, run them and commit them back.

mod archives;
mod engine;
mod masters;
mod readers;
mod trains;
