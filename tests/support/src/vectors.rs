//! Trains that the reference carried, kept as files: `testdata/vectors`, and more of them where `PHT_VECTORS` points.
//!
//! One directory for each wire version, with a `layout` and `keys`; the layout has the tags `0-built` and, for each
//! station s, `s-pre`, `s-ran` and `s-post`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::layout::Layout;
use crate::train::Wire;
use crate::tree;
use crate::{pht_oci, project};

/// One wire version's vectors, copied to where a test may write.
pub struct Vectors {
    pub wire: Wire,
    pub layout: Layout,
    /// How many stations the train has been to.
    pub stations: usize,
    keys: PathBuf,
    /// Keeps the copy.
    pub dir: TempDir,
}

impl Vectors {
    /// A fresh copy of the vectors below `from`.
    pub fn copy(from: &Path, wire: Wire) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        tree::copy(&from.join(wire.reference()), dir.path());
        let layout = Layout::new(dir.path().join("layout"));
        for key in fs::read_dir(dir.path().join("keys")).expect("vectors have keys") {
            let key = key.expect("a key file").path();
            fs::set_permissions(key, fs::Permissions::from_mode(0o600)).expect("a mode");
        }
        let stations = layout.tags().iter().filter(|tag| tag.as_str().is_some_and(|t| t.ends_with("-post"))).count();
        let keys = dir.path().join("keys");
        Self { wire, layout, stations, keys, dir }
    }

    /// Our own vectors.
    pub fn ours(wire: Wire) -> Self {
        Self::copy(&own(), wire)
    }

    /// The private key of a station, `user` or `builder`, as a PEM file.
    pub fn key(&self, name: &str) -> String {
        let pem = self.keys.join(format!("{name}.pem"));
        let der = self.keys.join(format!("{name}.der"));
        if !pem.exists() {
            fs::write(&pem, armored(&fs::read(&der).expect("a key"))).expect("a new file");
            fs::set_permissions(&pem, fs::Permissions::from_mode(0o600)).expect("a mode");
        }
        pem.into_os_string().into_string().expect("a path in UTF-8")
    }
}

/// A private key as PEM. In PKCS#8 the version is followed by an algorithm, in PKCS#1 by a number.
fn armored(der: &[u8]) -> String {
    let version = der.windows(3).position(|bytes| bytes == [2, 1, 0]).expect("a private key has a version");
    let label = if der[version + 3] == 0x30 { "PRIVATE KEY" } else { "RSA PRIVATE KEY" };
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// A closed train that a station has signed and the next one is about to open, of any wire version.
pub struct Signed {
    pub layout: Layout,
    pub tag: &'static str,
    /// The position on the route of the station whose turn it is, and its private key.
    pub stop: usize,
    pub station: String,
    /// The creator's private key.
    pub creator: String,
    /// Keeps it all.
    pub dir: TempDir,
}

impl Signed {
    pub fn new(wire: Wire) -> Self {
        if wire != Wire::V3 {
            let vectors = Vectors::ours(wire);
            let (station, creator) = (vectors.key("station_2"), vectors.key("user"));
            return Signed { layout: vectors.layout, tag: "1-post", stop: 1, station, creator, dir: vectors.dir };
        }
        let dir = tempfile::tempdir().expect("a temporary directory");
        tree::copy(&project().join("testdata/wire-3"), dir.path());
        let key = |name: &str| dir.path().join(format!("keys/{name}.pem")).display().to_string();
        let layout = Layout::new(dir.path().join("layout"));
        Signed { layout, tag: "2", stop: 2, station: key("station_3"), creator: key("creator"), dir }
    }
}

/// Where the project's own vectors lie.
pub fn own() -> PathBuf {
    project().join("testdata/vectors")
}

/// The vectors that `PHT_VECTORS` points to; a note where there are none.
pub fn further(test: &str) -> Option<PathBuf> {
    let dir = std::env::var_os("PHT_VECTORS").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    match &dir {
        Some(dir) => assert!(fs::exists(dir).is_ok_and(|there| there), "PHT_VECTORS: no {}", dir.display()),
        None => eprintln!("note: {test}: PHT_VECTORS is not set; testdata/vectors stand in"),
    }
    dir
}

/// Where the files of a train and its results lie.
pub const PLACES: [&str; 2] = ["opt/pht_train", "opt/pht_results"];

/// Paths, types, links and bytes; not times, owners and modes, which the reference does not keep.
pub fn files(layout: &Layout, tag: &str, place: &str) -> BTreeMap<String, Value> {
    let reduce = |entry: Value| json!([entry["type"], entry["link"], entry["sha256"]]);
    layout.view(tag, place).into_iter().map(|(path, entry)| (path, reduce(entry))).collect()
}

/// A stage of the program at a station.
pub fn stage(vectors: &Vectors, stage: &str, from: &str, to: &str, station: usize) {
    let name = format!("station_{station}");
    let (source, destination) = (vectors.layout.at(from), vectors.layout.at(to));
    let line = [stage, &source, &destination, "--station", &name, "--private-key", &vectors.key(&name)];
    pht_oci(&line, &[]).ok();
}
