use super::statement::{is_time, stated, statement, time_text};
use crate::crypto::{Sha512, hex};
use crate::error::{Kind, Result};
use crate::json::{Object, Value, canonical, json};
use crate::train::check::{Check, CheckId, Verdict, require_ok};
use crate::train::config::TrainConfig;
use crate::train::files::FileMeta;
use crate::train::image::{ImageFacts, LayerFacts};
use crate::train::party::PartyId;
use crate::train::testing::{
    FILES, Owner, STATIONS, at, built, draft, feed, flip, image_config, key, metas, payload, public_hex, ran, tampered,
    travelled,
};
use crate::train::unwrap::{unwrap_creator_key, unwrap_stage_key};
use crate::train::wire::authenticated::V3;
use crate::train::wire::{BuildSeal, Produced, StopSeal, Wire};

fn collect(config: &TrainConfig) -> Vec<Check> {
    let form = config.form();
    [form.collect_creator(config), form.collect_build(config), form.collect_route(config)].concat()
}

fn broken(checks: &[Check]) -> Vec<CheckId> {
    checks.iter().filter(|check| check.is_broken()).map(|check| check.id).collect()
}

fn ensure_files(config: &TrainConfig, metas: &[FileMeta], files: &[(&str, &[u8])]) -> Result<Vec<Check>> {
    let mut check = config.form().immutable_check(config, metas)?;
    feed(check.feed(), files);
    check.finish()
}

/// The error of a config with this change, as a reader meets it.
fn malformed(config: &TrainConfig, change: impl FnOnce(&mut Object)) -> String {
    let mut raw = config.raw().clone();
    change(&mut raw);
    let error = TrainConfig::parse(Value::Object(raw).to_string().as_bytes()).err().unwrap();
    assert_eq!(error.kind(), Kind::Malformed, "{error}");
    error.to_string()
}

#[test]
fn an_honest_journey_is_sound_at_every_station() {
    let mut config = built(&V3);
    for station in 0..=STATIONS {
        config = TrainConfig::parse(&config.to_bytes().unwrap()).unwrap();
        assert_eq!(broken(&collect(&config)), []);
        let weak = collect(&config).into_iter().filter(|check| check.verdict != Verdict::Sound);
        assert_eq!(weak.map(|check| check.id).collect::<Vec<_>>(), []);
        ensure_files(&config, &metas(&FILES), &FILES).unwrap();
        assert!(config.is_encrypted().unwrap());
        // The key is for the stop at its turn and for the creator.
        let creators = unwrap_creator_key(&config, key(Owner::Creator)).unwrap();
        for stop in config.route().stops() {
            assert_eq!(stop.encrypted_key.is_some(), stop.index == station);
            if stop.index == station {
                let theirs = unwrap_stage_key(&config, stop, key(Owner::Station(station))).unwrap();
                assert_eq!(theirs.as_bytes(), creators.as_bytes());
            }
        }
        if station < STATIONS {
            ran(&mut config, format!("result {station}").as_bytes());
        }
    }
}

#[test]
fn the_statement_is_the_config_without_what_changes() {
    let config = built(&V3);
    let document = stated(config.raw());
    let text = String::from_utf8(canonical(&document).unwrap()).unwrap();
    let message = statement(&V3, config.raw()).unwrap();
    assert_eq!(message.bytes(), [b"pht-oci/3 statement\0", text.as_bytes()].concat());
    assert_eq!(Sha512::of(message.bytes()), *config.hash());
    for gone in ["hash", "signature", "build", "@context"] {
        assert!(document.get(gone).is_none(), "{gone}");
    }
    for stays in
        ["@id", "wire", "source", "files", "file_list", "base_layers", "image", "builder", "session_id", "route"]
    {
        assert!(document.get(stays).is_some(), "{stays}");
    }
    let route = document["route"].as_array().unwrap();
    let names: Vec<&String> = route[0].as_object().unwrap().keys().collect();
    assert_eq!(names, ["station", "eco_system", "rsa_public_key", "index"]);
    assert!(document["creator"].get("encrypted_key").is_none());
    // Neither the order of the route in the document nor what is `null` anywhere is stated; elements of lists stay.
    let changed = tampered(&config, |raw| {
        at(raw, "/route").as_array_mut().unwrap().reverse();
        *at(raw, "/note") = Value::Null;
        at(raw, "/source").as_object_mut().unwrap().insert("x".to_owned(), Value::Null);
    });
    assert_eq!(canonical(&stated(changed.raw())).unwrap(), text.as_bytes());
    let kept = tampered(&config, |raw| *at(raw, "/note") = json!([null, {"a": null}]));
    assert_eq!(stated(kept.raw())["note"], json!([null, {}]));
}

