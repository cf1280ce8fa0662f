//! Each state of the vectors is the expected answer of the one before.

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use support::peers::reference;
use support::tree::{differences, snapshot};
use support::vectors::{Vectors, further, own};
use support::{Layout, Peer, Wire, available, pht_oci};

const PLACES: [&str; 2] = ["opt/pht_train", "opt/pht_results"];

/// Paths, types, links and bytes; not times, owners and modes, which the reference does not keep.
fn files(layout: &Layout, tag: &str, place: &str) -> BTreeMap<String, Value> {
    let reduce = |entry: Value| json!([entry["type"], entry["link"], entry["sha256"]]);
    layout.view(tag, place).into_iter().map(|(path, entry)| (path, reduce(entry))).collect()
}

fn stage(vectors: &Vectors, stage: &str, from: &str, to: &str, station: usize) {
    let name = format!("station_{station}");
    let (source, destination) = (vectors.layout.at(from), vectors.layout.at(to));
    let line = [stage, &source, &destination, "--station", &name, "--private-key", &vectors.key(&name)];
    pht_oci(&line, &[]).ok();
}

fn pre_run_shows_what_the_reference_shows(from: &Path, wire: Wire) {
    let vectors = Vectors::copy(from, wire);
    assert!(vectors.stations > 1, "no vectors in {}", from.display());
    for s in 1..=vectors.stations {
        let before = if s == 1 { "0-built".to_owned() } else { format!("{}-post", s - 1) };
        stage(&vectors, "pre-run", &before, "ours", s);
        for place in PLACES {
            let expected = files(&vectors.layout, &format!("{s}-pre"), place);
            assert_eq!(files(&vectors.layout, "ours", place), expected, "{before} of wire {wire:?}");
        }
    }
}

/// What our post-run of `s-ran` seals, our next pre-run and the creator open again.
fn post_run_keeps_the_results(from: &Path, wire: Wire) {
    let vectors = Vectors::copy(from, wire);
    let mut opened = Vec::new();
    for s in 1..=vectors.stations {
        let ran = format!("{s}-ran");
        stage(&vectors, "post-run", &ran, "ours", s);
        let out = vectors.dir.path().join(format!("out-{s}"));
        let (image, key) = (vectors.layout.at("ours"), vectors.key("user"));
        pht_oci(&["results", &image, "--private-key", &key, "--out", out.to_str().expect("a path")], &[]).ok();
        if s < vectors.stations {
            stage(&vectors, "pre-run", "ours", "ours-next", s + 1);
            for place in PLACES {
                let expected = files(&vectors.layout, &ran, place);
                assert_eq!(files(&vectors.layout, "ours-next", place), expected, "{ran} of wire {wire:?}");
            }
        }
        let expected = files(&vectors.layout, &ran, PLACES[1]);
        let hashes: Vec<&str> = expected.values().filter_map(|entry| entry[2].as_str()).collect();
        let tree = snapshot(&out);
        assert_eq!(tree.len() + 1, expected.len(), "{ran} of wire {wire:?}: {tree:?}");
        for (path, (_, node)) in &tree {
            if let support::tree::Node::File { sha256, .. } = node {
                assert!(hashes.contains(&sha256.as_str()), "{}: other bytes than in {ran}", path.display());
            }
        }
        opened.push(tree);
    }
    assert!(!differences(&opened[0], &opened[1], false).is_empty(), "the stations of the vectors wrote the same");
}

/// The reference's next pre-run accepts our post-run of `s-ran`, and shows the results of `s-ran`.
fn the_reference_accepts_post_run(from: &Path, wire: Wire) {
    let vectors = Vectors::copy(from, wire);
    for s in 1..vectors.stations {
        let ran = format!("{s}-ran");
        stage(&vectors, "post-run", &ran, "ours", s);
        let (station, layout) = (format!("station_{}", s + 1), vectors.layout.path());
        let key = vectors.key(&station);
        let line = [wire.reference(), "pre", layout, "ours", "theirs", "--station", &station, "--key", &key];
        reference(&line).unwrap_or_else(|told| panic!("{ran} of wire {wire:?}: {told}"));
        for place in PLACES {
            let expected = files(&vectors.layout, &ran, place);
            assert_eq!(files(&vectors.layout, "theirs", place), expected, "{ran} of wire {wire:?}");
        }
    }
}

#[test]
fn pre_run() {
    if available("vectors::pre_run", &[Peer::Python]) {
        Wire::ALL.into_iter().for_each(|wire| pre_run_shows_what_the_reference_shows(&own(), wire));
    }
}

#[test]
fn post_run() {
    if available("vectors::post_run", &[Peer::Python]) {
        Wire::ALL.into_iter().for_each(|wire| post_run_keeps_the_results(&own(), wire));
    }
}

#[test]
fn post_run_then_the_reference() {
    if available("vectors::post_run_then_the_reference", &[Peer::Python, Peer::Reference]) {
        Wire::ALL.into_iter().for_each(|wire| the_reference_accepts_post_run(&own(), wire));
    }
}

#[test]
fn further_pre_run() {
    let Some(dir) = further("vectors::further_pre_run") else { return };
    if available("vectors::further_pre_run", &[Peer::Python, Peer::Openssl]) {
        Wire::ALL.into_iter().for_each(|wire| pre_run_shows_what_the_reference_shows(&dir, wire));
    }
}

#[test]
fn further_post_run() {
    let Some(dir) = further("vectors::further_post_run") else { return };
    if available("vectors::further_post_run", &[Peer::Python, Peer::Openssl]) {
        Wire::ALL.into_iter().for_each(|wire| post_run_keeps_the_results(&dir, wire));
    }
}

#[test]
fn further_post_run_then_the_reference() {
    let Some(dir) = further("vectors::further_post_run_then_the_reference") else { return };
    if available("vectors::further_post_run_then_the_reference", &[Peer::Python, Peer::Openssl, Peer::Reference]) {
        Wire::ALL.into_iter().for_each(|wire| the_reference_accepts_post_run(&dir, wire));
    }
}
