//! Nothing leaves but exactly what was approved.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use pht_oci::PrivateKey;
use serde_json::Value;
use support::stage::StageFixture;
use support::tree::snapshot;
use support::vectors::Vectors;
use support::{Edit, Outcome, Wire, pht_oci, utf8};

/// A train that has run at its second station, with its results in a directory, and two reviewers.
struct Held {
    stage: StageFixture,
    results: PathBuf,
}

impl Held {
    fn new(wire: Wire) -> Self {
        let stage = StageFixture::new(wire);
        let results = stage.vectors.dir.path().join("results");
        stage.stage("pre-run", &["latest", "open"], &["--results", utf8(&results)]).ok();
        fs::write(results.join("mean.json"), r#"{"mean_age": 51.2, "n": 812}"#).unwrap();
        fs::create_dir(results.join("more")).unwrap();
        fs::write(results.join("more/table.csv"), "group,n,mean\na,40,1.5\nb,60,2.5\n").unwrap();
        let held = Held { stage, results };
        for name in ["user", "builder"] {
            held.pin(name, name);
        }
        held
    }

    fn path(&self, name: &str) -> PathBuf {
        self.stage.vectors.dir.path().join(name)
    }

    /// The station knows this key as a reviewer's.
    fn pin(&self, key: &str, name: &str) {
        let key = PrivateKey::from_pem(&fs::read(self.stage.vectors.key(key)).unwrap(), None).unwrap();
        fs::create_dir_all(self.path("trust/reviewers")).unwrap();
        fs::write(self.path("trust/reviewers").join(format!("{name}.pem")), key.public_key().to_pem()).unwrap();
    }

    fn approve(&self, key: &str, out: &str, options: &[&str]) -> Outcome {
        let (key, out) = (self.stage.vectors.key(key), self.path(out));
        let image = self.stage.layout.at("open");
        let line = ["approve", &image, "--results", utf8(&self.results), "--reviewer-key", &key, "--out", utf8(&out)];
        pht_oci(&[&line[..], options].concat(), &[])
    }

    fn approved(&self, key: &str, out: &str) {
        self.approve(key, out, &self.acceptances()).ok();
    }

    /// Every finding that stops, accepted: the vectors of the reference have results of every kind.
    fn acceptances(&self) -> Vec<&'static str> {
        let line = ["review", &self.stage.layout.at("open"), "--results", utf8(&self.results), "--format", "json"];
        let report = pht_oci(&line, &[]);
        let report = report.json();
        let mut stops: Vec<String> = report["findings"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|finding| finding["severity"] == "stop")
            .map(|finding| format!("{}=known to the reviewer", finding["finding"].as_str().unwrap()))
            .collect();
        stops.dedup();
        stops.into_iter().flat_map(|stop| ["--accept", &*Box::leak(stop.into_boxed_str())]).collect()
    }

    /// Release to the tag `out`, from the opened image.
    fn release(&self, approvals: &[&str], options: &[&str]) -> Outcome {
        let approvals: Vec<String> = approvals.iter().map(|name| utf8(&self.path(name)).to_owned()).collect();
        let (results, trust) = (utf8(&self.results).to_owned(), utf8(&self.path("trust")).to_owned());
        let mut line = vec!["--results", &results];
        approvals.iter().for_each(|approval| line.extend(["--approval", approval]));
        // Reviewers' keys are pinned, the train's own parties' are another matter.
        line.extend(options);
        let images = ["open", "out"].map(|tag| self.stage.layout.at(tag));
        let key = self.stage.vectors.key("station_2");
        let line =
            [&["release", &images[0], &images[1], "--station", "station_2", "--private-key", &key], &line[..]].concat();
        self.pin_parties();
        pht_oci(&[&line[..], &["--trust", &trust]].concat(), &[])
    }

    /// Pins every party of the train.
    fn pin_parties(&self) {
        let config = self.stage.layout.train_config("latest");
        let write = |path: String, pem: &str| {
            let path = self.path("trust").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, pem).unwrap();
        };
        let public = |name: &str| {
            let pem = fs::read(self.stage.vectors.key(name)).unwrap();
            PrivateKey::from_pem(&pem, None).unwrap().public_key().to_pem()
        };
        let creator =
            config["creator"]["id"].as_str().map_or_else(|| config["creator"]["id"].to_string(), str::to_owned);
        write(format!("creators/{creator}.pem"), &public("user"));
        write("builders/b.pem".to_owned(), &public("builder"));
        for stop in config["route"].as_array().unwrap() {
            let id = stop["station"].as_str().unwrap();
            write(format!("stations/{id}.pem"), &public(id));
        }
    }

    fn is_released(&self) -> bool {
        self.stage.layout.tags().contains(&Value::from("out"))
    }

    /// The release must be refused, and leave everything as it was.
    #[track_caller]
    fn refused(&self, what: &str, approvals: &[&str], options: &[&str]) {
        let before = snapshot(&self.stage.layout.dir);
        let told = self.release(approvals, options).refused(7).stderr;
        assert!(!self.is_released(), "{what}: published");
        let after = snapshot(&self.stage.layout.dir);
        assert!(support::tree::differences(&before, &after, true).is_empty(), "{what}: the layout has changed");
        assert!(told.contains("hint"), "{what}: {told}");
    }
}

