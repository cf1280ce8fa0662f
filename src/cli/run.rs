use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::output::Output;
use super::station::StageOptions;
use crate::engine::{Engine, RunOptions, SECRETS, Variable, Volume, engine_named};
use crate::error::{Error, Result};
use crate::stage::{RunRequest, StageRequest, run};
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
  pht-oci run ./train --engine docker --private-key station_1.pem --volume /srv/fhir:/data:ro --timeout 12h
  pht-oci run ./train --engine runc --private-key station_1.pem --env FHIR_TOKEN --log train.log")]
pub(super) struct Run {
    #[command(flatten)]
    stage: StageOptions,
    /// Container engine: podman, docker or runc
    #[arg(long, value_name = "ENGINE", value_parser = engine_named)]
    engine: &'static dyn Engine,
    /// A file or directory to mount into the container; repeat for more
    #[arg(long = "volume", value_name = "HOST:PATH[:ro]")]
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
    /// File for the train's output [default: DEST.run.log, in --tmpdir for a registry]
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// At the first station: keep results that were built into the train
    #[arg(long)]
    keep_initial_results: bool,
}

impl Run {
    pub(super) fn run(&self, context: &Context, output: &mut Output) -> Result<()> {
        let key = self.stage.load_key()?;
        let trust = self.stage.load_trust()?;
        let stage = self.stage.request(&key, trust.as_ref());
        let options =
            RunOptions { volumes: self.volumes.clone(), variables: self.variables.clone(), gpus: self.gpus.clone() };
        let request = RunRequest {
            stage: StageRequest { keep_initial_results: self.keep_initial_results, ..stage },
            engine: self.engine,
            options: &options,
            limit: self.timeout,
            log: self.log.as_deref(),
        };
        let mut screen = output.screen();
        let report = run(&request, &mut screen, context);
        screen.end();
        output.report(&report?)
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

/// A number of seconds, or of what its last letter says.
fn duration(text: &str) -> Result<Duration> {
    let wrong = || Error::usage("not a duration; write 90s, 30m, 12h or 2d");
    let units = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];
    let found = units.into_iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)));
    let (number, seconds) = found.unwrap_or((text, 1));
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let total = number.checked_mul(seconds).filter(|total| *total > 0).ok_or_else(wrong)?;
    Ok(Duration::from_secs(total))
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
    fn secrets_of_the_station_are_no_variables_of_a_train() {
        assert_eq!(variable("A=b=c").unwrap().value, "b=c");
        for wrong in ["", "=x", "PRIVATE_KEY_PASSWORD", "PRIVATE_KEY_PATH=/x", "PHT_NOT_SET_ANYWHERE"] {
            assert!(variable(wrong).is_err(), "{wrong}");
        }
    }
}
