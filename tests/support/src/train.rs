//! Trains on a layout of their own, built and carried by the reference or by the program.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::keys::write_pair;
use crate::layout::{Edit, Layout};
use crate::peers::{reference, run};
use crate::program::pht_oci;
use crate::tree::{differences, snapshot};
use crate::utf8;

/// A version of the protocol on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    V1_1_1,
    V1_1_2,
    V2_0,
    V3,
}

impl Wire {
    /// Those that the reference speaks too.
    pub const ALL: [Wire; 3] = [Wire::V1_1_1, Wire::V1_1_2, Wire::V2_0];

    /// Those that the program speaks.
    pub const OURS: [Wire; 4] = [Wire::V1_1_1, Wire::V1_1_2, Wire::V2_0, Wire::V3];

    /// Layers that the train as built has above those that stay.
    pub fn layers_above_base(self) -> usize {
        if self == Wire::V3 { 2 } else { 0 }
    }

    /// Whether the immutable files travel encrypted.
    pub fn encrypts_train(self) -> bool {
        matches!(self, Wire::V2_0 | Wire::V3)
    }

    /// The reference's version that speaks it.
    pub fn reference(self) -> &'static str {
        match self {
            Wire::V3 => panic!("the reference speaks no wire 3"),
            Wire::V1_1_1 => "1.1.1",
            Wire::V1_1_2 => "1.1.2",
            Wire::V2_0 => "2.0.5",
        }
    }

    /// The value of `--wire`.
    pub fn option(self) -> &'static str {
        match self {
            Wire::V1_1_1 => "1.1.1",
            Wire::V1_1_2 => "1.1.2",
            Wire::V2_0 => "2.0",
            Wire::V3 => "3",
        }
    }
}

/// Implementation performs a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Implementation {
    Reference,
    Ours,
}

/// What kind of train.
#[derive(Debug, Clone)]
pub struct TrainSpec {
    pub stations: Vec<Value>,
    /// The place on the route of each station.
    pub indexes: Vec<usize>,
    pub creator: Value,
    pub bits: u32,
    /// Of the private keys of the stations (and, in trains of the reference, of everybody).
    pub password: Option<&'static str>,
    pub pkcs1_public_keys: bool,
    pub query: bool,
    /// The text of the query, in trains of the program's own.
    pub asks: &'static str,
    /// What `file_list` puts before each name; only the reference builds such trains.
    pub prefix: &'static str,
    pub entrypoint: String,
    /// A layout with the base image as tag `base`; else one is made.
    pub base: Option<Layout>,
    /// Where stations find the base image, in trains of the program's own.
    pub master: Option<String>,
}

impl Default for TrainSpec {
    fn default() -> Self {
        Self {
            stations: vec![json!("station_1"), json!("station_2"), json!("station_3")],
            indexes: vec![0, 1, 2],
            creator: json!("test-user-id"),
            bits: 2048,
            password: None,
            pkcs1_public_keys: false,
            query: true,
            asks: QUERY,
            prefix: "",
            entrypoint: "#!/bin/sh\n# TRAIN-PLAINTEXT-MARKER\necho run\n".to_owned(),
            base: None,
            master: None,
        }
    }
}

fn text(id: &Value) -> String {
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}

/// A train on its layout: tag `0` is as built, `base` too.
pub struct Train {
    pub wire: Wire,
    pub layout: Layout,
    /// The layout with the base image, as tag `base`.
    pub base: Layout,
    pub dir: TempDir,
    spec: TrainSpec,
}

const QUERY: &str = "{\n  \"query\": {\n    \"resource\": \"Patient\"\n  }\n}";

impl Train {
    pub fn build(who: Implementation, wire: Wire, spec: &TrainSpec) -> Result<Self, String> {
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        let base = spec.base.clone().unwrap_or_else(|| {
            let base = Layout::new(dir.path().join("base"));
            base.make_base("base", Path::new("/bin/busybox").exists() || Path::new("/usr/bin/busybox").exists());
            base
        });
        let layout = Layout::new(dir.path().join("layout"));
        let train = Self { wire, layout, base, dir, spec: spec.clone() };
        match who {
            Implementation::Reference => train.build_by_reference()?,
            Implementation::Ours => train.build_by_us()?,
        }
        train.layout.tag("0", "base");
        Ok(train)
    }

