//! `results`: what a creator gets of a train, in which forms, and of what.

mod archive;
mod fixture;
mod paillier;
mod service;
