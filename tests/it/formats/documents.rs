//! Documents that other programs wrote: the train config, the history, the annotations of an index.

use serde_json::{Value, json};

use support::stage::{StageFixture, layers};
use support::{Edit, Layout, Peer, Wire, available};

const CONFIG: &str = "opt/train_config.json";

/// The stop of a station.
fn stop<'a>(config: &'a Value, station: &str) -> &'a Value {
    config["route"].as_array().expect("a route").iter().find(|stop| stop["station"] == station).expect("a stop")
}

/// Compact, spaced, indented by two, four and a tab: what the stage writes is laid out alike, and says what it said.
#[test]
fn train_configs() {
    if !available("formats::train_configs", &[Peer::Python]) {
        return;
    }
    for (number, wire) in Wire::ALL.into_iter().enumerate() {
        let plain = StageFixture::new(wire).layout.train_config("latest");
        let mut odd = plain.clone();
        odd["id"] = json!("5ca1ab1e");
        odd["strange"] = json!({ "list": [null, 1.50, 12_345_678_901_234_567_890_u64], "\u{fc}": "\u{1f682}" });
        odd["creator"]["paillier_public_key"] = Value::Null;
        odd["@context"] = Value::Null;
        let station_2 = odd["route"].as_array_mut().expect("a route").iter_mut().find(|s| s["station"] == "station_2");
        let station_2 = station_2.expect("a stop");
        station_2["signature"] = Value::Null;
        station_2["strange"] = json!({ "kept": true });
        let pretty = serde_json::to_string_pretty(&odd).expect("JSON");
        let forms = [
            ("compact", odd.to_string()),
            ("indented by two", pretty.clone()),
            ("indented by four, with a final newline", format!("{}\n", pretty.replace("  ", "    "))),
            ("indented by a tab", pretty.replace("  ", "\t")),
        ];
        for (form, text) in forms.into_iter().skip(number).step_by(2) {
            let fixture = StageFixture::new(wire);
            fixture.layout.append("latest", "latest", &[Edit::Put(CONFIG, text.clone().into_bytes())]);
            fixture.stage("pre-run", &["latest"], &[]).ok();
            assert_eq!(
                fixture.layout.cat("latest", CONFIG),
                text.as_bytes(),
                "pre-run leaves the config alone: {form}"
            );
            fixture.check_opened("latest");
            fixture.write("latest", "latest");
            fixture.stage("post-run", &["latest"], &[]).ok();
            fixture.check_closed("latest");
            let what = format!("{form}, wire {wire:?}");
            let after = fixture.layout.cat("latest", CONFIG);
            let after = String::from_utf8(after).expect("UTF-8");
            let head = |text: &str| text.bytes().take_while(|byte| b"{ \t\n".contains(byte)).count();
            assert_eq!(text[..head(&text)], after[..head(&after)], "laid out differently: {what}");
            assert_eq!(text.ends_with('\n'), after.ends_with('\n'), "the last newline: {what}");
            let after: Value = serde_json::from_str(&after).expect("JSON");
            for field in ["id", "strange", "@id", "@context", "session_id", "file_list", "proposal_id", "source"] {
                assert_eq!(after.get(field), odd.get(field), "{field}: {what}");
            }
            assert_eq!(stop(&after, "station_2")["strange"], json!({ "kept": true }), "{what}");
            assert_eq!(stop(&after, "station_1"), &{
                let mut before = stop(&odd, "station_1").clone();
                before["encrypted_key"] = stop(&after, "station_1")["encrypted_key"].clone();
                before
            });
            assert!(!stop(&after, "station_2")["signature"].is_null(), "nobody has signed: {what}");
        }
    }
}

/// umoci 0.4 crashes on an entry without `created`; the history lines up with the layers.
#[track_caller]
fn check_history(image: &Value, what: &str) {
    let history = image["config"]["history"].as_array().unwrap_or_else(|| panic!("no history: {what}"));
    for entry in history {
        let created = entry["created"].as_str().unwrap_or_else(|| panic!("{what}: no `created` in {entry}"));
        assert!(created.contains('T') && created.ends_with('Z'), "{what}: {created}");
    }
    let made = history.iter().filter(|entry| entry["empty_layer"] != true).count();
    assert_eq!(made, layers(image).len(), "{what}: {history:?}");
}

