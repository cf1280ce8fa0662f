//! The oldest wire version that is accepted: `--min-wire`, `PHT_MIN_WIRE` and the file `min-wire` beside the pinned keys.

use std::fs;
use std::os::unix::fs::symlink;

use support::tree::{differences, snapshot};
use support::vectors::Signed;
use support::{Outcome, Wire, pht_oci, utf8};

/// Every command that looks at a closed train and holds it against a policy.
fn commands(train: &Signed, options: &[&str], variables: &[(&str, &str)]) -> Vec<(String, Outcome)> {
    let (image, to) = (train.layout.at(train.tag), train.layout.at("opened"));
    let out = utf8(&train.dir.path().join("out")).to_owned();
    let lines = [
        vec!["verify", &image],
        vec!["results", &image, "--private-key", &train.creator, "--out", &out],
        vec!["pre-run", &image, &to, "--private-key", &train.station],
    ];
    lines.map(|line| (line[0].to_owned(), pht_oci(&[&line[..], options].concat(), variables))).into_iter().collect()
}

fn at_least(wire: Wire, minimum: Wire) -> bool {
    let place = |wire| Wire::OURS.iter().position(|known| *known == wire);
    place(wire) >= place(minimum)
}

#[test]
fn every_command_refuses_an_older_wire_and_says_who_demands_it() {
    for wire in Wire::OURS {
        let train = Signed::new(wire);
        for minimum in Wire::OURS.into_iter().filter(|minimum| !at_least(wire, *minimum)) {
            let before = snapshot(train.dir.path());
            for (command, outcome) in commands(&train, &["--min-wire", minimum.option(), "--format", "json"], &[]) {
                let refused = outcome.refused(3);
                let error: serde_json::Value = serde_json::from_str(refused.stderr.trim()).expect("an error as JSON");
                assert_eq!(
                    (&error["error"]["check"], &error["error"]["subject"]),
                    (&"min-wire".into(), &"wire version".into())
                );
                let what =
                    format!("wire {}, but at least wire {} is demanded by --min-wire", wire.option(), minimum.option());
                assert_eq!(error["error"]["what"], what, "{command}");
            }
            assert_eq!(differences(&before, &snapshot(train.dir.path()), true), Vec::<String>::new());
        }
    }
}

#[test]
fn the_minimum_itself_and_newer_wires_are_accepted() {
    for wire in Wire::OURS {
        for minimum in [Wire::V1_1_1, wire] {
            let train = Signed::new(wire);
            for (command, outcome) in commands(&train, &["--min-wire", minimum.option(), "--format", "json"], &[]) {
                let report = outcome.ok().json();
                let checks = report["checks"].as_array().expect("a list");
                let found = checks.iter().filter(|check| check["id"] == "min-wire").collect::<Vec<_>>();
                assert!(found.len() == 1 && found[0]["verdict"] == "sound", "{wire:?} {command}: {report}");
            }
        }
    }
    // Without a demand there is nothing to check.
    let train = Signed::new(Wire::V2_0);
    for (command, outcome) in commands(&train, &["--format", "json"], &[]) {
        let report = outcome.ok().json();
        assert!(!report["checks"].to_string().contains("min-wire"), "{command}: {report}");
    }
}

#[test]
fn verify_shows_all_lines() {
    let train = Signed::new(Wire::V2_0);
    let outcome =
        pht_oci(&["verify", &train.layout.at(train.tag), "--min-wire", "3", "--format", "json"], &[]).refused(3);
    let report = outcome.json();
    assert_eq!((&report["verdict"], &report["checks"][0]["id"]), (&"broken".into(), &"min-wire".into()));
    assert!(report["checks"].as_array().is_some_and(|checks| checks.len() > 10), "{report}");
}

#[test]
fn post_run_and_rebase_refuse_too() {
    let train = Signed::new(Wire::V2_0);
    let (image, opened, closed) = (train.layout.at(train.tag), train.layout.at("opened"), train.layout.at("closed"));
    let base = support::Layout::new(train.dir.path().join("other"));
    base.make_base("base", false);
    pht_oci(&["pre-run", &image, &opened, "--private-key", &train.station], &[]).ok();
    let before = snapshot(train.dir.path());
    for line in [
        vec!["post-run", &opened, &closed, "--private-key", &train.station],
        vec!["rebase", &image, &closed, "--base", &base.at("base")],
    ] {
        let message = pht_oci(&line, &[("PHT_MIN_WIRE", "3")]).refused(3).stderr;
        assert!(message.contains("wire 2.0, but at least wire 3 is demanded by PHT_MIN_WIRE"), "{message}");
        assert!(message.contains("hint: ask for a train"), "{message}");
    }
    assert_eq!(differences(&before, &snapshot(train.dir.path()), true), Vec::<String>::new());
}

