//! Trains that really run: in Podman and in Docker, between our stages.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::json;

use super::engine::{Engine, Kind};
use support::tree::{MARKER, Node, sha256, snapshot};
use support::{Implementation, Layout, Peer, Train, TrainSpec, Wire, available, pht_oci, utf8};

/// Counts the stops, and leaves links, modes, a hidden file, a deletion and names that sort badly.
const ENTRYPOINT: &str = "#!/bin/sh
# TRAIN-PLAINTEXT-MARKER
set -e
cd /opt/pht_results
stop=$(cat count 2>/dev/null | wc -l)
stop=$((stop))
echo \"RESULT-PLAINTEXT-MARKER run $stop\" >> result.txt
echo x >> count
mkdir -p sub sub-a
echo \"nested $stop\" > sub/x
echo \"sibling $stop\" > sub-a/y
echo dotted > sub.txt
: > empty
echo hidden > .hidden
ln -sf result.txt link
rm -f hard && ln sub.txt hard
chmod 0640 sub/x
chown 1000:1001 sub-a/y
if [ -e sometimes ]; then rm sometimes; else echo here > sometimes; fi
";

/// What the train has left in its results after so many stops.
fn expected(stops: usize) -> BTreeMap<&'static str, String> {
    let last = stops - 1;
    let mut files = BTreeMap::from([
        ("result.txt", (0..stops).map(|stop| format!("{MARKER} run {stop}\n")).collect()),
        ("count", "x\n".repeat(stops)),
        ("sub/x", format!("nested {last}\n")),
        ("sub-a/y", format!("sibling {last}\n")),
        ("sub.txt", "dotted\n".to_owned()),
        ("hard", "dotted\n".to_owned()),
        ("empty", String::new()),
        (".hidden", "hidden\n".to_owned()),
    ]);
    if stops % 2 == 1 {
        files.insert("sometimes", "here\n".to_owned());
    }
    files
}

fn check_results(train: &Train, tag: &str, stops: usize) {
    let out = train.dir.path().join(format!("out-{tag}"));
    let line = ["results", &train.layout.at(tag), "--private-key", &train.key("user"), "--out"];
    pht_oci(&[&line[..], &[utf8(&out)]].concat(), &[]).ok();
    let mut wanted: BTreeMap<_, _> = expected(stops)
        .into_iter()
        .map(|(path, text)| (path.into(), Node::File { sha256: sha256(text.as_bytes()), size: text.len() }))
        .collect();
    wanted.insert("link".into(), Node::Link("result.txt".into()));
    for directory in ["sub", "sub-a"] {
        wanted.insert(directory.into(), Node::Directory);
    }
    let there = snapshot(&out);
    let found: BTreeMap<_, _> = there.iter().map(|(path, (_, node))| (path.clone(), node.clone())).collect();
    assert_eq!(found, wanted, "results after {stops} stops");
    assert_eq!(there[Path::new("sub/x")].0, 0o640, "the mode of sub/x after {stops} stops");
}

/// Three stations; at each the engine runs the train between our pre-run and our post-run.
fn journey(test: &str, kind: Kind, wire: Wire) {
    if !available(test, &[Peer::Python, Peer::Busybox, kind.peer()]) {
        return;
    }
    let spec = TrainSpec { entrypoint: ENTRYPOINT.to_owned(), ..TrainSpec::default() };
    let train = Train::build(Implementation::Ours, wire, &spec).unwrap_or_else(|message| panic!("{message}"));
    let mut engine = Engine::new(kind);
    let layers = train.layout.layers("0").len() - wire.layers_above_base();
    for stop in 0..3 {
        let (from, to) = (stop.to_string(), (stop + 1).to_string());
        let (pre, ran) = (format!("{to}-pre"), format!("{to}-ran"));
        train.ours("pre-run", &from, &pre, stop).unwrap_or_else(|message| panic!("{message}"));
        let image = engine.load(&train.layout, &pre);
        engine.run_and_commit(&image, &train.layout, &ran);
        let at = |tag: &str| train.layout.view(tag, "opt/pht_results");
        assert!(at(&ran).contains_key("opt/pht_results/result.txt"), "the train did not run at stop {stop}");
        train.ours("post-run", &ran, &to, stop).unwrap_or_else(|message| panic!("{message}"));
        check_results(&train, &to, stop + 1);
        assert_eq!(train.layout.layers(&to).len(), layers + 2, "layers after stop {stop}");
        let owner = &at(&to)["opt/pht_results/sub-a/y"];
        assert_eq!((owner["uid"].as_u64(), owner["gid"].as_u64()), (Some(1000), Some(1001)), "the owner of sub-a/y");
    }
}