#[test]
fn history() {
    if !available("formats::history", &[Peer::Python]) {
        return;
    }
    for wire in Wire::ALL {
        for form in ["as it is", "none", "undated"] {
            let fixture = StageFixture::new(wire);
            if form != "as it is" {
                fixture.reform(&["--history", form]);
            }
            for (stage, image) in ["pre-run", "post-run"].iter().zip(fixture.whole_stop()) {
                check_history(&image, &format!("history {form}, {stage}, wire {wire:?}"));
            }
        }
    }
}

/// Entries that made no layer stay between those that did.
#[test]
fn empty_layers_in_the_history() {
    if !available("formats::empty_layers_in_the_history", &[Peer::Python]) {
        return;
    }
    let fixture = StageFixture::with_base(Wire::V2_0);
    let mut image = fixture.layout.image("latest");
    let empty = json!({ "created": "2024-01-01T00:00:00Z", "created_by": "ENV A=b", "empty_layer": true });
    let history = image["config"]["history"].as_array_mut().expect("a history");
    history.insert(1, empty.clone());
    history.push(empty.clone());
    let history = Value::from(history.clone());
    put_config(&fixture.layout, &image, &history);
    for after in fixture.whole_stop() {
        check_history(&after, "with empty layers");
        assert_eq!(after["config"]["history"][1], empty, "the entry stays where it was");
    }
}

/// Another history in the image config.
fn put_config(layout: &Layout, image: &Value, history: &Value) {
    let mut config = image["config"].clone();
    config["history"] = history.clone();
    let mut manifest = image["manifest"].clone();
    let put = |document: &Value| {
        let data = document.to_string().into_bytes();
        let digest = format!("sha256:{}", support::tree::sha256(&data));
        std::fs::write(layout.blob(&digest), &data).expect("a new blob");
        (json!(digest), json!(data.len()))
    };
    (manifest["config"]["digest"], manifest["config"]["size"]) = put(&config);
    let (digest, size) = put(&manifest);
    layout.reform("entry", &["latest", &json!({ "digest": digest, "size": size }).to_string()]);
}

/// What others wrote into `index.json` stays: fields of the document, other entries, annotations of the train's.
#[test]
fn the_index() {
    if !available("formats::the_index", &[Peer::Python]) {
        return;
    }
    let fixture = StageFixture::with_base(Wire::V1_1_2);
    let notes = json!({ "annotations": { "org.example.note": "kept", "org.opencontainers.image.title": "a train" } });
    fixture.layout.reform("entry", &["latest", &notes.to_string()]);
    let other = json!({
        "annotations": { "org.example.other": "kept" },
        "platform": { "os": "linux", "architecture": "amd64" },
        "x-unknown": [1.50, null],
    });
    fixture.layout.reform("entry", &["base", &other.to_string()]);
    let mut before = fixture.index();
    before["annotations"] = json!({ "org.example.index": "kept" });
    before["x-unknown"] = json!({ "kept": 1.50 });
    std::fs::write(fixture.layout.dir.join("index.json"), before.to_string()).expect("an index that can be written");
    let entry = |index: &Value, tag: &str| {
        let entries = index["manifests"].as_array().expect("entries");
        let named = |entry: &&Value| entry["annotations"]["org.opencontainers.image.ref.name"] == tag;
        entries.iter().find(named).unwrap_or_else(|| panic!("no tag {tag}")).clone()
    };
    for (stage, count) in [("pre-run", 3), ("post-run", 2)] {
        fixture.stage(stage, &["latest"], &[]).ok();
        let after = fixture.index();
        for field in ["annotations", "x-unknown", "schemaVersion"] {
            assert_eq!(after[field], before[field], "{stage}: {field}");
        }
        assert_eq!(entry(&after, "base"), entry(&before, "base"), "{stage}: an entry that is not the train's");
        assert_eq!(entry(&after, "latest")["annotations"], entry(&before, "latest")["annotations"], "{stage}");
        assert_ne!(entry(&after, "latest")["digest"], entry(&before, "latest")["digest"], "{stage}");
        assert_eq!(after["manifests"].as_array().map(Vec::len), Some(count), "{stage}");
    }
}
