//! A journey over three stations, each with settings, a reviewer and a journal of its own; and a fourth person who has the
//! train and the journals, and neither a key nor a network.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use support::peers::securesystemslib;
use support::{Outcome, Peer, available, pht_oci, program};

use super::Stations;

const NAMES: [&str; 3] = ["a", "b", "c"];

/// A train whose results wait for a person.
struct Held {
    image: String,
    results: String,
}

impl Stations {
    /// Runs the train at a station until its results are held.
    fn hold(&self, station: &str, options: &[&str]) -> Held {
        let stderr = self.daily("run", station, options).refused(7).stderr;
        let error: Value = serde_json::from_str(stderr.lines().last().expect("an error")).expect("JSON");
        let kept = |member: &str| error["error"]["kept"][member].as_str().expect("a place").to_owned();
        Held { image: kept("image"), results: kept("results") }
    }

    /// A command on what is held.
    fn on(&self, held: &Held, command: &str, station: &str, options: &[&str]) -> Outcome {
        let (config, results) = (self.path(&format!("{station}.toml")), ["--results", &held.results]);
        let images = if command == "release" { vec![&*held.image, &*self.archive] } else { vec![&*held.image] };
        let line = [&[command][..], &images, &results, options, &["--format", "json"]].concat();
        pht_oci(&line, &[("PHT_CONFIG", &config)])
    }

    /// Review, approval and release of what is held.
    fn release(&self, held: &Held, station: &str) {
        let approval = self.path(&format!("{station}.approval.json"));
        let before = ["--before", &self.archive];
        let review = self.on(held, "review", station, &before).json();
        assert_eq!(review["files"][0]["path"], "count.txt", "{review}");
        let state = if station == "a" { "new" } else { "changed" };
        assert_eq!((&review["verdict"], &review["files"][0]["state"]), (&json!("look"), &json!(state)), "{review}");
        let reviewer = self.path("anna.pem");
        let comment = format!("seen at {station}");
        let options = ["--reviewer-key", &reviewer, "--out", &approval, "--comment", &comment];
        self.on(held, "approve", station, &options).ok();
        let receipt = self.path(&format!("{station}.receipt.json"));
        self.on(held, "release", station, &["--approval", &approval, "--receipt", &receipt]).ok();
        // What is left of the run is erased; nothing of that is a rejection.
        let erased = self.on(held, "reject", station, &[]).ok().json();
        assert!(erased["notes"].to_string().contains("closed by release"), "{erased}");
    }
}

/// Three stations have run the train; at the second the first run is rejected.
fn travelled() -> Stations {
    let stations = Stations::new(&NAMES, true);
    pht_oci(&["keygen", &stations.path("anna"), "--bits", "2048"], &[]).ok();
    fs::create_dir(stations.path("trust/reviewers")).expect("a directory");
    fs::copy(stations.path("anna.pub.pem"), stations.path("trust/reviewers/anna.pub.pem")).expect("a key");
    for name in NAMES {
        let count = if name == "a" { 30 } else { 50 };
        fs::write(stations.path("data/patients"), "line\n".repeat(count)).expect("a file");
        if name == "b" {
            let held = stations.hold(name, &[]);
            stations.on(&held, "reject", name, &["--reason", "the wrong ward was mounted"]).ok();
        }
        let held = stations.hold(name, &[]);
        stations.release(&held, name);
    }
    stations
}

/// What the auditor is told, in a place with nothing but the train, the journals and two public keys.
struct Auditor {
    dir: tempfile::TempDir,
}

impl Auditor {
    fn new(stations: &Stations) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let give = |from: &str, to: &str| {
            let to = dir.path().join(to);
            fs::create_dir_all(to.parent().expect("a directory")).expect("a directory");
            fs::copy(stations.path(from), to).expect("a file");
        };
        give("train.tar", "train.tar");
        give("trust/creators/test-user-id.pub.pem", "trust/creators/test-user-id.pub.pem");
        give("trust/reviewers/anna.pub.pem", "trust/reviewers/anna.pub.pem");
        for name in NAMES {
            give(&format!("{name}.jsonl"), &format!("{name}.jsonl"));
            give(&format!("{name}.jsonl.head"), &format!("{name}.jsonl.head"));
        }
        Self { dir }
    }

    /// The report, with its status; any use of a network would be an error, and is one of a namespace that has none.
    fn report(&self) -> (Value, Option<i32>) {
        let mut command = Command::new("unshare");
        command.args([
            "--map-root-user",
            "--net",
            "--",
            program(),
            "report",
            "train.tar",
            "--trust",
            "trust",
            "--offline",
        ]);
        command.args(["--format", "json", "--html", "report.html"]);
        for name in NAMES {
            command.args(["--journal", &format!("{name}.jsonl")]);
        }
        let output =
            command.current_dir(self.dir.path()).env_remove("PHT_CONFIG").output().expect("the program starts");
        let report = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
        (report, output.status.code())
    }
}

