//! Results that a person has to see before they leave.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use support::tree::snapshot;
use support::{Peer, Wire, available, utf8};

use super::fixture::RunFixture;

const COUNTS: &str = "#!/bin/sh\nprintf 'group,count\\na,120\\n' >> /opt/pht_results/counts.csv\n";

/// A run whose results are held: the error, and the words of the command that it names.
fn held(fixture: &RunFixture, command: &str) -> Vec<String> {
    let error = fixture.run(0, &["--hold", "--format", "json"]).refused(7).stderr;
    let error = error.lines().last().expect("an error");
    let error: Value = serde_json::from_str(error).expect("a document");
    let hint = error["error"]["hint"].as_str().expect("a hint").to_owned();
    let line = hint.split(&format!("pht-oci {command} ")).nth(1).expect("the command").to_owned();
    line.lines().next().expect("its end").split_whitespace().map(str::to_owned).collect()
}

/// The directory of results in the words of a command.
fn results_in(words: &[String]) -> PathBuf {
    PathBuf::from(&words[words.iter().position(|word| word == "--results").expect("results") + 1])
}

/// A new key `anna` beside the train, pinned as that of a reviewer.
fn pin_reviewer(fixture: &RunFixture, trust: &Path) {
    let dir = fixture.train.dir.path();
    fixture.command(&["keygen", utf8(&dir.join("anna"))]).ok();
    fs::create_dir_all(trust.join("reviewers")).expect("a directory");
    fs::copy(dir.join("anna.pub.pem"), trust.join("reviewers/anna.pem")).expect("a pin");
}

/// Pins the keys of all parties of the train.
fn pin_parties(fixture: &RunFixture, trust: &Path) {
    for (role, name, of) in [
        ("creators", "test-user-id", "user"),
        ("stations", "station_1", "station_1"),
        ("stations", "station_2", "station_2"),
        ("builders", "builder", "builder"),
    ] {
        fs::create_dir_all(trust.join(role)).expect("a directory");
        let public = fs::read(format!("{}.pub.pem", fixture.train.key(of).trim_end_matches(".pem"))).expect("a key");
        fs::write(trust.join(role).join(format!("{name}.pem")), public).expect("a pin");
    }
}

#[test]
fn nothing_is_released_that_nobody_has_approved() {
    let test = "running::held::nothing_is_released_that_nobody_has_approved";
    if !available(test, &[Peer::Python, Peer::Busybox, Peer::Runc]) {
        return;
    }
    for wire in [Wire::V2_0, Wire::V3] {
        let fixture = RunFixture::with("runc", wire, COUNTS, &json!({}));
        let before = snapshot(&fixture.layout.dir);
        let release = held(&fixture, "release");
        assert!(snapshot(&fixture.layout.dir) == before, "{wire:?}: the train is as it came");
        let results = results_in(&release);
        let dir = fixture.train.dir.path();
        let (opened, approval, trust) = (release[0].as_str(), dir.join("approval.json"), dir.join("trust"));
        pin_reviewer(&fixture, &trust);
        let key = fixture.train.key(&fixture.train.station_id(0));
        let approval = utf8(&approval);
        let words: Vec<&str> = release.iter().map(String::as_str).collect();
        let words = &words[..words.iter().position(|word| *word == "--approval").expect("approvals")];
        let release = |more: &[&str]| fixture.command(&[&["release"], words, &["--private-key", &key], more].concat());
        release(&[]).refused(7);
        let anna = dir.join("anna.pem");
        let reviewed = ["--results", utf8(&results), "--reviewer-key", utf8(&anna), "--out", approval];
        fixture.command(&[&["approve", opened], &reviewed[..]].concat()).ok();
        // Without a pin of the reviewer's it is nobody's approval.
        release(&["--approval", approval]).refused(7);
        release(&["--approval", approval, "--trust", utf8(&trust)]).refused(3);
        pin_parties(&fixture, &trust);
        release(&["--approval", approval, "--trust", utf8(&trust)]).ok();
        assert_eq!(fixture.result("counts.csv"), "group,count\na,120\n", "{wire:?}");
        fs::remove_dir_all(results.parent().expect("what was held")).expect("what was held");
        fixture.check_nothing_left();
    }
}

