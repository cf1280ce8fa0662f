use crate::error::Kind;
use crate::json::{Value, json};
use crate::train::config::TrainConfig;
use crate::train::testing::{at, built, travelled};
use crate::train::wire::{self, WIRES};

/// Parses a valid config of wire 2.0 after one change.
fn parse_changed(change: impl FnOnce(&mut Value)) -> crate::error::Result<TrainConfig> {
    let mut document = Value::Object(travelled(wire::by_name("2.0").unwrap(), 1).raw().clone());
    change(&mut document);
    TrainConfig::parse(document.to_string().as_bytes())
}

fn set(pointer: &str, value: Value) -> crate::error::Result<TrainConfig> {
    parse_changed(|document| *at(document.as_object_mut().unwrap(), pointer) = value)
}

fn assert_refused(table: &[(&str, Value, &str)]) {
    for (pointer, value, expected) in table {
        let error = set(pointer, value.clone()).unwrap_err();
        assert_eq!(error.kind(), Kind::Malformed, "{pointer}: {error}");
        assert!(error.to_string().starts_with(expected), "{pointer}: {error}");
    }
}

#[test]
fn refuses_each_malformed_field_by_its_path() {
    let weak_key =
        "2d2d2d2d2d424547494e205055424c4943204b45592d2d2d2d2d0a2d2d2d2d2d454e44205055424c4943204b45592d2d2d2d2d0a";
    assert_refused(&[
        ("/@id", json!(null), "@id: is missing"),
        ("/@id", json!(5), "@id: is a number, but must be a string"),
        ("/@id", json!(""), "@id: is empty"),
        ("/@context", json!("link"), "@context: is a string, but must be an object"),
        ("/proposal_id", json!([]), "proposal_id: is a list, but must be an integer or a string"),
        ("/proposal_id", json!(null), "proposal_id: is missing"),
        ("/source", json!(null), "source: is missing"),
        ("/source/type", json!(1), "source.type: is a number, but must be a string"),
        ("/source/address", json!(null), "source.address: is missing"),
        ("/source/tag", json!(true), "source.tag: is a boolean, but must be a string"),
        ("/creator", json!("me"), "creator: is a string, but must be an object"),
        ("/creator/id", json!(1.5), "creator.id: is a number, but must be an integer or a string"),
        ("/creator/id", json!(""), "creator.id: is empty"),
        ("/creator/rsa_public_key", json!("00"), "creator.rsa_public_key: is not an RSA public key"),
        ("/creator/encrypted_key", json!("0g"), "creator.encrypted_key: is not hex"),
        ("/session_id", json!(null), "session_id: is missing"),
        ("/session_id", json!(""), "session_id: is empty"),
        ("/session_id", json!("abc"), "session_id: is not hex"),
        ("/session_id", json!("00".repeat(1025)), "session_id: has 1025 bytes, more than 1024"),
        ("/hash", json!("00".repeat(63)), "hash: has 63 bytes, but a SHA-512 digest has 64"),
        ("/signature", json!({}), "signature: is an object, but must be a string"),
        ("/signature", json!(null), "signature: is missing"),
        ("/result_hash", json!("00"), "result_hash: has 1 bytes, but a SHA-512 digest has 64"),
        ("/result_signature", json!("xx"), "result_signature: is not hex"),
        ("/build", json!([]), "build: is a list, but must be an object"),
        ("/build/signature", json!(null), "build.signature: is missing"),
        ("/build/rsa_public_key", json!(weak_key), "build.rsa_public_key: is not an RSA public key"),
    ]);
}

#[test]
fn refuses_each_malformed_stop_by_its_path() {
    assert_refused(&[
        ("/route", json!({}), "route: is an object, but must be a list"),
        ("/route", json!([]), "route: has no station"),
        ("/route", json!(null), "route: is missing"),
        ("/route/1", json!("station_1"), "route[1]: is a string, but must be an object"),
        ("/route/1/station", json!(null), "route[1].station: is missing"),
        ("/route/2/station", json!("1"), "route[2].station: is `1`, as is route[1].station"),
        ("/route/2/eco_system", json!(3), "route[2].eco_system: is a number, but must be a string"),
        ("/route/2/rsa_public_key", json!("2d2d"), "route[2].rsa_public_key: is not an RSA public key"),
        ("/route/2/rsa_public_key", json!(null), "route[2].rsa_public_key: is missing"),
        ("/route/0/index", json!(null), "route[0].index: is missing"),
        ("/route/0/index", json!("0"), "route[0].index: is a string, but must be an integer"),
        ("/route/0/index", json!(-1), "route[0].index: is -1, but must be an integer from 0 on"),
        ("/route/0/index", json!(0.0), "route[0].index: is 0.0, but must be an integer from 0 on"),
        ("/route/2/index", json!(1), "route[2].index: is 1, as is route[1].index"),
        ("/route/2/index", json!(3), "route: has no stop with index 2"),
        ("/route/0/index", json!(7), "route: has no stop with index 0"),
        ("/route/0/signature", json!("00"), "route[0].signature: is a string, but must be an object"),
        (
            "/route/0/signature/digest",
            json!("00"),
            "route[0].signature.digest: has 1 bytes, but a SHA-512 digest has 64",
        ),
        ("/route/0/signature/signature", json!(null), "route[0].signature.signature: is missing"),
        ("/route/0/encrypted_key", json!(7), "route[0].encrypted_key: is a number, but must be a string"),
    ]);
}

