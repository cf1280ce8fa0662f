//! A journal on a file system without room: before the act, meanwhile, and when the act is done.

use std::fs;

use serde_json::{Value, json};
use support::{Outcome, Peer, available, pht_oci, run};

use super::Stations;
use crate::crashes::disks::Disk;

/// More lines than there is room for in advance.
const MANY: &str = "#!/bin/sh\ni=0\nwhile [ $i -lt 900 ]; do echo $i > /opt/pht_results/$i; i=$((i + 1)); done\n";

/// The station `a` with its journal on a disk of its own.
struct Desk {
    stations: Stations,
    disk: Disk,
    journal: String,
}

impl Desk {
    fn new(stations: Stations) -> Self {
        let disk = Disk::new(stations.train.dir.path().join("disk"));
        let journal = disk.dir().join("journal.jsonl").display().to_string();
        Self { stations, disk, journal }
    }

    fn daily(&self, command: &str, options: &[&str]) -> Outcome {
        self.stations.daily(command, "a", &[&["--journal", &self.journal], options].concat())
    }

    fn verify(&self) -> Outcome {
        let key = self.stations.path("keys/a.pub.pem");
        pht_oci(&["journal", "verify", "--journal", &self.journal, "--key", &key, "--format", "json"], &[])
    }

    /// A command that leaves no room on the disk.
    fn fill(&self) -> String {
        format!("cat /dev/zero > {} 2>/dev/null; true", self.disk.dir().join("full").display())
    }

    fn clear(&self) {
        fs::remove_file(self.disk.dir().join("full")).expect("a file");
    }
}

/// The last line of what was said, which is a document.
fn error(outcome: &Outcome) -> Value {
    serde_json::from_str::<Value>(outcome.stderr.lines().last().expect("an error")).expect("JSON")["error"].clone()
}

#[test]
fn nothing_runs_that_cannot_be_recorded() {
    if !available("journal::full::nothing_runs_that_cannot_be_recorded", &[Peer::Runc]) {
        return;
    }
    let desk = Desk::new(Stations::new(&["a", "b"], false));
    desk.disk.resize(1 << 20);
    let before = fs::read(&desk.stations.archive).expect("an archive");
    run("sh", &["-c", &desk.fill()]).expect("a full disk");
    let error = error(&desk.daily("run", &["--prepare", "echo ran >&2"]).refused(1));
    assert!(error["message"].as_str().is_some_and(|text| text.contains("No space left")), "{error}");
    assert!(error["hint"].as_str().is_some_and(|text| text.contains("nothing is done")), "{error}");
    assert_eq!(fs::read(&desk.stations.archive).expect("an archive"), before);
    let doctor = desk.daily("doctor", &[]).refused(1);
    let report: Value = serde_json::from_slice(&doctor.stdout).expect("a report");
    let is_fault = |finding: &Value| finding["id"] == "journal" && finding["verdict"] == "fault";
    assert!(report["findings"].as_array().expect("a list").iter().any(is_fault), "{report}");
    desk.clear();
    assert_eq!(desk.daily("doctor", &[]).ok().json()["ready"], true);
    // What others write meanwhile takes no room that was set aside.
    desk.daily("run", &["--prepare", &desk.fill()]).ok();
    desk.clear();
    assert_eq!(desk.verify().ok().json()["lines"], 1);
}

#[test]
fn an_act_that_could_not_be_recorded_is_recorded_later() {
    if !available("journal::full::an_act_that_could_not_be_recorded", &[Peer::Runc]) {
        return;
    }
    let desk = Desk::new(Stations::running(MANY, &["a", "b"], false));
    desk.disk.resize(1 << 20);
    let before = fs::read(&desk.stations.archive).expect("an archive");
    let error = error(&desk.daily("run", &["--prepare", &desk.fill()]).refused(7));
    assert_ne!(fs::read(&desk.stations.archive).expect("an archive"), before, "it is done");
    let message = error["message"].as_str().expect("a message");
    assert!(message.contains("run is done and in") && message.contains("not recorded"), "{message}");
    let hint = error["hint"].as_str().expect("a hint");
    let command = hint.lines().nth(1).unwrap_or_else(|| panic!("{hint}"));
    desk.clear();
    desk.disk.resize(8 << 20);
    run("sh", &["-c", command]).expect("the command of the hint");
    assert_eq!(desk.verify().ok().json()["lines"], 1);
    let again = desk.daily("run", &[]).ok().json();
    assert!(again["notes"].to_string().contains("already done"), "{again}");
    // A journal that is gone is another's to mend.
    let desk = Desk::new(Stations::new(&["a", "b"], false));
    let away = format!(
        "rm {}; umount --lazy {}; rmdir {}",
        desk.journal,
        desk.disk.dir().display(),
        desk.disk.dir().display()
    );
    let error = self::error(&desk.daily("run", &["--prepare", &away]).refused(7));
    assert!(error["hint"].as_str().is_some_and(|text| text.contains("do not repeat")), "{error}");
    assert_eq!(error["kind"], json!("decision"));
}