/// The opened train has no base of its own, and knows that its results are held.
#[test]
fn a_held_train_leaves_whole_and_approved_or_not_at_all() {
    let test = "running::held::a_held_train_leaves_whole_and_approved_or_not_at_all";
    if !available(test, &[Peer::Python, Peer::Busybox, Peer::Runc]) {
        return;
    }
    for wire in [Wire::V2_0, Wire::V3] {
        let fixture = RunFixture::with("runc", wire, COUNTS, &json!({}));
        let words = held(&fixture, "review");
        let (opened, results) = (words[0].as_str(), words.last().expect("results").as_str());
        let dir = fixture.train.dir.path();
        let (key, trust) = (fixture.train.key(&fixture.train.station_id(0)), dir.join("trust"));
        pin_reviewer(&fixture, &trust);
        let (anna, approval) = (dir.join("anna.pem"), dir.join("approval.json"));
        // Nothing is looked at, approved or closed where the results are not named, or nobody has approved them.
        let out = format!("oci-archive:{}:latest", utf8(&dir.join("out.tar")));
        let at = ["--results", results];
        let closes = ["--private-key", &key];
        fixture.command(&["review", opened]).refused(2);
        fixture.command(&["approve", opened, "--reviewer-key", utf8(&anna), "--out", utf8(&approval)]).refused(2);
        let message = fixture.command(&[&["post-run", opened, &out], &at[..], &closes].concat()).refused(7).stderr;
        assert!(message.contains("approved") && message.contains("pht-oci release"), "{wire:?}: {message}");
        assert!(!dir.join("out.tar").exists() && !approval.exists(), "{wire:?}");
        let signed = ["--reviewer-key", utf8(&anna), "--out", utf8(&approval)];
        fixture.command(&[&["approve", opened], &at[..], &signed].concat()).ok();
        let release = |more: &[&str]| {
            let approved = ["--approval", utf8(&approval)];
            fixture.command(&[&["release", opened, &out], &at[..], &closes, &approved, more].concat())
        };
        // While the train is away, nobody has its base.
        let (there, away) = (&fixture.layout.dir, dir.join("away"));
        fs::rename(there, &away).expect("the train can be moved");
        let trusted = ["--trust", utf8(&trust)];
        let message = release(&trusted).refused(2).stderr;
        assert!(message.contains("--base") && message.contains(utf8(there)), "{wire:?}: {message}");
        assert!(!dir.join("out.tar").exists(), "{wire:?}");
        fs::rename(&away, there).expect("the train can be moved back");
        pin_parties(&fixture, &trust);
        release(&trusted).ok();
        let report = fixture.command(&["verify", &out, "--all-layers", "--format", "json"]).ok().json();
        let warnings = report["warnings"].to_string();
        assert!(!warnings.contains("thin"), "{wire:?}: {warnings}");
    }
}

