//! What an auditor is told: `report` on a train, with the journals of its stations and with what somebody did to them.

use std::fs;

use pht_oci::PrivateKey;
use pht_oci::stage::Journal;
use serde_json::{Value, json};
use support::wire3::{STATIONS, Wire3Fixture};
use support::{Outcome, Peer, available, pht_oci};

use crate::journal::Station;

/// A train whose third station has closed it, and that station's journal.
struct Audit {
    station: Station,
}

impl Audit {
    fn new() -> Self {
        let station = Station::new();
        let (pins, creator) = (station.path("trust"), station.path("keys/creator.pub.pem"));
        fs::create_dir_all(station.path("trust/creators")).expect("a directory");
        fs::copy(creator, station.path("trust/creators/alice.pub.pem")).expect("a key");
        station.stage("pre-run", "2", "opened", &["--trust", &pins]).ok();
        let edit = support::Edit::Put("opt/pht_results/new.txt", b"new results\n".to_vec());
        station.layout.append("opened", "ran", &[edit]);
        station.stage("post-run", "ran", "3-new", &["--trust", &pins]).ok();
        Self { station }
    }

    fn report(&self, tag: &str, options: &[&str]) -> Outcome {
        let (image, trust) = (self.station.layout.at(tag), self.station.path("trust"));
        let line = ["report", &image, "--trust", &trust, "--format", "json"];
        pht_oci(&[&line[..], options].concat(), &[])
    }

    /// The lines of the journal.
    fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(self.station.path("journal")).expect("a journal");
        text.lines().map(str::to_owned).collect()
    }

    /// A file with these lines.
    fn journal(&self, name: &str, lines: &[String]) -> String {
        let path = self.station.path(name);
        fs::write(&path, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).expect("a file");
        path
    }

    /// A journal that the station `key` has signed, of what the station's own one says with `member` changed.
    fn lie(&self, name: &str, key: &str, member: &str, value: Value) -> String {
        self.rewritten(name, key, |predicate| {
            *predicate.pointer_mut(member).unwrap_or_else(|| panic!("no {member}")) = value.clone();
        })
    }

    /// The same with each entry as `edit` makes it.
    fn rewritten(&self, name: &str, key: &str, edit: impl Fn(&mut Value)) -> String {
        let path = self.station.path(name);
        let key = fs::read(self.station.path(&format!("keys/{key}.pem"))).expect("a key");
        let key = PrivateKey::from_pem(&key, None).expect("a key");
        for mut predicate in self.station.predicates() {
            edit(&mut predicate);
            let digest = predicate["before"].as_str().expect("a digest").to_owned();
            let predicate = predicate.as_object().expect("an object").clone();
            Journal::new(&path).append(("train/x", &digest), predicate, &key).expect("a line");
        }
        path
    }
}

fn ids(report: &Value, contradicts: bool) -> Vec<&str> {
    let findings = report["findings"].as_array().expect("findings").iter();
    let mut ids: Vec<&str> = findings
        .filter(|finding| finding["contradicts"] == contradicts)
        .map(|finding| finding["id"].as_str().expect("an id"))
        .collect();
    ids.dedup();
    ids
}

