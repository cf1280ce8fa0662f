//! The reference goes on from what the program made of its vectors.

use std::path::Path;

use support::peers::reference;
use support::vectors::{PLACES, Vectors, files, further, own, stage};
use support::{Peer, Wire, available};

/// The reference's next pre-run accepts our post-run of `s-ran`, and shows the results of `s-ran`.
fn the_reference_accepts_post_run(from: &Path, wire: Wire) {
    let vectors = Vectors::copy(from, wire);
    for s in 1..vectors.stations {
        let ran = format!("{s}-ran");
        stage(&vectors, "post-run", &ran, "ours", s);
        let (station, layout) = (format!("station_{}", s + 1), vectors.layout.path());
        let key = vectors.key(&station);
        let line = [wire.reference(), "pre", layout, "ours", "theirs", "--station", &station, "--key", &key];
        reference(&line).unwrap_or_else(|message| panic!("{ran} of wire {wire:?}: {message}"));
        for place in PLACES {
            let expected = files(&vectors.layout, &ran, place);
            assert_eq!(files(&vectors.layout, "theirs", place), expected, "{ran} of wire {wire:?}");
        }
    }
}

#[test]
fn post_run_then_the_reference() {
    if available("vectors::post_run_then_the_reference", &[Peer::Python, Peer::Reference]) {
        Wire::ALL.into_iter().for_each(|wire| the_reference_accepts_post_run(&own(), wire));
    }
}

#[test]
fn further_post_run_then_the_reference() {
    let Some(dir) = further("vectors::further_post_run_then_the_reference") else { return };
    if available("vectors::further_post_run_then_the_reference", &[Peer::Python, Peer::Openssl, Peer::Reference]) {
        Wire::ALL.into_iter().for_each(|wire| the_reference_accepts_post_run(&dir, wire));
    }
}
