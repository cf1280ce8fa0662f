use std::path::Path;
use std::process::{Command, ExitStatus};

use super::client::{Client, discard, image_name};
use super::interface::{Engine, Job, Sealed};
use super::options::RunOptions;
use super::supervise::run_capture;
use crate::error::{Error, ErrorContext, Result};
use crate::image::{CopyRequest, copy};
use crate::store::{Context, Reference};

/// Docker: the image goes to its daemon as an archive. Daemon and results have to be on this machine.
pub(super) struct Docker;

const DOCKER: Client = Client("docker");

impl Sealed for Docker {}

impl Engine for Docker {
    fn name(&self) -> &'static str {
        DOCKER.0
    }

    fn check(&self, _options: &RunOptions) -> Result<()> {
        DOCKER.check(&["version", "--format", "{{.Server.Version}}"], "install Docker and start its daemon")
    }

    fn prepare(&self, job: &Job<'_>, context: &Context) -> Result<()> {
        let file = job.scratch.join("image.tar");
        let archive = Reference::docker_archive(&file, Some(image_name(job.name)));
        copy(&CopyRequest::new(job.reference, &archive), context)?;
        let path = file.to_str().ok_or_else(|| Error::usage("the path is not UTF-8").at(file.display()))?;
        run_capture(DOCKER.command(&["load", "--quiet", "--input", path])).at("loading the image")?;
        discard(&file)?;
        let mut options = Vec::new();
        for mount in job.mounts {
            // Other than `--volume` this fails where there is nothing, as with a daemon on another machine.
            let read_only = if mount.read_only { ",readonly" } else { "" };
            let (host, path) = (mount.host.display(), mount.path.display());
            options.extend(["--mount".to_owned(), format!("type=bind,source={host},target={path}{read_only}")]);
        }
        options.extend(job.options.gpus.iter().flat_map(|gpus| ["--gpus".to_owned(), gpus.clone()]));
        DOCKER.create(job, &options)
    }

    fn start(&self, name: &str, _scratch: &Path) -> Command {
        DOCKER.start(name)
    }

    fn exit_status(&self, name: &str, _scratch: &Path, ended: ExitStatus) -> Result<i32> {
        DOCKER.exit_status(name, ended)
    }

    fn remove(&self, name: &str, _scratch: &Path) -> Result<()> {
        DOCKER.remove(name)
    }
}
