//! A train, the only thing in a layout, and an engine to run it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::tree::MARKER;
use support::{Implementation, Layout, Outcome, Train, TrainSpec, Wire, pht_oci, utf8};

/// Stands in the train's own files.
pub const TRAIN_MARKER: &str = "TRAIN-PLAINTEXT-MARKER";

/// Shows what it can see and do, leaves a result, and ends as it is told to.
pub const ENTRYPOINT: &str = "#!/bin/sh
# TRAIN-PLAINTEXT-MARKER
cat /proc/net/dev
echo \"given $GIVEN, taken $TAKEN, secret <$PRIVATE_KEY_PASSWORD>\"
touch /data/new && echo 'the volume can be written'
cat /data/patients >> /opt/pht_results/seen
echo 'RESULT-PLAINTEXT-MARKER' >> /opt/pht_results/result.txt
echo changed >> /opt/pht_train/entrypoint.sh
echo 'said on standard error' >&2
[ -z \"$WAIT\" ] || sleep \"$WAIT\"
exit \"${STATUS:-0}\"
";

/// A train of two stations at its first, the only thing in a layout, and an engine to run it.
pub struct RunFixture {
    pub train: Train,
    pub layout: Layout,
    pub engine: &'static str,
    pub variables: Vec<(&'static str, String)>,
}

impl RunFixture {
    pub fn new(engine: &'static str, wire: Wire) -> Self {
        Self::with(engine, wire, ENTRYPOINT, &json!({}))
    }

    /// With another program, on a base whose config says this besides of how it runs.
    pub fn with(engine: &'static str, wire: Wire, entrypoint: &str, config: &Value) -> Self {
        let entrypoint = entrypoint.to_owned();
        Self::of(engine, wire, config, TrainSpec { entrypoint, ..TrainSpec::default() })
    }

    /// With another program and another query.
    pub fn asking(engine: &'static str, entrypoint: &str, asks: &'static str) -> Self {
        let entrypoint = entrypoint.to_owned();
        Self::of(engine, Wire::V3, &json!({}), TrainSpec { entrypoint, asks, ..TrainSpec::default() })
    }

    fn of(engine: &'static str, wire: Wire, config: &Value, spec: TrainSpec) -> Self {
        let stations = vec![json!("station_1"), json!("station_2")];
        let of_base = tempfile::tempdir().expect("a temporary directory");
        let base = Layout::new(of_base.path().join("base"));
        base.make_base("plain", true);
        base.merge_config("plain", "base", config);
        let spec = TrainSpec { stations, indexes: vec![0, 1], base: Some(base), ..spec };
        let train = Train::build(Implementation::Ours, wire, &spec).unwrap_or_else(|message| panic!("{message}"));
        let place = train.dir.path().join("place");
        let (data, engines) = (train.dir.path().join("data"), train.dir.path().join("engine"));
        [&place, &data, &engines].into_iter().for_each(|dir| fs::create_dir(dir).expect("a new directory"));
        fs::write(data.join("patients"), "a patient\n").expect("a new file");
        let layout = train.layout.only("0", place.join("train"));
        let mut variables = support::containers::configure(&engines).to_vec();
        for name in ["XDG_CACHE_HOME", "XDG_STATE_HOME"] {
            variables.push((name, utf8(&train.dir.path().join(name)).to_owned()));
        }
        RunFixture { train, layout, engine, variables }
    }

    pub fn place(&self) -> &Path {
        self.layout.dir.parent().expect("in a directory")
    }

    pub fn log(&self) -> PathBuf {
        self.place().join("train.run.log")
    }

    pub fn line(&self, stop: usize, more: &[&str]) -> Vec<String> {
        let key = self.train.key(&self.train.station_id(stop));
        let line = ["run", self.layout.path(), "--engine", self.engine, "--private-key", &key];
        [&line[..], more].concat().into_iter().map(str::to_owned).collect()
    }

    pub fn run(&self, stop: usize, more: &[&str]) -> Outcome {
        let variables: Vec<(&str, &str)> = self.variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        pht_oci(&self.line(stop, more), &[&variables[..], &[("TAKEN", "from here")]].concat())
    }

    /// Started and not waited for but until the train says something.
    pub fn start(&self, wait: &str) -> Child {
        let mut command = Command::new(support::program());
        command.args(self.line(0, &["--env", &format!("WAIT={wait}")])).envs(self.variables.clone());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let _ = fs::remove_file(self.log());
        let child = command.spawn().expect("the program starts");
        let begin = Instant::now();
        while !fs::read_to_string(self.log()).is_ok_and(|text| text.contains("said on standard error")) {
            assert!(begin.elapsed() < Duration::from_secs(60), "{}: the train does not begin", self.engine);
            std::thread::sleep(Duration::from_millis(20));
        }
        child
    }

    /// Another command of the program, with what a run has in its environment.
    pub fn command(&self, line: &[&str]) -> Outcome {
        let variables: Vec<(&str, &str)> = self.variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        pht_oci(line, &variables)
    }

    /// What the creator gets to see of the results.
    pub fn result(&self, name: &str) -> String {
        let out = tempfile::tempdir().expect("a temporary directory");
        let (key, to) = (self.train.key("user"), out.path().join("out"));
        pht_oci(&["results", self.layout.path(), "--private-key", &key, "--out", utf8(&to)], &[]).ok();
        fs::read_to_string(to.join(name)).expect("a result")
    }

    /// What the engine still has of a run.
    pub fn with_engine(&self) -> String {
        let ask = |arguments: &[&str]| {
            let output = Command::new(self.engine).args(arguments).envs(self.variables.clone()).output();
            let output = output.expect("the engine starts");
            assert!(output.status.success(), "{}: {}", self.engine, String::from_utf8_lossy(&output.stderr));
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        if matches!(self.engine, "runc" | "charliecloud") {
            return String::new();
        }
        let name = self.own_name();
        let all = ask(&["images", "--format", "{{.Repository}}"]) + &ask(&["ps", "-a", "--format", "{{.Names}}"]);
        all.lines().filter(|line| line.contains(&name)).collect()
    }

    /// The name of the work directory, container and image.
    pub fn own_name(&self) -> String {
        let path = self.layout.dir.canonicalize().expect("a layout");
        let digest = support::tree::sha256(format!("{}:", path.display()).as_bytes());
        format!("pht-oci-run-{}", &digest[..16])
    }

    /// Nothing but the layout and the log lies there, and the engine has nothing.
    pub fn check_nothing_left(&self) {
        self.check_places();
        assert_eq!(self.with_engine(), "", "{}", self.engine);
    }

    /// The same without what the engine has.
    pub fn check_places(&self) {
        let mut names: Vec<String> = fs::read_dir(self.place())
            .expect("a directory")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        assert_eq!(names, ["train", "train.run.log"], "{}", self.engine);
        for marker in [MARKER, TRAIN_MARKER] {
            assert!(self.layout.search(marker).is_empty(), "{}: {marker} in the layout", self.engine);
        }
    }
}
