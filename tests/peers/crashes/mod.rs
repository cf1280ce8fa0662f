//! Whoever ends the program early, or takes disk or files away from it, finds the old image or the new one, whole.
//! `scripts/crash.sh` does more of it.

pub mod disks;
mod fixture;
mod kills;
mod runs;
mod shrinking;
mod signals;

/// A number that `scripts/crash.sh` raises.
pub fn number(variable: &str, short: u32) -> u32 {
    std::env::var(variable).map_or(short, |text| text.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}
