//! How a table of refusals is run: for each line and each wire, a layout with one image, tampered with, and a stage.

use serde_json::Value;

use support::tree::{differences, snapshot};
use support::vectors::Vectors;
use support::{Edit, Layout, Wire, pht_oci};

pub const CONFIG: &str = "opt/train_config.json";
pub const VERIFICATION: i32 = 3;
pub const KEY: i32 = 4;
pub const MALFORMED: i32 = 5;
pub const USAGE: i32 = 2;

/// Where a case starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// As built by the reference.
    Built,
    /// After the first station's post-run, by the reference.
    Sealed,
    /// After our pre-run for the second station.
    Opened,
    /// The same after a run that wrote results.
    Ran,
    /// After our post-run for the first station.
    SealedByUs,
    /// After a run at the second station, all by the reference.
    RanByReference,
}

/// The image of a case, alone on its layout, as tag `train`.
pub struct RefusalFixture {
    pub vectors: Vectors,
    pub layout: Layout,
}

pub const TAG: &str = "train";

impl RefusalFixture {
    pub fn new(start: Start, wire: Wire) -> Self {
        let vectors = Vectors::ours(wire);
        let layout = &vectors.layout;
        let stage = |stage: &str, from: &str, to: &str, station: &str| {
            let (source, destination) = (layout.at(from), layout.at(to));
            let line = [stage, &source, &destination, "--station", station, "--private-key", &vectors.key(station)];
            pht_oci(&line, &[]).ok();
        };
        let write = |from: &str, to: &str| {
            layout.append(from, to, &[Edit::Put("opt/pht_results/result.txt", b"second run\n".to_vec())]);
        };
        match start {
            Start::Built => layout.tag("0-built", TAG),
            Start::Sealed => layout.tag("1-post", TAG),
            Start::RanByReference => layout.tag("2-ran", TAG),
            Start::SealedByUs => stage("post-run", "1-ran", TAG, "station_1"),
            Start::Opened => stage("pre-run", "1-post", TAG, "station_2"),
            Start::Ran => {
                stage("pre-run", "1-post", "opened", "station_2");
                write("opened", TAG);
            }
        }
        let layout = layout.only(TAG, vectors.dir.path().join("fixture"));
        Self { vectors, layout }
    }

    /// Puts a changed train config over the image.
    pub fn patch(&self, change: impl FnOnce(&mut Value)) {
        let mut config = self.layout.train_config(TAG);
        change(&mut config);
        self.put(CONFIG, config.to_string().into_bytes());
    }

    pub fn put(&self, path: &str, data: Vec<u8>) {
        self.layout.append(TAG, TAG, &[Edit::Put(path, data)]);
    }

    pub fn remove(&self, path: &str) {
        self.layout.append(TAG, TAG, &[Edit::Remove(path)]);
    }

    pub fn cat(&self, path: &str) -> Vec<u8> {
        self.layout.cat(TAG, path)
    }

    /// Runs a stage in place; what is left of the layout must be what was there.
    pub fn refuse(&self, line: &[&str], variables: &[(&str, &str)], status: i32) -> Result<String, String> {
        let before = snapshot(&self.layout.dir);
        let outcome = pht_oci(line, variables).expect(status)?;
        let changes = differences(&before, &snapshot(&self.layout.dir), true);
        if !changes.is_empty() {
            return Err(format!("refused, but the layout changed: {changes:?}"));
        }
        if outcome.stderr.trim().is_empty() {
            return Err("refused without a word".to_owned());
        }
        Ok(outcome.stderr)
    }

    /// `stage` in place by a station with its own key.
    pub fn refuse_stage(&self, stage: &str, station: &str, status: i32) -> Result<String, String> {
        let (image, key) = (self.layout.at(TAG), self.vectors.key(station));
        self.refuse(&[stage, &image, "--station", station, "--private-key", &key], &[], status)
    }
}

/// One line of a table.
pub struct Case {
    pub name: &'static str,
    pub start: Start,
    pub stage: &'static str,
    pub station: &'static str,
    pub status: i32,
    pub tamper: fn(&RefusalFixture, Wire),
}

/// Runs a table over the wires; every line that is not refused as it should be is told.
pub fn check(wires: &[Wire], cases: &[Case]) {
    let mut failures = Vec::new();
    for case in cases {
        for wire in wires {
            let fixture = RefusalFixture::new(case.start, *wire);
            (case.tamper)(&fixture, *wire);
            if let Err(message) = fixture.refuse_stage(case.stage, case.station, case.status) {
                failures.push(format!("{} (wire {wire:?}): {message}", case.name));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), cases.len() * wires.len(), failures.join("\n"));
}

/// The stage goes through when the same layers are put over the image with nothing changed: what `check` sees is the
/// tampering, not the harness.
pub fn goes_through(start: Start, stage: &str, station: &str, wire: Wire, tamper: fn(&RefusalFixture, Wire)) {
    let fixture = RefusalFixture::new(start, wire);
    tamper(&fixture, wire);
    let (image, key) = (fixture.layout.at(TAG), fixture.vectors.key(station));
    pht_oci(&[stage, &image, "--station", station, "--private-key", &key], &[]).ok();
}

/// Another hex digit in the middle of a field.
pub fn flip(field: &mut Value) {
    let mut text = field.as_str().expect("a hex string").to_owned();
    let middle = text.len() / 2;
    let other = if &text[middle..=middle] == "0" { "1" } else { "0" };
    text.replace_range(middle..=middle, other);
    *field = Value::from(text);
}

/// The stop of a station, wherever it stands in the list.
pub fn stop<'a>(config: &'a mut Value, station: &str) -> &'a mut Value {
    let route = config["route"].as_array_mut().expect("a route");
    route.iter_mut().find(|stop| stop["station"] == station).expect("a stop of the route")
}
