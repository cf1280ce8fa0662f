//! `kill -9` at a random moment.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::crashes::fixture::{CASES, CrashFixture, Trial, end, send};
use crate::crashes::number;
use support::{Peer, Wire, available};

/// How the trials went.
#[derive(Debug, Default)]
struct Tally {
    kills: u32,
    old: u32,
    new: u32,
    late: u32,
    damaged: Vec<String>,
    leftovers: Vec<String>,
    plaintext: Vec<String>,
}

impl Tally {
    /// Kills the stage after this time, looks, runs it again, looks again.
    fn kill(&mut self, trial: &Trial, after: Duration, undisturbed: &Undisturbed) {
        let name = format!("{} of {} killed after {after:?}", trial.case.stage, trial.case.name);
        let child = trial.start(&[]);
        std::thread::sleep(after);
        send(&child, Signal::KILL);
        let killed = end(child).0.is_none();
        self.kills += 1;
        let new = match trial.is_new() {
            Ok(new) => new,
            Err(message) => return self.damaged.push(format!("{name}: {message}")),
        };
        *match (killed, new) {
            (false, _) => &mut self.late,
            (true, true) => &mut self.new,
            (true, false) => &mut self.old,
        } += 1;
        let (status, message) = trial.run();
        // Where the new image is there already, a second post-run has nothing to do, and pre-run finds its results.
        let fits = if new { matches!(status, Some(0 | 2 | 3)) } else { status == Some(0) };
        match trial.is_new() {
            Ok(true) if fits => {}
            state => self.damaged.push(format!("{name}: again ended with {status:?}, new: {state:?}: {message}")),
        }
        if trial.shape() != undisturbed.shape {
            self.leftovers.push(format!("{name}: {:?}, not {:?}", trial.shape(), undisturbed.shape));
        }
        if trial.case.stage == "post-run" {
            self.plaintext.extend(trial.plaintext().iter().map(|file| format!("{name}: {file}")));
        }
    }
}

/// How the stage goes when nobody disturbs it.
pub struct Undisturbed {
    pub took: Duration,
    pub shape: BTreeMap<String, usize>,
}

impl Undisturbed {
    pub fn of(trial: &Trial) -> Self {
        let case = trial.case;
        if case.stage == "post-run" && case.destination.is_none() {
            assert!(!trial.plaintext().is_empty(), "{case:?}: before post-run there is plaintext to be found");
        }
        let begin = Instant::now();
        let (status, message) = trial.run();
        let took = begin.elapsed();
        assert_eq!(status, Some(0), "{case:?}: {message}");
        assert_eq!(trial.is_new(), Ok(true), "{case:?}");
        Undisturbed { took, shape: trial.shape() }
    }
}

#[test]
fn a_killed_stage_leaves_the_old_image_or_the_new_one_and_nothing_after_the_next_run() {
    let test = "crashes::a_killed_stage_leaves_the_old_image_or_the_new_one_and_nothing_after_the_next_run";
    if !available(test, &[Peer::Python, Peer::Skopeo]) {
        return;
    }
    let kills = number("PHT_KILLS", 20);
    let fixture = CrashFixture::new(Wire::V3, 6 << 20);
    let mut tally = Tally::default();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let cases = u32::try_from(CASES.len()).expect("a few");
    for (number, case) in (0..).zip(CASES) {
        let undisturbed = Undisturbed::of(&fixture.trial(case, &fixture.scratch()));
        for _ in 0..kills / cases + u32::from(number < kills % cases) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let share = f64::from(u32::try_from(state % 1000).expect("small")) / 1000.0;
            let trial = fixture.trial(case, &fixture.scratch());
            tally.kill(&trial, undisturbed.took.mul_f64(share), &undisturbed);
        }
    }
    let Tally { kills, old, new, late, damaged, leftovers, plaintext } = &tally;
    println!(
        "kills: {kills} over {cases} cases: {old} left the old image, {new} the new one, {late} came too late; \
         {} damaged, {} leftovers after the next run, {} files with plaintext after post-run",
        damaged.len(),
        leftovers.len(),
        plaintext.len()
    );
    let failures: Vec<&String> = [damaged, leftovers, plaintext].into_iter().flatten().collect();
    assert!(failures.is_empty(), "{failures:#?}");
}
