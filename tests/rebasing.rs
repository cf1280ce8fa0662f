//! `rebase`: the same train on a newer master image, carried on by the program and by the reference.

mod support;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use support::peers::{reference, test_file};
use support::tree::{differences, snapshot, write_results};
use support::{Edit, Layout, Peer, Spec, Train, Who, Wire, available, pht_oci, run};

#[track_caller]
fn script(name: &str, layout: &Layout, arguments: &[&str]) {
    let script = test_file(&format!("support/{name}"));
    let line = [&[script.to_str().expect("a path in UTF-8"), arguments[0], layout.path()], &arguments[1..]].concat();
    run("python3", &line).unwrap_or_else(|told| panic!("{told}"));
}

/// A newer master image beside the old one: another layer at the bottom and one above, another environment and labels.
fn new_master(train: &Train) -> String {
    let base = &train.base;
    base.append("base", "newer", &[Edit::Put("usr/lib/fixed", b"fixed\n".to_vec())]);
    base.append("newer", "newer", &[Edit::Put("opt/pht_train/stray", b"of the master image\n".to_vec())]);
    let merge =
        json!({ "Env": ["PATH=/bin", "VERSION=2"], "Labels": { "org.example.base": "newer" }, "Cmd": ["/bin/no"] });
    script("layout.py", base, &["config", "newer", "newer", "--merge", &merge.to_string()]);
    base.at("newer")
}

fn results(train: &Train, stop: usize) -> std::path::PathBuf {
    let dir = train.dir.path().join(format!("results-{stop}"));
    if !dir.exists() {
        write_results(&dir, stop);
    }
    dir
}

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
        let train = Train::build(Who::Ours, wire, &Spec::default()).unwrap_or_else(|told| panic!("{told}"));
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
        train.stop(Who::Ours, "0-new", "1", 0, &results(&train, 0)).unwrap_or_else(|told| panic!("{told}"));
        check_is_rebased((&train.layout, &train.base), "1");
        // Between two stations, and back again on the old base.
        train.stop(Who::Ours, "0", "1-old", 0, &results(&train, 0)).unwrap_or_else(|told| panic!("{told}"));
        rebase("1-old", "1-new", &[]);
        check_is_rebased((&train.layout, &train.base), "1-new");
        check_is_same_train(&train, "1-old", "1-new");
        train.stop(Who::Ours, "1-new", "2", 1, &results(&train, 1)).unwrap_or_else(|told| panic!("{told}"));
        check_is_rebased((&train.layout, &train.base), "2");
        train.stop(Who::Ours, "2", "3", 2, &results(&train, 2)).unwrap_or_else(|told| panic!("{told}"));
        train.check_results("3", &results(&train, 2), true).unwrap_or_else(|told| panic!("{told}"));
    }
}

#[test]
fn in_place_nothing_of_the_old_image_stays() {
    if !available("rebasing::in_place", &[Peer::Python]) {
        return;
    }
    let train = Train::build(Who::Ours, Wire::V2_0, &Spec::default()).unwrap_or_else(|told| panic!("{told}"));
    let newer = new_master(&train);
    train.layout.tag("0", "latest");
    let alone = train.layout.only("latest", train.dir.path().join("alone"));
    alone.tag("latest", "base");
    pht_oci(&["rebase", &alone.at("latest"), "--base", &newer], &[]).ok();
    check_is_rebased((&alone, &train.base), "latest");
    let digest = |tag: &str| alone.image(tag)["descriptor"]["digest"].clone();
    assert_eq!(digest("latest"), digest("base"), "the tag `base` is the train on its new base");
    let blobs = fs::read_dir(alone.dir.join("blobs/sha256")).expect("blobs").count();
    assert_eq!(blobs, alone.layers("latest").len() + 2, "manifest, config and layers, and nothing else");
}

