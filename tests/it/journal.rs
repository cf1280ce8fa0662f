//! The station's record of what it did, through the program.

use std::fs;
use std::path::Path;

use base64_of::decode;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};
use support::tree::{copy, differences, snapshot};
use support::{Edit, Layout, Outcome, Peer, available, pht_oci, utf8};

/// A train of wire 3 after its second station, at the third, which keeps a journal.
pub struct Station {
    pub dir: tempfile::TempDir,
    pub layout: Layout,
}

impl Station {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/wire-3"), dir.path());
        Self { layout: Layout::new(dir.path().join("layout")), dir }
    }

    pub fn path(&self, name: &str) -> String {
        utf8(&self.dir.path().join(name)).to_owned()
    }

    pub fn stage(&self, stage: &str, from: &str, to: &str, options: &[&str]) -> Outcome {
        let (from, to) = (self.layout.at(from), self.layout.at(to));
        let (key, journal) = (self.path("keys/station_3.pem"), self.path("journal"));
        let line = [stage, &from, &to, "--private-key", &key, "--journal", &journal, "--format", "json"];
        pht_oci(&[&line[..], options].concat(), &[])
    }

    /// What the lines say, signatures and all else aside.
    pub fn predicates(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("journal")).unwrap_or_default();
        text.lines().map(|line| statement(line)["predicate"].clone()).collect()
    }

    pub fn verify(&self, options: &[&str]) -> Outcome {
        let (journal, key) = (self.path("journal"), self.path("keys/station_3.pub.pem"));
        let line = ["journal", "verify", "--journal", &journal, "--key", &key, "--format", "json"];
        pht_oci(&[&line[..], options].concat(), &[])
    }

    /// Pre-run and a run that leaves a result; the tag of the opened image.
    pub fn open(&self) -> &'static str {
        self.stage("pre-run", "2", "opened", &[]).ok();
        self.layout.append("opened", "ran", &[Edit::Put("opt/pht_results/new.txt", b"new results\n".to_vec())]);
        "ran"
    }
}

fn statement(line: &str) -> Value {
    let envelope: Value = serde_json::from_str(line).expect("an envelope");
    assert_eq!(envelope["payloadType"], "application/vnd.in-toto+json");
    serde_json::from_slice(&decode(envelope["payload"].as_str().expect("a payload"))).expect("a statement")
}

/// Base64, for a test that is to trust nothing of the program.
mod base64_of {
    pub fn decode(text: &str) -> Vec<u8> {
        const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let value = |byte: u8| DIGITS.iter().position(|digit| *digit == byte).expect("a digit") as u32;
        let mut bytes = Vec::new();
        for chunk in text.trim_end_matches('=').as_bytes().chunks(4) {
            let bits = chunk.iter().fold(0, |bits, byte| bits << 6 | value(*byte)) << (6 * (4 - chunk.len()));
            bytes.extend_from_slice(&bits.to_be_bytes()[1..chunk.len()]);
        }
        bytes
    }
}

