//! Journeys of trains that differ from the plain one: other keys, other ids, other file lists, other results.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use support::journey::{journey, written};
use support::tree::{differences, snapshot, write_results};
use support::{Edit, Implementation, Peer, Train, TrainSpec, Wire, available, pht_oci, utf8};

use Implementation::Ours;

#[test]
fn encrypted_keys_without_the_reference() {
    if !available("variants::encrypted_keys_without_the_reference", &[Peer::Python]) {
        return;
    }
    let spec = TrainSpec { password: Some("secret"), ..TrainSpec::default() };
    for wire in Wire::ALL {
        journey(Ours, wire, &spec, &[Ours, Ours, Ours], write_results);
    }
}

/// File lists as trains in the wild have them; the reference itself stumbles over these.
#[test]
fn other_prefixes_in_the_file_list() {
    if !available("variants::other_prefixes_in_the_file_list", &[Peer::Python]) {
        return;
    }
    for wire in Wire::ALL {
        let train = Train::build(Ours, wire, &TrainSpec::default()).unwrap_or_else(|message| panic!("{message}"));
        for (number, prefix) in ["./", "pht_train/", "/opt/pht_train/"].iter().enumerate() {
            let mut config = train.layout.train_config("0");
            let names = config["file_list"].as_array_mut().expect("a list of files");
            for name in names {
                *name = Value::from(format!("{prefix}{}", name.as_str().unwrap_or_default().trim_start_matches("./")));
            }
            let tag = format!("wild-{number}");
            train.layout.append("0", &tag, &[Edit::Put("opt/train_config.json", config.to_string().into_bytes())]);
            train.ours("pre-run", &tag, &format!("{tag}-pre"), 0).unwrap_or_else(|message| panic!("{message}"));
        }
    }
}

/// Fields of the train config that nobody knows survive a stage, value for value; `null` is as good as absent.
#[test]
fn unknown_and_null_fields() {
    if !available("variants::unknown_and_null_fields", &[Peer::Python]) {
        return;
    }
    for wire in Wire::ALL {
        let train = Train::build(Ours, wire, &TrainSpec::default()).unwrap_or_else(|message| panic!("{message}"));
        let mut config = train.layout.train_config("0");
        let strange =
            json!({ "number": 12_345_678_901_234_567_890_u64, "text": "\u{fc}\u{1f682}", "list": [1.50, null] });
        config["id"] = json!("2c2c");
        config["strange"] = strange.clone();
        config["result_hash"] = Value::Null;
        config["route"][0]["strange"] = strange.clone();
        config["creator"]["encrypted_key"] = Value::Null;
        train.layout.append("0", "odd", &[Edit::Put("opt/train_config.json", config.to_string().into_bytes())]);
        let results = written(&train, 0, write_results);
        train.stop(Ours, "odd", "1", 0, &results).unwrap_or_else(|message| panic!("{message}"));
        let after = train.layout.train_config("1");
        for (what, before, after) in [
            ("id", &config["id"], &after["id"]),
            ("strange", &strange, &after["strange"]),
            ("route[0].strange", &strange, &after["route"][0]["strange"]),
            ("session_id", &config["session_id"], &after["session_id"]),
        ] {
            assert_eq!(before, after, "{what}, wire {wire:?}");
        }
    }
}

/// Hard links: one inode with several names before post-run is one after the next pre-run, and for the creator.
#[test]
fn hard_links() {
    if !available("variants::hard_links", &[Peer::Python]) {
        return;
    }
    let write = |dir: &Path, stop: usize| {
        write_results(dir, stop);
        fs::hard_link(dir.join("noise.bin"), dir.join("again")).expect("a hard link");
        fs::hard_link(dir.join("noise.bin"), dir.join("sub/again")).expect("a hard link");
    };
    for wire in Wire::ALL {
        journey(Ours, wire, &TrainSpec::default(), &[Ours, Ours, Ours], write);
        let train = Train::build(Ours, wire, &TrainSpec::default()).unwrap_or_else(|message| panic!("{message}"));
        let results = written(&train, 0, write);
        train.stop(Ours, "0", "1", 0, &results).unwrap_or_else(|message| panic!("{message}"));
        train.ours("pre-run", "1", "1-pre", 1).unwrap_or_else(|message| panic!("{message}"));
        let names = json!(["opt/pht_results/again", "opt/pht_results/noise.bin", "opt/pht_results/sub/again"]);
        for tag in ["1-ran", "1", "1-pre"] {
            let view = train.layout.view(tag, "opt/pht_results");
            assert_eq!(view["opt/pht_results/noise.bin"]["names"], names, "{tag}, wire {wire:?}");
        }
    }
}

/// `--results DIR`: the results never enter the image in the clear, in either stage.
#[test]
fn results_beside_the_image() {
    if !available("variants::results_beside_the_image", &[Peer::Python]) {
        return;
    }
    for wire in Wire::ALL {
        let train = Train::build(Ours, wire, &TrainSpec::default()).unwrap_or_else(|message| panic!("{message}"));
        let layout = &train.layout;
        for stop in 0..3 {
            let (from, pre, to) = (layout.at(&stop.to_string()), layout.at("pre"), layout.at(&(stop + 1).to_string()));
            let station = train.station_id(stop);
            let (key, beside) = (train.key(&station), train.dir.path().join(format!("beside-{stop}")));
            let beside = utf8(&beside);
            let rest = ["--station", &station, "--private-key", &key, "--results", beside];
            pht_oci(&[&["pre-run", &from, &pre], &rest[..]].concat(), &[]).ok();
            if stop > 0 {
                let before = train.dir.path().join(format!("written-{}", stop - 1));
                let changes = differences(&snapshot(&before), &snapshot(Path::new(beside)), true);
                assert!(changes.is_empty(), "stop {stop}, wire {wire:?}: {changes:?}");
                fs::remove_dir_all(beside).expect("a directory to remove");
                fs::create_dir(beside).expect("a new directory");
            }
            let now = train.dir.path().join(format!("written-{stop}"));
            write_results(&now, stop);
            write_results(Path::new(beside), stop);
            pht_oci(&[&["post-run", &pre, &to], &rest[..]].concat(), &[]).ok();
            train.check_results(&(stop + 1).to_string(), &now, true).unwrap_or_else(|message| panic!("{message}"));
            assert!(layout.search(support::tree::MARKER).is_empty(), "plaintext in the layout, wire {wire:?}");
        }
    }
}
