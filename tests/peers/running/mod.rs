//! `run`: whole stops with Podman, Docker and runc, and what becomes of a train that does not end well.

mod contained;
pub mod fixture;
mod held;
mod kept;
mod limits;
pub mod ordinary;
mod prepared;
mod pruned;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use support::peers::test_file;
use support::tree::{MARKER, differences, snapshot};
use support::{Layout, Peer, Wire, available, pht_oci, program, utf8};

use fixture::RunFixture;
use ordinary::{NOBODY, Ordinary, walk};

/// The interfaces in what `/proc/net/dev` shows.
fn interfaces(log: &str) -> Vec<&str> {
    let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    let rows = log.lines().filter_map(|line| line.split_once(':'));
    // What the program says itself has colons, too.
    let rows =
        rows.filter(|(_, counts)| counts.split_whitespace().count() > 10 && counts.split_whitespace().all(is_number));
    rows.map(|(name, _)| name.trim_start_matches("| ").trim()).collect()
}

/// A person sees how it runs while the run can still be stopped; a train of too old a wire version does not run at all.
#[test]
fn what_will_run_is_shown_before_it_does() {
    if !available("running::what_will_run_is_shown_before_it_does", &[Peer::Busybox, Peer::Runc]) {
        return;
    }
    for wire in [Wire::V2_0, Wire::V3] {
        let fixture = RunFixture::new("runc", wire);
        let data = format!("{}:/data", fixture.train.dir.path().join("data").display());
        if wire == Wire::V2_0 {
            let before = snapshot(fixture.place());
            let refused = fixture.run(0, &["--volume", &data, "--min-wire", "3"]).refused(3);
            assert!(
                refused.stderr.contains("wire 2.0, but at least wire 3 is demanded by --min-wire"),
                "{}",
                refused.stderr
            );
            assert!(!refused.stderr.contains("said on standard error"), "{}", refused.stderr);
            assert_eq!(differences(&before, &snapshot(fixture.place()), true), Vec::<String>::new());
        }
        let outcome = fixture.run(0, &["--volume", &data]).ok();
        let command = r#"command  ["/bin/sh","/opt/pht_train/entrypoint.sh"]"#;
        let place = |text: &str| outcome.stderr.find(text).unwrap_or_else(|| panic!("{text}: {}", outcome.stderr));
        assert!(place(command) < place("said on standard error"), "{}", outcome.stderr);
        assert_eq!(outcome.stderr.contains("no signature covers"), wire == Wire::V2_0, "{}", outcome.stderr);
        assert!(String::from_utf8_lossy(&outcome.stdout).contains(command), "the report says it, too");
        // On a terminal it is styled, and shows no mark of ours.
        let script = test_file("python/terminal.py");
        let line =
            [vec![utf8(&script).to_owned(), program().to_owned()], fixture.line(1, &["--volume", &data])].concat();
        let variables = fixture.variables.iter().map(|(name, value)| (*name, value.as_str()));
        let output = Command::new("python3")
            .args(line)
            .envs(variables)
            .env("PHT_CONFIG", "/dev/null")
            .output()
            .expect("python3");
        let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let terminal = told["terminal"].as_str().expect("a text");
        assert_eq!(told["status"], 0, "{told}");
        let styled = command.replace("command", "\u{1b}[2mcommand\u{1b}[0m");
        assert!(terminal.contains(&styled), "{terminal:?}");
        assert!(!terminal.contains(['\u{fdd0}', '\u{fdd1}']), "{terminal:?}");
    }
}