#[test]
fn every_act_is_recorded_with_what_it_did() {
    if !available("journal::every_act_is_recorded_with_what_it_did", &[Peer::Python]) {
        return;
    }
    let station = Station::new();
    let ran = station.open();
    let receipt = station.path("receipt.json");
    let report = station.stage("post-run", ran, "3-new", &["--receipt", &receipt]).ok().json();
    let entries = station.predicates();
    assert_eq!(entries.iter().map(|entry| &entry["act"]).collect::<Vec<_>>(), ["pre-run", "post-run"]);
    let [opened, closed] = &entries[..] else { panic!("two entries") };
    assert_eq!((&opened["sequence"], &closed["sequence"]), (&json!(1), &json!(2)));
    assert_eq!(opened["previous"], Value::Null);
    assert_eq!(closed["before"], report["digest"]["before"]);
    assert_eq!(closed["after"], report["digest"]["after"]);
    assert_eq!(closed["stop"], json!({ "index": 2, "of": 3 }));
    assert_eq!(closed["train"]["creator"]["id"], "alice");
    assert_eq!(closed["train"]["creator"]["pinned"], false);
    assert_eq!(opened["train"]["hash"], closed["train"]["hash"]);
    assert!(closed["checks"].as_array().expect("a list").len() > 10);
    let results = closed["results"].as_array().expect("a list");
    let new = results.iter().find(|file| file["path"] == "new.txt").expect("the new result");
    assert_eq!(new["size"], 12);
    assert_eq!(new["sha256"], "65dd794265f37b0818dd0d431f3e5824fe7b1bfccfb09149b492fc4fa1c0a137");
    let text = fs::read_to_string(station.path("journal")).expect("a journal");
    assert_eq!(
        fs::read_to_string(&receipt).expect("a receipt"),
        text.lines().last().expect("a line").to_owned() + "\n"
    );
    let subject = &statement(text.lines().last().expect("a line"))["subject"][0];
    assert_eq!(format!("sha256:{}", subject["digest"]["sha256"].as_str().expect("a digest")), closed["after"]);
    assert!(!text.contains("TRAIN-PLAINTEXT-MARKER"));

    assert_eq!(station.verify(&["--receipt", &receipt]).ok().json()["lines"], 2);
    let shown =
        pht_oci(&["journal", "show", "--journal", &station.path("journal"), "--format", "json"], &[]).ok().json();
    assert_eq!(shown["entries"][1]["predicate"], *closed);
    let shown = pht_oci(&["journal", "show", "--journal", &station.path("journal")], &[]).ok().stdout;
    assert!(String::from_utf8(shown).expect("text").contains("post-run"));
    // Not another's, and not one that was changed.
    let (journal, other) = (station.path("journal"), station.path("keys/station_2.pub.pem"));
    pht_oci(&["journal", "verify", "--journal", &journal, "--key", &other], &[]).refused(3);
    fs::write(&receipt, text.lines().next().expect("a line").replace("payload", "Payload")).expect("a file");
    station.verify(&["--receipt", &receipt]).refused(3);
}

#[test]
fn a_closed_stop_is_not_closed_again_as_something_else() {
    if !available("journal::a_closed_stop_is_not_closed_again_as_something_else", &[Peer::Python]) {
        return;
    }
    let station = Station::new();
    let ran = station.open();
    station.stage("post-run", ran, "3-new", &[]).ok();
    let digest = station.layout.image("3-new");
    let before = snapshot(station.dir.path());
    // Other results under the same stop, and the same ones elsewhere.
    station.layout.append("opened", "other", &[Edit::Put("opt/pht_results/new.txt", b"other\n".to_vec())]);
    let message = station.stage("post-run", "other", "3-other", &[]).refused(3).stderr;
    assert!(message.contains("already") && message.contains("--again"), "{message}");
    station.stage("post-run", ran, "3-elsewhere", &[]).refused(3);
    // An older state of the train is handed in again.
    let message = station.stage("pre-run", "2", "opened-again", &[]).refused(3).stderr;
    assert!(message.contains("older state"), "{message}");
    assert_eq!(station.predicates().len(), 2);
    let _ = before;
    // Whoever means it can.
    station.stage("pre-run", "2", "opened-again", &["--again"]).ok();
    station.stage("post-run", "other", "3-other", &["--again"]).ok();
    let entries = station.predicates();
    assert_eq!(entries.len(), 4);
    assert_eq!((&entries[1]["again"], &entries[3]["again"]), (&json!(false), &json!(true)));
    assert_eq!(station.layout.image("3-new"), digest);
    station.verify(&[]).ok();
}

/// Two processes of the station do not both close a stop, wherever they put it.
#[test]
fn a_stop_is_closed_once_by_whoever_comes_first() {
    if !available("journal::a_stop_is_closed_once_by_whoever_comes_first", &[Peer::Python]) {
        return;
    }
    let station = Station::new();
    let ran = station.open();
    let tags = ["3-first", "3-second", "3-third", "3-fourth"];
    let statuses: Vec<Option<i32>> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            tags.iter().map(|tag| scope.spawn(|| station.stage("post-run", ran, tag, &[]).status)).collect();
        threads.into_iter().map(|thread| thread.join().expect("an outcome")).collect()
    });
    let ended = |with: i32| statuses.iter().filter(|status| **status == Some(with)).count();
    assert_eq!((ended(0), ended(3)), (1, 3), "{statuses:?}");
    assert_eq!(station.predicates().len(), 2);
    assert_eq!(tags.iter().filter(|tag| station.layout.tags().contains(&json!(tag))).count(), 1);
    station.verify(&[]).ok();
    let left = fs::read_dir(station.dir.path()).expect("a directory");
    assert_eq!(left.flatten().filter(|entry| entry.path().extension().is_some_and(|end| end == "lock")).count(), 0);
}

