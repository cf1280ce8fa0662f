//! `verify`: what can be said of a train without any private key, one line each, sound or not.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use support::checks::{verdicts, verify};
use support::peers::test_file;
use support::tree::{copy, differences, snapshot};
use support::vectors::Vectors;
use support::{Edit, Layout, Peer, Wire, available, pht_oci, run, utf8};

const CONFIG: &str = "opt/train_config.json";

/// A train after its second station, on a layout that may be changed; and a directory that holds it.
fn closed(wire: Wire) -> (tempfile::TempDir, Layout, &'static str) {
    if wire != Wire::V3 {
        let vectors = Vectors::ours(wire);
        return (vectors.dir, vectors.layout, "2-post");
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/wire-3"), dir.path());
    let layout = Layout::new(dir.path().join("layout"));
    (dir, layout, "2")
}

fn expected(wire: Wire) -> Vec<(&'static str, &'static str, usize)> {
    let mut checks = vec![("creator-signature", "sound", 1), ("layers", "sound", 1), ("route-order", "sound", 1)];
    checks.extend([("stop-signature", "sound", 2), ("trust", "weak", 1)]);
    if wire == Wire::V3 {
        checks.extend([("base", "sound", 1), ("build-digest", "sound", 1), ("build-signature", "sound", 1)]);
        checks.extend([("image-config", "sound", 1), ("recipients", "sound", 1), ("time", "sound", 1)]);
        checks.extend([("builder-key", "sound", 1), ("control", "sound", 1), ("immutable-files", "sound", 1)]);
        checks.extend([("key-recipients", "sound", 1), ("payload", "sound", 1), ("route-binding", "sound", 1)]);
        checks.extend([("statement", "sound", 1), ("stop-digest", "sound", 2)]);
        return checks;
    }
    checks.extend([("base", "weak", 1), ("image-config", "weak", 1)]);
    checks.extend([("last-digest", "sound", 1), ("older-digest", "weak", 1), ("result-signature", "sound", 1)]);
    checks.extend([("result-hash", "weak", 1), ("route-binding", "weak", 1)]);
    checks.extend(match wire {
        Wire::V2_0 => [("build-signature", "sound", 1), ("builder-key", "weak", 1), ("immutable-hash", "weak", 1)],
        _ => [("file-names", "weak", 1), ("immutable-hash", "sound", 1), ("", "", 0)],
    });
    // The reference encrypts all files of a stage under one initialisation vector.
    checks.push(if wire == Wire::V1_1_1 { ("", "", 0) } else { ("file-ivs", "weak", 1) });
    checks.retain(|check| check.2 > 0);
    checks
}

#[test]
fn every_check_of_every_wire_has_its_verdict() {
    for wire in Wire::OURS {
        let (dir, layout, tag) = closed(wire);
        let before = snapshot(dir.path());
        let report = verify(&layout.at(tag), 0, &[]);
        let wanted: BTreeMap<_, _> =
            expected(wire).into_iter().map(|(id, verdict, count)| ((id.into(), verdict.into()), count)).collect();
        assert_eq!(verdicts(&report), wanted, "{wire:?}");
        assert_eq!((&report["wire"], &report["verdict"]), (&json!(wire.option()), &json!("weak")));
        let older = if wire == Wire::V3 { "sound" } else { "weak" };
        let stop = |at: usize| (report["stops"][at]["signature"].clone(), report["stops"][at]["digest"].clone());
        assert_eq!(stop(0), (json!("sound"), json!(older)), "{wire:?}");
        assert_eq!(stop(1), (json!("sound"), json!("sound")), "{wire:?}");
        assert!(report["stops"][2]["signature"].is_null(), "{wire:?}: the third has not signed");
        assert!(report["warnings"][0].as_str().is_some_and(|text| text.contains("nobody vouches")));
        assert_eq!(differences(&before, &snapshot(dir.path()), true), Vec::<String>::new());
        let text = pht_oci(&["verify", &layout.at(tag)], &[]).ok();
        let text = String::from_utf8(text.stdout).expect("a report in UTF-8");
        for (id, verdict, _) in expected(wire) {
            let is_there = |line: &str| match verdict {
                "sound" => {
                    line.starts_with("  ok ")
                        && (line.contains(&format!("[{id}]")) || line.contains(&format!("[{id}: ")))
                }
                // What it is about is named where the id does not say that.
                _ => {
                    let row = format!("  {verdict:6} {id}");
                    line.starts_with(&format!("{row}: ")) || line.starts_with(&format!("{row} ("))
                }
            };
            assert!(text.lines().any(is_there), "{id}\n{text}");
        }
    }
}

#[test]
fn what_is_weak_is_refused_when_asked() {
    for wire in Wire::OURS {
        let (_dir, layout, tag) = closed(wire);
        let report = verify(&layout.at(tag), 3, &["--strict"]);
        assert_eq!(report["verdict"], "weak", "{wire:?}");
    }
}

/// Whoever signs for such a train after its run could be signing a document of wire 3; so it is not to run.
#[test]
fn a_session_id_that_could_end_a_document_is_broken_before_the_run() {
    for wire in Wire::ALL {
        let (_dir, layout, tag) = closed(wire);
        let mut config = layout.train_config(tag);
        let end = "a".repeat(62) + "\"}";
        config["session_id"] = end.bytes().map(|byte| format!("{byte:02x}")).collect::<String>().into();
        layout.append(tag, "changed", &[Edit::Put(CONFIG, config.to_string().into_bytes())]);
        let report = verify(&layout.at("changed"), 3, &[]);
        let checks = report["checks"].as_array().expect("a list");
        let broken = |check: &&Value| check["id"] == "session-id" && check["verdict"] == "broken";
        assert!(checks.iter().any(|check| broken(&check)), "{wire:?}: {report}");
    }
}

/// The digests of the base bind its bytes, whoever has these; they are looked at only where somebody asks for it.
#[test]
fn all_layers_are_read_where_that_is_asked_for() {
    for wire in Wire::OURS {
        let (_dir, layout, tag) = closed(wire);
        let found = verify(&layout.at(tag), 0, &["--all-layers"]);
        let read = |report: &Value| report["read"].as_u64().expect("a number of bytes");
        assert!(read(&found) > read(&verify(&layout.at(tag), 0, &[])), "{wire:?}");
        let base = layout.blob(&layout.layers(tag)[0]);
        let mut bytes = std::fs::read(&base).expect("a layer");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&base, bytes).expect("a layer");
        let checks = verify(&layout.at(tag), 3, &["--all-layers"])["checks"].to_string();
        assert!(checks.contains(&layout.layers(tag)[0]), "{wire:?}: {checks}");
    }
}

