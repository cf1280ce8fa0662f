//! What the program says: reports, errors, help; what it never says; and how it ends.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support::program::commands_in;
use support::tree::{MARKER, differences, snapshot};
use support::vectors::Vectors;
use support::{Edit, Layout, Outcome, Peer, Wire, available, pht_oci, run, utf8};

const RESULT: &str = "opt/pht_results/result.txt";
const PASSPHRASE: &str = "c0rrect-h0rse-battery";

/// A train before its second station, alone on its layout as `latest`, and a place for files.
struct ReportsFixture {
    vectors: Vectors,
    layout: Layout,
    image: String,
}

impl ReportsFixture {
    fn new(wire: Wire) -> Self {
        let vectors = Vectors::ours(wire);
        vectors.layout.tag("1-post", "latest");
        let layout = vectors.layout.only("latest", vectors.dir.path().join("fixture"));
        Self { image: layout.at("latest"), vectors, layout }
    }

    fn path(&self, name: &str) -> String {
        utf8(&self.vectors.dir.path().join(name)).to_owned()
    }

    fn put(&self, name: &str, data: &[u8]) -> String {
        fs::write(self.path(name), data).expect("a new file");
        self.path(name)
    }

    fn write_result(&self) {
        let data = format!("{MARKER} of the second run\n").into_bytes();
        self.layout.append("latest", "latest", &[Edit::Put(RESULT, data)]);
    }

