//! How long a train has run, told now and then: often in the beginning, when a person waits, and seldom in a run of days,
//! whose log somebody reads.

use std::cell::Cell;
use std::time::Duration;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
/// The times at which it is told, in seconds; then every hour.
const TIMES: [u64; 9] = [10, 30, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 20 * MINUTE, 30 * MINUTE, HOUR];

/// What has been told so far of one run.
#[derive(Debug, Default)]
pub(super) struct RunningTime {
    told: Cell<u64>,
}

impl RunningTime {
    /// What is to be told after so long, if anything.
    pub(super) fn due(&self, elapsed: Duration) -> Option<String> {
        let seconds = elapsed.as_secs();
        let hours = Some(seconds / HOUR * HOUR).filter(|hours| *hours > 0);
        let last = hours.max(TIMES.into_iter().rev().find(|time| *time <= seconds))?;
        if last <= self.told.replace(last) {
            return None;
        }
        Some(format!("the train has run for {}", shown(last)))
    }
}

fn shown(seconds: u64) -> String {
    match seconds {
        ..MINUTE => format!("{seconds} s"),
        MINUTE..HOUR => format!("{} min", seconds / MINUTE),
        _ => format!("{} h", seconds / HOUR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_seldom_and_each_time_once() {
        let time = RunningTime::default();
        let told: Vec<String> = (0..3 * HOUR + 5).filter_map(|second| time.due(Duration::from_secs(second))).collect();
        let times = ["10 s", "30 s", "1 min", "2 min", "5 min", "10 min", "20 min", "30 min", "1 h", "2 h", "3 h"];
        assert_eq!(told, times.map(|time| format!("the train has run for {time}")));
        // Where nobody has looked for a while, what was missed is not made up for.
        let time = RunningTime::default();
        assert_eq!(time.due(Duration::from_secs(400)).as_deref(), Some("the train has run for 5 min"));
        assert_eq!(time.due(Duration::from_secs(401)), None);
        assert_eq!(time.due(Duration::from_secs(30 * HOUR + 1)).as_deref(), Some("the train has run for 30 h"));
    }
}
