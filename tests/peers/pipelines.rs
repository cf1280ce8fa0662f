//! The pipelines under `scripts/`: Airflow runs its DAG against a registry, manifests are held against their schema, and
//! what a worker of Kubernetes runs is run.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::registry::server::Server;
use serde_json::{Value, json};
use support::containers::configure;
use support::peers::test_file;
use support::{Implementation, Peer, Train, TrainSpec, Wire, available, pht_oci, run, utf8};

/// What is installed with Airflow.
fn installed(program: &str) -> String {
    format!("{}/venv/bin/{program}", std::env::var("PHT_AIRFLOW_HOME").unwrap())
}

fn script(name: &str) -> String {
    test_file("../scripts").join(name).into_os_string().into_string().unwrap()
}

/// What no log may have: a login, the passphrase of the key, the value of a variable of the train, what the train prints.
const SECRETS: [&str; 5] = ["robot-secret", "cm9ib3Q6cm9ib3Qtc2VjcmV0", "open sesame", "token-0815", "patient-4711"];

/// A train that adds a line to its results at every visit, and does what its variables say.
const ENTRYPOINT: &str = "#!/bin/sh
echo \"$TOKEN opens the data of patient-4711\"
[ -z \"$FAIL\" ] || exit 9
[ ! -e /data/sleep ] || { echo asleep; sleep 300; }
echo visited >> /opt/pht_results/visits
";

/// A station with a reviewer and pins, and a train for it in a registry that asks for a login.
struct Station {
    server: Server,
    train: Train,
    dir: tempfile::TempDir,
    /// The files with the login, and with the authority of the registry's certificate.
    login: [String; 2],
}

impl Station {
    fn new() -> Self {
        let (server, dir) = (Server::locked(&["robot"]), tempfile::tempdir().unwrap());
        let spec = TrainSpec {
            stations: vec![json!("station_1")],
            indexes: vec![0],
            entrypoint: ENTRYPOINT.to_owned(),
            password: Some(SECRETS[2]),
            master: Some(server.at("master/sh:latest")),
            ..TrainSpec::default()
        };
        let train = Train::build(Implementation::Ours, Wire::V3, &spec).unwrap();
        let (auth, authority) = (dir.path().join("auth.json"), server.dir.path().join("ca/ca.crt"));
        let host = format!("127.0.0.1:{}", server.port);
        fs::write(&auth, json!({ "auths": { host: { "auth": SECRETS[1] } } }).to_string()).unwrap();
        let login = [auth, authority].map(|path| utf8(&path).to_owned());
        let station = Station { server, train, dir, login };
        pht_oci(&["keygen", utf8(&station.at("anna")), "--no-passphrase"], &[]).ok();
        let user = station.train.key("user").replace(".pem", ".pub.pem");
        let anna = utf8(&station.at("anna.pub.pem")).to_owned();
        for (trust, creator) in [("trust", &user), ("wrong", &anna)] {
            for (role, name, key) in [("creators", "test-user-id", creator), ("reviewers", "anna", &anna)] {
                let pins = station.at(trust).join(role);
                fs::create_dir_all(&pins).unwrap();
                fs::copy(key, pins.join(format!("{name}.pem"))).unwrap();
            }
        }
        station.copy(&station.train.base.at("base"), &station.server.at("master/sh:latest"));
        station.copy(&station.train.layout.at("0"), &station.server.at("in/train:latest"));
        station
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn copy(&self, from: &str, to: &str) {
        pht_oci(&["copy", from, to], &self.login()).ok();
    }

    /// The variables with which a command reaches the registry.
    fn login(&self) -> [(&str, &str); 2] {
        [("REGISTRY_AUTH_FILE", &self.login[0]), ("SSL_CERT_FILE", &self.login[1])]
    }

    /// What the creator finds in the train's results at a place in the registry: a line for every visit.
    fn visits(&self, repository: &str) -> String {
        let out = self.at(&format!("out-{}", repository.replace('/', "-")));
        let (source, key) = (self.server.at(&format!("{repository}:latest")), self.train.key("user"));
        let password = SECRETS[2];
        let variables = [&self.login()[..], &[("PRIVATE_KEY_PASSWORD", password)]].concat();
        pht_oci(&["results", &source, "--private-key", &key, "--out", utf8(&out)], &variables).ok();
        fs::read_to_string(out.join("visits")).unwrap()
    }

    fn is_in_registry(&self, repository: &str) -> bool {
        let source = self.server.at(&format!("{repository}:latest"));
        pht_oci(&["inspect", &source], &self.login()).status == Some(0)
    }

    /// The environment of a worker.
    fn environment(&self, command: &mut Command) {
        let program = Path::new(support::program()).parent().unwrap();
        command.stdin(Stdio::null()).envs(configure(self.dir.path()));
        command.env("PATH", format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default()));
        command.env("SSL_CERT_FILE", &self.login[1]);
        command.env("STATION_ID", "station_1").env("PRIVATE_KEY_PATH", self.train.key("station_1"));
        command.env("PRIVATE_KEY_PASSWORD", SECRETS[2]);
    }

    /// Python with Airflow, a database of its own and this station's environment; what it printed.
    fn airflow(&self, line: &[&str]) -> String {
        let mut command = Command::new(installed("python"));
        self.environment(&mut command);
        command.args(line).env("AIRFLOW_HOME", self.at("airflow")).env("PHT_WORK", self.at("work"));
        command.env("AIRFLOW__CORE__DAGS_FOLDER", script("airflow")).env("AIRFLOW__CORE__LOAD_EXAMPLES", "False");
        command.env("PYTHONDONTWRITEBYTECODE", "1").env("PHT_RETRIES", "1").env("PHT_RETRY_SECONDS", "0.2");
        command.env("HARBOR_URL", format!("https://127.0.0.1:{}", self.server.port)).env("HARBOR_USER", "robot");
        command.env("HARBOR_PW", SECRETS[0]).env("PHT_MASTER", self.server.at("master/sh:latest"));
        let output = command.output().expect("Python starts");
        let message = [output.stdout, output.stderr].map(|out| String::from_utf8_lossy(&out).into_owned()).concat();
        assert!(output.status.success(), "{message}");
        message
    }

    /// The cases that the DAG goes through. Runs of one date go on from each other.
    fn cases(&self) -> Value {
        let repository = format!("127.0.0.1:{}/in/train", self.server.port);
        let case = |name: &str, day: u8, variables: Value, env: Value, more: Value| {
            let mut environment = json!({
                "PHT_ENGINE": "runc", "PHT_TRUST_DIR": self.at("trust"), "PHT_DESTINATION": self.server.at(&format!("out/{name}")),
            });
            environment.as_object_mut().unwrap().extend(env.as_object().unwrap().clone());
            let mut variables = variables;
            variables["TOKEN"] = json!(SECRETS[3]);
            let volumes = json!({ self.at("data").display().to_string(): { "bind": "/data", "mode": "ro" } });
            let conf = json!({ "repository": repository, "tag": "latest", "env": variables, "volumes": volumes });
            let mut case =
                json!({ "name": name, "date": format!("2026-01-{day:02}"), "conf": conf, "env": environment });
            case.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            case
        };
        let approve = format!(
            "pht-oci approve $HELD/opened --results $HELD/results --reviewer-key {}.pem --out $RUN/approvals/anna.json",
            self.at("anna").display()
        );
        let reject = "echo 'too few patients' >$RUN/approvals/rejected";
        let asleep = self.at("data/sleep");
        let (none, reviewed) = (json!({}), json!({ "PHT_REVIEW": "yes" }));
        json!([
            case("refused", 1, none.clone(), json!({ "PHT_TRUST_DIR": self.at("wrong") }), none.clone()),
            case("failing", 2, json!({ "FAIL": "1" }), none.clone(), none.clone()),
            case("down", 3, none.clone(), json!({ "PHT_DESTINATION": "docker://127.0.0.1:1/{train}" }), none.clone()),
            case("up-again", 3, none.clone(), none.clone(), none.clone()),
            case("killed", 4, none.clone(), none.clone(), json!({ "kill_when": "asleep", "while_there_is": asleep })),
            case("repeated", 4, none.clone(), none.clone(), none.clone()),
            case("approved", 5, none.clone(), reviewed.clone(), json!({ "when_held": approve })),
            case("rejected", 6, none.clone(), reviewed, json!({ "when_held": reject })),
            case("good", 7, none.clone(), json!({ "PHT_ENGINE": "podman", "PHT_DESTINATION": "" }), none),
        ])
    }
}

/// The files below a directory.
fn files_below(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { files_below(&path, found) } else { found.push(path) }
    }
}

