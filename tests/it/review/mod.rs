//! Results before they leave: what the checks find, and that nothing leaves but what was approved.

mod findings;
mod releasing;
mod reporting;
mod samples;
