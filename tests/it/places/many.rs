//! The number of files, which memory follows, has a limit that somebody can raise.

use std::fs;

use support::keys::write_pairs;
use support::stage::StageFixture;
use support::tree::{differences, snapshot};
use support::{Outcome, Wire, pht_oci, utf8};

#[track_caller]
fn too_many(outcome: Outcome, most: usize) {
    let message = outcome.refused(5).stderr;
    for part in [&format!("more than {most} files"), "--max-files"] {
        assert!(message.contains(part), "no {part} in {message}");
    }
}

#[test]
fn every_command_names_the_limit_on_files() {
    for wire in Wire::ALL {
        let fixture = StageFixture::new(wire);
        let dir = fixture.vectors.dir.path().join("results");
        fixture.stage("pre-run", &["latest", "opened"], &["--results", utf8(&dir)]).ok();
        for number in 0..50 {
            fs::write(dir.join(format!("{number}")), "a result").expect("a new file");
        }
        let before = snapshot(&fixture.layout.dir);
        let post_run = |most: &str| {
            fixture.stage("post-run", &["opened", "closed"], &["--results", utf8(&dir), "--max-files", most])
        };
        // At post-run already: nobody could read the train afterwards.
        too_many(post_run("30"), 30);
        too_many(post_run("52"), 52);
        assert_eq!(differences(&before, &snapshot(&fixture.layout.dir), true), Vec::<String>::new());
        post_run("100").ok();
        let (image, key) = (fixture.layout.at("closed"), fixture.vectors.key("user"));
        let out = fixture.vectors.dir.path().join("out");
        let results = ["results", &image, "--private-key", &key, "--out", utf8(&out)];
        for line in [&["verify", &image][..], &results, &["extract", &image, "opt/pht_results", "--out", utf8(&out)]] {
            too_many(pht_oci(&[line, &["--max-files", "30"]].concat(), &[]), 30);
            assert!(!out.exists(), "{line:?}");
        }
        pht_oci(&[&results[..], &["--max-files", "100"]].concat(), &[]).ok();
    }
}

#[test]
fn a_train_of_too_many_files_is_not_built() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| dir.path().join(name).display().to_string();
    fs::create_dir(path("files")).expect("a new directory");
    for number in 0..30 {
        fs::write(dir.path().join(format!("files/{number}")), "x").expect("a new file");
    }
    write_pairs(dir.path(), &["creator", "builder", "a"]);
    fs::write(path("route.json"), r#"[{"station": "a", "public_key_file": "KEY"}]"#.replace("KEY", &path("a.pub.pem")))
        .expect("a new file");
    let to = format!("oci:{}:t", path("train"));
    let (files, route, creator, builder) =
        (path("files"), path("route.json"), path("creator.pem"), path("builder.pem"));
    let line = |most| {
        let what = ["build", &to, "--base", "scratch", "--files", &files, "--route", &route];
        let who = ["--creator", "c", "--creator-key", &creator, "--builder-key", &builder, "--max-files", most];
        pht_oci(&[&what[..], &who].concat(), &[])
    };
    too_many(line("20"), 20);
    assert!(!dir.path().join("train").exists());
    line("40").ok();
}
