//! What the integration tests share: the program, its peers, layouts and trains.
#![allow(dead_code, unused_imports, reason = "every test uses a part of this")]

pub mod containers;
pub mod layout;
pub mod peers;
pub mod program;
pub mod train;
pub mod tree;
pub mod vectors;
pub mod wire3;

pub use layout::{Edit, Layout};
pub use peers::{Peer, available, run};
pub use program::{Outcome, measured, pht_oci};
pub use train::{Spec, Train, Who, Wire};
