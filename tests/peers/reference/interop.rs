//! Any station may run the reference and any other the program, in any mix, on trains that either has built.

use std::path::PathBuf;

use support::tree::write_results;
use support::{Implementation, Peer, Train, TrainSpec, Wire, available};

/// One train and all its journeys. States are shared: the two of the first stop, the four of the second, the eight of
/// the third each start from the state before.
struct Journeys {
    train: Train,
    written: Vec<PathBuf>,
    done: usize,
    failures: Vec<String>,
}

impl Journeys {
    fn branch(&mut self, tag: &str, stop: usize) {
        for (who, letter) in [(Implementation::Reference, 'r'), (Implementation::Ours, 'o')] {
            let to = format!("{tag}{letter}");
            let results = &self.written[stop];
            let carried = self.train.stop(who, tag, &to, stop, results);
            match carried.and_then(|()| self.train.check_results(&to, results, false)) {
                Err(message) => self.failures.push(format!("journey {to}: {message}")),
                Ok(()) if stop + 1 < self.written.len() => self.branch(&to, stop + 1),
                Ok(()) => self.done += 1,
            }
        }
    }
}

fn all_eight_ways(test: &str, builder: Implementation, wire: Wire) {
    if !available(test, &[Peer::Python, Peer::Busybox, Peer::Reference]) {
        return;
    }
    let train = Train::build(builder, wire, &TrainSpec::default()).unwrap_or_else(|message| panic!("{message}"));
    let written: Vec<PathBuf> = (0..3).map(|stop| train.dir.path().join(format!("results-{stop}"))).collect();
    for (stop, dir) in written.iter().enumerate() {
        write_results(dir, stop);
    }
    let mut journeys = Journeys { train, written, done: 0, failures: Vec::new() };
    journeys.branch("0", 0);
    assert!(journeys.failures.is_empty(), "{}", journeys.failures.join("\n"));
    assert_eq!(journeys.done, 8);
}

#[test]
fn trains_of_the_reference_wire_1_1_1() {
    all_eight_ways("interop::trains_of_the_reference_wire_1_1_1", Implementation::Reference, Wire::V1_1_1);
}

#[test]
fn trains_of_the_reference_wire_1_1_2() {
    all_eight_ways("interop::trains_of_the_reference_wire_1_1_2", Implementation::Reference, Wire::V1_1_2);
}

#[test]
fn trains_of_the_reference_wire_2_0() {
    all_eight_ways("interop::trains_of_the_reference_wire_2_0", Implementation::Reference, Wire::V2_0);
}

#[test]
fn our_trains_wire_1_1_1() {
    all_eight_ways("interop::our_trains_wire_1_1_1", Implementation::Ours, Wire::V1_1_1);
}

#[test]
fn our_trains_wire_1_1_2() {
    all_eight_ways("interop::our_trains_wire_1_1_2", Implementation::Ours, Wire::V1_1_2);
}

#[test]
fn our_trains_wire_2_0() {
    all_eight_ways("interop::our_trains_wire_2_0", Implementation::Ours, Wire::V2_0);
}
