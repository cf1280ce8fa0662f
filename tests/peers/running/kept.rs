//! What a train has computed is kept, and what a killed run has left is found.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Command;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;
use support::tree::snapshot;
use support::{Peer, Wire, available, pht_oci, utf8};

use super::fixture::RunFixture;
use crate::crashes::disks::Disk;

/// The command with which an error says that one can go on, and the directory in which a train was kept for its owner
/// alone: with what closes it, and nothing else.
fn way_on(error: &str) -> (Vec<String>, PathBuf) {
    let line = error.lines().find_map(|line| line.split_once("pht-oci post-run ")).expect("a command").1;
    let line = line.split_once(" --private-key").expect("a key").0;
    let words: Vec<String> = ["post-run"].into_iter().chain(line.split_whitespace()).map(str::to_owned).collect();
    let results = PathBuf::from(words.last().expect("the results"));
    let kept = results.parent().expect("a directory").to_owned();
    assert_eq!(fs::metadata(&kept).expect("it is kept").permissions().mode() & 0o777, 0o700);
    let names: Vec<_> =
        fs::read_dir(&kept).expect("a directory").map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}: the opened train and its results");
    (words, kept)
}

#[test]
fn results_for_a_full_destination_are_kept_with_the_way_on() {
    const LARGE: &str = "#!/bin/sh\ndd if=/dev/urandom of=/opt/pht_results/large bs=65536 count=96 2>/dev/null\n\
                         echo 41 > /opt/pht_results/count\n";
    let test = "running::kept::results_for_a_full_destination_are_kept_with_the_way_on";
    if !available(test, &[Peer::Python, Peer::Busybox, Peer::Runc]) {
        return;
    }
    let fixture = RunFixture::with("runc", Wire::V3, LARGE, &json!({}));
    let disk = Disk::new(fixture.train.dir.path().join("disk"));
    // For the base and the results once, and not for what they are encrypted to.
    disk.resize(10 << 20);
    let to = format!("oci:{}:0", disk.dir().join("out").display());
    let key = fixture.train.key(&fixture.train.station_id(0));
    let line = [
        "run",
        fixture.layout.path(),
        &to,
        "--engine",
        "runc",
        "--private-key",
        &key,
        "--prepare",
        "echo p >$PHT_DATA/p",
    ];
    let before = snapshot(&fixture.layout.dir);
    let error = fixture.command(&line).refused(1).stderr;
    assert!(error.contains("the train has run, but it could not be closed"), "{error}");
    assert!(error.contains("No space left") || error.contains(" are needed and "), "{error}");
    assert!(snapshot(&fixture.layout.dir) == before, "the train itself is as it was");
    let (words, kept) = way_on(&error);
    disk.resize(64 << 20);
    fixture
        .command(&[&words.iter().map(String::as_str).collect::<Vec<_>>()[..], &["--private-key", &key]].concat())
        .ok();
    fixture.command(&["verify", &to]).ok();
    let (user, out) = (fixture.train.key("user"), fixture.train.dir.path().join("out"));
    fixture.command(&["results", &to, "--private-key", &user, "--out", utf8(&out)]).ok();
    assert_eq!(fs::metadata(out.join("large")).expect("a result").len(), 96 << 16);
    assert_eq!(fs::read_to_string(out.join("count")).expect("a result"), "41\n");
    fs::remove_dir_all(kept).expect("what was kept");
    assert_eq!(fixture.command(&["cleanup", "--dry-run", "--format", "json"]).ok().json()["runs"], json!([]));
}

