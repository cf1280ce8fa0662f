//! `copy` of several tags, and the two names of a train as built.

use std::path::Path;

use serde_json::Value;
use support::tree::{differences, snapshot};
use support::vectors::Vectors;
use support::wire3::Wire3Fixture;
use support::{Layout, Peer, Wire, available, pht_oci, utf8};

/// A train as built, alone in a layout, with both of its names.
fn built(fixture: &Wire3Fixture) -> Layout {
    fixture.build("latest", "train-1");
    fixture.layout.only("latest", fixture.path("alone"));
    fixture.build("latest", "train-1");
    Layout::new(fixture.layout.dir.clone())
}

fn digest(layout: &Layout, tag: &str) -> Value {
    layout.image(tag)["descriptor"]["digest"].clone()
}

#[test]
fn base_and_latest_are_two_manifests_of_one_image() {
    if !available("copying::base_and_latest", &[Peer::Python]) {
        return;
    }
    let fixture = Wire3Fixture::prepare();
    let train = built(&fixture);
    assert_eq!(train.tags(), ["latest", "base"]);
    let (latest, base) = (train.image("latest"), train.image("base"));
    assert_ne!(digest(&train, "latest"), digest(&train, "base"));
    assert_eq!(latest["manifest"]["config"], base["manifest"]["config"]);
    assert_eq!(latest["manifest"]["layers"], base["manifest"]["layers"]);
    assert_eq!(latest["manifest"].get("annotations"), None);
    assert_eq!(base["manifest"]["annotations"].as_object().map(serde_json::Map::len), Some(1));
    // Any other tag is one image, and a place that holds one image gets one.
    fixture.build("mine", "train-1");
    assert_eq!(train.tags(), ["latest", "base", "mine"]);
}

#[test]
fn several_tags_travel_together_wherever_there_is_room() {
    if !available("copying::several_tags", &[Peer::Python]) {
        return;
    }
    let fixture = Wire3Fixture::prepare();
    let train = built(&fixture);
    let both = [digest(&train, "latest"), digest(&train, "base")];
    let archive = format!("oci-archive:{}", fixture.path("both.tar"));
    for (from, to) in
        [(train.path(), archive.as_str()), (&archive, &fixture.path("again")), (train.path(), &fixture.path("reverse"))]
    {
        let tags = if to.ends_with("reverse") { "base,latest" } else { "latest,base" };
        let report = pht_oci(&["copy", "--tags", tags, from, to, "--format", "json"], &[]).ok().json();
        assert_eq!(report["digest"]["after"], both[0], "the travelling one");
        assert_eq!(report["notes"].as_array().map(Vec::len), Some(2), "{report}");
    }
    for name in ["again", "reverse"] {
        let copy = Layout::new(fixture.path(name));
        assert_eq!([digest(&copy, "latest"), digest(&copy, "base")], both);
    }
    let reverse = snapshot(Path::new(&fixture.path("reverse")));
    assert!(differences(&snapshot(Path::new(&fixture.path("again"))), &reverse, false).is_empty());
    // Both are in a Docker archive too, which has one entry for what is one image there.
    let docker = format!("docker-archive:{}", fixture.path("docker.tar"));
    pht_oci(&["copy", "--tags", "latest,base", train.path(), &docker], &[]).ok();
    for tag in ["latest", "base"] {
        pht_oci(&["inspect", &format!("{docker}:{tag}")], &[]).ok();
    }
}

#[test]
fn tags_that_cannot_be_copied() {
    if !available("copying::tags_that_cannot", &[Peer::Python]) {
        return;
    }
    let fixture = Wire3Fixture::prepare();
    let train = built(&fixture);
    let (latest, to) = (train.at("latest"), fixture.path("nothing here"));
    let dir = format!("dir:{to}");
    let tagged = format!("oci:{to}:other");
    for (what, line) in [
        ("no image has the tag `nowhere`", ["--tags", "latest,nowhere", train.path(), &to]),
        ("tags of several are asked for", ["--tags", "latest,base", &latest, &to]),
        ("tags of several are asked for", ["--tags", "latest,base", train.path(), &tagged]),
        ("asked for twice", ["--tags", "base,base", train.path(), &to]),
        ("room for one image only", ["--tags", "latest,base", train.path(), &dir]),
        ("are the same image", ["--tags", "latest,base", train.path(), train.path()]),
    ] {
        let message = pht_oci(&[&["copy"][..], &line].concat(), &[]).refused(2).stderr;
        assert!(message.contains(what), "{what}: {message}");
        assert!(!Path::new(&to).exists(), "{what}: something was left at {}", utf8(Path::new(&to)));
    }
}

/// A mistake of the person, which no second try mends.
#[test]
fn a_file_is_no_place_for_a_layout() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("file");
    std::fs::write(&file, "something else").expect("a file");
    let train = Layout::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/wire-3/layout")).at("2");
    for form in ["oci", "dir"] {
        let message = pht_oci(&["copy", &train, &format!("{form}:{}", utf8(&file))], &[]).refused(2).stderr;
        assert!(message.contains("not a directory") && message.contains("hint: "), "{form}: {message}");
        assert_eq!(std::fs::read(&file).expect("the file"), b"something else");
    }
}

/// The reference leaves no label on what it opens; what the files are tells.
#[test]
fn what_the_reference_has_opened_is_not_carried_away() {
    for wire in [Wire::V1_1_1, Wire::V1_1_2, Wire::V2_0] {
        let vectors = Vectors::ours(wire);
        let archive = format!("oci-archive:{}:x", vectors.dir.path().join("out.tar").display());
        for tag in ["0-built", "base", "1-pre", "1-ran", "1-post", "2-pre", "2-ran", "2-post"] {
            let image = vectors.layout.at(tag);
            // Before the first signature, results may come from the master image, and wires before 2.0 encrypt no code.
            let is_open = match tag {
                "2-pre" | "2-ran" => true,
                "1-pre" | "1-ran" => wire == Wire::V2_0,
                _ => false,
            };
            let outcome = pht_oci(&["copy", &image, &archive], &[]);
            let report = pht_oci(&["verify", &image, "--format", "json"], &[]);
            if is_open {
                assert!(outcome.refused(3).stderr.contains("the train is open"), "{wire:?} {tag}");
                assert_eq!(report.json()["verdict"], "open", "{wire:?} {tag}");
                pht_oci(&["copy", &image, &archive, "--allow-open"], &[]).ok();
            } else {
                outcome.ok();
                assert_ne!(report.json()["verdict"], "open", "{wire:?} {tag}");
            }
        }
    }
}