/// The answer was lost, and the scheduler asks once more.
#[test]
fn a_repeated_command_whose_work_is_done_says_so() {
    if !available("journal::a_repeated_command_whose_work_is_done_says_so", &[Peer::Python]) {
        return;
    }
    let station = Station::new();
    let ran = station.open();
    let first = station.stage("post-run", ran, "3-new", &[]).ok().json();
    let before = snapshot(station.dir.path());
    let again = station.stage("post-run", ran, "3-new", &[]).ok().json();
    assert_eq!(again["digest"]["after"], first["digest"]["after"]);
    let notes = again["notes"].to_string();
    assert!(notes.contains("already done"), "{notes}");
    assert_eq!(differences(&before, &snapshot(station.dir.path()), true), Vec::<String>::new());
    // The receipt, too, can be had again, as often as one likes.
    let other = tempfile::tempdir().expect("a temporary directory");
    let receipt = utf8(&other.path().join("receipt")).to_owned();
    for _ in 0..2 {
        station.stage("post-run", ran, "3-new", &["--receipt", &receipt]).ok();
        station.verify(&["--receipt", &receipt]).ok();
    }
    station.stage("post-run", ran, "3-new", &["--receipt", &station.path("journal")]).refused(2);
    // Other results are not done because those were.
    station.layout.append(ran, "other", &[Edit::Put("opt/pht_results/new.txt", b"others\n".to_vec())]);
    let refused = station.stage("post-run", "other", "3-new", &[]).refused(3);
    assert!(refused.stderr.contains("has closed this stop of the train already"), "{}", refused.stderr);
    assert_eq!(station.predicates().len(), 2);
    // Pre-run of an open stop may be repeated as often as one likes.
    let fresh = Station::new();
    fresh.stage("pre-run", "2", "a", &[]).ok();
    fresh.stage("pre-run", "2", "b", &[]).ok();
    assert_eq!(fresh.predicates().len(), 2);
}

/// What was erased is known afterwards.
#[test]
fn rejected_results_are_listed() {
    let station = Station::new();
    let results = station.path("results");
    station.stage("pre-run", "2", "opened", &["--results", &results]).ok();
    fs::write(station.path("results/patients.csv"), "P-100001\n").expect("a new file");
    let (key, journal, opened) =
        (station.path("keys/station_3.pem"), station.path("journal"), station.layout.at("opened"));
    let line = ["reject", &opened, "--results", &results, "--private-key", &key, "--journal", &journal];
    pht_oci(&line, &[]).ok();
    let entry = station.predicates().pop().expect("an entry");
    let files = entry["results"].as_array().expect("results");
    assert!(files.iter().any(|file| file["path"] == "patients.csv" && file["size"] == 9), "{entry}");
    assert_eq!(entry["train"]["creator"]["pinned"], Value::Null);
    assert!(!Path::new(&results).exists());
    // Of a journal that does not hold, the line is named that was changed.
    let lines = fs::read_to_string(&journal).expect("a journal");
    let changed: Vec<String> = lines
        .lines()
        .enumerate()
        .map(|(at, line)| if at == 0 { line.replacen("\"sig\":\"", "\"sig\":\"AAAA", 1) } else { line.to_owned() })
        .collect();
    fs::write(&journal, changed.join("\n") + "\n").expect("a journal");
    let said = station.verify(&[]).refused(3).stderr;
    assert!(said.contains("line 1: the signature is of none of the given keys"), "{said}");
}

/// The same where the results are in a directory beside the image.
#[test]
fn other_results_in_a_directory_are_not_done_already() {
    let station = Station::new();
    let results = station.path("results");
    station.stage("pre-run", "2", "opened", &["--results", &results]).ok();
    let close = || station.stage("post-run", "opened", "3-new", &["--results", &results]);
    fs::write(station.path("results/new.txt"), "new\n").expect("a new file");
    close().ok();
    assert!(close().ok().json()["notes"].to_string().contains("already done"));
    fs::write(station.path("results/new.txt"), "NEW\n").expect("a new file");
    close().refused(3);
    fs::remove_file(station.path("results/new.txt")).expect("a file");
    close().refused(3);
    fs::write(station.path("results/new.txt"), "new\n").expect("a new file");
    close().ok();
}

