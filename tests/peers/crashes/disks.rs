//! A disk that is full, or that cannot be written to.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::statvfs;

use crate::crashes::fixture::{CASES, Case, CrashFixture, Trial, end};
use crate::crashes::kills::Undisturbed;
use crate::crashes::number;
use support::tree::{differences, snapshot};
use support::{Peer, Wire, available, run, utf8};

/// More than any trial needs, in bytes.
const LARGE: u64 = 256 << 20;
/// How coarse the sizes of these disks are, in bytes.
const PAGE: u64 = 4096;

/// A disk of a size of choice (tmpfs), for as long as this lives.
pub struct Disk(PathBuf);

impl Disk {
    pub fn new(dir: PathBuf) -> Self {
        fs::create_dir_all(&dir).expect("a new directory");
        run("mount", &["-t", "tmpfs", "-o", &format!("size={LARGE},mode=0700"), "tmpfs", utf8(&dir)]).expect("root");
        Disk(dir)
    }

    fn remount(&self, options: &str) {
        run("mount", &["-o", &format!("remount,{options}"), utf8(&self.0)]).expect("it can be mounted again");
    }

    pub fn dir(&self) -> &Path {
        &self.0
    }

    pub fn resize(&self, bytes: u64) {
        self.remount(&format!("size={}", bytes.next_multiple_of(PAGE)));
    }

    fn used(&self) -> u64 {
        let found = statvfs(&self.0).expect("a file system");
        (found.f_blocks - found.f_bfree) * found.f_frsize
    }

    /// The most that the stage needs besides what is there at its beginning, in bytes.
    fn need(&self, fixture: &CrashFixture, case: Case) -> u64 {
        let trial = fixture.trial(case, &self.0);
        let (before, mut most, mut child) = (self.used(), 0, trial.start(&[]));
        while child.try_wait().expect("its state").is_none() {
            most = most.max(self.used());
        }
        assert_eq!(end(child).0, Some(0), "{case:?} with room");
        most - before
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = run("umount", &["--lazy", utf8(&self.0)]);
    }
}

/// Runs into the limit, then again without; whether there was a limit at all.
fn fill(trial: &Trial, disk: &Disk, room: u64, undisturbed: &Undisturbed) -> Result<bool, String> {
    disk.resize(disk.used() + room);
    let (status, message) = trial.run();
    disk.resize(LARGE);
    let full = status != Some(0);
    if full {
        let changes = differences(&trial.before, &snapshot(&disk.0), true);
        // Where the program knows beforehand what it needs, it does not begin.
        let printed = message.contains("No space left") || message.contains(" are needed and ");
        if status != Some(1) || !printed || !changes.is_empty() {
            return Err(format!("ended with {status:?}: {message}\n  and changed {changes:?}"));
        }
        let (status, message) = trial.run();
        if status != Some(0) {
            return Err(format!("with room again it ended with {status:?}: {message}"));
        }
    }
    if !trial.is_new()? {
        return Err("ended well, and the old image is there".to_owned());
    }
    match trial.shape() == undisturbed.shape {
        true => Ok(full),
        false => Err(format!("left {:?}, not {:?}", trial.shape(), undisturbed.shape)),
    }
}

#[test]
fn a_full_disk_changes_nothing() {
    if !available("crashes::a_full_disk_changes_nothing", &[Peer::Root, Peer::Python, Peer::Skopeo]) {
        return;
    }
    let sizes = u64::from(number("PHT_DISKS", 2));
    let fixture = CrashFixture::new(Wire::V3, 6 << 20);
    let disk = Disk::new(fixture.scratch());
    let (mut full, mut fitted, mut failures) = (0, 0, Vec::new());
    for case in CASES {
        let undisturbed = Undisturbed::of(&fixture.trial(case, &disk.0));
        let need = disk.need(&fixture, case);
        for step in 0..sizes {
            let room = need * step / sizes;
            match fill(&fixture.trial(case, &disk.0), &disk, room, &undisturbed) {
                Ok(true) => full += 1,
                Ok(false) => fitted += 1,
                Err(message) => failures.push(format!("{} of {}, {room} bytes: {message}", case.stage, case.name)),
            }
        }
    }
    println!(
        "full disks: {full} of {sizes} sizes for each of {} cases, {fitted} fitted, {} failures",
        CASES.len(),
        failures.len()
    );
    assert!(failures.is_empty(), "{failures:#?}");
    assert!(full > fitted, "{full} disks were full and {fitted} were not: this test tests little");
}

#[test]
fn a_disk_that_cannot_be_written_to_is_an_error() {
    if !available("crashes::a_disk_that_cannot_be_written_to_is_an_error", &[Peer::Root, Peer::Python, Peer::Skopeo]) {
        return;
    }
    let fixture = CrashFixture::new(Wire::V3, 64 << 10);
    let disk = Disk::new(fixture.scratch());
    for case in CASES {
        let trial = fixture.trial(case, &disk.0);
        disk.remount("ro");
        let (status, message) = trial.run();
        assert_eq!(status, Some(1), "{case:?}: {message}");
        assert!(
            message.contains("Read-only file system") && message.contains(utf8(Path::new(&disk.0))),
            "{case:?}: {message}"
        );
        assert_eq!(snapshot(&disk.0), trial.before, "{case:?}");
        disk.remount("rw");
    }
}
