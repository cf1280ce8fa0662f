//! No plaintext leaves, and images do not grow.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;
use support::tree::{MARKER, snapshot, write_results};
use support::vectors::{Vectors, further, own};
use support::{Implementation, Layout, Peer, Train, TrainSpec, Wire, available, pht_oci};

/// Stands in the train's own files, which wire 2.0 seals as well.
const TRAIN_MARKER: &str = "TRAIN-PLAINTEXT-MARKER";

/// Post-run in place on a layout that holds nothing but what a run of the reference left.
fn post_run_cleans_what_the_reference_leaks(from: &Path, wire: Wire) {
    let vectors = Vectors::copy(from, wire);
    for s in 1..=vectors.stations {
        let (ran, station) = (format!("{s}-ran"), format!("station_{s}"));
        let layout = vectors.layout.only(&ran, vectors.dir.path().join(format!("only-{s}")));
        assert!(!layout.search(MARKER).is_empty(), "{ran} of wire {wire:?} shows nothing: this test tests nothing");
        let train = !layout.search(TRAIN_MARKER).is_empty();
        let line = ["post-run", &layout.at(&ran), "--station", &station, "--private-key", &vectors.key(&station)];
        pht_oci(&line, &[]).ok();
        let leaks = layout.search(MARKER);
        assert!(leaks.is_empty(), "{ran} of wire {wire:?}: plaintext results in {leaks:?}");
        let leaks = layout.search(TRAIN_MARKER);
        assert_eq!(leaks.is_empty(), wire == Wire::V2_0 || !train, "{ran} of wire {wire:?}: train files in {leaks:?}");
        only_what_tags_reach(&layout);
    }
}

/// The layout has the blobs of its images and not one more file.
fn only_what_tags_reach(layout: &Layout) {
    let mut reached = BTreeSet::new();
    for tag in layout.tags() {
        let image = layout.image(tag.as_str().expect("a tag"));
        let mut note = |digest: &Value| reached.insert(digest.as_str().expect("a digest").replace(':', "/"));
        note(&image["descriptor"]["digest"]);
        note(&image["manifest"]["config"]["digest"]);
        image["manifest"]["layers"].as_array().expect("layers").iter().for_each(|layer| {
            note(&layer["digest"]);
        });
    }
    let tree = snapshot(&layout.dir);
    let is_file = |node: &support::tree::Node| matches!(node, support::tree::Node::File { .. });
    let files: BTreeSet<String> = tree
        .iter()
        .filter(|(_, (_, node))| is_file(node))
        .map(|(path, _)| path.to_string_lossy().into_owned())
        .collect();
    let mut expected: BTreeSet<String> = reached.into_iter().map(|digest| format!("blobs/{digest}")).collect();
    expected.extend(["index.json".to_owned(), "oci-layout".to_owned()]);
    assert_eq!(files, expected, "files of {}", layout.path());
}

/// A whole journey in place, on a layout that holds nothing but this train.
fn our_journey(wire: Wire) {
    let train =
        Train::build(Implementation::Ours, wire, &TrainSpec::default()).unwrap_or_else(|message| panic!("{message}"));
    let base = train.base.layers("base");
    let built = train.layout.layers("0");
    assert_eq!(built[..base.len()], base, "build keeps the layers of the base image");
    let layout = train.layout.only("0", train.dir.path().join("travelling"));
    for stop in 0..3 {
        let station = train.station_id(stop);
        let key = train.key(&station);
        let image = layout.at("0");
        let stage = |name: &str| pht_oci(&[name, &image, "--station", &station, "--private-key", &key], &[]).ok();
        stage("pre-run");
        let results = train.dir.path().join(format!("results-{stop}"));
        write_results(&results, stop);
        layout.append("0", "0", &[support::Edit::Diff("opt/pht_results", &results)]);
        assert!(!layout.search(MARKER).is_empty(), "the run wrote nothing: this test tests nothing");
        assert!(!layout.search(TRAIN_MARKER).is_empty(), "pre-run shows no train: this test tests nothing");
        stage("post-run");
        let leaks = layout.search(MARKER);
        assert!(leaks.is_empty(), "stop {stop} of wire {wire:?}: plaintext results in {leaks:?}");
        let leaks = layout.search(TRAIN_MARKER);
        assert_eq!(leaks.is_empty(), wire.encrypts_train(), "stop {stop} of wire {wire:?}: train files in {leaks:?}");
        assert_eq!(layout.tags(), ["0"], "post-run leaves the travelling tag only");
        only_what_tags_reach(&layout);
        let layers = layout.layers("0");
        let base = &built[..built.len() - wire.layers_above_base()];
        assert_eq!(&layers[..base.len()], base, "the layers of the train as built, after stop {stop}");
        assert_eq!(layers.len(), base.len() + 2, "base and two layers, after stop {stop}");
    }
    assert!(fs::exists(layout.dir.join("oci-layout")).expect("a layout"));
}

#[test]
fn after_a_run_of_the_reference() {
    if available("leaks::after_a_run_of_the_reference", &[Peer::Python]) {
        Wire::ALL.into_iter().for_each(|wire| post_run_cleans_what_the_reference_leaks(&own(), wire));
    }
}

#[test]
fn further_after_a_run_of_the_reference() {
    let Some(dir) = further("leaks::further_after_a_run_of_the_reference") else { return };
    if available("leaks::further_after_a_run_of_the_reference", &[Peer::Python, Peer::Openssl]) {
        Wire::ALL.into_iter().for_each(|wire| post_run_cleans_what_the_reference_leaks(&dir, wire));
    }
}

#[test]
fn after_our_journey() {
    if available("leaks::after_our_journey", &[Peer::Python]) {
        Wire::OURS.into_iter().for_each(our_journey);
    }
}
