//! Each state of the vectors is the expected answer of the one before.

use std::path::Path;

use support::tree::{differences, snapshot};
use support::vectors::{PLACES, Vectors, files, further, own, stage};
use support::{Peer, Wire, available, pht_oci};

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
