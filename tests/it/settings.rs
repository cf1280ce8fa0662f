//! `station.toml`: what a station has set, below what its environment and a command line say.

use std::fs;
use std::path::Path;

use serde_json::Value;
use support::keys::write_pairs;
use support::tree::{copy, differences, snapshot};
use support::{Edit, Layout, Outcome, Peer, available, pht_oci, utf8};

/// A train of wire 3 after its second station, with pinned keys, and room for settings.
struct Station {
    dir: tempfile::TempDir,
    layout: Layout,
}

impl Station {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/wire-3"), dir.path());
        let station = Station { layout: Layout::new(dir.path().join("layout")), dir };
        fs::create_dir_all(station.dir.path().join("trust/creators")).expect("a new directory");
        let (key, pin) = (station.path("keys/creator.pub.pem"), station.path("trust/creators/alice.pem"));
        fs::copy(key, pin).expect("a key");
        station
    }

    fn path(&self, name: &str) -> String {
        utf8(&self.dir.path().join(name)).to_owned()
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().expect("below a directory")).expect("a new directory");
        fs::write(&path, text).expect("a new file");
        utf8(&path).to_owned()
    }

    /// `verify` of the train, and whether it was held against pinned keys.
    fn is_pinned(&self, options: &[&str], variables: &[(&str, &str)]) -> bool {
        let image = self.layout.at("2");
        let line = [&["verify", &image, "--format", "json"], options].concat();
        let report = pht_oci(&line, variables).ok().json();
        let checks = report["checks"].as_array().expect("a list").clone();
        checks.iter().any(|check| check["id"] == "creator-key")
    }

    fn pre_run(&self, to: &str, options: &[&str], variables: &[(&str, &str)]) -> Outcome {
        let (image, to) = (self.layout.at("2"), self.layout.at(to));
        pht_oci(&[&["pre-run", &image, &to, "--format", "json"], options].concat(), variables)
    }
}

#[test]
fn a_stage_takes_everything_from_the_file_and_paths_are_below_its_directory() {
    let station = Station::new();
    let text = "private-key = \"keys/station_3.pem\"\ntrust = \"trust\"\n[accept]\nmin-wire = \"3\"\nstrict = true\n";
    let file = station.write("station.toml", text);
    let report = station.pre_run("opened", &["--config", &file], &[]).ok().json();
    let checks = report["checks"].as_array().expect("a list");
    assert!(checks.iter().any(|check| check["id"] == "creator-key"), "{report}");
    assert_eq!(report["warnings"], serde_json::json!([]));
    // Before the command, too, and by the variable.
    let (image, to) = (station.layout.at("2"), station.layout.at("again"));
    pht_oci(&["--config", &file, "pre-run", &image, &to], &[]).ok();
    station.pre_run("once-more", &[], &[("PHT_CONFIG", &file)]).ok();
}

#[test]
fn the_first_file_that_is_there_counts() {
    let station = Station::new();
    let trust = station.path("trust");
    let own = station.write("xdg/pht-oci/station.toml", &format!("trust = \"{trust}\"\n"));
    let (xdg, home) = (station.path("xdg"), station.path("home"));
    station.write("home/.config/pht-oci/station.toml", &format!("trust = \"{trust}\"\n"));
    let nothing = station.write("nothing.toml", "");
    let none = station.path("none");
    for (options, variables, expected) in [
        (&[][..], &[("PHT_CONFIG", ""), ("XDG_CONFIG_HOME", xdg.as_str())][..], true),
        (&[], &[("PHT_CONFIG", ""), ("XDG_CONFIG_HOME", ""), ("HOME", &home)], true),
        (&[], &[("PHT_CONFIG", ""), ("XDG_CONFIG_HOME", &none), ("HOME", &home)], false),
        (&[], &[("PHT_CONFIG", &nothing), ("XDG_CONFIG_HOME", &xdg)], false),
        (&["--config", &nothing], &[("PHT_CONFIG", &own)], false),
        (&["--config", &own], &[("PHT_CONFIG", &nothing)], true),
    ] {
        assert_eq!(station.is_pinned(options, variables), expected, "{options:?} {variables:?}");
    }
    let image = station.layout.at("2");
    let message = pht_oci(&["verify", &image], &[("PHT_CONFIG", &none)]).refused(2).stderr;
    assert!(message.contains(&none) && message.contains("--config"), "{message}");
    pht_oci(&["verify", &image, "--config", &none], &[]).refused(2);
}

#[test]
fn options_go_before_the_environment_and_the_environment_before_the_file() {
    let station = Station::new();
    let file = station.write("station.toml", "station = \"nobody\"\nprivate-key = \"keys/station_1.pem\"\n");
    let (own, other) = (station.path("keys/station_3.pem"), station.path("keys/station_2.pem"));
    let config = ["--config", file.as_str()];
    station.pre_run("a", &config, &[]).refused(3);
    let id = "Universität 🚂 \"3\"";
    station.pre_run("b", &config, &[("STATION_ID", id)]).refused(4);
    station.pre_run("c", &config, &[("STATION_ID", id), ("PRIVATE_KEY_PATH", &own)]).ok();
    let flag = [&config[..], &["--private-key", &own]].concat();
    station.pre_run("d", &flag, &[("STATION_ID", id), ("PRIVATE_KEY_PATH", &other)]).ok();
    // A variable that is set and empty is not set.
    let empty = [("STATION_ID", id), ("PRIVATE_KEY_PATH", ""), ("PHT_TRUST_DIR", "")];
    station.pre_run("e", &config, &empty).refused(4);
    station.pre_run("f", &flag, &empty).ok();
}

