//! Wire version 3 against a second implementation, written in Python from the specification alone.

mod support;

use std::path::Path;

use serde_json::Value;

use support::peers::{cryptography, run};
use support::pht_oci;
use support::tree::{differences, snapshot};
use support::wire3::{Ground, STATIONS};

fn python() -> Option<String> {
    cryptography("wire3")
}

fn same(left: &str, right: &str) {
    let told = differences(&snapshot(Path::new(left)), &snapshot(Path::new(right)), false);
    assert!(told.is_empty(), "{left} / {right}\n  {}", told.join("\n  "));
}

/// The creator's results of the train at this tag are those of the last stop.
fn check_results(ground: &Ground, tag: &str) {
    let (out, key) = (ground.path(&format!("out-{tag}")), ground.key("creator"));
    pht_oci(&["results", &ground.layout.at(tag), "--private-key", &key, "--out", &out], &[]).ok();
    same(&ground.results(STATIONS - 1), &out);
}

#[test]
fn the_peer_reads_what_the_program_wrote() {
    let Some(python) = python() else { return };
    let ground = Ground::new();
    ground.build("0", "ours");
    let tags: Vec<String> = (0..=STATIONS).map(|tag| tag.to_string()).collect();
    for stop in 0..STATIONS {
        ground.stop(&tags[stop], &tags[stop + 1], stop);
    }
    for (signed, tag) in tags.iter().enumerate() {
        let told: Value =
            serde_json::from_slice(&ground.peer(&python, &["verify", ground.layout.path(), tag])).unwrap();
        assert_eq!(told["signed"], signed);
        for reader in ["creator", &format!("station_{}", signed + 1)] {
            if signed == STATIONS && reader != "creator" {
                continue;
            }
            let out = ground.path(&format!("peer-{tag}-{reader}"));
            let key = ground.key(reader);
            ground.peer(&python, &["open", ground.layout.path(), tag, "--key", &key, "--out", &out]);
            same(&ground.path("files"), &format!("{out}/pht_train"));
            if signed > 0 {
                same(&ground.results(signed - 1), &format!("{out}/pht_results"));
            }
        }
    }
    check_results(&ground, &tags[STATIONS]);
}

#[test]
fn the_program_accepts_what_the_peer_built() {
    let Some(python) = python() else { return };
    let ground = Ground::new();
    ground.build_by_peer(&python, "0");
    for stop in 0..STATIONS {
        ground.stop(&stop.to_string(), &(stop + 1).to_string(), stop);
    }
    check_results(&ground, "3");
}

#[test]
fn stations_of_both_kinds_mix() {
    let Some(python) = python() else { return };
    let ground = Ground::new();
    ground.build("0", "ours");
    ground.stop_by_peer(&python, "0", "1", 0);
    ground.stop("1", "2", 1);
    ground.stop_by_peer(&python, "2", "3", 2);
    check_results(&ground, "3");
}

#[test]
fn another_base_is_refused_with_the_reason() {
    if !support::available("wire3::another_base", &[support::Peer::Python]) {
        return;
    }
    let ground = Ground::new();
    ground.build("0", "ours");
    let (key, source, opened) = (ground.key("station_1"), ground.layout.at("0"), ground.layout.at("opened"));
    pht_oci(&["pre-run", &source, &opened, "--private-key", &key], &[]).ok();
    ground.base.append("base", "newer", &[support::Edit::Put("etc/newer", b"1".to_vec())]);
    let newer = ground.base.at("newer");
    let line = ["post-run", &opened, "--private-key", &key, "--base"];
    let said = pht_oci(&[&line[..], &[&newer]].concat(), &[]).refused(2).stderr;
    assert!(said.contains("creator has signed"), "{said}");
    // The base itself and the train as built are both its base.
    for base in [ground.base.at("base"), source] {
        let to = ground.layout.at("closed");
        let line = ["post-run", &opened, &to, "--private-key", &key, "--base", &base];
        pht_oci(&line, &[]).ok();
    }
}

#[test]
fn the_published_files_are_the_signed_ones_with_their_modes() {
    if !support::available("wire3::published_files", &[support::Peer::Python]) {
        return;
    }
    let ground = Ground::new();
    ground.build("0", "ours");
    let (key, opened) = (ground.key("station_1"), ground.layout.at("opened"));
    pht_oci(&["pre-run", &ground.layout.at("0"), &opened, "--private-key", &key], &[]).ok();
    let config = ground.layout.train_config("opened");
    let view = ground.layout.view("opened", "opt/pht_train");
    let files = config["files"].as_array().expect("a list of files");
    assert_eq!(view.values().filter(|entry| entry["type"] == "file").count(), files.len());
    for file in files {
        let entry = &view[&format!("opt/pht_train/{}", file["path"].as_str().expect("a path"))];
        let mode = format!("0o{:o}", file["mode"].as_u64().expect("a mode"));
        assert_eq!((&entry["mode"], &entry["size"]), (&Value::from(mode), &file["size"]), "{}", file["path"]);
    }
    // Nothing has run: there is nothing to close.
    pht_oci(&["post-run", &ground.layout.at("0"), "--private-key", &key], &[]).refused(3);
}

/// What is signed is the uncompressed payload.
#[test]
fn recompression_is_no_change() {
    if !support::available("wire3::recompression", &[support::Peer::Python, support::Peer::Skopeo]) {
        return;
    }
    let ground = Ground::new();
    ground.build("0", "ours");
    for stop in 0..STATIONS {
        let (from, squeezed) = (stop.to_string(), format!("{stop}-squeezed"));
        // Skopeo compresses into a directory only.
        let (dir, other) = (format!("dir:{}", ground.path("dir")), support::Layout::new(ground.path(&squeezed)));
        let format = if stop == 1 { "zstd" } else { "gzip" };
        let copy = |line: &[&str]| {
            run("skopeo", &[&["--insecure-policy", "copy", "-q"], line].concat())
                .unwrap_or_else(|told| panic!("{told}"))
        };
        copy(&["--dest-compress", "--dest-compress-format", format, &ground.layout.at(&from), &dir]);
        copy(&[&dir, &other.at(&squeezed)]);
        assert_ne!(ground.layout.layers(&from), other.layers(&squeezed));
        other.only(&squeezed, &ground.layout.dir);
        ground.stop(&squeezed, &(stop + 1).to_string(), stop);
    }
    check_results(&ground, "3");
}
