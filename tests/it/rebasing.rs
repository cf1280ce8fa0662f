//! `rebase`: the same train on a newer master image, carried on by the program and by the reference.

use std::fs;

use serde_json::{Value, json};

use support::rebasing::{new_master, results};
use support::tree::{differences, snapshot};
use support::{Edit, Implementation, Layout, Peer, Train, TrainSpec, Wire, available, pht_oci};

/// The image at `tag` is the train on the newer master image.
#[track_caller]
fn check_is_rebased((layout, base): (&Layout, &Layout), tag: &str) {
    let (image, newer) = (layout.image(tag), base.image("newer"));
    let ids = |image: &Value| image["config"]["rootfs"]["diff_ids"].as_array().expect("diff IDs").clone();
    let (own, of_base) = (ids(&image), ids(&newer));
    assert_eq!(own[..of_base.len()], of_base, "{tag}: the layers of the base");
    assert_eq!(own.len(), of_base.len() + 2, "{tag}: layers above the base");
    let config = &image["config"]["config"];
    assert_eq!(config["Env"], newer["config"]["config"]["Env"], "{tag}");
    assert_eq!(config["Labels"]["org.example.base"], "newer", "{tag}");
    assert_eq!(config["Labels"]["de.personalhealthtrain.base-layers"], of_base.len().to_string(), "{tag}");
    assert!(config["Cmd"].to_string().contains("entrypoint.sh"), "{tag}: the train's command, not {}", config["Cmd"]);
    let view = layout.view(tag, "");
    assert!(view.contains_key("usr/lib/fixed"), "{tag}");
    assert!(!view.contains_key("opt/pht_train/stray"), "{tag}: a file of the base shows among the train's");
    pht_oci(&["validate", &layout.at(tag), "--master", &base.at("newer")], &[]).ok();
}

/// What lies under the train's paths is byte for byte the same.
#[track_caller]
fn check_is_same_train(train: &Train, before: &str, after: &str) {
    for root in ["opt/pht_train", "opt/pht_results", "opt/train_config.json", "opt/user_sym_key.key"] {
        let at = |tag: &str| {
            let mut view = train.layout.view(tag, root);
            view.values_mut().for_each(|entry| drop(entry.as_object_mut().expect("an entry").remove("mtime")));
            view
        };
        // Directories that the old image had no entry for have one now.
        let (before, mut after) = (at(before), at(after));
        after.retain(|path, entry| before.contains_key(path) || entry["type"] != "directory");
        let stamped = |view: &support::layout::View| view.contains_key("opt/user_sym_key.key");
        if stamped(&before) == stamped(&after) {
            assert_eq!(after, before, "{root}");
        }
    }
}

#[test]
fn a_rebased_train_goes_on() {
    if !available("rebasing::a_rebased_train_goes_on", &[Peer::Python]) {
        return;
    }
    for wire in Wire::ALL {
        let train = Train::build(Implementation::Ours, wire, &TrainSpec::default())
            .unwrap_or_else(|message| panic!("{message}"));
        let (newer, layout) = (new_master(&train), &train.layout);
        let rebase = |from: &str, to: &str, more: &[&str]| {
            let line = ["rebase", &layout.at(from), &layout.at(to), "--base", &newer, "--format", "json"];
            pht_oci(&[&line, more].concat(), &[]).ok().json()
        };
        // As built, its old base given and checked.
        let report = rebase("0", "0-new", &["--old-base", &train.base.at("base")]);
        assert_eq!(report["layers"]["reused"], 3, "{report}");
        check_is_rebased((&train.layout, &train.base), "0-new");
        check_is_same_train(&train, "0", "0-new");
        // Not opened is not to be closed.
        let key = train.key(&train.station_id(0));
        pht_oci(&["post-run", &layout.at("0-new"), &layout.at("x"), "--private-key", &key], &[]).refused(3);
        train
            .stop(Implementation::Ours, "0-new", "1", 0, &results(&train, 0))
            .unwrap_or_else(|message| panic!("{message}"));
        check_is_rebased((&train.layout, &train.base), "1");
        // Between two stations, and back again on the old base.
        train
            .stop(Implementation::Ours, "0", "1-old", 0, &results(&train, 0))
            .unwrap_or_else(|message| panic!("{message}"));
        rebase("1-old", "1-new", &[]);
        check_is_rebased((&train.layout, &train.base), "1-new");
        check_is_same_train(&train, "1-old", "1-new");
        train
            .stop(Implementation::Ours, "1-new", "2", 1, &results(&train, 1))
            .unwrap_or_else(|message| panic!("{message}"));
        check_is_rebased((&train.layout, &train.base), "2");
        train
            .stop(Implementation::Ours, "2", "3", 2, &results(&train, 2))
            .unwrap_or_else(|message| panic!("{message}"));
        train.check_results("3", &results(&train, 2), true).unwrap_or_else(|message| panic!("{message}"));
    }
}

#[test]
fn in_place_nothing_of_the_old_image_stays() {
    if !available("rebasing::in_place", &[Peer::Python]) {
        return;
    }
    let train = Train::build(Implementation::Ours, Wire::V2_0, &TrainSpec::default())
        .unwrap_or_else(|message| panic!("{message}"));
    let newer = new_master(&train);
    train.layout.tag("0", "latest");
    let alone = train.layout.only("latest", train.dir.path().join("alone"));
    alone.tag("latest", "base");
    pht_oci(&["rebase", &alone.at("latest"), "--base", &newer], &[]).ok();
    check_is_rebased((&alone, &train.base), "latest");
    let digest = |tag: &str| alone.image(tag)["descriptor"]["digest"].clone();
    assert_ne!(digest("latest"), digest("base"), "registries count and delete by digest");
    assert_eq!(alone.layers("latest"), alone.layers("base"), "the tag `base` is the train on its new base");
    let blobs = fs::read_dir(alone.dir.join("blobs/sha256")).expect("blobs").count();
    assert_eq!(blobs, alone.layers("latest").len() + 3, "two manifests, config and layers, and nothing else");
}

