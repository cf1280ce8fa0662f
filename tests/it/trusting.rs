//! `--trust DIR`: whose keys they are, in every command that verifies.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use support::peers::test_file;
use support::tree::{copy, differences, snapshot};
use support::{Edit, Layout, Outcome, Peer, available, pht_oci, run, utf8};

/// A train of wire 3 after its second station, and a directory of pinned keys that fits.
struct TrustFixture {
    dir: tempfile::TempDir,
    layout: Layout,
}

/// The stations as the train calls them, and their key files.
const STATIONS: [(&str, &str); 3] =
    [("station_1", "station_1"), ("2", "station_2"), ("Universität 🚂 \"3\"", "station_3")];

impl TrustFixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/wire-3"), dir.path());
        let fixture = TrustFixture { layout: Layout::new(dir.path().join("layout")), dir };
        fixture.pin("creators/alice.pem", "creator");
        fixture.pin("builders/whoever.pem", "builder");
        for (id, key) in STATIONS {
            fixture.pin(&format!("stations/{id}.pem"), key);
        }
        fixture
    }

    fn path(&self, name: &str) -> String {
        utf8(&self.dir.path().join(name)).to_owned()
    }

    fn pinned(&self, name: &str) -> PathBuf {
        self.dir.path().join("trust").join(name)
    }

    fn pin(&self, name: &str, key: &str) {
        let path = self.pinned(name);
        fs::create_dir_all(path.parent().expect("below a directory")).expect("a new directory");
        fs::copy(self.path(&format!("keys/{key}.pub.pem")), path).expect("a key");
    }

    fn key(&self, name: &str) -> String {
        self.path(&format!("keys/{name}.pem"))
    }

    /// Every command that looks at the train after its second station, held against the pinned keys.
    fn commands(&self, options: &[&str]) -> Vec<Outcome> {
        let (image, trust, out) = (self.layout.at("2"), self.path("trust"), self.path("out"));
        let (station, creator, to) = (self.key("station_3"), self.key("creator"), self.layout.at("opened"));
        let lines = [
            vec!["verify", &image],
            vec!["results", &image, "--private-key", &creator, "--out", &out],
            vec!["pre-run", &image, &to, "--private-key", &station],
        ];
        let common = [&["--trust", &trust], options].concat();
        lines.iter().map(|line| pht_oci(&[&line[..], &common].concat(), &[])).collect()
    }

    /// Every command refuses, and nothing has changed.
    #[track_caller]
    fn refused(&self, status: i32, says: &str) {
        let before = snapshot(self.dir.path());
        for outcome in self.commands(&[]) {
            let message = outcome.refused(status).stderr;
            assert!(message.contains(says), "`{says}` is not in: {message}");
        }
        assert_eq!(differences(&before, &snapshot(self.dir.path()), true), Vec::<String>::new());
    }
}

#[test]
fn pinned_keys_make_a_train_of_wire_3_sound() {
    let fixture = TrustFixture::new();
    for outcome in fixture.commands(&["--strict", "--format", "json"]) {
        let report = outcome.ok().json();
        let checks = report["checks"].as_array().expect("a list");
        assert!(checks.iter().all(|check| check["verdict"] == "sound"), "{report}");
        let count = |id: &str| checks.iter().filter(|check| check["id"] == id).count();
        assert_eq!(["creator-key", "builder-key", "station-key", "trust"].map(count), [1, 1, 3, 0]);
        assert_eq!(report["warnings"], json!([]));
    }
}