    /// Every command once, on one train's way from its second station to its creator, with options for each.
    fn all_commands(&self, options: &[&str]) -> Vec<(&'static str, Outcome)> {
        let (key, user, builder) =
            (self.vectors.key("station_2"), self.vectors.key("user"), self.vectors.key("builder"));
        let (name, out, built, files) = (self.path("new"), self.path("out"), self.path("built"), self.path("files"));
        fs::create_dir(&files).expect("a new directory");
        self.put("files/main", b"TRAIN-PLAINTEXT-MARKER");
        let route = self.put("route.json", br#"[{"station": "a", "public_key_file": "keys/station_1.pub.pem"}]"#);
        let build = ["build", &built, "--base", "scratch", "--files", &files, "--route", &route, "--creator", "c"];
        let build = [&build[..], &["--wire", "2.0", "--creator-key", &user, "--builder-key", &builder]].concat();
        let passphrase = self.put("passphrase", PASSPHRASE.as_bytes());
        let keygen = ["keygen", &name, "--bits", "2048", "--passphrase-file", &passphrase];
        let mut outcomes = Vec::new();
        for line in [
            &keygen[..],
            &build,
            &["inspect", &self.image],
            &["pre-run", &self.image, "--private-key", &key],
            &["post-run", &self.image, "--private-key", &key],
            &["results", &self.image, "--private-key", &user, "--out", &out],
        ] {
            if line[0] == "post-run" {
                self.write_result();
            }
            let command = ["keygen", "build", "inspect", "pre-run", "post-run", "results"][outcomes.len()];
            outcomes.push((command, pht_oci(&[line, options].concat(), &[]).ok()));
        }
        outcomes
    }
}

#[track_caller]
fn check_keys(what: &str, object: &Value, wanted: &[&str]) {
    let found: Vec<&str> = object.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(found, wanted, "{what}");
}

fn is_digest(value: &Value) -> bool {
    value.as_str().and_then(|text| text.strip_prefix("sha256:")).is_some_and(|hex| hex.len() == 64)
}

const STAGE: [&str; 11] =
    ["stage", "station", "wire", "source", "destination", "digest", "layers", "bytes", "checks", "warnings", "notes"];
const INSPECTION: [&str; 23] = [
    "source",
    "digest",
    "wire",
    "id",
    "hash",
    "creator",
    "creator_key",
    "builder_key",
    "built_at",
    "state",
    "master",
    "route",
    "waits_for_creator",
    "next",
    "files",
    "file_list",
    "layers",
    "left_out",
    "base_layers",
    "base_size",
    "size",
    "stage",
    "runs",
];

#[test]
fn json_reports() {
    if !available("reports::json_reports", &[Peer::Python]) {
        return;
    }
    for wire in Wire::ALL {
        let fixture = ReportsFixture::new(wire);
        for (command, outcome) in fixture.all_commands(&["--format", "json"]) {
            let report = outcome.json();
            match command {
                "keygen" => check_keys(command, &report, &["private_key", "public_key", "fingerprint"]),
                "inspect" => {
                    check_keys(command, &report, &INSPECTION);
                    let listed = if wire == Wire::V2_0 { 2 } else { 3 }; // 2.0 does not list the query
                    assert_eq!((&report["next"], &report["files"]), (&json!("station_2"), &json!(listed)));
                    assert_eq!(report["wire"], wire.option());
                    let members = ["index", "station", "eco_system", "key", "signed", "signed_at"];
                    check_keys("a stop", &report["route"][0], &members);
                    let signed: Vec<&Value> = (0..2).map(|stop| &report["route"][stop]["signed"]).collect();
                    assert_eq!(signed, [true, false]);
                }
                _ => check_stage(command, &report, if command == "build" { "2.0" } else { wire.option() }),
            }
        }
    }
}

fn check_stage(command: &str, report: &Value, wire: &str) {
    let own: &[&str] = match command {
        "pre-run" => &["runs"],
        "post-run" => &["results"],
        _ => &[],
    };
    check_keys(command, report, &[&STAGE, own].concat());
    assert_eq!((&report["stage"], &report["wire"]), (&json!(command), &json!(wire)));
    check_keys(command, &report["digest"], &["before", "after"]);
    check_keys(command, &report["layers"], &["added", "dropped", "reused"]);
    check_keys(command, &report["bytes"], &["read", "written", "transferred"]);
    let is_stage = command.ends_with("-run");
    assert_eq!(report["station"], if is_stage { json!("station_2") } else { Value::Null }, "{command}");
    assert_eq!(is_digest(&report["digest"]["before"]), command != "build", "{command}");
    assert_eq!(is_digest(&report["digest"]["after"]), command != "results", "{command}");
    let added = report["layers"]["added"].as_array().expect("a list");
    assert!(added.iter().all(is_digest), "{command}");
    assert_eq!(added.len(), if is_stage { 2 } else { usize::from(command == "build") }, "{command}");
    assert_eq!(report["bytes"]["read"] != 0, command != "build", "{command}: {}", report["bytes"]);
    assert_eq!(report["bytes"]["written"] != 0, command != "results", "{command}: {}", report["bytes"]);
    let checks = report["checks"].as_array().expect("a list");
    assert_eq!(checks.is_empty(), command == "build", "{command}");
    for check in checks {
        check_keys(command, check, &["id", "subject", "verdict", "reason"]);
        assert_eq!(check["reason"].is_null(), check["verdict"] == "sound", "{command}: {check}");
    }
    assert!(report["warnings"].is_array() && report["notes"].is_array(), "{command}");
}

/// Implementation asks for quiet hears nothing; a JSON document that was asked for comes all the same.
#[test]
fn quiet() {
    if !available("reports::quiet", &[Peer::Python]) {
        return;
    }
    for (command, outcome) in ReportsFixture::new(Wire::V2_0).all_commands(&["--quiet"]) {
        assert_eq!(String::from_utf8_lossy(&outcome.stdout), "", "{command}");
        // But for one thing: that nobody vouches for whose train it is.
        let loud = ["verify", "pre-run", "post-run"].contains(&command);
        assert_eq!(outcome.stderr.lines().count(), usize::from(loud), "{command}: {}", outcome.stderr);
        assert_eq!(outcome.stderr.contains("nobody vouches"), loud, "{command}: {}", outcome.stderr);
    }
    for (_, outcome) in ReportsFixture::new(Wire::V2_0).all_commands(&["--quiet", "--format", "json"]) {
        assert!(outcome.json().is_object());
        assert_eq!(outcome.stderr, "");
    }
    let fixture = ReportsFixture::new(Wire::V2_0);
    let outcome = pht_oci(&["-q", "inspect", &fixture.path("nowhere")], &[]).refused(2);
    assert_eq!(String::from_utf8_lossy(&outcome.stdout), "");
    pht_oci(&["-q", "-v", "inspect", &fixture.image], &[]).refused(2);
}

/// Each exit status once, by its JSON document on standard error; standard output stays empty.
#[test]
fn exit_statuses() {
    if !available("reports::exit_statuses", &[Peer::Python, Peer::Openssl]) {
        return;
    }
    let fixture = ReportsFixture::new(Wire::V2_0);
    let (image, key, one) = (&fixture.image, fixture.vectors.key("station_2"), fixture.vectors.key("station_1"));
    let locked = fixture.path("locked.pem");
    run("openssl", &["rsa", "-in", &key, "-aes128", "-passout", "pass:right", "-out", &locked]).expect("a locked key");
    let (orphan, nowhere, empty) = (fixture.path("no/such/parent"), fixture.path("nowhere"), fixture.path("empty"));
    fs::create_dir(&empty).expect("a new directory");
    let before = snapshot(fixture.vectors.dir.path());
    let refused = |status: i32, kind: &str, line: &[&str], variables: &[(&str, &str)]| {
        let outcome = pht_oci(&[&["--format", "json"], line].concat(), variables).refused(status);
        assert_eq!(String::from_utf8_lossy(&outcome.stdout), "", "{line:?}");
        let document: Value = serde_json::from_str(&outcome.stderr).expect("one JSON document on standard error");
        check_keys("an error", &document, &["error"]);
        let error = document["error"].clone();
        check_keys("an error", &error, &["kind", "exit_status", "message", "what", "where", "hint"]);
        assert_eq!((&error["kind"], &error["exit_status"]), (&json!(kind), &json!(status)), "{line:?}");
        assert!(error["message"].as_str().is_some_and(|text| !text.is_empty()) && error["where"].is_array());
        error
    };
    let places = |error: &Value| error["where"].to_string();

    let error = refused(1, "io", &["pre-run", image, &orphan, "--private-key", &key], &[]);
    assert!(places(&error).contains(&orphan), "{error}");
    let error = refused(2, "usage", &["pre-run", &nowhere, "--private-key", &key], &[]);
    assert!(places(&error).contains(&nowhere), "{error}");
    let error = refused(3, "verification", &["pre-run", image, "--private-key", &one], &[]);
    assert!(error["message"].as_str().is_some_and(|text| text.contains("station_1")), "{error}");
    let wrong = [("PRIVATE_KEY_PASSWORD", "wrong")];
    let error = refused(4, "key", &["pre-run", image, "--private-key", &locked], &wrong);
    assert!(places(&error).contains(&locked), "{error}");
    refused(4, "key", &["pre-run", image, "--private-key", &locked], &[]);
    let error = refused(4, "key", &["pre-run", image], &[]);
    assert!(error["hint"].as_str().is_some_and(|hint| hint.contains("--private-key")), "{error}");
    let error = refused(5, "malformed", &["pre-run", &empty, "--private-key", &key], &[]);
    assert!(places(&error).contains(&empty), "{error}");
    // A line that cannot be understood is an error like any other.
    refused(2, "usage", &["pre-run"], &[]);
    refused(2, "usage", &["inspect", image, "--platform", "linux"], &[]);
    assert_eq!(differences(&before, &snapshot(fixture.vectors.dir.path()), true), Vec::<String>::new());
}

/// Neither keys nor passphrases nor plaintext come out, however much the program is asked to say, and whether it
/// succeeds or fails.
#[test]
fn nothing_secret() {
    if !available("reports::nothing_secret", &[Peer::Python, Peer::Openssl]) {
        return;
    }
    for wire in Wire::ALL {
        let fixture = ReportsFixture::new(wire);
        let mut faults: Vec<(String, Outcome)> = Vec::new();
        for (command, outcome) in fixture.all_commands(&["-vv"]) {
            faults.push((command.to_owned(), outcome));
        }
        let key = fixture.vectors.key("station_2");
        let locked = fixture.path("locked.pem");
        let passout = format!("pass:{PASSPHRASE}");
        run("openssl", &["rsa", "-in", &key, "-aes128", "-passout", &passout, "-out", &locked]).expect("a locked key");
        let text = fs::read_to_string(&key).expect("a key");
        let mut lines: Vec<&str> = text.lines().collect();
        lines.swap(5, 8);
        let damaged = fixture.put("damaged.pem", lines.join("\n").as_bytes());
        let almost = format!("{PASSPHRASE}!");
        for (key, passphrase) in [(&locked, PASSPHRASE), (&locked, &almost), (&damaged, PASSPHRASE)] {
            for format in ["text", "json"] {
                // It is nobody's turn any more, so that every one of these fails.
                let line = ["post-run", &fixture.image, "--private-key", key, "-vv", "--format", format];
                let outcome = pht_oci(&line, &[("PRIVATE_KEY_PASSWORD", passphrase)]);
                assert_ne!(outcome.status, Some(0));
                faults.push((line.join(" "), outcome));
            }
        }
        let mut secrets = vec![PASSPHRASE.to_owned(), MARKER.to_owned(), "TRAIN-PLAINTEXT-MARKER".to_owned()];
        let keys =
            [&key, &fixture.vectors.key("user"), &fixture.vectors.key("builder"), &fixture.path("new.pem"), &locked];
        for key in keys {
            let text = fs::read_to_string(key).expect("a key");
            secrets.extend(text.lines().filter(|line| line.len() > 40).map(str::to_owned));
        }
        for (line, outcome) in faults {
            let all = format!("{}{}", String::from_utf8_lossy(&outcome.stdout), outcome.stderr);
            assert!(!all.is_empty(), "{line}: nothing to search");
            assert!(!all.contains("PRIVATE KEY-----"), "{line}: a private key");
            let found = secrets.iter().find(|secret| all.contains(secret.as_str()));
            assert_eq!(found, None, "{line} says:\n{all}");
        }
    }
}

/// Standard output may be closed, whoever closes it.
#[test]
fn closed_output() {
    if !available("reports::closed_output", &[Peer::Python]) {
        return;
    }
    let fixture = ReportsFixture::new(Wire::V2_0);
    let program = support::program();
    for line in [&["inspect", fixture.image.as_str()][..], &["--help"], &["--version"], &["inspect", "--help"]] {
        for how in
            ["\"$@\" >&-", "\"$@\" | head -c 0", "\"$@\" 2>&1 | head -c 0", "\"$@\" >&- 2>&-", "\"$@\" >/dev/full"]
        {
            let script = format!("set -o pipefail; {how}");
            let mut shell = Command::new("bash");
            shell.args(["-c", &script, "shell", program]).args(line).stdin(Stdio::null());
            let output = shell.output().expect("bash starts");
            let message = String::from_utf8_lossy(&output.stderr);
            assert!(!message.contains("panicked"), "{line:?} {how}: {message}");
            let status = output.status.code();
            assert!(matches!(status, Some(0 | 1)), "{line:?} {how}: {status:?} {message}");
        }
    }
}

#[test]
fn help() {
    let shown = pht_oci(&["--help"], &[]).ok();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    let commands: Vec<&str> = commands_in(&shown).into_iter().filter(|command| *command != "help").collect();
    assert!(commands.len() > 10 && commands.contains(&"post-run"), "{shown}");
    for command in commands {
        let shown = pht_oci(&[command, "--help"], &[]).ok();
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(shown.contains("Example") && shown.contains(&format!("pht-oci {command} ")), "{command}: {shown}");
        let short = pht_oci(&[command, "-h"], &[]).ok();
        assert!(String::from_utf8_lossy(&short.stdout).contains("Example"), "{command} -h");
    }
    let shown = pht_oci(&["--help"], &[]).ok();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("Exit status"), "{shown}");
    assert!(pht_oci(&["pre-rum", "x"], &[]).refused(2).stderr.contains("pre-run"), "no command is suggested");
    assert!(pht_oci(&["inspect", "x", "--platfrom", "a/b"], &[]).refused(2).stderr.contains("--platform"));
    let version = pht_oci(&["--version"], &[]).ok().stdout;
    assert_eq!(String::from_utf8_lossy(&version), format!("pht-oci {}\n", env!("CARGO_PKG_VERSION")));
}