#[test]
fn what_was_approved_leaves() {
    for wire in Wire::ALL {
        let held = Held::new(wire);
        held.approved("user", "a.json");
        let report = held.release(&["a.json"], &["--format", "json"]).ok().json();
        let notes = report["notes"].to_string();
        assert!(notes.contains("approved by 1 reviewer: user"), "{notes}");
        assert!(held.is_released());
    }
}

#[test]
fn without_approval_nothing_leaves() {
    let held = Held::new(Wire::V2_0);
    held.refused("no approval", &[], &[]);
    held.approved("user", "a.json");
    held.refused("one of two", &["a.json"], &["--reviewers", "2"]);
    held.refused("the same one twice", &["a.json", "a.json"], &["--reviewers", "2"]);
}

/// A change of a file.
type Change = fn(&Path);

/// Every way in which a file may be another one afterwards.
fn changes() -> [(&'static str, Change); 11] {
    [
        ("changed", |path| fs::write(path, [fs::read(path).unwrap(), b"x".to_vec()].concat()).unwrap()),
        ("one bit", |path| {
            let mut data = fs::read(path).unwrap();
            match data.first_mut() {
                Some(first) => *first ^= 1,
                None => data.push(0),
            }
            fs::write(path, data).unwrap();
        }),
        ("emptied", |path| fs::write(path, if fs::read(path).unwrap().is_empty() { "x" } else { "" }).unwrap()),
        ("removed", |path| fs::remove_file(path).unwrap()),
        ("renamed", |path| fs::rename(path, path.with_file_name("renamed")).unwrap()),
        ("copied", |path| assert!(fs::copy(path, path.with_file_name("another")).is_ok())),
        ("moved", |path| {
            fs::create_dir(path.with_file_name("elsewhere")).unwrap();
            fs::rename(path, path.with_file_name("elsewhere").join("file")).unwrap();
        }),
        ("executable", |path| {
            let mode = fs::metadata(path).unwrap().permissions().mode();
            fs::set_permissions(path, fs::Permissions::from_mode(mode ^ 0o100)).unwrap();
        }),
        ("a symbolic link", |path| {
            fs::rename(path, path.with_extension("moved")).unwrap();
            symlink(path.with_extension("moved").file_name().unwrap(), path).unwrap();
        }),
        ("a hard link", |path| fs::hard_link(path, path.with_file_name("zzz-link")).unwrap()),
        ("a directory", |path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        }),
    ]
}

/// Every change of every file, between approval and release.
#[test]
fn no_change_of_a_file_leaves() {
    let held = Held::new(Wire::V2_0);
    held.approved("user", "a.json");
    let files: Vec<PathBuf> = snapshot(&held.results)
        .into_iter()
        .filter(|(_, (_, node))| matches!(node, support::tree::Node::File { .. }))
        .map(|(path, _)| path)
        .collect();
    assert!(files.len() >= 3, "{files:?}");
    let kept = held.path("kept");
    support::run("cp", &["-a", utf8(&held.results), utf8(&kept)]).unwrap();
    for file in &files {
        for (what, change) in changes() {
            change(&held.results.join(file));
            held.refused(&format!("{what}: {}", file.display()), &["a.json"], &[]);
            fs::remove_dir_all(&held.results).unwrap();
            support::run("cp", &["-a", utf8(&kept), utf8(&held.results)]).unwrap();
        }
    }
    for (what, add) in [("an empty directory", true), ("a new file", false)] {
        let path = held.results.join("added");
        if add {
            fs::create_dir(&path).unwrap()
        } else {
            fs::write(&path, "").unwrap()
        }
        held.refused(what, &["a.json"], &[]);
        if add { fs::remove_dir(&path).unwrap() } else { fs::remove_file(&path).unwrap() }
    }
    // What was approved is there again: now it leaves.
    held.release(&["a.json"], &[]).ok();
    assert!(held.is_released());
}

