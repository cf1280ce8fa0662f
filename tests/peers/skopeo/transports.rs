//! Every transport as source and as destination of every stage; skopeo writes and reads them all.

use std::path::Path;

use support::peers::skopeo_copy;
use support::transports::{TRANSPORTS, path_of, place, stage};
use support::tree::{MARKER, differences, snapshot, write_results};
use support::{Edit, Implementation, Peer, Train, TrainSpec, Wire, available, pht_oci, utf8};

/// The train over two stations, every stage from a place of one transport to a place of another.
fn journey(wire: Wire, from: &str, to: &str) {
    let train = Train::build(Implementation::Ours, wire, &TrainSpec::default()).unwrap();
    let dir = train.dir.path();
    let results = |stop: usize| dir.join(format!("results{stop}"));
    let mut current = train.layout.at("0");
    for stop in 0..2 {
        let arrived = place(dir, from, &format!("in{stop}"));
        skopeo_copy(&current, &arrived).unwrap();
        let opened = place(dir, to, &format!("opened{stop}"));
        stage(&train, &["pre-run", &arrived, &opened], stop);
        // The run, done by other programs on a layout.
        let (pre, ran) = (format!("{stop}-pre"), format!("{stop}-ran"));
        skopeo_copy(&opened, &train.layout.at(&pre)).unwrap();
        write_results(&results(stop), stop);
        train.layout.append(&pre, &ran, &[Edit::Diff("opt/pht_results", &results(stop))]);
        let back = place(dir, from, &format!("ran{stop}"));
        skopeo_copy(&train.layout.at(&ran), &back).unwrap();
        let closed = place(dir, to, &format!("closed{stop}"));
        stage(&train, &["post-run", &back, &closed], stop);
        assert!(!holds_plaintext(&path_of(&closed)), "{wire:?} {from} -> {to}: {closed} holds plaintext");
        current = closed;
    }
    let out = dir.join("out");
    let line = ["results", &current, "--private-key", &train.key("user"), "--out", utf8(&out)];
    pht_oci(&line, &[]).ok();
    assert_eq!(differences(&snapshot(&out), &snapshot(&results(1)), false), Vec::<String>::new());
}

fn holds_plaintext(path: &Path) -> bool {
    if path.is_dir() {
        return std::fs::read_dir(path).unwrap().any(|entry| holds_plaintext(&entry.unwrap().path()));
    }
    let bytes = std::fs::read(path).unwrap();
    bytes.windows(MARKER.len()).any(|window| window == MARKER.as_bytes())
}

/// One test for each source, so that they run beside one another.
fn from(transport: &str, test: &str) {
    if !available(test, &[Peer::Skopeo, Peer::Python]) {
        return;
    }
    for (to, _) in TRANSPORTS {
        for wire in [Wire::V1_1_1, Wire::V2_0, Wire::V3] {
            journey(wire, transport, to);
        }
    }
}

#[test]
fn from_layouts() {
    from("oci", "from_layouts");
}

#[test]
fn from_oci_archives() {
    from("oci-archive", "from_oci_archives");
}

#[test]
fn from_docker_archives() {
    from("docker-archive", "from_docker_archives");
}

#[test]
fn from_directories() {
    from("dir", "from_directories");
}
