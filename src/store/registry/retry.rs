use std::time::Duration;

use reqwest::header::{DATE, HeaderName, RETRY_AFTER};
use reqwest::{StatusCode, header::HeaderMap};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::transport::Response;
use crate::crypto::random;
use crate::error::{Error, Result};
use crate::store::interrupt;
use crate::text::counted;

/// The number of times that a request is repeated.
const RETRIES: u32 = 5;
/// The first pause; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(200);
/// The longest pause that a registry may ask for: whoever wants to be left alone for hours is.
const LONGEST: Duration = Duration::from_secs(300);
/// A pause as long as this is told to the person, who else would see nothing happen.
const TOLD: Duration = Duration::from_millis(1500);
/// The interval at which a pause looks for an interrupt.
const BEAT: Duration = Duration::from_millis(100);

/// Waits between attempts: exponentially longer, with jitter so that many stations do not come back at once, or as long
/// as the registry says.
#[derive(Debug)]
pub(super) struct RetryPolicy {
    failures: u32,
    most: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy::times(RETRIES)
    }
}

impl RetryPolicy {
    /// For a request that is repeated so often, at most.
    pub(super) fn times(most: u32) -> Self {
        RetryPolicy { failures: 0, most }
    }

    /// Waits after a failure; gives the error back when it was the last attempt, or when the registry wants to be asked
    /// again only after so long that nobody would wait.
    pub(super) fn wait(&mut self, error: Error, asked: Option<Duration>) -> Result<()> {
        if let Some(asked) = asked.filter(|asked| *asked > LONGEST) {
            return Err(error.hint(format!("the registry asks to be left alone for {}; try again then", told(asked))));
        }
        if self.failures == self.most {
            return Err(error);
        }
        let pause = asked.map_or_else(|| jittered(PAUSE * 2_u32.pow(self.failures)), Ok)?;
        self.failures += 1;
        if pause >= TOLD {
            tracing::warn!("{error}; trying again in {:.0} s", pause.as_secs_f64());
        } else {
            tracing::info!("{error}; trying again in {:.1} s", pause.as_secs_f64());
        }
        let mut left = pause;
        while !left.is_zero() {
            interrupt::check()?;
            let beat = left.min(BEAT);
            std::thread::sleep(beat);
            left -= beat;
        }
        interrupt::check()
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

/// A long pause in words.
fn told(pause: Duration) -> String {
    let minutes = pause.as_secs().div_ceil(60);
    if minutes < 120 { counted(minutes, "minute") } else { counted(minutes.div_ceil(60), "hour") }
}

/// True if the error may pass soon. What a server has no code for, it will not have soon.
pub(super) fn is_passing(status: StatusCode) -> bool {
    let lacking =
        [StatusCode::NOT_IMPLEMENTED, StatusCode::HTTP_VERSION_NOT_SUPPORTED, StatusCode::INSUFFICIENT_STORAGE];
    (status.is_server_error() && !lacking.contains(&status))
        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
}

/// When the registry wants to be asked again.
pub(super) fn asked_pause(response: &Response) -> Option<Duration> {
    retry_after(response.headers())
}

/// `Retry-After` is seconds or a date (RFC 9110, section 10.2.3). A date counts from the answer's own, so that clocks
/// that differ do no harm.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let asked = text(RETRY_AFTER)?;
    if let Ok(seconds) = asked.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |text: &str| OffsetDateTime::parse(text, &Rfc2822).ok();
    // A date that has passed is no pause at all.
    Some((date(asked)? - date(text(DATE)?)?).try_into().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_hours() {
        for (asked, words) in [(301, "6 minutes"), (21_600, "6 hours"), (u64::MAX, "hours")] {
            let error = Error::new(crate::error::Kind::Registry, "429");
            let error = RetryPolicy::default().wait(error, Some(Duration::from_secs(asked))).unwrap_err();
            assert!(error.advice().and_then(|advice| advice.as_text()).unwrap().contains(words), "{asked}");
        }
    }

    #[test]
    fn reads_seconds_and_dates() {
        let now = "Sun, 06 Nov 1994 08:49:37 GMT";
        for (asked, date, pause) in [
            ("7", None, Some(7)),
            (" 0 ", Some(now), Some(0)),
            ("Sun, 06 Nov 1994 08:51:07 GMT", Some(now), Some(90)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(now), Some(0)),
            ("Sun, 06 Nov 1994 08:51:07 GMT", None, None),
            ("soon", Some(now), None),
            ("-1", Some(now), None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, asked.parse().unwrap());
            if let Some(date) = date {
                headers.insert(DATE, date.parse().unwrap());
            }
            assert_eq!(retry_after(&headers), pause.map(Duration::from_secs), "{asked:?}, sent {date:?}");
        }
    }
}
