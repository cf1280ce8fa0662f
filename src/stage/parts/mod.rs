//! The parts that several stages share.

pub(super) mod base;
pub(super) mod base_contents;
pub(super) mod checks;
pub(super) mod closed_layers;
pub(super) mod execution;
pub(super) mod hashing;
pub(super) mod homomorphic;
pub(super) mod labels;
pub(super) mod listing;
pub(super) mod load;
pub(super) mod masters;
pub(super) mod payload;
pub(super) mod pinned_keys;
pub(super) mod publish;
pub(super) mod report;
pub(super) mod request;
pub(super) mod results_archive;
pub(super) mod space;
pub(super) mod strict;
pub(super) mod volumes;
