//! Other programs that the tests hold ours against.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{project, utf8};

/// What a test may need besides the program itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    Python,
    Openssl,
    Skopeo,
    Umoci,
    Buildah,
    /// `zstd` and `pzstd`.
    Zstd,
    Pigz,
    Debootstrap,
    Busybox,
    Bsdtar,
    Mmdebstrap,
    /// A Docker daemon at `DOCKER_HOST`.
    Docker,
    /// The reference implementation, set up by `scripts/setup-reference.sh`.
    Reference,
    /// Podman with runc, as root.
    Podman,
    Runc,
    /// `ch-run`, and the programs of util-linux that it is run with.
    Charliecloud,
    /// A kernel that lets users who are not root have namespaces.
    Namespaces,
    /// `newuidmap`, which gives such a user further ones in them.
    FurtherUsers,
    /// The registry of the distribution project, and `htpasswd`.
    Registry,
    /// Other registries, started by `scripts/setup-registries.sh`.
    Ferro,
    Pulp,
    Strace,
    Groff,
    /// Chromium, headless, driven by Python.
    Chromium,
    /// A master image with Python and R, set up by `scripts/setup-algorithms.sh`.
    Algorithms,
    /// Apache Airflow and the schemas of Kubernetes, set up by `scripts/setup-airflow.sh`.
    Airflow,
    /// What the tests of `scripts/python` run with, set up by `scripts/setup-python.sh`.
    PythonPackages,
    /// What `scripts/release.sh` made, in the directory `PHT_RELEASE`.
    Release,
    Root,
}

impl Peer {
    fn is_here(self) -> bool {
        match self {
            Peer::Python => answers("python3", &["-S", "-c", "import tarfile"]),
            Peer::Openssl => answers("openssl", &["version"]),
            Peer::Skopeo => answers("skopeo", &["--version"]),
            Peer::Umoci => answers("umoci", &["--version"]),
            Peer::Buildah => answers("buildah", &["--version"]),
            Peer::Zstd => answers("zstd", &["--version"]) && answers("pzstd", &["--version"]),
            Peer::Pigz => answers("pigz", &["--version"]),
            Peer::Debootstrap => answers("debootstrap", &["--version"]),
            Peer::Busybox => ["/bin/busybox", "/usr/bin/busybox"].iter().any(|p| Path::new(p).exists()),
            Peer::Bsdtar => answers("bsdtar", &["--version"]),
            Peer::Mmdebstrap => answers("mmdebstrap", &["--version"]),
            Peer::Docker => Peer::Skopeo.is_here() && variable("DOCKER_HOST") && answers("docker", &["info"]),
            Peer::Reference => Peer::Docker.is_here() && variable("PHT_REFERENCE_HOME") && variable("PHT_PYTHON"),
            Peer::Podman => Peer::Root.is_here() && Peer::Skopeo.is_here() && answers("podman", &["--version"]),
            // It wants to know who runs it.
            Peer::Charliecloud => Peer::Root.is_here() && answers("env", &["USER=root", "ch-run", "--version"]),
            Peer::Runc => Peer::Root.is_here() && answers("runc", &["--version"]),
            Peer::Namespaces => {
                let nobody = ["--reuid", "54321", "--regid", "54321", "--clear-groups", "--no-new-privs"];
                let unshare = ["unshare", "--user", "--map-root-user", "--net", "true"];
                answers("setpriv", &[&nobody[..], &unshare].concat())
            }
            Peer::FurtherUsers => {
                let there = ["/usr/bin/newuidmap", "/usr/bin/newgidmap", "/etc/subuid", "/etc/subgid"];
                Peer::Root.is_here() && there.iter().all(|path| Path::new(path).exists())
            }
            Peer::Registry => {
                answers("docker-registry", &["--version"]) && answers("htpasswd", &["-nbB", "user", "password"])
            }
            Peer::Ferro => variable("PHT_FERRO"),
            Peer::Pulp => ["PHT_PULP", "PHT_PULP_LOGIN", "PHT_PULP_EXPORTS"].into_iter().all(variable),
            Peer::Strace => answers("strace", &["-V"]),
            Peer::Algorithms => variable("PHT_ALGORITHMS_HOME"),
            Peer::Airflow => variable("PHT_AIRFLOW_HOME"),
            Peer::PythonPackages => variable("PHT_PYTHON_HOME"),
            Peer::Release => variable("PHT_RELEASE"),
            Peer::Chromium => Peer::Python.is_here() && answers("chromium", &["--version"]),
            Peer::Groff => answers("groff", &["--version"]),
            Peer::Root => rustix::process::geteuid().is_root(),
        }
    }
}

