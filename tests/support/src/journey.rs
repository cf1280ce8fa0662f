//! Journeys of one train over its stations, by whoever is asked to.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Implementation, Train, TrainSpec, Wire};

/// Builds a train and carries it over as many stops as there are in `by`; the creator must get what was written last.
pub fn journey(builder: Implementation, wire: Wire, spec: &TrainSpec, by: &[Implementation], write: fn(&Path, usize)) {
    let what = format!("built by {builder:?}, wire {wire:?}, carried by {by:?}");
    let train = Train::build(builder, wire, spec).unwrap_or_else(|message| panic!("{what}: {message}"));
    for (stop, who) in by.iter().enumerate() {
        let results = written(&train, stop, write);
        let (from, to) = (stop.to_string(), (stop + 1).to_string());
        let carried = train.stop(*who, &from, &to, stop, &results);
        let modes = !by.contains(&Implementation::Reference);
        carried
            .and_then(|()| train.check_results(&to, &results, modes))
            .unwrap_or_else(|message| panic!("{what}: {message}"));
    }
}

/// The results that the train writes at a stop.
pub fn written(train: &Train, stop: usize, write: fn(&Path, usize)) -> PathBuf {
    let dir = train.dir.path().join(format!("results-{stop}"));
    fs::create_dir(&dir).expect("a new directory");
    write(&dir, stop);
    dir
}
