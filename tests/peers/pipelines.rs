//! The pipelines under `scripts/`: Airflow runs its DAG against a registry, manifests are held against their schema.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::registry::server::Server;
use serde_json::json;
use support::containers::configure;
use support::peers::test_file;
use support::{Implementation, Peer, Train, TrainSpec, Wire, available, pht_oci, run, utf8};

const PLAIN: [&str; 2] = ["--src-tls-verify=false", "--dest-tls-verify=false"];

/// What is installed with Airflow.
fn installed(program: &str) -> String {
    format!("{}/venv/bin/{program}", std::env::var("PHT_AIRFLOW_HOME").unwrap())
}

fn script(name: &str) -> String {
    test_file("../scripts").join(name).into_os_string().into_string().unwrap()
}

/// Airflow with a database of its own and this station's environment; what it printed, and whether it went well.
fn airflow(dir: &Path, line: &[&str], variables: &[(&str, &str)]) -> (bool, String) {
    let program = Path::new(support::program()).parent().unwrap();
    let mut command = Command::new(installed("airflow"));
    command.args(line).stdin(Stdio::null()).envs(configure(dir)).envs(variables.iter().copied());
    command.env("PATH", format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default()));
    command.env("AIRFLOW_HOME", dir.join("airflow")).env("PHT_WORK", dir.join("work"));
    command.env("AIRFLOW__CORE__DAGS_FOLDER", script("airflow")).env("AIRFLOW__CORE__LOAD_EXAMPLES", "False");
    let output = command.output().expect("airflow starts");
    let message = [output.stdout, output.stderr].map(|out| String::from_utf8_lossy(&out).into_owned()).concat();
    (output.status.success(), message)
}

/// A train for one station, in a registry with its master image; every visit adds a line to its results.
fn published(server: &Server) -> (Train, String) {
    let spec = TrainSpec {
        stations: vec![json!("station_1")],
        indexes: vec![0],
        entrypoint: "#!/bin/sh\necho visited >> /opt/pht_results/visits\n".to_owned(),
        ..TrainSpec::default()
    };
    let train = Train::build(Implementation::Ours, Wire::V3, &spec).unwrap();
    let repository = server.at("station_1/train");
    pht_oci(&["copy", &train.base.at("base"), &server.at("master/sh:latest"), PLAIN[1]], &[]).ok();
    for tag in ["base", "latest"] {
        pht_oci(&["copy", &train.layout.at("0"), &format!("{repository}:{tag}"), PLAIN[1]], &[]).ok();
    }
    (train, repository)
}

#[test]
fn airflow_carries_a_train_through_the_station() {
    let peers = [Peer::Airflow, Peer::Registry, Peer::Podman, Peer::Busybox, Peer::Python];
    if !available("airflow_carries_a_train_through_the_station", &peers) {
        return;
    }
    let (server, dir) = (Server::open(), tempfile::tempdir().unwrap());
    let (train, repository) = published(&server);
    let (done, message) = airflow(dir.path(), &["db", "migrate"], &[]);
    assert!(done, "{message}");
    let digest = || run("skopeo", &["inspect", "--tls-verify=false", "--format={{.Digest}}", &repository]).unwrap();
    let before = digest();
    let test = |key: &str, master: &str| {
        let master = server.at(master);
        let asked = json!({ "source": repository, "master": master, "options": PLAIN }).to_string();
        let station = [("STATION_ID", "station_1"), ("PRIVATE_KEY_PATH", key)];
        airflow(dir.path(), &["dags", "test", "pht_station", "--conf", &asked], &station)
    };

    // A wrong key: nothing is pushed, nothing is repeated, nothing stays.
    let (done, message) = test(&train.key("user"), "master/sh:latest");
    assert!(!done && message.contains("pht-oci pre-run ended with exit status 4"), "{message}");
    assert_eq!(digest(), before);
    let left = || fs::read_dir(dir.path().join("work")).unwrap().count();
    assert_eq!(left(), 0);

    let (done, message) = test(&train.key("station_1"), "master/sh:latest");
    assert!(done, "{message}");
    assert_ne!(digest(), before);
    assert_eq!(left(), 0);
    let (key, out) = (train.key("user"), dir.path().join("out"));
    let latest = format!("{repository}:latest");
    let line = ["results", &latest, "--private-key", &key, "--out", utf8(&out), PLAIN[0]];
    pht_oci(&line, &[]).ok();
    assert_eq!(fs::read_to_string(out.join("visits")).unwrap(), "visited\n");
}

#[test]
fn the_kubernetes_manifest_fits_its_schema() {
    if !available("the_kubernetes_manifest_fits_its_schema", &[Peer::Airflow]) {
        return;
    }
    let (checker, manifest) = (installed("kubernetes-validate"), script("kubernetes/station-job.yaml"));
    run(&checker, &["--strict", &manifest]).unwrap();
    let wrong = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    fs::write(&wrong, fs::read_to_string(&manifest).unwrap().replace("backoffLimit: 3", "backoffLimit: often"))
        .unwrap();
    run(&checker, &["--strict", wrong.path().to_str().unwrap()]).expect_err("the checker checks");
}

#[test]
fn every_command_of_the_manifest_is_one_of_the_program() {
    let manifest = fs::read_to_string(script("kubernetes/station-job.yaml")).unwrap();
    let mut seen = 0;
    for command in ["validate", "pre-run", "post-run"] {
        seen += usize::from(manifest.contains(&format!("[{command},")) || manifest.contains(&format!("- {command}\n")));
        pht_oci(&[command, "--help"], &[]).ok();
    }
    assert_eq!(seen, 3);
}
