//! Wire version 3 against a second implementation, written in Python from the specification alone.

mod attacks;
mod image;
mod vectors;

use serde_json::Value;

use support::peers::cryptography;
use support::pht_oci;
use support::wire3::{STATIONS, Wire3Fixture, check_results, same};

fn python() -> Option<String> {
    cryptography("wire3")
}

#[test]
fn the_peer_reads_what_the_program_wrote() {
    let Some(python) = python() else { return };
    let fixture = Wire3Fixture::prepare();
    fixture.build("0", "ours");
    let tags: Vec<String> = (0..=STATIONS).map(|tag| tag.to_string()).collect();
    for stop in 0..STATIONS {
        fixture.stop(&tags[stop], &tags[stop + 1], stop);
    }
    for (signed, tag) in tags.iter().enumerate() {
        let message: Value =
            serde_json::from_slice(&fixture.peer(&python, &["verify", fixture.layout.path(), tag])).unwrap();
        assert_eq!(message["signed"], signed);
        for reader in ["creator", &format!("station_{}", signed + 1)] {
            if signed == STATIONS && reader != "creator" {
                continue;
            }
            let out = fixture.path(&format!("peer-{tag}-{reader}"));
            let key = fixture.key(reader);
            fixture.peer(&python, &["open", fixture.layout.path(), tag, "--key", &key, "--out", &out]);
            same(&fixture.path("files"), &format!("{out}/pht_train"));
            if signed > 0 {
                same(&fixture.results(signed - 1), &format!("{out}/pht_results"));
            }
        }
    }
    check_results(&fixture, &tags[STATIONS]);
}

#[test]
fn the_program_accepts_what_the_peer_built() {
    let Some(python) = python() else { return };
    let fixture = Wire3Fixture::prepare();
    fixture.build_by_peer(&python, "0");
    for stop in 0..STATIONS {
        fixture.stop(&stop.to_string(), &(stop + 1).to_string(), stop);
    }
    check_results(&fixture, "3");
}

#[test]
fn stations_of_both_kinds_mix() {
    let Some(python) = python() else { return };
    let fixture = Wire3Fixture::prepare();
    fixture.build("0", "ours");
    fixture.stop_by_peer(&python, "0", "1", 0);
    fixture.stop("1", "2", 1);
    fixture.stop_by_peer(&python, "2", "3", 2);
    check_results(&fixture, "3");
}

#[test]
fn another_base_is_refused_with_the_reason() {
    if !support::available("wire3::another_base", &[support::Peer::Python]) {
        return;
    }
    let fixture = Wire3Fixture::prepare();
    fixture.build("0", "ours");
    let (key, source, opened) = (fixture.key("station_1"), fixture.layout.at("0"), fixture.layout.at("opened"));
    pht_oci(&["pre-run", &source, &opened, "--private-key", &key], &[]).ok();
    fixture.base.append("base", "newer", &[support::Edit::Put("etc/newer", b"1".to_vec())]);
    let newer = fixture.base.at("newer");
    let line = ["post-run", &opened, "--private-key", &key, "--base"];
    let message = pht_oci(&[&line[..], &[&newer]].concat(), &[]).refused(2).stderr;
    assert!(message.contains("creator signed"), "{message}");
    // The base itself and the train as built are both its base.
    for base in [fixture.base.at("base"), source] {
        let to = fixture.layout.at("closed");
        let line = ["post-run", &opened, &to, "--private-key", &key, "--base", &base];
        pht_oci(&line, &[]).ok();
    }
}

#[test]
fn the_published_files_are_the_signed_ones_with_their_modes() {
    if !support::available("wire3::published_files", &[support::Peer::Python]) {
        return;
    }
    let fixture = Wire3Fixture::prepare();
    fixture.build("0", "ours");
    let (key, opened) = (fixture.key("station_1"), fixture.layout.at("opened"));
    pht_oci(&["pre-run", &fixture.layout.at("0"), &opened, "--private-key", &key], &[]).ok();
    let config = fixture.layout.train_config("opened");
    let view = fixture.layout.view("opened", "opt/pht_train");
    let files = config["files"].as_array().expect("a list of files");
    assert_eq!(view.values().filter(|entry| entry["type"] == "file").count(), files.len());
    for file in files {
        let entry = &view[&format!("opt/pht_train/{}", file["path"].as_str().expect("a path"))];
        let mode = format!("0o{:o}", file["mode"].as_u64().expect("a mode"));
        assert_eq!((&entry["mode"], &entry["size"]), (&Value::from(mode), &file["size"]), "{}", file["path"]);
    }
    // Nothing has run: there is nothing to close.
    pht_oci(&["post-run", &fixture.layout.at("0"), "--private-key", &key], &[]).refused(3);
}
