//! Every limit of a run holds, and the report says which one it was.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use support::{Peer, Wire, available};

use super::fixture::RunFixture;

/// Does what its variable says, so that one train shows every limit.
const GREEDY: &str = r#"#!/bin/sh
case "$DO" in
memory) x=0123456789abcdef; while :; do x="$x$x"; done ;;
time) sleep 60 ;;
processes) i=0; while [ $i -lt 200 ]; do sleep 20 & i=$((i + 1)); done; echo "all started"; kill $(jobs -p) ;;
results) dd if=/dev/zero of=/opt/pht_results/large bs=1M count=64 2>/dev/null; sleep 30 ;;
output) i=0; while [ $i -lt 40000 ]; do echo "line $i"; i=$((i + 1)); done; echo 'the very end' ;;
esac
exit 0
"#;

/// The error of a run as JSON.
fn refused(fixture: &RunFixture, what: &str, more: &[&str]) -> Value {
    let variable = format!("DO={what}");
    let outcome = fixture.run(0, &[&["--env", &variable, "--format", "json", "-q"], more].concat()).refused(8);
    serde_json::from_str(&outcome.stderr).unwrap_or_else(|_| panic!("{what}: {}", outcome.stderr))
}

fn limits(test: &str, engine: &'static str, peer: Peer) {
    if !available(test, &[Peer::Python, Peer::Busybox, peer]) {
        return;
    }
    let fixture = RunFixture::with(engine, Wire::V3, GREEDY, &json!({}));
    for (what, more, limit, said) in [
        ("memory", &["--memory", "64M"][..], "memory", "67108864 bytes of memory"),
        ("time", &["--timeout", "2s"], "time", "longer than 2 s"),
        ("results", &["--results-limit", "8M"], "results", "more than 8388608 bytes"),
    ] {
        let error = refused(&fixture, what, more);
        assert_eq!(error["error"]["train"]["limit"], limit, "{engine}: {error}");
        assert!(error["error"]["message"].as_str().is_some_and(|text| text.contains(said)), "{engine}: {error}");
        fixture.check_nothing_left();
    }
    assert!(!Path::new("oom").exists(), "{engine}: the monitor has left a file in the working directory");
    // Processes that cannot be started are the train's to notice.
    let outcome = fixture.run(0, &["--env", "DO=processes", "--pids", "50"]);
    let log = fs::read_to_string(fixture.log()).expect("a log");
    assert!(!log.contains("all started"), "{engine}: {:?} {log}", outcome.status);
    fixture.check_nothing_left();
}

#[test]
fn podman_holds_every_limit() {
    limits("running::limits::podman_holds_every_limit", "podman", Peer::Podman);
}

#[test]
fn docker_holds_every_limit() {
    limits("running::limits::docker_holds_every_limit", "docker", Peer::Docker);
}

#[test]
fn runc_holds_every_limit() {
    limits("running::limits::runc_holds_every_limit", "runc", Peer::Runc);
}

#[test]
fn the_log_keeps_beginning_and_end() {
    let test = "running::limits::the_log_keeps_beginning_and_end";
    if !available(test, &[Peer::Python, Peer::Busybox, Peer::Runc]) {
        return;
    }
    let fixture = RunFixture::with("runc", Wire::V3, GREEDY, &json!({}));
    let outcome = fixture.run(0, &["--env", "DO=output", "--log-limit", "64K"]).ok();
    let log = fs::read_to_string(fixture.log()).expect("a log");
    assert!(log.starts_with("line 0\n") && log.ends_with("the very end\n"), "{log:.200}");
    assert!(log.contains(" bytes are left out here]"), "it is said");
    assert!(log.len() < 65 << 10 && log.len() > 48 << 10, "{} bytes", log.len());
    assert!(outcome.stderr.len() < 64 << 10, "{} bytes are shown", outcome.stderr.len());
}