/// An image that runs as another user than root needs no help of the station, with whatever engine.
fn as_another_user(test: &str, kind: Kind) {
    if !available(test, &[Peer::Python, Peer::Busybox, kind.peer()]) {
        return;
    }
    let of_base = tempfile::tempdir().expect("a temporary directory");
    let base = Layout::new(of_base.path().join("base"));
    base.make_base("plain", true);
    base.merge_config("plain", "base", &json!({ "User": "1000:1000" }));
    let entrypoint =
        "#!/bin/sh\nset -e\ncd /opt/pht_results\nid -u >>count\nmkdir -p sub\nid -u >>sub/count\n".to_owned();
    for wire in [Wire::V2_0, Wire::V3] {
        let spec = TrainSpec { entrypoint: entrypoint.clone(), base: Some(base.clone()), ..TrainSpec::default() };
        let train = Train::build(Implementation::Ours, wire, &spec).unwrap_or_else(|message| panic!("{message}"));
        let mut engine = Engine::new(kind);
        for stop in 0..2 {
            let (from, to) = (stop.to_string(), (stop + 1).to_string());
            let (pre, ran) = (format!("{to}-pre"), format!("{to}-ran"));
            train.ours("pre-run", &from, &pre, stop).unwrap_or_else(|message| panic!("{message}"));
            let image = engine.load(&train.layout, &pre);
            engine.run_and_commit(&image, &train.layout, &ran);
            train.ours("post-run", &ran, &to, stop).unwrap_or_else(|message| panic!("{message}"));
        }
        let out = train.dir.path().join("out");
        let line = ["results", &train.layout.at("2"), "--private-key", &train.key("user"), "--out", utf8(&out)];
        pht_oci(&line, &[]).ok();
        for name in ["count", "sub/count"] {
            assert_eq!(fs::read_to_string(out.join(name)).expect("a result"), "1000\n1000\n", "{wire:?} {name}");
        }
    }
}

#[test]
fn podman_runs_another_user() {
    as_another_user("engines::podman_runs_another_user", Kind::Podman);
}

#[test]
fn docker_runs_another_user() {
    as_another_user("engines::docker_runs_another_user", Kind::Docker);
}

#[test]
fn podman_wire_1_1_1() {
    journey("engines::podman_wire_1_1_1", Kind::Podman, Wire::V1_1_1);
}

#[test]
fn podman_wire_1_1_2() {
    journey("engines::podman_wire_1_1_2", Kind::Podman, Wire::V1_1_2);
}

#[test]
fn podman_wire_2_0() {
    journey("engines::podman_wire_2_0", Kind::Podman, Wire::V2_0);
}

#[test]
fn podman_wire_3() {
    journey("engines::podman_wire_3", Kind::Podman, Wire::V3);
}

#[test]
fn docker_wire_1_1_1() {
    journey("engines::docker_wire_1_1_1", Kind::Docker, Wire::V1_1_1);
}

#[test]
fn docker_wire_1_1_2() {
    journey("engines::docker_wire_1_1_2", Kind::Docker, Wire::V1_1_2);
}

#[test]
fn docker_wire_2_0() {
    journey("engines::docker_wire_2_0", Kind::Docker, Wire::V2_0);
}

#[test]
fn docker_wire_3() {
    journey("engines::docker_wire_3", Kind::Docker, Wire::V3);
}
