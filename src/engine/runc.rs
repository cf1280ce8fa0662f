use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use super::bundle::{self, ROOTFS};
use super::client::Client;
use super::interface::{Engine, Job, Outcome, Sealed};
use super::options::RunOptions;
use super::orphans;
use super::overlay;
use super::roots::{self, Root};
use super::supervise::{run_capture, run_quiet};
use super::trial;
use crate::error::{Advice, Error, ErrorContext, IoContext, Kind, Result};
use crate::image::Image;
use crate::json;
use crate::store::Context;
use crate::text::Printable;

/// runc: no image store at all. The base is unpacked once into the user's cache, and each run writes above it.
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
        let bounded = options.limits.memory.is_some() || options.limits.cpus.is_some();
        if bounded && !rustix::process::geteuid().is_root() {
            let what = "runc without root cannot bound memory or processors";
            return Err(Error::usage(what).advise(Advice::ChooseBoundingEngine));
        }
        Client(self.name()).check(&["--version"], "install runc")
    }

    fn try_out(&self, context: &Context) -> Result<()> {
        trial::run(self, context, "mend runc", |_| ())
    }

    fn keeps(&self, base: &Image, context: &Context) -> bool {
        roots::keeps(base, context)
    }

    fn prepare(&self, job: &Job<'_>, context: &Context) -> Result<Option<Root>> {
        let bundle = bundle_in(job.scratch);
        DirBuilder::new().mode(0o700).create(&bundle).doing("create the directory").at(bundle.display())?;
        let base = overlay::prepare(job.image, &bundle.join(ROOTFS), job.scratch, context)?;
        bundle::write(&bundle, job, &base)?;
        Ok(base.root)
    }

    fn start(&self, name: &str, scratch: &Path) -> Command {
        let mut line: Vec<OsString> = vec!["runc".into(), "--root".into(), state_in(scratch).into()];
        if !rustix::process::geteuid().is_root() {
            // In a user namespace of ours it is root, and still has no control groups.
            line.extend(["--rootless", "true"].map(OsString::from));
        }
        line.extend(["--log-format", "json", "--log"].map(OsString::from));
        line.extend([
            scratch.join("log").into(),
            "run".into(),
            "--bundle".into(),
            bundle_in(scratch).into(),
            name.into(),
        ]);
        overlay::command(&line, &bundle_in(scratch).join(ROOTFS), scratch)
    }

    fn outcome(&self, _name: &str, scratch: &Path, ended: ExitStatus) -> Result<Outcome> {
        // runc ends with 1 where it could not start the train, as a train may, too; but then it has logged why.
        let log = fs::read_to_string(scratch.join("log")).unwrap_or_default();
        match (log.lines().rev().find_map(error_in), ended.code()) {
            (None, Some(exit_status)) => Ok(Outcome { exit_status, out_of_memory: false }),
            (message, _) => {
                let message = message.unwrap_or_else(|| ended.to_string());
                Err(Error::io("the train could not be started", io::Error::other(message)))
            }
        }
    }

    fn first_process(&self, name: &str, scratch: &Path) -> Option<u32> {
        let mut command = Command::new("runc");
        command.arg("--root").arg(state_in(scratch)).arg("state").arg(name);
        let state = json::parse_object(&run_capture(command).ok()?).ok()?;
        state.get("pid")?.as_u64()?.try_into().ok().filter(|pid| *pid > 0)
    }

    fn written(&self, job: &Job<'_>) -> Result<Option<Vec<PathBuf>>> {
        overlay::written(job)
    }

    fn remove(&self, name: &str, scratch: &Path) -> Result<()> {
        // That of a run which was killed may be about to start the train.
        orphans::end(&[self.name(), "run", name]);
        let on_container = |arguments: &[&str]| {
            let mut command = Command::new("runc");
            command.arg("--root").arg(state_in(scratch)).args(arguments).arg(name);
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

fn bundle_in(scratch: &Path) -> PathBuf {
    scratch.join("bundle")
}

/// runc has a state of its own for each run.
fn state_in(scratch: &Path) -> PathBuf {
    scratch.join("state")
}

/// The message in a line of runc's log, if it is an error.
fn error_in(line: &str) -> Option<String> {
    let entry = json::parse_object(line.as_bytes()).ok()?;
    let text = |key| entry.get(key).and_then(json::Value::as_str);
    (text("level") == Some("error")).then(|| Printable::new(text("msg").unwrap_or_default()).to_string())
}
