//! Files that shrink while they are read.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::crashes::fixture::{CASES, Case, CrashFixture, Trial, end, send, until_written};
use support::tree::{differences, snapshot};
use support::{Peer, Wire, available};

/// The largest file below a directory, relative to it, and its size.
fn largest(dir: &Path) -> (PathBuf, u64) {
    let mut found = (PathBuf::new(), 0);
    for path in snapshot(dir).into_keys() {
        let status = fs::symlink_metadata(dir.join(&path)).expect("it is there");
        if status.is_file() && status.len() > found.1 {
            found = (path, status.len());
        }
    }
    found
}

/// Cuts the file in the midst of the stage; the exit status and what was said, or nothing if that came too late.
fn cut(trial: &Trial, path: &Path, size: u64) -> Option<(Option<i32>, String)> {
    let child = trial.start(&[]);
    let in_time = until_written(&child, size / 8);
    send(&child, Signal::STOP);
    File::options().write(true).open(path).and_then(|file| file.set_len(size / 4)).expect("it can be cut");
    send(&child, Signal::CONT);
    let (status, message) = end(child);
    (in_time && status != Some(0)).then_some((status, message))
}

fn check(fixture: &CrashFixture, case: Case) {
    // Where the results are beside the image they are what is read longest.
    let below = if case.results && case.stage == "post-run" { "results" } else { "" };
    for _ in 0..20 {
        let trial = fixture.trial(case, &fixture.scratch());
        let (name, size) = largest(&trial.dir.join(below));
        let path = Path::new(below).join(name);
        let Some((status, message)) = cut(&trial, &trial.dir.join(&path), size) else { continue };
        assert!(matches!(status, Some(1 | 3 | 5)), "{case:?} ended with {status:?}: {message}");
        assert!(!message.contains("panicked"), "{message}");
        let changes = differences(&trial.before, &snapshot(&trial.dir), true);
        let others: Vec<&String> =
            changes.iter().filter(|message| !message.starts_with(&*path.to_string_lossy())).collect();
        assert!(others.is_empty(), "{case:?} changed {others:?}");
        return;
    }
    panic!("{case:?}: the file was always cut too late");
}

#[test]
fn a_file_that_shrinks_while_it_is_read_is_an_error() {
    if available("crashes::a_file_that_shrinks_while_it_is_read_is_an_error", &[Peer::Python, Peer::Skopeo]) {
        let fixture = CrashFixture::new(Wire::V3, 32 << 20);
        CASES.into_iter().for_each(|case| check(&fixture, case));
    }
}
