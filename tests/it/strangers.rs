//! Text of strangers (ids, addresses, tags, names of files) in everything that the program says: nothing of it acts on a
//! terminal, hides from a person, or passes for a line of a report.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support::{Edit, Implementation, Outcome, Peer, Train, TrainSpec, Wire, available, pht_oci, program, utf8};

/// One of each kind: controls of ASCII and above it, directions, what nobody sees, separators, fillers, tags.
const TEXT: &str = "MARK\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}2J\u{85}\u{202e}\u{200b}\u{2066}\u{2028}\u{2029}\u{ad}\u{3164}\u{e0041}\r  ok     forged: everything\n  ok     forged: more\nx";

/// What no line of ours has.
fn harm(text: &str) -> Vec<String> {
    let invisible = |c: char| {
        let number = u32::from(c);
        (c.is_control() && c != '\n')
            || [0xad, 0x34f, 0x61c, 0x180e, 0x3164, 0xfeff, 0xffa0].contains(&number)
            || (0x200b..=0x200f).contains(&number)
            || (0x2028..=0x202e).contains(&number)
            || (0x2060..=0x206f).contains(&number)
            || (0xe0000..=0xe0fff).contains(&number)
    };
    let mut found: Vec<String> =
        text.chars().filter(|c| invisible(*c)).map(|c| format!("U+{:04X}", u32::from(c))).collect();
    found.extend(text.lines().filter(|line| line.starts_with("  ok     forged")).map(str::to_owned));
    found
}

#[track_caller]
fn check(what: &str, outcome: &Outcome, as_json: bool) {
    let stdout = String::from_utf8(outcome.stdout.clone()).unwrap_or_else(|error| panic!("{what}: {error}"));
    for (stream, text) in [("standard output", &stdout), ("standard error", &outcome.stderr)] {
        assert_eq!(harm(text), Vec::<String>::new(), "{what}: {stream}: {text}");
        if as_json {
            for line in text.lines() {
                let document: Result<Value, _> = serde_json::from_str(line);
                assert!(document.as_ref().is_ok_and(Value::is_object), "{what}: {stream}: {document:?}: {line}");
            }
        }
    }
    assert!(matches!(outcome.status, Some(0..=5)), "{what}: ended with {:?}", outcome.status);
}

/// The command in both formats, and with all that it has to say.
#[track_caller]
fn try_all(what: &str, line: &[&str]) {
    for (options, as_json) in [
        (&["-vv"][..], false),
        (&["-vv", "--format", "json", "--progress", "always"], true),
        (&["--progress", "always"], false),
    ] {
        // Options come first: some commands take all that follows for their own.
        let mut words = vec![line[0]];
        words.extend(options);
        words.extend(&line[1..]);
        check(&format!("{what}: {line:?} {options:?}"), &pht_oci(&words, &[]), as_json);
    }
}

/// A change of a train config.
type Change = fn(&mut Value);

const CHANGES: [(&str, Change); 6] = [
    ("@id", |config| config["@id"] = json!(TEXT)),
    ("source", |config| config["source"]["address"] = json!(TEXT)),
    ("creator", |config| config["creator"]["id"] = json!(TEXT)),
    ("a station", |config| config["route"][0]["station"] = json!(TEXT)),
    ("a network", |config| config["route"][0]["eco_system"] = json!(TEXT)),
    ("the proposal", |config| config["proposal_id"] = json!(TEXT)),
];

#[test]
fn train_configs() {
    for wire in [Wire::V2_0, Wire::V3] {
        let train = Train::build(Implementation::Ours, wire, &TrainSpec::default()).unwrap();
        let plain: Value = serde_json::from_slice(&train.layout.cat("0", "opt/train_config.json")).unwrap();
        let (key, user) = (train.key(&train.station_id(0)), train.key("user"));
        for (what, change) in CHANGES {
            let mut config = plain.clone();
            change(&mut config);
            let edit = [Edit::Put("opt/train_config.json", config.to_string().into_bytes())];
            train.layout.append("0", "odd", &edit);
            let image = train.layout.at("odd");
            let out = utf8(&train.dir.path().join("out")).to_owned();
            let (base, to) = (train.base.at("base"), format!("oci:{out}:x"));
            for line in [
                &["inspect", &image][..],
                &["verify", &image],
                &["validate", &image, "--master", &base],
                &["pre-run", &image, &to, "--private-key", &key],
                &["post-run", &image, &to, "--private-key", &key],
                &["results", &image, "--private-key", &user, "--out", &out],
                &["rebase", &image, &to, "--base", &base],
            ] {
                try_all(&format!("{what}, wire {wire:?}"), line);
            }
        }
    }
}

