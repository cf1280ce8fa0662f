use std::path::PathBuf;

use clap::Args;

use super::choices::engines;
use super::container::{ContainerOptions, size};
use super::output::Output;
use super::running_time::RunningTime;
use super::station::{ResultsDemand, StageOptions};
use crate::engine::{ENGINES, Engine, Volume};
use crate::error::{Error, Result};
use crate::json::{Object, Value, json};
use crate::stage::{Act, Execution, RunRequest, StageRequest, run};
use crate::store::Context;

/// Do a whole stop: pre-run, the train in a container without a network, post-run.
///
/// The opened train is kept in a private directory beside DEST (or in --tmpdir, for a registry) and is removed at the
/// end, whatever happens. A train that fails leaves the encrypted image unchanged. If the run succeeds but the registry
/// refuses the result, the closed train is kept in --tmpdir, ready to send, and the error says how.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pht-oci run ./train --engine podman --private-key station_1.pem
  pht-oci run ./train --engine docker --private-key station_1.pem \\
    --volume /srv/fhir:/data --timeout 12h --memory 8G
  pht-oci run ./train --engine runc --private-key station_1.pem \\
    --env FHIR_TOKEN --log train.log")]
pub(super) struct Run {
    #[command(flatten)]
    stage: StageOptions,
    /// Container engine
    #[arg(long, value_name = "ENGINE", value_parser = engines())]
    engine: Option<&'static dyn Engine>,
    /// A file or directory to mount into the container, where it can only be read without `:rw`; repeat for more
    #[arg(long = "volume", value_name = "HOST:PATH[:rw]")]
    volumes: Vec<Volume>,
    #[command(flatten)]
    container: ContainerOptions,
    /// File for the train's output [default: DEST.run.log, or DEST.TAG.run.log; for a registry, in a new directory in --tmpdir]
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// The size that the log may have; of more output its middle is left out
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = size)]
    log_limit: u64,
    /// Hold the results for a person to review, and do not close the train: exit status 7, and the error says how to go on
    #[arg(long)]
    hold: bool,
    #[command(flatten)]
    demand: ResultsDemand,
    /// A command that fetches the train's data before it runs, for /bin/sh: it finds the query in $PHT_QUERY, the train's
    /// id in $PHT_TRAIN_ID, and fills the directory $PHT_DATA, which the train reads at /opt/train_data
    #[arg(long, value_name = "COMMAND")]
    prepare: Option<String>,
    /// At the first station: keep results that were built into the train
    #[arg(long)]
    keep_initial_results: bool,
}

impl Run {
    pub(super) fn run(&self, context: &Context, output: &mut Output) -> Result<()> {
        let engine = self.engine.ok_or_else(no_engine)?;
        let key = self.stage.load_key()?;
        let demands = self.stage.load_demands()?;
        let stage = self.stage.request(&key, &demands);
        let container = &self.container;
        let options = container.with_volumes(&self.volumes);
        let time = RunningTime::default();
        let (keep_initial_results, require_results) = (self.keep_initial_results, self.demand.require_results);
        let request = RunRequest {
            stage: StageRequest { keep_initial_results, require_results, ..stage },
            engine,
            options: &options,
            limit: container.timeout.0,
            results_limit: container.results_limit,
            log_limit: self.log_limit,
            log: self.log.as_deref(),
            hold: self.hold,
            again: self.stage.is_again(),
            prepare: self.prepare.as_deref(),
            announce: Some(&|runs: &Execution| output.announce(runs)),
            running: Some(&|elapsed| output.running(&time, elapsed)),
        };
        let mut screen = output.screen();
        let work = || {
            let report = run(&request, &mut screen, context);
            screen.end();
            report
        };
        let report = self.stage.recorded(&request.stage, Act::Run, self.details(engine), context, work)?;
        output.report(&report)?;
        if report.ran.is_none() && !self.stage.is_again() {
            output.warn("nothing was done again; --again runs the train once more");
        }
        Ok(())
    }

    /// What the journal says of a run beside its train.
    fn details(&self, engine: &dyn Engine) -> Object {
        let volume = |volume: &Volume| {
            // Who reads the journal is in another directory.
            let host = std::path::absolute(&volume.host).unwrap_or_else(|_| volume.host.clone());
            let (host, path) = (host.display().to_string(), volume.path.display().to_string());
            json!({ "host": host, "path": path, "read_only": volume.read_only })
        };
        let volumes: Vec<Value> = self.volumes.iter().map(volume).collect();
        let container = &self.container;
        // Of variables the names alone: their values may be secret.
        let variables: Vec<&str> = container.variables.iter().map(|variable| variable.name.as_str()).collect();
        let engine = json!({
            "name": engine.name(),
            "volumes": volumes,
            "variables": variables,
            "gpus": container.gpus,
            "memory": container.memory,
            "cpus": container.cpus,
            "pids": container.pids,
            "prepare": self.prepare,
            "timeout": container.timeout.0.map(|timeout| timeout.as_secs()),
        });
        std::iter::once(("engine".to_owned(), engine)).collect()
    }
}

fn no_engine() -> Error {
    let names: Vec<&str> = ENGINES.iter().map(|engine| engine.name()).collect();
    let hint = format!(
        "name one with --engine, or as `engine` below [run] in the settings (pht-oci help station); there are {}",
        names.join(", ")
    );
    Error::usage("no container engine is given").hint(hint)
}