#[test]
fn results_that_cannot_be_taken_are_kept_with_the_way_on() {
    let test = "running::kept::results_that_cannot_be_taken_are_kept_with_the_way_on";
    if !available(test, &[Peer::Python, Peer::Busybox, Peer::Runc]) {
        return;
    }
    for (wire, what) in [(Wire::V2_0, "socket"), (Wire::V3, "device")] {
        let fixture =
            RunFixture::with("runc", wire, "#!/bin/sh\necho 41 > /opt/pht_results/count\nsleep 4\n", &json!({}));
        // Of a program of the station's, put there while the train runs: no shell can make a socket, and no train a device.
        let place = fixture.place().to_owned();
        let putting = std::thread::spawn(move || {
            let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
            while std::time::Instant::now() < deadline {
                let run =
                    fs::read_dir(&place).expect("a directory").flatten().map(|entry| entry.path().join("results"));
                if let Some(there) = run.into_iter().find(|path| path.join("count").is_file()) {
                    match what {
                        "socket" => drop(UnixListener::bind(there.join(what)).expect("a socket")),
                        _ => {
                            mknodat(CWD, there.join(what), FileType::CharacterDevice, Mode::RUSR, 0x103).expect("root")
                        }
                    }
                    return;
                }
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
        });
        let error = fixture.run(0, &[]).refused(5).stderr;
        putting.join().expect("no panic");
        assert!(error.contains("the train has run, but it could not be closed") && error.contains(what), "{error}");
        let (words, kept) = way_on(&error);
        // It names what is there now, and once.
        let there = kept.join("results").join(what);
        assert_eq!(error.matches(utf8(&there)).count(), 1, "{error}");
        fs::remove_file(kept.join("results").join(what)).expect("what cannot be taken");
        let key = fixture.train.key(&fixture.train.station_id(0));
        pht_oci(&[&words[..], &["--private-key".to_owned(), key]].concat(), &[]).ok();
        assert_eq!(fixture.result("count"), "41\n", "{wire:?}");
        fs::remove_dir_all(kept).expect("what was kept");
        fixture.check_nothing_left();
    }
}

#[test]
fn what_a_killed_run_has_left_is_found_from_anywhere() {
    let test = "running::kept::what_a_killed_run_has_left_is_found_from_anywhere";
    if !available(test, &[Peer::Python, Peer::Busybox, Peer::Runc, Peer::Podman]) {
        return;
    }
    for engine in ["runc", "podman"] {
        let fixture = RunFixture::new(engine, Wire::V3);
        let mut child = fixture.start("300");
        child.kill().expect("a signal that cannot be caught");
        child.wait().expect("the program ends");
        let is_running = || {
            let found = Command::new("pgrep").args(["-x", "-f", "sleep 300"]).output().expect("pgrep starts");
            found.status.success()
        };
        assert!(is_running(), "{engine}: the container goes on");
        let listed = fixture.command(&["cleanup", "--dry-run", "--format", "json"]).ok().json();
        assert_eq!(listed["runs"][0]["engine"], engine, "{listed}");
        let removed = fixture.command(&["cleanup", "--format", "json"]).ok().json();
        assert_eq!(removed["runs"].as_array().map(Vec::len), Some(1), "{removed}");
        assert!(!is_running(), "{engine}: the container still goes on");
        fixture.check_nothing_left();
        assert_eq!(fixture.command(&["cleanup", "--format", "json"]).ok().json()["runs"], json!([]));
    }
}

#[test]
fn a_base_is_kept_once_and_a_broken_one_is_made_anew() {
    let test = "running::kept::a_base_is_kept_once_and_a_broken_one_is_made_anew";
    if !available(test, &[Peer::Python, Peer::Busybox, Peer::Runc]) {
        return;
    }
    let mut fixture = RunFixture::new("runc", Wire::V3);
    // The bases of other tests are not these.
    fixture.variables.push(("DOCKER_HOST", "unix:///nowhere".to_owned()));
    let bases = || fixture.command(&["cache", "list", "--format", "json"]).ok().json()["bases"].clone();
    assert_eq!(bases(), json!([]));
    fixture.run(0, &[]).ok();
    let kept = bases();
    assert_eq!(kept.as_array().map(Vec::len), Some(1), "{kept}");
    let id = kept[0]["id"].as_str().expect("an id").replace(':', "-");
    let root = fixture.train.dir.path().join("XDG_CACHE_HOME/pht-oci/roots").join(id).join("rootfs");
    let shell = root.join("bin/busybox");
    let (good, evil) = (fs::read(&shell).expect("a shell"), b"#!/bin/false\n");
    fs::write(&shell, evil).expect("a changed base");
    fixture.run(1, &[]).ok();
    assert_eq!(fs::read(&shell).expect("a shell"), good, "the changed base is made anew");
    fixture.command(&["cache", "prune"]).ok();
    assert_eq!(bases(), json!([]));
}

#[test]
fn the_station_prepares_the_data_that_the_query_asks_for() {
    const USES: &str = "#!/bin/sh\ncat \"$TRAIN_DATA_PATH/found\" > /opt/pht_results/found\n\
                        echo x > \"$TRAIN_DATA_PATH/new\" && echo 'the data can be written'\nexit 0\n";
    let test = "running::kept::the_station_prepares_the_data_that_the_query_asks_for";
    if !available(test, &[Peer::Python, Peer::Busybox, Peer::Runc, Peer::Podman]) {
        return;
    }
    for engine in ["runc", "podman"] {
        let fixture = RunFixture::with(engine, Wire::V3, USES, &json!({}));
        let fetch = "umask 077; { cat \"$PHT_QUERY\"; echo \"for $PHT_TRAIN_ID\"; } > \"$PHT_DATA/found\"; stat -c %a \"$PHT_DATA\" \"$PHT_QUERY\"";
        fixture.run(0, &["--prepare", fetch]).ok();
        let log = fs::read_to_string(fixture.log()).expect("a log");
        assert!(log.starts_with("700\n600\n") && !log.contains("can be written"), "{engine}: {log}");
        let found = fixture.result("found");
        assert!(found.contains("query") && found.contains("for "), "{engine}: {found}");
        let error = fixture.run(1, &["--prepare", "echo no data; exit 3"]).refused(1).stderr;
        assert!(error.contains("prepares the data failed") && error.contains('3'), "{engine}: {error}");
        fixture.check_nothing_left();
    }
}

#[test]
fn a_disk_that_was_full_while_the_train_ran_is_told() {
    const FILLS: &str = "#!/bin/sh\ncat /dev/zero > /opt/pht_results/zeros 2>/dev/null\nexit 0\n";
    if !available("running::kept::a_disk_that_was_full_while_the_train_ran_is_told", &[Peer::Busybox, Peer::Runc]) {
        return;
    }
    let fixture = RunFixture::with("runc", Wire::V3, FILLS, &json!({}));
    let disk = Disk::new(fixture.train.dir.path().join("disk"));
    disk.resize(8 << 20);
    let target = format!("oci:{}/out", disk.dir().display());
    let said = fixture.run(0, &[&target, "--hold"]).refused(7).stderr;
    assert!(said.contains("no space is left where the train has written its results"), "{said}");
    // Each command of the hint has what was given here, and stands on a line of its own.
    let key = format!("--private-key={}", fixture.train.key(&fixture.train.station_id(0)));
    let has_key = |line: &&&str| line.contains(&key);
    let commands: Vec<&str> = said.lines().filter(|line| line.starts_with("  pht-oci ")).collect();
    assert_eq!((commands.len(), commands.iter().filter(has_key).count()), (4, 2), "{said}");
}
