//! `kill -9` of `run` at a random moment, with each engine: the next run, or `cleanup`, leaves nothing of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use support::tree::{MARKER, copy};
use support::{Peer, Wire, available, utf8};

use crate::crashes::fixture::{end, send};
use crate::crashes::number;
use crate::running::fixture::{RunFixture, TRAIN_MARKER};
use crate::running::ordinary::Ordinary;

/// How the trials went.
#[derive(Debug, Default)]
struct Tally {
    old: u32,
    new: u32,
    late: u32,
    damaged: Vec<String>,
    running: Vec<String>,
    plaintext: Vec<String>,
}

/// A train that is run and killed again and again, from the same beginning.
struct Killing {
    fixture: RunFixture,
    user: Option<Ordinary>,
    template: PathBuf,
    /// A variable of the train, by which its processes are known.
    mark: String,
}

impl Killing {
    fn new(engine: &'static str) -> Self {
        let mut fixture = RunFixture::new(engine, Wire::V3);
        let dir = fixture.train.dir.path().to_owned();
        let (template, temporary) = (dir.join("template"), dir.join("tmp"));
        copy(&fixture.layout.dir, &template);
        fs::create_dir(&temporary).expect("a new directory");
        fixture.variables.push(("TMPDIR", utf8(&temporary).to_owned()));
        let user = (engine == "charliecloud").then(|| Ordinary::new(&fixture));
        let mark = format!("MARK={}", dir.file_name().expect("a name").display());
        Killing { fixture, user, template, mark }
    }

    /// The train as it came.
    fn restore(&self) {
        let _ = fs::remove_dir_all(&self.fixture.layout.dir);
        let _ = fs::remove_file(self.fixture.log());
        copy(&self.template, &self.fixture.layout.dir);
        if let Some(user) = &self.user {
            user.own(self.fixture.place());
        }
    }

    fn command(&self, line: &[String]) -> Command {
        let mut command = match &self.user {
            Some(user) => user.command(&self.fixture, line),
            None => {
                let mut command = Command::new(support::program());
                command.args(line).envs(self.fixture.variables.clone());
                command
            }
        };
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    fn run(&self) -> Command {
        self.command(&self.fixture.line(0, &["--env", &self.mark]))
    }

    /// Another command to its end: its exit status and what it said.
    fn call(&self, line: &[&str]) -> (Option<i32>, String) {
        let line: Vec<String> = line.iter().map(|&part| part.to_owned()).collect();
        end(self.command(&line).spawn().expect("the program starts"))
    }

    /// The digest of the train where it lies, which must be whole.
    fn digest(&self) -> Result<String, String> {
        let path = self.fixture.layout.path();
        let (status, message) = self.call(&["verify", path, "--quiet"]);
        if status != Some(0) {
            return Err(format!("verify ended with {status:?}: {message}"));
        }
        Ok(self.fixture.layout.image("0")["descriptor"]["digest"].to_string())
    }

    /// The processes that the run has started and that go on, by what is in their arguments or their environment.
    fn processes(&self, word: &str) -> Vec<Pid> {
        let entries = fs::read_dir("/proc").expect("processes").flatten();
        let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let is_ours = |number: &i32| {
            ["cmdline", "environ"].iter().any(|file| {
                let text = fs::read(format!("/proc/{number}/{file}")).unwrap_or_default();
                String::from_utf8_lossy(&text).contains(word)
            })
        };
        numbers.filter(is_ours).filter_map(Pid::from_raw).collect()
    }

    /// Kills it after this time, in some trials with the clients of its engine, and looks; then again after the next run, or
    /// after `cleanup`.
    fn kill(&self, trial: u32, after: Duration, before: &str, tally: &mut Tally) {
        let (all, next) = ((trial / 2 + trial) % 2 == 1, trial.is_multiple_of(2));
        let with = if all { " with its clients" } else { "" };
        let then = if next { "run" } else { "cleanup" };
        let name = format!("{}{with}, killed after {after:?}, then {then}", self.fixture.engine);
        self.restore();
        let child = self.run().spawn().expect("the program starts");
        std::thread::sleep(after);
        send(&child, Signal::KILL);
        if all {
            for pid in self.processes(&self.fixture.own_name()) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        let killed = end(child).0.is_none();
        let new = match self.digest() {
            Ok(digest) => digest != before,
            Err(message) => return tally.damaged.push(format!("{name}: {message}")),
        };
        *match (killed, new) {
            (false, _) => &mut tally.late,
            (true, true) => &mut tally.new,
            (true, false) => &mut tally.old,
        } += 1;
        let (status, message) = match next {
            true => end(self.run().spawn().expect("the program starts")),
            false => self.call(&["cleanup"]),
        };
        // A train that was closed is no longer at this station.
        let fits = status == Some(0) || next && new && matches!(status, Some(2 | 3));
        if !fits {
            tally.damaged.push(format!("{name}: it ended with {status:?}: {message}"));
        }
        if let Err(message) = self.digest() {
            tally.damaged.push(format!("{name}, afterwards: {message}"));
        }
        let going_on = [self.processes(&self.mark), self.processes(&self.fixture.own_name())].concat();
        if !going_on.is_empty() {
            tally.running.push(format!("{name}: the processes {going_on:?} go on"));
        }
        let containers = self.fixture.with_engine();
        if !containers.is_empty() {
            tally.running.push(format!("{name}: {containers} is with the engine"));
        }
        tally.plaintext.extend(self.plaintext().into_iter().map(|place| format!("{name}: {place}")));
    }

    /// Where plaintext lies, or may: a directory of a run.
    fn plaintext(&self) -> Vec<String> {
        let dir = self.fixture.train.dir.path();
        let mut found = Vec::new();
        for top in ["place", "tmp", "engine", "XDG_CACHE_HOME", "XDG_STATE_HOME"] {
            search(&dir.join(top), &mut found);
        }
        let blobs = [MARKER, TRAIN_MARKER].map(|marker| self.fixture.layout.search(marker)).concat();
        found.extend(blobs.iter().map(ToString::to_string));
        found
    }
}

/// What has a marker in it below a directory, or the name of what holds plaintext.
fn search(dir: &Path, found: &mut Vec<String>) {
    for path in fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // The register has only their names.
        if name.contains("pht-oci-run-") || name.contains("pht-oci-closed-") {
            found.push(path.display().to_string());
        }
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            search(&path, found);
        } else if path.is_file() {
            let bytes = fs::read(&path).unwrap_or_default();
            let has = |marker: &str| bytes.windows(marker.len()).any(|part| part == marker.as_bytes());
            if has(MARKER) || has(TRAIN_MARKER) {
                found.push(path.display().to_string());
            }
        }
    }
}

