//! A journal before a program that is not ours, and the daily command that needs nothing but settings.

mod full;
mod journey;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use support::peers::{securesystemslib, test_file};
use support::{Implementation, Outcome, Peer, Train, TrainSpec, Wire, available, pht_oci, run, utf8};

/// A train of wire 3 whose stations have settings and nothing else.
struct Stations {
    train: Train,
    archive: String,
}

impl Stations {
    /// With these stations; where `review`, nothing leaves them that nobody has approved.
    fn new(names: &[&str], review: bool) -> Self {
        let entrypoint = "#!/bin/sh\n[ -n \"$STATUS\" ] || STATUS=0\ncat /data/patients | wc -l >> /opt/pht_results/count.txt\nexit $STATUS\n";
        Self::running(entrypoint, names, review)
    }

    /// The same of another train.
    fn running(entrypoint: &str, names: &[&str], review: bool) -> Self {
        let stations = names.iter().map(|name| json!(name)).collect();
        let indexes = (0..names.len()).collect();
        let spec = TrainSpec { stations, indexes, entrypoint: entrypoint.to_owned(), ..TrainSpec::default() };
        let train = Train::build(Implementation::Ours, Wire::V3, &spec).unwrap_or_else(|message| panic!("{message}"));
        let archive = utf8(&train.dir.path().join("train.tar")).to_owned();
        pht_oci(&["copy", &train.layout.at("0"), &format!("oci-archive:{archive}:latest")], &[]).ok();
        let stations = Stations { train, archive };
        fs::create_dir(stations.path("data")).expect("a new directory");
        fs::write(stations.path("data/patients"), "one\ntwo\n").expect("a new file");
        fs::create_dir_all(stations.path("trust/creators")).expect("a new directory");
        let (creator, pin) = (stations.path("keys/user.pub.pem"), stations.path("trust/creators/test-user-id.pub.pem"));
        fs::copy(creator, pin).expect("a key");
        for name in names {
            let text = format!(
                "station = \"{name}\"\nprivate-key = \"keys/{name}.pem\"\ntrust = \"trust\"\njournal = \"{name}.jsonl\"\n\
                 [accept]\nmin-wire = \"3\"\nstrict = true\n\
                 [run]\nengine = \"runc\"\nvolumes = [\"data:/data:ro\"]\ntimeout = \"2m\"\n\
                 [release]\nreview = {review}\n"
            );
            fs::write(stations.path(&format!("{name}.toml")), text).expect("a new file");
        }
        stations
    }

    fn path(&self, name: &str) -> String {
        utf8(&self.train.dir.path().join(name)).to_owned()
    }

    /// `pht-oci COMMAND train.tar` at a station, which says the rest.
    fn daily(&self, command: &str, station: &str, options: &[&str]) -> Outcome {
        let config = self.path(&format!("{station}.toml"));
        pht_oci(&[&[command, self.archive.as_str(), "--format", "json"], options].concat(), &[("PHT_CONFIG", &config)])
    }

    /// The number of lines by a program that is not ours, or what it finds; with the `last` line, which a receipt tells.
    fn verified_by_others(&self, python: &str, station: &str, last: &[&str]) -> Result<String, String> {
        let (script, journal) = (test_file("python/journal.py"), self.path(&format!("{station}.jsonl")));
        let key = self.path(&format!("keys/{station}.pub.pem"));
        let printed = run(python, &[&[utf8(&script), journal.as_str(), key.as_str()], last].concat())?;
        Ok(String::from_utf8_lossy(&printed).trim().to_owned())
    }
}