#[test]
fn post_run_holds_keys_against_the_pins_and_wants_a_run() {
    if !available("trusting::post_run_holds_keys_against_the_pins_and_wants_a_run", &[Peer::Python]) {
        return;
    }
    let fixture = TrustFixture::new();
    let (key, trust) = (fixture.key("station_3"), fixture.path("trust"));
    pht_oci(&["pre-run", &fixture.layout.at("2"), &fixture.layout.at("opened"), "--private-key", &key], &[]).ok();
    fixture.layout.append("opened", "ran", &[Edit::Put("opt/pht_results/new.txt", b"new".to_vec())]);
    let (ran, to) = (fixture.layout.at("ran"), fixture.layout.at("3-new"));
    let line = ["post-run", &ran, &to, "--private-key", &key, "--trust", &trust, "--strict"];
    let before = snapshot(fixture.dir.path());
    fixture.pin("stations/2.pem", "builder");
    pht_oci(&line, &[]).refused(3);
    fixture.pin("stations/2.pem", "station_2");
    // Nor is an image signed in which nothing has run.
    let mut of_opened = line;
    let opened = fixture.layout.at("opened");
    of_opened[1] = &opened;
    let refused = pht_oci(&of_opened, &[]).refused(3);
    assert!(refused.stderr.contains("nothing has run in the image"), "{}", refused.stderr);
    assert_eq!(differences(&before, &snapshot(fixture.dir.path()), true), Vec::<String>::new());
    pht_oci(&line, &[]).ok();
}

/// What is in another directory than pre-run's would leave, be it the station's data.
#[test]
fn results_from_another_directory_are_told_or_refused() {
    let fixture = TrustFixture::new();
    let (key, trust) = (fixture.key("station_3"), fixture.path("trust"));
    let (results, data) = (fixture.path("results"), fixture.path("data"));
    let (opened, to) = (fixture.layout.at("opened"), fixture.layout.at("3-new"));
    pht_oci(&["pre-run", &fixture.layout.at("2"), &opened, "--private-key", &key, "--results", &results], &[]).ok();
    fs::create_dir(&data)
        .and_then(|()| fs::write(fixture.dir.path().join("data/patients.csv"), "P-1\n"))
        .expect("data");
    let line = ["post-run", &opened, &to, "--private-key", &key, "--trust", &trust, "--results"];
    let close = |dir: &str, more: &[&str]| pht_oci(&[&line[..], &[dir], more].concat(), &[]);
    let says = "not the directory that pre-run has made for the results of this train";
    let refused = close(&data, &["--strict"]).refused(2).stderr;
    assert!(refused.contains(says) && refused.contains("--moved-results"), "{refused}");
    assert!(!fixture.layout.tags().contains(&json!("3-new")));
    for (dir, more, is_said) in
        [(&data, &["--strict", "--moved-results"][..], false), (&data, &[], true), (&results, &["--strict"], false)]
    {
        let report = close(dir, &[more, &["--format", "json"]].concat()).ok().json();
        assert_eq!(report["warnings"].to_string().contains(says), is_said, "{dir} {more:?}: {report}");
    }
}

/// Where the results are in a directory, that alone shows whether a train has run; and what is left in the image is lost.
#[test]
fn a_directory_in_which_nothing_is_new_is_told_or_refused() {
    if !available("trusting::a_directory_in_which_nothing_is_new_is_told_or_refused", &[Peer::Python]) {
        return;
    }
    let fixture = TrustFixture::new();
    let (key, results) = (fixture.key("station_3"), fixture.path("results"));
    let (opened, to) = (fixture.layout.at("opened"), fixture.layout.at("3-new"));
    pht_oci(&["pre-run", &fixture.layout.at("2"), &opened, "--private-key", &key, "--results", &results], &[]).ok();
    let line = ["post-run", &opened, &to, "--private-key", &key, "--results", &results, "--format", "json"];
    let close = |more: &[&str]| pht_oci(&[&line[..], more].concat(), &[]);
    let says = "nothing is new in the directory of the results";
    assert!(close(&["--require-results"]).refused(3).stderr.contains(says));
    assert!(!fixture.layout.tags().contains(&json!("3-new")));
    assert!(close(&[]).ok().json()["warnings"].to_string().contains(says));
    // What an engine has put into the image instead is not dropped.
    fixture.layout.append("opened", "ran", &[Edit::Put("opt/pht_results/counts.csv", b"1\n".to_vec())]);
    let ran = fixture.layout.at("ran");
    let line = ["post-run", &ran, &to, "--private-key", &key, "--results", &results];
    let before = snapshot(fixture.dir.path());
    let refused = pht_oci(&line, &[]).refused(2).stderr;
    assert!(refused.contains("would be lost: counts.csv") && refused.contains("mount"), "{refused}");
    assert_eq!(differences(&before, &snapshot(fixture.dir.path()), true), Vec::<String>::new());
    // Opened to the same place again: the first directory stays.
    let others = fixture.path("others");
    let again = ["pre-run", &fixture.layout.at("2"), &opened, "--private-key", &key, "--results", &others];
    let report = pht_oci(&[&again[..], &["--format", "json"]].concat(), &[]).ok().json();
    assert!(report["warnings"].to_string().contains("with results in a directory, which stays"), "{report}");
    let line = ["post-run", &opened, &to, "--private-key", &key, "--results", &others, "--format", "json"];
    let close = |more: &[&str]| pht_oci(&[&line[..], more].concat(), &[]);
    // In the image, too, new results are told from those that came.
    let inside = fixture.layout.at("inside");
    pht_oci(&["pre-run", &fixture.layout.at("2"), &inside, "--private-key", &key], &[]).ok();
    fixture.layout.append("inside", "idle", &[Edit::Put("etc/hostname", b"x\n".to_vec())]);
    let idle = ["post-run", &fixture.layout.at("idle"), &to, "--private-key", &key];
    assert!(pht_oci(&idle, &[]).ok().stdout.windows(14).any(|part| part == b"nothing is new"));
    let refused = pht_oci(&[&idle[..], &["--require-results"]].concat(), &[]).refused(3).stderr;
    assert!(refused.contains("nothing is new in the results"), "{refused}");
    fs::write(fixture.dir.path().join("others/new.csv"), "1\n").expect("a result");
    let report = close(&["--require-results"]).ok().json();
    assert!(!report["warnings"].to_string().contains(says), "{report}");
}