/// What a station accepts, no variable and no option can widen.
#[test]
fn demands_are_not_overruled() {
    let station = Station::new();
    let key = station.path("keys/station_3.pem");
    let file = station.write("station.toml", "[accept]\nstrict = true\nmin-wire = \"3\"\n");
    let options = ["--config", &file, "--private-key", &key, "--min-wire", "1.1.1"];
    let message = station.pre_run("a", &options, &[("PHT_MIN_WIRE", "1.1.1")]).refused(3).stderr;
    assert!(message.contains("--strict"), "{message}");
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/vectors");
    let file = station.write("min.toml", "[accept]\nmin-wire = \"3\"\n");
    let train = fs::read_dir(&dir).expect("vectors").map(|entry| entry.expect("an entry").path());
    let train = train.filter(|path| path.is_dir()).find_map(|path| {
        let report = pht_oci(&["inspect", utf8(&path), "--format", "json"], &[]).expect(0).ok()?;
        (report.json()["wire"] == "2.0").then_some(path)
    });
    let Some(train) = train else { return };
    let line = ["verify", utf8(&train), "--config", &file, "--min-wire", "1.1.1"];
    let message = pht_oci(&line, &[("PHT_MIN_WIRE", "1.1.1")]).refused(3).stderr;
    assert!(message.contains("the station's settings"), "{message}");
}

#[test]
fn what_is_wrong_is_named_with_file_line_and_key() {
    let station = Station::new();
    let before = snapshot(Path::new(station.layout.path()));
    for (text, says) in [
        ("station = \"a\"\nstatoin = \"b\"\n", "line 2: there is no key `statoin`"),
        ("[accept]\nmin-wire = 3\n", "line 2: accept.min-wire: expected a text"),
        ("private-key = \"keys/station_3.pem\"\n[accept]\nmin-wire = \"4\"\n", "4"),
        ("private-key = \"none.pem\"\n", "none.pem"),
        ("station = \"\u{1b}[2J\"\n[", "line"),
    ] {
        let file = station.write("station.toml", text);
        let outcome = station.pre_run("a", &["--config", &file], &[]);
        let status = if says == "none.pem" { 4 } else { 2 };
        let outcome = outcome.refused(status);
        let error: Value = serde_json::from_str(outcome.stderr.lines().last().expect("an error")).expect("JSON");
        let message = error["error"]["message"].as_str().expect("a message");
        assert!(message.contains(says), "{message} / {says}");
    }
    let key = station.path("keys/station_3.pem");
    let text = format!("private-key = \"{key}\"\n[run]\nengine = \"nothing\"\n");
    let file = station.write("station.toml", &text);
    let message = pht_oci(&["run", &station.layout.at("2"), "--config", &file], &[]).refused(2).stderr;
    assert!(message.contains("station.toml: line 3: run.engine: `nothing`"), "{message}");
    assert!(message.contains("the values are: podman, docker, runc, charliecloud"), "{message}");
    let file = station.write("station.toml", "[run]\nengine = \"runc\"\ntimeout = \"soon\"\n");
    let message = pht_oci(&["run", &station.layout.at("2"), "--config", &file], &[]).refused(2).stderr;
    assert!(message.contains("line 3: run.timeout: `soon`") && message.contains("12h"), "{message}");
    let file = station.write("station.toml", "[run]\nengine = \"runc\"\nvolumes = [\"/data\"]\n");
    let message = pht_oci(&["run", &station.layout.at("2"), "--config", &file], &[]).refused(2).stderr;
    assert_eq!(message.matches("`/data`").count(), 1, "{message}");
    assert!(message.contains("the path in the train is missing") && message.contains("HOST:PATH"), "{message}");
    assert_eq!(differences(&before, &snapshot(Path::new(station.layout.path())), true), Vec::<String>::new());
}

/// What a variable gives need not be typed, and no usage says so.
#[test]
fn usage_is_that_of_the_command_line() {
    let station = Station::new();
    let (file, key) = (station.write("station.toml", ""), station.path("keys/station_3.pem"));
    let variables = [("PHT_CONFIG", &*file), ("PRIVATE_KEY_PATH", &key), ("PHT_TRUST_DIR", &key)];
    for (line, usage) in [
        (&["inspect"][..], "Usage: pht-oci inspect <SRC>"),
        (&["verify"], "Usage: pht-oci verify <SRC>"),
        (&["pre-run", "--nonsense"], "Usage: pht-oci pre-run [OPTIONS] <SRC> [DEST]"),
    ] {
        for variables in [&variables[..], &[]] {
            let message = pht_oci(line, variables).refused(2).stderr;
            assert!(message.contains(usage), "{usage}: {message}");
        }
    }
}

