//! The options of the container that a train runs in.

use std::time::Duration;

use clap::Args;

use super::quantity::quantity;
use crate::engine::{Limits, RunOptions, SECRETS, Variable, Volume};
use crate::error::{Error, Result};
use crate::text::Printable;

/// The processes that a train may have without another limit.
const PIDS: u32 = 4096;

/// How long a train may run without another limit: one that hangs is not to hang for ever.
const TIMEOUT: &str = "7d";

/// How long a train may run; `None` for as long as it takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimeLimit(pub(super) Option<Duration>);

/// What the train gets, and what it may take.
#[derive(Debug, Args)]
pub(super) struct ContainerOptions {
    /// An environment variable for the train, with VALUE or its value here; repeat for more
    #[arg(long = "env", value_name = "KEY[=VALUE]", value_parser = variable)]
    pub(super) variables: Vec<Variable>,
    /// GPUs: for Docker the value of its --gpus, for Podman the devices nvidia.com/gpu=VALUE
    #[arg(long, value_name = "VALUE")]
    pub(super) gpus: Option<String>,
    /// Time limit of the train, as in 90s, 30m, 12h or 2d (a number alone: seconds); `none` for no limit
    #[arg(long, value_name = "DURATION", default_value = TIMEOUT, value_parser = time_limit)]
    pub(super) timeout: TimeLimit,
    /// Memory that the train may take, as in 512M or 8G [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(super) memory: Option<u64>,
    /// Processors that the train may take, as in 4 or 1.5 [default: no limit]
    #[arg(long, value_name = "NUMBER", value_parser = cpus)]
    pub(super) cpus: Option<f64>,
    /// Processes and threads that the train may have at once
    #[arg(long, value_name = "NUMBER", default_value_t = PIDS, value_parser = pids)]
    pub(super) pids: u32,
    /// The size that the results may have, as in 256M [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(super) results_limit: Option<u64>,
}

impl ContainerOptions {
    /// The same for an engine.
    pub(super) fn with_volumes(&self, volumes: &[Volume]) -> RunOptions {
        let mut limits = Limits::NONE;
        (limits.memory, limits.cpus, limits.pids) = (self.memory, self.cpus, Some(self.pids));
        RunOptions { volumes: volumes.to_vec(), variables: self.variables.clone(), gpus: self.gpus.clone(), limits }
    }
}

fn variable(text: &str) -> Result<Variable> {
    let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value.to_owned())));
    if name.is_empty() || name.contains('\0') {
        return Err(Error::usage("a variable has a name: KEY=VALUE or KEY"));
    }
    if SECRETS.contains(&name) {
        return Err(Error::usage("this variable is a secret of the station"));
    }
    let inherited = value.is_none();
    let value = match value {
        Some(value) => value,
        None => std::env::var(name)
            .map_err(|_| Error::usage(format!("`{}` is not set here; write KEY=VALUE", Printable::new(name))))?,
    };
    Ok(Variable { name: name.to_owned(), value, inherited })
}

/// A number of bytes, or of what its last letter says.
pub(super) fn size(text: &str) -> Result<u64> {
    let wrong = || Error::usage("not a size; write bytes, or a number with K, M, G or T");
    let bytes = quantity(text, &[("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30), ("T", 1 << 40)]);
    bytes.filter(|bytes| *bytes > 0).ok_or_else(wrong)
}

/// A number of processors.
fn cpus(text: &str) -> Result<f64> {
    let number: Option<f64> = text.parse().ok();
    let wrong = || Error::usage("not a number of processors; write 4 or 1.5");
    number.filter(|number| (0.01..=65_536.0).contains(number)).ok_or_else(wrong)
}

/// A number of processes.
fn pids(text: &str) -> Result<u32> {
    let wrong = || Error::usage("not a number of processes; write it in digits, as in 4096");
    text.parse().ok().filter(|number| *number > 0).ok_or_else(wrong)
}

/// A duration, or none.
fn time_limit(text: &str) -> Result<TimeLimit> {
    if text == "none" { Ok(TimeLimit(None)) } else { duration(text).map(|limit| TimeLimit(Some(limit))) }
}

/// A number of seconds, or of what its last letter says.
fn duration(text: &str) -> Result<Duration> {
    let wrong = || Error::usage("not a duration; write 90s, 30m, 1h30m, 12h, 2d or none");
    let units = [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)];
    // Each unit at most once, from large to small; a number alone is seconds.
    let (mut rest, mut seconds) = (text, 0_u64);
    for (unit, factor) in units {
        if let Some((number, after)) = rest.split_once(unit) {
            let part = quantity(number, &[]).and_then(|number| number.checked_mul(factor));
            seconds = part.and_then(|part| seconds.checked_add(part)).ok_or_else(wrong)?;
            rest = after;
        }
    }
    if !rest.is_empty() {
        let last = quantity(rest, &[]).filter(|_| rest.len() == text.len()).ok_or_else(wrong)?;
        seconds = last;
    }
    if seconds == 0 { Err(wrong()) } else { Ok(Duration::from_secs(seconds)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, seconds) in [
            ("90", 90),
            ("90s", 90),
            ("30m", 1800),
            ("12h", 43_200),
            ("2d", 172_800),
            ("1h30m", 5400),
            ("1d1s", 86_401),
        ] {
            assert_eq!(duration(text).unwrap(), Duration::from_secs(seconds), "{text}");
        }
        assert_eq!(time_limit("12h").unwrap().0, Some(Duration::from_secs(43_200)));
        assert_eq!(time_limit("none").unwrap().0, None);
        assert!(time_limit(TIMEOUT).is_ok());
        for wrong in [
            "",
            "h",
            "-1s",
            "0",
            "1.5h",
            "2w",
            "30m1h",
            "1h1h",
            "1h30",
            "h30m",
            "1h30m ",
            "99999999999999999999d",
            "9999999999999999d",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_and_processors_have_units() {
        for (text, bytes) in [("1", 1), ("64M", 64 << 20), ("8G", 8 << 30), ("1T", 1 << 40), ("3K", 3072)] {
            assert_eq!(size(text).unwrap(), bytes, "{text}");
        }
        for wrong in ["", "M", "-1", "0", "1.5G", "1 G", "1GB", "99999999T"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
        assert!((cpus("1.5").unwrap() - 1.5).abs() < f64::EPSILON);
        for wrong in ["", "0", "-1", "NaN", "inf", "x"] {
            assert!(cpus(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn secrets_of_the_station_are_no_variables_of_a_train() {
        assert_eq!(variable("A=b=c").unwrap().value, "b=c");
        for wrong in ["", "=x", "PRIVATE_KEY_PASSWORD", "PRIVATE_KEY_PATH=/x", "PHT_NOT_SET_ANYWHERE"] {
            assert!(variable(wrong).is_err(), "{wrong}");
        }
    }
}
