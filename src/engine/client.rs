//! The parts that Podman's and Docker's command lines have in common.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use super::capabilities::CAPABILITIES;
use super::interface::{Job, Outcome};
use super::orphans;
use super::supervise::{output_of, run_capture, run_quiet};
use super::written;
use crate::error::{Advice, Error, ErrorContext, IoContext, Kind, Result};
use crate::image::Image;
use crate::json::{self, Value};
use crate::text::Printable;

/// The repository in the engine's store under which bases are kept, each under a tag of its own.
const KEPT: &str = "localhost/pht-oci/base";
/// The hexadecimal digits of an image ID that tell one kept base from another.
const TAG_DIGITS: usize = 32;
/// The engine whose store may have containers that it does not list without being asked for them.
const WITH_EXTERNAL: &str = "podman";
/// How often a container is made whose base somebody removes meanwhile, or whose name is not free yet.
const TRIES: usize = 4;

/// The program of an engine's client.
pub(super) struct Client(pub(super) &'static str);

impl Client {
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.0);
        command.args(arguments);
        command
    }

    /// Looks whether the program is here, and who it has to talk to.
    pub(super) fn check(&self, arguments: &[&str], remedy: &'static str) -> Result<()> {
        check(self.command(arguments), remedy)
    }

    /// True if the program is here, and whoever it has to talk to.
    pub(super) fn answers(&self) -> bool {
        run_quiet(self.command(&["ps", "--quiet"]))
    }

    /// True if the engine has kept this very image: layer by layer, whatever else has its name.
    pub(super) fn has_kept(&self, image: &Image) -> bool {
        let format = "{{json .RootFS.Layers}}";
        let asked = self.command(&["image", "inspect", "--format", format, &kept_name(image)]);
        let Ok(told) = run_capture(asked) else { return false };
        let Ok(Value::Array(layers)) = json::parse(told.trim_ascii()) else { return false };
        layers.iter().map(Value::as_str).eq(image.diff_ids().iter().map(|id| Some(id.as_ref())))
    }

    /// Makes a container of a base with `create`, after `load` if the base is not kept. It may go away in between, as by
    /// `cache prune` or whoever else keeps house: then it is loaded again.
    pub(super) fn create_on_kept(
        &self,
        base: &Image,
        name: &str,
        load: &dyn Fn() -> Result<()>,
        create: &dyn Fn() -> Result<()>,
    ) -> Result<()> {
        for _ in 1..TRIES {
            if !self.has_kept(base) {
                load()?;
            }
            match create() {
                Err(error) if error.kind() == Kind::Io && !self.has_kept(base) => {
                    tracing::info!("{} has lost the base meanwhile: it is loaded again ({error})", self.0);
                }
                // Nobody else uses the name: a run that was killed has asked for it, and has it only now.
                Err(error) if error.kind() == Kind::Io && self.has_container(name)? => self.remove(name)?,
                made => return made,
            }
        }
        load()?;
        create()
    }

    /// Makes the container of a kept image. `options` are options of this client, `arguments` what follows the image.
    pub(super) fn create(&self, job: &Job<'_>, image: &Image, options: &[String], arguments: &[String]) -> Result<()> {
        let mut command = self.command(&["create", "--name", job.name, "--network", "none"]);
        // The image is here or nowhere, and what the train prints is kept by us alone.
        command.args(["--pull", "never", "--log-driver", "none", "--no-healthcheck"]);
        command.args(["--security-opt", "no-new-privileges", "--cap-drop", "ALL"]);
        if job.process.is_root() {
            // Engines hand capabilities that are added to whoever runs, so that others than root get none.
            command.args(CAPABILITIES.iter().map(|capability| format!("--cap-add={capability}")));
        }
        let limits = &job.options.limits;
        command.args(limits.pids.map(|pids| format!("--pids-limit={pids}")));
        command.args(
            limits.memory.iter().flat_map(|bytes| [format!("--memory={bytes}"), format!("--memory-swap={bytes}")]),
        );
        command.args(limits.cpus.map(|cpus| format!("--cpus={cpus}")));
        for variable in &job.options.variables {
            command.arg("--env");
            if variable.inherited {
                command.arg(&variable.name);
            } else {
                command.arg(format!("{}={}", variable.name, variable.value));
            }
        }
        command.args(options).arg(kept_name(image)).args(arguments);
        run_capture(command).map(drop).at("creating the container")
    }

    pub(super) fn start(&self, name: &str) -> Command {
        self.command(&["start", "--attach", name])
    }

    /// How the train ended according to the engine. The client's own exit status may be that of a fault of the client.
    pub(super) fn outcome(&self, name: &str, ended: ExitStatus) -> Result<Outcome> {
        let format = "{{.State.Status}} {{.State.ExitCode}} {{.State.OOMKilled}}";
        let message = run_capture(self.command(&["container", "inspect", "--format", format, name]))?;
        let message = String::from_utf8_lossy(&message);
        let mut words = message.split_whitespace();
        let has_ended = words.next().is_some_and(|state| matches!(state, "exited" | "stopped" | "dead"));
        match words.next().and_then(|status| status.parse().ok()).filter(|_| has_ended) {
            Some(exit_status) => Ok(Outcome { exit_status, out_of_memory: words.next() == Some("true") }),
            None => {
                let what = format!(
                    "the container is still `{}` after {} ended ({ended})",
                    Printable::new(message.trim()),
                    self.0
                );
                Err(Error::io("the train could not be started", io::Error::other(what)))
            }
        }
    }

    /// The first process of a container that runs.
    pub(super) fn first_process(&self, name: &str) -> Option<u32> {
        let told = run_capture(self.command(&["container", "inspect", "--format", "{{.State.Pid}}", name])).ok()?;
        std::str::from_utf8(&told).ok()?.trim().parse().ok().filter(|pid| *pid > 0)
    }

    /// What the train has written above the base.
    pub(super) fn written(&self, job: &Job<'_>) -> Result<Vec<PathBuf>> {
        let told = run_capture(self.command(&["diff", job.name])).at("what the train has written")?;
        Ok(written::in_listing(&told, job.mounts))
    }

    /// Removes the container, and looks whether it is gone.
    pub(super) fn remove(&self, name: &str) -> Result<()> {
        orphans::wait_for(&[self.0, "create", name]);
        if !self.has_container(name)? {
            return Ok(());
        }
        // At once: neither grace nor results are due.
        run_quiet(self.command(&["kill", name]));
        run_quiet(self.command(&["rm", "--force", "--volumes", name]));
        if self.has_container(name)? {
            let hint = format!("the container holds plaintext; remove it by hand, with {}", self.0);
            return Err(Error::new(Kind::Io, "the container cannot be removed").hint(hint).at(name));
        }
        Ok(())
    }

    /// True if the engine has a container of this name, be it one that it knows half.
    pub(super) fn has_container(&self, name: &str) -> Result<bool> {
        let mut asked = self.command(&["ps", "--all", "--format", "{{.Names}}"]);
        if self.0 == WITH_EXTERNAL {
            // What a client that was killed has left in the store alone.
            asked.arg("--external");
        }
        // Whatever happened so far: a signal ends the run, and not what clears up after it.
        let told = output_of(asked).map_err(|said| {
            let hint = format!("the container {name} holds plaintext: remove it if it still exists");
            Error::io(format!("{} no longer answers", self.0), io::Error::other(said)).hint(hint)
        })?;
        Ok(told.split(['\n', ',']).any(|own| own.trim() == name))
    }

    /// The bases that the engine has kept, each with its size in bytes.
    pub(super) fn kept(&self) -> Result<Vec<(String, u64)>> {
        let filter = format!("reference={KEPT}");
        let told = run_capture(self.command(&["images", "--quiet", "--no-trunc", "--filter", &filter]))?;
        let mut kept = Vec::new();
        for id in String::from_utf8_lossy(&told).lines().map(str::trim).filter(|id| !id.is_empty()) {
            let size = run_capture(self.command(&["image", "inspect", "--format", "{{.Size}}", id]))?;
            kept.push((id.to_owned(), String::from_utf8_lossy(&size).trim().parse().unwrap_or_default()));
        }
        kept.sort();
        kept.dedup();
        Ok(kept)
    }

    /// Removes a base that was kept.
    pub(super) fn forget(&self, id: &str) -> Result<()> {
        run_capture(self.command(&["rmi", id])).map(drop).at(id)
    }
}

/// Runs a command that fails where an engine cannot be used.
pub(super) fn check(command: Command, remedy: &'static str) -> Result<()> {
    run_capture(command).map(drop).map_err(|error| unusable(error, remedy))
}

/// What is to be said of an engine that fails.
pub(super) fn unusable(error: Error, remedy: &'static str) -> Error {
    match error.kind() {
        Kind::Io => Error::usage("the engine cannot be used").because(error).advise(Advice::InstallEngine { remedy }),
        _ => error,
    }
}

/// The name of the image in the engine's store.
pub(super) fn kept_name(image: &Image) -> String {
    let id = image.id().to_string();
    let digits = id.split(':').next_back().unwrap_or_default();
    format!("{KEPT}:{}", digits.get(..TAG_DIGITS).unwrap_or(digits))
}

/// Removes a file that was for the engine only.
pub(super) fn discard(file: &Path) -> Result<()> {
    std::fs::remove_file(file).doing("remove the file").at(file.display())
}