#[test]
fn tags_and_names_of_files() {
    let train = Train::build(Implementation::Ours, Wire::V2_0, &TrainSpec::default()).unwrap();
    let (key, user) = (train.key(&train.station_id(0)), train.key("user"));
    let path = |name: &str| utf8(&train.dir.path().join(name)).to_owned();
    let name = "org.opencontainers.image.ref.name";
    let odd = train.layout.only("0", path("odd"));
    let index = odd.dir.join("index.json");
    let mut document: Value = serde_json::from_slice(&fs::read(&index).unwrap()).unwrap();
    let second = json!({ "mediaType": TEXT, "digest": format!("sha256:{}", "1".repeat(64)), "size": 1 });
    document["manifests"][0]["annotations"][name] = json!(TEXT);
    for several in [false, true] {
        if several {
            document["manifests"].as_array_mut().unwrap().push(second.clone());
        }
        fs::write(&index, document.to_string()).unwrap();
        for line in [
            &["inspect", odd.path()][..],
            &["inspect", &odd.at("none")],
            &["verify", odd.path()],
            &["gc", odd.path()],
            &["copy", odd.path(), &format!("oci:{}:x", path("copied"))],
            &["pre-run", odd.path(), "--private-key", &key],
        ] {
            try_all("a tag", line);
        }
    }

    // Names in the image, in results and in layers.
    let train = Train::build(Implementation::Ours, Wire::V2_0, &TrainSpec::default()).unwrap();
    let (key, results) = (train.key(&train.station_id(0)), path("results"));
    fs::create_dir(&results).unwrap();
    let file = TEXT.replace('/', "_");
    fs::write(format!("{results}/{file}"), "x").unwrap();
    symlink(format!("/{file}"), format!("{results}/link")).unwrap();
    train.layout.append("0", "0-pre", &[]);
    pht_oci(&["pre-run", &train.layout.at("0"), &train.layout.at("open"), "--private-key", &key], &[]).ok();
    train.layout.append("open", "ran", &[Edit::Diff("opt/pht_results", results.as_ref())]);
    train.layout.append("ran", "ran", &[Edit::Put(&format!("tmp/{file}"), b"left".to_vec())]);
    let closed = train.layout.at("closed");
    try_all("a result", &["post-run", &train.layout.at("ran"), &closed, "--private-key", &key]);
    pht_oci(&["post-run", &train.layout.at("ran"), &closed, "--private-key", &key], &[]).ok();
    let user_of = train.key("user");
    for out in ["text", "json"] {
        let line = ["results", &closed, "--private-key", &user_of, "--out", &path(out), "--format", out, "-vv"];
        check("results", &pht_oci(&line, &[]), out == "json");
    }
    let image = train.layout.at("ran");
    try_all("a file", &["extract", &image, &format!("/opt/pht_results/{TEXT}x"), "--out", &path("none")]);
    try_all("a link", &["extract", &image, "/opt/pht_results/link", "--out", &path("none")]);
    train.layout.append("0", "touched", &[Edit::Put(&format!("opt/pht_train/{file}"), b"new".to_vec())]);
    for line in [
        &["verify", &train.layout.at("touched")][..],
        &["validate", &train.layout.at("touched"), "--master", &train.base.at("base")],
        &["pre-run", &train.layout.at("touched"), "--private-key", &key],
    ] {
        try_all("a file of the train", line);
    }
    assert!(user.ends_with(".pem"));
}

