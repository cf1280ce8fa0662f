//! Signals that ask the program to end, and writers that wait for each other.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, FlockOperation, Mode, flock, mknodat};
use rustix::process::Signal;

use crate::crashes::fixture::{CASES, CrashFixture, end, send, until_written};
use support::tree::{differences, snapshot};
use support::{Implementation, Peer, Train, TrainSpec, Wire, available, utf8};

/// Pre-run of the first stop in place, started and not waited for.
fn start(train: &Train, more: &[&str]) -> Child {
    let station = train.station_id(0);
    let mut command = Command::new(support::program());
    command.args(["pre-run", &train.layout.at("0"), "--station", &station, "--private-key", &train.key(&station)]);
    command.args(more).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn().expect("the program starts")
}

fn train() -> Train {
    Train::build(Implementation::Ours, Wire::V3, &TrainSpec::default()).unwrap_or_else(|message| panic!("{message}"))
}

/// Another writer, as far as a layout can tell.
fn occupy(layout: &Path) -> File {
    let lock = File::open(layout).expect("a layout");
    flock(&lock, FlockOperation::LockExclusive).expect("nobody else has it");
    lock
}

/// Waits until the process has caught its signals (`SigCgt` of /proc/PID/status), which it does before all else.
fn until_signals_are_caught(child: &Child) {
    let begin = Instant::now();
    let caught = || {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).expect("the process is there");
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).map(str::trim).expect("a mask");
        u64::from_str_radix(mask, 16).expect("hexadecimal") & 1 << 14 != 0
    };
    while !caught() {
        assert!(begin.elapsed() < Duration::from_secs(60), "the program does not catch SIGTERM");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_signal_ends_a_waiting_writer_and_nothing_has_changed() {
    if !available("crashes::a_signal_ends_a_waiting_writer_and_nothing_has_changed", &[Peer::Python]) {
        return;
    }
    let train = train();
    let before = snapshot(&train.layout.dir);
    let _lock = occupy(&train.layout.dir);
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let child = start(&train, &[]);
        until_signals_are_caught(&child);
        std::thread::sleep(Duration::from_millis(100));
        send(&child, signal);
        let (found, message) = end(child);
        assert_eq!(found, Some(status), "{message}");
        assert!(message.contains("interrupted") && message.contains("nothing was published"), "{message}");
        assert_eq!(snapshot(&train.layout.dir), before);
    }
}

#[test]
fn the_second_writer_waits_and_says_so_or_fails_at_once() {
    if !available("crashes::the_second_writer_waits_and_says_so_or_fails_at_once", &[Peer::Python]) {
        return;
    }
    let train = train();
    let before = snapshot(&train.layout.dir);
    let lock = occupy(&train.layout.dir);
    let (found, message) = end(start(&train, &["--no-wait"]));
    assert_eq!(found, Some(1), "{message}");
    assert!(message.contains("another process is writing") && message.contains("hint"), "{message}");
    assert_eq!(snapshot(&train.layout.dir), before);
    let mut child = start(&train, &[]);
    std::thread::sleep(Duration::from_millis(500));
    assert!(child.try_wait().expect("its state").is_none(), "it does not wait");
    assert_eq!(snapshot(&train.layout.dir), before);
    drop(lock);
    let (found, message) = end(child);
    assert_eq!(found, Some(0), "{message}");
    assert!(message.contains("waiting for it"), "{message}");
    assert_ne!(snapshot(&train.layout.dir), before);
}

#[test]
fn a_signal_amid_the_payload_changes_nothing() {
    if !available("crashes::a_signal_amid_the_payload_changes_nothing", &[Peer::Python, Peer::Skopeo]) {
        return;
    }
    let fixture = CrashFixture::new(Wire::V3, 32 << 20);
    for (number, case) in CASES.into_iter().enumerate() {
        let (signal, status) = [(Signal::INT, 130), (Signal::TERM, 143)][number / 2 % 2];
        let in_time = (0..20).any(|_| {
            let trial = fixture.trial(case, &fixture.scratch());
            let child = trial.start(&[]);
            if until_written(&child, 4 << 20) {
                send(&child, signal);
            }
            let (found, message) = end(child);
            if found == Some(0) {
                return false; // too late: it was publishing already
            }
            assert_eq!(found, Some(status), "{case:?}: {message}");
            assert!(
                message.contains("interrupted") && message.contains("nothing was published"),
                "{case:?}: {message}"
            );
            let changes = differences(&trial.before, &snapshot(&trial.dir), true);
            assert!(changes.is_empty(), "{case:?}: {changes:?}");
            true
        });
        assert!(in_time, "{case:?}: the signal always came too late");
    }
}

#[test]
fn a_second_signal_ends_the_program_at_once() {
    if !available("crashes::a_second_signal_ends_the_program_at_once", &[Peer::Python]) {
        return;
    }
    let train = train();
    let before = snapshot(&train.layout.dir);
    // Nobody ever writes the passphrase: the program waits where no flag is looked at.
    let passphrase = train.dir.path().join("never");
    mknodat(CWD, &passphrase, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a new pipe");
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let mut child = start(&train, &["--passphrase-file", utf8(&passphrase)]);
        until_signals_are_caught(&child);
        std::thread::sleep(Duration::from_millis(100));
        send(&child, signal);
        std::thread::sleep(Duration::from_millis(200));
        assert!(child.try_wait().expect("its state").is_none(), "the first signal has ended it");
        let begin = Instant::now();
        send(&child, signal);
        let (found, message) = end(child);
        assert_eq!(found, Some(status), "{message}");
        assert!(begin.elapsed() < Duration::from_secs(5), "it took {:?}", begin.elapsed());
        assert_eq!(snapshot(&train.layout.dir), before);
    }
}
