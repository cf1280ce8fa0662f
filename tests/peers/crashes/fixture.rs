//! The fixture of these tests: one train in places of every kind, and the stages that are disturbed there.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use support::layout::Edit;
use support::tree::{MARKER, Node, Tree, copy, noise, snapshot};
use support::{Implementation, Layout, Train, TrainSpec, Wire, pht_oci, run, utf8};

/// A stage at the second station, in one place or from one to another. In `{}` goes a directory of the trial's own.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    pub name: &'static str,
    pub stage: &'static str,
    pub source: &'static str,
    /// None: in place.
    pub destination: Option<&'static str>,
    /// Whether the results are kept beside the image, in `{}/results`.
    pub results: bool,
}

impl Case {
    /// What is named as DEST. An archive is opened in place only if it is named twice.
    fn named_destination(&self) -> Option<&'static str> {
        let is_named_twice = self.stage == "pre-run" && self.source != LAYOUT;
        self.destination.or_else(|| is_named_twice.then_some(self.source))
    }
}

const fn in_place(name: &'static str, stage: &'static str, source: &'static str) -> Case {
    Case { name, stage, source, destination: None, results: false }
}

const LAYOUT: &str = "oci:{}/train:t";
const OCI_ARCHIVE: &str = "oci-archive:{}/train.tar:t";
const DOCKER_ARCHIVE: &str = "docker-archive:{}/train.tar:train:t";

pub const CASES: [Case; 10] = [
    in_place("a layout", "pre-run", LAYOUT),
    in_place("a layout", "post-run", LAYOUT),
    in_place("an OCI archive", "pre-run", OCI_ARCHIVE),
    in_place("an OCI archive", "post-run", OCI_ARCHIVE),
    in_place("a Docker archive", "pre-run", DOCKER_ARCHIVE),
    in_place("a Docker archive", "post-run", DOCKER_ARCHIVE),
    Case { results: true, ..in_place("a layout, results beside it", "pre-run", LAYOUT) },
    Case { results: true, ..in_place("a layout, results beside it", "post-run", LAYOUT) },
    Case { destination: Some("oci:{}/to:t"), ..in_place("layout to layout", "pre-run", LAYOUT) },
    Case { destination: Some("oci-archive:{}/to.tar:t"), ..in_place("layout to archive", "post-run", LAYOUT) },
];

/// A train that has been to its first station, with results of `size` bytes.
pub struct CrashFixture {
    train: Train,
    station: String,
}

impl CrashFixture {
    pub fn new(wire: Wire, size: usize) -> Self {
        let train = Train::build(Implementation::Ours, wire, &TrainSpec::default())
            .unwrap_or_else(|message| panic!("{message}"));
        let (first, second) = (train.dir.path().join("first"), train.dir.path().join("second"));
        for dir in [&first, &second] {
            write_results(dir, size);
        }
        train.stop(Implementation::Ours, "0", "closed", 0, &first).unwrap_or_else(|message| panic!("{message}"));
        train.ours("pre-run", "closed", "open", 1).unwrap_or_else(|message| panic!("{message}"));
        train.layout.append("open", "ran", &[Edit::Opaque("opt/pht_results", &second)]);
        let station = train.station_id(1);
        CrashFixture { train, station }
    }

    /// Where the trials of a case start from; made when it is first asked for.
    fn template(&self, case: &Case) -> PathBuf {
        let dir = self.train.dir.path().join(format!("template of {} in {}", case.stage, case.name).replace(' ', "-"));
        if !dir.exists() {
            fs::create_dir(&dir).expect("a new directory");
            let state = match case.stage {
                "pre-run" => "closed",
                _ if case.results => "open",
                _ => "ran",
            };
            let to = case.source.replace("{}", utf8(&dir));
            pht_oci(&["copy", &self.train.layout.at(state), &to, "--allow-open"], &[]).ok();
            if case.results && case.stage == "post-run" {
                copy(&self.train.dir.path().join("second"), &dir.join("results"));
            }
        }
        dir
    }

    /// A fresh place in `dir`, which is emptied.
    pub fn trial(&self, case: Case, dir: &Path) -> Trial<'_> {
        if dir.exists() {
            for entry in fs::read_dir(dir).expect("a directory") {
                let path = entry.expect("an entry").path();
                if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.expect("it goes");
            }
        }
        copy(&self.template(&case), dir);
        let before = snapshot(dir);
        let mut trial = Trial { fixture: self, case, dir: dir.to_owned(), before, old: None };
        if case.destination.is_none() {
            trial.old = trial.whole(trial.published()).expect("the image before");
        }
        trial
    }

    /// A directory for trials.
    pub fn scratch(&self) -> PathBuf {
        self.train.dir.path().join("trial")
    }
}

/// Results that do not compress, with the marker in them, and some small files.
fn write_results(dir: &Path, size: usize) {
    fs::create_dir_all(dir.join("sub")).expect("a new directory");
    let block = [&noise(65_536 - MARKER.len())[..], MARKER.as_bytes()].concat();
    fs::write(dir.join("large.bin"), block.repeat(size / block.len() + 1)).expect("a new file");
    for number in 0..20 {
        fs::write(dir.join(format!("sub/{number}")), format!("{MARKER} {number}\n")).expect("a new file");
    }
}

