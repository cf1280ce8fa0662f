//! Thin archives: a train without the layers that its receiver has.

use std::fs;
use std::path::Path;

use serde_json::Value;
use support::tree::{differences, noise, snapshot};
use support::wire3::{STATIONS, Wire3Fixture};
use support::{Edit, Layout, Peer, available, pht_oci, run, utf8};

/// A train on a large master image, and that image.
fn fixture() -> Wire3Fixture {
    let fixture = Wire3Fixture::prepare();
    fixture.base.append("base", "grown", &[Edit::Put("usr/lib/large.bin", noise(3 << 20))]);
    let config = fixture.base.image("grown");
    assert_eq!(config["manifest"]["layers"].as_array().map(Vec::len), Some(2));
    fixture.base.tag("grown", "base");
    fixture.build("latest", "train-1");
    fixture
}

fn size(path: &str) -> u64 {
    fs::metadata(path).expect("an archive").len()
}

fn digest(place: &str) -> Value {
    pht_oci(&["inspect", place, "--format", "json"], &[]).ok().json()["digest"].clone()
}

#[test]
fn a_journey_with_the_stick_alone() {
    if !available("thin::a_journey", &[Peer::Python]) {
        return;
    }
    let fixture = fixture();
    let (master, whole) = (fixture.base.at("base"), fixture.layout.at("latest"));
    let base: Vec<String> = fixture.base.layers("base");
    let stick = fixture.path("stick.tar");
    let place = format!("oci-archive:{stick}:latest");
    let report = pht_oci(&["copy", &whole, &place, "--without", &master, "--format", "json"], &[]).ok().json();
    for layer in &base {
        assert!(report["notes"].to_string().contains(layer.as_str()), "{report}");
    }
    let payload: u64 = fixture.layout.image("latest")["manifest"]["layers"].as_array().expect("layers")[base.len()..]
        .iter()
        .map(|layer| layer["size"].as_u64().expect("a size"))
        .sum();
    assert!(size(&stick) < payload + 65_536, "{} of {payload}", size(&stick));
    assert_eq!(digest(&place), digest(&whole), "it is the same image");
    // What is not here is said to be missing, and not vouched for.
    let found = pht_oci(&["verify", &place, "--format", "json"], &[]).ok().json();
    assert!(found["warnings"].to_string().contains("thin"), "{found}");
    let message = pht_oci(&["verify", &place, "--all-layers"], &[]).refused(5).stderr;
    assert!(message.contains(&base[0]), "{message}");
    let found = pht_oci(&["inspect", &place, "--format", "json"], &[]).ok().json();
    assert_eq!(found["left_out"], base.len(), "{found}");
    // Each station opens, runs and closes it; the next stick is as thin.
    let mut from = place;
    for stop in 0..STATIONS {
        let key = fixture.key(&format!("station_{}", stop + 1));
        let (work, next) = (fixture.path(&format!("work-{stop}")), fixture.path(&format!("stick-{stop}.tar")));
        let results = fixture.path(&format!("out-{stop}"));
        let opened = format!("oci:{work}:open");
        pht_oci(&["pre-run", &from, &opened, "--private-key", &key, "--results", &results], &[]).ok();
        assert!(!Path::new(&format!("{work}/blobs/sha256/{}", &base[1][7..])).exists());
        support::tree::copy(Path::new(&fixture.results(stop)), Path::new(&results));
        let to = format!("oci-archive:{next}:latest");
        pht_oci(&["post-run", &opened, &to, "--private-key", &key, "--results", &results], &[]).ok();
        assert!(size(&next) < 2 << 20, "the stick has grown: {}", size(&next));
        from = to;
    }
    let (out, creator) = (fixture.path("results-of-all"), fixture.key("creator"));
    pht_oci(&["results", &from, "--private-key", &creator, "--out", &out], &[]).ok();
    support::wire3::same(&fixture.results(STATIONS - 1), &out);
    // Completed, it is whole again: by digest, for other tools too.
    let done = fixture.path("whole");
    pht_oci(&["copy", &from, &format!("oci:{done}:latest"), "--with", &master], &[]).ok();
    let layout = Layout::new(done.clone());
    assert_eq!(layout.image("latest")["descriptor"]["digest"], digest(&from));
    assert_eq!(layout.image("latest")["descriptor"]["annotations"].as_object().map(serde_json::Map::len), Some(1));
    assert_eq!(layout.cat("latest", "usr/lib/large.bin"), noise(3 << 20));
    if run("skopeo", &["--version"]).is_ok() {
        run("skopeo", &["copy", &format!("oci:{done}:latest"), &format!("dir:{}", fixture.path("skopeo"))]).unwrap();
    }
}

