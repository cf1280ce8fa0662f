use std::path::Path;
use std::process::{Command, ExitStatus};

use super::attend::ask;
use super::client::{Client, mounts};
use super::{Engine, Job, Order};
use crate::error::{Context, Result};
use crate::stage::World;

/// Podman: takes the image from the layout into the store of this user, without a daemon and without root.
pub(super) struct Podman;

const PODMAN: Client = Client("podman");

impl Engine for Podman {
    fn name(&self) -> &'static str {
        PODMAN.0
    }

    fn check(&self, _order: &Order) -> Result<()> {
        PODMAN.check(&["version", "--format", "{{.Client.Version}}"], "install podman")
    }

    fn prepare(&self, job: &Job<'_>, _world: &World) -> Result<()> {
        // Podman names the image after the path of the layout as it is given (before version 5), or after the tag.
        let place = format!("oci:{0}:{0}", job.name);
        let mut pull = PODMAN.command(&["pull", "--quiet", &place]);
        pull.current_dir(job.layout.parent().unwrap_or(job.scratch));
        ask(pull).at("load the image")?;
        // Proxies of the station, and the passwords in their addresses, are nothing for a train.
        let mut options = vec!["--http-proxy=false".to_owned()];
        for (at, (host, path, read_only)) in mounts(job.results, job.order).enumerate() {
            // The results are ours to relabel for SELinux; what the station gives has the labels that it has.
            let mode = match (at, read_only) {
                (0, _) => "rw,Z",
                (_, true) => "ro",
                (_, false) => "rw",
            };
            options.extend(["--volume".to_owned(), format!("{}:{path}:{mode}", host.display())]);
        }
        options.extend(job.order.gpus.iter().flat_map(|gpus| ["--device".to_owned(), device(gpus)]));
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
        for (given, told) in
            [("all", "nvidia.com/gpu=all"), ("0", "nvidia.com/gpu=0"), ("amd.com/gpu=1", "amd.com/gpu=1")]
        {
            assert_eq!(device(given), told);
        }
    }
}
