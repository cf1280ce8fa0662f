//! What a rehearsal shows, whoever runs the train, and what is left of it however it ends.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use support::{Layout, Outcome, Peer, available, pht_oci, program, utf8};

/// A train whose script is that of a test, test data of two stations, and places of its own for all that is kept.
struct Fixture {
    dir: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Fixture {
    fn new(script: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = |name: &str| utf8(&dir.path().join(name)).to_owned();
        for name in ["files", "a", "b", "temporary", "engines"] {
            fs::create_dir(path(name)).expect("a new directory");
        }
        fs::write(path("files/main"), script).expect("a new file");
        for (station, text) in [("a", "first\n"), ("b", "second\n")] {
            fs::write(path(&format!("{station}/text")), text).expect("a new file");
        }
        Layout::new(dir.path().join("base")).make_base("base", true);
        let mut variables = support::containers::configure(&dir.path().join("engines")).to_vec();
        variables.extend(["XDG_CACHE_HOME", "XDG_STATE_HOME"].map(|name| (name, path(name))));
        Fixture { dir, variables }
    }

    fn path(&self, name: &str) -> String {
        utf8(&self.dir.path().join(name)).to_owned()
    }

    fn line(&self, engine: &str, more: &[&str]) -> Vec<String> {
        let base = format!("oci:{}:base", self.path("base"));
        let (files, temporary) = (self.path("files"), self.path("temporary"));
        let [a, b] = ["a", "b"].map(|station| format!("{station}={}", self.path(station)));
        let line = ["try", "--base", &base, "--files", &files, "--data", &a, "--data", &b, "--engine", engine];
        let end = ["--tmpdir", temporary.as_str(), "--cmd", "/bin/sh", "/opt/pht_train/main"];
        [&line[..], more, &end].concat().into_iter().map(str::to_owned).collect()
    }

    fn run(&self, engine: &str, more: &[&str]) -> Outcome {
        let variables: Vec<(&str, &str)> = self.variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        pht_oci(&self.line(engine, more), &variables)
    }

    /// Nothing lies where the rehearsal was, nothing is registered, and no container is with the engine.
    fn check_nothing_left(&self, engine: &str) {
        let left = |name: &str| fs::read_dir(self.path(name)).into_iter().flatten().count();
        assert_eq!((left("temporary"), left("XDG_STATE_HOME/pht-oci/runs")), (0, 0), "{engine}");
        // Docker's daemon is that of all tests.
        if engine == "podman" {
            let mut list = Command::new(engine);
            list.args(["ps", "-a", "--format", "{{.Names}}"]).envs(self.variables.clone());
            let names = list.output().expect("the engine starts").stdout;
            assert_eq!(String::from_utf8_lossy(&names), "", "{engine}");
        }
    }
}

/// Writes where it may, where it is lost and where it cannot, asks for a network, and takes long enough to be looked at.
const TRAIN: &str = "cat /opt/train_data/text >/dev/null && echo read >>/opt/pht_results/text.txt
echo model >/opt/model.bin
mkdir -p /srv/deep && echo 1 >/srv/deep/file
rm /etc/os-release
echo 1 2>/dev/null >/opt/pht_train/x || echo 'cannot write there'
echo \"reads $TRAIN_DATA_PATH\"
echo 'wget: bad address '\\''example.org'\\''' >&2
sleep 2
";

fn shows(test: &str, engine: &'static str, peer: Peer) {
    if !available(test, &[Peer::Busybox, peer]) {
        return;
    }
    let fixture = Fixture::new(TRAIN);
    let out = fixture.path("out");
    let tried = fixture.run(engine, &["--out", &out, "--format", "json"]).ok();
    let report = tried.json();
    assert_eq!((&report["verdict"], &report["engine"]), (&json!("pass"), &json!(engine)), "{report}");
    assert_eq!(report["stations"], json!(["a", "b"]));
    for (index, state) in ["new", "changed"].into_iter().enumerate() {
        let stop = &report["stops"][index];
        assert_eq!(stop["written"], json!(["/etc/os-release", "/opt/model.bin", "/srv/deep/file"]), "{engine}: {stop}");
        assert!(stop["milliseconds"].as_u64().is_some_and(|time| (2000..60_000).contains(&time)), "{engine}: {stop}");
        // It is told if the train was looked at in time, which a machine with much to do may not have managed.
        assert!(stop["memory"].as_u64().is_none_or(|bytes| bytes > 4096), "{engine}: {stop}");
        let files: Vec<(&Value, &Value)> =
            stop["files"].as_array().expect("a list").iter().map(|file| (&file["path"], &file["state"])).collect();
        assert_eq!(files, [(&json!("text.txt"), &json!(state))], "{engine}");
        let warnings = stop["warnings"].to_string();
        assert!(warnings.contains("lost at every station") && warnings.contains("network"), "{engine}: {warnings}");
    }
    for said in ["cannot write there", "reads /opt/train_data", "example.org"] {
        assert_eq!(tried.stderr.matches(said).count(), 2, "{engine}: {said} in {}", tried.stderr);
    }
    assert_eq!(fs::read_to_string(Path::new(&out).join("text.txt")).expect("a result"), "read\nread\n");
    fixture.check_nothing_left(engine);
}

#[test]
fn podman_shows_what_a_train_does() {
    shows("rehearsing::shown::podman_shows_what_a_train_does", "podman", Peer::Podman);
}

#[test]
fn docker_shows_what_a_train_does() {
    shows("rehearsing::shown::docker_shows_what_a_train_does", "docker", Peer::Docker);
}

#[test]
fn runc_shows_what_a_train_does() {
    shows("rehearsing::shown::runc_shows_what_a_train_does", "runc", Peer::Runc);
}

/// The exit status says what a station would have said, and names the stop.
#[test]
fn what_fails_here_fails_there() {
    if !available("rehearsing::shown::what_fails_here_fails_there", &[Peer::Busybox, Peer::Runc]) {
        return;
    }
    let script = "case $WHAT in
fail) [ ! -f /opt/pht_results/once ] || exit 5; echo 1 >/opt/pht_results/once ;;
long) sleep 60 ;;
large) head -c 3000000 /dev/zero >/opt/pht_results/zeros; sleep 60 ;;
person) printf 'patient_id,n\\nA1,30\\n' >/opt/pht_results/people.csv ;;
nothing) ;;
memory) x=$(head -c 200000000 /dev/zero | busybox tr '\\0' x); echo ${#x} ;;
esac
";
    let fixture = Fixture::new(script);
    let stop = |index: usize, station: &str| format!("stop {index} of 2, station {station}: ");
    for (what, status, more, message) in [
        ("fail", 8, &[][..], stop(2, "b") + "the train failed: exit status 5"),
        ("long", 8, &["--timeout", "1s"], stop(1, "a") + "the train failed: the train ran longer than 1 s"),
        ("large", 8, &["--results-limit", "1M"], stop(1, "a") + "the train failed: the results have more than"),
        ("person", 7, &[], "against the rules of a station".to_owned()),
        ("nothing", 0, &[], String::new()),
        ("memory", 8, &["--memory", "64M"], stop(1, "a") + "the train failed: "),
    ] {
        let variable = format!("WHAT={what}");
        let out = fixture.path(&format!("out-{what}"));
        let tried = fixture.run("runc", &[&["--env", &variable, "--out", &out][..], more].concat());
        let tried = tried.expect(status).unwrap_or_else(|message| panic!("{what}: {message}"));
        assert!(tried.stderr.contains(&message), "{what}: {}", tried.stderr);
        let said = String::from_utf8_lossy(&tried.stdout).into_owned();
        assert_eq!(Path::new(&out).exists(), status != 8, "{what}");
        assert_eq!(said.contains("no rule of a station stops it"), status == 0, "{what}: {said}");
        match what {
            "nothing" => assert_eq!(said.matches("there are no results").count(), 2, "{said}"),
            "person" => assert!(said.contains("identifier:people.csv") && said.contains("changed nothing"), "{said}"),
            _ => assert!(said.contains("FAILED"), "{what}: {said}"),
        }
        fixture.check_nothing_left("runc");
    }
    // As JSON the report comes first, then the error.
    let tried = fixture.run("runc", &["--env", "WHAT=fail", "--format", "json"]).refused(8);
    let report = tried.json();
    assert_eq!((&report["verdict"], &report["results"]), (&json!("failed"), &Value::Null));
    assert_eq!(report["stops"][1]["failed"], json!({ "exit_status": 5, "limit": null }));
    assert_eq!(report["stops"][1]["files"], Value::Null);
    let error: Value = serde_json::from_str(tried.stderr.lines().last().expect("an error")).expect("JSON");
    assert_eq!((&error["error"]["kind"], &error["error"]["exit_status"]), (&json!("train"), &json!(8)), "{error}");
}