#[test]
fn an_auditor_is_told_what_the_train_and_the_journal_say() {
    if !available("journey::an_auditor_is_told_what_the_train_and_the_journal_say", &[Peer::Python]) {
        return;
    }
    let audit = Audit::new();
    let journal = audit.station.path("journal");
    let report = audit.report("3-new", &["--journal", &journal]).ok().json();
    assert_eq!((&report["verdict"], &report["state"]), (&json!("sound"), &json!("complete")));
    assert_eq!(report["findings"], json!([]));
    let stop = &report["stops"][2];
    assert_eq!((&stop["signed"], &stop["signature"]), (&json!(true), &json!("sound")));
    let acts = stop["acts"].as_array().expect("acts");
    assert_eq!(acts.iter().map(|act| &act["act"]).collect::<Vec<_>>(), ["pre-run", "post-run"]);
    assert_eq!(acts[1]["time"], stop["signed_at"]);
    assert_eq!(acts[1]["after"], report["digest"]);
    assert_eq!((&acts[0]["creator_pinned"], &acts[1]["checks_not_sound"]), (&json!(true), &json!(0)));
    assert_eq!(acts[1]["version"], format!("pht-oci {}", env!("CARGO_PKG_VERSION")));
    let files = stop["results"]["files"].as_array().expect("files");
    assert!(files.iter().any(|file| file["path"] == "new.txt" && file["size"] == 12), "{files:?}");
    // What the stations before have sent is not known without their journals.
    assert_eq!((&stop["results"]["added"], &report["stops"][0]["acts"]), (&Value::Null, &json!([])));
    let given = &report["journals"][0];
    assert_eq!((&given["lines"], &given["of_train"], &given["has_end"]), (&json!(2), &json!(2), &json!(true)));
    // Each check says in plain words what it means.
    for check in report["checks"].as_array().expect("checks") {
        assert!(check["means"].as_str().is_some_and(|means| means.ends_with('.')), "{check}");
    }
    let image = audit.station.layout.at("3-new");
    let told = pht_oci(&["report", &image, "--journal", &journal], &[]).ok().stdout;
    let told = String::from_utf8(told).expect("text");
    for what in
        ["stop 3 of 3", "closed the train", "new.txt", "opened the train", "came as: sha256:", "The creator signed"]
    {
        assert!(told.contains(what), "no `{what}` in {told}");
    }
    // The train alone tells much, too.
    let alone = audit.report("3-new", &[]).ok().json();
    assert_eq!((&alone["journals"], &alone["findings"]), (&json!([]), &json!([])));
}

#[test]
fn what_was_done_to_a_journal_or_a_train_is_said() {
    if !available("journey::what_was_done_to_a_journal_or_a_train_is_said", &[Peer::Python]) {
        return;
    }
    let audit = Audit::new();
    let lines = audit.lines();
    let copy = audit.journal("copy", &lines);
    let flipped: Vec<String> = lines.iter().map(|line| line.replacen("\"sig\":\"", "\"sig\":\"A", 1)).collect();
    let moved: Vec<String> = lines.iter().rev().cloned().collect();
    let (own, first) = (audit.station.path("journal"), audit.journal("first", &lines[..1]));
    let (none, none_at_all): (&[&str], &[&str]) = (&[], &[]);
    for (tag, journals, status, contradictions, notes) in [
        ("3-new", vec![&own], 0, none, none_at_all),
        // Two copies of one journal are one.
        ("3-new", vec![&own, &copy], 0, none, &["journal-end"][..]),
        ("3-new", vec![&copy], 0, none, &["journal-end"]),
        // The end was cut off, and the copy of the last line with it: the train knows that it was signed.
        ("3-new", vec![&first], 3, &["not-recorded"][..], &["journal-end"]),
        ("3-new", vec![&audit.journal("flipped", &flipped)], 3, &["journal"], none),
        ("3-new", vec![&audit.journal("moved", &moved)], 3, &["journal"], none),
        ("3-new", vec![&audit.journal("last", &lines[1..])], 3, &["journal"], none),
        // An older state of the train.
        ("2", vec![&own], 3, &["not-signed"], none),
        // Another train: nothing of the journal is about it.
        ("0", vec![], 0, none, none),
    ] {
        let options: Vec<&str> = journals.iter().flat_map(|journal| ["--journal", journal.as_str()]).collect();
        let outcome = audit.report(tag, &options);
        let report = if status == 0 { outcome.ok() } else { outcome.refused(status) };
        let report = report.json();
        assert_eq!(ids(&report, true), contradictions, "{tag} {options:?}");
        assert_eq!(ids(&report, false), notes, "{tag} {options:?}");
        // A journal that does not hold says nothing of the stop.
        let acts = report["stops"][2]["acts"].as_array().expect("acts").len();
        assert_eq!(acts == 0, contradictions == ["journal"] || journals.is_empty(), "{tag} {options:?}");
    }
    audit.report("3-new", &["--journal", &audit.station.path("none")]).refused(2);
}