/// A hex digit of a field that a signature covers, or of the signature.
fn flip(field: &mut Value) {
    let mut text = field.as_str().expect("a hex string").to_owned();
    let other = if text.ends_with('0') { "1" } else { "0" };
    text.replace_range(text.len() - 1.., other);
    *field = Value::from(text);
}

#[test]
fn a_broken_train_shows_all_lines_and_ends_with_3() {
    if !available("verifying::a_broken_train_shows_all_lines_and_ends_with_3", &[Peer::Python]) {
        return;
    }
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 4] = [
        ("stop-signature", |config| flip(&mut config["route"][0]["signature"]["signature"])),
        ("digest", |config| flip(&mut config["route"][1]["signature"]["digest"])),
        ("creator-signature", |config| {
            let name = if config.get("signature").is_some() { "signature" } else { "immutable_file_signature" };
            flip(&mut config[name]);
        }),
        ("route-order", |config| config["route"][0]["signature"] = Value::Null),
    ];
    for wire in Wire::OURS {
        for (id, change) in changes {
            let (_dir, layout, tag) = closed(wire);
            let mut config = layout.train_config(tag);
            change(&mut config);
            layout.append(tag, "changed", &[Edit::Put(CONFIG, config.to_string().into_bytes())]);
            let report = verify(&layout.at("changed"), 3, &[]);
            assert_eq!(report["verdict"], "broken", "{wire:?} {id}");
            let checks = report["checks"].as_array().expect("a list");
            let broken = |check: &&Value| {
                check["verdict"] == "broken" && check["id"].as_str().is_some_and(|found| found.ends_with(id))
            };
            assert!(checks.iter().any(|check| broken(&check)), "{wire:?} {id}: {checks:?}");
            assert!(checks.iter().any(|check| check["id"] == "layers"), "{wire:?} {id}: the rest is shown too");
        }
    }
}

