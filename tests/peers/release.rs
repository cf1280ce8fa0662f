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

/// That limits cannot be set, say, shows with a container only, and should not show with the first train.
#[test]
fn doctor_starts_a_container_with_podman() {
    if !available("doctor_starts_a_container_with_podman", &[Peer::Release, Peer::Podman]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let variables = configure(dir.path());
    let look = || {
        let mut command = Command::new(binary());
        command.args(["doctor", "--engine", "podman", "--format", "json"]).stdin(Stdio::null());
        command.envs(variables.clone()).env("PHT_CONFIG", "/dev/null").env("TMPDIR", dir.path());
        let found: Value = serde_json::from_slice(&command.output().unwrap().stdout).expect("JSON");
        let findings = found["findings"].as_array().expect("a list");
        findings.iter().find(|finding| finding["id"] == "engine").expect("a word on the engine").clone()
    };
    let found = look();
    assert_eq!(found["verdict"], "ok", "{found}");
    let limits = "[engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\n\
                  [containers]\ndefault_ulimits = [\"nofile=9999999999:9999999999\"]\n";
    std::fs::write(dir.path().join("containers.conf"), limits).unwrap();
    let found = look();
    assert_eq!(found["verdict"], "fault", "{found}");
    let advice = found["advice"].as_str().expect("advice");
    assert!(advice.contains("mend podman") && advice.contains("--engine"), "{found}");
    configure(dir.path());
    assert_eq!(podman(dir.path(), &["ps", "--all", "--quiet"]).unwrap(), "", "a container was left");
    let names = dir.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.contains("trial")).count(), 0, "a directory was left");
}
