//! Trains that change what they must not while they run, met by post-run.

use serde_json::Value;

use super::case::{CONFIG, Case, RefusalFixture, Start, VERIFICATION, check, goes_through, stop};
use support::Wire;

const ENTRYPOINT: &str = "opt/pht_train/entrypoint.sh";

const fn ran(name: &'static str, tamper: fn(&RefusalFixture, Wire)) -> Case {
    Case { name, start: Start::Ran, stage: "post-run", station: "station_2", status: VERIFICATION, tamper }
}

#[test]
fn a_run_that_wrote_results_only() {
    for wire in Wire::ALL {
        goes_through(Start::Ran, "post-run", "station_2", wire, |fixture, _| {
            fixture.put("tmp/scratch", b"dropped".to_vec());
        });
    }
}

#[test]
fn trains_that_rewrote_their_config() {
    let cases = [
        ran("a key of the route", |g, _| {
            g.patch(|c| stop(c, "station_1")["rsa_public_key"] = creator_key(c));
        }),
        ran("the creator's key", |g, _| {
            g.patch(|c| c["creator"]["rsa_public_key"] = stop(c, "station_1")["rsa_public_key"].clone());
        }),
        ran("one more stop", |g, _| {
            g.patch(|c| {
                let mut more = stop(c, "station_1").clone();
                more["station"] = Value::from("station_3");
                more["index"] = Value::from(2);
                c["route"].as_array_mut().expect("a route").push(more);
            });
        }),
        ran("a field that nobody reads", |g, _| g.patch(|c| c["note"] = Value::from("hello"))),
        ran("a space", |g, _| {
            let mut text = g.cat(CONFIG);
            text.push(b' ');
            g.put(CONFIG, text);
        }),
    ];
    check(&Wire::ALL, &cases);
}

fn creator_key(config: &Value) -> Value {
    config["creator"]["rsa_public_key"].clone()
}

#[test]
fn trains_that_rewrote_their_files() {
    let cases = [
        ran("a changed file", |g, _| g.put(ENTRYPOINT, b"#!/bin/sh\necho other\n".to_vec())),
        ran("a missing file", |g, _| g.remove("opt/pht_train/lib/helper.py")),
        ran("an added file", |g, _| g.put("opt/pht_train/lib/more.py", b"more".to_vec())),
        ran("a changed query", |g, _| g.put("opt/pht_train/query.json", b"{}".to_vec())),
        ran("all files gone", |g, _| g.remove("opt/pht_train")),
    ];
    check(&Wire::ALL, &cases);
}

/// The reference leaves no label to compare the config with, but the train's files are under a hash.
#[test]
fn trains_of_the_reference_that_rewrote_their_files() {
    let at = |name, tamper| Case { start: Start::RanByReference, ..ran(name, tamper) };
    let cases = [
        at("a changed file", |g, _| g.put(ENTRYPOINT, b"#!/bin/sh\necho other\n".to_vec())),
        at("a missing file", |g, _| g.remove("opt/pht_train/lib/helper.py")),
        at("an added file", |g, _| g.put("opt/pht_train/lib/more.py", b"more".to_vec())),
    ];
    check(&Wire::ALL, &cases);
}