/// Of several acts that closed one stop, the one that the train is of is told, with its results; whoever has approved is
/// held against the pinned reviewers.
#[test]
fn the_closing_that_the_train_is_of_is_told() {
    if !available("journey::the_closing_that_the_train_is_of_is_told", &[Peer::Python]) {
        return;
    }
    let audit = Audit::new();
    let station = &audit.station;
    let edit = support::Edit::Put("opt/pht_results/new.txt", b"those of a second run\n".to_vec());
    station.layout.append("opened", "ran-again", &[edit]);
    station.stage("post-run", "ran-again", "3-again", &["--again"]).ok();
    let journal = station.path("journal");
    for (tag, size) in [("3-new", 12), ("3-again", 22)] {
        let report = audit.report(tag, &["--journal", &journal]).ok().json();
        assert_eq!(ids(&report, false), ["closed-again"], "{tag}: {}", report["findings"]);
        let files = report["stops"][2]["results"]["files"].as_array().expect("files");
        let new = files.iter().find(|file| file["path"] == "new.txt").expect("a result");
        assert_eq!(new["size"], size, "{tag}");
    }
    let approvals = json!([{ "reviewer": format!("sha256:{}", "1".repeat(64)), "results": "sha256:00" }]);
    let approved = audit.rewritten("approved", "station_3", |predicate| predicate["approvals"] = approvals.clone());
    let report = audit.report("3-new", &["--journal", &approved]).ok().json();
    assert!(ids(&report, false).contains(&"reviewer"), "{}", report["findings"]);
    // Where no keys are pinned at all, nobody can be held against them.
    let image = station.layout.at("3-new");
    let report = pht_oci(&["report", &image, "--journal", &approved, "--format", "json"], &[]).ok().json();
    assert!(!ids(&report, false).contains(&"reviewer"), "{}", report["findings"]);
}

/// Two closings within one second differ by their signatures alone; and a journal that tells of the other one only is not
/// this train's.
#[test]
fn a_closing_is_known_by_its_signature() {
    if !available("journey::a_closing_is_known_by_its_signature", &[Peer::Python]) {
        return;
    }
    let audit = Audit::new();
    let station = &audit.station;
    let first = audit.journal("first", &audit.lines());
    let edit = support::Edit::Put("opt/pht_results/new.txt", b"those of a second run\n".to_vec());
    station.layout.append("opened", "ran-again", &[edit]);
    station.stage("post-run", "ran-again", "3-again", &["--again"]).ok();
    // Whatever the clock said.
    let both = audit.rewritten("both", "station_3", |predicate| {
        predicate["time"] = "2026-01-02T03:04:05Z".into();
        predicate["after"] = Value::Null;
    });
    for (tag, size) in [("3-new", 12), ("3-again", 22)] {
        let report = audit.report(tag, &["--journal", &both]).refused(3).json();
        assert_eq!((ids(&report, true), ids(&report, false)), (vec!["time"], vec!["closed-again"]), "{tag}");
        let files = report["stops"][2]["results"]["files"].as_array().expect("files");
        let new = files.iter().find(|file| file["path"] == "new.txt").expect("a result");
        assert_eq!(new["size"], size, "{tag}");
    }
    let report = audit.report("3-again", &["--journal", &first]).refused(3).json();
    assert!(ids(&report, true).contains(&"not-recorded"), "{}", report["findings"]);
    assert_eq!(report["stops"][2]["results"], Value::Null, "{report}");
    audit.report("3-new", &["--journal", &first]).ok();
}