/// In place, the closed train stands where the open one was.
#[test]
fn a_repeated_command_in_place_says_so_too() {
    if !available("journal::a_repeated_command_in_place_says_so_too", &[Peer::Python]) {
        return;
    }
    let station = Station::new();
    let alone = station.layout.only("2", station.dir.path().join("alone"));
    let (image, key, journal) = (alone.at("2"), station.path("keys/station_3.pem"), station.path("journal"));
    let stage = |stage: &str| pht_oci(&[stage, &image, "--private-key", &key, "--journal", &journal], &[]);
    stage("pre-run").ok();
    alone.append("2", "2", &[Edit::Put("opt/pht_results/new.txt", b"new\n".to_vec())]);
    stage("post-run").ok();
    let done = stage("post-run").ok().stdout;
    assert!(String::from_utf8(done).expect("text").contains("already done"));
    stage("pre-run").refused(3);
    assert_eq!(station.predicates().len(), 2);
}

#[test]
fn nothing_is_done_where_it_cannot_be_recorded() {
    let station = Station::new();
    let before = snapshot(Path::new(station.layout.path()));
    let (from, to, key) = (station.layout.at("2"), station.layout.at("opened"), station.path("keys/station_3.pem"));
    let line = ["pre-run", &from, &to, "--private-key", &key];
    let journal = station.path("none/journal");
    pht_oci(&[&line[..], &["--journal", &journal]].concat(), &[]).refused(1);
    pht_oci(&[&line[..], &["--receipt", &station.path("receipt")]].concat(), &[]).refused(2);
    fs::write(station.path("journal"), "{}\n").expect("a file");
    station.stage("pre-run", "2", "opened", &[]).refused(3);
    fs::remove_file(station.path("journal")).expect("a file");
    station.stage("pre-run", "2", "opened", &["--receipt", &key]).refused(2);
    assert_eq!(differences(&before, &snapshot(Path::new(station.layout.path())), true), Vec::<String>::new());
}

/// What is lost is said: a line of which a part was written, and the copy of the last one.
#[test]
fn what_is_missing_is_said() {
    let station = Station::new();
    station.stage("pre-run", "2", "a", &[]).ok();
    let journal = station.path("journal");
    let mut text = fs::read_to_string(&journal).expect("a journal");
    let half = text[..200].to_owned();
    text += &half;
    fs::write(&journal, &text).expect("a file");
    let said = "line 2 is incomplete";
    for outcome in [station.verify(&[]), station.stage("pre-run", "2", "b", &[])] {
        assert!(outcome.stderr.contains(said), "{}", outcome.stderr);
        outcome.ok();
    }
    assert!(!station.verify(&[]).ok().stderr.contains(said));
    assert_eq!(station.predicates().len(), 2);
    assert_eq!(station.verify(&[]).json()["has_end"], true);

    let head = station.path("journal.head");
    fs::rename(&head, station.path("head")).expect("a file");
    let message = station.verify(&[]).refused(3).stderr;
    assert!(message.contains("the copy of the last line is gone") && message.contains("backup"), "{message}");
    fs::rename(station.path("head"), &head).expect("a file");
    let whole = fs::read_to_string(&journal).expect("a journal");
    fs::write(&journal, "").expect("a file");
    let message = station.verify(&[]).refused(3).stderr;
    assert!(message.contains("the last recorded line is missing: 0 lines") && message.contains("backup"), "{message}");
    // Of one line nobody can tell whether it is the last.
    fs::remove_file(&head).expect("a file");
    fs::write(&journal, whole.split_inclusive('\n').next().expect("a line")).expect("a file");
    assert_eq!(station.verify(&[]).ok().json()["has_end"], false);
    let key = station.path("keys/station_3.pub.pem");
    let shown = pht_oci(&["journal", "verify", "--journal", &journal, "--key", &key], &[]).ok().stdout;
    let shown = String::from_utf8(shown).expect("text");
    assert!(shown.contains("journal.head") && shown.contains("missing at the end"), "{shown}");
}

/// Whoever gives the wrong file has not found a forged journal.
#[test]
fn a_file_of_another_kind_is_no_journal() {
    let station = Station::new();
    let key = station.path("keys/station_3.pub.pem");
    for line in [
        &["journal", "verify", "--journal", &key, "--key", &key][..],
        &["journal", "show", "--journal", &key],
        &["report", &station.layout.at("2"), "--journal", &key],
    ] {
        let message = pht_oci(line, &[]).refused(2).stderr;
        assert!(message.contains("not a journal"), "{message}");
    }
    let before = fs::read(&key).expect("a key");
    let (from, to, own) = (station.layout.at("2"), station.layout.at("a"), station.path("keys/station_3.pem"));
    pht_oci(&["pre-run", &from, &to, "--private-key", &own, "--journal", &key], &[]).refused(2);
    assert_eq!(fs::read(&key).expect("a key"), before);
}