#[test]
fn two_stations_run_a_train_by_settings_alone_and_others_verify_their_journals() {
    if !available("journal::two_stations_run_a_train_by_settings_alone", &[Peer::Runc]) {
        return;
    }
    let stations = Stations::new(&["a", "b"], false);
    assert_eq!(stations.daily("doctor", "a", &[]).ok().json()["ready"], true);
    // A train that fails is recorded, and closes nothing.
    stations.daily("run", "a", &["--env", "STATUS=3"]).expect(0).map(drop).expect_err("the train fails");
    let report = stations.daily("run", "a", &["--receipt", &stations.path("receipt.json")]).ok().json();
    assert_eq!(report["results"][0]["path"], "count.txt");
    stations.daily("doctor", "a", &[]).refused(3);
    // Once more: the work is done.
    let again = stations.daily("run", "a", &[]).ok().json();
    assert!(again["notes"].to_string().contains("already done"), "{again}");
    assert_eq!(stations.daily("doctor", "b", &[]).ok().json()["ready"], true);
    stations.daily("run", "b", &[]).ok();
    let shown = stations.daily("inspect", "b", &[]).ok().json();
    assert_eq!(shown["state"], "complete");

    let entries =
        pht_oci(&["journal", "show", "--journal", &stations.path("a.jsonl"), "--format", "json"], &[]).ok().json();
    let predicate = |at: usize| &entries["entries"][at]["predicate"];
    assert_eq!((&predicate(0)["outcome"], &predicate(0)["ran"]["exit_status"]), (&json!("failed"), &json!(3)));
    assert_eq!((&predicate(1)["outcome"], &predicate(1)["act"]), (&json!("done"), &json!("run")));
    assert_eq!(predicate(1)["train"]["creator"]["pinned"], true);
    assert_eq!(predicate(1)["engine"]["name"], "runc");
    assert_eq!(predicate(1)["engine"]["volumes"][0]["path"], "/data");
    assert_eq!(predicate(1)["runs"]["command"], shown["runs"]["command"]);
    assert!(predicate(1)["runs"]["base"]["chain_id"].as_str().is_some_and(|id| id.starts_with("sha256:")));
    // The signed command and base are there to compare.
    assert_eq!(predicate(1)["results"][0]["sha256"].as_str().map(str::len), Some(64));

    let Some(python) = securesystemslib("journal::two_stations_run_a_train_by_settings_alone") else { return };
    assert_eq!(stations.verified_by_others(&python, "a", &[]).unwrap(), "2");
    assert_eq!(stations.verified_by_others(&python, "b", &[]).unwrap(), "1");
    stations.verified_by_others(&python, "a", &[&stations.path("receipt.json")]).unwrap();
    let text = fs::read_to_string(stations.path("a.jsonl")).expect("a journal");
    let changed = text.replacen("\"payload\":\"ey", "\"payload\":\"fy", 1);
    assert_ne!(changed, text);
    fs::write(stations.path("a.jsonl"), changed).expect("a journal");
    stations.verified_by_others(&python, "a", &[]).expect_err("a changed line");
    let journal = stations.path("a.jsonl");
    pht_oci(&["journal", "verify", "--journal", &journal, "--key", &stations.path("keys/a.pub.pem")], &[]).refused(3);
}

/// Whoever copies a train before it is closed cannot have it signed twice.
#[test]
fn an_older_state_is_refused() {
    if !available("journal::an_older_state_is_refused", &[Peer::Runc]) {
        return;
    }
    let stations = Stations::new(&["a", "b"], false);
    let copy = fs::read(&stations.archive).expect("an archive");
    stations.daily("run", "a", &[]).ok();
    let closed = fs::read(&stations.archive).expect("an archive");
    fs::write(&stations.archive, &copy).expect("an archive");
    let error: Value =
        serde_json::from_str(stations.daily("run", "a", &[]).refused(3).stderr.lines().last().expect("an error"))
            .expect("JSON");
    assert!(error["error"]["hint"].as_str().is_some_and(|hint| hint.contains("--again")), "{error}");
    assert_eq!(fs::read(&stations.archive).expect("an archive"), copy);
    stations.daily("run", "a", &["--again"]).ok();
    assert_ne!(fs::read(&stations.archive).expect("an archive"), closed);
    assert!(Path::new(&stations.path("a.jsonl.head")).exists());
}