#[test]
fn what_is_signed_has_its_text_in_front_and_a_salt_of_its_own() {
    let config = travelled(&V3, 1);
    let train = hex::encode(config.hash());
    for (path, text, owner) in
        [("/build", "pht-oci/3 build", Owner::Builder), ("/route/0/signature", "pht-oci/3 stop", Owner::Station(0))]
    {
        let record = at(&mut config.raw().clone(), path).clone();
        let mut document = json!({"train": train});
        for member in ["payload", "key_commitment", "recipients", "time"] {
            document[member] = record[member].clone();
        }
        if path != "/build" {
            document["station"] = json!("station_0");
            document["index"] = json!(0);
            document["previous"] = at(&mut config.raw().clone(), "/build/digest").clone();
        }
        let message = [text.as_bytes(), b"\0", &canonical(&document).unwrap()].concat();
        let digest = Sha512::of(&message);
        assert_eq!(record["digest"], json!(hex::encode(&digest)));
        let signature = hex::decode(record["signature"].as_str().unwrap()).unwrap();
        let public = key(owner).public_key();
        assert!(public.verify_pss(&message, &signature));
        assert!(!public.verify_pss_prehashed(&digest, &signature), "no signature of the earlier wires");
        assert!(!public.verify_pss(&message, &key(owner).sign_pss_prehashed(&digest).unwrap()));
    }
}

#[test]
fn times_have_one_form() {
    assert_eq!(time_text(1_700_000_000).unwrap(), "2023-11-14T22:13:20Z");
    for good in ["2026-11-25T22:30:00Z", "2024-02-29T00:00:00Z", "9999-12-31T23:59:59Z"] {
        assert!(is_time(good), "{good}");
    }
    for bad in [
        "2026-11-25T22:30:60Z",
        "2026-11-25T24:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-11-31T00:00:00Z",
        "2026-11-25t22:30:00Z",
        "2026-11-25T22:30:00z",
        "2026-11-25T22:30:00+00:00",
        "2026-11-25T22:30:00.0Z",
        "2026-11-25T22:30Z",
        "+026-11-25T22:30:00Z",
        "\u{663}026-11-25T22:30:0Z",
        "",
    ] {
        assert!(!is_time(bad), "{bad}");
    }
    assert_eq!(time_text(i64::MAX).unwrap_err().kind(), Kind::Usage);
    assert_eq!(time_text(253_402_300_800).unwrap_err().kind(), Kind::Usage, "the year 10000");
}

#[test]
fn a_time_that_runs_backwards_is_weak() {
    let verdicts = |build: i64, first: i64| {
        let mut config = built_at(build);
        ran_at(&mut config, first);
        let checks = collect(&config);
        let time = checks.iter().find(|check| check.id == CheckId::Time).unwrap().verdict.name();
        (time, broken(&checks))
    };
    assert_eq!(verdicts(100, 100), ("sound", Vec::new()));
    assert_eq!(verdicts(100, 101), ("sound", Vec::new()));
    assert_eq!(verdicts(100, 99), ("weak", Vec::new()));
}

#[test]
fn a_train_without_signature_waits_for_its_creator() {
    let config = tampered(&built(&V3), |raw| drop(raw.shift_remove("signature")));
    assert!(config.form().waits_for_creator());
    assert_eq!(broken(&collect(&config)), [CheckId::CreatorSignature]);
}

