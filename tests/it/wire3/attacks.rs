//! Attacks on trains of wire 3: each is refused, with the exit status that says why, and nothing is published. The
//! attacks, and what has to stay accepted, are rows of `tests/python/wire3_attacks.py`.

use support::peers::{cryptography, run, test_file};
use support::wire3::{Wire3Fixture, every_attack};
use support::{pht_oci, program};

const VERIFICATION: i32 = 3;
const KEY: i32 = 4;

#[test]
fn every_attack_is_refused() {
    let Some(python) = cryptography("wire3") else { return };
    every_attack(&python, Some(program()));
}

#[test]
fn a_station_that_has_left_cannot_read_what_later_ones_computed() {
    let Some(python) = cryptography("wire3") else { return };
    let fixture = Wire3Fixture::prepare();
    fixture.build("0", "ours");
    fixture.stop("0", "1", 0);
    fixture.stop("1", "2", 1);
    let (source, key, out) = (fixture.layout.at("2"), fixture.key("station_1"), fixture.path("out"));
    pht_oci(&["results", &source, "--private-key", &key, "--out", &out], &[]).refused(KEY);
    pht_oci(&["pre-run", &source, "--private-key", &key], &[]).refused(VERIFICATION);
    // Nor with the config's other keys: none is wrapped for it, whatever the program would do.
    let config = fixture.layout.train_config("2");
    for stop in config["route"].as_array().expect("a route") {
        assert_eq!(stop.get("encrypted_key").is_some(), stop["index"] == 2, "{stop}");
    }
    let script = test_file("python/wire3_peer.py");
    let script = script.to_str().expect("a path in UTF-8");
    let line = [script, "open", fixture.layout.path(), "2", "--key", &key, "--out", &out];
    let told = run(&python, &line).expect_err("no key is wrapped for it");
    assert!(told.contains("exit status: 4"), "{told}");
}
