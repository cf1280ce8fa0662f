//! `doctor`: each of many broken set-ups is named, with what to do; a good one is ready.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;
use support::tree::copy;
use support::{Layout, Outcome, pht_oci, utf8};

/// A station that is ready for a train of wire 3 after its second station.
struct Station {
    dir: tempfile::TempDir,
    layout: Layout,
}

const SETTINGS: &str = "\
station = \"Universität 🚂 \\\"3\\\"\"
private-key = \"station.pem\"
trust = \"trust\"
journal = \"journal\"
[accept]
min-wire = \"3\"
[run]
engine = \"runc\"
volumes = [\"data:/data:ro\"]
";

impl Station {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/wire-3"), dir.path());
        let station = Station { layout: Layout::new(dir.path().join("layout")), dir };
        for name in ["trust/creators", "data", "bin", "tmp"] {
            let _ = fs::create_dir_all(station.path(name));
        }
        station.write("station.toml", SETTINGS);
        station.write("bin/runc", "#!/bin/sh\necho runc version 1\n");
        station.mode("bin/runc", 0o755);
        fs::copy(station.path("keys/station_3.pem"), station.path("station.pem")).expect("a key");
        station.mode("station.pem", 0o600);
        station.pin("creators/alice.pub.pem", "creator");
        station
    }

    fn path(&self, name: &str) -> String {
        utf8(&self.dir.path().join(name)).to_owned()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a file");
    }

    fn settings(&self, from: &str, to: &str) {
        assert!(SETTINGS.contains(from));
        self.write("station.toml", &SETTINGS.replace(from, to));
    }

    /// Appends to the settings, which end in those of a run.
    fn add(&self, text: &str) {
        self.write("station.toml", &format!("{SETTINGS}{text}\n"));
    }

    /// A stage by these settings.
    fn stage(&self, stage: &str, from: &str, to: &str) {
        let config = self.path("station.toml");
        pht_oci(&[stage, &self.layout.at(from), &self.layout.at(to), "--config", &config], &[]).ok();
    }

    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).expect("a mode");
    }

    fn pin(&self, name: &str, key: &str) {
        let to = self.dir.path().join("trust").join(name);
        fs::create_dir_all(to.parent().expect("below a directory")).expect("a directory");
        fs::copy(self.path(&format!("keys/{key}.pub.pem")), to).expect("a key");
    }

    fn doctor(&self, tag: Option<&str>, options: &[&str], variables: &[(&str, &str)]) -> Outcome {
        let source = tag.map(|tag| self.layout.at(tag));
        let (config, tmp, bin) = (self.path("station.toml"), self.path("tmp"), self.path("bin"));
        let mut line = vec!["doctor"];
        line.extend(source.as_deref());
        let own = ["--config", &config, "--tmpdir", &tmp];
        line.extend(own.iter().filter(|option| !options.contains(&"--tmpdir") || !own[2..].contains(option)));
        line.extend(["--format", "json"]);
        line.extend(options);
        let mut all = vec![("PATH", bin.as_str()), ("HOME", &tmp)];
        all.extend(variables);
        pht_oci(&line, &all)
    }
}

#[test]
fn a_good_set_up_is_ready() {
    let station = Station::new();
    for tag in [None, Some("2")] {
        let outcome = station.doctor(tag, &[], &[]).ok();
        let report = outcome.json();
        assert_eq!(report["ready"], true, "{report}");
        let findings = report["findings"].as_array().expect("a list");
        assert!(findings.iter().all(|finding| finding["verdict"] == "ok"), "{report}");
        for id in ["settings", "key", "trust", "journal", "engine", "network", "volumes", "clock", "disk"] {
            assert!(findings.iter().any(|finding| finding["id"] == id), "{id} is not in {report}");
        }
        for id in ["train", "layers", "signatures", "route", "pin"] {
            assert_eq!(findings.iter().any(|finding| finding["id"] == id), tag.is_some(), "{id}: {report}");
        }
    }
    let (config, bin, tmp) = (station.path("station.toml"), station.path("bin"), station.path("tmp"));
    let text =
        pht_oci(&["doctor", "--config", &config, "--tmpdir", &tmp], &[("PATH", &bin), ("HOME", &tmp)]).ok().stdout;
    assert!(String::from_utf8(text).expect("text").ends_with("ready\n"));
    // Nothing was changed.
    assert!(!Path::new(&station.path("journal")).exists());
}