#[test]
fn an_image_that_runs_otherwise_is_found() {
    let config = built(&V3);
    let verdict = |change: &dyn Fn(&mut Object)| {
        let mut found = ImageFacts { layers: Vec::new(), config: image_config() };
        change(&mut found.config);
        broken(&config.form().collect_image(&found)).is_empty()
    };
    assert!(verdict(&|_| {}));
    let set = |path: &'static str, value: Value| move |raw: &mut Object| *at(raw, path) = value.clone();
    for (path, value) in [
        ("/variant", json!("")),
        ("/variant", json!(null)),
        ("/config/User", json!("")),
        ("/config/OnBuild", json!([])),
        ("/config/Healthcheck", json!(null)),
        ("/config/Tty", json!(false)),
        ("/config/Memory", json!(0)),
        ("/config/Volumes", json!({})),
        ("/config/Labels/de.personalhealthtrain.stage", json!("built")),
        ("/created", json!("2026-11-25T22:30:00Z")),
        ("/author", json!("x")),
        ("/history", json!([{}])),
        ("/rootfs", json!({"type": "layers"})),
        ("/docker_version", json!("")),
    ] {
        assert!(verdict(&set(path, value.clone())), "{path} {value}");
    }
    for (path, value) in [
        ("/architecture", json!("arm64")),
        ("/os", json!(null)),
        ("/variant", json!("v8")),
        ("/config", json!([])),
        ("/config", json!("x")),
        ("/config", json!({})),
        ("/config/Cmd", json!(["sh"])),
        ("/config/Cmd", json!("python3 /opt/pht_train/main.py")),
        ("/config/Cmd", json!(null)),
        ("/config/Entrypoint", json!(["sh"])),
        ("/config/Env", json!(["PATH=/usr/bin", "A=b"])),
        ("/config/User", json!("0")),
        ("/config/WorkingDir", json!("/tmp")),
        ("/config/StopSignal", json!("SIGKILL")),
        ("/config/Volumes", json!({"/x": {}})),
        ("/config/ExposedPorts", json!({"1/tcp": {}})),
        ("/config/Labels/a", json!("c")),
        ("/config/Labels/new", json!("")),
        ("/config/Labels", json!(null)),
        ("/config/Healthcheck", json!({"Test": ["CMD", "sh"]})),
        ("/config/OnBuild", json!(["RUN sh"])),
        ("/config/unknown", json!(1)),
        ("/os.version", json!("1")),
        ("/container_config", json!({"Cmd": ["sh"]})),
    ] {
        assert!(!verdict(&set(path, value.clone())), "{path} {value}");
    }
}

/// The checks that a change of the statement breaks.
const STATED: &[CheckId] = &[CheckId::Statement, CheckId::CreatorSignature];
/// The checks that a change of the build's document breaks.
const BUILT: &[CheckId] = &[CheckId::BuildDigest, CheckId::BuildSignature];
/// The checks that a change of a stop's document breaks.
const STOPPED: &[CheckId] = &[CheckId::StopDigest, CheckId::StopSignature];

/// One base layer.
fn base_layers() -> Value {
    json!([{"diff_id": payload(b"base"), "digest": payload(b"blob"), "size": 4}])
}

/// A train that was built at this time.
fn built_at(now: i64) -> TrainConfig {
    let mut sink = V3.draft(draft(), &metas(&FILES)).unwrap();
    feed(sink.feed(), &FILES);
    let signed = sink.finish(key(Owner::Creator)).unwrap();
    let stage_key = V3.cipher().generate_key().unwrap();
    let produced = Produced { result_hash: None, payload: Some(payload(b"built")) };
    let seal = BuildSeal { builder: Some(key(Owner::Builder)), stage_key: Some(&stage_key), produced: &produced, now };
    TrainConfig::build(&V3, signed, &seal).unwrap()
}