/// Two journals that part are found, be it in lines about another train; what left is held against what the run had left.
#[test]
fn journals_that_part_and_results_that_were_exchanged_are_found() {
    if !available("journey::journals_that_part_and_results_that_were_exchanged_are_found", &[Peer::Python]) {
        return;
    }
    let audit = Audit::new();
    let other = |name: &str| {
        let path = audit.rewritten(name, "station_3", |_| ());
        let key = PrivateKey::from_pem(&fs::read(audit.station.path("keys/station_3.pem")).expect("a key"), None);
        let predicate = json!({ "act": "run", "outcome": "done", "train": { "hash": name, "id": name } });
        let predicate = predicate.as_object().expect("an object").clone();
        let digest = format!("sha256:{}", "0".repeat(64));
        Journal::new(&path).append(("train/x", &digest), predicate, &key.expect("a key")).expect("a line");
        path
    };
    let (one, another) = (other("one"), other("another"));
    let copy = audit
        .journal("copy", &fs::read_to_string(&one).expect("a journal").lines().map(str::to_owned).collect::<Vec<_>>());
    let report = audit.report("3-new", &["--journal", &one, "--journal", &another]).refused(3).json();
    assert_eq!(ids(&report, true), ["two-journals"], "{}", report["findings"]);
    let report = audit.report("3-new", &["--journal", &one, "--journal", &copy]).ok().json();
    assert_eq!(ids(&report, true), Vec::<&str>::new(), "{}", report["findings"]);

    // A run whose results were held, of which one was changed and one added before they were released.
    let sha256 = |digit: &str| digit.repeat(64);
    let held =
        json!([{ "path": "a", "size": 1, "sha256": sha256("1") }, { "path": "b", "size": 1, "sha256": sha256("2") }]);
    let left =
        json!([{ "path": "a", "size": 1, "sha256": sha256("3") }, { "path": "c", "size": 1, "sha256": sha256("4") }]);
    for (results, is_found) in [(&left, true), (&held, false)] {
        let name = format!("released-{is_found}");
        let journal = audit.rewritten(&name, "station_3", |predicate| {
            let is_first = predicate["act"] == "pre-run";
            predicate["act"] = if is_first { "run" } else { "release" }.into();
            predicate["outcome"] = if is_first { "held" } else { "done" }.into();
            predicate["results"] = if is_first { held.clone() } else { results.clone() };
        });
        let report = audit.report("3-new", &["--journal", &journal]).ok().json();
        assert_eq!(ids(&report, false).contains(&"results-changed"), is_found, "{}", report["findings"]);
        assert!(ids(&report, false).contains(&"no-approval"), "{}", report["findings"]);
        let what = report["findings"].to_string();
        let named = what.contains("a was changed, c is new, b is gone");
        assert_eq!(named, is_found, "{what}");
    }
}

/// Whoever takes a signature away must not have the rest pass unchecked.
#[test]
fn a_broken_order_hides_no_broken_signature() {
    if !available("journey::a_broken_order_hides_no_broken_signature", &[Peer::Python]) {
        return;
    }
    let audit = Audit::new();
    let layout = &audit.station.layout;
    let mut config = layout.train_config("3-new");
    config["route"][1]["signature"] = Value::Null;
    let put = |config: &Value, tag: &str| {
        layout.append("3-new", tag, &[support::Edit::Put("opt/train_config.json", config.to_string().into_bytes())]);
    };
    put(&config, "unordered");
    // The creator's signature, too.
    config["hash"] = "00".repeat(64).into();
    put(&config, "unsigned");
    for (tag, is_signed) in [("unordered", true), ("unsigned", false)] {
        let report = audit.report(tag, &[]).refused(3).json();
        let of = |id: &str| {
            let checks = report["checks"].as_array().expect("checks");
            checks.iter().find(|check| check["id"] == id).map(|check| check["verdict"].clone())
        };
        assert_eq!(of("route-order"), Some(json!("broken")), "{tag}: {report}");
        assert_eq!(of("creator-key"), Some(json!("sound")), "{tag}: the pin is compared");
        assert_eq!(of("statement") == Some(json!("sound")), is_signed, "{tag}: {report}");
        assert_eq!(of("image-config") == Some(json!("sound")), is_signed, "{tag}: {report}");
        for stop in [0, 2] {
            let stop = &report["stops"][stop];
            assert_eq!((&stop["signed"], &stop["signature"]), (&json!(true), &Value::Null), "{tag}: {stop}");
        }
        let text = pht_oci(&["verify", &layout.at(tag)], &[]).refused(3).stdout;
        let text = String::from_utf8(text).expect("text");
        assert_eq!(text.matches("not checked").count(), 2, "{text}");
    }
}

