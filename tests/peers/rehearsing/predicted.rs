//! Real algorithms on a base of Debian's packages: tried first, then built and run over the route.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use support::tree::{differences, snapshot};
use support::wire3::Wire3Fixture;
use support::{Outcome, Peer, available, pht_oci};

/// An algorithm: its file, who runs it, the stop from 0 at which it fails, and a result with what that has to
/// begin with.
struct Algorithm {
    file: &'static str,
    text: &'static str,
    program: &'static str,
    fails: Option<usize>,
    result: (&'static str, &'static [u8]),
}

const ALGORITHMS: [Algorithm; 5] = [
    Algorithm {
        file: "count.sh",
        text: include_str!("algorithms/count.sh"),
        program: "sh",
        fails: None,
        result: ("count.txt", b"80\n"),
    },
    Algorithm {
        file: "mean.py",
        text: include_str!("algorithms/mean.py"),
        program: "python3",
        fails: None,
        result: ("mean.json", br#"{"patients": 80, "sum": "#),
    },
    Algorithm {
        file: "model.py",
        text: include_str!("algorithms/model.py"),
        program: "python3",
        fails: None,
        result: ("model.pkl", b"\x80\x04"),
    },
    Algorithm {
        file: "summary.R",
        text: include_str!("algorithms/summary.R"),
        program: "Rscript",
        fails: None,
        result: ("summary.csv", b"\"sex\",\"pressure\",\"patients\"\n\"f\","),
    },
    Algorithm {
        file: "weights.py",
        text: include_str!("algorithms/weights.py"),
        program: "python3",
        fails: Some(1),
        result: ("", b""),
    },
];

const STATIONS: [&str; 2] = ["station_1", "station_2"];

/// Forty patients a station; the second one does not know their weight.
fn patients(fixture: &Wire3Fixture) -> [String; 2] {
    STATIONS.map(|station| {
        let (dir, knows_weight) = (fixture.path(&format!("data-{station}")), station == STATIONS[0]);
        let mut table = format!("sex,age,pressure,ill{}\n", if knows_weight { ",weight" } else { "" });
        for number in 0..40 {
            let (age, pressure) = (30 + number * 7 % 50, 100 + number * 13 % 60 + usize::from(knows_weight));
            let (sex, ill) = (if number % 2 == 0 { "f" } else { "m" }, usize::from(age + pressure > 185));
            table += &format!("{sex},{age},{pressure},{ill}");
            table += if knows_weight { ",71.5\n" } else { "\n" };
        }
        fs::create_dir(&dir).expect("a new directory");
        fs::write(format!("{dir}/patients.csv"), table).expect("a new file");
        dir
    })
}

/// The lines of a train in what was shown; those of its two streams come in any order.
fn output(stderr: &str) -> Vec<String> {
    let mut lines: Vec<String> = stderr.lines().filter_map(|line| line.strip_prefix("| ")).map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn what_is_tried_is_what_the_stations_see() {
    if !available("rehearsing::what_is_tried", &[Peer::Algorithms, Peer::Runc]) {
        return;
    }
    let home = std::env::var("PHT_ALGORITHMS_HOME").expect("it is set where the peer is");
    let fixture = Wire3Fixture::prepare();
    let data = patients(&fixture);
    let route: Value = STATIONS
        .iter()
        .map(|station| json!({ "station": station, "public_key_file": fixture.path(&format!("{station}.pub.pem")) }))
        .collect();
    fs::write(fixture.path("route.json"), route.to_string()).expect("a new file");
    let place = Place { base: format!("oci:{home}/base:base"), fixture, data };
    for algorithm in &ALGORITHMS {
        let name = algorithm.file;
        let files = place.at(name, "files");
        fs::create_dir(&files).expect("a new directory");
        fs::write(format!("{files}/{name}"), algorithm.text).expect("a new file");
        let tried = place.try_it(algorithm);
        let said = String::from_utf8_lossy(&tried.stdout).into_owned();
        let (printed, refused) = place.run_it(algorithm);
        assert_eq!(output(&tried.stderr), output(&printed), "{name}");
        assert!(!output(&printed).is_empty(), "{name}");
        let out = place.at(name, "tried");
        assert_eq!(Path::new(&out).exists(), algorithm.fails.is_none(), "{name}");
        if let Some(stop) = algorithm.fails {
            let named = format!("stop {} of 2, station {}: the train failed: exit status 1", stop + 1, STATIONS[stop]);
            assert!(tried.stderr.contains(&named), "{name}: {}", tried.stderr);
            assert!(said.contains("FAILED: exit status 1") && refused.contains("exit status 1"), "{name}: {said}");
            continue;
        }
        let results = place.results(name);
        let (left, right) = (snapshot(Path::new(&out)), snapshot(Path::new(&results)));
        assert_eq!(differences(&left, &right, true), Vec::<String>::new(), "{name}");
        let (file, begin) = algorithm.result;
        let result = fs::read(Path::new(&results).join(file)).expect("a result");
        assert!(result.starts_with(begin), "{name}: {}", String::from_utf8_lossy(&result));
        assert!(said.contains(file) && said.contains("changed"), "{name}: {said}");
    }
}

/// Where all of them are tried and run: the base, everybody's keys, the data of the stations.
struct Place {
    base: String,
    fixture: Wire3Fixture,
    data: [String; 2],
}

impl Place {
    fn at(&self, name: &str, what: &str) -> String {
        self.fixture.path(&format!("{name}-{what}"))
    }

    /// The program, with a cache and a state of its own.
    fn program(&self, line: &[&str]) -> Outcome {
        let (cache, state) = (self.fixture.path("cache"), self.fixture.path("state"));
        pht_oci(line, &[("XDG_CACHE_HOME", &cache), ("XDG_STATE_HOME", &state)])
    }

    /// The rehearsal of an algorithm, which leaves nothing but its results.
    fn try_it(&self, algorithm: &Algorithm) -> Outcome {
        let name = algorithm.file;
        let [files, out, temporary] = ["files", "tried", "temporary"].map(|what| self.at(name, what));
        fs::create_dir(&temporary).expect("a new directory");
        let data = [0, 1].map(|index| format!("{}={}", STATIONS[index], self.data[index]));
        let line = ["try", "--base", &self.base, "--files", &files, "--engine", "runc", "--data", &data[0]];
        let more = ["--data", &data[1], "--out", &out, "--tmpdir", &temporary, "--cmd", algorithm.program];
        let tried = self.program(&[&line[..], &more, &[&format!("/opt/pht_train/{name}")]].concat());
        let tried = tried.expect(if algorithm.fails.is_some() { 8 } else { 0 });
        let tried = tried.unwrap_or_else(|message| panic!("{name}: {message}"));
        assert!(fs::read_dir(&temporary).expect("a directory").next().is_none(), "{name}: something is left");
        assert!(!String::from_utf8_lossy(&tried.stdout).contains("written outside"), "{name}");
        tried
    }

    /// The same over the route, with everybody's own keys: all that was shown, and by the run that failed.
    fn run_it(&self, algorithm: &Algorithm) -> (String, String) {
        let name = algorithm.file;
        let (train, files, route) = (self.at(name, "train"), self.at(name, "files"), self.fixture.path("route.json"));
        let (creator, builder) = (self.fixture.key("creator"), self.fixture.key("builder"));
        let line = ["build", &train, "--base", &self.base, "--files", &files, "--route", &route, "--creator", "alice"];
        let keys = ["--creator-key", &creator, "--builder-key", &builder, "--cmd", algorithm.program];
        self.program(&[&line[..], &keys, &[&format!("/opt/pht_train/{name}")]].concat()).ok();
        let (mut shown, mut refused) = (String::new(), String::new());
        for (index, station) in STATIONS.into_iter().enumerate() {
            let (key, volume) = (self.fixture.key(station), format!("{}:/opt/train_data", self.data[index]));
            let line = ["run", &train, "--engine", "runc", "--private-key", &key, "--volume", &volume];
            let ran = self.program(&[&line[..], &["--env", "TRAIN_DATA_PATH=/opt/train_data"]].concat());
            let fails = algorithm.fails == Some(index);
            let ran = ran.expect(if fails { 8 } else { 0 }).unwrap_or_else(|message| panic!("{name}: {message}"));
            shown += &ran.stderr;
            if fails {
                refused = ran.stderr;
            }
        }
        (shown, refused)
    }

    /// The results of the train that has been everywhere.
    fn results(&self, name: &str) -> String {
        let (train, out, key) = (self.at(name, "train"), self.at(name, "out"), self.fixture.key("creator"));
        self.program(&["results", &train, "--private-key", &key, "--out", &out]).ok();
        out
    }
}
