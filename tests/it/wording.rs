//! Errors as a person reads them: each names its object, and says what to do.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use support::{Edit, Implementation, Train, TrainSpec, Wire, pht_oci, utf8};

/// What an error says: the whole message, and its hint.
#[track_caller]
fn said(status: i32, line: &[&str], variables: &[(&str, &str)]) -> (String, String) {
    let mut words = vec![line[0], "--format", "json"];
    words.extend(&line[1..]);
    let refused = pht_oci(&words, variables).refused(status);
    let error = refused.stderr.lines().last().and_then(|line| serde_json::from_str::<Value>(line).ok());
    let error = error.unwrap_or_else(|| panic!("{line:?}: {}", refused.stderr));
    let text = |name: &str| error["error"][name].as_str().unwrap_or_default().to_owned();
    (text("message"), text("hint"))
}

#[track_caller]
fn check(status: i32, line: &[&str], message: &[&str], hint: &[&str]) {
    let (what, advice) = said(status, line, &[]);
    for part in message {
        assert!(what.contains(part), "{line:?}: no `{part}` in {what}");
    }
    for part in hint {
        assert!(advice.contains(part), "{line:?}: no `{part}` in the hint of {what}: {advice}");
    }
}

#[test]
fn errors_name_their_object_and_what_to_do() {
    let train = Train::build(Implementation::Ours, Wire::V2_0, &TrainSpec::default()).unwrap();
    let path = |name: &str| utf8(&train.dir.path().join(name)).to_owned();
    let (image, first, user) = (train.layout.at("0"), train.key(&train.station_id(0)), train.key("user"));
    let to = format!("oci:{}:x", path("to"));

    fs::write(path("zero.tar"), "").unwrap();
    check(5, &["inspect", &path("zero.tar")], &["zero.tar", "the file is empty"], &["fetch"]);
    fs::write(path("key.txt"), "-----BEGIN NONSENSE-----\n".repeat(60)).unwrap();
    check(5, &["inspect", &path("key.txt")], &["key.txt", "not a tar archive"], &["skopeo copy"]);

    // Keys.
    for (kind, name) in [("ed25519", "Ed25519"), ("ecdsa", "ECDSA")] {
        let made = Command::new("ssh-keygen").args(["-q", "-t", kind, "-N", "", "-f", &path(kind)]).status();
        if made.is_ok_and(|status| status.success()) {
            let line = ["pre-run", &image, &to, "--private-key", &path(kind)];
            check(4, &line, &[kind, name, "need RSA"], &["pht-oci keygen"]);
        }
    }
    let many: Vec<Value> = (0..12).map(|number| json!(format!("station-{number}"))).collect();
    let spec = TrainSpec { stations: many, indexes: (0..12).collect(), ..TrainSpec::default() };
    let long = Train::build(Implementation::Ours, Wire::V2_0, &spec).unwrap();
    let (what, _) = said(4, &["pre-run", &long.layout.at("0"), &to, "--private-key", &user], &[]);
    assert!(what.contains("`station-4`, and 7 more") && !what.contains("`station-5`"), "{what}");

    // Building.
    let route = path("own-route.json");
    fs::write(&route, json!([{ "station": "a", "public_key_file": first.replace(".pem", ".pub.pem") }]).to_string())
        .unwrap();
    let (built, base) = (path("built"), train.base.at("base"));
    let build = ["build", &built, "--base", &base, "--route", &route, "--creator", "c", "--creator-key", &user];
    check(
        2,
        &[&build[..], &["--files", &route]].concat(),
        &["own-route.json", "neither a directory nor a tar archive"],
        &["the directory with the train's files"],
    );
    check(
        2,
        &[&build[..], &["--files", &path("none")]].concat(),
        &["there is no such directory"],
        &["the directory with the train's files"],
    );
    assert!(!Path::new(&built).exists());

    // A run.
    let open = train.layout.at("open");
    pht_oci(&["pre-run", &image, &open, "--private-key", &first], &[]).ok();
    let line = ["post-run", &open, "--private-key", &first, "--results", &path("none")];
    check(2, &line, &["--results", "there is no such directory"], &["pre-run"]);
    train.layout.append("open", "touched", &[Edit::Put("opt/pht_train/x", b"1".to_vec())]);
    let line = ["post-run", &train.layout.at("touched"), "--private-key", &first];
    check(3, &line, &["`x`", "/opt/pht_train"], &["/opt/pht_results"]);
}

/// A variable that a script has left empty is as good as none; an option is not.
#[test]
fn empty_variables_count_as_none() {
    let train = Train::build(Implementation::Ours, Wire::V3, &TrainSpec::default()).unwrap();
    let (image, key) = (train.layout.at("0"), train.key(&train.station_id(0)));
    let empty = [("PHT_TRUST_DIR", ""), ("STATION_ID", ""), ("PRIVATE_KEY_PATH", ""), ("REGISTRY_AUTH_FILE", "")];
    pht_oci(&["verify", &image], &empty).ok();
    pht_oci(&["pre-run", &image, &train.layout.at("open"), "--private-key", &key], &empty).ok();
    let (what, hint) = said(4, &["pre-run", &image, &train.layout.at("open2")], &empty);
    assert!(what.contains("no private key is given") && hint.contains("--private-key"), "{what}");
    for option in [&["verify", &image, "--trust", ""][..], &["verify", &image, "--trust="]] {
        pht_oci(option, &[]).refused(2);
    }
    assert!(
        said(3, &["pre-run", &image, &image, "--private-key", &key, "--station", ""], &[]).0.contains("station ``")
    );
}

/// Each command's help has its own options, and those of registries only where it has to do with one.
#[test]
fn help_shows_the_options_that_act() {
    let help = |command: &str| String::from_utf8(pht_oci(&[command, "--help"], &[]).ok().stdout).unwrap();
    for (command, source, destination) in [
        ("keygen", false, false),
        ("gc", false, false),
        ("completions", false, false),
        ("man", false, false),
        ("help", false, false),
        ("inspect", true, false),
        ("verify", true, false),
        ("extract", true, false),
        ("copy", true, true),
        ("pre-run", true, true),
        ("build", true, true),
    ] {
        let text = help(command);
        assert_eq!(text.contains("--src-creds"), source, "{command}: {text}");
        assert_eq!(text.contains("--offline"), source, "{command}: {text}");
        assert_eq!(text.contains("--dest-creds"), destination, "{command}: {text}");
        assert!(text.contains("--format"), "{command}: {text}");
    }
    let main = String::from_utf8(pht_oci(&["--help"], &[]).ok().stdout).unwrap();
    for variable in ["PRIVATE_KEY_PATH", "PHT_TRUST_DIR", "SOURCE_DATE_EPOCH", "NO_COLOR"] {
        assert!(main.contains(variable), "{main}");
    }
    // What is not shown is still no error: scripts give one set of options to all commands.
    let dir = tempfile::tempdir().unwrap();
    let pages = utf8(dir.path());
    pht_oci(&["man", "--out", pages, "--offline"], &[]).ok();
    let page = fs::read_to_string(dir.path().join("pht-oci.1")).unwrap();
    assert!(page.contains("PHT_TRUST_DIR") && page.contains("PRIVATE_KEY_PASSWORD"), "{page}");
}