/// The train after its first station ran it at this time.
fn ran_at(config: &mut TrainConfig, now: i64) {
    let stage_key = V3.cipher().generate_key().unwrap();
    let produced = Produced { result_hash: None, payload: Some(payload(b"ran")) };
    let seal = StopSeal { index: 0, key: key(Owner::Station(0)), stage_key: &stage_key, produced: &produced, now };
    *config = config.seal_stop(&seal).unwrap();
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn each_field_that_is_tampered_with_is_found() {
    type Change = fn(&mut Object);
    let table: [(&str, Change, &[CheckId]); 39] = [
        (
            "hash",
            |raw| flip(at(raw, "/hash")),
            &[
                CheckId::Statement,
                CheckId::BuildDigest,
                CheckId::BuildSignature,
                CheckId::StopDigest,
                CheckId::StopSignature,
                CheckId::StopDigest,
                CheckId::StopSignature,
            ],
        ),
        ("signature", |raw| flip(at(raw, "/signature")), &[CheckId::CreatorSignature]),
        ("id", |raw| *at(raw, "/@id") = json!("train-2"), STATED),
        ("proposal", |raw| *at(raw, "/proposal_id") = json!("7"), STATED),
        ("session", |raw| flip(at(raw, "/session_id")), STATED),
        ("creator", |raw| *at(raw, "/creator/id") = json!("user-2"), STATED),
        ("station", |raw| *at(raw, "/route/2/station") = json!("somebody"), STATED),
        (
            "a station in another form",
            |raw| *at(raw, "/route/1/station") = json!("1"),
            &[CheckId::Statement, CheckId::CreatorSignature, CheckId::StopDigest, CheckId::StopSignature],
        ),
        ("eco system", |raw| *at(raw, "/route/2/eco_system") = json!("padme"), STATED),
        ("route key", |raw| *at(raw, "/route/2/rsa_public_key") = json!(public_hex(Owner::Stranger)), STATED),
        ("source", |raw| *at(raw, "/source/address") = json!("elsewhere"), STATED),
        ("context", |raw| *at(raw, "/@context") = json!({"a": "b"}), STATED),
        ("Paillier key", |raw| *at(raw, "/creator/paillier_public_key") = json!("7b7d"), STATED),
        ("a field of the creator", |raw| *at(raw, "/creator/note") = json!(1), STATED),
        ("a field of a stop", |raw| *at(raw, "/route/2/note") = json!(""), STATED),
        ("a new field", |raw| *at(raw, "/note") = json!({}), STATED),
        ("command", |raw| *at(raw, "/image/config/Cmd") = json!(["sh"]), STATED),
        ("label", |raw| *at(raw, "/image/config/Labels/a") = json!("c"), STATED),
        ("platform", |raw| *at(raw, "/image/os") = json!("windows"), STATED),
        (
            "builder",
            |raw| *at(raw, "/builder/rsa_public_key") = json!(public_hex(Owner::Stranger)),
            &[CheckId::Statement, CheckId::CreatorSignature, CheckId::BuildSignature],
        ),
        (
            "path",
            |raw| {
                *at(raw, "/files/2/path") = json!("mean.py");
                *at(raw, "/file_list/2") = json!("mean.py");
            },
            STATED,
        ),
        ("mode", |raw| *at(raw, "/files/2/mode") = json!(0o755), STATED),
        ("size", |raw| *at(raw, "/files/2/size") = json!(1), STATED),
        ("content", |raw| flip(at(raw, "/files/2/sha512")), STATED),
        ("base", |raw| *at(raw, "/base_layers") = base_layers(), STATED),
        ("build recipients", |raw| flip(at(raw, "/build/recipients")), BUILT),
        ("build time", |raw| *at(raw, "/build/time") = json!("2020-01-01T00:00:00Z"), BUILT),
        (
            "last recipients",
            |raw| flip(at(raw, "/route/1/signature/recipients")),
            &[CheckId::StopDigest, CheckId::StopSignature, CheckId::Recipients],
        ),
        ("wrapped key", |raw| flip(at(raw, "/route/2/encrypted_key")), &[CheckId::Recipients]),
        ("the creator's wrapped key", |raw| flip(at(raw, "/creator/encrypted_key")), &[CheckId::Recipients]),
        ("last time", |raw| *at(raw, "/route/1/signature/time") = json!("2030-01-01T00:00:00Z"), STOPPED),
        ("build payload", |raw| flip(at(raw, "/build/payload")), BUILT),
        ("build commitment", |raw| flip(at(raw, "/build/key_commitment")), BUILT),
        (
            "build digest",
            |raw| flip(at(raw, "/build/digest")),
            &[CheckId::BuildDigest, CheckId::StopDigest, CheckId::StopSignature],
        ),
        ("build signature", |raw| flip(at(raw, "/build/signature")), &[CheckId::BuildSignature]),
        ("older payload", |raw| flip(at(raw, "/route/0/signature/payload")), STOPPED),
        (
            "older digest",
            |raw| flip(at(raw, "/route/0/signature/digest")),
            &[CheckId::StopDigest, CheckId::StopDigest, CheckId::StopSignature],
        ),
        ("last commitment", |raw| flip(at(raw, "/route/1/signature/key_commitment")), STOPPED),
        ("last signature", |raw| flip(at(raw, "/route/1/signature/signature")), &[CheckId::StopSignature]),
    ];
    let config = travelled(&V3, 2);
    for (what, change, expected) in table {
        let changed = tampered(&config, change);
        assert_eq!(broken(&collect(&changed)), expected, "{what}");
    }
}

#[test]
fn a_key_for_somebody_who_does_not_need_it_is_found() {
    let wrapped = |raw: &mut Object| at(raw, "/creator/encrypted_key").clone();
    for index in [0, 2] {
        let config =
            tampered(&travelled(&V3, 1), |raw| *at(raw, &format!("/route/{index}/encrypted_key")) = wrapped(raw));
        assert_eq!(broken(&collect(&config)), [CheckId::KeyRecipients]);
    }
    let config = tampered(&travelled(&V3, 3), |raw| *at(raw, "/route/2/encrypted_key") = wrapped(raw));
    assert_eq!(broken(&collect(&config)), [CheckId::KeyRecipients]);
}

#[test]
fn a_key_that_is_missing_is_malformed() {
    let message = malformed(&travelled(&V3, 1), |raw| *at(raw, "/route/1/encrypted_key") = Value::Null);
    assert!(message.starts_with("encrypted_key: is missing, but it is the turn of station `1`"), "{message}");
}

#[test]
fn another_key_than_the_stage_s_is_found() {
    let config = travelled(&V3, 1);
    let other = V3.cipher().generate_key().unwrap();
    for (path, owner) in [("/route/1/encrypted_key", Owner::Station(1)), ("/creator/encrypted_key", Owner::Creator)] {
        let wrapped = hex::encode(&key(owner).public_key().wrap(other.as_bytes()).unwrap());
        let changed = tampered(&config, |raw| *at(raw, path) = json!(wrapped));
        let error = match owner {
            Owner::Creator => unwrap_creator_key(&changed, key(owner)),
            _ => unwrap_stage_key(&changed, &changed.route().stops()[1], key(owner)),
        };
        assert_eq!(error.err().unwrap().kind(), Kind::Verification);
    }
}

#[test]
fn a_signature_from_another_train_or_stop_does_not_pass() {
    let ours = travelled(&V3, 2);
    let mut theirs = {
        let mut draft = draft();
        draft.session_id = [1; 64];
        let mut sink = V3.draft(draft, &metas(&FILES)).unwrap();
        feed(sink.feed(), &FILES);
        let signed = sink.finish(key(Owner::Creator)).unwrap();
        let stage_key = V3.cipher().generate_key().unwrap();
        let produced = Produced { result_hash: None, payload: Some(payload(b"built")) };
        let seal =
            BuildSeal { builder: Some(key(Owner::Builder)), stage_key: Some(&stage_key), produced: &produced, now: 0 };
        TrainConfig::build(&V3, signed, &seal).unwrap()
    };
    ran(&mut theirs, b"result 0");
    ran(&mut theirs, b"result 1");
    for field in ["/build", "/route/0/signature", "/route/1/signature"] {
        let foreign = at(&mut theirs.raw().clone(), field).clone();
        let found = broken(&collect(&tampered(&ours, |raw| *at(raw, field) = foreign)));
        assert!(!found.is_empty(), "{field}");
    }
    let swapped = tampered(&ours, |raw| *at(raw, "/route/1/signature") = at(raw, "/route/0/signature").clone());
    assert_eq!(broken(&collect(&swapped)), [CheckId::StopDigest, CheckId::StopSignature, CheckId::Recipients]);
    // A stop that never was: its station could have signed, but not what came after it.
    let gone = tampered(&ours, |raw| *at(raw, "/route/0/signature") = Value::Null);
    assert_eq!(broken(&collect(&gone)), [CheckId::RouteOrder]);
}

#[test]
fn files_with_another_path_mode_size_or_content_are_found() {
    let config = built(&V3);
    let changed = |position: usize, change: fn(&mut FileMeta)| {
        let mut metas = metas(&FILES);
        change(&mut metas[position]);
        ensure_files(&config, &metas, &FILES)
    };
    let mut files = FILES;
    files[2] = ("main.py", b"import sys\n");
    let refused = [
        ("content", ensure_files(&config, &metas(&files), &files)),
        ("mode", changed(2, |file| file.mode = 0o755)),
        ("set-user-ID", changed(2, |file| file.mode |= 0o4000)),
        ("size", changed(1, |file| file.size = 1)),
        ("path", changed(2, |file| file.path = b"mean.py".to_vec())),
        ("hard link", changed(2, |file| file.is_link = true)),
        ("missing", ensure_files(&config, &metas(&FILES[1..]), &FILES[1..])),
        ("added", ensure_files(&config, &metas(&[&FILES[..], &[("new.py", b"")]].concat()), &FILES)),
        ("none", ensure_files(&config, &[], &[])),
    ];
    for (what, outcome) in refused {
        assert_eq!(outcome.unwrap_err().kind(), Kind::Verification, "{what}");
    }
    let checks = ensure_files(&config, &metas(&FILES), &FILES).unwrap();
    assert_eq!(checks, [Check::sound(CheckId::ImmutableFiles, "immutable files")]);
}

#[test]
fn layers_are_the_signed_base_the_signed_payload_and_one_more() {
    let config = travelled(&V3, 1);
    let signed = payload(b"result 0");
    let layer = |id: &str| LayerFacts { diff_id: id.to_owned(), digest: format!("blob of {id}"), size: 1 };
    let image = |ids: &[&str]| ImageFacts { layers: ids.iter().map(|id| layer(id)).collect(), config: Object::new() };
    let layers = |config: &TrainConfig, found: &ImageFacts| broken(&config.form().collect_layers(found));
    assert_eq!(layers(&config, &image(&[&signed, "control"])), []);
    for other in [
        &["x", "control"][..],
        &["control", &signed],
        &[&signed],
        &[&signed, "control", "more"],
        &["base", &signed, "control"],
        &[],
    ] {
        assert_eq!(layers(&config, &image(other)), [CheckId::Payload], "{other:?}");
    }
    let based = tampered(&config, |raw| *at(raw, "/base_layers") = base_layers());
    let mut found = image(&["b", &signed, "control"]);
    assert_eq!(layers(&based, &found), [CheckId::Base]);
    assert_eq!(based.form().ensure_base(&found).unwrap_err().kind(), Kind::Verification);
    found.layers[0].diff_id = payload(b"base");
    assert_eq!(layers(&based, &found), [], "recompressed");
    assert_eq!(based.form().ensure_base(&found).unwrap(), Some(1));
    found.layers[0].digest = payload(b"blob");
    assert_eq!(layers(&based, &found), [CheckId::Base], "another size of the same blob");
    found.layers[0].size = 4;
    assert_eq!(layers(&based, &found), []);
    assert_eq!(config.form().ensure_base(&found).unwrap(), Some(0));
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn missing_unknown_and_mistyped_fields_are_malformed() {
    let config = travelled(&V3, 1);
    for field in [
        "files",
        "file_list",
        "hash",
        "build",
        "builder",
        "image",
        "session_id",
        "creator",
        "route",
        "base_layers",
        "@id",
        "proposal_id",
        "source",
    ] {
        malformed(&config, |raw| drop(raw.shift_remove(field)));
        malformed(&config, |raw| *at(raw, &format!("/{field}")) = json!(true));
    }
    for path in [
        "/build/payload",
        "/build/key_commitment",
        "/build/digest",
        "/build/signature",
        "/build/recipients",
        "/build/time",
        "/builder/rsa_public_key",
        "/image/architecture",
        "/image/os",
        "/image/config",
        "/route/0/signature/payload",
        "/route/0/signature/key_commitment",
        "/route/0/signature/digest",
        "/route/0/signature/signature",
        "/route/0/signature/recipients",
        "/route/0/signature/time",
        "/creator/encrypted_key",
        "/files/0/path",
        "/files/0/mode",
        "/files/0/size",
        "/files/0/sha512",
    ] {
        assert!(malformed(&config, |raw| *at(raw, path) = Value::Null).contains("is missing"), "{path}");
        malformed(&config, |raw| *at(raw, path) = json!([1]));
        if !path.starts_with("/image/") {
            malformed(&config, |raw| *at(raw, path) = json!("X//Y"));
        }
    }
    type Change = fn(&mut Object);
    let table: [(&str, Change); 28] = [
        ("wire: the wire version `4`", |raw| *at(raw, "/wire") = json!("4")),
        ("wire: is a number", |raw| *at(raw, "/wire") = json!(3)),
        ("result_hash: is not a field of wire version 3", |raw| *at(raw, "/result_hash") = at(raw, "/hash").clone()),
        ("result_signature: is not a field", |raw| *at(raw, "/result_signature") = json!("00")),
        ("session_id: has 2 bytes", |raw| *at(raw, "/session_id") = json!("0011")),
        ("hash: is not lower-case hex", |raw| *at(raw, "/hash") = json!("AB".repeat(64))),
        ("build.key_commitment: has 1 bytes", |raw| *at(raw, "/build/key_commitment") = json!("00")),
        ("build.payload: is not a digest", |raw| *at(raw, "/build/payload") = json!("sha256:00")),
        ("files[0].extra: is an unknown field", |raw| *at(raw, "/files/0/extra") = json!(1)),
        ("build.rsa_public_key: is an unknown field", |raw| *at(raw, "/build/rsa_public_key") = json!("00")),
        ("builder.id: is an unknown field", |raw| *at(raw, "/builder/id") = json!(1)),
        ("image.os.version: is an unknown field", |raw| {
            drop(at(raw, "/image").as_object_mut().unwrap().insert("os.version".to_owned(), json!("1")));
        }),
        ("image.variant: is empty", |raw| *at(raw, "/image/variant") = json!("")),
        ("image.config.Healthcheck: is an unknown field", |raw| *at(raw, "/image/config/Healthcheck") = json!({})),
        ("image.config.User: is empty", |raw| *at(raw, "/image/config/User") = json!("")),
        ("image.config.Volumes: is empty", |raw| *at(raw, "/image/config/Volumes") = json!({})),
        ("image.config.Labels: has labels", |raw| {
            *at(raw, "/image/config/Labels/de.personalhealthtrain.stage") = json!("built");
        }),
        ("base_layers[0].size: is missing", |raw| {
            *at(raw, "/base_layers") = json!([{"diff_id": payload(b""), "digest": payload(b"")}])
        }),
        ("base_chain: is not a field of wire version 3", |raw| *at(raw, "/base_chain") = json!(payload(b""))),
        ("file_list: is not the list", |raw| *at(raw, "/file_list/2") = json!("./main.py")),
        ("build.time: is not a time", |raw| *at(raw, "/build/time") = json!("2026-02-30T00:00:00Z")),
        ("note: [0]: b: the number 1.0", |raw| *at(raw, "/note") = crate::json::parse(br#"[{"b": 1.0}]"#).unwrap()),
        ("note: the number -0", |raw| *at(raw, "/note") = crate::json::parse(b"-0").unwrap()),
        ("files[0].path: is not a relative path", |raw| *at(raw, "/files/0/path") = json!("../x")),
        ("files[0].mode: is 512", |raw| *at(raw, "/files/0/mode") = json!(0o1000)),
        ("files[1].path: is not in walk order", |raw| at(raw, "/files").as_array_mut().unwrap().swap(0, 1)),
        ("files: names no file", |raw| *at(raw, "/files") = json!([])),
        ("proposal_id: the number 9007199254740993", |raw| {
            *at(raw, "/proposal_id") = crate::json::parse(b"9007199254740993").unwrap();
        }),
    ];
    for (expected, change) in table {
        let message = malformed(&config, change);
        assert!(message.starts_with(expected), "{message}");
    }
}

#[test]
fn without_its_version_it_is_another_one_and_fails_there() {
    for wire in [None, Some("2.0")] {
        let message = malformed(&travelled(&V3, 1), |raw| {
            raw.shift_remove("wire");
            wire.map(|wire| raw.insert("wire".to_owned(), wire.into()));
        });
        assert_eq!(message, "build.rsa_public_key: is missing");
    }
}

#[test]
fn only_the_station_at_its_turn_can_seal_and_only_with_a_payload() {
    let config = travelled(&V3, 1);
    let stage_key = V3.cipher().generate_key().unwrap();
    let produced = Produced { result_hash: None, payload: Some(payload(b"")) };
    for (index, owner, produced, kind) in [
        (0, Owner::Station(0), &produced, Kind::Verification),
        (2, Owner::Station(2), &produced, Kind::Verification),
        (1, Owner::Stranger, &produced, Kind::Key),
        (1, Owner::Station(1), &Produced::default(), Kind::Internal),
    ] {
        let seal = StopSeal { index, key: key(owner), stage_key: &stage_key, produced, now: 0 };
        assert_eq!(config.seal_stop(&seal).unwrap_err().kind(), kind, "{index} {owner:?}");
    }
}

#[test]
fn a_seal_keeps_what_it_does_not_know() {
    let mut config = tampered(&built(&V3), |raw| {
        at(raw, "/route").as_array_mut().unwrap().reverse();
        *at(raw, "/id") = Value::Null;
        at(raw, "/route/2").as_object_mut().unwrap().insert("x-note".to_owned(), Value::Null);
    });
    let keys: Vec<String> = config.raw().keys().cloned().collect();
    ran(&mut config, b"");
    let raw = config.raw();
    assert_eq!(raw.keys().cloned().collect::<Vec<_>>(), keys);
    assert_eq!((&raw["id"], &raw["route"][0]["x-note"]), (&Value::Null, &Value::Null));
    assert!(
        raw["route"][0]["signature"].is_object() && !raw["route"][0].as_object().unwrap().contains_key("encrypted_key")
    );
    assert_eq!(broken(&collect(&config)), []);
}

#[test]
fn a_build_needs_its_keys_and_files() {
    let signed = |creator| {
        let mut sink = V3.draft(draft(), &metas(&FILES)).unwrap();
        feed(sink.feed(), &FILES);
        sink.finish(key(creator))
    };
    assert_eq!(signed(Owner::Stranger).unwrap_err().kind(), Kind::Key);
    let stage_key = V3.cipher().generate_key().unwrap();
    let produced = Produced { result_hash: None, payload: Some(payload(b"")) };
    for builder in [None, Some(key(Owner::Stranger))] {
        let seal = BuildSeal { builder, stage_key: Some(&stage_key), produced: &produced, now: 0 };
        assert_eq!(V3.seal_build(signed(Owner::Creator).unwrap(), &seal).unwrap_err().kind(), Kind::Key);
    }
    let mut unknown = draft();
    unknown.builder_key = None;
    assert_eq!(V3.draft(unknown, &metas(&FILES)).err().unwrap().kind(), Kind::Usage);
    assert_eq!(V3.draft(draft(), &[]).err().unwrap().kind(), Kind::Usage);
    let mut other = draft();
    other.base_layers = vec![LayerFacts { diff_id: payload(b""), digest: "sha512:00".to_owned(), size: 1 }];
    assert_eq!(V3.draft(other, &metas(&FILES)).err().unwrap().kind(), Kind::Usage);
    let mut large = draft();
    large.proposal_id = PartyId::from_json(&crate::json::parse(b"9007199254740993").unwrap()).unwrap();
    let mut sink = V3.draft(large, &metas(&FILES)).unwrap();
    feed(sink.feed(), &FILES);
    assert_eq!(sink.finish(key(Owner::Creator)).unwrap_err().kind(), Kind::Usage);
}

/// Everything that a station does with a config, but for the contents of files.
fn accept(document: &[u8]) -> Result<()> {
    let config = TrainConfig::parse(document)?;
    let form = config.form();
    require_ok(collect(&config))?;
    let stop = &config.route().stops()[1];
    config.route_state()?.ensure_turn(stop, crate::train::StageKind::PreRun)?;
    let layer = |diff_id| LayerFacts { diff_id, digest: payload(b"blob"), size: 1 };
    let layers = vec![layer(payload(b"result 0")), layer(payload(b""))];
    let image = ImageFacts { layers, config: image_config() };
    require_ok(form.collect_layers(&image))?;
    require_ok(form.collect_image(&image))?;
    unwrap_stage_key(&config, stop, key(Owner::Station(1)))?;
    form.immutable_check(&config, &metas(&FILES))?;
    Ok(())
}

/// The path of every value below `value`, as in `/route/0/index`.
fn places(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            members
                .iter()
                .for_each(|(key, member)| places(member, &format!("{path}/{}", key.replace('/', "~1")), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, item)| places(item, &format!("{path}/{at}"), found));
        }
        _ => {}
    }
    found.push(path.to_owned());
}

/// Other values for a field: of its type, and of others.
fn mutants(value: &Value) -> Vec<Value> {
    let mut mutants =
        vec![Value::Null, json!(true), json!(-1), json!(1.5), json!(""), json!("x"), json!([]), json!({})];
    match value {
        Value::String(text) if !text.is_empty() => {
            for at in [0, text.len() / 2, text.len() - 1].map(|at| text.floor_char_boundary(at)) {
                let flipped = |c: char| if c == '0' { '1' } else { '0' };
                let changed = text.char_indices().map(|(here, c)| if here == at { flipped(c) } else { c });
                mutants.push(changed.collect::<String>().into());
            }
            mutants.extend(
                [format!("{text}0"), format!(" {text}"), text.to_uppercase(), text[1..].to_owned()].map(Value::from),
            );
        }
        Value::Number(number) => {
            mutants
                .extend(number.as_u64().into_iter().flat_map(|number| [json!(number + 1), json!(number.to_string())]));
        }
        Value::Array(items) => {
            mutants.push([&items[..], &items[..items.len().min(1)]].concat().into());
            mutants.push(items.iter().skip(1).cloned().collect::<Value>());
        }
        _ => {}
    }
    mutants.retain(|mutant| mutant != value);
    mutants
}

#[test]
fn no_signed_value_can_be_changed() {
    let config = travelled(&V3, 1);
    let document = Value::Object(config.raw().clone());
    accept(document.to_string().as_bytes()).unwrap();
    let mut all = Vec::new();
    places(&document, "", &mut all);
    let mut accepted = Vec::new();
    for place in all.iter().filter(|place| !place.is_empty()) {
        let value = document.pointer(place).unwrap();
        for mutant in mutants(value) {
            // A field that is absent is one that is `null`.
            if value.is_null() && mutant.is_null() {
                continue;
            }
            let mut changed = document.clone();
            *changed.pointer_mut(place).unwrap() = mutant.clone();
            match accept(changed.to_string().as_bytes()) {
                Ok(()) => accepted.push(format!("{place}: {mutant}")),
                Err(error) => assert!(
                    matches!(error.kind(), Kind::Verification | Kind::Malformed | Kind::Key),
                    "{place}: {mutant}: {error}"
                ),
            }
        }
    }
    assert_eq!(accepted, [""; 0]);
}