#[test]
fn what_is_not_taken_along_is_named() {
    if !available("rebasing::what_is_not_taken_along", &[Peer::Python]) {
        return;
    }
    let train = Train::build(Implementation::Ours, Wire::V2_0, &TrainSpec::default())
        .unwrap_or_else(|message| panic!("{message}"));
    let newer = new_master(&train);
    train.layout.append("0", "more", &[Edit::Put("usr/lib/of-the-train", b"lost\n".to_vec())]);
    train.layout.merge_config("more", "more", &json!({ "Labels": { "own": "kept" } }));
    let line = ["rebase", &train.layout.at("more"), &train.layout.at("new"), "--base", &newer, "--format", "json"];
    let old = train.base.at("base");
    let report = pht_oci(&[&line[..], &["--old-base", &old]].concat(), &[]).ok().json();
    assert!(report["warnings"].to_string().contains("/usr/lib/of-the-train"), "{report}");
    assert_eq!(train.layout.image("new")["config"]["config"]["Labels"]["own"], "kept");
    // Without labels and without the old base it cannot be told what is the train's.
    pht_oci(&line, &[]).refused(2);
    assert!(!train.layout.view("new", "").contains_key("usr/lib/of-the-train"));
}

#[test]
fn refusals_say_why_and_change_nothing() {
    if !available("rebasing::refusals", &[Peer::Python]) {
        return;
    }
    let build = |wire| {
        Train::build(Implementation::Ours, wire, &TrainSpec::default()).unwrap_or_else(|message| panic!("{message}"))
    };
    let (train, signed) = (build(Wire::V2_0), build(Wire::V3));
    let (newer, layout) = (new_master(&train), &train.layout);
    train.ours("pre-run", "0", "open", 0).unwrap_or_else(|message| panic!("{message}"));
    // As an engine without labels commits it.
    layout.merge_config("open", "unlabelled", &json!({ "Labels": {} }));
    train.base.reform("image", &["newer", "other", "--architecture", "s390x"]);
    train.put("0", "results", 0, &results(&train, 0));
    let mut config = layout.train_config("0");
    config["build"]["signature"] = config["signature"].clone();
    layout.append("0", "forged", &[Edit::Put("opt/train_config.json", config.to_string().into_bytes())]);
    train.base.make_base("stranger", false);
    train.base.reform("image", &["stranger", "stranger", "--compress", "plain"]);
    train.base.append("stranger", "stranger", &[Edit::Put("etc/os-release", b"ID=stranger\n".to_vec())]);
    let (other, stranger, old) = (train.base.at("other"), train.base.at("stranger"), train.base.at("base"));
    let own = layout.at("0");
    let before = snapshot(&layout.dir);
    for (image, options, status, message) in [
        (signed.layout.at("0"), vec!["--base", &newer], 2, "creator has signed the base"),
        (layout.at("open"), vec!["--base", &newer], 3, "open"),
        (layout.at("unlabelled"), vec!["--base", &newer, "--old-base", &old], 3, "open"),
        (layout.at("results"), vec!["--base", &newer], 3, "no station has signed"),
        (layout.at("forged"), vec!["--base", &newer], 3, "build"),
        (layout.at("0"), vec!["--base", &newer, "--old-base", &stranger], 2, "not based on this image"),
        (layout.at("0"), vec!["--base", &own], 2, "a train itself"),
        (layout.at("0"), vec!["--base", &other], 2, "s390x"),
        (layout.at("absent"), vec!["--base", &newer], 2, "absent"),
        (train.base.at("base"), vec!["--base", &newer], 5, "not a train"),
    ] {
        let refused = pht_oci(&[&["rebase", &image], &options[..]].concat(), &[]).refused(status);
        assert!(refused.stderr.contains(message), "{image} {options:?}: {}", refused.stderr);
    }
    assert_eq!(differences(&before, &snapshot(&layout.dir), true), Vec::<String>::new());
}

/// The other family of media types, and the other way round.
#[test]
fn the_new_base_decides_the_family() {
    if !available("rebasing::the_new_base_decides_the_family", &[Peer::Python]) {
        return;
    }
    let train = Train::build(Implementation::Ours, Wire::V2_0, &TrainSpec::default())
        .unwrap_or_else(|message| panic!("{message}"));
    new_master(&train);
    train.base.reform("image", &["newer", "newer", "--docker"]);
    pht_oci(&["rebase", &train.layout.at("0"), &train.layout.at("new"), "--base", &train.base.at("newer")], &[]).ok();
    let manifest = &train.layout.image("new")["manifest"];
    assert!(manifest["mediaType"].as_str().is_some_and(|kind| kind.contains("docker")), "{manifest}");
    assert!(
        manifest["layers"].as_array().expect("layers").iter().all(|l| l["mediaType"].to_string().contains("docker"))
    );
    check_is_rebased((&train.layout, &train.base), "new");
    let results = results(&train, 0);
    train.stop(Implementation::Ours, "new", "1", 0, &results).unwrap_or_else(|message| panic!("{message}"));
    train.check_results("1", &results, true).unwrap_or_else(|message| panic!("{message}"));
}
