use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use super::client::{Client, discard, kept_name};
use super::interface::{Engine, Job, Outcome, Sealed};
use super::options::{Mount, RunOptions};
use super::roots::Root;
use super::seccomp;
use super::supervise::run_capture;
use super::trial;
use crate::error::{Error, ErrorContext, Result};
use crate::image::Image;
use crate::store::{Context, Reference};

/// Docker: the base goes to its daemon as an archive, once. Daemon and results have to be on this machine.
pub(super) struct Docker;

pub(super) const DOCKER: Client = Client("docker");
/// How long the daemon may take for a container, and the time between two looks.
const LATE: Duration = Duration::from_secs(2);
const LOOKS: Duration = Duration::from_millis(100);

impl Sealed for Docker {}

impl Engine for Docker {
    fn name(&self) -> &'static str {
        DOCKER.0
    }

    fn check(&self, _options: &RunOptions) -> Result<()> {
        DOCKER.check(&["version", "--format", "{{.Server.Version}}"], "install Docker and start its daemon")
    }

    fn try_out(&self, context: &Context) -> Result<()> {
        trial::run(self, context, "mend Docker", |image| drop(DOCKER.forget(&kept_name(&kept(image)))))
    }

    fn keeps(&self, base: &Image, _context: &Context) -> bool {
        DOCKER.has_kept(&kept(base))
    }

    fn prepare(&self, job: &Job<'_>, context: &Context) -> Result<Option<Root>> {
        let base = kept(job.image);
        let process = job.process;
        let mut options: Vec<String> =
            job.mounts.iter().flat_map(|mount| ["--mount".to_owned(), bind(mount)]).collect();
        // Its own profile lets trains reach the hypervisor, and trace one another.
        options.push(format!("--security-opt=seccomp={}", seccomp::write(job.scratch)?.display()));
        options.extend(job.options.gpus.iter().flat_map(|gpus| ["--gpus".to_owned(), gpus.clone()]));
        options.extend(process.environment.iter().flat_map(|variable| ["--env".to_owned(), variable.clone()]));
        options.extend([format!("--workdir={}", process.work_dir), format!("--entrypoint={}", process.arguments[0])]);
        if !process.user.is_empty() {
            options.push(format!("--user={}", process.user));
        }
        let load = || load(&base, job.scratch, context);
        let create = || DOCKER.create(job, &base, &options, &process.arguments[1..]);
        DOCKER.create_on_kept(&base, job.name, &load, &create).map(|()| None)
    }

    fn start(&self, name: &str, _scratch: &Path) -> Command {
        DOCKER.start(name)
    }

    fn outcome(&self, name: &str, _scratch: &Path, ended: ExitStatus) -> Result<Outcome> {
        DOCKER.outcome(name, ended)
    }

    fn first_process(&self, name: &str, _scratch: &Path) -> Option<u32> {
        DOCKER.first_process(name)
    }

    fn written(&self, job: &Job<'_>) -> Result<Option<Vec<PathBuf>>> {
        DOCKER.written(job).map(Some)
    }

    fn remove(&self, name: &str, _scratch: &Path) -> Result<()> {
        DOCKER.remove(name)
    }

    /// The daemon goes on with what a client has asked it for, whatever becomes of the client.
    fn await_late(&self, name: &str) {
        let begin = Instant::now();
        while begin.elapsed() < LATE && !DOCKER.has_container(name).unwrap_or(true) {
            thread::sleep(LOOKS);
        }
    }
}

/// The base without what it runs: to load layers again for another command would take as long as the first time.
fn kept(base: &Image) -> Image {
    base.lowest(base.layers().len(), base.platform_config())
}

fn load(base: &Image, scratch: &Path, context: &Context) -> Result<()> {
    let file = scratch.join("base.tar");
    let name = kept_name(base);
    base.write(&Reference::docker_archive(&file, Some(name.clone())), &name, context)?;
    let path = file.to_str().ok_or_else(|| Error::usage("the path is not UTF-8").at(file.display()))?;
    run_capture(DOCKER.command(&["load", "--quiet", "--input", path])).at("loading the base")?;
    discard(&file)
}

/// Other than `--volume` this fails where there is nothing, as with a daemon on another machine.
fn bind(mount: &Mount) -> String {
    let read_only = if mount.read_only { ",readonly" } else { "" };
    format!("type=bind,source={},target={}{read_only}", mount.host.display(), mount.path.display())
}