    fn keys(&self) -> PathBuf {
        self.dir.path().join("keys")
    }

    fn files(&self) -> Value {
        json!({ "entrypoint.sh": self.spec.entrypoint, "lib/helper.py": "print('help')\n".repeat(20) })
    }

    fn build_by_reference(&self) -> Result<(), String> {
        let spec = &self.spec;
        let mut message = json!({
            "stations": spec.stations, "indexes": spec.indexes, "creator": spec.creator, "key_bits": spec.bits,
            "key_password": spec.password, "pkcs1_public_keys": spec.pkcs1_public_keys, "file_prefix": spec.prefix,
            "files": self.files(),
        });
        if !spec.query {
            message["query"] = Value::Null;
        }
        let file = self.dir.path().join("spec.json");
        fs::write(&file, message.to_string()).map_err(|error| error.to_string())?;
        let base = format!("{}:base", self.base.path());
        let (keys, file) = (self.keys(), utf8(&file));
        let options = ["--keys", utf8(&keys), "--base", &base, "--spec", file];
        reference(&[&[self.wire.reference(), "build", self.layout.path(), "0"], &options[..]].concat()).map(drop)
    }

    fn build_by_us(&self) -> Result<(), String> {
        self.make_keys()?;
        let (dir, spec) = (self.dir.path(), &self.spec);
        let write = |name: &str, text: &str| {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().expect("below a directory")).map_err(|error| error.to_string())?;
            fs::write(path, text).map_err(|error| error.to_string())
        };
        for (name, text) in self.files().as_object().into_iter().flatten() {
            write(&format!("files/{name}"), text.as_str().unwrap_or_default())?;
        }
        write("query.json", spec.asks)?;
        let stop = |(station, index): (&Value, &usize)| {
            let key = self.keys().join(format!("{}.pub.pem", text(station)));
            json!({ "station": station, "index": index, "eco_system": "tue", "public_key_file": utf8(&key) })
        };
        let route: Vec<Value> = spec.stations.iter().zip(&spec.indexes).map(stop).collect();
        write("route.json", &Value::from(route).to_string())?;
        let path = |name: &str| utf8(&dir.join(name)).to_owned();
        let creator = text(&spec.creator);
        let (to, from, wire) = (self.layout.at("0"), self.base.at("base"), self.wire.option());
        let (files, route, query) = (path("files"), path("route.json"), path("query.json"));
        let (user, builder) = (path("keys/user.pem"), path("keys/builder.pem"));
        let mut line = vec!["build", &to, "--base", &from, "--files", &files, "--route", &route, "--wire", wire];
        line.extend(["--creator", &creator, "--creator-key", &user, "--builder-key", &builder]);
        if spec.query {
            line.extend(["--query", &query]);
        }
        line.extend(spec.master.iter().flat_map(|master| ["--master", master]));
        line.extend(["--cmd", "/bin/sh", "/opt/pht_train/entrypoint.sh"]);
        pht_oci(&line, &[]).expect(0).map(drop)
    }

    /// Key pairs, new ones where they have a passphrase or another size; the creator's and the builder's have none.
    fn make_keys(&self) -> Result<(), String> {
        let keys = self.keys();
        fs::create_dir_all(&keys).map_err(|error| error.to_string())?;
        let secret = self.dir.path().join("passphrase");
        fs::write(&secret, self.spec.password.unwrap_or_default()).map_err(|error| error.to_string())?;
        let stations: Vec<String> = self.spec.stations.iter().map(text).collect();
        for (number, name) in ["user", "builder"].into_iter().chain(stations.iter().map(String::as_str)).enumerate() {
            let (path, bits) = (keys.join(name), self.spec.bits.to_string());
            let is_locked = self.spec.password.is_some() && stations.iter().any(|station| station == name);
            if self.spec.bits == 2048 && !is_locked {
                write_pair(number, &path)?;
            } else {
                let passphrase = if is_locked { &["--passphrase-file", utf8(&secret)][..] } else { &[] };
                let line = [&["keygen", utf8(&path), "--bits", &bits], passphrase].concat();
                pht_oci(&line, &[]).expect(0)?;
            }
            if self.spec.pkcs1_public_keys {
                let public = keys.join(format!("{name}.pub.pem"));
                let public = utf8(&public);
                run("openssl", &["rsa", "-pubin", "-in", public, "-RSAPublicKey_out", "-out", public])?;
            }
        }
        Ok(())
    }

    /// The id of the station at a stop.
    pub fn station_id(&self, stop: usize) -> String {
        let place = self.spec.indexes.iter().position(|index| *index == stop).expect("a stop of the route");
        text(&self.spec.stations[place])
    }

    /// The private key of a station, `user` or `builder`.
    pub fn key(&self, name: &str) -> String {
        utf8(&self.keys().join(format!("{name}.pem"))).to_owned()
    }

    /// One whole stop: pre-run, the train writes these results, post-run.
    pub fn stop(&self, who: Implementation, from: &str, to: &str, stop: usize, results: &Path) -> Result<(), String> {
        match who {
            Implementation::Ours => {
                let (pre, ran) = (format!("{to}-pre"), format!("{to}-ran"));
                self.ours("pre-run", from, &pre, stop)?;
                self.put(&pre, &ran, stop, results);
                self.ours("post-run", &ran, to, stop)
            }
            Implementation::Reference => {
                let station = self.station_id(stop);
                let key = self.key(&station);
                let place = [self.wire.reference(), "station", self.layout.path(), from, to];
                let options = ["--station", &station, "--key", &key, "--results", utf8(results)];
                let password: Vec<&str> = self.spec.password.iter().flat_map(|p| ["--password", p]).collect();
                reference(&[&place, &options[..], &password].concat()).map(drop)
            }
        }
    }

    /// `pre-run` or `post-run` by the program.
    pub fn ours(&self, stage: &str, from: &str, to: &str, stop: usize) -> Result<(), String> {
        pht_oci(&self.line(stage, from, to, stop), &self.password()).expect(0).map(drop)
    }

    /// The arguments for `pre-run` or `post-run`.
    pub fn line(&self, stage: &str, from: &str, to: &str, stop: usize) -> Vec<String> {
        let (station, source, destination) = (self.station_id(stop), self.layout.at(from), self.layout.at(to));
        let key = self.key(&station);
        [stage, &source, &destination, "--station", &station, "--private-key", &key].map(str::to_owned).to_vec()
    }

    fn password(&self) -> Vec<(&'static str, &'static str)> {
        self.spec.password.iter().map(|password| ("PRIVATE_KEY_PASSWORD", *password)).collect()
    }

    /// The layer that a run leaves; at odd stops with an opaque whiteout.
    pub fn put(&self, from: &str, to: &str, stop: usize, results: &Path) {
        let at = "opt/pht_results";
        let edit = if stop % 2 == 1 { Edit::Opaque(at, results) } else { Edit::Diff(at, results) };
        self.layout.append(from, to, &[edit]);
    }

    /// Takes the results out as the creator and holds them against what the train wrote.
    pub fn check_results(&self, tag: &str, written: &Path, modes: bool) -> Result<(), String> {
        let out = self.dir.path().join(format!("out-{tag}"));
        let line = ["results", &self.layout.at(tag), "--private-key", &self.key("user"), "--out", utf8(&out)];
        pht_oci(&line, &self.password()).expect(0)?;
        let changes = differences(&snapshot(written), &snapshot(&out), modes);
        if changes.is_empty() { Ok(()) } else { Err(format!("{tag}: written / returned\n  {}", changes.join("\n  "))) }
    }
}