/// A stage by nothing but the variables that the reference's container knows; options go before them.
#[test]
fn variables() {
    if !available("reports::variables", &[Peer::Python, Peer::Openssl]) {
        return;
    }
    let fixture = ReportsFixture::new(Wire::V1_1_2);
    let (image, key) = (&fixture.image, fixture.vectors.key("station_2"));
    let locked = fixture.path("locked.pem");
    let legacy = ["rsa", "-aes256", "-traditional", "-passout", "pass:right", "-in", &key, "-out", &locked];
    run("openssl", &legacy).expect("a key in OpenSSL's own form");
    assert!(fs::read_to_string(&locked).expect("a key").contains("Proc-Type: 4,ENCRYPTED"), "the form that is tested");
    let all = [("STATION_ID", "station_2"), ("PRIVATE_KEY_PATH", &*locked), ("PRIVATE_KEY_PASSWORD", "right")];
    let to = fixture.layout.at("by-variables");
    pht_oci(&["pre-run", image, &to], &all).ok();
    pht_oci(&["pre-run", image, &to], &[("STATION_ID", "nobody"), all[1], all[2]]).refused(3);
    pht_oci(&["pre-run", image, &to, "--station", "station_2"], &[("STATION_ID", "nobody"), all[1], all[2]]).ok();
    let elsewhere = [all[0], ("PRIVATE_KEY_PATH", "/nowhere"), all[2]];
    pht_oci(&["pre-run", image, &to], &elsewhere).refused(4);
    pht_oci(&["pre-run", image, &to, "--private-key", &locked], &elsewhere).ok();
    // The passphrase is the first line of its file, and the file goes before the variable.
    let wrong = [all[0], all[1], ("PRIVATE_KEY_PASSWORD", "wrong")];
    for (number, text) in ["right", "right\n", "right\r\nfurther\n"].iter().enumerate() {
        let file = fixture.put(&format!("passphrase-{number}"), text.as_bytes());
        pht_oci(&["pre-run", image, &to, "--passphrase-file", &file], &wrong).ok();
    }
    let file = fixture.put("passphrase-wrong", b"right \n");
    pht_oci(&["pre-run", image, &to, "--passphrase-file", &file], &all).refused(4);
    // The same key through a whole stop.
    pht_oci(&["pre-run", image], &all).ok();
    fixture.write_result();
    pht_oci(&["post-run", image], &all).ok();
}

