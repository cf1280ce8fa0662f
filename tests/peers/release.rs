//! What `scripts/release.sh` makes: a static binary, and an image of it that Podman runs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use support::containers::configure;
use support::tree::{differences, snapshot, write_results};
use support::{Implementation, Peer, Train, TrainSpec, Wire, available, run, utf8};

/// The binary.
fn binary() -> PathBuf {
    support::released().expect("a release")
}

#[test]
fn the_binary_needs_no_library() {
    if !available("the_binary_needs_no_library", &[Peer::Release]) {
        return;
    }
    let binary = binary();
    let dynamic = run("readelf", &["-d", utf8(&binary)]).unwrap();
    assert!(!String::from_utf8_lossy(&dynamic).contains("NEEDED"));
    let text = std::fs::read(&binary).unwrap();
    let home = std::env::var("HOME").unwrap();
    let here = env!("CARGO_MANIFEST_DIR");
    for path in [here, &format!("{home}/.cargo")] {
        assert!(!text.windows(path.len()).any(|window| window == path.as_bytes()), "{path} is in the binary");
    }
    // Of OpenSSL there are the digests, nothing that would read a configuration or load a module.
    for name in ["openssl.cnf", "OPENSSL_CONF", "OPENSSL_MODULES"] {
        assert!(!text.windows(name.len()).any(|window| window == name.as_bytes()), "{name} is in the binary");
    }
}