#[test]
fn an_approval_fits_one_train_one_stop_one_set_of_rules_and_one_reviewer() {
    let (held, other) = (Held::new(Wire::V2_0), Held::new(Wire::V1_1_2));
    held.approved("user", "a.json");
    // Another train.
    other.approved("user", "a.json");
    fs::copy(other.path("a.json"), held.path("other.json")).unwrap();
    held.refused("another train", &["other.json"], &[]);
    held.refused("another train's beside the right one", &["a.json", "other.json"], &[]);
    // Another stop, with the same results.
    let first = Vectors::ours(Wire::V2_0);
    let (open, key) = (first.layout.at("first-open"), first.key("station_1"));
    let results = first.dir.path().join("first");
    pht_oci(&["pre-run", &first.layout.at("0-built"), &open, "--private-key", &key, "--results", utf8(&results)], &[])
        .ok();
    fs::remove_dir_all(&results).unwrap();
    support::run("cp", &["-a", utf8(&held.results), utf8(&results)]).unwrap();
    let (reviewer, out) = (first.key("user"), held.path("stop.json"));
    let line = ["approve", &open, "--results", utf8(&results), "--reviewer-key", &reviewer, "--out", utf8(&out)];
    pht_oci(&[&line[..], &held.acceptances()].concat(), &[]).ok();
    held.refused("another stop", &["stop.json"], &[]);
    // Other rules.
    for rules in
        [["--min-count", "5"], ["--max-rows", "50000"], ["--reviewers", "2"], ["--types", "csv"], ["--max-file", "1G"]]
    {
        held.refused(&format!("{rules:?}"), &["a.json"], &rules);
    }
    // A reviewer whom the station does not know, and one whom it knows no longer.
    held.approved("station_1", "stranger.json");
    held.refused("a stranger", &["stranger.json"], &[]);
    held.refused("a stranger beside the right one", &["a.json", "stranger.json"], &[]);
    fs::remove_file(held.path("trust/reviewers/user.pem")).unwrap();
    held.refused("a reviewer of the past", &["a.json"], &[]);
    held.pin("user", "user");
    // Two reviewers, who have approved by the same rules.
    let two = [held.acceptances(), vec!["--reviewers", "2"]].concat();
    held.approve("user", "a2.json", &two).ok();
    held.approve("builder", "b2.json", &two).ok();
    held.release(&["a2.json", "b2.json"], &["--reviewers", "2"]).ok();
}

