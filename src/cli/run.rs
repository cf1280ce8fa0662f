use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::output::Output;
use super::station::StageOptions;
use crate::engine::{Engine, RunOptions, SECRETS, Variable, Volume, engine_named};
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
        let demands = self.stage.load_demands()?;
        let stage = self.stage.request(&key, &demands);
        let options =
            RunOptions { volumes: self.volumes.clone(), variables: self.variables.clone(), gpus: self.gpus.clone() };
        let request = RunRequest {
            stage: StageRequest { keep_initial_results: self.keep_initial_results, ..stage },
            engine: self.engine,
            options: &options,
            limit: self.timeout,
            log: self.log.as_deref(),
            announce: Some(&|runs: &Execution| output.announce(runs)),
        };
        let work = || run(&request, &mut Screen::new(output.is_quiet()), context);
        let report = self.stage.recorded(&request.stage, Act::Run, self.details(), context, work)?;
        output.report(&report)
    }
}

impl Run {
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
            "timeout": self.timeout.map(|timeout| timeout.as_secs()),
        });
        std::iter::once(("engine".to_owned(), engine)).collect()
    }
}

/// The train's output while it runs, on standard error: standard output is the report's.
struct Screen {
    quiet: bool,
    terminal: bool,
    /// The beginning of a character whose other bytes are still to come.
    begun: Vec<u8>,
    /// The next character is the first of a line.
    at_start: bool,
}

/// What stands before every line of a train on a terminal, so that none can pass for one of ours.
const PREFIX: &[u8] = b"| ";

impl Screen {
    fn new(quiet: bool) -> Self {
        Screen { quiet, terminal: io::stderr().is_terminal(), begun: Vec::new(), at_start: true }
    }

    /// The text that is complete by now, harmless for a terminal.
    fn harmless(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut text = std::mem::take(&mut self.begun);
        text.extend_from_slice(bytes);
        let end = text.utf8_chunks().last().map_or(&[][..], |chunk| chunk.invalid());
        if std::str::from_utf8(end).is_err_and(|error| error.error_len().is_none()) {
            self.begun = text.split_off(text.len() - end.len());
        }
        let is_layout = |byte: &u8| b"\n\r\t".contains(byte);
        let mut shown = Vec::with_capacity(text.len());
        for piece in text.split_inclusive(is_layout) {
            let (words, layout) = piece.split_at(piece.len() - usize::from(piece.last().is_some_and(is_layout)));
            if self.at_start && piece != b"\r" && piece != b"\n" {
                shown.extend_from_slice(PREFIX);
            }
            shown.extend_from_slice(Printable::new(words).to_string().as_bytes());
            shown.extend_from_slice(layout);
            self.at_start = matches!(layout, b"\r" | b"\n");
        }
        shown
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.quiet {
            return Ok(bytes.len());
        }
        if !self.terminal {
            return io::stderr().write_all(bytes).map(|()| bytes.len());
        }
        // A train must not control the station's terminal.
        let text = self.harmless(bytes);
        io::stderr().write_all(&text).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
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
    fn a_train_does_not_control_the_terminal() {
        let mut screen = Screen::new(false);
        let mut shown = screen.harmless(b"50 %\r\tb\xc3");
        shown.extend(screen.harmless(b"\xa9b\xe9\x1b[2J\xe2\x80\xae\n"));
        assert_eq!(String::from_utf8(shown).unwrap(), "| 50 %\r| \tb\u{e9}b\\xe9\\u{1b}[2J\\u{202e}\n");
    }

    #[test]
    fn secrets_of_the_station_are_no_variables_of_a_train() {
        assert_eq!(variable("A=b=c").unwrap().value, "b=c");
        for wrong in ["", "=x", "PRIVATE_KEY_PASSWORD", "PRIVATE_KEY_PATH=/x", "PHT_NOT_SET_ANYWHERE"] {
            assert!(variable(wrong).is_err(), "{wrong}");
        }
    }
}
