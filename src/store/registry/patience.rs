use std::time::Duration;

use crate::crypto::random;
use crate::error::{Error, Result};

/// How often the same thing is tried again.
const RETRIES: u32 = 5;
/// The first pause; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(200);
/// The longest pause that a registry may ask for.
const LONGEST: Duration = Duration::from_secs(120);

/// Waits between attempts: exponentially longer, with jitter so that many stations do not come back at once, or as long
/// as the registry says.
#[derive(Debug, Default)]
pub(super) struct Patience {
    failures: u32,
}

impl Patience {
    /// Waits after a failure; gives the error back when it was the last attempt.
    pub(super) fn wait(&mut self, error: Error, asked: Option<Duration>) -> Result<()> {
        if self.failures == RETRIES {
            return Err(error);
        }
        let pause = asked.map_or_else(|| jittered(PAUSE * 2_u32.pow(self.failures)), Ok)?;
        self.failures += 1;
        tracing::info!("{error}; trying again in {:.1} s", pause.as_secs_f64());
        std::thread::sleep(pause.min(LONGEST));
        Ok(())
    }

    /// Something went well: the next failure is a first one.
    pub(super) fn restore(&mut self) {
        self.failures = 0;
    }
}

/// Between half and the whole of a pause and a half.
fn jittered(pause: Duration) -> Result<Duration> {
    let [random] = random::bytes::<1>()?;
    Ok(pause / 2 + pause.mul_f64(f64::from(random) / 256.0))
}