/// Labels say which config pre-run verified; an engine may lose them.
#[test]
fn a_config_that_cannot_be_compared_after_the_run_is_weak() {
    if !available("trusting::a_config_that_cannot_be_compared_after_the_run_is_weak", &[Peer::Python]) {
        return;
    }
    let fixture = TrustFixture::new();
    let (key, trust) = (fixture.key("station_3"), fixture.path("trust"));
    pht_oci(&["pre-run", &fixture.layout.at("2"), &fixture.layout.at("opened"), "--private-key", &key], &[]).ok();
    let script = test_file("python/layout.py");
    let script = utf8(&script);
    let bare = [script, "config", fixture.layout.path(), "opened", "bare", "--merge", r#"{"Labels": {}}"#];
    run("python3", &bare).unwrap_or_else(|message| panic!("{message}"));
    let (from, to) = (fixture.layout.at("bare"), fixture.layout.at("3-new"));
    let line = ["post-run", &from, &to, "--private-key", &key, "--trust", &trust, "--format", "json"];
    let before = snapshot(fixture.dir.path());
    let message = pht_oci(&[&line[..], &["--strict"]].concat(), &[]).refused(3).stderr;
    assert!(message.contains("could not be compared"), "{message}");
    assert_eq!(differences(&before, &snapshot(fixture.dir.path()), true), Vec::<String>::new());
    let report = pht_oci(&line, &[]).ok().json();
    let checks = report["checks"].as_array().expect("a list");
    let weak: Vec<&Value> =
        checks.iter().filter(|check| check["verdict"] == "weak").map(|check| &check["id"]).collect();
    assert_eq!(weak, ["config-after-run"]);
}

#[test]
fn another_key_than_the_pinned_one_is_refused() {
    for name in ["creators/alice.pem", "builders/whoever.pem", "stations/station_1.pem", "stations/2.pem"] {
        let fixture = TrustFixture::new();
        fixture.pin(name, "station_3");
        fixture.refused(3, if name.starts_with("builders") { "not among the pinned ones" } else { "is pinned" });
    }
}

#[test]
fn a_creator_without_a_pin_is_refused() {
    let fixture = TrustFixture::new();
    fs::remove_file(fixture.pinned("creators/alice.pem")).expect("a pin that can be removed");
    fixture.refused(3, "creators/alice.pem");
}

#[test]
fn whom_the_pinned_creator_vouches_for_needs_no_pin() {
    let fixture = TrustFixture::new();
    for name in ["builders", "stations"] {
        fs::remove_dir_all(fixture.pinned(name)).expect("pins that can be removed");
    }
    for outcome in fixture.commands(&["--strict", "--format", "json"]) {
        let report = outcome.ok().json();
        let checks = report["checks"].as_array().expect("a list");
        let vouched = checks.iter().filter(|check| check["reason"] == "the creator's signature names it");
        let ids: Vec<&Value> = vouched.map(|check| &check["id"]).collect();
        assert_eq!(ids, ["builder-key", "station-key", "station-key", "station-key"]);
    }
}

#[test]
fn a_directory_that_is_none_or_holds_no_keys_is_a_mistake() {
    let fixture = TrustFixture::new();
    fs::write(fixture.pinned("stations/2.pem"), "no key").expect("a new file");
    fixture.refused(2, "2.pem");
    let fixture = TrustFixture::new();
    fs::copy(fixture.key("station_2"), fixture.pinned("stations/2.pem")).expect("a new file");
    fixture.refused(2, "2.pem");
    let fixture = TrustFixture::new();
    fixture.pin("stations/002.pem", "builder");
    fixture.refused(2, "pinned for");
    let fixture = TrustFixture::new();
    fs::remove_dir_all(fixture.pinned("")).expect("a directory that can be removed");
    fixture.refused(2, "no such directory");
}

#[test]
fn the_form_of_a_pinned_key_does_not_matter_and_the_directory_may_come_from_the_environment() {
    if !available("trusting::the_form_of_a_pinned_key", &[Peer::Openssl]) {
        return;
    }
    let fixture = TrustFixture::new();
    let pin = fixture.pinned("stations/2.pem");
    let pin = utf8(&pin);
    run("openssl", &["rsa", "-pubin", "-in", pin, "-RSAPublicKey_out", "-out", pin]).expect("another form");
    assert!(fs::read_to_string(pin).expect("a key").contains("RSA PUBLIC KEY"));
    fixture.commands(&["--strict"]).into_iter().for_each(|outcome| drop(outcome.ok()));
    let (image, trust) = (fixture.layout.at("2"), fixture.path("trust"));
    pht_oci(&["verify", &image, "--strict"], &[("PHT_TRUST_DIR", &trust)]).ok();
    fixture.pin("stations/2.pem", "builder");
    pht_oci(&["verify", &image], &[("PHT_TRUST_DIR", &trust)]).refused(3);
}

/// An id may be anything; no path is made of it.
#[test]
fn ids_do_not_leave_the_directory() {
    let fixture = TrustFixture::new();
    for (number, id) in ["../x", "a/b", "..", "/etc/x", "stations/../x"].into_iter().enumerate() {
        let station = fixture.path("keys/station_1.pub.pem");
        fs::write(fixture.path("route.json"), json!([{ "station": id, "public_key_file": station }]).to_string())
            .expect("a new file");
        fs::create_dir_all(fixture.path("files")).expect("a new directory");
        fs::write(fixture.path("files/main"), "code").expect("a new file");
        // Where a path that is put together from the id would lead.
        for name in ["x.pem", "stations/a.pem", "x", "...pem"] {
            fixture.pin(name, "station_1");
        }
        fs::create_dir_all(fixture.pinned("stations/a")).expect("a new directory");
        fixture.pin("stations/a/b.pem", "station_1");
        let (to, route, files) =
            (fixture.path(&format!("train-{number}")), fixture.path("route.json"), fixture.path("files"));
        let (creator, builder, trust) = (fixture.key("creator"), fixture.key("builder"), fixture.path("trust"));
        // In wire 3 the creator vouches for the stations.
        let line = ["build", &to, "--base", "scratch", "--files", &files, "--route", &route, "--creator", "alice"];
        let keys = ["--wire", "2.0", "--creator-key", &creator, "--builder-key", &builder];
        pht_oci(&[&line[..], &keys[..]].concat(), &[]).ok();
        let outcome = pht_oci(&["verify", &to, "--trust", &trust, "--format", "json"], &[]).refused(3);
        let report: Value = serde_json::from_slice(&outcome.stdout).expect("a report");
        let checks = report["checks"].as_array().expect("a list");
        let station = checks.iter().find(|check| check["id"] == "station-key").expect("a check of the station");
        assert_eq!(station["verdict"], "unpinned", "{id}: {station}");
    }
}