#[test]
fn what_is_not_taken_along_is_named() {
    if !available("rebasing::what_is_not_taken_along", &[Peer::Python]) {
        return;
    }
    let train = Train::build(Who::Ours, Wire::V2_0, &Spec::default()).unwrap_or_else(|told| panic!("{told}"));
    let newer = new_master(&train);
    train.layout.append("0", "more", &[Edit::Put("usr/lib/of-the-train", b"lost\n".to_vec())]);
    script("layout.py", &train.layout, &["config", "more", "more", "--merge", r#"{"Labels": {"own": "kept"}}"#]);
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
    let build = |wire| Train::build(Who::Ours, wire, &Spec::default()).unwrap_or_else(|told| panic!("{told}"));
    let (train, signed) = (build(Wire::V2_0), build(Wire::V3));
    let (newer, layout) = (new_master(&train), &train.layout);
    train.ours("pre-run", "0", "open", 0).unwrap_or_else(|told| panic!("{told}"));
    // As an engine without labels commits it.
    script("layout.py", layout, &["config", "open", "unlabelled", "--merge", r#"{"Labels": {}}"#]);
    script("reform.py", &train.base, &["image", "newer", "other", "--architecture", "s390x"]);
    train.put("0", "results", 0, &results(&train, 0));
    let mut config = layout.train_config("0");
    config["build"]["signature"] = config["signature"].clone();
    layout.append("0", "forged", &[Edit::Put("opt/train_config.json", config.to_string().into_bytes())]);
    script("layout.py", &train.base, &["base", "stranger", "--compress", "plain"]);
    train.base.append("stranger", "stranger", &[Edit::Put("etc/os-release", b"ID=stranger\n".to_vec())]);
    let (other, stranger, old) = (train.base.at("other"), train.base.at("stranger"), train.base.at("base"));
    let own = layout.at("0");
    let before = snapshot(&layout.dir);
    for (image, options, status, told) in [
        (signed.layout.at("0"), vec!["--base", &newer], 2, "creator has signed the base"),
        (layout.at("open"), vec!["--base", &newer], 3, "open"),
        (layout.at("unlabelled"), vec!["--base", &newer, "--old-base", &old], 3, "open"),
        (layout.at("results"), vec!["--base", &newer], 3, "no station has signed"),
        (layout.at("forged"), vec!["--base", &newer], 3, "build"),
        (layout.at("0"), vec!["--base", &newer, "--old-base", &stranger], 2, "not based on it"),
        (layout.at("0"), vec!["--base", &own], 2, "a train itself"),
        (layout.at("0"), vec!["--base", &other], 2, "s390x"),
        (layout.at("absent"), vec!["--base", &newer], 2, "absent"),
        (train.base.at("base"), vec!["--base", &newer], 5, "not a train"),
    ] {
        let refused = pht_oci(&[&["rebase", &image], &options[..]].concat(), &[]).refused(status);
        assert!(refused.stderr.contains(told), "{image} {options:?}: {}", refused.stderr);
    }
    assert_eq!(differences(&before, &snapshot(&layout.dir), true), Vec::<String>::new());
}

/// The other family of media types, and the other way round.
#[test]
fn the_new_base_decides_the_family() {
    if !available("rebasing::the_new_base_decides_the_family", &[Peer::Python]) {
        return;
    }
    let train = Train::build(Who::Ours, Wire::V2_0, &Spec::default()).unwrap_or_else(|told| panic!("{told}"));
    new_master(&train);
    script("reform.py", &train.base, &["image", "newer", "newer", "--docker"]);
    pht_oci(&["rebase", &train.layout.at("0"), &train.layout.at("new"), "--base", &train.base.at("newer")], &[]).ok();
    let manifest = &train.layout.image("new")["manifest"];
    assert!(manifest["mediaType"].as_str().is_some_and(|kind| kind.contains("docker")), "{manifest}");
    assert!(
        manifest["layers"].as_array().expect("layers").iter().all(|l| l["mediaType"].to_string().contains("docker"))
    );
    check_is_rebased((&train.layout, &train.base), "new");
    let results = results(&train, 0);
    train.stop(Who::Ours, "new", "1", 0, &results).unwrap_or_else(|told| panic!("{told}"));
    train.check_results("1", &results, true).unwrap_or_else(|told| panic!("{told}"));
}

/// Trains that the reference built and carries, rebased by us before every station but the last.
#[test]
fn the_reference_carries_a_rebased_train() {
    if !available("rebasing::the_reference_carries", &[Peer::Reference, Peer::Python, Peer::Busybox]) {
        return;
    }
    for wire in Wire::ALL {
        let train = Train::build(Who::Reference, wire, &Spec::default()).unwrap_or_else(|told| panic!("{told}"));
        new_master(&train);
        let (layout, mut latest) = (&train.layout, "0".to_owned());
        for stop in 0..3 {
            let to = (stop + 1).to_string();
            if stop < 2 {
                let (from, master) = (layout.at(&latest), if stop == 0 { "newer" } else { "base" });
                latest = format!("{latest}-new");
                let line = ["rebase", &from, &layout.at(&latest), "--base", &train.base.at(master)];
                pht_oci(&line, &[]).ok();
                // By its convention the tag `base` is what the reference puts a later state on.
                layout.tag(&latest, "base");
                assert!(layout.view(&latest, "usr").is_empty() == (master == "base"), "{wire:?}: on {master}");
            }
            let written: &Path = &results(&train, stop);
            // A run by the reference, or pre-run and post-run by different programs.
            match stop {
                0 => train.stop(Who::Reference, &latest, &to, stop, written).unwrap_or_else(|told| panic!("{told}")),
                _ => {
                    let (pre, ran) = (format!("{to}-pre"), format!("{to}-ran"));
                    train.ours("pre-run", &latest, &pre, stop).unwrap_or_else(|told| panic!("{told}"));
                    train.put(&pre, &ran, 0, written);
                    let station = train.station_id(stop);
                    let options = ["--station", &station, "--key", &train.key(&station)];
                    let line = [wire.reference(), "post", layout.path(), &ran, &to];
                    reference(&[&line, &options[..]].concat()).unwrap_or_else(|told| panic!("{told}"));
                }
            }
            latest = to;
            train.check_results(&latest, written, false).unwrap_or_else(|told| panic!("{wire:?}: {told}"));
        }
        pht_oci(&["verify", &layout.at(&latest)], &[]).ok();
    }
}