/// A loop over an inbox comes to the same train again, whose results were held and released meanwhile.
#[test]
fn what_was_released_is_done_already() {
    let test = "running::held::what_was_released_is_done_already";
    if !available(test, &[Peer::Python, Peer::Busybox, Peer::Runc]) {
        return;
    }
    let fixture = RunFixture::with("runc", Wire::V3, COUNTS, &json!({}));
    let dir = fixture.train.dir.path();
    let (journal, trust, anna) = (dir.join("journal"), dir.join("trust"), dir.join("anna.pem"));
    pin_reviewer(&fixture, &trust);
    pin_parties(&fixture, &trust);
    let out = format!("oci-archive:{}:latest", utf8(&dir.join("out.tar")));
    let recorded = ["--journal", utf8(&journal), "--trust", utf8(&trust), "--format", "json"];
    let run = |more: &[&str]| {
        let mut line = fixture.line(0, &[&recorded[..], more].concat());
        line.insert(2, out.clone());
        fixture.command(&line.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let held = run(&["--hold"]).refused(7).stderr;
    let held: Value = serde_json::from_str(held.lines().last().expect("an error")).expect("a document");
    let (opened, results) = (&held["error"]["kept"]["image"], &held["error"]["kept"]["results"]);
    let (opened, results) = (opened.as_str().expect("an image"), results.as_str().expect("a directory"));
    let approval = dir.join("approval.json");
    let signed = ["--reviewer-key", utf8(&anna), "--out", utf8(&approval)];
    fixture.command(&[&["approve", opened, "--results", results], &signed[..]].concat()).ok();
    let key = fixture.train.key(&fixture.train.station_id(0));
    let line = ["release", opened, &out, "--results", results, "--private-key", &key, "--approval", utf8(&approval)];
    let released = fixture.command(&[&line[..], &recorded].concat()).ok().json();
    assert_eq!(released["stage"], "release", "{released}");
    fs::remove_dir_all(Path::new(results).parent().expect("a directory")).expect("what was held");
    let report = run(&["--hold"]).ok().json();
    assert!(report["notes"].to_string().contains("already done"), "{report}");
    assert_eq!((&report["ran"], &report["digest"]["after"]), (&Value::Null, &released["digest"]["after"]), "{report}");
}

/// Of two runs nobody would know which was approved.
#[test]
fn a_train_whose_results_are_held_does_not_run_again() {
    let test = "running::held::a_train_whose_results_are_held_does_not_run_again";
    if !available(test, &[Peer::Python, Peer::Busybox, Peer::Runc]) {
        return;
    }
    let fixture = RunFixture::with("runc", Wire::V3, COUNTS, &json!({}));
    let reject = held(&fixture, "reject");
    let kept = results_in(&reject).parent().expect("a directory").to_owned();
    let before = snapshot(fixture.place());
    let error = fixture.run(0, &["--hold", "--format", "json"]).refused(7).stderr;
    let error: Value = serde_json::from_str(error.lines().last().expect("an error")).expect("a document");
    let message = error["error"]["message"].as_str().expect("a message");
    assert!(message.contains(utf8(&kept)), "{message}");
    assert_eq!(error["error"]["kept"]["results"], json!(kept.join("results")));
    assert!(error["error"]["hint"].as_str().is_some_and(|hint| hint.contains("--again")), "{error}");
    fixture.run(0, &[]).refused(7);
    // Wherever it was to go.
    let mut line = fixture.line(0, &[]);
    let elsewhere = fixture.train.dir.path().join("elsewhere");
    line.insert(2, utf8(&elsewhere).to_owned());
    let refused = fixture.command(&line.iter().map(String::as_str).collect::<Vec<_>>()).refused(7).stderr;
    assert!(refused.contains(utf8(&kept)) && !elsewhere.exists(), "{refused}");
    assert!(snapshot(fixture.place()) == before, "nothing has changed");
    let listed = fixture.command(&["cleanup", "--dry-run", "--format", "json"]).ok().json();
    assert_eq!(listed["held"], json!([kept]));
    // Who does it in steps is told, too.
    let key = fixture.train.key(&fixture.train.station_id(0));
    let opened = fixture.train.dir.path().join("opened");
    let line = ["pre-run", fixture.layout.path(), utf8(&opened), "--private-key", &key];
    let told = fixture.command(&line).ok().stderr;
    assert!(told.contains("are held in") && told.contains(utf8(&kept)), "{told}");
    fs::remove_dir_all(opened).expect("an opened train");
    // Whoever means it can, and is told of both.
    let outcome = fixture.run(0, &["--hold", "--again"]).refused(7);
    assert!(outcome.stderr.contains("earlier run of this train are still here"), "{}", outcome.stderr);
    let second = kept.with_file_name(format!("{}-2", kept.file_name().expect("a name").to_string_lossy()));
    let listed = fixture.command(&["cleanup", "--dry-run", "--format", "json"]).ok().json();
    assert_eq!(listed["held"], json!([kept, second]));
    for kept in [&kept, &second] {
        fs::remove_dir_all(kept).expect("what was held");
    }
    held(&fixture, "reject");
}

#[test]
fn what_is_rejected_is_erased() {
    let test = "running::held::what_is_rejected_is_erased";
    if !available(test, &[Peer::Python, Peer::Busybox, Peer::Runc]) {
        return;
    }
    let fixture = RunFixture::with("runc", Wire::V3, COUNTS, &json!({}));
    let before = snapshot(&fixture.layout.dir);
    let reject = held(&fixture, "reject");
    let words: Vec<&str> = reject.iter().map(String::as_str).collect();
    fixture.command(&[&["reject"], &words[..]].concat()).ok();
    assert!(snapshot(&fixture.layout.dir) == before, "the train is as it came");
    let results = results_in(&reject);
    assert!(fs::metadata(&results).is_err(), "the results are erased");
    let kept = results.parent().expect("the directory of the run");
    assert!(!kept.exists(), "{} is empty, and the next run would be held beside it", kept.display());
}