/// A minimum is a demand: none of the sources lowers another's.
#[test]
fn the_strictest_of_option_variable_and_file_counts() {
    let train = Signed::new(Wire::V1_1_2);
    let trust = train.dir.path().join("trust");
    let file = trust.join("min-wire");
    fs::create_dir_all(trust.join("creators")).expect("a new directory");
    let path = utf8(&file);
    let image = train.layout.at(train.tag);
    for (option, variable, content, source) in [
        (Some("1.1.1"), Some("2.0"), "1.1.2", Some("PHT_MIN_WIRE")),
        (Some("2.0"), Some("1.1.1"), "1.1.2", Some("--min-wire")),
        (Some("1.1.1"), Some("1.1.1"), "2.0\n", Some(path)),
        (Some("1.1.1"), None, " 3 \n", Some(path)),
        (None, Some("3"), "2.0", Some("PHT_MIN_WIRE")),
        (None, Some("1.1.1"), "2.0", Some(path)),
        (Some("2.0"), None, "1.1.1", Some("--min-wire")),
        (Some("1.1.2"), Some("1.1.1"), "1.1.1", None),
    ] {
        fs::write(&file, content).expect("a new file");
        let option = option.map(|wire| vec!["--min-wire", wire]).unwrap_or_default();
        let line = [&["verify", &image, "--trust", utf8(&trust), "--format", "json"][..], &option].concat();
        let variables: Vec<(&str, &str)> = variable.map(|wire| ("PHT_MIN_WIRE", wire)).into_iter().collect();
        // Of the pins none is there.
        let report = pht_oci(&line, &variables).refused(3).json();
        let check =
            report["checks"].as_array().and_then(|checks| checks.iter().find(|check| check["id"] == "min-wire"));
        let reason = check.expect("the check is there")["reason"].as_str();
        match source {
            None => assert_eq!(reason, None),
            Some(source) => {
                assert!(reason.is_some_and(|reason| reason.ends_with(&format!("demanded by {source}"))), "{report}")
            }
        }
    }
}

/// A demand that is not understood is no permission.
#[test]
fn a_minimum_that_is_none_is_an_error_of_usage() {
    let train = Signed::new(Wire::V2_0);
    let (image, trust) = (train.layout.at(train.tag), train.dir.path().join("trust"));
    let verify = |options: &[&str], variables: &[(&str, &str)]| {
        pht_oci(&[&["verify", &image, "--trust", utf8(&trust)][..], options].concat(), variables)
    };
    fs::create_dir(&trust).expect("a new directory");
    for name in ["4", "2", "3.0", "", "latest"] {
        assert!(verify(&["--min-wire", name], &[]).refused(2).stderr.contains("--min-wire"), "{name}");
        assert!(verify(&[], &[("PHT_MIN_WIRE", name)]).refused(2).stderr.contains("PHT_MIN_WIRE"), "{name}");
        assert!(verify(&["--min-wire", "3"], &[("PHT_MIN_WIRE", name)]).refused(2).stderr.contains("PHT_MIN_WIRE"));
        fs::write(trust.join("min-wire"), name).expect("a new file");
        assert!(verify(&[], &[]).refused(2).stderr.contains("trust/min-wire"), "{name}");
    }
    fs::write(trust.join("min-wire"), "3".repeat(100)).expect("a new file");
    assert!(verify(&[], &[]).refused(2).stderr.contains("trust/min-wire"));
    fs::remove_file(trust.join("min-wire")).expect("the file");
    symlink("nowhere", trust.join("min-wire")).expect("a link");
    assert!(verify(&[], &[]).refused(1).stderr.contains("trust/min-wire"));
    fs::remove_file(trust.join("min-wire")).expect("the link");
    fs::create_dir(trust.join("min-wire")).expect("a new directory");
    assert!(verify(&[], &[]).refused(2).stderr.contains("trust/min-wire"));
}
