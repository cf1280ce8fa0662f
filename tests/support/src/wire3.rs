//! Trains of wire version 3 on a layout of their own, and the second implementation of it, in Python.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use serde_json::json;
use tempfile::TempDir;

use crate::keys::write_pairs;
use crate::layout::{Edit, Layout};
use crate::peers::{run, test_file};
use crate::program::pht_oci;
use crate::tree::{differences, noise, snapshot};
use crate::{rows, utf8};

/// How many stations the trains visit.
pub const STATIONS: usize = 3;

/// A directory with keys, a master image and trains.
pub struct Wire3Fixture {
    /// Of the trains; tag `N` is the state after N stops.
    pub layout: Layout,
    /// With the master image, as tag `base`.
    pub base: Layout,
    pub dir: TempDir,
}

impl Wire3Fixture {
    /// Keys, files and a master image; no train yet.
    pub fn prepare() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let base = Layout::new(dir.path().join("base"));
        base.make_base("base", false);
        let fixture = Self { layout: Layout::new(dir.path().join("layout")), base, dir };
        let names = ["station_1", "station_2", "station_3", "creator", "builder", "stranger"];
        write_pairs(fixture.dir.path(), &names);
        for (name, mode, data) in [
            ("main.py", 0o755, b"print(1)\n".to_vec()),
            ("lib/two chunks.bin", 0o644, noise(131_072)),
            ("lib-extra/empty", 0o600, Vec::new()),
            ("lib.py", 0o644, noise(65_537)),
            ("query.json", 0o644, b"{}".to_vec()),
        ] {
            fixture.write(&format!("files/{name}"), &data, mode);
        }
        fixture
    }

    /// The path of a file or directory beside the layout.
    pub fn path(&self, name: &str) -> String {
        utf8(&self.dir.path().join(name)).to_owned()
    }

    pub fn key(&self, name: &str) -> String {
        self.path(&format!("{name}.pem"))
    }

    fn write(&self, name: &str, data: &[u8], mode: u32) {
        let path = PathBuf::from(self.path(name));
        fs::create_dir_all(path.parent().expect("below a directory")).expect("a new directory");
        fs::write(&path, data).expect("a new file");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
    }

    /// What the run at this stop leaves.
    pub fn results(&self, stop: usize) -> String {
        let name = format!("results-{stop}");
        if !Path::new(&self.path(&name)).exists() {
            for (file, data) in [
                ("a.txt", format!("result a of {stop}\n").into_bytes()),
                ("b.txt", format!("result b of {stop}\n").into_bytes()),
                ("large.bin", noise(140_000 + stop)),
                ("full.bin", noise(65_536)),
                ("sub/empty", Vec::new()),
            ] {
                self.write(&format!("{name}/{file}"), &data, 0o640);
            }
        }
        self.path(&name)
    }

    /// The ids on the route; an integer among them.
    fn route(&self, key: &str, suffix: &str) -> serde_json::Value {
        let ids = [json!("station_1"), json!(2), json!("station_3")];
        let stop = |(index, id)| json!({"station": id, "eco_system": "tue", key: self.path(&format!("station_{}{suffix}", index + 1))});
        ids.into_iter().enumerate().map(stop).collect()
    }

    /// A train as built by the program, as tag `tag`; without `--wire`, since 3 is the default.
    pub fn build(&self, tag: &str, id: &str) {
        let (route, files) = (self.path("route.json"), self.path("files"));
        fs::write(&route, self.route("public_key_file", ".pub.pem").to_string()).expect("a new file");
        let (to, base) = (self.layout.at(tag), self.base.at("base"));
        let (creator, builder) = (self.key("creator"), self.key("builder"));
        let line = ["build", &to, "--base", &base, "--files", &files, "--route", &route, "--creator", "alice"];
        let keys = ["--creator-key", &creator, "--builder-key", &builder, "--id", id];
        pht_oci(&[&line[..], &keys[..]].concat(), &[]).ok();
    }

    /// A train as built by the second implementation.
    pub fn build_by_peer(&self, python: &str, tag: &str) {
        let spec = json!({
            "id": "theirs", "proposal_id": 7, "creator": {"id": "bob", "key": self.key("creator")},
            "builder": {"key": self.key("builder")}, "route": self.route("key", ".pem"), "files": self.path("files"),
        });
        fs::write(self.path("spec.json"), spec.to_string()).expect("a new file");
        let base = format!("{}:base", self.base.path());
        self.peer(python, &["build", self.layout.path(), tag, "--base", &base, "--spec", &self.path("spec.json")]);
    }

    /// One stop by the program, from tag `from` to tag `to`.
    pub fn stop(&self, from: &str, to: &str, stop: usize) {
        let (pre, ran) = (format!("{to}-pre"), format!("{to}-ran"));
        let key = self.key(&format!("station_{}", stop + 1));
        pht_oci(&["pre-run", &self.layout.at(from), &self.layout.at(&pre), "--private-key", &key], &[]).ok();
        self.layout.append(&pre, &ran, &[Edit::Opaque("opt/pht_results", Path::new(&self.results(stop)))]);
        pht_oci(&["post-run", &self.layout.at(&ran), &self.layout.at(to), "--private-key", &key], &[]).ok();
    }

    /// One stop by the second implementation.
    pub fn stop_by_peer(&self, python: &str, from: &str, to: &str, stop: usize) {
        let (key, results) = (self.key(&format!("station_{}", stop + 1)), self.results(stop));
        self.peer(python, &["stop", self.layout.path(), from, to, "--key", &key, "--results", &results]);
    }

    /// What the second implementation prints.
    #[track_caller]
    pub fn peer(&self, python: &str, arguments: &[&str]) -> Vec<u8> {
        let script = test_file("python/wire3_peer.py");
        run(python, &[&[utf8(&script)], arguments].concat()).unwrap_or_else(|message| panic!("{message}"))
    }
}

/// Two directories hold the same.
#[track_caller]
pub fn same(left: &str, right: &str) {
    let changes = differences(&snapshot(Path::new(left)), &snapshot(Path::new(right)), false);
    assert!(changes.is_empty(), "{left} / {right}\n  {}", changes.join("\n  "));
}

/// The creator's results of the train at this tag are those of the last stop.
#[track_caller]
pub fn check_results(fixture: &Wire3Fixture, tag: &str) {
    let (out, key) = (fixture.path(&format!("out-{tag}")), fixture.key("creator"));
    pht_oci(&["results", &fixture.layout.at(tag), "--private-key", &key, "--out", &out], &[]).ok();
    same(&fixture.results(STATIONS - 1), &out);
}

/// Every row of `tests/python/wire3_attacks.py`, met by a judge: the program, or without one the second implementation.
///
/// # Panics
/// The judge takes what it has to refuse, or refuses what it has to take.
pub fn every_attack(python: &str, program: Option<&str>) {
    let script = test_file("python/wire3_attacks.py");
    let jobs = available_parallelism().map_or(1, usize::from).to_string();
    let every = rows::stride();
    let step = every.to_string();
    let mut line = vec![utf8(&script), "--jobs", &jobs, "--every", &step];
    line.extend(program.iter().flat_map(|program| ["--program", program]));
    let told = run(python, &line).unwrap_or_else(|told| panic!("{told}"));
    let told = String::from_utf8(told).expect("text");
    let rows: usize = told.split_whitespace().next().and_then(|count| count.parse().ok()).expect("a number of rows");
    assert!(rows * every > 1000, "{told}");
}
