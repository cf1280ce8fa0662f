use std::path::Path;
use std::process::{Command, ExitStatus};

use super::client::Client;
use super::interface::{Engine, Job, Sealed};
use super::options::RunOptions;
use super::supervise::run_capture;
use crate::error::{ErrorContext, Result};
use crate::store::Context;

/// Podman: takes the image from the layout into the store of this user, without a daemon and without root.
pub(super) struct Podman;

const PODMAN: Client = Client("podman");

impl Sealed for Podman {}

impl Engine for Podman {
    fn name(&self) -> &'static str {
        PODMAN.0
    }

    fn check(&self, _options: &RunOptions) -> Result<()> {
        PODMAN.check(&["version", "--format", "{{.Client.Version}}"], "install podman")
    }

    fn prepare(&self, job: &Job<'_>, _world: &Context) -> Result<()> {
        // Podman names the image after the path of the layout as it is given (before version 5), or after the tag.
        let place = format!("oci:{0}:{0}", job.name);
        let mut pull = PODMAN.command(&["pull", "--quiet", &place]);
        pull.current_dir(job.layout.parent().unwrap_or(job.scratch));
        run_capture(pull).at("loading the image")?;
        // Proxies of the station, and the passwords in their addresses, are nothing for a train.
        let mut options = vec!["--http-proxy=false".to_owned()];
        for mount in job.mounts {
            // What was made for this container is ours to relabel for SELinux; all else has the labels that it has.
            let access = if mount.read_only { "ro" } else { "rw" };
            let label = if mount.private { ",Z" } else { "" };
            let (host, path) = (mount.host.display(), mount.path.display());
            options.extend(["--volume".to_owned(), format!("{host}:{path}:{access}{label}")]);
        }
        options.extend(job.options.gpus.iter().flat_map(|gpus| ["--device".to_owned(), device(gpus)]));
        PODMAN.create(job, &options)
    }

    fn start(&self, name: &str, _scratch: &Path) -> Command {
        PODMAN.start(name)
    }

    fn exit_status(&self, name: &str, _scratch: &Path, ended: ExitStatus) -> Result<i32> {
        PODMAN.exit_status(name, ended)
    }

    fn remove(&self, name: &str, _scratch: &Path) -> Result<()> {
        PODMAN.remove(name)
    }
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