#[test]
fn airflow_carries_trains_through_the_station() {
    let peers = [Peer::Airflow, Peer::Registry, Peer::Podman, Peer::Runc, Peer::Busybox, Peer::Python, Peer::Openssl];
    if !available("airflow_carries_trains_through_the_station", &peers) {
        return;
    }
    let station = Station::new();
    let message = station.airflow(&["-m", "airflow", "db", "migrate"]);
    let cases = station.at("cases.json");
    fs::create_dir(station.at("data")).unwrap();
    fs::write(&cases, station.cases().to_string()).unwrap();
    let printed = station.airflow(&[utf8(&test_file("python/airflow/cases.py")), &script("airflow"), utf8(&cases)]);
    let outcomes: Vec<Value> = printed
        .lines()
        .filter_map(|line| line.strip_prefix('@'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let none: [(&str, u64); 0] = [];
    // The case, whether it went well, the task that has failed and how often it was tried, and whether anything is left.
    for (name, well, failed, is_left) in [
        ("refused", false, &[("run", 1)][..], false),
        ("failing", false, &[("run", 1)], false),
        ("down", false, &[("push", 2)], true),
        ("up-again", true, &none, false),
        ("repeated", true, &none, false),
        ("approved", true, &none, false),
        ("rejected", false, &[("approval", 1)], false),
        ("good", true, &none, false),
    ] {
        let found = outcomes.iter().find(|outcome| outcome["case"] == name);
        let found = found.unwrap_or_else(|| panic!("{name}: {printed}"));
        let tasks = found["tasks"].as_object().unwrap();
        let broken: Vec<_> = tasks.iter().filter(|(_, task)| task[0] == "failed").collect();
        let broken: Vec<_> = broken.iter().map(|(id, task)| (id.as_str(), task[1].as_u64().unwrap())).collect();
        assert_eq!((found["state"] == "success", &broken[..]), (well, failed), "{name}: {printed}");
        assert_eq!(!found["left"].as_array().unwrap().is_empty(), is_left, "{name}: {found}");
        let place = if name == "good" { "in/train".to_owned() } else { format!("out/{name}") };
        assert_eq!(station.is_in_registry(&place), well, "{name}");
        if well {
            // Once, however often its tasks were tried.
            assert_eq!(station.visits(&place), "visited\n", "{name}");
        }
    }

    // What the train prints is in its log alone, for the station's user; and no secret is in any other.
    let mut logs = Vec::new();
    files_below(&station.at("work"), &mut logs);
    assert!(logs.iter().any(|log| fs::read_to_string(log).unwrap().contains("patient-4711")), "{logs:?}");
    for log in logs {
        assert_eq!(fs::metadata(&log).unwrap().permissions().mode() & 0o077, 0, "{}", log.display());
    }
    let mut texts = vec![("what it printed".to_owned(), message), ("what the cases printed".to_owned(), printed)];
    let mut logs = Vec::new();
    files_below(&station.at("airflow/logs"), &mut logs);
    texts.extend(
        logs.iter()
            .map(|log| (log.display().to_string(), String::from_utf8_lossy(&fs::read(log).unwrap()).into_owned())),
    );
    for (place, text) in texts {
        for secret in SECRETS {
            assert!(!text.contains(secret), "`{secret}` is in {place}");
        }
    }
}

const MANIFESTS: [&str; 2] = ["kubernetes/station-job.yaml", "kubernetes/station-jobs.yaml"];

#[test]
fn the_kubernetes_manifests_fit_their_schema() {
    if !available("the_kubernetes_manifests_fit_their_schema", &[Peer::Airflow]) {
        return;
    }
    let checker = installed("kubernetes-validate");
    let manifests = MANIFESTS.map(script);
    run(&checker, &["--strict", &manifests[0], &manifests[1]]).unwrap();
    let wrong = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    fs::write(&wrong, fs::read_to_string(&manifests[0]).unwrap().replace("backoffLimit: 3", "backoffLimit: often"))
        .unwrap();
    run(&checker, &["--strict", wrong.path().to_str().unwrap()]).expect_err("the checker checks");
}

/// The documents of a manifest, as Python's reader has them.
fn documents(name: &str) -> Vec<Value> {
    let read = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
    let printed = run(installed("python"), &["-c", read, &script(name)]).unwrap();
    serde_json::from_slice(&printed).unwrap()
}

fn pod(name: &str) -> Value {
    let job = documents(name).into_iter().find(|document| document["kind"] == "Job").unwrap();
    job["spec"]["template"]["spec"].clone()
}

/// The commands of the program in a shell script, word by word.
fn scripted(text: &str) -> Vec<Vec<String>> {
    let text = text.replace("\\\n", " ");
    let commands = text.lines().flat_map(|line| line.split("pht-oci ").skip(1));
    let words = |line: &str| {
        let command = line.split("||").next().unwrap().split("; do").next().unwrap();
        command.split_whitespace().map(|word| word.trim_matches([';', '"']).to_owned()).collect()
    };
    commands.filter(|line| !line.starts_with("run-")).map(words).collect()
}

/// Each command of the program in the manifests, with options that it has; pins are mounted, plaintext is in memory.
#[test]
fn the_kubernetes_manifests_say_what_the_program_takes() {
    if !available("the_kubernetes_manifests_say_what_the_program_takes", &[Peer::Airflow]) {
        return;
    }
    let pods = MANIFESTS.map(pod);
    let mut lines: Vec<Vec<String>> = Vec::new();
    for container in
        ["initContainers", "containers"].iter().flat_map(|list| pods[0][*list].as_array().into_iter().flatten())
    {
        if container["image"].as_str().unwrap().contains("pht-oci") {
            let words = container["args"].as_array().unwrap().iter();
            lines.push(words.map(|word| word.as_str().unwrap().to_owned()).collect());
        }
    }
    for pod in &pods {
        lines.extend(scripted(pod["containers"][0]["command"][2].as_str().unwrap()));
    }
    assert!(lines.len() >= 9, "{lines:?}");
    for line in &lines {
        let help = pht_oci(&[&line[0], "--help"], &[]).ok();
        let help = String::from_utf8(help.stdout).unwrap();
        for option in line.iter().filter(|word| word.starts_with("--")) {
            let option = option.split('=').next().unwrap();
            assert!(help.contains(option), "{option} is no option of {}", line[0]);
        }
    }
    for pod in &pods {
        for volume in pod["volumes"].as_array().unwrap() {
            assert!(volume.get("emptyDir").is_none_or(|dir| dir["medium"] == "Memory"), "{volume}");
        }
        let container = &pod["containers"][0];
        let has = |list: &str, name: &str| container[list].as_array().unwrap().iter().any(|one| one["name"] == name);
        assert!(has("env", "PHT_TRUST_DIR") && has("volumeMounts", "trust"), "{container}");
    }
}

/// What a pod of the Indexed Job runs, with pins as Kubernetes mounts them: links into a directory of their own.
#[test]
fn a_worker_of_kubernetes_runs_a_train_and_waits_for_the_reviewer() {
    let peers = [Peer::Airflow, Peer::Registry, Peer::Runc, Peer::Busybox, Peer::Python, Peer::Openssl];
    if !available("a_worker_of_kubernetes_runs_a_train_and_waits_for_the_reviewer", &peers) {
        return;
    }
    let station = Station::new();
    let text = pod(MANIFESTS[1])["containers"][0]["command"][2].as_str().unwrap().replace("sleep 5", "sleep 0.1");
    let mounted = station.at("mounted");
    fs::create_dir(&mounted).unwrap();
    fs::rename(station.at("trust"), mounted.join("..data-1")).unwrap();
    symlink("..data-1", mounted.join("..data")).unwrap();
    for role in ["creators", "reviewers"] {
        symlink(format!("..data/{role}"), mounted.join(role)).unwrap();
    }
    let repository = format!("127.0.0.1:{}/in/train", station.server.port);
    fs::write(station.at("trains"), format!("registry.example/another\n{repository}\n")).unwrap();
    fs::create_dir(station.at("pod")).unwrap();
    let mut command = Command::new("sh");
    station.environment(&mut command);
    command.args(["-euc", &text]).env("WORK", station.at("pod")).env("TRAINS", station.at("trains"));
    command.env("ENGINE", "runc").env("JOB_COMPLETION_INDEX", "1").env("TMPDIR", station.at("pod"));
    command.env("PHT_TRUST_DIR", &mounted).envs(station.login()).stdout(Stdio::null());
    let mut worker = command.spawn().expect("a shell starts");
    let begun = Instant::now();
    while !station.at("pod/review.html").exists() {
        assert!(worker.try_wait().unwrap().is_none(), "it ended before the review");
        assert!(begun.elapsed() < Duration::from_secs(120), "nothing to review");
        std::thread::sleep(Duration::from_millis(100));
    }
    let held = fs::read_dir(station.at("pod")).unwrap().map(|entry| entry.unwrap().path());
    let held = held.into_iter().find(|path| utf8(path).ends_with("-kept")).unwrap();
    let (opened, results) = (held.join("opened"), held.join("results"));
    let (anna, out) = (station.at("anna.pem"), station.at("pod/approval.json"));
    let line = ["--results", utf8(&results), "--reviewer-key", utf8(&anna), "--out", utf8(&out)];
    pht_oci(&[&["approve", utf8(&opened)], &line[..]].concat(), &[]).ok();
    assert!(worker.wait().unwrap().success());
    assert_eq!(station.visits("in/train"), "visited\n");
}