#[test]
fn changed_files_are_broken_where_no_key_is_needed() {
    if !available("verifying::changed_files_are_broken_where_no_key_is_needed", &[Peer::Python]) {
        return;
    }
    for (wire, id) in [(Wire::V1_1_1, "immutable-hash"), (Wire::V1_1_2, "immutable-hash")] {
        let (_dir, layout, tag) = closed(wire);
        layout.append(tag, "changed", &[Edit::Put("opt/pht_train/entrypoint.sh", b"other".to_vec())]);
        let report = verify(&layout.at("changed"), 3, &[]);
        assert_eq!(verdicts(&report).get(&(id.to_owned(), "broken".to_owned())), Some(&1), "{wire:?}: {report}");
    }
    // Wire 3: without its control layer on top it is no train.
    let (_dir, layout, tag) = closed(Wire::V3);
    layout.append(tag, "changed", &[Edit::Put("opt/pht_train/lib/1.bin", b"other".to_vec())]);
    pht_oci(&["verify", &layout.at("changed")], &[]).refused(5);
    // 2.0: what is encrypted cannot be hashed, but a file too many shows.
    let (_dir, layout, tag) = closed(Wire::V2_0);
    layout.append(tag, "changed", &[Edit::Put("opt/pht_train/more.py", b"other".to_vec())]);
    verify(&layout.at("changed"), 3, &[]);
}

#[test]
fn an_opened_train_is_not_what_was_signed() {
    let (dir, layout, tag) = closed(Wire::V3);
    let key = dir.path().join("keys/station_3.pem");
    let (key, opened) = (utf8(&key), layout.at("opened"));
    pht_oci(&["pre-run", &layout.at(tag), &opened, "--private-key", key], &[]).ok();
    let report = verify(&opened, 3, &[]);
    assert!(report["warnings"].to_string().contains("was opened by pre-run"), "{report}");
    // That, and nothing that would follow from it: it is no forgery.
    let of = |verdict: &str| {
        let checks = report["checks"].as_array().expect("a list").iter().filter(|check| check["verdict"] == verdict);
        checks.map(|check| check["reason"].to_string()).collect::<Vec<_>>()
    };
    assert_eq!((&report["verdict"], of("broken")), (&json!("open"), Vec::new()));
    assert!(of("weak").iter().any(|reason| reason.contains("the train is open")), "{report}");
    let error = pht_oci(&["verify", &opened], &[]).refused(3).stderr;
    assert!(
        error.contains("the train is open at station `") && error.contains(": only a closed one can be verified"),
        "{error}"
    );
    assert!(error.contains("verify the encrypted image, or run post-run first"), "{error}");
    // Engines write what they like into the config of what they commit.
    let changed = json!({ "Env": ["PATH=/bin", "OF=the engine"] }).to_string();
    let script = test_file("python/layout.py");
    run("python3", &[utf8(&script), "config", layout.path(), "opened", "committed", "--merge", &changed])
        .unwrap_or_else(|message| panic!("{message}"));
    assert_eq!(verify(&layout.at("committed"), 3, &[])["verdict"], "open");
    // What is wrong with an open train is still called wrong.
    let other = dir.path().join("keys/station_1.pub.pem");
    let trust = dir.path().join("pins");
    fs::create_dir_all(trust.join("creators")).expect("a new directory");
    fs::copy(&other, trust.join("creators/alice.pem")).expect("a key");
    let error = pht_oci(&["verify", &opened, "--trust", utf8(&trust)], &[]).refused(3).stderr;
    assert!(error.contains("is pinned"), "{error}");
}

/// Damage is called damage, whatever the damaged bytes would mean.
#[test]
fn a_damaged_layer_is_named_whatever_its_bytes_say() {
    for wire in [Wire::V2_0, Wire::V3] {
        let (dir, layout, tag) = closed(wire);
        let image = layout.image(tag);
        let key = dir.path().join("keys/station_1.pem");
        let top = image["manifest"]["layers"].as_array().and_then(|layers| layers.last()).expect("a layer");
        let digest = top["digest"].as_str().expect("a digest");
        let path = layout.blob(digest);
        let good = fs::read(&path).expect("a layer");
        for at in (0..good.len()).step_by(good.len() / 40) {
            let mut damaged = good.clone();
            damaged[at] ^= 1;
            fs::write(&path, &damaged).expect("a layer");
            let outcome = pht_oci(&["verify", &layout.at(tag)], &[]).refused(3);
            let said = format!("{digest}: its bytes do not have this digest");
            assert!(outcome.stderr.contains(&said), "wire {wire:?}, byte {at}: {}", outcome.stderr);
            // In the report, too, whether or not its bytes are still a config.
            let text = String::from_utf8(outcome.stdout).expect("text");
            assert!(text.contains("BROKEN layers: layers that were read") && text.contains(&said), "{text}");
            let line = ["pre-run", &layout.at(tag), &layout.at("opened"), "--private-key", utf8(&key)];
            let outcome = pht_oci(&line, &[]).refused(3);
            assert!(outcome.stderr.contains(&said), "wire {wire:?}, byte {at}: {}", outcome.stderr);
        }
        fs::write(&path, &good).expect("a layer");
    }
}