/// Of a train whose own record is damaged nothing can be told but that; an auditor gets a document all the same.
#[test]
fn a_damaged_train_has_a_report_too() {
    if !available("journey::a_damaged_train_has_a_report_too", &[Peer::Python]) {
        return;
    }
    let audit = Audit::new();
    let page = audit.station.path("damage.html");
    let layers = audit.station.layout.layers("3-new");
    let control = audit.station.layout.blob(layers.last().expect("a layer"));
    let mut bytes = fs::read(&control).expect("a layer");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&control, bytes).expect("a layer");
    for damage in ["changed", "gone"] {
        if damage == "gone" {
            fs::remove_file(&control).and_then(|()| fs::remove_file(&page)).expect("they go");
        }
        let outcome = audit.report("3-new", &["--html", &page]);
        let report: Value = serde_json::from_slice(&outcome.stdout).expect("a document");
        assert_eq!(report["verdict"], "broken", "{damage}");
        outcome.refused(if damage == "gone" { 5 } else { 3 });
        let html = fs::read_to_string(&page).expect("a page");
        assert!(html.contains("The train is damaged, and its journey cannot be told."), "{damage}: {html}");
        assert!(html.contains("<td data-name=\"check\">layers</td>"), "{damage}: {html}");
    }
    // Of an image config that is changed nothing can be checked; an older page would say that all was well.
    let manifest = audit.station.layout.image("2")["manifest"].clone();
    let config = audit.station.layout.blob(manifest["config"]["digest"].as_str().expect("a digest"));
    let mut bytes = fs::read(&config).expect("a config");
    bytes[20] ^= 1;
    fs::write(&config, bytes).expect("a config");
    fs::write(&page, "all was well").expect("a page");
    audit.report("2", &["--html", &page]).refused(3);
    assert!(fs::read_to_string(&page).expect("a page").contains("None could be made."));
    // A mistake of the auditor is no damage.
    fs::write(&page, "all was well").expect("a page");
    let none = audit.station.path("none");
    let refused = audit.report("0", &["--journal", &none, "--html", &page]).refused(2);
    assert!(refused.stdout.is_empty(), "nothing is reported");
    assert_eq!(fs::read_to_string(&page).expect("a page"), "all was well");
}

/// A station may sign what is not so; that it is not so is seen.
#[test]
fn what_a_station_says_against_the_train_is_a_contradiction() {
    if !available("journey::what_a_station_says_against_the_train_is_a_contradiction", &[Peer::Python]) {
        return;
    }
    let audit = Audit::new();
    let page = audit.station.path("report.html");
    let other = json!(format!("sha256:{}", "0".repeat(64)));
    let markup = json!("<script>alert(1)</script>");
    for (at, (member, value, id, contradicts)) in [
        ("/train/creator/id", json!("mallory"), "creator", true),
        ("/train/creator/key", other.clone(), "creator-key", true),
        ("/station/id", markup.clone(), "station", true),
        ("/station/key", other.clone(), "station-key", true),
        ("/stop/of", json!(4), "stop", true),
        ("/stop/index", json!(1), "station-key", true),
        ("/stop/index", json!(7), "stop", true),
        ("/stop/index", json!("2"), "stop", true),
        ("/runs/command", json!([markup]), "command", true),
        ("/runs/entrypoint", json!(["/bin/sh"]), "command", true),
        ("/runs/base/chain_id", other.clone(), "base", true),
        ("/time", json!("1999-12-31T23:59:59Z"), "time", true),
        ("/act", json!("run"), "closed-again", false),
        ("/outcome", json!("failed"), "not-recorded", true),
        ("/train/creator/pinned", json!(false), "creator-pin", false),
        ("/after", other.clone(), "image", false),
        ("/train/hash", json!("00"), "another-train", false),
    ]
    .into_iter()
    .enumerate()
    {
        let journal = audit.lie(&format!("lie-{at}"), "station_3", member, value);
        let outcome = audit.report("3-new", &["--journal", &journal, "--html", &page]);
        let found = ids(&outcome.json(), contradicts).contains(&id);
        assert!(found, "{member}: {} {}", outcome.json()["findings"], outcome.stderr);
        let html = fs::read_to_string(&page).expect("a page");
        assert!(!html.contains("<script"), "{member}");
        assert!(html.contains(&format!("<td data-name=\"finding\">{id}</td>")), "{member}");
        if contradicts {
            outcome.refused(3);
        }
    }
    // What another station has signed counts for nothing here.
    let forged = audit.lie("forged", "station_2", "/again", json!(false));
    let report = audit.report("3-new", &["--journal", &forged]).refused(3).json();
    assert_eq!(ids(&report, true), ["not-recorded", "station-key"], "nor of its own stop does it tell");
    assert_eq!(report["stops"][2]["acts"], json!([]));
    // Nor does what a key has signed that is on no route.
    let stranger = audit.lie("stranger", "creator", "/again", json!(false));
    let report = audit.report("3-new", &["--journal", &stranger]).refused(3).json();
    assert_eq!(ids(&report, true), ["journal"]);
    // Another journal of the same station, with other lines under the same numbers.
    let (own, fork) = (audit.station.path("journal"), audit.lie("fork", "station_3", "/again", json!(true)));
    let report = audit.report("3-new", &["--journal", &own, "--journal", &fork]).refused(3).json();
    assert_eq!(ids(&report, true), ["two-journals"]);
}

