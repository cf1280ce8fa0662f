//! Random layers and archives that are valid, or nearly: each is refused here, or other programs read the same from it.
//! Every one follows from its number alone, so that one which differed can be looked at again; those are kept below.
//!
//! `PHT_DIFFERENTIAL_LAYERS` and `PHT_DIFFERENTIAL_ARCHIVES` say how many there are, `PHT_DIFFERENTIAL_FIRST` with which
//! number they begin.

mod archives;
mod chance;
mod header;
mod layers;
mod tools;
mod view;

/// Numbers of layers that were once read in two ways.
const LAYERS_THAT_DIFFERED: [u64; 5] = [5017, 9201, 14771, 18577, 21456];
/// Numbers of archives that were once read in two ways.
const ARCHIVES_THAT_DIFFERED: [u64; 0] = [];

/// The number in a variable of the environment.
fn variable(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is a number, not `{text}`")),
        Err(_) => default,
    }
}

/// The numbers to try: those that differed, and `count` more.
fn numbers(kept: &[u64], count: &str, default: u64) -> Vec<u64> {
    let first = variable("PHT_DIFFERENTIAL_FIRST", 1);
    kept.iter().copied().chain(first..first + variable(count, default)).collect()
}