/// One disturbed run of a stage.
pub struct Trial<'a> {
    fixture: &'a CrashFixture,
    pub case: Case,
    pub dir: PathBuf,
    /// What the place was.
    pub before: Tree,
    /// The digest of the image that was there.
    old: Option<String>,
}

impl Trial<'_> {
    fn place(&self, reference: &str) -> String {
        reference.replace("{}", utf8(&self.dir))
    }

    fn published(&self) -> &'static str {
        self.case.destination.unwrap_or(self.case.source)
    }

    /// Starts the stage and does not wait.
    pub fn start(&self, more: &[&str]) -> Child {
        let key = self.fixture.train.key(&self.fixture.station);
        let mut command = Command::new(support::program());
        command.args([self.case.stage, &self.place(self.case.source)]);
        command.args(self.case.named_destination().map(|to| self.place(to)));
        command.args(["--station", &self.fixture.station, "--private-key", &key]).args(more);
        if self.case.results {
            command.arg("--results").arg(self.dir.join("results"));
        }
        command.env("SOURCE_DATE_EPOCH", "1700000000").env_remove("PHT_TRUST_DIR");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().expect("the program starts")
    }

    /// The stage from beginning to end: its exit status and what it said.
    pub fn run(&self) -> (Option<i32>, String) {
        end(self.start(&[]))
    }

    /// The digest of an image, which must be whole, or nothing where there is no such place.
    fn whole(&self, reference: &str) -> Result<Option<String>, String> {
        let there = self.place(reference);
        let path = Path::new(there.split(':').nth(1).expect("TRANSPORT:PATH"));
        // A directory without an index is no layout yet.
        if !path.is_file() && !path.join("index.json").exists() {
            return Ok(None);
        }
        let inspected = pht_oci(&["inspect", &there, "--format", "json"], &[]).expect(0)?;
        let copied = self.fixture.train.dir.path().join("copied");
        let _ = fs::remove_dir_all(&copied);
        run("skopeo", &["--insecure-policy", "copy", "-q", &there, &format!("dir:{}", utf8(&copied))])?;
        Ok(Some(inspected.json()["digest"].as_str().expect("a digest").to_owned()))
    }

    /// Whether the new image is there; an error if what is there is neither the new one nor the old one, whole.
    pub fn is_new(&self) -> Result<bool, String> {
        let found = self.whole(self.published())?;
        if self.case.destination.is_some() && self.whole(self.case.source)?.is_none() {
            return Err("the source is gone".to_owned());
        }
        let new = found != self.old;
        if found.is_some() && new == (self.case.stage == "post-run") {
            // It is closed, so that what it holds is signed.
            pht_oci(&["verify", &self.place(self.published()), "--quiet"], &[]).expect(0)?;
        }
        let results = self.dir.join("results");
        if self.case.results && self.case.stage == "pre-run" {
            // They are put there whole, and before the image: a kill in between leaves them, and the next run takes them back.
            let expected = snapshot(&self.fixture.train.dir.path().join("first"));
            match results.exists() {
                true if snapshot(&results) != expected => {
                    return Err("there are results, but not those of the image".to_owned());
                }
                false if new => return Err("the image is open, but its results are not there".to_owned()),
                _ => {}
            }
        }
        Ok(new)
    }

    /// The files that are there, without the names of blobs.
    pub fn shape(&self) -> BTreeMap<String, usize> {
        let mut shape = BTreeMap::new();
        for (path, (_, node)) in snapshot(&self.dir) {
            let blob = path.parent().is_some_and(|parent| parent.ends_with("blobs/sha256"));
            let shown = if blob { path.with_file_name("blob") } else { path };
            let kind = if node == Node::Directory { "/" } else { "" };
            *shape.entry(format!("{}{kind}", shown.display())).or_insert(0) += 1;
        }
        shape
    }

    /// Where a plaintext result lies in what was published, as a file or inside of one.
    pub fn plaintext(&self) -> Vec<String> {
        let place = self.place(self.published());
        let path = Path::new(place.split(':').nth(1).expect("TRANSPORT:PATH"));
        let dir = self.fixture.train.dir.path().join("searched");
        let _ = fs::remove_dir_all(&dir);
        if path.is_dir() {
            copy(path, &dir);
        } else {
            fs::create_dir(&dir).expect("a new directory");
            fs::copy(path, dir.join("archive.tar")).expect("a copy");
            tar::Archive::new(File::open(path).expect("an archive")).unpack(dir.join("unpacked")).expect("it unpacks");
        }
        Layout::new(dir).search(MARKER).iter().map(ToString::to_string).collect()
    }
}

/// Waits for the end of the program.
pub fn end(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().expect("the program ends");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Sends a signal to the program.
pub fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).expect("it was not waited for");
}

/// Waits until the program has written so many bytes, which it does while it reads; whether it has before it ended.
pub fn until_written(child: &Child, bytes: u64) -> bool {
    let (begin, counters) = (Instant::now(), format!("/proc/{}/io", child.id()));
    while begin.elapsed() < Duration::from_secs(60) {
        let text = fs::read_to_string(&counters).unwrap_or_default();
        let written = text.lines().find_map(|line| line.strip_prefix("wchar: ")?.parse().ok());
        if written.unwrap_or(0) >= bytes {
            // One that has ended keeps its counters until it is waited for.
            let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
            return !status.contains("State:\tZ");
        }
    }
    false
}