#[test]
fn a_rejection_is_recorded_with_its_reason_and_leaves_the_stop_open() {
    if !available("journey::a_rejection_is_recorded", &[Peer::Python]) {
        return;
    }
    let station = Station::new();
    let alone = station.layout.only("2", station.dir.path().join("alone"));
    let (image, key, journal) = (alone.at("2"), station.path("keys/station_3.pem"), station.path("journal"));
    let kept = ["--private-key", &key, "--journal", &journal];
    pht_oci(&[&["pre-run", &image][..], &kept].concat(), &[]).ok();
    alone.append("2", "2", &[support::Edit::Put("opt/pht_results/new.txt", b"P-100001\n".to_vec())]);
    // Nothing is erased that cannot be recorded.
    let opened = alone.image("2");
    pht_oci(&["reject", &image, "--journal", &journal], &[]).refused(4);
    assert_eq!(alone.image("2"), opened);
    let reason = ["--reason", "rows of <b>single</b> patients"];
    pht_oci(&[&["reject", &image][..], &reason, &kept].concat(), &[]).ok();
    let rejected = station.predicates().pop().expect("an entry");
    assert_eq!((&rejected["act"], &rejected["reason"]), (&json!("reject"), &json!(reason[1])));
    assert_eq!((&rejected["outcome"], &rejected["stop"]["index"]), (&json!("done"), &json!(2)));
    station.verify(&[]).ok();
    let page = station.path("page.html");
    let report =
        pht_oci(&["report", &image, "--journal", &journal, "--html", &page, "--format", "json"], &[]).ok().json();
    assert_eq!(report["stops"][2]["acts"][1]["reason"], reason[1]);
    assert!(fs::read_to_string(&page).expect("a page").contains("rows of &lt;b&gt;single&lt;/b&gt; patients"));
    // The station may open it again.
    pht_oci(&[&["pre-run", &image][..], &kept].concat(), &[]).ok();
}

#[test]
fn a_creator_is_told_whose_results_are_still_to_come() {
    let fixture = Wire3Fixture::prepare();
    fixture.build("0", "train-1");
    let mut from = "0".to_owned();
    for stop in 0..STATIONS {
        let to = (stop + 1).to_string();
        fixture.stop(&from, &to, stop);
        let (image, key, out) = (fixture.layout.at(&to), fixture.key("creator"), fixture.path(&format!("out-{to}")));
        let line = ["results", &image, "--private-key", &key, "--out", &out, "--format", "json"];
        let notes = pht_oci(&line, &[]).ok().json()["notes"].to_string();
        let signed = format!("{to} of {STATIONS} stations have signed; still to come: ");
        assert_eq!(notes.contains(&signed), stop + 1 < STATIONS, "{notes}");
        assert_eq!(notes.contains("station_3"), stop + 1 < STATIONS, "{notes}");
        from = to;
    }
}