#[test]
fn refuses_malformed_file_lists_and_unknown_wires() {
    assert_refused(&[
        ("/file_list", json!(null), "file_list: is missing"),
        ("/file_list", json!("x"), "file_list: is a string, but must be a list"),
        ("/file_list", json!(["x", 1]), "file_list[1]: is a number, but must be a string"),
        (
            "/file_list",
            json!(["x", "../y"]),
            "file_list[1]: `../y` is not a relative path of a file under /opt/pht_train",
        ),
        ("/file_list", json!(["/x"]), "file_list[0]: `/x` lies outside /opt/pht_train"),
        ("/file_list", json!(["x", "./x"]), "file_list[1]: names a file that stands before it already"),
        ("/wire", json!(2), "wire: is a number, but must be a string"),
        ("/wire", json!("9"), "wire: the wire version `9` is not known"),
        ("/wire", json!("1.1.2"), "wire: is `1.1.2`, but the other fields are those of another version"),
        ("/immutable_file_hash", json!("00"), "has the fields of several wire versions"),
        ("/hash", json!(null), "has neither `hash` nor `immutable_file_hash`"),
    ]);
}

#[test]
fn refuses_what_is_no_object() {
    for document in ["", "[]", "null", "{\"@id\":1,\"@id\":2}", "{"] {
        assert_eq!(TrainConfig::parse(document.as_bytes()).unwrap_err().kind(), Kind::Malformed, "{document}");
    }
}

#[test]
fn reads_what_the_ecosystem_writes() {
    let config = parse_changed(|document| {
        let raw = document.as_object_mut().unwrap();
        raw.insert("id".to_owned(), json!("plain"));
        at(raw, "/route").as_array_mut().unwrap().reverse();
        *at(raw, "/file_list") = json!(["./main.py", "pht_train/lib/helper.py"]);
        *at(raw, "/session_id") = json!("00".repeat(32));
        let upper = at(raw, "/hash").as_str().unwrap().to_uppercase();
        *at(raw, "/hash") = json!(upper);
        raw.shift_remove("@context");
        at(raw, "/creator").as_object_mut().unwrap().shift_remove("paillier_public_key");
    })
    .unwrap();
    let stations: Vec<String> = config.route().stops().iter().map(|stop| stop.station.to_string()).collect();
    assert_eq!(stations, ["station_0", "1", "station_2"]);
    assert_eq!((config.id(), config.proposal_id().to_string().as_str()), ("train-1", "7"));
    assert_eq!(
        (config.source().address.as_str(), config.source().tag.as_deref()),
        ("registry.example/master", Some("latest"))
    );
    assert_eq!(config.session_id().len(), 32);
    assert_eq!(config.wire().name(), "2.0");
}

#[test]
fn recognises_the_wire_by_its_shape() {
    for &wire in WIRES {
        let mut raw = built(wire).raw().clone();
        assert_eq!(wire::recognise(&raw).unwrap().name(), wire.name());
        raw.insert("wire".to_owned(), json!(wire.name()));
        assert_eq!(wire::recognise(&raw).unwrap().name(), wire.name());
    }
    let mut raw = built(wire::by_name("2.0").unwrap()).raw().clone();
    raw.insert("build".to_owned(), Value::Null);
    assert_eq!(wire::recognise(&raw).unwrap().name(), "1.1.2");
    assert_eq!(wire::by_name("2").unwrap_err().kind(), Kind::Usage);
}

#[test]
fn survives_a_round_trip_in_any_layout() {
    let mut document = Value::Object(travelled(wire::by_name("1.1.2").unwrap(), 1).raw().clone());
    *at(document.as_object_mut().unwrap(), "/creator/extra") = json!(null);
    document["x-unknown"] = crate::json::parse(br#"{"n":1.10,"big":123456789012345678901234567890}"#).unwrap();
    let compact = document.to_string();
    let indented = format!("{document:#}");
    for document in [compact, indented] {
        let config = TrainConfig::parse(document.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(config.to_bytes().unwrap()).unwrap(), document);
    }
}

#[test]
fn an_edit_that_fails_changes_nothing() {
    let mut config = built(wire::by_name("1.1.1").unwrap());
    let before = config.to_bytes().unwrap();
    let error = config.edit(|raw| {
        *at(raw, "/session_id") = json!("zz");
        Ok(())
    });
    assert_eq!(error.unwrap_err().kind(), Kind::Malformed);
    assert_eq!(config.to_bytes().unwrap(), before);
}

#[test]
fn results_must_agree_with_the_signatures() {
    let table = [
        ("/result_hash", "station `station_0` has signed, but result_hash is missing"),
        ("/result_signature", "station `station_0` has signed, but result_signature is missing"),
        ("/route/0/signature", "result_hash is there, but no station has signed"),
    ];
    for (pointer, expected) in table {
        let config = set(pointer, Value::Null).unwrap();
        let error = config.route_state().unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (Kind::Verification, expected));
        assert_eq!(
            crate::train::check::require_ok(config.form().collect_route(&config)).unwrap_err().kind(),
            Kind::Verification
        );
    }
    let config = parse_changed(|document| {
        document["result_hash"] = Value::Null;
        document["route"][0]["signature"] = Value::Null;
    });
    let error = config.unwrap().route_state().unwrap_err().to_string();
    assert_eq!(error, "result_signature is there, but no station has signed");
}