#[test]
fn keygen() {
    if !available("reports::keygen", &[Peer::Openssl]) {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| dir.path().join(name).to_str().expect("a path in UTF-8").to_owned();
    fs::write(path("secret"), format!("{PASSPHRASE}\n")).expect("a new file");
    let passin = format!("pass:{PASSPHRASE}");
    for (name, bits, locked) in [("plain", "2048", false), ("locked", "2048", true), ("long", "4096", false)] {
        let (name, secret) = (path(name), path("secret"));
        let mut line = vec!["keygen", &name, "--bits", bits];
        if locked {
            line.extend(["--passphrase-file", &secret]);
        }
        pht_oci(&line, &[]).ok();
        let (private, public) = (format!("{name}.pem"), format!("{name}.pub.pem"));
        assert_eq!(fs::metadata(&private).expect("a private key").permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&private).expect("a key").contains("ENCRYPTED"), locked);
        let derived =
            run("openssl", &["rsa", "-in", &private, "-passin", &passin, "-pubout"]).expect("openssl reads it");
        assert_eq!(derived, fs::read(&public).expect("a public key"), "the two are no pair");
        run("openssl", &["rsa", "-in", &private, "-passin", &passin, "-check", "-noout"]).expect("a sound key");
        let text = run("openssl", &["rsa", "-pubin", "-in", &public, "-noout", "-text"]).expect("a public key");
        assert!(String::from_utf8_lossy(&text).contains(&format!("{bits} bit")), "not of {bits} bits");

        let before = snapshot(dir.path());
        pht_oci(&line, &[]).refused(2);
        fs::rename(&private, path("aside")).expect("a key to rename");
        pht_oci(&line, &[]).refused(2); // the public key alone is in the way, too
        fs::rename(path("aside"), &private).expect("a key to rename");
        assert_eq!(differences(&before, &snapshot(dir.path()), true), Vec::<String>::new());
    }
    // The variable that other commands take the passphrase from; a name with the ending; the public key of a private one.
    let variable = [("PRIVATE_KEY_PASSWORD", PASSPHRASE)];
    pht_oci(&["keygen", &path("variable.pem"), "--bits", "2048"], &variable).ok();
    let private = path("variable.pem");
    assert!(fs::read_to_string(&private).expect("a key").contains("ENCRYPTED"));
    let public = pht_oci(&["-q", "keygen", "--public-of", &private], &variable).ok().stdout;
    assert_eq!(public, fs::read(path("variable.pub.pem")).expect("a public key"));
    pht_oci(&["keygen", "--public-of", &private], &[]).refused(4);
    pht_oci(&["keygen", &path("open"), "--bits", "2048", "--no-passphrase"], &variable).ok();
    assert!(!fs::read_to_string(path("open.pem")).expect("a key").contains("ENCRYPTED"));
    let told = pht_oci(&["keygen", &path("paillier"), "--paillier", "--bits", "2048"], &[]).ok().stdout;
    assert!(String::from_utf8_lossy(&told).contains("--paillier-public-key"));
    let private = path("paillier.paillier.json");
    assert_eq!(fs::metadata(&private).expect("a private key").permissions().mode() & 0o777, 0o600);
    for (name, members) in [("paillier.paillier.json", ["lambda", "mu"]), ("paillier.paillier.pub.json", ["n", "g"])] {
        let key: Value = serde_json::from_slice(&fs::read(path(name)).expect("a key")).expect("JSON");
        assert!(members.iter().all(|member| key[member].as_str().is_some_and(|digits| digits.len() > 600)), "{name}");
    }
    pht_oci(&["keygen", &path("paillier"), "--paillier", "--bits", "2048"], &[]).refused(2);

    let before = snapshot(dir.path());
    pht_oci(&["keygen", &path("short"), "--bits", "1024"], &[]).refused(2);
    pht_oci(&["keygen"], &[]).refused(2);
    pht_oci(&["keygen", &path("no/such/place"), "--bits", "2048"], &[]).refused(1);
    fs::write(path("secret"), "\n").expect("a file");
    pht_oci(&["keygen", &path("none"), "--passphrase-file", &path("secret")], &[]).refused(2);
    fs::write(path("secret"), format!("{PASSPHRASE}\n")).expect("a file");
    assert_eq!(differences(&before, &snapshot(dir.path()), true), Vec::<String>::new());
}