/// A station without settings is told of both ways to name an engine.
#[test]
fn an_engine_that_is_not_given_can_be_set() {
    let station = Station::new();
    let message = pht_oci(&["run", &station.layout.at("2")], &[("PHT_CONFIG", "")]).refused(2).stderr;
    for what in ["--engine", "[run]", "help station", "podman, docker, runc, charliecloud"] {
        assert!(message.contains(what), "{what}: {message}");
    }
}

/// Whoever repairs the file has to be able to read the manual.
#[test]
fn commands_without_settings_do_not_need_the_file() {
    let station = Station::new();
    let file = station.write("station.toml", "nonsense");
    let key = station.path("keys/station_3.pub.pem");
    for line in [&["run", "--help"][..], &["help"], &["--version"], &["fingerprint", &key]] {
        pht_oci(&[line, &["--config", &file]].concat(), &[]).ok();
        pht_oci(line, &[("PHT_CONFIG", &file)]).ok();
    }
    pht_oci(&["verify", &station.layout.at("2")], &[("PHT_CONFIG", &file)]).refused(2);
    // A new key is not locked with the passphrase of the old one.
    let secret = station.write("secret", "secret\n");
    let file = station.write("station.toml", &format!("passphrase-file = \"{secret}\"\n"));
    let open = station.path("open");
    pht_oci(&["keygen", &open, "--bits", "2048", "--config", &file], &[]).ok();
    assert!(!fs::read_to_string(open + ".pem").expect("a key").contains("ENCRYPTED"));
}

#[test]
fn help_is_the_same_with_settings() {
    let station = Station::new();
    let file = station.write("station.toml", "station = \"a\"\n[run]\nengine = \"runc\"\n");
    let plain = pht_oci(&["run", "--help"], &[]).ok().stdout;
    assert_eq!(pht_oci(&["run", "--help", "--config", &file], &[]).ok().stdout, plain);
}

/// A station accepts trains on its own master images alone.
#[test]
fn a_train_on_another_master_is_refused_by_policy() {
    if !available("settings::a_train_on_another_master_is_refused_by_policy", &[Peer::Python]) {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| utf8(&dir.path().join(name)).to_owned();
    let (base, other) = (Layout::new(dir.path().join("base")), Layout::new(dir.path().join("other")));
    base.make_base("base", false);
    other.make_base("plain", false);
    other.append("plain", "base", &[Edit::Put("etc/other", b"another system".to_vec())]);
    write_pairs(dir.path(), &["alice", "builder", "a"]);
    fs::create_dir(path("files")).expect("a new directory");
    fs::write(path("files/main"), "code").expect("a new file");
    let route = serde_json::json!([{ "station": "a", "public_key_file": path("a.pub.pem") }]);
    fs::write(path("route.json"), route.to_string()).expect("a new file");
    for wire in ["2.0", "3"] {
        let train = format!("oci:{}:latest", path(&format!("train-{wire}")));
        let (files, route, from) = (path("files"), path("route.json"), base.at("base"));
        let line = ["build", &train, "--base", &from, "--files", &files, "--route", &route, "--wire", wire];
        let (creator, builder) = (path("alice.pem"), path("builder.pem"));
        let keys = ["--creator", "alice", "--creator-key", &creator, "--builder-key", &builder];
        pht_oci(&[&line[..], &keys, &["--cmd", "/bin/sh"]].concat(), &[]).ok();
        let settings = |masters: &str| {
            let text = format!("private-key = \"a.pem\"\n[accept]\nmasters = [{masters}]\n");
            fs::write(path("station.toml"), text).expect("a new file");
            path("station.toml")
        };
        let pre_run = |masters: &str, to: &str| {
            let to = format!("oci:{}:latest", path(&format!("{to}-{wire}")));
            pht_oci(&["pre-run", &train, &to, "--config", &settings(masters), "--format", "json"], &[])
        };
        let (own, strange) = (format!("\"{}\"", base.at("base")), format!("\"{}\"", other.at("base")));
        let report = pre_run(&own, "own").ok().json();
        let checks = report["checks"].as_array().expect("a list");
        assert!(checks.iter().any(|check| check["id"] == "master" && check["verdict"] == "sound"), "{report}");
        pre_run(&format!("{strange}, {own}"), "both").ok();
        let outcome = pre_run(&strange, "strange").refused(7);
        let error: Value = serde_json::from_str(outcome.stderr.lines().last().expect("an error")).expect("JSON");
        assert_eq!((&error["error"]["kind"], &error["error"]["check"]), (&"decision".into(), &"master".into()));
        assert!(!Path::new(&path(&format!("strange-{wire}"))).join("index.json").exists());
        pre_run("\"oci:/nowhere:x\"", "none").expect(0).map(drop).expect_err("a master that is not there fits nothing");
        pre_run(&format!("\"oci:/nowhere:x\", {own}"), "one").ok();
    }
}
