//! What a review says: text, JSON and the page.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};
use support::stage::StageFixture;
use support::tree::{differences, snapshot};
use support::{Edit, Wire, pht_oci, utf8};

#[track_caller]
fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[test]
fn json_has_what_programs_need() {
    let stage = StageFixture::new(Wire::V2_0);
    stage.stage("pre-run", &["latest"], &[]).ok();
    stage.layout.append("latest", "latest", &[Edit::Put("opt/pht_results/t.csv", b"patient_id,n\nA1,3\n".to_vec())]);
    let outcome = pht_oci(&["review", &stage.layout.at("latest"), "--format", "json"], &[]);
    assert_eq!(outcome.status, Some(7), "{}", outcome.stderr);
    let error: Value = serde_json::from_str(&outcome.stderr).unwrap();
    assert_eq!((&error["error"]["kind"], &error["error"]["exit_status"]), (&json!("decision"), &json!(7)));
    let report = outcome.json();
    let wanted = ["train", "results", "policy", "verdict", "files", "gone", "findings", "against"];
    assert_eq!(keys(&report), BTreeSet::from(wanted));
    let wanted = ["source", "id", "wire", "creator", "creator_key", "config", "stop"];
    assert_eq!(keys(&report["train"]), BTreeSet::from(wanted));
    assert_eq!(report["train"]["stop"], json!({ "index": 1, "of": 2, "station": "station_2" }));
    let wanted = ["path", "kind", "mode", "size", "sha256", "type", "state", "verdict"];
    assert_eq!(keys(&report["files"][0]), BTreeSet::from(wanted));
    let wanted = ["finding", "check", "severity", "path", "place", "evidence"];
    assert_eq!(keys(&report["findings"][0]), BTreeSet::from(wanted));
    let wanted = ["allow-zeros", "max-file", "max-rows", "max-total", "min-count", "reviewers", "types", "digest"];
    assert_eq!(keys(&report["policy"]), BTreeSet::from(wanted));
    let table = report["files"].as_array().unwrap().iter().find(|file| file["path"] == "t.csv").unwrap();
    assert_eq!((&table["state"], &table["verdict"], &table["type"]), (&json!("new"), &json!("stop"), &json!("csv")));
    assert_eq!(report["verdict"], "stop");
}

#[test]
fn text_names_each_finding_and_says_what_it_is_worth() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.csv"), "patient_id,n\nA1,3\n").unwrap();
    let outcome = pht_oci(&["review", utf8(dir.path())], &[]).refused(7);
    let text = String::from_utf8(outcome.stdout).unwrap();
    for part in [
        "stop  identifier:a.csv (row 1, column 1)",
        "look  small-count:a.csv (row 2, column 2 (n))",
        "does not say that the results are safe",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(outcome.stderr.contains("pht-oci approve"), "{}", outcome.stderr);
    fs::write(dir.path().join("a.csv"), "group,n,mean\na,30,1.5\nb,40,2.5\n").unwrap();
    let text = String::from_utf8(pht_oci(&["review", utf8(dir.path())], &[]).ok().stdout).unwrap();
    assert!(text.contains("does not say that the results are safe"), "{text}");
}

#[test]
fn the_train_as_it_came_tells_what_is_new() {
    let stage = StageFixture::new(Wire::V2_0);
    let results = stage.vectors.dir.path().join("results");
    stage.stage("pre-run", &["latest", "open"], &["--results", utf8(&results)]).ok();
    fs::write(results.join("result.txt"), "second\n").unwrap();
    fs::write(results.join("new.txt"), "new\n").unwrap();
    fs::remove_file(results.join("sub/x")).unwrap();
    let (open, came, key) = (stage.layout.at("open"), stage.layout.at("latest"), stage.vectors.key("station_2"));
    let line = ["review", &open, "--results", utf8(&results), "--format", "json"];
    let report = pht_oci(&line, &[]).json();
    assert!(report["gone"].is_null() && report["files"][0]["state"].is_null());
    let report = pht_oci(&[&line[..], &["--before", &came, "--private-key", &key]].concat(), &[]).json();
    let state = |path: &str| {
        report["files"].as_array().unwrap().iter().find(|file| file["path"] == path).map(|file| &file["state"])
    };
    assert_eq!((state("result.txt"), state("new.txt")), (Some(&json!("changed")), Some(&json!("new"))));
    assert_eq!(report["gone"], json!(["sub/x"]));
    assert!(report["files"].as_array().unwrap().iter().any(|file| file["state"] == "unchanged"));
}

#[test]
fn the_page_runs_nothing_and_shows_strangers_text_as_text() {
    let dir = tempfile::tempdir().unwrap();
    let (results, page) = (dir.path().join("results"), dir.path().join("page.html"));
    fs::create_dir(&results).unwrap();
    fs::write(results.join("<script>alert(1)<"), "x\n").unwrap();
    fs::write(results.join("a.csv"), "\"<img src=x onerror=alert(1)>\",n\n\u{202e}</td><script>,300\n").unwrap();
    fs::write(results.join("a.txt"), "</pre><script src=//evil.example></script>\n").unwrap();
    pht_oci(&["review", utf8(&results), "--html", utf8(&page)], &[]).refused(7);
    let text = fs::read_to_string(&page).unwrap();
    for forbidden in ["<script", "<img src=x", "javascript:", "\u{202e}", "http-equiv=\"refresh", "@import", "url("] {
        assert!(!text.contains(forbidden), "{forbidden}");
    }
    assert!(text.contains("default-src 'none'") && text.contains("&lt;script&gt;alert(1)&lt;"), "{text}");
    assert!(
        text.contains("That nothing is found does not say that the results are safe.") && text.contains("cannot find")
    );
    assert_eq!(fs::metadata(&page).unwrap().permissions().mode() & 0o777, 0o600);
    // It may be written again.
    pht_oci(&["review", utf8(&results), "--html", utf8(&page)], &[]).refused(7);
}

/// A file in their place would take `/dev/null` from the whole machine.
#[test]
fn a_page_takes_the_place_of_files_only() {
    let dir = tempfile::tempdir().unwrap();
    let (results, page) = (dir.path().join("results"), dir.path().join("page"));
    fs::create_dir(&results).unwrap();
    for make in [
        (|page| mknodat(CWD, page, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap()) as fn(&Path),
        |page| symlink("/dev/null", page).unwrap(),
        |page| fs::create_dir(page).unwrap(),
    ] {
        make(&page);
        let before = snapshot(dir.path());
        pht_oci(&["review", utf8(&results), "--html", utf8(&page)], &[]).refused(1);
        let told = pht_oci(&["fingerprint", "/dev/null", "--metrics", utf8(&page)], &[]);
        assert!(told.stderr.contains("cannot write the metrics"), "{}", told.stderr);
        assert_eq!(differences(&before, &snapshot(dir.path()), true), Vec::<String>::new());
        let _ = fs::remove_file(&page);
    }
}

#[test]
fn the_manual_names_every_check() {
    let page = pht_oci::manual::page("review").expect("a page").text;
    for rule in &pht_oci::review::RULES {
        assert!(page.contains(&format!("| `{}` |", rule.check.name())), "{}", rule.check.name());
    }
    assert!(page.contains("never safe"));
}
