use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::choices::engines;
use super::output::Output;
use super::quantity::quantity;
use super::station::StageOptions;
use crate::engine::{Engine, Limits, RunOptions, SECRETS, Variable, Volume};
use crate::error::{Error, Result};
use crate::json::{Object, Value, json};
use crate::stage::{Act, Execution, RunRequest, StageRequest, run};
use crate::store::Context;
use crate::text::Printable;

/// Do a whole stop: pre-run, the train in a container without a network, post-run.
///
/// The opened train is kept in a private directory beside DEST (or in --tmpdir, for a registry) and is removed at the
/// end, whatever happens. A train that fails leaves the encrypted image unchanged. If the run succeeds but the registry
/// refuses the result, the closed train is kept in --tmpdir, ready to send, and the error says how.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pht-oci run ./train --engine podman --private-key station_1.pem
  pht-oci run ./train --engine docker --private-key station_1.pem --volume /srv/fhir:/data --timeout 12h --memory 8G
  pht-oci run ./train --engine runc --private-key station_1.pem --env FHIR_TOKEN --log train.log")]
pub(super) struct Run {
    #[command(flatten)]
    stage: StageOptions,
    /// Container engine
    #[arg(long, value_name = "ENGINE", value_parser = engines())]
    engine: &'static dyn Engine,
    /// A file or directory to mount into the container, where it can only be read without `:rw`; repeat for more
    #[arg(long = "volume", value_name = "HOST:PATH[:rw]")]
    volumes: Vec<Volume>,
    /// An environment variable for the train, with VALUE or its value here; repeat for more
    #[arg(long = "env", value_name = "KEY[=VALUE]", value_parser = variable)]
    variables: Vec<Variable>,
    /// GPUs: for Docker the value of its --gpus, for Podman the devices nvidia.com/gpu=VALUE
    #[arg(long, value_name = "VALUE")]
    gpus: Option<String>,
    /// Time limit of the train, as in 90s, 30m, 12h or 2d [default: no limit]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
    /// Memory that the train may take, as in 512M or 8G [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory: Option<u64>,
    /// Processors that the train may take, as in 4 or 1.5 [default: no limit]
    #[arg(long, value_name = "NUMBER", value_parser = cpus)]
    cpus: Option<f64>,
    /// Processes and threads that the train may have at once
    #[arg(long, value_name = "NUMBER", default_value_t = PIDS, value_parser = clap::value_parser!(u32).range(1..))]
    pids: u32,
    /// The size that the results may have, as in 256M [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    results_limit: Option<u64>,
    /// File for the train's output [default: DEST.run.log, in --tmpdir for a registry]
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// The size that the log may have; of more output its middle is left out
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = size)]
    log_limit: u64,
    /// Hold the results for a person to review, and do not close the train: exit status 7, and the error says how to go on
    #[arg(long)]
    hold: bool,
    /// A command that fetches the train's data before it runs, for /bin/sh: it finds the query in $PHT_QUERY, the train's
    /// id in $PHT_TRAIN_ID, and fills the directory $PHT_DATA, which the train reads at /opt/train_data
    #[arg(long, value_name = "COMMAND")]
    prepare: Option<String>,
    /// At the first station: keep results that were built into the train
    #[arg(long)]
    keep_initial_results: bool,
}

/// The processes that a train may have without another limit.
const PIDS: u32 = 4096;

impl Run {
    pub(super) fn run(&self, context: &Context, output: &mut Output) -> Result<()> {
        let key = self.stage.load_key()?;
        let demands = self.stage.load_demands()?;
        let stage = self.stage.request(&key, &demands);
        let mut limits = Limits::NONE;
        (limits.memory, limits.cpus, limits.pids) = (self.memory, self.cpus, Some(self.pids));
        let options = RunOptions {
            volumes: self.volumes.clone(),
            variables: self.variables.clone(),
            gpus: self.gpus.clone(),
            limits,
        };
        let request = RunRequest {
            stage: StageRequest { keep_initial_results: self.keep_initial_results, ..stage },
            engine: self.engine,
            options: &options,
            limit: self.timeout,
            results_limit: self.results_limit,
            log_limit: self.log_limit,
            log: self.log.as_deref(),
            hold: self.hold,
            prepare: self.prepare.as_deref(),
            announce: Some(&|runs: &Execution| output.announce(runs)),
        };
        let mut screen = output.screen();
        let work = || {
            let report = run(&request, &mut screen, context);
            screen.end();
            report
        };
        let report = self.stage.recorded(&request.stage, Act::Run, self.details(), context, work)?;
        output.report(&report)
    }

    /// What the journal says of a run beside its train.
    fn details(&self) -> Object {
        let volume = |volume: &Volume| {
            let (host, path) = (volume.host.display().to_string(), volume.path.display().to_string());
            json!({ "host": host, "path": path, "read_only": volume.read_only })
        };
        let volumes: Vec<Value> = self.volumes.iter().map(volume).collect();
        // Of variables the names alone: their values may be secret.
        let variables: Vec<&str> = self.variables.iter().map(|variable| variable.name.as_str()).collect();
        let engine = json!({
            "name": self.engine.name(),
            "volumes": volumes,
            "variables": variables,
            "gpus": self.gpus,
            "memory": self.memory,
            "cpus": self.cpus,
            "pids": self.pids,
            "prepare": self.prepare,
            "timeout": self.timeout.map(|timeout| timeout.as_secs()),
        });
        std::iter::once(("engine".to_owned(), engine)).collect()
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
fn size(text: &str) -> Result<u64> {
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

/// A number of seconds, or of what its last letter says.
fn duration(text: &str) -> Result<Duration> {
    let wrong = || Error::usage("not a duration; write 90s, 30m, 12h or 2d");
    let seconds = quantity(text, &[("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)]);
    seconds.filter(|seconds| *seconds > 0).map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, seconds) in [("90", 90), ("90s", 90), ("30m", 1800), ("12h", 43_200), ("2d", 172_800)] {
            assert_eq!(duration(text).unwrap(), Duration::from_secs(seconds), "{text}");
        }
        for wrong in ["", "h", "-1s", "0", "1.5h", "2w", "99999999999999999999d", "9999999999999999d"] {
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
