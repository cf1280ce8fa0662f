//! Changed train files, results and fields of the config, met by pre-run.

use serde_json::Value;

use super::case::{CONFIG, Case, RefusalFixture, Start, VERIFICATION, check, flip, goes_through, stop};
use support::peers::run;
use support::{Peer, Wire, available, utf8};

const fn sealed(name: &'static str, tamper: fn(&RefusalFixture, Wire)) -> Case {
    Case { name, start: Start::Sealed, stage: "pre-run", station: "station_2", status: VERIFICATION, tamper }
}

const fn built(name: &'static str, tamper: fn(&RefusalFixture, Wire)) -> Case {
    Case { name, start: Start::Built, stage: "pre-run", station: "station_1", status: VERIFICATION, tamper }
}

/// Puts the file there again with another byte in the middle; where it is sealed, the ciphertext stays well-formed.
fn change(fixture: &RefusalFixture, path: &str) {
    let mut data = fixture.cat(path);
    let middle = data.len() / 2;
    data[middle] = if data[middle] == b'A' { b'B' } else { b'A' };
    fixture.put(path, data);
}

fn rename(fixture: &RefusalFixture, from: &str, to: &str) {
    fixture.put(to, fixture.cat(from));
    fixture.remove(from);
}

/// The hash field is named otherwise in 1.1.1.
fn names(wire: Wire) -> (&'static str, &'static str) {
    if wire == Wire::V1_1_1 { ("immutable_file_hash", "immutable_file_signature") } else { ("hash", "signature") }
}

const ENTRYPOINT: &str = "opt/pht_train/entrypoint.sh";
const HELPER: &str = "opt/pht_train/lib/helper.py";
const RESULT: &str = "opt/pht_results/result.txt";

#[test]
fn nothing_is_refused_that_is_not_tampered_with() {
    for wire in Wire::ALL {
        for (start, station) in [(Start::Sealed, "station_2"), (Start::Built, "station_1")] {
            goes_through(start, "pre-run", station, wire, |fixture, _| {
                fixture.patch(|_| {});
                for path in [ENTRYPOINT, HELPER] {
                    fixture.put(path, fixture.cat(path));
                }
            });
        }
        goes_through(Start::Sealed, "pre-run", "station_2", wire, |g, _| g.put(RESULT, g.cat(RESULT)));
    }
}

#[test]
fn train_files() {
    let cases = [
        sealed("a changed file in pht_train", |g, _| change(g, ENTRYPOINT)),
        built("a changed file in pht_train, as built", |g, _| change(g, HELPER)),
        sealed("a missing file in pht_train", |g, _| g.remove(HELPER)),
        built("a missing file in pht_train, as built", |g, _| g.remove(ENTRYPOINT)),
        sealed("an added file in pht_train", |g, _| g.put("opt/pht_train/added.py", g.cat(HELPER))),
        built("an added file in pht_train, as built", |g, _| g.put("opt/pht_train/lib/added.py", b"evil".to_vec())),
        built("an added empty file in pht_train", |g, _| g.put("opt/pht_train/__init__.py", Vec::new())),
        sealed("a changed query", |g, _| change(g, "opt/pht_train/query.json")),
        sealed("a missing query", |g, _| g.remove("opt/pht_train/query.json")),
        sealed("a renamed file in pht_train", |g, _| rename(g, HELPER, "opt/pht_train/lib/other.py")),
    ];
    check(&Wire::ALL, &cases);
}

#[test]
fn results() {
    let cases = [
        sealed("a changed result", |g, _| change(g, RESULT)),
        sealed("a missing result", |g, _| g.remove(RESULT)),
        sealed("an added result", |g, _| g.put("opt/pht_results/zz", g.cat(RESULT))),
        sealed("an added result in the clear", |g, _| g.put("opt/pht_results/zz", b"in the clear".to_vec())),
        sealed("a renamed result", |g, _| rename(g, RESULT, "opt/pht_results/zz")),
        sealed("a truncated result", |g, _| {
            let data = g.cat(RESULT);
            g.put(RESULT, data[..data.len() - 5].to_vec());
        }),
        sealed("an emptied result", |g, _| g.put(RESULT, Vec::new())),
        built("results at the first station", |g, _| g.put(RESULT, b"planted\n".to_vec())),
    ];
    check(&Wire::ALL, &cases);
}

