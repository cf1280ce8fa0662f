//! Podman and Docker: load an image from a layout, run it without a network, commit what it left.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use support::peers::{run, skopeo_copy};
use support::{Layout, Peer, utf8};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Podman,
    Docker,
}

impl Kind {
    pub fn peer(self) -> Peer {
        match self {
            Kind::Podman => Peer::Podman,
            Kind::Docker => Peer::Docker,
        }
    }
}

/// An engine with names, and for Podman a storage, of its own; what it made goes away with it.
pub struct Engine {
    kind: Kind,
    storage: tempfile::TempDir,
    names: Vec<String>,
    containers: Vec<String>,
}

static COUNT: AtomicUsize = AtomicUsize::new(0);

impl Engine {
    pub fn new(kind: Kind) -> Self {
        let storage = tempfile::tempdir().expect("a temporary directory");
        Self { kind, storage, names: Vec::new(), containers: Vec::new() }
    }

    fn path(&self, below: &str) -> String {
        let path: PathBuf = self.storage.path().join(below);
        path.into_os_string().into_string().expect("a path in UTF-8")
    }

    fn name(&mut self, what: &str) -> String {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("localhost/pht-oci-test/{what}-{}-{number}:latest", std::process::id());
        self.names.push(name.clone());
        name
    }

    fn call(&self, arguments: &[&str]) -> Result<Vec<u8>, String> {
        match self.kind {
            Kind::Docker => run("docker", arguments),
            Kind::Podman => {
                let (root, run_root) = (self.path("root"), self.path("run"));
                let storage = ["--root", &root, "--runroot", &run_root, "--storage-driver", "vfs"];
                let runtime = ["--runtime", "runc", "--cgroup-manager", "cgroupfs", "--events-backend", "none"];
                run("podman", &[&storage[..], &runtime, arguments].concat())
            }
        }
    }

    /// How skopeo calls an image of this engine.
    fn image(&self, name: &str) -> String {
        match self.kind {
            Kind::Docker => format!("docker-daemon:{name}"),
            Kind::Podman => format!("containers-storage:[vfs@{}+{}]{name}", self.path("root"), self.path("run")),
        }
    }

    /// Loads a tag of a layout.
    #[track_caller]
    pub fn load(&mut self, layout: &Layout, tag: &str) -> String {
        let name = self.name("loaded");
        skopeo_copy(&layout.at(tag), &self.image(&name)).unwrap_or_else(|message| panic!("{tag}: {message}"));
        name
    }

    /// Loads an archive; the image has this name in it.
    #[track_caller]
    pub fn load_archive(&mut self, file: &Path, name: &str) {
        self.names.push(name.to_owned());
        let file = utf8(file);
        self.call(&["load", "-q", "-i", file]).unwrap_or_else(|message| panic!("{file}: {message}"));
    }

    /// Saves an image as an archive, in a form that the engine knows.
    #[track_caller]
    pub fn save(&self, name: &str, form: &[&str], file: &Path) {
        let line = [&["save"], form, &["-o", utf8(file), name]].concat();
        self.call(&line).unwrap_or_else(|message| panic!("{message}"));
    }

    /// Runs an image, with its own command or another; the container stays.
    #[track_caller]
    fn start(&mut self, image: &str, command: &[&str]) -> (String, Vec<u8>) {
        let container = format!("pht-oci-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        self.containers.push(container.clone());
        let mut line = vec!["run", "--network", "none", "--name", &container];
        if self.kind == Kind::Podman {
            line.extend(["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]);
        }
        line.push(image);
        line.extend(command);
        let printed = self.call(&line).unwrap_or_else(|message| panic!("{message}"));
        (container, printed)
    }

    /// What a command prints in an image.
    #[track_caller]
    pub fn print(&mut self, image: &str, command: &[&str]) -> Vec<u8> {
        self.start(image, command).1
    }

    /// Runs the train and commits it back to a tag of the layout.
    #[track_caller]
    pub fn run_and_commit(&mut self, image: &str, layout: &Layout, tag: &str) {
        let (container, _) = self.start(image, &[]);
        let name = self.name("committed");
        self.call(&["commit", &container, &name]).unwrap_or_else(|message| panic!("{message}"));
        skopeo_copy(&self.image(&name), &layout.at(tag)).unwrap_or_else(|message| panic!("{tag}: {message}"));
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        for container in &self.containers {
            let _ = self.call(&["rm", "-f", container]);
        }
        for name in &self.names {
            let _ = self.call(&["rmi", "-f", name]);
        }
    }
}
