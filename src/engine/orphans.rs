//! What a run that was killed has left running: a client of its engine that is on its way to make or to start a container.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long such a client may take to end by itself, and how long one may take to end that was killed.
const PATIENCE: Duration = Duration::from_secs(30);
/// The time between two looks.
const LOOKS: Duration = Duration::from_millis(20);

/// Waits until no process is left that has all these words among its arguments: a client that is killed while it makes a
/// container may leave one that its engine knows half. One that does not end is killed.
pub(super) fn wait_for(words: &[&str]) {
    if !gone(words) {
        end(words);
    }
}

/// Kills every process that has all these words among its arguments, and waits until it has ended.
pub(super) fn end(words: &[&str]) {
    for pid in running(words) {
        let _ = kill_process(pid, Signal::KILL);
    }
    gone(words);
}

fn gone(words: &[&str]) -> bool {
    let begin = Instant::now();
    while !running(words).is_empty() {
        if begin.elapsed() >= PATIENCE {
            return false;
        }
        thread::sleep(LOOKS);
    }
    true
}

/// The processes with these words among their arguments. Those that have ended have none any more.
fn running(words: &[&str]) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let matches = |number: &i32| {
        let line = fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
        let arguments: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        words.iter().all(|word| arguments.contains(&word.as_bytes()))
    };
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    numbers.filter(matches).filter_map(Pid::from_raw).collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn what_runs_is_waited_for_or_ended() {
        // Its arguments can be read a moment after it has been started.
        let start = |seconds: &str| {
            let child = Command::new("sleep").args(["0.0625", seconds]).spawn().unwrap();
            while running(&["0.0625", seconds]).is_empty() {
                thread::yield_now();
            }
            child
        };
        // `sleep` adds its arguments up; the second tells this one from every other.
        let mut short = start("1.21875");
        wait_for(&["0.0625", "1.21875"]);
        assert!(short.try_wait().unwrap().is_some_and(|status| status.success()), "it was waited for");
        let mut long = start("300.21875");
        end(&["0.0625", "300.21875"]);
        assert!(long.try_wait().unwrap().is_some_and(|status| !status.success()), "it was killed");
    }
}
