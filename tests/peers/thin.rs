//! Thin archives among other tools: what is completed is what it was, and stations that have the base run from the stick.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use support::tree::{differences, snapshot};
use support::{Layout, Peer, available, pht_oci, run, utf8};

/// The bytes that a thin archive may have beside its payload: manifests, configs, headers of the archive.
const BESIDE: u64 = 64 << 10;

/// A train on a base of 64 MiB that do not compress, and the base.
struct Fixture {
    dir: tempfile::TempDir,
    base: Layout,
    train: Layout,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = |name: &str| utf8(&dir.path().join(name)).to_owned();
        let base = Layout::new(dir.path().join("base"));
        base.make_base("small", true);
        let script = support::peers::test_file("python/bulk.py");
        let bulk = ["layer", base.path(), "small", "base", "usr/share/bulk", "plain", "1", "64M"];
        run("python3", &[&[utf8(&script)], &bulk[..]].concat()).unwrap_or_else(|message| panic!("{message}"));
        fs::create_dir(path("files")).expect("a new directory");
        let script = "wc -l </data/text >>/opt/pht_results/all.txt\n";
        fs::write(path("files/main"), script).expect("a new file");
        let mut route = Vec::new();
        for name in ["a", "b", "c", "creator"] {
            pht_oci(&["keygen", &path(name), "--bits", "2048"], &[]).ok();
            fs::create_dir(path(&format!("data-{name}"))).expect("a new directory");
            fs::write(path(&format!("data-{name}/text")), format!("seen at {name}\n")).expect("a new file");
            route.push(json!({ "station": name, "public_key_file": path(&format!("{name}.pub.pem")) }));
        }
        fs::write(path("route.json"), Value::Array(route[..3].to_vec()).to_string()).expect("a new file");
        let train = Layout::new(dir.path().join("train"));
        let (to, from, files, key) = (train.at("latest"), base.at("base"), path("files"), path("creator.pem"));
        let line = ["build", &to, "--base", &from, "--files", &files, "--route", &path("route.json"), "--creator", "c"];
        pht_oci(&[&line[..], &["--creator-key", &key, "--cmd", "/bin/sh", "/opt/pht_train/main"]].concat(), &[]).ok();
        Fixture { dir, base, train }
    }

    fn path(&self, name: &str) -> String {
        utf8(&self.dir.path().join(name)).to_owned()
    }

    /// The bytes of a train's own layers.
    fn payload(&self, train: &Layout) -> u64 {
        let (base, image) = (self.base.layers("base").len(), train.image("latest"));
        let layers = image["manifest"]["layers"].as_array().expect("layers")[base..].iter();
        layers.map(|layer| layer["size"].as_u64().expect("a size")).sum()
    }
}

/// What umoci unpacks of an image.
fn unpacked(layout: &Layout, to: &str) -> support::tree::Tree {
    run("umoci", &["unpack", "--image", &format!("{}:latest", layout.path()), to]).expect("umoci reads it");
    snapshot(&Path::new(to).join("rootfs"))
}

#[test]
fn what_is_completed_is_what_it_was_for_other_tools() {
    let peers = [Peer::Python, Peer::Busybox, Peer::Skopeo, Peer::Umoci, Peer::Root];
    if !available("thin::what_is_completed", &peers) {
        return;
    }
    let fixture = Fixture::new();
    let (whole, stick) = (fixture.train.at("latest"), fixture.path("stick.tar"));
    let place = format!("oci-archive:{stick}:latest");
    pht_oci(&["copy", &whole, &place, "--without", &fixture.base.at("base")], &[]).ok();
    let (size, payload) = (fs::metadata(&stick).expect("an archive").len(), fixture.payload(&fixture.train));
    assert!(size <= payload + BESIDE, "{size} bytes for a payload of {payload}");
    let done = Layout::new(fixture.path("done"));
    pht_oci(&["copy", &place, &done.at("latest"), "--with", &fixture.base.at("base")], &[]).ok();
    let digest = |layout: &Layout| {
        let told = run("skopeo", &["inspect", "--format", "{{.Digest}}", &format!("oci:{}:latest", layout.path())]);
        String::from_utf8(told.expect("skopeo reads it")).expect("a digest")
    };
    assert_eq!(digest(&done), digest(&fixture.train));
    for (name, layout) in [("of-done", &done), ("of-whole", &fixture.train)] {
        let to = format!("dir:{}", fixture.path(name));
        run("skopeo", &["--insecure-policy", "copy", "-q", &format!("oci:{}:latest", layout.path()), &to])
            .expect("a copy");
    }
    let [left, right] = ["of-done", "of-whole"].map(|name| snapshot(Path::new(&fixture.path(name))));
    assert_eq!(differences(&left, &right, true), Vec::<String>::new(), "skopeo");
    let left = unpacked(&done, &fixture.path("bundle-done"));
    let right = unpacked(&fixture.train, &fixture.path("bundle-whole"));
    assert_eq!(differences(&left, &right, true), Vec::<String>::new(), "umoci");
    // Before it is completed neither takes it for whole.
    let thin = Layout::new(fixture.path("thin"));
    pht_oci(&["copy", &place, &thin.at("latest")], &[]).ok();
    let to = format!("dir:{}", fixture.path("none"));
    run("skopeo", &["--insecure-policy", "copy", "-q", &format!("oci:{}:latest", thin.path()), &to]).unwrap_err();
}