#[test]
fn an_old_approval_is_of_old_results() {
    let held = Held::new(Wire::V2_0);
    held.approved("user", "old.json");
    fs::write(held.results.join("mean.json"), r#"{"mean_age": 51.3, "n": 812}"#).unwrap();
    held.refused("old results", &["old.json"], &[]);
    held.approved("user", "new.json");
    held.refused("the old one beside the new one", &["new.json", "old.json"], &[]);
    held.release(&["new.json"], &[]).ok();
}

#[test]
fn a_forged_approval_is_none() {
    let held = Held::new(Wire::V2_0);
    held.approved("user", "a.json");
    let good: Value = serde_json::from_slice(&fs::read(held.path("a.json")).unwrap()).unwrap();
    let decode = |text: &Value| {
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text.as_str().unwrap()).unwrap()
    };
    let encode = |data: &[u8]| Value::from(base64::Engine::encode(&base64::engine::general_purpose::STANDARD, data));
    let payload = String::from_utf8(decode(&good["payload"])).unwrap();
    let mut forged = good.clone();
    forged["payload"] = encode(payload.replace("approved", "approveD").as_bytes());
    let mut retyped = good.clone();
    retyped["payloadType"] = "application/json".into();
    for (what, document) in [("another payload", forged), ("another type", retyped)] {
        fs::write(held.path("forged.json"), document.to_string()).unwrap();
        held.refused(what, &["forged.json"], &[]);
    }
    for (what, document) in [
        ("no envelope", "{}"),
        ("nothing", ""),
        ("no signature", r#"{"payload": "e30=", "payloadType": "t", "signatures": []}"#),
    ] {
        fs::write(held.path("broken.json"), document).unwrap();
        held.release(&["broken.json"], &[]).refused(5);
        assert!(!held.is_released(), "{what}");
    }
}

#[test]
fn what_stops_has_to_be_accepted_with_a_reason() {
    let held = Held::new(Wire::V2_0);
    fs::write(held.results.join("patients.csv"), "patient_id,age\nA,1.5\n").unwrap();
    let rest =
        held.acceptances().into_iter().filter(|text| !text.starts_with("identifier:patients.csv")).collect::<Vec<_>>();
    // Options come in pairs; one has lost its value.
    let rest: Vec<&str> =
        rest.chunks(2).filter(|pair| pair.len() == 2 && pair[1] != "--accept").flatten().copied().collect();
    let told = held.approve("user", "a.json", &rest).refused(7).stderr;
    assert!(told.contains("identifier:patients.csv"), "{told}");
    assert!(!held.path("a.json").exists());
    held.approve("user", "a.json", &["--accept", "identifier:patients.csv="]).refused(2);
    held.approve("user", "a.json", &["--accept", "identifier:absent.csv=because"]).refused(2);
    held.approved("user", "a.json");
    let told = held.approve("user", "a.json", &held.acceptances()).refused(2).stderr;
    assert!(told.contains("a.json"), "an approval is not overwritten: {told}");
    held.release(&["a.json"], &[]).ok();
}

/// The same of results in the image itself, where the run has added its layer.
#[test]
fn results_in_the_image_are_bound_as_well() {
    let stage = StageFixture::new(Wire::V2_0);
    stage.stage("pre-run", &["latest"], &[]).ok();
    stage.write("latest", "latest");
    let (image, key, out) =
        (stage.layout.at("latest"), stage.vectors.key("user"), stage.vectors.dir.path().join("a.json"));
    let report = pht_oci(&["review", &image, "--format", "json"], &[]).json();
    let state = |path: &str| {
        report["files"].as_array().unwrap().iter().find(|file| file["path"] == path).unwrap()["state"].clone()
    };
    assert_eq!((state("result.txt"), state("sub/x")), ("changed".into(), "unchanged".into()));
    let line = ["approve", &image, "--reviewer-key", &key, "--out", utf8(&out)];
    pht_oci(&line, &[]).ok();
    let trust = stage.vectors.dir.path().join("trust");
    fs::create_dir_all(trust.join("reviewers")).unwrap();
    let public = PrivateKey::from_pem(&fs::read(&key).unwrap(), None).unwrap().public_key().to_pem();
    fs::write(trust.join("reviewers/user.pem"), public).unwrap();
    let held = Held { results: PathBuf::new(), stage };
    held.pin_parties();
    let options = ["--trust", utf8(&trust), "--approval", utf8(&out)];
    held.stage.layout.append("latest", "latest", &[Edit::Put("opt/pht_results/more.txt", b"more\n".to_vec())]);
    held.stage.stage("post-run", &["latest"], &options).refused(7);
    held.stage.layout.append("latest", "latest", &[Edit::Remove("opt/pht_results/more.txt")]);
    held.stage.stage("post-run", &["latest"], &options).ok();
    held.stage.check_closed("latest");
}

#[test]
fn what_is_rejected_is_erased_and_the_train_is_as_it_came() {
    let stage = StageFixture::new(Wire::V2_0);
    let before = stage.layout.image("latest");
    stage.stage("reject", &["latest"], &[]);
    assert_eq!(stage.layout.image("latest"), before, "a closed train is nothing to reject");
    let image = stage.layout.at("latest");
    pht_oci(&["reject", &image], &[]).refused(3);
    stage.stage("pre-run", &["latest"], &[]).ok();
    stage.layout.append(
        "latest",
        "latest",
        &[Edit::Put(support::stage::RESULT, support::tree::MARKER.as_bytes().to_vec())],
    );
    assert!(!stage.layout.search(support::tree::MARKER).is_empty());
    pht_oci(&["reject", &image], &[]).ok();
    assert_eq!(stage.layout.image("latest"), before);
    assert_eq!(stage.layout.tags(), [Value::from("latest")]);
    assert!(stage.layout.search(support::tree::MARKER).is_empty(), "plaintext is left");
    stage.whole_stop();
    let held = Held::new(Wire::V2_0);
    let open = held.stage.layout.at("open");
    let other = held.results.with_file_name("another");
    support::tree::copy(&held.results, &other);
    // No directory but that of these results is erased, and none is forgotten.
    let in_the_image = StageFixture::new(Wire::V2_0);
    in_the_image.stage("pre-run", &["latest"], &[]).ok();
    pht_oci(&["reject", &in_the_image.layout.at("latest"), "--results", utf8(&other)], &[]).refused(2);
    for wrong in [&["reject", &open][..], &["reject", &open, "--results", utf8(&other)]] {
        pht_oci(wrong, &[]).refused(2);
        pht_oci(&["inspect", &open], &[]).ok();
        assert!(held.results.exists() && other.exists(), "{wrong:?}");
    }
    let moved = held.results.with_file_name("moved");
    std::fs::rename(&held.results, &moved).expect("it moves");
    pht_oci(&["reject", &open, "--results", utf8(&moved)], &[]).ok();
    assert!(!moved.exists() && other.exists());
    assert!(!held.results.exists() && !held.stage.layout.tags().contains(&Value::from("open")));
}