#[test]
fn a_fourth_person_rebuilds_the_journey_of_three_stations() {
    if !available("journal::journey::a_fourth_person_rebuilds_the_journey", &[Peer::Runc, Peer::Namespaces]) {
        return;
    }
    let stations = travelled();
    let auditor = Auditor::new(&stations);
    let (report, status) = auditor.report();
    assert_eq!(status, Some(0), "{}", report["findings"]);
    assert_eq!((&report["verdict"], &report["findings"]), (&json!("sound"), &json!([])));
    assert_eq!(report["state"], "complete");
    let acts = |at: usize| -> Vec<String> {
        let acts = report["stops"][at]["acts"].as_array().expect("acts").iter();
        acts.map(|act| format!("{} {}", act["act"].as_str().unwrap(), act["outcome"].as_str().unwrap())).collect()
    };
    assert_eq!(acts(0), ["run held", "release done"]);
    assert_eq!(acts(1), ["run held", "reject done", "run held", "release done"]);
    assert_eq!(acts(2), ["run held", "release done"]);
    let anna = &pht_oci(&["fingerprint", &stations.path("anna.pub.pem"), "--format", "json"], &[]).json()["keys"][0];
    let mut sent = None::<Value>;
    for (at, (name, total)) in NAMES.into_iter().zip(["30", "30\n50", "30\n50\n50"]).enumerate() {
        let stop = &report["stops"][at];
        assert_eq!((&stop["station"], &stop["signature"]), (&json!(name), &json!("sound")));
        let (ran, released) = (&stop["acts"][0], stop["acts"].as_array().and_then(|acts| acts.last()).expect("acts"));
        assert_eq!((&ran["engine"]["name"], &ran["engine"]["volumes"][0]["path"]), (&json!("runc"), &json!("/data")));
        assert_eq!((&ran["command"], &ran["base"]), (&report["runs"]["command"], &report["runs"]["base"]["chain_id"]));
        assert_eq!(ran["creator_pinned"], true);
        let approval = &released["approvals"][0];
        assert_eq!((&approval["name"], &approval["reviewer"]), (&json!("anna"), &anna["fingerprint"]));
        assert_eq!(approval["comment"], format!("seen at {name}"));
        assert_eq!(released["time"], stop["signed_at"]);
        // What one station has sent is what the next one got.
        sent.iter().for_each(|sent| assert_eq!(*sent, ran["before"]));
        sent = Some(released["after"].clone());
        let results = &stop["results"];
        let size = json!(total.len() + 1);
        assert_eq!((&results["size"], &results["added"]), (&size, &size), "the file has changed as a whole");
        assert_eq!(released["version"], format!("pht-oci {}", env!("CARGO_PKG_VERSION")));
    }
    assert_eq!(sent, Some(report["digest"].clone()));
    assert_eq!(report["stops"][1]["acts"][1]["reason"], "the wrong ward was mounted");
    let page = fs::read_to_string(auditor.dir.path().join("report.html")).expect("a page");
    for what in ["the wrong ward was mounted", "seen at c", "released the approved results"] {
        assert!(page.contains(what), "{what}");
    }

    let Some(python) = securesystemslib("journal::journey::a_fourth_person_rebuilds_the_journey") else { return };
    every_change_is_found(&stations, &auditor, &python);
}

/// By a program that is not ours, and by `report`.
fn every_change_is_found(stations: &Stations, auditor: &Auditor, python: &str) {
    let path = stations.path("b.jsonl");
    let (text, receipt) = (fs::read_to_string(&path).expect("a journal"), stations.path("b.receipt.json"));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(stations.verified_by_others(python, "b", &[&receipt]).unwrap(), "4");
    let changed = |at: usize, from: &str, to: &str| {
        let mut lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        lines[at] = lines[at].replacen(from, to, 1);
        assert_ne!(lines[at], *text.lines().nth(at).expect("a line"));
        lines
    };
    let picked = |picked: &[usize]| -> Vec<String> { picked.iter().map(|at| lines[*at].to_owned()).collect() };
    for (what, lines) in [
        ("the first is gone", picked(&[1, 2, 3])),
        ("one within is gone", picked(&[0, 2, 3])),
        ("the last is gone", picked(&[0, 1, 2])),
        ("all are gone", picked(&[])),
        ("two have changed places", picked(&[0, 2, 1, 3])),
        ("one is there twice", picked(&[0, 1, 1, 2, 3])),
        ("a statement was changed", changed(1, "\"payload\":\"ey", "\"payload\":\"fy")),
        ("a signature was changed", changed(2, "\"sig\":\"", "\"sig\":\"AAAA")),
        ("the type was changed", changed(0, "vnd.in-toto+json", "vnd.in-toto+text")),
    ] {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        fs::write(&path, &text).expect("a journal");
        stations.verified_by_others(python, "b", &[&receipt]).expect_err(what);
        fs::write(auditor.dir.path().join("b.jsonl"), &text).expect("a journal");
        let (report, status) = auditor.report();
        assert_eq!(status, Some(3), "{what}");
        assert_eq!(
            (&report["findings"][0]["id"], &report["stops"][1]["acts"]),
            (&json!("journal"), &json!([])),
            "{what}"
        );
        // The other journals still tell of their stops.
        assert_eq!(report["stops"][2]["acts"].as_array().map(Vec::len), Some(2), "{what}");
    }
}

#[test]
fn a_run_that_was_made_again_can_be_rejected() {
    if !available("journal::journey::a_run_that_was_made_again_can_be_rejected", &[Peer::Runc]) {
        return;
    }
    let stations = Stations::new(&["a", "b"], false);
    let as_it_came = fs::read(&stations.archive).expect("an archive");
    stations.daily("run", "a", &[]).ok();
    fs::write(&stations.archive, as_it_came).expect("an archive");
    let held = stations.hold("a", &["--hold", "--again"]);
    stations.on(&held, "reject", "a", &["--reason", "once is enough"]).ok();
    let journal = stations.path("a.jsonl");
    let shown = pht_oci(&["journal", "show", "--journal", &journal, "--format", "json"], &[]).ok().json();
    let outcomes = shown["entries"].as_array().expect("lines").iter();
    let outcomes: Vec<Value> =
        outcomes.map(|line| json!([line["predicate"]["act"], line["predicate"]["outcome"]])).collect();
    assert_eq!(json!(outcomes), json!([["run", "done"], ["run", "held"], ["reject", "done"]]), "{shown}");
}
