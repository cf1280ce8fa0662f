//! Results that a person has to see before they leave.

use std::fs;
use std::path::PathBuf;

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
    line.split(';').next().expect("its end").split_whitespace().map(str::to_owned).collect()
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
        let results =
            PathBuf::from(&release[release.iter().position(|word| word == "--results").expect("results") + 1]);
        let dir = fixture.train.dir.path();
        let (opened, approval, trust) = (release[0].as_str(), dir.join("approval.json"), dir.join("trust"));
        fixture.command(&["keygen", utf8(&dir.join("anna"))]).ok();
        fs::create_dir_all(trust.join("reviewers")).expect("a directory");
        fs::copy(dir.join("anna.pub.pem"), trust.join("reviewers/anna.pem")).expect("a pin");
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
        for (role, name, of) in [
            ("creators", "test-user-id", "user"),
            ("stations", "station_1", "station_1"),
            ("stations", "station_2", "station_2"),
            ("builders", "builder", "builder"),
        ] {
            fs::create_dir_all(trust.join(role)).expect("a directory");
            let public =
                fs::read(format!("{}.pub.pem", fixture.train.key(of).trim_end_matches(".pem"))).expect("a key");
            fs::write(trust.join(role).join(format!("{name}.pem")), public).expect("a pin");
        }
        release(&["--approval", approval, "--trust", utf8(&trust)]).ok();
        assert_eq!(fixture.result("counts.csv"), "group,count\na,120\n", "{wire:?}");
        fs::remove_dir_all(results.parent().expect("what was held")).expect("what was held");
        fixture.check_nothing_left();
    }
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
    let results = words.last().expect("results");
    assert!(fs::metadata(results).is_err(), "the results are erased");
}
