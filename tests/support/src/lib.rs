//! What both crates of integration tests share: the program, its peers, layouts and trains. Nothing here uses the
//! library of the program.

use std::path::Path;

pub mod checks;
pub mod containers;
pub mod journey;
mod judge;
pub mod keys;
pub mod layout;
pub mod merged;
pub mod modules;
pub mod peers;
pub mod program;
pub mod rebasing;
pub mod rows;
pub mod stage;
pub mod train;
pub mod transports;
pub mod tree;
pub mod vectors;
pub mod wire3;

pub use layout::{Edit, Layout};
pub use peers::{Peer, available, run};
pub use program::{Outcome, measured, pht_oci, program, released};
pub use train::{Implementation, Train, TrainSpec, Wire};

/// A path as an argument.
#[track_caller]
pub fn utf8(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// The directory of the project.
pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("this crate lies in tests/support")
}