/// Neither a signal nor a kill leaves plaintext for longer than until the next run.
#[test]
fn nothing_is_left_however_it_ends() {
    if !available("rehearsing::shown::nothing_is_left_however_it_ends", &[Peer::Busybox, Peer::Runc]) {
        return;
    }
    let fixture = Fixture::new("echo PLAINTEXT >/opt/pht_results/a.txt; echo begun; sleep $WAIT");
    let begin = || {
        let mut command = Command::new(program());
        let log = fs::File::create(fixture.path("shown")).expect("a new file");
        command.args(fixture.line("runc", &["--env", "WAIT=120"])).envs(fixture.variables.clone());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("the program starts");
        let start = Instant::now();
        while !fs::read_to_string(fixture.path("shown")).is_ok_and(|text| text.contains("| begun")) {
            assert!(start.elapsed() < Duration::from_secs(60), "the train does not begin");
            std::thread::sleep(Duration::from_millis(20));
        }
        child
    };
    let child = begin();
    kill_process(Pid::from_child(&child), Signal::TERM).expect("a signal");
    assert_eq!(child.wait_with_output().expect("the program ends").status.code(), Some(143));
    fixture.check_nothing_left("runc");

    let mut child = begin();
    child.kill().expect("a signal that cannot be caught");
    child.wait().expect("the program ends");
    let left: Vec<_> = fs::read_dir(fixture.path("temporary")).expect("a directory").flatten().collect();
    assert_eq!(left.len(), 1, "all of it lies in one directory");
    let mode = std::os::unix::fs::MetadataExt::mode(&left[0].metadata().expect("what it left"));
    assert_eq!(mode & 0o777, 0o700);
    // No key of anybody's is among it.
    let found = support::run("grep", &["-rl", "PRIVATE KEY", utf8(&left[0].path())]);
    assert!(found.is_err(), "{found:?}");
    fixture.run("runc", &["--env", "WAIT=0"]).ok();
    fixture.check_nothing_left("runc");
}
