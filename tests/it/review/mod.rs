//! Results before they leave: what the checks find, and that nothing leaves but what was approved.

mod findings;
mod releasing;
mod reporting;
mod samples;

use std::path::Path;

use pht_oci::review::{ReleasePolicy, Review};
use pht_oci::stage::review_results;
use pht_oci::store::Context;

/// The review of a directory of results.
fn review_of(dir: &Path, policy: &ReleasePolicy) -> Review {
    review_against(dir, &[], policy)
}

/// The same, held against the station's own data.
fn review_against(dir: &Path, against: &[&Path], policy: &ReleasePolicy) -> Review {
    review_results(dir, against, policy, &Context::new(0, std::env::temp_dir())).expect("a review").review
}
