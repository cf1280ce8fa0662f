//! Real algorithms on a base of Debian's packages: tried first, then built and run over the route.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use support::tree::{differences, snapshot};
use support::wire3::Wire3Fixture;
use support::{Peer, available, pht_oci};

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
    let base = format!("oci:{home}/base:base");
    let fixture = Wire3Fixture::prepare();
    let (data, cache, state) = (patients(&fixture), fixture.path("cache"), fixture.path("state"));
    let variables = [("XDG_CACHE_HOME", cache.as_str()), ("XDG_STATE_HOME", &state)];
    let route: Value = STATIONS
        .iter()
        .map(|station| json!({ "station": station, "public_key_file": fixture.path(&format!("{station}.pub.pem")) }))
        .collect();
    fs::write(fixture.path("route.json"), route.to_string()).expect("a new file");
    for algorithm in &ALGORITHMS {
        let name = algorithm.file;
        let at = |what: &str| fixture.path(&format!("{name}-{what}"));
        let files = at("files");
        fs::create_dir(&files).expect("a new directory");
        fs::write(format!("{files}/{name}"), algorithm.text).expect("a new file");
        let command = ["--cmd", algorithm.program, &format!("/opt/pht_train/{name}")].map(str::to_owned);

        let (tried, temporary) = (at("tried"), at("temporary"));
        fs::create_dir(&temporary).expect("a new directory");
        let mut line: Vec<String> =
            ["try", "--base", &base, "--files", &files, "--engine", "runc"].into_iter().map(str::to_owned).collect();
        for (station, data) in STATIONS.iter().zip(&data) {
            line.extend(["--data".to_owned(), format!("{station}={data}")]);
        }
        line.extend(["--out", &tried, "--tmpdir", &temporary].map(str::to_owned));
        let status = if algorithm.fails.is_some() { 8 } else { 0 };
        let rehearsal = pht_oci(&[&line[..], &command].concat(), &variables);
        let rehearsal = rehearsal.expect(status).unwrap_or_else(|message| panic!("{name}: {message}"));
        let said = String::from_utf8_lossy(&rehearsal.stdout).into_owned();
        assert!(fs::read_dir(&temporary).expect("a directory").next().is_none(), "{name}: something is left");
        assert!(!said.contains("written outside"), "{name}: {said}");

        // The same over the route, with everybody's own keys.
        let train = format!("oci:{}:latest", at("train"));
        let (creator, builder) = (fixture.key("creator"), fixture.key("builder"));
        let build = ["build", &train, "--base", &base, "--files", &files, "--route", &fixture.path("route.json")];
        let keys = ["--creator", "alice", "--creator-key", &creator, "--builder-key", &builder];
        let build: Vec<String> = [&build[..], &keys].concat().into_iter().map(str::to_owned).collect();
        pht_oci(&[&build[..], &command].concat(), &[]).ok();
        let mut printed = String::new();
        for (index, (station, data)) in STATIONS.iter().zip(&data).enumerate() {
            let (key, volume) = (fixture.key(station), format!("{data}:/opt/train_data"));
            let run = ["run", &train, "--engine", "runc", "--private-key", &key, "--volume", &volume];
            let ran = pht_oci(&[&run[..], &["--env", "TRAIN_DATA_PATH=/opt/train_data"]].concat(), &variables);
            let fails = algorithm.fails == Some(index);
            let ran = ran.expect(if fails { 8 } else { 0 }).unwrap_or_else(|message| panic!("{name}: {message}"));
            printed += &ran.stderr;
            if fails {
                let place = format!("stop {} of 2, station {station}: the train failed: exit status 1", index + 1);
                assert!(rehearsal.stderr.contains(&place), "{name}: {}", rehearsal.stderr);
                assert!(said.contains("FAILED: exit status 1"), "{name}: {said}");
            }
        }
        let printed = output(&printed);
        assert_eq!(output(&rehearsal.stderr), printed, "{name}");
        assert!(!printed.is_empty(), "{name}");
        assert_eq!(Path::new(&tried).exists(), algorithm.fails.is_none(), "{name}");
        if algorithm.fails.is_some() {
            continue;
        }
        let out = at("out");
        pht_oci(&["results", &train, "--private-key", &creator, "--out", &out], &[]).ok();
        let (left, right) = (snapshot(Path::new(&tried)), snapshot(Path::new(&out)));
        assert_eq!(differences(&left, &right, true), Vec::<String>::new(), "{name}");
        let (file, begin) = algorithm.result;
        let result = fs::read(Path::new(&out).join(file)).expect("a result");
        assert!(result.starts_with(begin), "{name}: {}", String::from_utf8_lossy(&result));
        assert!(said.contains(file) && said.contains("changed"), "{name}: {said}");
    }
}