/// Of a manifest or an image config that is damaged there is nothing more to tell; that is told as all else is.
#[test]
fn a_damaged_manifest_or_image_config_has_a_report() {
    for wire in Wire::OURS {
        let (_dir, layout, tag) = closed(wire);
        let image = layout.image(tag);
        for digest in [&image["manifest"]["config"]["digest"], &image["descriptor"]["digest"]] {
            let digest = digest.as_str().expect("a digest");
            let path = layout.blob(digest);
            let mut bytes = fs::read(&path).expect("a blob");
            bytes[20] ^= 1;
            fs::write(&path, &bytes).expect("a blob");
            let outcome = pht_oci(&["verify", &layout.at(tag), "--format", "json"], &[]).refused(3);
            assert!(outcome.stderr.contains(digest), "{wire:?}: {}", outcome.stderr);
            let found = outcome.json();
            assert_eq!((&found["verdict"], &found["digest"]), (&json!("broken"), &Value::Null), "{wire:?}: {found}");
            assert_eq!(found["checks"].as_array().map(Vec::len), Some(1), "{wire:?}: {found}");
            assert_eq!(
                (&found["checks"][0]["id"], &found["stops"]),
                (&json!("layers"), &json!([])),
                "{wire:?}: {found}"
            );
            let text = pht_oci(&["verify", &layout.at(tag)], &[]).refused(3).stdout;
            assert!(String::from_utf8(text).expect("text").contains("BROKEN layers: layers that were read"));
            bytes[20] ^= 1;
            fs::write(&path, &bytes).expect("a blob");
        }
    }
}

/// What the config says is still worth knowing of a train that is not whole; without a config there is only that to say.
#[test]
fn a_train_without_one_of_its_layers_is_still_told_about() {
    for wire in Wire::OURS {
        let (_dir, layout, tag) = closed(wire);
        let layers = layout.layers(tag);
        let mut told = 0;
        for digest in &layers {
            let path = layout.blob(digest);
            let good = fs::read(&path).expect("a layer");
            fs::remove_file(&path).expect("a layer");
            let outcome = pht_oci(&["verify", &layout.at(tag), "--all-layers", "--format", "json"], &[]).refused(5);
            assert!(outcome.stderr.contains(digest), "wire {wire:?}: {}", outcome.stderr);
            let found = outcome.json();
            assert_eq!(found["verdict"], "broken", "wire {wire:?}: {found}");
            if found["wire"].is_null() {
                let checks = found["checks"].as_array().expect("a list");
                assert!(checks.len() == 1 && checks[0]["id"] == "layers", "wire {wire:?}: {found}");
                assert!(found["id"].is_null() && found["stops"] == json!([]), "wire {wire:?}: {found}");
            } else {
                told += 1;
                assert!(found["fault"].as_str().is_some_and(|fault| fault.contains(digest)), "{found}");
                let verdicts = verdicts(&found);
                let count = |id: &str, verdict: &str| verdicts.get(&(id.to_owned(), verdict.to_owned())).copied();
                assert_eq!(count("layers", "broken"), Some(1), "wire {wire:?}: {found}");
                assert_eq!(count("stop-signature", "sound"), Some(2), "wire {wire:?}: {found}");
                // For an auditor, too.
                let line = ["report", &layout.at(tag), "--all-layers", "--format", "json"];
                let report = pht_oci(&line, &[]).refused(5).json();
                assert_eq!(report["fault"], found["fault"]);
                let text = pht_oci(&["verify", &layout.at(tag), "--all-layers"], &[]).refused(5);
                let text = String::from_utf8(text.stdout).expect("text");
                assert!(text.contains("BROKEN layers") && text.contains("the train is broken"), "{text}");
            }
            fs::write(&path, &good).expect("a layer");
        }
        // The layer with the config is the one that is needed.
        assert_eq!(told, layers.len() - 1, "wire {wire:?}");
    }
}