fn variable(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty())
}

fn answers(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Whether all these peers are here. If not, the test is left out and named in the file `PHT_LEFT_OUT`; with `CI=true`
/// it fails instead.
#[track_caller]
pub fn available(test: &str, peers: &[Peer]) -> bool {
    let Some(missing) = peers.iter().find(|peer| !peer.is_here()) else { return true };
    leave_out(test, &format!("{missing:?}"));
    false
}

/// A Python that has the package `cryptography`, with which the second implementation of wire 3 runs; without one the
/// test is left out as by [`available`].
#[track_caller]
pub fn cryptography(test: &str) -> Option<String> {
    let python = std::env::var("PHT_PYTHON").ok().filter(|python| !python.is_empty());
    let python = python.unwrap_or_else(|| "python3".to_owned());
    if answers(&python, &["-c", "import cryptography.hazmat.primitives.kdf.hkdf"]) {
        return Some(python);
    }
    leave_out(test, "python cryptography");
    None
}

/// A Python that has the package `securesystemslib`, which verifies signed statements; without one the test is left out as
/// by [`available`].
#[track_caller]
pub fn securesystemslib(test: &str) -> Option<String> {
    let python = std::env::var("PHT_PYTHON").ok().filter(|python| !python.is_empty());
    let python = python.unwrap_or_else(|| "python3".to_owned());
    if answers(&python, &["-c", "import cryptography, securesystemslib.dsse"]) {
        return Some(python);
    }
    leave_out(test, "python securesystemslib");
    None
}

#[track_caller]
fn leave_out(test: &str, needs: &str) {
    let line = format!("left out: {test}: needs {needs}");
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{line}");
    eprintln!("{line}");
    if let Some(file) = std::env::var_os("PHT_LEFT_OUT") {
        let mut file = OpenOptions::new().append(true).create(true).open(file).expect("PHT_LEFT_OUT can be opened");
        writeln!(file, "{line}").expect("PHT_LEFT_OUT can be written");
    }
}

/// What a peer prints, or all that is known about why it failed.
pub fn run<S: AsRef<OsStr>>(program: impl AsRef<OsStr>, arguments: &[S]) -> Result<Vec<u8>, String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?}\n  {}\n  {}", output.status, stderr.trim()))
}

/// A file under `tests/`.
pub fn test_file(name: &str) -> PathBuf {
    project().join("tests").join(name)
}

/// One stage of the reference; see `tests/python/reference.py`.
pub fn reference(arguments: &[&str]) -> Result<Vec<u8>, String> {
    let script = test_file("python/reference.py");
    let python = std::env::var_os("PHT_PYTHON").expect("PHT_PYTHON is set where the reference is");
    run(python, &[&[utf8(&script)], arguments].concat())
}

/// Copies an image; knows the Docker daemon at `DOCKER_HOST`.
pub fn skopeo_copy(source: &str, destination: &str) -> Result<(), String> {
    let host = std::env::var("DOCKER_HOST").unwrap_or_default();
    let mut arguments = vec!["--insecure-policy", "copy", "-q"];
    if !host.is_empty() {
        arguments.extend(["--src-daemon-host", &host, "--dest-daemon-host", &host]);
    }
    arguments.extend([source, destination]);
    run("skopeo", &arguments).map(drop)
}