#[test]
fn what_is_thin_says_so_and_what_is_wrong_is_named() {
    if !available("thin::what_is_thin", &[Peer::Python]) {
        return;
    }
    let fixture = fixture();
    let (master, whole) = (fixture.base.at("base"), fixture.layout.at("latest"));
    let base: Vec<String> = fixture.base.layers("base");
    let thin = format!("oci:{}:latest", fixture.path("thin"));
    pht_oci(&["copy", &whole, &thin, "--without", &master], &[]).ok();
    let index = fs::read_to_string(fixture.path("thin/index.json")).expect("an index");
    assert!(base.iter().all(|layer| index.contains(layer.as_str())), "{index}");
    // A thin copy of a thin one, and a place that has the layers.
    let again = format!("oci-archive:{}:latest", fixture.path("again.tar"));
    pht_oci(&["copy", &thin, &again], &[]).ok();
    let there = format!("oci:{}:train", fixture.base.path());
    pht_oci(&["copy", &again, &there], &[]).ok();
    assert_eq!(fixture.base.image("train")["descriptor"]["annotations"].as_object().map(serde_json::Map::len), Some(1));
    pht_oci(&["copy", &there, &format!("dir:{}", fixture.path("copied"))], &[]).ok();
    // Where images are whole, a thin one cannot be.
    let none = fixture.path("none");
    for (status, line, told) in [
        (5, vec!["copy", &thin, &format!("dir:{none}")], base[0].as_str()),
        (5, vec!["copy", &again, &format!("docker-archive:{none}:t:1")], &base[0]),
        (2, vec!["copy", &whole, &format!("dir:{none}"), "--without", &master], "whole"),
        (2, vec!["copy", &whole, &none, "--without", &whole], "no layer of its own"),
        (2, vec!["copy", &whole, &none, "--without", &format!("{}:pre", fixture.layout.path())], "pre"),
        (5, vec!["extract", &thin, "/usr/lib/large.bin", "--out", &none], &base[1]),
        (5, vec!["validate", &thin, "--master", &fixture.base.at("train")], ""),
    ] {
        let message = pht_oci(&line, &[]).expect(status);
        match message {
            Ok(outcome) => assert!(outcome.stderr.contains(told), "{line:?}: {}", outcome.stderr),
            Err(message) => assert!(told.is_empty(), "{message}"),
        }
        assert!(!Path::new(&none).exists(), "{line:?}");
    }
    let message = pht_oci(&["extract", &thin, "/usr/lib/large.bin"], &[]).refused(5).stderr;
    assert!(message.contains("thin") && message.contains("--with"), "{message}");
    // Another image, one without a layer, one with a changed layer.
    let other = Layout::new(fixture.path("other"));
    other.make_base("base", false);
    other.append("base", "other", &[Edit::Put("etc/other", b"1".to_vec())]);
    let message = pht_oci(&["copy", &thin, &none, "--with", &other.at("other")], &[]).refused(5).stderr;
    assert!(message.contains(&base[1]), "{message}");
    let copy = Layout::new(fixture.path("copy"));
    pht_oci(&["copy", &master, &copy.at("base")], &[]).ok();
    let blob = copy.blob(&base[1]);
    let mut bytes = fs::read(&blob).expect("a layer");
    bytes[1000] ^= 1;
    // The file is the original's, too.
    fs::remove_file(&blob).and_then(|()| fs::write(&blob, bytes)).expect("a layer");
    let message = pht_oci(&["copy", &thin, &none, "--with", &copy.at("base")], &[]).refused(3).stderr;
    assert!(message.contains(&base[1]), "{message}");
    fs::remove_file(&blob).expect("a layer");
    let message = pht_oci(&["copy", &thin, &none, "--with", &copy.at("base")], &[]).refused(5).stderr;
    assert!(message.contains(&base[1]), "{message}");
    assert!(!Path::new(&none).exists());
}

#[test]
fn whole_images_are_completed_with_what_they_have() {
    if !available("thin::whole_images", &[Peer::Python]) {
        return;
    }
    let fixture = fixture();
    let (master, whole) = (fixture.base.at("base"), fixture.layout.at("latest"));
    let none = fixture.path("none");
    pht_oci(&["copy", &whole, &none, "--with", &master], &[]).ok();
    let copied = snapshot(Path::new(&format!("{none}/blobs")));
    let plain = fixture.path("plain");
    pht_oci(&["copy", &whole, &plain], &[]).ok();
    assert!(
        differences(&copied, &snapshot(Path::new(&format!("{plain}/blobs"))), false).is_empty(),
        "{}",
        utf8(Path::new(&plain))
    );
}