fn journey(test: &str, engine: &'static str, peer: Peer) {
    if !available(test, &[Peer::Python, Peer::Busybox, peer]) {
        return;
    }
    for wire in [Wire::V2_0, Wire::V3] {
        let fixture = RunFixture::new(engine, wire);
        let layers = fixture.train.layout.layers("0").len() - wire.layers_above_base();
        let data = format!("{}:/data", fixture.train.dir.path().join("data").display());
        for stop in 0..2 {
            let line = ["--volume", &data, "--env", "GIVEN=a b", "--env", "TAKEN", "--format", "json"];
            let outcome = fixture.run(stop, &line).ok();
            let report = outcome.json();
            assert_eq!((&report["stage"], &report["ran"]["engine"]), (&json!("run"), &json!(engine)));
            assert_eq!(report["station"], json!(fixture.train.station_id(stop)));
            let log = fixture.log().canonicalize().expect("a log");
            assert_eq!(report["ran"]["log"], json!(log), "{engine}");
            let log = fs::read_to_string(log).expect("a log");
            assert_eq!(interfaces(&log), ["lo"], "{engine}: {log}");
            assert!(log.contains("given a b, taken from here, secret <>\n"), "{engine}: {log}");
            assert!(!log.contains("can be written"), "{engine}: {log}");
            assert!(outcome.stderr.contains("said on standard error"), "{engine}: not shown");
            assert_eq!(fs::metadata(fixture.log()).expect("a log").mode() & 0o777, 0o600, "{engine}");
            fixture.check_nothing_left();
            assert_eq!(fixture.layout.tags(), ["0"], "{engine}");
            assert_eq!(fixture.layout.layers("0").len(), layers + 2, "{engine}: layers after stop {stop}");
        }
        let out = fixture.train.dir.path().join("out");
        let (key, to) = (fixture.train.key("user"), utf8(&out));
        pht_oci(&["results", fixture.layout.path(), "--private-key", &key, "--out", to], &[]).ok();
        let read = |name: &str| fs::read_to_string(out.join(name)).expect("a result");
        assert_eq!(read("result.txt"), format!("{MARKER}\n{MARKER}\n"), "{engine}, wire {wire:?}");
        assert_eq!(read("seen"), "a patient\na patient\n", "{engine}, wire {wire:?}");
    }
}

/// A train that fails, takes too long or is interrupted, and a program that is killed.
fn bad_ends(test: &str, engine: &'static str, peer: Peer) {
    if !available(test, &[Peer::Python, Peer::Busybox, peer]) {
        return;
    }
    let fixture = RunFixture::new(engine, Wire::V3);
    let before = snapshot(&fixture.layout.dir);
    let check = |what: &str| {
        assert!(snapshot(&fixture.layout.dir) == before, "{engine}: {what} has changed the layout");
        fixture.check_nothing_left();
    };

    let error = fixture.run(0, &["--env", "STATUS=7", "--format", "json", "-q"]).refused(8).stderr;
    let error: Value = serde_json::from_str(&error).expect("an error as JSON, and no more");
    assert_eq!(error["error"]["train"]["exit_status"], 7, "{error}");
    assert!(error["error"]["message"].as_str().is_some_and(|text| text.contains("exit status 7")), "{error}");
    assert!(error["error"]["hint"].as_str().is_some_and(|text| text.contains("train.run.log")), "{error}");
    assert!(fs::read_to_string(fixture.log()).expect("a log").contains("said on standard error"));
    check("a train that fails");

    let begin = Instant::now();
    let error = fixture.run(0, &["--env", "WAIT=120", "--timeout", "2s"]).refused(8).stderr;
    assert!(error.contains("its time limit"), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(60), "{engine}: ended by itself");
    check("a train that takes too long");

    // Without such a card the engine itself says that it was asked for one.
    if engine != "runc" && !Path::new("/dev/nvidia0").exists() {
        let error = fixture.run(0, &["--gpus", "all"]).refused(1).stderr;
        let log = fs::read_to_string(fixture.log()).unwrap_or_default();
        let message = format!("{error}{log}").to_lowercase();
        assert!(message.contains("gpu"), "{engine}: {message}");
        check("a card that is not there");
    }

    let child = fixture.start("120");
    kill_process(Pid::from_child(&child), Signal::TERM).expect("a signal");
    let status = child.wait_with_output().expect("the program ends").status;
    assert_eq!(status.code(), Some(143), "{engine}");
    check("a signal");

    // Whoever is impatient leaves no container behind.
    let child = fixture.start("120");
    for _ in 0..2 {
        kill_process(Pid::from_child(&child), Signal::INT).expect("a signal");
        std::thread::sleep(Duration::from_millis(50));
    }
    let status = child.wait_with_output().expect("the program ends").status;
    assert_eq!(status.code(), Some(130), "{engine}");
    check("a second signal");

    let mut child = fixture.start("120");
    child.kill().expect("a signal that cannot be caught");
    child.wait().expect("the program ends");
    assert!(snapshot(&fixture.layout.dir) == before, "{engine}: a kill has changed the layout");
    let left = fixture.place().join(format!(".{}", fixture.own_name()));
    assert_eq!(fs::metadata(left).expect("what it left").mode() & 0o777, 0o700, "{engine}");
    fixture.run(0, &[]).ok();
    fixture.check_nothing_left();
}

