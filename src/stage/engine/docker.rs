use std::path::Path;
use std::process::{Command, ExitStatus};

use super::attend::ask;
use super::client::{Client, discard, image_name, mounts};
use super::{Engine, Job, Order};
use crate::error::{Context, Error, Result};
use crate::image::{Reference, Transport};
use crate::stage::{CopyRequest, World, copy};

/// Docker: the image goes to its daemon as an archive. Daemon and results have to be on this machine.
pub(super) struct Docker;

const DOCKER: Client = Client("docker");

impl Engine for Docker {
    fn name(&self) -> &'static str {
        DOCKER.0
    }

    fn check(&self, _order: &Order) -> Result<()> {
        DOCKER.check(&["version", "--format", "{{.Server.Version}}"], "install Docker and start its daemon")
    }

    fn prepare(&self, job: &Job<'_>, world: &World) -> Result<()> {
        let file = job.scratch.join("image.tar");
        let archive = Reference::new(Transport::DockerArchive(file.clone()), Some(image_name(job.name)));
        copy(&CopyRequest { source: job.reference, destination: &archive, all: false }, world)?;
        let path = file.to_str().ok_or_else(|| Error::usage("not in UTF-8").at(file.display()))?;
        ask(DOCKER.command(&["load", "--quiet", "--input", path])).at("load the image")?;
        discard(&file)?;
        let mut options = Vec::new();
        for (host, path, read_only) in mounts(job.results, job.order) {
            // Other than `--volume` this fails where there is nothing, as with a daemon on another machine.
            let read_only = if read_only { ",readonly" } else { "" };
            let mount = format!("type=bind,source={},target={path}{read_only}", host.display());
            options.extend(["--mount".to_owned(), mount]);
        }
        options.extend(job.order.gpus.iter().flat_map(|gpus| ["--gpus".to_owned(), gpus.clone()]));
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