fn kills(test: &str, engine: &'static str, peer: Peer) {
    let user: &[Peer] = if engine == "charliecloud" { &[Peer::Namespaces] } else { &[] };
    if !available(test, &[&[Peer::Python, Peer::Busybox, Peer::Root, peer], user].concat()) {
        return;
    }
    let number = number("PHT_RUN_KILLS", 2);
    let killing = Killing::new(engine);
    let before = killing.digest().expect("a train");
    let mut took = Duration::ZERO;
    // The second time the base is there.
    for _ in 0..2 {
        killing.restore();
        let begin = Instant::now();
        let (status, message) = end(killing.run().spawn().expect("the program starts"));
        assert_eq!(status, Some(0), "{engine}: {message}");
        took = begin.elapsed();
        assert_ne!(killing.digest().expect("a train"), before);
    }
    let (mut tally, mut state) = (Tally::default(), 0x9e37_79b9_7f4a_7c15_u64 ^ u64::from(std::process::id()));
    for trial in 0..number {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let share = f64::from(u32::try_from(state % 1000).expect("small")) / 1000.0;
        killing.kill(trial, took.mul_f64(share), &before, &mut tally);
    }
    let Tally { old, new, late, damaged, running, plaintext } = &tally;
    println!(
        "runs killed with {engine}: {number}: {old} left the old image, {new} the new one, {late} came too late; {} \
         damaged, {} with containers or processes and {} with plaintext after the next run or cleanup",
        damaged.len(),
        running.len(),
        plaintext.len()
    );
    let failures: Vec<&String> = [damaged, running, plaintext].into_iter().flatten().collect();
    assert!(failures.is_empty(), "{failures:#?}");
    assert_eq!(killing.fixture.command(&["cleanup", "--dry-run", "--format", "json"]).ok().json()["runs"], json!([]));
}

#[test]
fn a_killed_run_with_podman_leaves_nothing_after_the_next_or_cleanup() {
    kills("crashes::runs::podman", "podman", Peer::Podman);
}

#[test]
fn a_killed_run_with_docker_leaves_nothing_after_the_next_or_cleanup() {
    kills("crashes::runs::docker", "docker", Peer::Docker);
}

#[test]
fn a_killed_run_with_runc_leaves_nothing_after_the_next_or_cleanup() {
    kills("crashes::runs::runc", "runc", Peer::Runc);
}

#[test]
fn a_killed_run_with_charliecloud_leaves_nothing_after_the_next_or_cleanup() {
    kills("crashes::runs::charliecloud", "charliecloud", Peer::Charliecloud);
}
