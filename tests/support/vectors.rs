//! Trains that the reference carried, kept as files: `testdata/vectors`, and more of them where `PHT_VECTORS` points.
//!
//! One directory for each wire version, with a `layout` and `keys`; the layout has the tags `0-built` and, for each
//! station s, `s-pre`, `s-ran` and `s-post`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::layout::Layout;
use super::peers::run;
use super::train::Wire;
use super::tree;

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
            let path = |p: &Path| p.to_str().expect("a path in UTF-8").to_owned();
            let convert = ["rsa", "-inform", "DER", "-in", &path(&der), "-out", &path(&pem)];
            run("openssl", &convert).unwrap_or_else(|told| panic!("{told}"));
        }
        pem.into_os_string().into_string().expect("a path in UTF-8")
    }
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
        tree::copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/wire-3"), dir.path());
        let key = |name: &str| dir.path().join(format!("keys/{name}.pem")).display().to_string();
        let layout = Layout::new(dir.path().join("layout"));
        Signed { layout, tag: "2", stop: 2, station: key("station_3"), creator: key("creator"), dir }
    }
}

/// Where the project's own vectors lie.
pub fn own() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/vectors")
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
