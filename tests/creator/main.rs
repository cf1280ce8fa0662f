//! `results`: what a creator gets of a train, in which forms, and of what.

#[path = "../support/mod.rs"]
mod support;

mod archive;
mod ground;
mod paillier;
mod service;
