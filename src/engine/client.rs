//! The parts that Podman's and Docker's command lines have in common.

use std::io;
use std::path::Path;
use std::process::{Command, ExitStatus};

use super::interface::Job;
use super::supervise::{run_capture, run_quiet};
use crate::error::{Advice, Error, ErrorContext, IoContext, Kind, Result};
use crate::text::Printable;

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
        run_capture(self.command(arguments)).map(drop).map_err(|error| match error.kind() {
            Kind::Io => {
                Error::usage("the engine cannot be used").because(error).advise(Advice::InstallEngine { remedy })
            }
            _ => error,
        })
    }

    /// Makes the container of an image that the engine has by now; `mounts` are options of this client.
    pub(super) fn create(&self, job: &Job<'_>, options: &[String]) -> Result<()> {
        let mut command = self.command(&["create", "--name", job.name, "--network", "none"]);
        // The image is here or nowhere, and what the train prints is kept by us alone.
        command.args(["--pull", "never", "--log-driver", "none"]);
        for variable in &job.options.variables {
            command.arg("--env");
            if variable.inherited {
                command.arg(&variable.name);
            } else {
                command.arg(format!("{}={}", variable.name, variable.value));
            }
        }
        command.args(options).arg(image_name(job.name));
        run_capture(command).map(drop).at("creating the container")
    }

    pub(super) fn start(&self, name: &str) -> Command {
        self.command(&["start", "--attach", name])
    }

    /// The train's exit status according to the engine. The client's own may be that of a fault of the client.
    pub(super) fn exit_status(&self, name: &str, ended: ExitStatus) -> Result<i32> {
        let format = "{{.State.Status}} {{.State.ExitCode}}";
        let message = run_capture(self.command(&["container", "inspect", "--format", format, name]))?;
        let message = String::from_utf8_lossy(&message);
        match message.trim().split_once(' ').map(|(state, code)| (state, code.parse())) {
            Some(("exited" | "stopped" | "dead", Ok(code))) => Ok(code),
            _ => {
                let what = format!(
                    "the container is still `{}` after {} ended ({ended})",
                    Printable::new(message.trim()),
                    self.0
                );
                Err(Error::io("the train could not be started", io::Error::other(what)))
            }
        }
    }

    /// Removes container and image, and looks whether they are gone.
    pub(super) fn remove(&self, name: &str) -> Result<()> {
        let image = image_name(name);
        if !run_quiet(self.command(&["ps", "--quiet"])) {
            let hint = format!("the container and the image {name} hold plaintext: remove them if they still exist");
            return Err(Error::new(Kind::Io, format!("{} no longer answers", self.0)).hint(hint));
        }
        // At once: neither grace nor results are due.
        run_quiet(self.command(&["kill", name]));
        for (kind, what, remove) in
            [("container", name, &["rm", "--force", "--volumes"][..]), ("image", &image, &["rmi", "--force"][..])]
        {
            if run_quiet(self.command(&[kind, "inspect", what])) {
                run_quiet(self.command(&[remove, &[what]].concat()));
                if run_quiet(self.command(&[kind, "inspect", what])) {
                    let hint =
                        format!("the {kind} holds plaintext; remove it with {} {} {what}", self.0, remove.join(" "));
                    return Err(Error::new(Kind::Io, format!("the {kind} cannot be removed")).hint(hint).at(what));
                }
            }
        }
        Ok(())
    }
}

/// The name of the image while the engine has it.
pub(super) fn image_name(name: &str) -> String {
    format!("localhost/{name}:latest")
}

/// Removes a file that was for the engine only.
pub(super) fn discard(file: &Path) -> Result<()> {
    std::fs::remove_file(file).doing("remove the file").at(file.display())
}