/// A train that has the station's signature says itself where it has to go.
#[test]
fn a_train_that_was_signed_here_is_sent_on() {
    let station = Station::new();
    station.stage("pre-run", "2", "opened", &[]).ok();
    station.stage("post-run", "opened", "closed", &[]).ok();
    for again in [&[][..], &["--again"]] {
        let message = station.stage("pre-run", "closed", "x", again).refused(3).stderr;
        assert!(message.contains("has signed") && message.contains("to its creator"), "{message}");
        assert!(!message.contains("older state"), "{message}");
    }
}

/// Why something was done stands in the table, and that nobody has looked at the signatures.
#[test]
fn the_table_shows_reasons() {
    let station = Station::new();
    station.stage("pre-run", "2", "opened", &[]).ok();
    let (key, journal, opened) =
        (station.path("keys/station_3.pem"), station.path("journal"), station.layout.at("opened"));
    let line = ["reject", &opened, "--private-key", &key, "--journal", &journal, "--reason", "rows of single patients"];
    pht_oci(&line, &[]).ok();
    let shown = pht_oci(&["journal", "show", "--journal", &journal], &[]).ok().stdout;
    let shown = String::from_utf8(shown).expect("text");
    assert!(shown.contains("because: rows of single patients"), "{shown}");
    assert!(shown.contains("signatures were not checked"), "{shown}");
}

#[test]
fn any_changed_removed_or_moved_line_is_found() {
    let station = Station::new();
    for tag in ["a", "b", "c"] {
        station.stage("pre-run", "2", tag, &[]).ok();
    }
    station.verify(&[]).ok();
    let text = fs::read_to_string(station.path("journal")).expect("a journal");
    let lines: Vec<&str> = text.lines().collect();
    let [first, second, third] = lines[..] else { panic!("three lines") };
    let flipped = second.replacen("\"sig\":\"", "\"sig\":\"A", 1);
    for changed in [
        vec![second, third],
        vec![first, third],
        vec![first, second],
        vec![first],
        vec![],
        vec![second, first, third],
        vec![first, third, second],
        vec![first, second, second, third],
        vec![first, &flipped, third],
        vec![first, second, third, third],
    ] {
        let text: String = changed.iter().map(|line| format!("{line}\n")).collect();
        fs::write(station.path("journal"), text).expect("a file");
        station.verify(&[]).refused(3);
        // And nothing more is written to it.
        station.stage("pre-run", "2", "d", &[]).refused(3);
    }
    // Behind the last line as well; what a write that was cut short has left is said.
    for (rest, is_cut) in [(third, false), ("something", false), ("{}", false), ("\0\0\0", true), (&third[..100], true)]
    {
        fs::write(station.path("journal"), format!("{text}{rest}")).expect("a file");
        let outcome = station.verify(&[]);
        if is_cut {
            outcome.ok()
        } else {
            outcome.refused(3)
        };
    }
    fs::remove_file(station.path("journal")).expect("a file");
    station.verify(&[]).refused(3);
    station.stage("pre-run", "2", "d", &[]).refused(3);
}

/// A pipe would keep whoever opens it waiting, and a journal in it is gone.
#[test]
fn a_journal_is_a_regular_file() {
    let station = Station::new();
    let journal = station.dir.path().join("journal");
    mknodat(CWD, &journal, FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("a pipe");
    let told = station.stage("pre-run", "2", "opened", &[]).refused(2);
    assert!(told.stderr.contains("not a regular file"), "{}", told.stderr);
    assert!(!station.layout.tags().iter().any(|tag| tag == "opened"));
    station.verify(&[]).refused(2);
    let (train, path) = (station.layout.at("2"), station.path("journal"));
    pht_oci(&["report", &train, "--journal", &path], &[]).refused(2);
    fs::remove_file(&journal).expect("the pipe");

    // The copy of its last line, and the receipt, are read as well.
    station.stage("pre-run", "2", "opened", &[]).ok();
    let head = station.dir.path().join("journal.head");
    fs::remove_file(&head).expect("the copy of the last line");
    mknodat(CWD, &head, FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("a pipe");
    station.verify(&[]).refused(1);
}
