//! Exit statuses and errors in JSON: what the manual and the help say, and what programs get.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;
use support::tree::copy;
use support::{Layout, Peer, available, pht_oci, utf8};

fn page(topic: &str) -> &'static str {
    pht_oci::manual::page(topic).expect("a page").text
}

/// The statuses in the first column of the manual's table.
fn in_manual() -> BTreeSet<u8> {
    let table = page("commands").split("| exit status | meaning |").nth(1).expect("the table");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.flat_map(|row| {
        row.split('|')
            .nth(1)
            .expect("a column")
            .split(',')
            .map(|status| status.trim().parse().expect("a number"))
            .collect::<Vec<u8>>()
    })
    .collect()
}

#[test]
fn manual_and_help_list_the_same_statuses() {
    let help = String::from_utf8(pht_oci(&["--help"], &[]).ok().stdout).expect("text");
    let statuses = help.split("Exit status:").nth(1).expect("the list");
    let numbers = statuses.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse::<u8>().ok());
    assert_eq!(numbers.collect::<BTreeSet<_>>(), in_manual());
    for kind in ["io", "internal", "usage", "verification", "key", "malformed", "registry", "decision", "interrupted"] {
        let row = page("json").lines().find(|line| line.contains("`error.kind`")).expect("the row");
        assert!(row.contains(&format!("`{kind}`")), "{kind}: {row}");
    }
}

/// One error of each kind that needs nothing else: status, kind, and for a check its id and subject.
#[test]
fn errors_in_json_say_kind_status_check_and_subject() {
    if !available("statuses::errors_in_json_say_kind_status_check_and_subject", &[Peer::Python]) {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/wire-3"), dir.path());
    let layout = Layout::new(dir.path().join("layout"));
    let path = |name: &str| utf8(&dir.path().join(name)).to_owned();
    let (image, to) = (layout.at("2"), layout.at("opened"));
    let master = Layout::new(dir.path().join("master"));
    master.make_base("base", false);
    let master = master.at("base");
    let (own, other) = (path("keys/station_3.pem"), path("keys/station_1.pem"));
    fs::create_dir_all(path("trust/creators")).expect("a directory");
    fs::copy(path("keys/builder.pub.pem"), path("trust/creators/alice.pem")).expect("a key");
    let trust = path("trust");
    let listed = in_manual();
    for (line, status, kind, check) in [
        (vec!["pre-run", &image, &to, "--nonsense"], 2, "usage", None),
        (vec!["pre-run", &image, &to, "--private-key", &other], 3, "verification", None),
        (
            vec!["pre-run", &image, &to, "--private-key", &own, "--trust", &trust],
            3,
            "verification",
            Some("creator-key"),
        ),
        (vec!["pre-run", &image, &to, "--private-key", &own, "--strict"], 3, "verification", Some("trust")),
        (vec!["pre-run", &image, &to, "--private-key", &own, "--station", "2"], 4, "key", None),
        (vec!["inspect", &own], 5, "malformed", None),
        (vec!["inspect", "docker://127.0.0.1:1/x:y", "--authfile", "/nowhere/auth.json"], 6, "registry", None),
        (
            vec!["pre-run", &image, &to, "--private-key", &own, "--accept-master", &master],
            7,
            "decision",
            Some("master"),
        ),
    ] {
        let outcome = pht_oci(&[&line[..], &["--format", "json"]].concat(), &[]).refused(status);
        let error: Value = serde_json::from_str(outcome.stderr.lines().last().expect("an error")).expect("JSON");
        let error = &error["error"];
        assert_eq!((&error["kind"], &error["exit_status"]), (&kind.into(), &status.into()), "{line:?}");
        assert!(listed.contains(&u8::try_from(status).expect("a status")));
        assert_eq!(error.get("check").and_then(Value::as_str), check, "{line:?}: {error}");
        assert_eq!(error.get("subject").is_some(), check.is_some(), "{line:?}: {error}");
    }
}
