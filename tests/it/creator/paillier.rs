//! Results under the creator's Paillier key, made by an implementation that shares no code with the program.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::creator::fixture::ResultsFixture;
use support::peers::test_file;
use support::{Edit, Outcome, Peer, Wire, available, pht_oci, run, utf8};

fn peer(arguments: &[&str]) -> Value {
    let script = test_file("python/paillier.py");
    let out = run("python3", &[&["-I", utf8(&script)], arguments].concat());
    serde_json::from_slice(&out.unwrap_or_else(|message| panic!("{message}"))).unwrap()
}

/// A train with one result for the key, its public key in the config in this form, and the private key in a file.
fn fixture(wire: Wire, key: &Value, document: &str, form: impl Fn(String) -> Value) -> ResultsFixture {
    let fixture = ResultsFixture::new(wire, |dir| {
        fs::create_dir(dir.join("sub")).unwrap();
        fs::write(dir.join("sub/sums.he.json"), document).unwrap();
        fs::write(dir.join("plain.json"), r#"{"a":"12"}"#).unwrap();
    });
    set_public_key(&fixture, "post", form(key["public"].to_string()));
    fs::write(fixture.path("paillier.json"), key["private"].to_string()).unwrap();
    fixture
}

fn set_public_key(fixture: &ResultsFixture, tag: &str, key: Value) {
    let mut config = fixture.train.layout.train_config(tag);
    config["creator"]["paillier_public_key"] = key;
    let config = serde_json::to_vec_pretty(&config).unwrap();
    fixture.train.layout.append(tag, tag, &[Edit::Put("opt/train_config.json", config)]);
}

fn decrypt(fixture: &ResultsFixture, out: &str) -> Outcome {
    let key = fixture.path("paillier.json");
    fixture.results(&fixture.image(), out, &["--paillier-key", utf8(&key)])
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn numbers_under_the_creators_key_come_out_plain() {
    if !available("numbers_under_the_creators_key_come_out_plain", &[Peer::Python]) {
        return;
    }
    // The keys of the client have 128 bits; others are longer.
    for (wire, bits) in [(Wire::V1_1_1, "128"), (Wire::V2_0, "1024")] {
        let key = peer(&["key", bits]);
        let sum = peer(&["encrypt", &key["public"].to_string(), "17", "25", "0"]);
        let (a, b, zero, sum) = (&sum[0], &sum[1], &sum[2], &sum[3]);
        let bare = sum.as_str().unwrap();
        let document =
            format!(r#"{{"groups":[{a},[{b},{{"none":{zero}}}]],"sum":{bare},"n":42,"mean":0.5,"ok":true}}"#);
        let fixture =
            fixture(wire, &key, &document, |text| if bits == "128" { json!(text) } else { json!(hex(&text)) });
        decrypt(&fixture, "out").ok();
        let read = |path: &str| fs::read_to_string(fixture.path(path)).unwrap();
        // In place of the encrypted numbers, and nothing beside.
        assert_eq!(
            read("out/sub/sums.he.json"),
            r#"{"groups":[17,[25,{"none":0}]],"sum":42,"n":42,"mean":0.5,"ok":true}"#
        );
        assert_eq!(fs::read_dir(fixture.path("out/sub")).unwrap().count(), 1);
        assert_eq!(read("out/plain.json"), r#"{"a":"12"}"#);
        // An archive of it has the size of what is in it now; without the key it stays as the station left it.
        decrypt(&fixture, "out.tar").ok();
        let (tar, member) = (fixture.path("out.tar"), "pht_results/sub/sums.he.json");
        let unpacked = run("tar", &["xOf", utf8(&tar), member]).unwrap();
        assert_eq!(String::from_utf8(unpacked).unwrap(), read("out/sub/sums.he.json"));
        fixture.results(&fixture.image(), "sealed", &[]).ok();
        assert_eq!(read("sealed/sub/sums.he.json"), document);
    }
}

#[test]
fn a_train_is_built_with_the_creators_public_key() {
    if !available("a_train_is_built_with_the_creators_public_key", &[Peer::Python]) {
        return;
    }
    let key = peer(&["key", "1024"]);
    let sum = peer(&["encrypt", &key["public"].to_string(), "40", "2"])[2].clone();
    for wire in Wire::OURS {
        let fixture = ResultsFixture::new(wire, |dir| {
            fs::write(dir.join("sum.he.json"), json!({ "sum": sum }).to_string()).unwrap()
        });
        let train = &fixture.train;
        let [public, files, route] = ["public.json", "files", "route.json"].map(|name| fixture.path(name));
        fs::write(fixture.path("paillier.json"), key["private"].to_string()).unwrap();
        let build = |text: &str| {
            fs::write(&public, text).unwrap();
            let [files, route, public] = [&files, &route, &public].map(|path| utf8(path));
            let (to, user, builder) = (train.layout.at("keyed"), train.key("user"), train.key("builder"));
            let mut line = vec!["build", &to, "--base", "scratch", "--files", files, "--route", route];
            line.extend(["--wire", wire.option(), "--creator", "alice", "--creator-key", &user]);
            line.extend(["--builder-key", &builder, "--paillier-public-key", public]);
            pht_oci(&line, &[])
        };
        for wrong in ["{}", r#"{"n": "0", "g": "1"}"#, r#"{"n": "x", "g": "1"}"#, "n", ""] {
            let refused = build(wrong).refused(4);
            assert!(refused.stderr.contains("public.json: not a Paillier public key"), "{wrong}: {}", refused.stderr);
        }
        build(&key["public"].to_string()).ok();
        let config = train.layout.train_config("keyed");
        let built: Value = serde_json::from_str(config["creator"]["paillier_public_key"].as_str().unwrap()).unwrap();
        assert_eq!(built, key["public"]);
        // The stages carry it, and the creator decrypts with it.
        let stage = |stage, from, to| pht_oci(&train.line(stage, from, to, 0), &[]).ok();
        stage("pre-run", "keyed", "keyed-pre");
        train.put("keyed-pre", "keyed-ran", 0, &fixture.written());
        stage("post-run", "keyed-ran", "post");
        decrypt(&fixture, "out").ok();
        assert_eq!(fs::read_to_string(fixture.path("out/sum.he.json")).unwrap(), r#"{"sum":42}"#);
    }
}

#[test]
fn a_wrong_key_and_a_number_that_is_none_are_told_apart() {
    if !available("a_wrong_key_and_a_number_that_is_none", &[Peer::Python]) {
        return;
    }
    let (key, other) = (peer(&["key", "128"]), peer(&["key", "128"]));
    let refused = |fixture: &ResultsFixture, status, message: &str| {
        let names = fixture.names();
        for out in ["out", "out.tar", "-"] {
            let refused = decrypt(fixture, out).refused(status);
            assert!(refused.stderr.contains(message) && refused.stdout.is_empty(), "{out}: {}", refused.stderr);
            let secret = key["private"]["lambda"].as_str().unwrap();
            assert!(!refused.stderr.contains(secret), "a secret is told: {}", refused.stderr);
        }
        assert_eq!(fixture.names(), names);
    };
    let fixture = fixture(Wire::V1_1_2, &key, r#"{"groups":["12","north"]}"#, |text| json!(text));
    refused(&fixture, 5, "/opt/pht_results/sub/sums.he.json: /groups/1: not a natural number");
    let private = |text: &str| fs::write(fixture.path("paillier.json"), text).unwrap();
    private(&other["private"].to_string());
    refused(&fixture, 4, "does not belong to this public key");
    private("{}");
    refused(&fixture, 4, "not a Paillier private key");
    private(&key["private"].to_string());
    set_public_key(&fixture, "post", json!("no key"));
    refused(&fixture, 5, "creator.paillier_public_key");
    set_public_key(&fixture, "post", Value::Null);
    refused(&fixture, 4, "the train has no Paillier public key");
    fs::remove_file(fixture.path("paillier.json")).unwrap();
    refused(&fixture, 4, "cannot open the key file");
    assert!(!Path::new(&fixture.path("out")).exists());
}