/// Three stations that have run the base before, and nothing between them but a stick.
#[test]
fn stations_run_from_the_stick_alone() {
    if !available("thin::stations_run_from_the_stick_alone", &[Peer::Python, Peer::Busybox, Peer::Runc]) {
        return;
    }
    let fixture = Fixture::new();
    let variable = |name: &'static str, station: &str| (name, fixture.path(&format!("{name}-{station}")));
    let at = |station: &str, line: &[&str]| {
        let own = [variable("XDG_CACHE_HOME", station), variable("XDG_STATE_HOME", station)];
        let own: Vec<(&str, &str)> = own.iter().map(|(name, value)| (*name, value.as_str())).collect();
        pht_oci(line, &own)
    };
    let run_at = |station: &str, from: &str, to: &str| {
        let (key, data) = (fixture.path(&format!("{station}.pem")), fixture.path(&format!("data-{station}")));
        let volume = format!("{data}:/data");
        at(station, &["run", from, to, "--engine", "runc", "--private-key", &key, "--volume", &volume])
    };
    let layers = fixture.base.layers("base");
    let stick = |number: usize| format!("oci-archive:{}:latest", fixture.path(&format!("stick-{number}.tar")));
    pht_oci(&["copy", &fixture.train.at("latest"), &stick(0), "--without", &fixture.base.at("base")], &[]).ok();
    // Who has never had the base is told which layers are missing.
    let told = run_at("a", &stick(0), &stick(1)).refused(5).stderr;
    assert!(layers.iter().any(|layer| told.contains(layer.as_str())) && told.contains("--with"), "{told}");
    assert!(!Path::new(&fixture.path("stick-1.tar")).exists());
    let of_base = |outcome: support::Outcome| {
        let report: serde_json::Value = serde_json::from_slice(&outcome.stdout).expect("a report");
        let findings = report["findings"].as_array().expect("a list").clone();
        findings.into_iter().find(|finding| finding["id"] == "base").expect("a finding")
    };
    let key = fixture.path("a.pem");
    let doctor = || at("a", &["doctor", &stick(0), "--engine", "runc", "--private-key", &key, "--format", "json"]);
    let found = of_base(doctor().refused(5));
    assert!(found["verdict"] == "fault" && found["advice"].to_string().contains("--with"), "{found}");
    for (number, station) in ["a", "b", "c"].into_iter().enumerate() {
        // An earlier train has brought the base here.
        let (base, files) = (fixture.base.at("base"), fixture.path("files"));
        let data = format!("{station}={}:/data", fixture.path(&format!("data-{station}")));
        let tried = ["try", "--base", &base, "--files", &files, "--data", &data, "--engine", "runc"];
        at(station, &[&tried[..], &["--cmd", "/bin/sh", "/opt/pht_train/main"]].concat()).ok();
        if station == "a" {
            assert_eq!(of_base(doctor().ok())["verdict"], "ok");
        }
        run_at(station, &stick(number), &stick(number + 1)).ok();
        let size = fs::metadata(fixture.path(&format!("stick-{}.tar", number + 1))).expect("a stick").len();
        assert!(size < 2 * BESIDE, "the stick has grown: {size}");
    }
    let (out, key) = (fixture.path("out"), fixture.path("creator.pem"));
    pht_oci(&["results", &stick(3), "--private-key", &key, "--out", &out], &[]).ok();
    let all = fs::read_to_string(Path::new(&out).join("all.txt")).expect("a result");
    assert_eq!(all, "1\n1\n1\n");
}
