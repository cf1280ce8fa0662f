//! A whole journey on registries that other people have made, which `scripts/setup-registries.sh` starts: from the master
//! image to the creator's results, with everything in the registry.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use super::journey::{PLAIN, stage};
use support::tree::{differences, noise, snapshot, write_results};
use support::{Edit, Implementation, Layout, Outcome, Peer, Train, TrainSpec, Wire, available, pht_oci, utf8};

struct Others {
    host: String,
    /// The options with which the program gets there.
    options: Vec<String>,
}

impl Others {
    /// The registry that these variables name, as `HOST:PORT` and `USER:PASSWORD`.
    fn from(host: &str, login: Option<&str>) -> Self {
        let variable = |name: &str| std::env::var(name).unwrap();
        let mut options = PLAIN.map(str::to_owned).to_vec();
        for side in ["--src-creds", "--dest-creds"] {
            options.extend(login.iter().flat_map(|login| [side.to_owned(), variable(login)]));
        }
        Others { host: variable(host), options }
    }

    fn options(&self) -> Vec<&str> {
        self.options.iter().map(String::as_str).collect()
    }

    fn run(&self, line: &[&str]) -> Outcome {
        pht_oci(&[line, &self.options()].concat(), &[])
    }

    fn journey(&self, wire: Wire) {
        // Nothing of an earlier run is there.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
        let home = format!("docker://{}/j{now}", self.host);
        let (master, train, copied) = (format!("{home}/master"), format!("{home}/train"), format!("{home}/copied"));
        let latest = format!("{train}:latest");

        // A master image with a layer of more than one chunk, and a newer one.
        let dir = tempfile::tempdir().unwrap();
        let masters = Layout::new(dir.path().join("master"));
        masters.make_base("plain", false);
        masters.append("plain", "1", &[Edit::Put("usr/data", noise(8_000_000))]);
        masters.append("1", "2", &[Edit::Put("etc/fixed", b"fixed\n".to_vec())]);
        for tag in ["1", "2"] {
            self.run(&["copy", &masters.at(tag), &format!("{master}:{tag}")]).ok();
        }
        let (old, newer) = (format!("{master}:1"), format!("{master}:2"));

        // The creator builds from the registry into the registry.
        let made = Train::build(Implementation::Ours, wire, &TrainSpec::default()).unwrap();
        let (files, route) = (made.dir.path().join("files"), made.dir.path().join("route.json"));
        let (user, builder) = (made.key("user"), made.key("builder"));
        let line =
            ["build", &train, "--base", &old, "--files", utf8(&files), "--route", utf8(&route), "--creator", "c"];
        let more = ["--wire", wire.option(), "--creator-key", &user, "--builder-key", &builder];
        self.run(&[&line[..], &more].concat()).ok();
        let report = self.run(&["inspect", &latest, "--format", "json"]).ok().json();
        let digest = report["digest"].as_str().unwrap();
        self.run(&["inspect", &format!("{train}@{digest}")]).ok();
        let absent = self.run(&["inspect", &format!("{train}:nosuch")]).refused(6);
        assert!(absent.stderr.contains("nosuch"), "{}", absent.stderr);
        self.run(&["validate", &latest, "--master", &old]).ok();

        // Two stations, and what lies between them.
        let results = [(); 2].map(|()| tempfile::tempdir().unwrap());
        for (stop, results) in results.iter().enumerate() {
            write_results(results.path(), stop);
            fs::write(results.path().join("large.bin"), noise(7_000_000)).unwrap();
            let (pre, ran) = (format!("pre{stop}"), format!("ran{stop}"));
            let options = self.options();
            stage(&made, "pre-run", &latest, &[&made.layout.at(&pre)], stop, &options).ok();
            made.put(&pre, &ran, stop, results.path());
            stage(&made, "post-run", &made.layout.at(&ran), &[&latest], stop, &options).ok();
            self.run(&["verify", &latest]).ok();
            if stop == 0 && wire != Wire::V3 {
                self.run(&["rebase", &latest, &latest, "--base", &newer]).ok();
            }
        }
        self.run(&["copy", &latest, &format!("{copied}:latest")]).ok();

        // The creator reads the copy.
        let out = dir.path().join("out");
        let copied = format!("{copied}:latest");
        self.run(&["results", &copied, "--private-key", &user, "--out", utf8(&out)]).ok();
        let changes = differences(&snapshot(results[1].path()), &snapshot(&out), false);
        assert!(changes.is_empty(), "{changes:#?}");
        let config = dir.path().join("config.json");
        self.run(&["extract", &copied, "/opt/train_config.json", "--out", utf8(&config)]).ok();
        assert!(fs::read_to_string(&config).unwrap().starts_with('{'));
    }
}

#[test]
fn a_train_travels_in_ferro() {
    if !available("registry::others::a_train_travels_in_ferro", &[Peer::Ferro]) {
        return;
    }
    let ferro = Others::from("PHT_FERRO", None);
    for wire in [Wire::V2_0, Wire::V3] {
        ferro.journey(wire);
    }
}

/// Of Pulp one wire is enough: a step takes seconds there.
#[test]
fn a_train_travels_in_pulp() {
    if !available("registry::others::a_train_travels_in_pulp", &[Peer::Pulp]) {
        return;
    }
    Others::from("PHT_PULP", Some("PHT_PULP_LOGIN")).journey(Wire::V3);
}