#[test]
fn fields_of_the_config() {
    let cases = [
        sealed("the config's hash", |g, wire| g.patch(|c| flip(&mut c[names(wire).0]))),
        sealed("the creator's signature", |g, wire| g.patch(|c| flip(&mut c[names(wire).1]))),
        built("the config's hash, as built", |g, wire| g.patch(|c| flip(&mut c[names(wire).0]))),
        built("the creator's signature, as built", |g, wire| g.patch(|c| flip(&mut c[names(wire).1]))),
        sealed("the session id", |g, _| g.patch(|c| flip(&mut c["session_id"]))),
        built("the session id, as built", |g, _| g.patch(|c| flip(&mut c["session_id"]))),
        sealed("the creator id", |g, _| g.patch(|c| c["creator"]["id"] = Value::from("somebody-else"))),
        sealed("the order of file_list", |g, _| {
            g.patch(|c| {
                c["file_list"].as_array_mut().expect("a list").swap(0, 1);
            });
        }),
        sealed("the result hash", |g, _| g.patch(|c| flip(&mut c["result_hash"]))),
        sealed("the result signature", |g, _| g.patch(|c| flip(&mut c["result_signature"]))),
        sealed("a route signature", |g, _| g.patch(|c| flip(&mut stop(c, "station_1")["signature"]["signature"]))),
        sealed("a route digest", |g, _| g.patch(|c| flip(&mut stop(c, "station_1")["signature"]["digest"]))),
        sealed("the route signature is gone", |g, _| {
            g.patch(|c| stop(c, "station_1")["signature"] = Value::Null);
        }),
        sealed("the result hash is gone", |g, _| {
            g.patch(|c| {
                c.as_object_mut().expect("an object").remove("result_hash");
            });
        }),
        sealed("the result signature is gone", |g, _| g.patch(|c| c["result_signature"] = Value::Null)),
        sealed("the creator's public key is the station's", |g, _| {
            g.patch(|c| c["creator"]["rsa_public_key"] = stop(c, "station_2")["rsa_public_key"].clone());
        }),
    ];
    check(&Wire::ALL, &cases);
}

#[test]
fn the_build() {
    let cases = [
        sealed("the build signature", |g, _| g.patch(|c| flip(&mut c["build"]["signature"]))),
        built("the build signature, as built", |g, _| g.patch(|c| flip(&mut c["build"]["signature"]))),
        sealed("the builder's key is another", |g, _| {
            g.patch(|c| c["build"]["rsa_public_key"] = stop(c, "station_2")["rsa_public_key"].clone());
        }),
    ];
    check(&[Wire::V2_0], &cases);
}

/// The reference takes any digest that the station has signed, from whatever train.
#[test]
fn a_digest_of_another_train() {
    if !available("refusals::a_digest_of_another_train", &[Peer::Openssl]) {
        return;
    }
    let other_train = |fixture: &RefusalFixture, _: Wire| {
        let digest = fixture.vectors.dir.path().join("digest");
        std::fs::write(&digest, [7; 64]).expect("a new file");
        let (key, digest) = (fixture.vectors.key("station_1"), utf8(&digest));
        let line = ["pkeyutl", "-sign", "-inkey", &key, "-in", digest, "-pkeyopt", "digest:sha512"];
        let padding = ["-pkeyopt", "rsa_padding_mode:pss", "-pkeyopt", "rsa_pss_saltlen:max"];
        let signed = run("openssl", &[&line[..], &padding].concat()).unwrap_or_else(|message| panic!("{message}"));
        let hex = |data: &[u8]| data.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        fixture.patch(|config| {
            let signature = &mut stop(config, "station_1")["signature"];
            signature["digest"] = Value::from(hex(&[7; 64]));
            signature["signature"] = Value::from(hex(&signed));
        });
    };
    let cases = [sealed("a digest of another train, signed by the station", other_train)];
    check(&Wire::ALL, &cases);
}

#[test]
fn config_that_no_train_has() {
    let malformed = |name, tamper| Case { status: super::case::MALFORMED, ..sealed(name, tamper) };
    let cases = [
        malformed("no config", |g, _| g.remove(CONFIG)),
        malformed("a config that is not JSON", |g, _| g.put(CONFIG, b"{ \"route\": [".to_vec())),
        malformed("a config without a hash", |g, wire| {
            g.patch(|c| {
                c.as_object_mut().expect("an object").remove(names(wire).0);
            });
        }),
        malformed("a route with a gap", |g, _| g.patch(|c| stop(c, "station_2")["index"] = Value::from(2))),
        malformed("two stops with one index", |g, _| g.patch(|c| stop(c, "station_1")["index"] = Value::from(1))),
        malformed("an empty route", |g, _| g.patch(|c| c["route"] = Value::Array(Vec::new()))),
        malformed("a session id that is not hex", |g, _| g.patch(|c| c["session_id"] = Value::from("xyz"))),
        malformed("a station's key that is none", |g, _| {
            g.patch(|c| stop(c, "station_1")["rsa_public_key"] = Value::from("00ff"));
        }),
    ];
    check(&Wire::ALL, &cases);
}