/// A station that demands results signs no stop without any: the train is as if it had not run.
#[test]
fn a_train_that_leaves_nothing_can_be_refused() {
    if !available("running::a_train_that_leaves_nothing_can_be_refused", &[Peer::Python, Peer::Busybox, Peer::Runc]) {
        return;
    }
    let leaves = "#!/bin/sh\n[ -z \"$LEAVES\" ] || echo 1 >/opt/pht_results/count\nmkdir -p /opt/pht_results/below\necho >/elsewhere\n";
    let fixture = RunFixture::with("runc", Wire::V3, leaves, &json!({}));
    let before = snapshot(&fixture.layout.dir);
    let settings = fixture.train.dir.path().join("station.toml");
    fs::write(&settings, "[run]\nrequire-results = true\nresults-limit = \"1M\"\n").expect("a new file");
    for line in [vec!["--require-results"], vec!["--config", utf8(&settings)], vec!["--require-results", "--hold"]] {
        let refused = fixture.run(0, &line).refused(8);
        assert!(refused.stderr.contains("the train has left nothing"), "{}", refused.stderr);
        assert!(refused.stderr.contains("the encrypted image is unchanged"), "{}", refused.stderr);
        assert_eq!(differences(&before, &snapshot(&fixture.layout.dir), true), Vec::<String>::new());
        fixture.check_nothing_left();
    }
    let report = fixture.run(0, &["--require-results", "--env", "LEAVES=1", "--format", "json"]).ok().json();
    let notes = report["notes"].to_string();
    assert!(notes.contains("outside /opt/pht_results is dropped: /elsewhere"), "{notes}");
    assert_eq!(report["results"], json!([{ "path": "count", "size": 2, "sha256": null }]));
    assert!(report["ran"]["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0), "{report}");
    // Those of the first station are there, so that there are some; but no new ones.
    let refused = fixture.run(1, &["--require-results"]).refused(8);
    assert!(refused.stderr.contains("the train has left nothing new"), "{}", refused.stderr);
    let report = fixture.run(1, &["--format", "json"]).ok().json();
    assert!(report["warnings"].to_string().contains("the train has left nothing new"), "{report}");
}

#[test]
fn podman_runs_a_journey() {
    journey("running::podman_runs_a_journey", "podman", Peer::Podman);
}

#[test]
fn docker_runs_a_journey() {
    journey("running::docker_runs_a_journey", "docker", Peer::Docker);
}

#[test]
fn runc_runs_a_journey() {
    journey("running::runc_runs_a_journey", "runc", Peer::Runc);
}

#[test]
fn podman_leaves_nothing_of_a_bad_end() {
    bad_ends("running::podman_leaves_nothing_of_a_bad_end", "podman", Peer::Podman);
}

#[test]
fn docker_leaves_nothing_of_a_bad_end() {
    bad_ends("running::docker_leaves_nothing_of_a_bad_end", "docker", Peer::Docker);
}

#[test]
fn runc_leaves_nothing_of_a_bad_end() {
    bad_ends("running::runc_leaves_nothing_of_a_bad_end", "runc", Peer::Runc);
}

/// What came to the train's place while it ran stays there.
#[test]
fn an_image_that_came_meanwhile_is_not_replaced() {
    let test = "running::an_image_that_came_meanwhile_is_not_replaced";
    if !available(test, &[Peer::Python, Peer::Busybox, Peer::Runc]) {
        return;
    }
    let fixture = RunFixture::new("runc", Wire::V3);
    let child = fixture.start("5");
    fixture.layout.append("0", "0", &[support::Edit::Put("opt/new", b"new".to_vec())]);
    let before = snapshot(&fixture.layout.dir);
    assert_eq!(child.wait_with_output().expect("the program ends").status.code(), Some(1));
    assert!(snapshot(&fixture.layout.dir) == before, "the other image was replaced");
    // What the train has computed is not thrown away for it.
    let kept = fixture.place().join(format!("{}-kept", fixture.own_name()));
    assert!(fs::read_to_string(kept.join("results/result.txt")).is_ok_and(|text| text.contains(MARKER)));
    fs::remove_dir_all(kept).expect("what was kept");
    fixture.check_nothing_left();
}

/// A second signed result of one stop is not made because a command was repeated.
#[test]
fn a_run_whose_work_is_done_at_dest_is_not_done_again() {
    let test = "running::a_run_whose_work_is_done_at_dest_is_not_done_again";
    if !available(test, &[Peer::Python, Peer::Busybox, Peer::Runc]) {
        return;
    }
    let fixture = RunFixture::new("runc", Wire::V3);
    let out = Layout::new(fixture.place().join("out"));
    let to = out.at("latest");
    let run = |stop: usize, more: &[&str]| {
        let mut line = fixture.line(stop, more);
        line.insert(2, to.clone());
        fixture.command(&line.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let report = run(0, &["--format", "json"]).ok().json();
    assert!(report["ran"]["seconds"].is_number(), "{report}");
    let (before, after) = (snapshot(fixture.place()), &report["digest"]["after"]);
    let journal = fixture.train.dir.path().join("journal");
    for more in [&[][..], &["--hold"], &["--journal", utf8(&journal)], &["--require-results"]] {
        let report = run(0, &[&["--format", "json"], more].concat()).ok();
        assert!(report.stderr.contains("--again"), "{more:?}: {}", report.stderr);
        let report = report.json();
        assert_eq!((&report["ran"], &report["digest"]["after"]), (&Value::Null, after), "{more:?}: {report}");
        assert!(report["warnings"].to_string().contains("nothing has run: `latest` has the train already"), "{report}");
        assert!(snapshot(fixture.place()) == before, "{more:?}");
    }
    // Nobody has said that it was done, and nobody records it.
    assert_eq!(fs::read_to_string(&journal).unwrap_or_default(), "");
    // What is there has to hold, or it is replaced.
    let layers = out.layers("latest");
    let (payload, good) = {
        let path = out.blob(&layers[layers.len() - 2]);
        let good = fs::read(&path).expect("a layer");
        (path, good)
    };
    fs::write(&payload, &good[..good.len() - 1]).expect("a layer");
    assert!(run(0, &["--format", "json"]).ok().json()["ran"].is_object());
    let report = run(0, &["--format", "json", "--again"]).ok().json();
    assert!(report["ran"].is_object() && report["digest"]["after"] != *after, "{report}");
    // The same place takes the next stop of the same train, and this train's first one is then another state.
    let copied = pht_oci(&["copy", &to, &fixture.layout.at("0")], &[]);
    copied.ok();
    assert!(run(1, &["--format", "json"]).ok().json()["ran"].is_object());
}

#[test]
fn two_trains_of_one_place_do_not_get_into_each_other_s_way() {
    let test = "running::two_trains_of_one_place_do_not_get_into_each_other_s_way";
    if !available(test, &[Peer::Python, Peer::Busybox, Peer::Runc]) {
        return;
    }
    let fixture = RunFixture::new("runc", Wire::V3);
    let child = fixture.start("8");
    // It was named without a tag, as the only one there.
    let other = format!("{}:other", fixture.layout.path());
    pht_oci(&["copy", &format!("{}:0", fixture.layout.path()), &other], &[]).ok();
    let key = fixture.train.key(&fixture.train.station_id(0));
    let line = ["run", &other, "--engine", "runc", "--private-key", &key];
    let taken = fixture.log();
    let message = pht_oci(&[&line[..], &["--log", utf8(&taken)]].concat(), &[]).refused(2).stderr;
    assert!(message.contains("another run is writing to this log") && message.contains("--log"), "{message}");
    pht_oci(&line, &[]).ok();
    assert_eq!(child.wait_with_output().expect("the program ends").status.code(), Some(0));
    assert_eq!(fixture.layout.tags().len(), 2, "{:?}", fixture.layout.tags());
    for log in [fixture.place().join("train.other.run.log"), fixture.log()] {
        assert!(fs::read_to_string(log).expect("a log").contains("said on standard error"));
    }
}

#[test]
fn runc_needs_no_root() {
    as_nobody("running::runc_needs_no_root", "runc", Peer::Runc, &json!({}));
}

#[test]
fn charliecloud_needs_no_root() {
    as_nobody("running::charliecloud_needs_no_root", "charliecloud", Peer::Charliecloud, &json!({}));
}

#[test]
fn charliecloud_needs_no_root_for_other_users() {
    let config = json!({ "User": "1000:1000", "WorkingDir": "/opt" });
    as_nobody("running::charliecloud_needs_no_root_for_other_users", "charliecloud", Peer::Charliecloud, &config);
}

/// The whole stop as a user who is nobody, twice on one base.
fn as_nobody(test: &str, engine: &'static str, peer: Peer, config: &Value) {
    if !available(test, &[Peer::Python, Peer::Busybox, Peer::Namespaces, peer]) {
        return;
    }
    let fixture = RunFixture::with(engine, Wire::V3, fixture::ENTRYPOINT, config);
    let user = Ordinary::new(&fixture);
    let dir = fixture.train.dir.path();
    let data = format!("{}:/data", dir.join("data").display());
    for stop in 0..2 {
        let (ended_well, message) = user.run(&fixture, &fixture.line(stop, &["--volume", &data]));
        assert!(ended_well, "{engine}: {message}");
        assert_eq!(interfaces(&message), ["lo"], "{engine}: {message}");
        assert!(!message.contains("can be written"), "{engine}: {message}");
        assert_eq!(fs::metadata(fixture.log()).expect("a log").uid(), NOBODY);
        for path in walk(&fixture.layout.dir) {
            assert_eq!(fs::metadata(&path).expect("a file").uid(), NOBODY, "{engine}: {}", path.display());
        }
        fixture.check_nothing_left();
    }
    assert_eq!(fixture.result("result.txt"), format!("{MARKER}\n{MARKER}\n"), "{engine}");
    assert_eq!(fixture.result("seen"), "a patient\na patient\n", "{engine}");
}

#[test]
fn what_cannot_be_run_is_refused_before_anything_is_opened() {
    let test = "running::what_cannot_be_run_is_refused_before_anything_is_opened";
    if !available(test, &[Peer::Python, Peer::Busybox, Peer::Runc]) {
        return;
    }
    let fixture = RunFixture::new("runc", Wire::V3);
    let before = snapshot(fixture.place());
    for (more, message) in [
        (&["--gpus", "all"][..], "GPUs"),
        (&["--memory", "none"], "not a size"),
        (&["--pids", "0"], "not a number of processes"),
        (&["--prepare", "true", "--volume", "/tmp:/opt/train_data"], "is for the data"),
        (&["--volume", "/nowhere/at/all:/data"], "there is no such file"),
        (&["--volume", "/tmp:/opt/pht_train"], "must not be hidden"),
        (&["--volume", "/tmp"], "the path in the train is missing"),
        (&["--env", "NOT_SET_ANYWHERE"], "is not set here"),
        (&["--env", "PRIVATE_KEY_PASSWORD=x"], "secret"),
        (&["--timeout", "soon"], "not a duration"),
        (&["--network", "host"], "--network"),
    ] {
        let line = fixture.line(0, more);
        let error = pht_oci(&line, &[]).refused(2).stderr;
        assert!(error.contains(message), "{more:?}: {error}");
    }
    let engine = |part: String| if part == "runc" { "lxc".to_owned() } else { part };
    let other: Vec<String> = fixture.line(0, &[]).into_iter().map(engine).collect();
    let error = pht_oci(&other, &[]).refused(2).stderr;
    assert!(error.contains("podman, docker, runc, charliecloud"), "{error}");
    let empty = tempfile::tempdir().expect("a temporary directory");
    let nothing = [("PATH", empty.path().to_str().expect("a path in UTF-8"))];
    let error = pht_oci(&fixture.line(0, &[]), &nothing).refused(2).stderr;
    assert!(error.contains("install runc"), "{error}");
    let wrong = [&fixture.line(0, &[])[..5], &[fixture.train.key("user")]].concat();
    pht_oci(&wrong, &[]).refused(4);
    assert!(snapshot(fixture.place()) == before, "something was made or changed");
}
