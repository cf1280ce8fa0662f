//! The archive that the central service hands out: the config and the results, and no image around them.

use std::fs;
use std::os::unix::fs::symlink;

use crate::creator::fixture::ResultsFixture;
use support::peers::test_file;
use support::tree::{differences, snapshot, write_results};
use support::{Peer, Wire, available, pht_oci, run, utf8};

/// A member of an archive, as `handout.py` reads it.
fn member(name: &str, kind: &str, to: &str) -> String {
    serde_json::json!({ "name": name, "type": kind, "to": to }).to_string()
}

fn file(name: &str) -> String {
    serde_json::json!({ "name": name, "data": "planted" }).to_string()
}

/// The archive of the fixture's train, beside its layout.
fn hand_out(fixture: &ResultsFixture, options: &[&str]) -> String {
    let (script, out) = (test_file("python/handout.py"), fixture.path("handout.tar"));
    let (script, out) = (utf8(&script), utf8(&out).to_owned());
    let line = [script, fixture.train.layout.path(), "post", &out];
    run("python3", &[&line, options].concat()).unwrap_or_else(|message| panic!("{message}"));
    out
}

#[test]
fn a_handed_out_archive_gives_what_the_image_gives() {
    if !available("a_handed_out_archive_gives_what_the_image_gives", &[Peer::Python]) {
        return;
    }
    for wire in [Wire::V1_1_1, Wire::V2_0, Wire::V3] {
        let fixture = ResultsFixture::new(wire, |dir| {
            write_results(dir, 0);
            fs::hard_link(dir.join("sub/x"), dir.join("sub/x-again")).unwrap();
        });
        fixture.results(&fixture.image(), "wanted", &[]).ok();
        for (turn, options) in
            [&[][..], &["--gzip"], &["--prefix", "./"], &["--last", &file("user_sym_key.key")]].into_iter().enumerate()
        {
            let archive = hand_out(&fixture, options);
            let out = format!("out-{turn}");
            let report = fixture.results(&archive, &out, &["--format", "json"]).ok().json();
            let changes = differences(&snapshot(&fixture.path(&out)), &snapshot(&fixture.path("wanted")), true);
            assert_eq!(changes, Vec::<String>::new(), "{wire:?} {options:?}");
            assert_eq!((&report["wire"], &report["source"]), (&wire.option().into(), &archive.into()));
            assert!(report["digest"]["before"].is_null(), "{report}");
            // What the image would have proved is named.
            let checks = report["checks"].as_array().unwrap();
            let verdict = |id: &str| checks.iter().find(|check| check["id"] == id).map(|check| &check["verdict"]);
            assert_eq!(verdict("payload"), (wire == Wire::V3).then_some(&"weak".into()), "{wire:?}");
            assert_eq!(verdict("result-hash"), (wire != Wire::V3).then_some(&"sound".into()), "{wire:?}");
            assert_eq!(report["warnings"].to_string().contains("/opt/user_sym_key.key"), turn == 3, "{report}");
        }
        // And on it goes as an archive.
        let archive = hand_out(&fixture, &[]);
        let tar = fixture.results(&archive, "-", &["-q"]).ok().stdout;
        assert_eq!(tar, fixture.results(&fixture.image(), "-", &["-q"]).ok().stdout);
    }
}

#[test]
fn an_archive_that_does_not_hold_gives_nothing() {
    if !available("an_archive_that_does_not_hold_gives_nothing", &[Peer::Python]) {
        return;
    }
    let fixture = ResultsFixture::new(Wire::V2_0, |dir| write_results(dir, 0));
    let archive = hand_out(&fixture, &["--without", "pht_results/result.txt"]);
    let names = fixture.names();
    fixture.results(&archive, "out", &[]).refused(3);
    fixture.results(&archive, "-", &[]).refused(3);
    hand_out(&fixture, &["--last", &file("pht_results/planted")]);
    fixture.results(&archive, "out", &[]).refused(3);
    hand_out(&fixture, &[]);
    // Not the creator's key, an image's tag, a demand that only an image can meet.
    let (key, out) = (fixture.train.key("a"), fixture.path("out"));
    pht_oci(&["results", &archive, "--private-key", &key, "--out", utf8(&out)], &[]).refused(4);
    fixture.results(&format!("oci-archive:{archive}:latest"), "out", &[]).refused(5);
    fixture.results(&archive, "out", &["--strict"]).refused(3);
    // Cut in the middle of a file.
    let whole = fs::read(&archive).unwrap();
    fs::write(&archive, &whole[..whole.len() / 2]).unwrap();
    fixture.results(&archive, "out", &[]).refused(5);
    assert_eq!(fixture.names(), names);
}

#[test]
fn hostile_archives_are_refused_and_nothing_is_written_anywhere() {
    if !available("hostile_archives_are_refused", &[Peer::Python]) {
        return;
    }
    let fixture = ResultsFixture::new(Wire::V1_1_2, |dir| write_results(dir, 0));
    hand_out(&fixture, &[]);
    let outside = fixture.path("outside");
    fs::create_dir(&outside).unwrap();
    symlink(&outside, fixture.path("way")).unwrap();
    let (names, here) = (fixture.names(), utf8(&outside));
    let absolute = format!("{here}/planted");
    for (members, message) in [
        (vec![file("../planted")], "has `..` in it"),
        (vec![file("pht_results/../../planted")], "has `..` in it"),
        (vec![member("pht_results/way", "symlink", here), file("pht_results/way/planted")], "with files below"),
        (vec![member("pht_results/etc", "link", "../../etc/passwd")], "has `..` in it"),
        (vec![member("pht_results/etc", "link", "/etc/passwd")], "which does not exist"),
        (vec![member("pht_results/null", "char", "")], "a device node"),
        (vec![file("train_config.json")], "twice in the archive"),
        (vec![file("./pht_results//result.txt")], "twice in the archive"),
        (vec![member("pht_results/sub", "symlink", here)], "twice in the archive"),
        (vec![file("pht_results/.wh.result.txt")], "a whiteout"),
        (vec![file("pht_results/result.txt/below")], "with files below"),
    ] {
        let options: Vec<&str> = ["--last"].into_iter().chain(members.iter().map(String::as_str)).collect();
        let archive = hand_out(&fixture, &options);
        for out in ["out", "out.tar"] {
            let refused = fixture.results(&archive, out, &[]).refused(5);
            assert!(refused.stderr.contains(message), "{members:?}: {}", refused.stderr);
        }
        assert_eq!(fixture.names(), names, "{members:?}");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "{members:?}");
    }
    // An absolute name is a name below the root, and here one that nobody asks for.
    let archive = hand_out(&fixture, &["--last", &file(&absolute)]);
    fixture.results(&archive, "out", &[]).ok();
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    // What is no such archive is told as before.
    fs::write(fixture.path("handout.tar"), [0; 2048]).unwrap();
    let refused = fixture.results(&archive, "other", &[]).refused(5);
    assert!(refused.stderr.contains("not an OCI archive"), "{}", refused.stderr);
}
