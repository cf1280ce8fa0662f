//! Journeys of trains that differ from the plain one: other keys, other ids, other file lists, other results.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use support::tree::{differences, snapshot, write_results};
use support::{Edit, Peer, Spec, Train, Who, Wire, available, pht_oci};

use Who::{Ours, Reference};

/// Builds a train and carries it over as many stops as there are in `by`; the creator must get what was written last.
fn journey(builder: Who, wire: Wire, spec: &Spec, by: &[Who], write: fn(&Path, usize)) {
    let what = format!("built by {builder:?}, wire {wire:?}, carried by {by:?}");
    let train = Train::build(builder, wire, spec).unwrap_or_else(|told| panic!("{what}: {told}"));
    for (stop, who) in by.iter().enumerate() {
        let results = written(&train, stop, write);
        let (from, to) = (stop.to_string(), (stop + 1).to_string());
        let carried = train.stop(*who, &from, &to, stop, &results);
        let modes = !by.contains(&Reference);
        carried
            .and_then(|()| train.check_results(&to, &results, modes))
            .unwrap_or_else(|told| panic!("{what}: {told}"));
    }
}

fn written(train: &Train, stop: usize, write: fn(&Path, usize)) -> PathBuf {
    let dir = train.dir.path().join(format!("results-{stop}"));
    fs::create_dir(&dir).expect("a new directory");
    write(&dir, stop);
    dir
}

/// The journeys with the reference that a variant needs: either builder, the reference before and after the program.
fn mixed(test: &str, wires: &[Wire], spec: &Spec, write: fn(&Path, usize)) {
    if !available(test, &[Peer::Python, Peer::Busybox, Peer::Openssl, Peer::Reference]) {
        return;
    }
    for wire in wires {
        journey(Reference, *wire, spec, &[Ours, Reference, Ours], write);
        journey(Ours, *wire, spec, &[Reference, Ours, Reference], write);
    }
}

#[test]
fn encrypted_pkcs8_keys() {
    let spec = Spec { password: Some("corr\u{e9}ct horse"), ..Spec::default() };
    // The reference's 1.1.1 reads no key with a passphrase.
    mixed("variants::encrypted_pkcs8_keys", &[Wire::V1_1_2, Wire::V2_0], &spec, write_results);
}

#[test]
fn encrypted_keys_without_the_reference() {
    if !available("variants::encrypted_keys_without_the_reference", &[Peer::Python]) {
        return;
    }
    let spec = Spec { password: Some("secret"), ..Spec::default() };
    for wire in Wire::ALL {
        journey(Ours, wire, &spec, &[Ours, Ours, Ours], write_results);
    }
}

#[test]
fn pkcs1_public_keys() {
    let spec = Spec { pkcs1_public_keys: true, ..Spec::default() };
    mixed("variants::pkcs1_public_keys", &Wire::ALL, &spec, write_results);
}

#[test]
fn keys_of_3072_bits() {
    let spec = Spec { bits: 3072, ..Spec::default() };
    mixed("variants::keys_of_3072_bits", &Wire::ALL, &spec, write_results);
}

#[test]
fn integer_ids_and_a_route_out_of_order() {
    let spec = Spec {
        stations: vec![json!(30), json!("station_1"), json!(2)],
        indexes: vec![2, 0, 1],
        creator: json!(4711),
        ..Spec::default()
    };
    mixed("variants::integer_ids_and_a_route_out_of_order", &Wire::ALL, &spec, write_results);
}

#[test]
fn no_query() {
    let spec = Spec { query: false, ..Spec::default() };
    mixed("variants::no_query", &Wire::ALL, &spec, write_results);
}

#[test]
fn dot_slash_in_the_file_list() {
    let spec = Spec { prefix: "./", ..Spec::default() };
    if available("variants::dot_slash_in_the_file_list", &[Peer::Python, Peer::Busybox, Peer::Reference]) {
        for wire in Wire::ALL {
            journey(Reference, wire, &spec, &[Ours, Reference, Ours], write_results);
        }
    }
}

#[test]
fn empty_results() {
    mixed("variants::empty_results", &Wire::ALL, &Spec::default(), |_, _| {});
}

/// File lists as trains in the wild have them; the reference itself stumbles over these.
#[test]
fn other_prefixes_in_the_file_list() {
    if !available("variants::other_prefixes_in_the_file_list", &[Peer::Python]) {
        return;
    }
    for wire in Wire::ALL {
        let train = Train::build(Ours, wire, &Spec::default()).unwrap_or_else(|told| panic!("{told}"));
        for (number, prefix) in ["./", "pht_train/", "/opt/pht_train/"].iter().enumerate() {
            let mut config = train.layout.train_config("0");
            let names = config["file_list"].as_array_mut().expect("a list of files");
            for name in names {
                *name = Value::from(format!("{prefix}{}", name.as_str().unwrap_or_default().trim_start_matches("./")));
            }
            let tag = format!("wild-{number}");
            train.layout.append("0", &tag, &[Edit::Put("opt/train_config.json", config.to_string().into_bytes())]);
            train.ours("pre-run", &tag, &format!("{tag}-pre"), 0).unwrap_or_else(|told| panic!("{told}"));
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
        let train = Train::build(Ours, wire, &Spec::default()).unwrap_or_else(|told| panic!("{told}"));
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
        train.stop(Ours, "odd", "1", 0, &results).unwrap_or_else(|told| panic!("{told}"));
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
        journey(Ours, wire, &Spec::default(), &[Ours, Ours, Ours], write);
        let train = Train::build(Ours, wire, &Spec::default()).unwrap_or_else(|told| panic!("{told}"));
        let results = written(&train, 0, write);
        train.stop(Ours, "0", "1", 0, &results).unwrap_or_else(|told| panic!("{told}"));
        train.ours("pre-run", "1", "1-pre", 1).unwrap_or_else(|told| panic!("{told}"));
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
        let train = Train::build(Ours, wire, &Spec::default()).unwrap_or_else(|told| panic!("{told}"));
        let layout = &train.layout;
        for stop in 0..3 {
            let (from, pre, to) = (layout.at(&stop.to_string()), layout.at("pre"), layout.at(&(stop + 1).to_string()));
            let station = train.station_id(stop);
            let (key, beside) = (train.key(&station), train.dir.path().join(format!("beside-{stop}")));
            let beside = beside.to_str().expect("a path in UTF-8");
            let rest = ["--station", &station, "--private-key", &key, "--results", beside];
            pht_oci(&[&["pre-run", &from, &pre], &rest[..]].concat(), &[]).ok();
            if stop > 0 {
                let before = train.dir.path().join(format!("written-{}", stop - 1));
                let told = differences(&snapshot(&before), &snapshot(Path::new(beside)), true);
                assert!(told.is_empty(), "stop {stop}, wire {wire:?}: {told:?}");
                fs::remove_dir_all(beside).expect("a directory to remove");
                fs::create_dir(beside).expect("a new directory");
            }
            let now = train.dir.path().join(format!("written-{stop}"));
            write_results(&now, stop);
            write_results(Path::new(beside), stop);
            pht_oci(&[&["post-run", &pre, &to], &rest[..]].concat(), &[]).ok();
            train.check_results(&(stop + 1).to_string(), &now, true).unwrap_or_else(|told| panic!("{told}"));
            assert!(layout.search(support::tree::MARKER).is_empty(), "plaintext in the layout, wire {wire:?}");
        }
    }
}