/// A set-up without anything is no fault of its own, but has no key.
#[test]
fn what_is_not_set_is_said() {
    let station = Station::new();
    station.write("station.toml", "private-key = \"station.pem\"\n");
    let report = station.doctor(None, &[], &[]).ok().json();
    let warned: Vec<&Value> = report["findings"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|finding| finding["verdict"] == "warning")
        .map(|finding| &finding["id"])
        .collect();
    assert_eq!(warned, ["trust", "journal", "engine"]);
}

/// How one set-up is broken, and what the doctor has to say.
struct Broken {
    name: &'static str,
    breaks: fn(&Station),
    tag: Option<&'static str>,
    options: &'static [&'static str],
    variables: &'static [(&'static str, &'static str)],
    status: i32,
    /// The finding's id, or nothing where the command line as a whole is refused.
    id: &'static str,
    says: &'static str,
    advises: &'static str,
}

const FINE: Broken = Broken {
    name: "",
    breaks: |_| {},
    tag: None,
    options: &[],
    variables: &[],
    status: 0,
    id: "",
    says: "",
    advises: "",
};

/// Set-ups that are broken in one way each.
const BROKEN: &[Broken] = &[
    Broken {
        name: "a layer of the base that is missing",
        breaks: |s| fs::remove_file(s.layout.blob(&s.layout.layers("2")[0])).unwrap(),
        tag: Some("2"),
        status: 5,
        id: "layers",
        says: "absent",
        ..FINE
    },
    Broken {
        name: "no settings",
        breaks: |s| fs::remove_file(s.path("station.toml")).unwrap(),
        status: 2,
        says: "station.toml",
        advises: "--config",
        ..FINE
    },
    Broken {
        name: "unknown key",
        breaks: |s| s.settings("trust =", "thrust ="),
        status: 2,
        says: "line 3: there is no key `thrust`",
        advises: "the keys are",
        ..FINE
    },
    Broken { name: "no TOML", breaks: |s| s.write("station.toml", "station = \n"), status: 2, says: "line 1", ..FINE },
    Broken {
        name: "unknown engine",
        breaks: |s| s.settings("\"runc\"", "\"rkt\""),
        status: 2,
        id: "settings",
        says: "line 8: run.engine: `rkt` is not a value for this key: there is no engine `rkt`; there are podman, docker",
        ..FINE
    },
    Broken {
        name: "unknown table",
        breaks: |s| s.settings("[run]", "[runs]"),
        status: 2,
        says: "line 7: there is no key `runs`",
        advises: "[accept], [run], [release]",
        ..FINE
    },
    Broken {
        name: "no duration",
        breaks: |s| s.add("timeout = \"12 hours\""),
        status: 2,
        id: "settings",
        says: "line 10: run.timeout: `12 hours`",
        ..FINE
    },
    Broken {
        name: "no size",
        breaks: |s| s.add("memory = \"8 GB\""),
        status: 2,
        id: "settings",
        says: "run.memory: `8 GB`",
        ..FINE
    },
    Broken {
        name: "no number of processors",
        breaks: |s| s.add("cpus = \"many\""),
        status: 2,
        id: "settings",
        says: "run.cpus: `many`",
        ..FINE
    },
    Broken {
        name: "no count",
        breaks: |s| s.add("[release]\nmin-count = \"ten\""),
        status: 2,
        says: "release.min-count: expected a whole number, without quotes",
        ..FINE
    },
    Broken {
        name: "no size of a file",
        breaks: |s| s.add("[release]\nmax-file = \"10 MB\""),
        status: 2,
        id: "settings",
        says: "release.max-file: `10 MB`",
        ..FINE
    },
    Broken {
        name: "no volume",
        breaks: |s| s.settings("data:/data:ro", "/data"),
        status: 2,
        id: "settings",
        says: "run.volumes: `/data` is not a value for this key: the path in the train is missing",
        advises: "HOST:PATH",
        ..FINE
    },
    Broken {
        name: "too few reviewers",
        breaks: |s| {
            s.pin("reviewers/anna.pem", "creator");
            s.add("[release]\nreview = true\nreviewers = 2");
        },
        status: 2,
        id: "reviewers",
        says: "2 reviewers to approve what leaves, and 1 pinned",
        advises: "reviewers/NAME.pem",
        ..FINE
    },
    Broken {
        name: "unknown wire",
        breaks: |s| s.settings("min-wire = \"3\"", "min-wire = \"9\""),
        status: 2,
        id: "accept",
        says: "settings",
        ..FINE
    },
    Broken {
        name: "settings that others change",
        breaks: |s| s.mode("station.toml", 0o666),
        status: 2,
        id: "settings",
        says: "others can change",
        advises: "chmod",
        ..FINE
    },
    Broken {
        name: "no key",
        breaks: |s| s.settings("private-key = \"station.pem\"\n", ""),
        status: 4,
        id: "key",
        says: "no private key",
        advises: "--private-key",
        ..FINE
    },
    Broken {
        name: "key that is not there",
        breaks: |s| fs::remove_file(s.path("station.pem")).unwrap(),
        status: 4,
        id: "key",
        says: "station.pem",
        ..FINE
    },
    Broken {
        name: "public key",
        breaks: |s| copy_key(s.path("keys/station_3.pub.pem"), s.path("station.pem")),
        status: 4,
        id: "key",
        says: "a public key was given",
        ..FINE
    },
    Broken {
        name: "no key at all",
        breaks: |s| s.write("station.pem", "hello\n"),
        status: 4,
        id: "key",
        says: "not a private key",
        ..FINE
    },
    Broken {
        name: "locked key",
        breaks: |s| lock_key(s),
        status: 4,
        id: "key",
        says: "no passphrase was given",
        advises: "PRIVATE_KEY_PASSWORD",
        ..FINE
    },
    Broken {
        name: "wrong passphrase",
        breaks: |s| lock_key(s),
        variables: &[("PRIVATE_KEY_PASSWORD", "wrong")],
        status: 4,
        id: "key",
        says: "passphrase",
        ..FINE
    },
    Broken {
        name: "passphrase file that is not there",
        breaks: |s| s.settings("trust =", "passphrase-file = \"none\"\ntrust ="),
        status: 2,
        id: "key",
        says: "none",
        ..FINE
    },
    Broken {
        name: "key that others read",
        breaks: |s| s.mode("station.pem", 0o644),
        status: 4,
        id: "key",
        says: "others can read",
        advises: "chmod 600",
        ..FINE
    },
    Broken {
        name: "key of another station",
        breaks: |s| copy_key(s.path("keys/creator.pem"), s.path("station.pem")),
        tag: Some("2"),
        status: 4,
        id: "route",
        says: "not on the route",
        advises: "new route",
        ..FINE
    },
    Broken {
        name: "not its turn",
        tag: Some("1"),
        status: 3,
        id: "route",
        says: "not the turn",
        advises: "wait",
        ..FINE
    },
    Broken {
        name: "has signed",
        tag: Some("3"),
        status: 3,
        id: "route",
        says: "signed already",
        advises: "send it to its creator",
        ..FINE
    },
    Broken {
        name: "open",
        breaks: |s| s.stage("pre-run", "2", "opened"),
        tag: Some("opened"),
        status: 3,
        id: "train",
        says: "open already",
        advises: "encrypted",
        ..FINE
    },
    Broken {
        name: "closed before",
        breaks: |s| {
            s.stage("pre-run", "2", "opened");
            s.stage("post-run", "opened", "closed");
        },
        tag: Some("2"),
        status: 3,
        id: "journal",
        says: "closed already, by post-run",
        advises: "--again",
        ..FINE
    },
    Broken {
        name: "no train",
        breaks: |s| fs::write(s.path("layout/index.json"), "{}").unwrap(),
        tag: Some("2"),
        status: 5,
        id: "train",
        says: "layout",
        ..FINE
    },
    Broken {
        name: "no pins",
        breaks: |s| fs::remove_dir_all(s.path("trust")).unwrap(),
        status: 2,
        id: "trust",
        says: "no such directory",
        advises: "create",
        ..FINE
    },
    Broken {
        name: "no creator",
        breaks: |s| fs::remove_file(s.path("trust/creators/alice.pub.pem")).unwrap(),
        status: 3,
        id: "trust",
        says: "no creator is pinned",
        advises: "trust add",
        ..FINE
    },
    Broken {
        name: "private key as a pin",
        breaks: |s| copy_key(s.path("keys/creator.pem"), s.path("trust/creators/alice.pub.pem")),
        status: 2,
        id: "trust",
        says: "a private key was given",
        ..FINE
    },
    Broken {
        name: "two pins of one",
        breaks: |s| s.pin("creators/alice.pem", "builder"),
        status: 2,
        id: "trust",
        says: "another key is pinned",
        advises: "remove",
        ..FINE
    },
    Broken {
        name: "another creator's key",
        breaks: |s| s.pin("creators/alice.pub.pem", "builder"),
        tag: Some("2"),
        status: 3,
        id: "pin",
        says: "is pinned",
        advises: "ask the owner",
        ..FINE
    },
    Broken {
        name: "creator without a pin",
        breaks: |s| fs::rename(s.path("trust/creators/alice.pub.pem"), s.path("trust/creators/bob.pem")).unwrap(),
        tag: Some("2"),
        status: 3,
        id: "pin",
        says: "no key is pinned",
        advises: "trust add",
        ..FINE
    },
    Broken {
        name: "pins that anybody makes",
        breaks: |s| s.mode("trust/creators", 0o777),
        status: 3,
        id: "trust",
        says: "anybody can pin",
        ..FINE
    },
    Broken {
        name: "no place for the journal",
        breaks: |s| s.settings("\"journal\"", "\"none/journal\""),
        status: 1,
        id: "journal",
        says: "none/journal",
        advises: "directory",
        ..FINE
    },
    Broken {
        name: "journal that is none",
        breaks: |s| copy_key(s.path("keys/creator.pub.pem"), s.path("journal")),
        status: 2,
        id: "journal",
        says: "not a journal",
        ..FINE
    },
    Broken {
        name: "journal that cannot be written to",
        breaks: |s| fs::create_dir(s.path("journal")).unwrap(),
        status: 1,
        id: "journal",
        says: "cannot open the journal for writing",
        ..FINE
    },
    Broken {
        name: "changed journal",
        breaks: |s| s.write("journal", "{}\n"),
        status: 3,
        id: "journal",
        says: "line 1",
        ..FINE
    },
    Broken {
        name: "lost journal",
        breaks: |s| s.write("journal.head", "{}\n"),
        status: 3,
        id: "journal",
        says: "gone",
        advises: "backup",
        ..FINE
    },
    Broken {
        name: "no engine",
        breaks: |s| fs::remove_file(s.path("bin/runc")).unwrap(),
        status: 2,
        id: "engine",
        says: "runc",
        advises: "install",
        ..FINE
    },
    Broken {
        name: "engine that fails",
        breaks: |s| s.write("bin/runc", "#!/bin/sh\necho broken >&2\nexit 1\n"),
        status: 2,
        id: "engine",
        says: "broken",
        ..FINE
    },
    Broken {
        name: "no data",
        breaks: |s| fs::remove_dir(s.path("data")).unwrap(),
        status: 2,
        id: "volumes",
        says: "data",
        ..FINE
    },
    Broken {
        name: "broken logins",
        breaks: |s| s.write("auth.json", "{"),
        options: &["--authfile", "AUTH"],
        status: 5,
        id: "logins",
        says: "auth.json",
        advises: "log in",
        ..FINE
    },
    Broken { name: "no logins", options: &["--authfile", "AUTH"], status: 1, id: "logins", says: "auth.json", ..FINE },
    Broken {
        name: "no master",
        breaks: |s| s.settings("min-wire = \"3\"", "masters = [\"oci:/nowhere/master:x\"]"),
        status: 2,
        id: "masters",
        says: "/nowhere/master",
        ..FINE
    },
    Broken {
        name: "clock that stands",
        variables: &[("SOURCE_DATE_EPOCH", "0")],
        status: 2,
        id: "clock",
        says: "1970",
        advises: "set the clock",
        ..FINE
    },
    Broken {
        name: "no room",
        options: &["--tmpdir", "/nowhere"],
        status: 1,
        id: "disk",
        says: "/nowhere",
        advises: "--tmpdir",
        ..FINE
    },
];

