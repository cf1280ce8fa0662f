//! `ls` and `diff`: what is in a place, and in what two trains differ.

use serde_json::{Value, json};
use support::{Implementation, Train, TrainSpec, Wire, pht_oci, utf8};

fn printed(line: &[&str]) -> String {
    String::from_utf8(pht_oci(line, &[]).ok().stdout).unwrap()
}

#[test]
fn the_images_of_every_place_are_listed() {
    let train = Train::build(Implementation::Ours, Wire::V3, &TrainSpec::default()).unwrap();
    let path = |name: &str| utf8(&train.dir.path().join(name)).to_owned();
    let (archive, docker, single) = (path("oci.tar"), path("docker.tar"), path("single"));
    pht_oci(&["copy", &train.layout.at("0"), &format!("oci-archive:{archive}:here")], &[]).ok();
    pht_oci(&["copy", &train.layout.at("0"), &format!("docker-archive:{docker}:r.example/t:here")], &[]).ok();
    pht_oci(&["copy", &train.layout.at("0"), &format!("dir:{single}")], &[]).ok();

    let index: Value = serde_json::from_slice(&std::fs::read(train.layout.dir.join("index.json")).unwrap()).unwrap();
    let listed: Vec<Value> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
        .map(|(place, image)| {
            let tag = &image["annotations"]["org.opencontainers.image.ref.name"];
            json!({ "place": place, "tag": tag, "digest": image["digest"] })
        })
        .collect();
    assert!(listed.len() > 1, "{index}");
    let found = pht_oci(&["ls", train.layout.path(), "--format", "json"], &[]).ok().json();
    assert_eq!(found["images"], Value::from(listed.clone()));
    let text = printed(&["ls", train.layout.path()]);
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    let expected: Vec<Vec<&str>> =
        listed.iter().map(|image| vec![image["tag"].as_str().unwrap(), image["digest"].as_str().unwrap()]).collect();
    assert_eq!(lines, expected);

    assert!(printed(&["ls", &archive]).starts_with("here  sha256:"));
    assert!(printed(&["ls", &docker]).starts_with("r.example/t:here  sha256:"));
    // What was asked for is data: it is printed even where only errors are to be shown.
    let alone = printed(&["ls", &single, "--quiet"]);
    assert!(alone.starts_with("-  sha256:"), "{alone}");
    pht_oci(&["inspect", &format!("dir:{single}")], &[]).ok();

    // What has no tag is named by its place.
    let layout = train.layout.dir.join("index.json");
    let mut untagged = index.clone();
    untagged["manifests"][1].as_object_mut().unwrap().remove("annotations");
    std::fs::write(&layout, untagged.to_string()).unwrap();
    let text = printed(&["ls", train.layout.path()]);
    assert_eq!(text.lines().nth(1).and_then(|line| line.split_whitespace().next()), Some("@1"), "{text}");
    pht_oci(&["inspect", &format!("{}:@1", train.layout.path())], &[]).ok();
}

#[test]
fn one_image_is_no_list_and_nothing_is_none() {
    let train = Train::build(Implementation::Ours, Wire::V3, &TrainSpec::default()).unwrap();
    let message = pht_oci(&["ls", &train.layout.at("0")], &[]).refused(2).stderr;
    assert!(message.contains("ls lists all") && message.contains("leave out the tag"), "{message}");
    let nowhere = utf8(&train.dir.path().join("nowhere")).to_owned();
    pht_oci(&["ls", &nowhere], &[]).refused(2);
    pht_oci(&["ls", utf8(train.dir.path())], &[]).refused(5);
}

#[test]
fn trains_differ_in_what_a_station_has_done() {
    let train = Train::build(Implementation::Ours, Wire::V3, &TrainSpec::default()).unwrap();
    let (one, key) = (train.layout.at("0"), train.key(&train.station_id(0)));
    let (open, two) = (train.layout.at("open"), train.layout.at("two"));
    pht_oci(&["pre-run", &one, &open, "--private-key", &key], &[]).ok();
    pht_oci(&["post-run", &open, &two, "--private-key", &key], &[]).ok();

    let found = pht_oci(&["diff", &one, &two, "--format", "json"], &[]).ok().json();
    let of = |subject: &str| {
        let differences = found["differences"].as_array().unwrap();
        differences.iter().find(|one| one["subject"] == subject).cloned().unwrap_or(Value::Null)
    };
    let signed = of(&format!("route[{}].signed", train.station_id(0)));
    assert_eq!((&signed["before"], &signed["after"]), (&json!(false), &json!(true)), "{found}");
    assert_eq!(of("next")["after"], train.station_id(1));
    assert_eq!(of("digest")["before"], pht_oci(&["inspect", &one, "--format", "json"], &[]).ok().json()["digest"]);
    // The code is what it was.
    for same in ["id", "hash", "creator_key", "master", "source"] {
        assert_eq!(of(same), Value::Null, "{found}");
    }
    let text = printed(&["diff", &one, &two]);
    assert!(text.contains(&format!("route[{}].signed\n  - false\n  + true\n", train.station_id(0))), "{text}");
    assert!(printed(&["diff", &one, &one]).contains("no difference"));

    // Other code is another hash.
    let spec = TrainSpec { entrypoint: "#!/bin/sh\nexit 1\n".to_owned(), ..TrainSpec::default() };
    let other = Train::build(Implementation::Ours, Wire::V3, &spec).unwrap();
    let text = printed(&["diff", &one, &other.layout.at("0")]);
    assert!(text.contains("\nhash\n"), "{text}");
    pht_oci(&["diff", &one], &[]).refused(2);
}
