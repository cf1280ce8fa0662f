//! `inspect` as a person reads it, and what may be done with an open train.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use support::tree::{copy, differences, snapshot};
use support::{Edit, Layout, Peer, available, pht_oci, utf8};

/// A train of wire 3 after its second station, opened by the third under the tag `opened`.
struct Inspected {
    dir: tempfile::TempDir,
    layout: Layout,
}

impl Inspected {
    fn new(options: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/wire-3"), dir.path());
        let train = Inspected { layout: Layout::new(dir.path().join("layout")), dir };
        let (from, to, key) = (train.layout.at("2"), train.layout.at("opened"), train.path("keys/station_3.pem"));
        pht_oci(&[&["pre-run", &from, &to, "--private-key", &key][..], options].concat(), &[]).ok();
        train
    }

    fn path(&self, name: &str) -> String {
        utf8(&self.dir.path().join(name)).to_owned()
    }

    fn inspect(&self, tag: &str) -> (Value, String) {
        let image = self.layout.at(tag);
        let report = pht_oci(&["inspect", &image, "--format", "json"], &[]).ok().json();
        (report, String::from_utf8(pht_oci(&["inspect", &image], &[]).ok().stdout).expect("text"))
    }
}

#[test]
fn a_person_reads_who_what_when_and_what_comes_next() {
    let train = Inspected::new(&[]);
    let (report, text) = train.inspect("2");
    let config = train.layout.train_config("2");
    let sizes: Vec<Value> = config["files"]
        .as_array()
        .expect("files")
        .iter()
        .map(|file| json!({ "path": file["path"], "size": file["size"] }))
        .collect();
    assert_eq!(report["file_list"], Value::from(sizes));
    for file in config["files"].as_array().expect("files") {
        assert!(text.contains(file["path"].as_str().expect("a path")), "{text}");
    }
    assert_eq!(report["built_at"], config["build"]["time"]);
    let times: Vec<&Value> =
        report["route"].as_array().expect("a route").iter().map(|stop| &stop["signed_at"]).collect();
    let route = config["route"].as_array().expect("a route");
    assert_eq!(times, [&route[0]["signature"]["time"], &route[1]["signature"]["time"], &Value::Null]);
    assert!(text.contains(times[1].as_str().expect("a time")), "{text}");
    assert!(report["base_size"].as_u64().is_some_and(|size| size > 0), "{report}");
    assert!(text.contains("  carries  ") && text.contains(" above its base: files, config and results"), "{text}");
    assert_eq!(report["state"], "closed");
    assert!(text.contains("next: pht-oci pre-run at"), "{text}");
    for (tag, state) in [("0", "closed"), ("1", "closed"), ("opened", "open"), ("3", "complete")] {
        let (report, text) = train.inspect(tag);
        assert_eq!(report["state"], state, "{tag}");
        assert!(text.contains(&format!("state    {state}")), "{tag}: {text}");
    }
    let (_, text) = train.inspect("opened");
    assert!(text.contains("is open") && text.contains("then pht-oci post-run"), "{text}");
}

/// An open train is open, and nobody has broken it.
#[test]
fn an_open_train_is_open_and_not_broken() {
    let train = Inspected::new(&[]);
    let image = train.layout.at("opened");
    let outcome = pht_oci(&["verify", &image, "--format", "json"], &[]).refused(3);
    let report: Value = serde_json::from_slice(&outcome.stdout).expect("a report");
    assert_eq!(report["verdict"], "open");
    let text = pht_oci(&["verify", &image], &[]).refused(3).stdout;
    let text = String::from_utf8(text).expect("text");
    assert!(text.contains("the train is open") && !text.contains("the train is broken"), "{text}");
    // To open it once more is a mistake, not an attack.
    let (to, key) = (train.layout.at("again"), train.path("keys/station_3.pem"));
    let message = pht_oci(&["pre-run", &image, &to, "--private-key", &key], &[]).refused(3).stderr;
    assert!(message.contains("open already") && !message.contains("changed"), "{message}");
    let report = pht_oci(&["verify", &train.layout.at("2"), "--format", "json"], &[]).ok().json();
    assert_ne!(report["verdict"], "open");
}

#[test]
fn plaintext_leaves_by_name_only() {
    let train = Inspected::new(&[]);
    let (opened, closed) = (train.layout.at("opened"), train.layout.at("2"));
    let archives =
        ["oci-archive", "docker-archive"].map(|kind| format!("{kind}:{}", train.path(&format!("{kind}.tar"))));
    let before = snapshot(train.dir.path());
    for to in archives.iter().map(String::as_str).chain(["docker://127.0.0.1:1/train:latest"]) {
        let message = pht_oci(&["copy", &opened, to], &[]).refused(3).stderr;
        assert!(message.contains("--allow-open"), "{message}");
    }
    assert_eq!(differences(&before, &snapshot(train.dir.path()), true), Vec::<String>::new());
    for to in &archives {
        pht_oci(&["copy", &opened, to, "--allow-open"], &[]).ok();
    }
    let inside = format!("oci:{}:opened", train.path("inside"));
    let outcome = pht_oci(&["copy", &opened, &inside], &[]).ok();
    assert!(outcome.stderr.contains("plaintext"), "{}", outcome.stderr);
    let outcome = pht_oci(&["copy", &closed, &format!("oci-archive:{}", train.path("closed.tar"))], &[]).ok();
    assert!(!outcome.stderr.contains("plaintext"), "{}", outcome.stderr);
}

/// Results that pre-run has put into a directory are not lost by forgetting the directory.
#[test]
fn results_that_are_outside_are_asked_for() {
    if !available("inspecting::results_that_are_outside_are_asked_for", &[Peer::Python]) {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let results = utf8(&dir.path().join("results")).to_owned();
    let train = Inspected::new(&["--results", &results]);
    assert!(fs::read_dir(&results).expect("results").count() > 0);
    train.layout.append("opened", "ran", &[Edit::Put("opt/ran.txt", b"ran".to_vec())]);
    let (from, to, key) = (train.layout.at("ran"), train.layout.at("3-new"), train.path("keys/station_3.pem"));
    let before = snapshot(train.dir.path());
    let line = ["post-run", &from, &to, "--private-key", &key];
    let message = pht_oci(&line, &[]).refused(2).stderr;
    assert!(message.contains("--results"), "{message}");
    assert_eq!(differences(&before, &snapshot(train.dir.path()), true), Vec::<String>::new());
    let outcome = pht_oci(&[&line[..], &["--results", &results, "--format", "json"]].concat(), &[]).ok();
    let warnings = outcome.json()["warnings"].to_string();
    assert!(warnings.contains(&results), "{warnings}");
    // The next station's image does not remember.
    assert!(
        !String::from_utf8_lossy(
            &fs::read(train.layout.blob(&config_digest(&train.layout, "3-new"))).expect("a config")
        )
        .contains("outside")
    );
}

fn config_digest(layout: &Layout, tag: &str) -> String {
    let manifest: Value =
        serde_json::from_slice(&fs::read(layout.blob(&manifest_digest(layout, tag))).expect("a manifest"))
            .expect("JSON");
    manifest["config"]["digest"].as_str().expect("a digest").to_owned()
}

fn manifest_digest(layout: &Layout, tag: &str) -> String {
    let report = pht_oci(&["inspect", &layout.at(tag), "--format", "json"], &[]).ok().json();
    report["digest"].as_str().expect("a digest").to_owned()
}
