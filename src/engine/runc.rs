use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, ExitStatus};

use super::client::Client;
use super::interface::{Engine, Job, Sealed};
use super::options::RunOptions;
use super::supervise::run_quiet;
use crate::engine::bundle;
use crate::error::{Advice, Error, Kind, Result};
use crate::json;
use crate::store::Context;
use crate::text::Printable;

/// runc: no image store at all. The bundle is unpacked beside the results, and everything goes with the work directory.
pub(super) struct Runc;

impl Sealed for Runc {}

impl Engine for Runc {
    fn name(&self) -> &'static str {
        "runc"
    }

    fn check(&self, options: &RunOptions) -> Result<()> {
        if options.gpus.is_some() {
            return Err(Error::usage("runc alone cannot give a container GPUs").advise(Advice::ChooseGpuEngine));
        }
        Client(self.name()).check(&["--version"], "install runc")
    }

    fn prepare(&self, job: &Job<'_>, context: &Context) -> Result<()> {
        bundle::write(&job.scratch.join("bundle"), job, context)
    }

    fn start(&self, name: &str, scratch: &Path) -> Command {
        let mut command = runc(scratch);
        command.args(["--log-format", "json", "--log"]).arg(scratch.join("log"));
        command.args(["run", "--bundle"]).arg(scratch.join("bundle")).arg(name);
        command
    }

    fn exit_status(&self, _name: &str, scratch: &Path, ended: ExitStatus) -> Result<i32> {
        // runc ends with 1 where it could not start the train, as a train may, too; but then it has logged why.
        let log = fs::read_to_string(scratch.join("log")).unwrap_or_default();
        match (log.lines().rev().find_map(error_in), ended.code()) {
            (None, Some(code)) => Ok(code),
            (message, _) => {
                let message = message.unwrap_or_else(|| ended.to_string());
                Err(Error::io("the train could not be started", io::Error::other(message)))
            }
        }
    }

    fn remove(&self, name: &str, scratch: &Path) -> Result<()> {
        let on_container = |arguments: &[&str]| {
            let mut command = runc(scratch);
            command.args(arguments).arg(name);
            run_quiet(command)
        };
        if on_container(&["state"]) {
            on_container(&["delete", "--force"]);
            if on_container(&["state"]) {
                return Err(Error::new(Kind::Io, "the container cannot be removed").at(name));
            }
        }
        Ok(())
    }
}

/// runc with a state of its own.
fn runc(scratch: &Path) -> Command {
    let mut command = Command::new("runc");
    command.arg("--root").arg(scratch.join("state"));
    command
}

/// The message in a line of runc's log, if it is an error.
fn error_in(line: &str) -> Option<String> {
    let entry = json::parse_object(line.as_bytes()).ok()?;
    let text = |key| entry.get(key).and_then(json::Value::as_str);
    (text("level") == Some("error")).then(|| Printable::new(text("msg").unwrap_or_default()).to_string())
}
