//! A train that has been to its first station, and what it left there.

use std::fs;
use std::path::{Path, PathBuf};

use support::{Implementation, Outcome, Train, TrainSpec, Wire, pht_oci, utf8};

/// A train after its first station, as tag `post`.
pub struct ResultsFixture {
    pub train: Train,
}

impl ResultsFixture {
    /// The station's run leaves what `write` puts into a directory.
    pub fn new(wire: Wire, write: impl FnOnce(&Path)) -> Self {
        let spec = TrainSpec { stations: vec!["a".into(), "b".into()], indexes: vec![0, 1], ..TrainSpec::default() };
        let train = Train::build(Implementation::Ours, wire, &spec).unwrap_or_else(|message| panic!("{message}"));
        let fixture = ResultsFixture { train };
        fs::create_dir_all(fixture.written()).unwrap();
        write(&fixture.written());
        pht_oci(&fixture.train.line("pre-run", "0", "pre", 0), &[]).ok();
        fixture.train.put("pre", "ran", 0, &fixture.written());
        pht_oci(&fixture.train.line("post-run", "ran", "post", 0), &[]).ok();
        fixture
    }

    pub fn image(&self) -> String {
        self.train.layout.at("post")
    }

    /// What the run wrote.
    pub fn written(&self) -> PathBuf {
        self.path("written")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.train.dir.path().join(name)
    }

    /// `results` of `source` to `out`, a name beside the layout, or `-`.
    pub fn results(&self, source: &str, out: &str, options: &[&str]) -> Outcome {
        let path = self.path(out);
        let out = if out == "-" { out } else { utf8(&path) };
        let key = self.train.key("user");
        pht_oci(&[&["results", source, "--private-key", &key, "--out", out], options].concat(), &[])
    }

    /// The names beside the layout: what a refused command must leave as it was.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.train.dir.path()).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}