fn copy_key(from: String, to: String) {
    fs::copy(from, to).expect("a key");
}

fn lock_key(station: &Station) {
    station.write("secret", "right\n");
    let (name, secret) = (station.path("locked"), station.path("secret"));
    pht_oci(&["keygen", &name, "--bits", "2048", "--passphrase-file", &secret], &[]).ok();
    fs::rename(station.path("locked.pem"), station.path("station.pem")).expect("a key");
}

#[test]
fn every_broken_set_up_is_named_with_what_to_do() {
    assert!(BROKEN.len() >= 20);
    let mut wrong = Vec::new();
    for case in BROKEN {
        let station = Station::new();
        (case.breaks)(&station);
        let auth = station.path("auth.json");
        let options: Vec<&str> =
            case.options.iter().map(|option| if *option == "AUTH" { &auth } else { *option }).collect();
        let outcome = station.doctor(case.tag, &options, case.variables);
        if outcome.status != Some(case.status) {
            wrong.push(format!("{}: status {:?}\n{}", case.name, outcome.status, outcome.stderr));
            continue;
        }
        let (what, advice) = if case.id.is_empty() {
            let error: Value =
                serde_json::from_str(outcome.stderr.lines().last().unwrap_or_default()).expect("an error");
            (error["error"]["message"].clone(), error["error"]["hint"].clone())
        } else {
            let report: Value = serde_json::from_slice(&outcome.stdout).expect("a report");
            assert_eq!(report["ready"], false, "{}", case.name);
            let findings = report["findings"].as_array().expect("a list").clone();
            let faults: Vec<&Value> = findings.iter().filter(|finding| finding["verdict"] == "fault").collect();
            let found = faults.iter().find(|finding| finding["id"] == case.id).copied();
            let Some(found) = found else {
                wrong.push(format!("{}: no fault `{}` in {report}", case.name, case.id));
                continue;
            };
            (found["what"].clone(), found["advice"].clone())
        };
        let (what, advice) = (what.as_str().unwrap_or_default(), advice.as_str().unwrap_or_default());
        if !what.contains(case.says) || !advice.contains(case.advises) {
            wrong.push(format!("{}: {what} / {advice}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// One thing that is wrong does not hide another.
#[test]
fn every_line_is_shown_whatever_is_wrong() {
    let station = Station::new();
    let text = SETTINGS.replace("min-wire = \"3\"", "min-wire = \"9\"").replace("data:/data:ro", "none:/data");
    station.write("station.toml", &format!("{text}timeout = \"soon\"\n"));
    fs::remove_file(station.path("bin/runc")).expect("a program");
    let outcome = station.doctor(Some("2"), &[], &[]).refused(2);
    let report: Value = serde_json::from_slice(&outcome.stdout).expect("a report");
    let findings = report["findings"].as_array().expect("a list");
    let verdict = |id: &str| findings.iter().find(|finding| finding["id"] == id).map(|finding| &finding["verdict"]);
    for id in ["settings", "accept", "volumes", "engine"] {
        assert_eq!(verdict(id), Some(&"fault".into()), "{id}: {report}");
    }
    for id in ["key", "trust", "journal", "train", "route", "pin", "network", "clock", "disk"] {
        assert_eq!(verdict(id), Some(&"ok".into()), "{id}: {report}");
    }
    let error: Value = serde_json::from_str(outcome.stderr.lines().last().expect("an error")).expect("JSON");
    let message = error["error"]["message"].as_str().expect("a message");
    assert_eq!(message, "not ready for a train: 4 faults (settings, accept, volumes, engine)");
}

/// Without a file of settings it is said where one is looked for, and where it is described.
#[test]
fn the_places_of_settings_are_named() {
    let station = Station::new();
    let (key, home, tmp) = (station.path("station.pem"), station.path("home"), station.path("tmp"));
    let line = ["doctor", "--private-key", &key, "--tmpdir", &tmp, "--format", "json"];
    let report = pht_oci(&line, &[("HOME", &home), ("XDG_CONFIG_HOME", ""), ("PHT_CONFIG", "")]).ok().json();
    let what = report["findings"][0]["what"].as_str().expect("a text");
    for named in [&*format!("{home}/.config/pht-oci/station.toml"), "/etc/pht-oci/station.toml", "help station"] {
        assert!(what.contains(named), "{named}: {what}");
    }
}

/// What a killed run has left, wherever it ran, and what a run has kept for a person to see to.
#[test]
fn leftovers_are_listed() {
    let station = Station::new();
    for name in [
        "elsewhere/.pht-oci-run-0123",
        "elsewhere/pht-oci-run-89ab-kept/results",
        "tmp/pht-oci-run-0123-kept/results",
        "tmp/pht-oci-closed-x",
        "state/pht-oci/runs",
        "state/pht-oci/kept",
    ] {
        fs::create_dir_all(station.path(name)).expect("a directory");
        station.mode(name, 0o700);
    }
    station.write("state/pht-oci/runs/pht-oci-run-0123", &station.path("elsewhere/.pht-oci-run-0123"));
    station.write("state/pht-oci/kept/89ab", &station.path("elsewhere/pht-oci-run-89ab-kept"));
    // Of a run that is in progress: it is not registered, or locked.
    fs::create_dir(station.path("tmp/.pht-oci-run-4567")).expect("a directory");
    let report = station.doctor(None, &[], &[("XDG_STATE_HOME", &station.path("state"))]).ok().json();
    let findings = report["findings"].as_array().expect("a list");
    let found: Vec<&Value> = findings.iter().filter(|finding| finding["id"] == "leftovers").collect();
    for (name, advice) in [
        ("elsewhere/.pht-oci-run-0123", "cleanup"),
        ("run-0123-kept", "review"),
        ("run-89ab-kept", "release"),
        ("pht-oci-closed-x", "send"),
    ] {
        let named = |finding: &&&Value| finding["what"].as_str().is_some_and(|text| text.contains(name));
        let finding = found.iter().find(named).unwrap_or_else(|| panic!("{name}: {found:?}"));
        assert_eq!(finding["verdict"], "warning", "{finding}");
        assert!(finding["advice"].as_str().is_some_and(|text| text.contains(advice)), "{finding}");
    }
    assert_eq!(found.len(), 4, "{found:?}");
    // Where results are reviewed, no advice leads past the review.
    station.pin("reviewers/anna.pem", "creator");
    station.add("[release]\nreview = true");
    let state = station.path("state");
    let report = station.doctor(None, &[], &[("XDG_STATE_HOME", &state)]).ok().json();
    assert!(!report.to_string().contains("post-run"), "{report}");
    // Who clears up is told what stays.
    let listed = || pht_oci(&["cleanup", "--dry-run"], &[("XDG_STATE_HOME", &state)]).ok().stdout;
    let text = String::from_utf8(listed()).expect("text");
    assert!(text.contains("kept, not removed") && text.contains("pht-oci-run-89ab-kept"), "{text}");
    fs::remove_dir_all(station.path("elsewhere/pht-oci-run-89ab-kept")).expect("a directory");
    let text = String::from_utf8(listed()).expect("text");
    assert!(!text.contains("89ab"), "{text}");
}
