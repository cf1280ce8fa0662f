use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use super::client::{Client, kept_name};
use super::interface::{Engine, Job, Outcome, Sealed};
use super::options::{Mount, RunOptions};
use super::roots::Root;
use super::seccomp;
use super::supervise::{output_of, run_capture};
use super::trial;
use crate::error::{Advice, Error, ErrorContext, IoContext, Result};
use crate::image::Image;
use crate::store::{Context, Reference};
use crate::text::Printable;

/// Podman: takes the base into the store of this user, without a daemon and without root.
pub(super) struct Podman;

pub(super) const PODMAN: Client = Client("podman");
/// What helps where it is here and does not work.
const REMEDY: &str = "mend podman";
/// The name of the layout, and the tag in it, through which a base goes to Podman.
const LAYOUT: &str = "base";

impl Sealed for Podman {}

impl Engine for Podman {
    fn name(&self) -> &'static str {
        PODMAN.0
    }

    fn check(&self, _options: &RunOptions) -> Result<()> {
        PODMAN.check(&["version", "--format", "{{.Client.Version}}"], "install podman")
    }

    fn try_out(&self, context: &Context) -> Result<()> {
        // Without root it makes the namespace of its containers for that.
        PODMAN.check(&["info", "--format", "{{.Host.OCIRuntime.Name}}"], REMEDY)?;
        let Some(root) = trial::root_in(&context.temporary)? else { return Ok(()) };
        let root = root.path().to_string_lossy();
        PODMAN.check(&["run", "--rm", "--network=none", "--rootfs", &root, trial::PROGRAM, "--version"], REMEDY)
    }

    fn keeps(&self, base: &Image, _context: &Context) -> bool {
        PODMAN.has_kept(base)
    }

    fn prepare(&self, job: &Job<'_>, context: &Context) -> Result<Option<Root>> {
        ensure_users(job)?;
        // Proxies of the station, and the passwords in their addresses, are nothing for a train.
        let mut options = vec!["--http-proxy=false".to_owned()];
        // Its own profile lets trains make namespaces.
        options.push(format!("--security-opt=seccomp={}", seccomp::write(job.scratch)?.display()));
        options.extend(job.mounts.iter().flat_map(|mount| ["--volume".to_owned(), volume(mount)]));
        options.extend(job.options.gpus.iter().flat_map(|gpus| ["--device".to_owned(), device(gpus)]));
        // With what it runs: layers that Podman has are not pulled again, and a working directory that is not there is
        // made only if the image names it.
        let pull = || pull(job.image, job.scratch, context);
        PODMAN
            .create_on_kept(job.image, job.name, &pull, &|| PODMAN.create(job, job.image, &options, &[]))
            .map(|()| None)
    }

    fn start(&self, name: &str, scratch: &Path) -> Command {
        let mut command = PODMAN.start(name);
        // Its monitor (conmon) leaves a file `oom` where it was started when a train wants too much memory.
        command.current_dir(scratch);
        command
    }

    fn outcome(&self, name: &str, _scratch: &Path, ended: ExitStatus) -> Result<Outcome> {
        PODMAN.outcome(name, ended)
    }

    fn first_process(&self, name: &str, _scratch: &Path) -> Option<u32> {
        PODMAN.first_process(name)
    }

    fn written(&self, job: &Job<'_>) -> Result<Option<Vec<PathBuf>>> {
        PODMAN.written(job).map(Some)
    }

    fn remove(&self, name: &str, _scratch: &Path) -> Result<()> {
        PODMAN.remove(name)
    }

    fn reclaim(&self, dir: &Path) -> Result<()> {
        if rustix::process::geteuid().is_root() || !has_foreign(dir) {
            return Ok(());
        }
        // In the namespace of its containers this user is root.
        let mut chown = PODMAN.command(&["unshare", "chown", "--recursive", "--no-dereference", "0:0"]);
        chown.arg(dir);
        output_of(chown).map(drop).map_err(|said| {
            let what = "what the train has written as another user cannot be taken over";
            Error::io(what, io::Error::other(said)).at(dir.display())
        })
    }
}

/// Refuses a train that runs as another user than root where Podman, without root, has no other users.
fn ensure_users(job: &Job<'_>) -> Result<()> {
    if rustix::process::geteuid().is_root() || job.process.is_root() {
        return Ok(());
    }
    let told = run_capture(PODMAN.command(&["unshare", "cat", "/proc/self/uid_map"]))?;
    let told = String::from_utf8_lossy(&told);
    let counts = told.lines().filter_map(|line| line.split_whitespace().nth(2)?.parse::<u64>().ok());
    if counts.sum::<u64>() > 1 {
        return Ok(());
    }
    let user = Printable::new(&job.process.user);
    let what = format!("the image runs as user {user}, but podman without root has no further users here");
    Err(Error::usage(what).advise(Advice::GiveFurtherUsers))
}

/// True if something below `dir`, or it itself, is not this user's.
fn has_foreign(dir: &Path) -> bool {
    let own = rustix::process::geteuid().as_raw();
    let is_foreign = |path: &Path| fs::symlink_metadata(path).is_ok_and(|found| found.uid() != own);
    let mut open = vec![dir.to_owned()];
    while let Some(path) = open.pop() {
        if is_foreign(&path) {
            return true;
        }
        if path.is_dir() && !path.is_symlink() {
            open.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        }
    }
    false
}

/// Hands the base to Podman, and leaves it there under its one name.
fn pull(base: &Image, scratch: &Path, context: &Context) -> Result<()> {
    let layout = scratch.join(LAYOUT);
    base.write(&Reference::layout(&layout, Some(LAYOUT.to_owned())), LAYOUT, context)?;
    let mut pull = PODMAN.command(&["pull", "--quiet", &format!("oci:{LAYOUT}:{LAYOUT}")]);
    pull.current_dir(scratch);
    let told = run_capture(pull).at("loading the base")?;
    std::fs::remove_dir_all(&layout).doing("remove the directory").at(layout.display())?;
    let id = String::from_utf8_lossy(&told).trim().to_owned();
    if format!("sha256:{id}") != base.id().as_ref() {
        return Err(Error::internal("the base has another ID at Podman"));
    }
    run_capture(PODMAN.command(&["untag", &id])).at("naming the base")?;
    run_capture(PODMAN.command(&["tag", &id, &kept_name(base)])).map(drop).at("naming the base")
}

fn volume(mount: &Mount) -> String {
    let access = if mount.read_only { "ro" } else { "rw" };
    // What was made for this container is ours to relabel for SELinux, and nothing in it is a device or another user's
    // program; all else has the labels and rights that it has.
    let own = if mount.private { ",nosuid,nodev,Z" } else { "" };
    format!("{}:{}:{access}{own}", mount.host.display(), mount.path.display())
}

/// The name of a device in the container device interface, through which Podman knows graphics cards.
fn device(gpus: &str) -> String {
    if gpus.contains('=') { gpus.to_owned() } else { format!("nvidia.com/gpu={gpus}") }
}

#[cfg(test)]
mod tests {
    use super::device;

    #[test]
    fn graphics_cards_are_devices_of_podman() {
        for (given, message) in
            [("all", "nvidia.com/gpu=all"), ("0", "nvidia.com/gpu=0"), ("amd.com/gpu=1", "amd.com/gpu=1")]
        {
            assert_eq!(device(given), message);
        }
    }
}