/// What the operator types may come from a list that somebody else has written.
#[test]
fn arguments() {
    let train = Train::build(Implementation::Ours, Wire::V2_0, &TrainSpec::default()).unwrap();
    let image = train.layout.at("0");
    let path = |name: &str| utf8(&train.dir.path().join(name)).to_owned();
    let odd = path(&TEXT.replace('/', "_"));
    let route = path("route.json");
    fs::write(&route, json!([{ "station": TEXT, "public_key_file": TEXT }, { "station": 1, TEXT: 2 }]).to_string())
        .unwrap();
    for line in [
        &["inspect", TEXT][..],
        &["inspect", &format!("oci:{odd}:x")],
        &["inspect", &format!("docker://{TEXT}")],
        &["inspect", &format!("oci:{image}@sha256:{TEXT}")],
        &["inspect", &image, "--platform", TEXT],
        &["inspect", &image, "--src-cert-dir", TEXT],
        &["inspect", &image, TEXT],
        &["verify", &image, "--trust", &odd],
        &["pre-run", &image, "--private-key", &odd],
        &["pre-run", &image, "--private-key", &train.key("user"), "--station", TEXT],
        &["results", &image, "--private-key", &train.key("user"), "--passphrase-file", &odd, "--out", &odd],
        &["extract", &image, TEXT],
        &["keygen", &format!("{odd}/x")],
        &["keygen", "x", "--bits", TEXT],
        &["help", TEXT],
        &["completions", TEXT],
        &["gc", &odd],
        &["copy", &image, TEXT],
        &[TEXT],
    ] {
        try_all("an argument", line);
    }
    let keys = [train.key("user"), train.key("builder")];
    let build = [
        "build",
        &path("built"),
        "--base",
        "scratch",
        "--files",
        &path("layout"),
        "--route",
        &route,
        "--creator",
        TEXT,
    ];
    try_all("a route", &[&build[..], &["--creator-key", &keys[0], "--builder-key", &keys[1]]].concat());
    for text in ["text", "json"] {
        let made = pht_oci(&["keygen", &format!("{odd}{text}"), "--bits", "2048", "--format", text], &[]).ok();
        check("keygen", &made, text == "json");
    }
}

/// On a terminal text is shown as text, archives and binary contents not at all.
#[test]
fn contents_on_a_terminal() {
    if !available("strangers::contents_on_a_terminal", &[Peer::Python]) {
        return;
    }
    let train = Train::build(Implementation::Ours, Wire::V1_1_2, &TrainSpec::default()).unwrap();
    let edits =
        [Edit::Put("opt/text", format!("a\tb\n{TEXT}\n").into_bytes()), Edit::Put("opt/binary", vec![7, 0, 27])];
    train.layout.append("0", "odd", &edits);
    let image = train.layout.at("odd");
    let shown = |line: &[&str]| {
        let spawn = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)";
        let mut command = Command::new("python3");
        let output = command.args(["-I", "-c", spawn, program()]).args(line).stdin(Stdio::null()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap().replace("\r\n", "\n"))
    };
    let (status, text) = shown(&["extract", &image, "/opt/text"]);
    assert_eq!(status, Some(0), "{text}");
    assert!(text.starts_with("a\tb\nMARK\\u{1b}]0;title\\u{7}"), "{text:?}");
    assert_eq!(harm(&text.replace(['\t', '\n'], "")), Vec::<String>::new(), "{text:?}");
    let user = train.key("user");
    for line in [
        &["extract", &image, "/opt/binary"][..],
        &["extract", &image, "/opt", "--out", "-"],
        &["extract", &image, "/opt"],
        &["results", &image, "--private-key", &user, "--out", "-"],
    ] {
        let (status, text) = shown(line);
        assert_eq!(status, Some(2), "{line:?}: {text}");
        assert!(text.contains("terminal") && text.contains("hint"), "{line:?}: {text}");
    }
    // What is styled is styled, and shows no mark of ours.
    let route = train.layout.at("0");
    for line in [&["inspect", &route][..], &["verify", &route], &["diff", &route, &image], &["trust", "show", &route]] {
        let (status, text) = shown(line);
        assert_eq!(status, Some(0), "{line:?}: {text}");
        assert!(text.contains("\u{1b}[") && !text.to_ascii_lowercase().contains("u{fdd"), "{line:?}: {text:?}");
        assert!(!text.contains(['\u{fdd0}', '\u{fdd1}']), "{line:?}: {text:?}");
    }
    // Elsewhere every byte comes as it is.
    assert_eq!(pht_oci(&["extract", &image, "/opt/binary"], &[]).ok().stdout, [7, 0, 27]);
}