/// Podman with a storage in `dir`.
fn podman(dir: &Path, line: &[&str]) -> Result<String, String> {
    let mut command = Command::new("podman");
    let output = command.args(line).envs(configure(dir)).stdin(Stdio::null()).output().unwrap();
    let message = [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat();
    if output.status.success() { Ok(message) } else { Err(message) }
}

#[test]
fn the_image_runs_the_stages_as_the_reference_image_does() {
    let peers = [Peer::Release, Peer::Podman, Peer::Python];
    if !available("the_image_runs_the_stages_as_the_reference_image_does", &peers) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let image = PathBuf::from(format!("{}-image.tar", binary().display()));
    let loaded = podman(dir.path(), &["pull", "-q", &format!("oci-archive:{}", image.display())]).unwrap();
    let spec = TrainSpec { password: Some("open sesame"), ..TrainSpec::default() };
    let train = Train::build(Implementation::Ours, Wire::V2_0, &spec).unwrap();
    let (work, key) = (train.layout.dir.display(), train.key("station_1"));
    let mounts = [format!("-v={work}:{work}"), format!("-v={key}:/opt/private_key.pem:ro")];
    let stage = |line: &[&str]| {
        let mut all = vec!["run", "--rm", "--network=none", &mounts[0], &mounts[1]];
        all.extend(["-e", "STATION_ID=station_1", "-e", "PRIVATE_KEY_PATH=/opt/private_key.pem"]);
        all.extend(["-e", "PRIVATE_KEY_PASSWORD=open sesame", loaded.trim()]);
        all.extend(line);
        podman(dir.path(), &all)
    };
    let image = train.layout.at("0");
    stage(&["pre-run", &image]).unwrap();
    let results = tempfile::tempdir().unwrap();
    write_results(results.path(), 0);
    train.put("0", "0", 0, results.path());
    stage(&["post-run", &image, "--rebase"]).unwrap();
    train.check_results("0", results.path(), true).unwrap();
    stage(&["post-run", &image]).expect_err("it has been closed");
    let changes = differences(&snapshot(results.path()), &snapshot(&train.dir.path().join("out-0")), true);
    assert!(changes.is_empty(), "{changes:?}");
}

/// A place in which `doctor` looks at an engine.
struct Checkup {
    dir: tempfile::TempDir,
    engine: &'static str,
    variables: Vec<(&'static str, String)>,
}

impl Checkup {
    fn new(engine: &'static str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let variables = configure(dir.path()).to_vec();
        for name in ["bin", "tmp", "cache"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        Checkup { dir, engine, variables }
    }

    /// What it says of the engine; of one that must not be root's, to another user.
    fn look(&self, is_root: bool) -> Value {
        let program = self.dir.path().join("pht-oci");
        std::fs::copy(binary(), &program).unwrap();
        let mut command = match is_root {
            true => Command::new(&program),
            false => {
                run("chown", &["-R", "54321:54321", utf8(self.dir.path())]).unwrap();
                let mut command = Command::new("setpriv");
                command.args(["--reuid=54321", "--regid=54321", "--clear-groups", "--"]).arg(&program);
                command
            }
        };
        let at = |name: &str| self.dir.path().join(name);
        let path = format!("{}:{}", at("bin").display(), std::env::var("PATH").unwrap());
        command.args(["doctor", "--engine", self.engine, "--format", "json"]).stdin(Stdio::null());
        command.envs(self.variables.clone()).env("PHT_CONFIG", "/dev/null").env("PATH", path);
        command.env("TMPDIR", at("tmp")).env("XDG_CACHE_HOME", at("cache"));
        let found: Value = serde_json::from_slice(&command.output().unwrap().stdout).expect("JSON");
        assert_eq!(at("tmp").read_dir().unwrap().count(), 0, "{}: something was left", self.engine);
        assert_eq!(at("cache").read_dir().unwrap().count(), 0, "{}: something is kept", self.engine);
        let findings = found["findings"].as_array().expect("a list");
        findings.iter().find(|finding| finding["id"] == "engine").expect("a word on the engine").clone()
    }

    /// A program that tells its version as the one of this name does, and fails at all else.
    fn break_program(&self, name: &str, version: &str) {
        let whole = run("sh", &["-c", &format!("command -v {name}")]).unwrap();
        let whole = String::from_utf8(whole).unwrap();
        let path = self.dir.path().join("bin").join(name);
        let text =
            format!("#!/bin/sh\n[ \"$1\" != {version} ] || exec {} \"$@\"\necho broken >&2\nexit 1\n", whole.trim());
        std::fs::write(&path, text).unwrap();
        run("chmod", &["755", utf8(&path)]).unwrap();
    }

    fn check_fault(&self, is_root: bool, advice: &str) {
        let found = self.look(is_root);
        assert_eq!(found["verdict"], "fault", "{found}");
        let told = found["advice"].as_str().expect("advice");
        assert!(told.contains(advice) && told.contains("--engine"), "{found}");
    }
}

/// That limits cannot be set, say, shows with a container only, and should not show with the first train.
#[test]
fn doctor_starts_a_container_with_podman() {
    if !available("doctor_starts_a_container_with_podman", &[Peer::Release, Peer::Podman]) {
        return;
    }
    let checkup = Checkup::new("podman");
    let found = checkup.look(true);
    assert_eq!(found["verdict"], "ok", "{found}");
    let limits = "[engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\n\
                  [containers]\ndefault_ulimits = [\"nofile=9999999999:9999999999\"]\n";
    std::fs::write(checkup.dir.path().join("containers.conf"), limits).unwrap();
    checkup.check_fault(true, "mend podman");
    configure(checkup.dir.path());
    assert_eq!(podman(checkup.dir.path(), &["ps", "--all", "--quiet"]).unwrap(), "", "a container was left");
}

#[test]
fn doctor_starts_a_container_with_runc() {
    if !available("doctor_starts_a_container_with_runc", &[Peer::Release, Peer::Runc]) {
        return;
    }
    let checkup = Checkup::new("runc");
    let found = checkup.look(true);
    assert_eq!(found["verdict"], "ok", "{found}");
    checkup.break_program("runc", "--version");
    checkup.check_fault(true, "mend runc");
}

#[test]
fn doctor_starts_a_container_with_charliecloud() {
    let peers = [Peer::Release, Peer::Charliecloud, Peer::Namespaces];
    if !available("doctor_starts_a_container_with_charliecloud", &peers) {
        return;
    }
    let checkup = Checkup::new("charliecloud");
    let found = checkup.look(false);
    assert_eq!(found["verdict"], "ok", "{found}");
    checkup.break_program("ch-run", "--version");
    checkup.check_fault(false, "mend charliecloud");
}

#[test]
fn doctor_starts_a_container_with_docker() {
    if !available("doctor_starts_a_container_with_docker", &[Peer::Release, Peer::Docker]) {
        return;
    }
    let kept = || run("docker", &["images", "--quiet", "--filter", "reference=localhost/pht-oci/base"]).unwrap();
    let checkup = Checkup::new("docker");
    let before = kept();
    let found = checkup.look(true);
    assert_eq!(found["verdict"], "ok", "{found}");
    assert_eq!(kept(), before, "the image was left");
    checkup.break_program("docker", "version");
    checkup.check_fault(true, "mend Docker");
}
