use super::statement::statement;
use crate::crypto::hex;
use crate::error::{Kind, Result};
use crate::json::{Object, Value, canonical, json};
use crate::train::check::{Check, Verdict, id};
use crate::train::config::TrainConfig;
use crate::train::files::FileMeta;
use crate::train::keys::{unwrap_creator_key, unwrap_stage_key};
use crate::train::party::PartyId;
use crate::train::testing::{
    FILES, Owner, STATIONS, at, built, draft, feed, flip, key, metas, payload, public_hex, ran, tampered, travelled,
};
use crate::train::wire::authenticated::V3;
use crate::train::wire::{BuildSeal, Layers, Produced, StopSeal, Wire};

fn collect(config: &TrainConfig) -> Vec<Check> {
    [V3.collect_creator(config), V3.collect_build(config), V3.collect_route(config)].concat()
}

fn broken(checks: &[Check]) -> Vec<&'static str> {
    checks.iter().filter(|check| matches!(check.verdict, Verdict::Broken(_))).map(|check| check.id).collect()
}

fn ensure_files(config: &TrainConfig, metas: &[FileMeta], files: &[(&str, &[u8])]) -> Result<Vec<Check>> {
    let mut check = V3.immutable_check(config, metas)?;
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
        assert_eq!(broken(&collect(&config)), [""; 0]);
        let weak = collect(&config).into_iter().filter(|check| check.verdict != Verdict::Sound);
        assert_eq!(weak.map(|check| check.id).collect::<Vec<_>>(), [id::BUILDER_KEY]);
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
fn the_statement_is_that_of_the_specification() {
    let config = built(&V3);
    let text = String::from_utf8(canonical(&statement(config.raw())).unwrap()).unwrap();
    let (session, creator) = (hex::encode(config.session_id()), public_hex(Owner::Creator));
    assert!(text.starts_with(&format!(
        r#"{{"base_chain":null,"creator":{{"id":"user-1","rsa_public_key":"{creator}"}},"files":[{{"mode":420,"path":"lib/helper.py","sha512":"#
    )));
    assert!(text.contains(&format!(
        r#"],"id":"train-1","proposal_id":7,"route":[{{"eco_system":"tue","index":0,"rsa_public_key":"{}","station":"station_0"}},{{"eco_system":"tue","index":1,"#,
        public_hex(Owner::Station(0))
    )));
    assert!(text.ends_with(&format!(r#""session_id":"{session}","wire":"3"}}"#)));
    // Neither the order of the route in the document nor what travels with a stop is stated.
    let shuffled = tampered(&config, |raw| at(raw, "/route").as_array_mut().unwrap().reverse());
    assert_eq!(canonical(&statement(shuffled.raw())).unwrap(), text.as_bytes());
}

#[test]
fn each_field_that_is_tampered_with_is_found() {
    type Change = fn(&mut Object);
    let table: [(&str, Change, &[&str]); 23] = [
        (
            "hash",
            |raw| flip(at(raw, "/hash")),
            &[id::STATEMENT, id::CREATOR_SIGNATURE, id::BUILD_DIGEST, id::STOP_DIGEST, id::STOP_DIGEST],
        ),
        ("signature", |raw| flip(at(raw, "/signature")), &[id::CREATOR_SIGNATURE]),
        ("id", |raw| *at(raw, "/@id") = json!("train-2"), &[id::STATEMENT]),
        ("proposal", |raw| *at(raw, "/proposal_id") = json!("7"), &[id::STATEMENT]),
        ("session", |raw| flip(at(raw, "/session_id")), &[id::STATEMENT]),
        ("creator", |raw| *at(raw, "/creator/id") = json!("user-2"), &[id::STATEMENT]),
        ("station", |raw| *at(raw, "/route/2/station") = json!("somebody"), &[id::STATEMENT]),
        (
            "a station in another form",
            |raw| *at(raw, "/route/1/station") = json!("1"),
            &[id::STATEMENT, id::STOP_DIGEST],
        ),
        ("eco system", |raw| *at(raw, "/route/2/eco_system") = json!("padme"), &[id::STATEMENT]),
        ("route key", |raw| *at(raw, "/route/2/rsa_public_key") = json!(public_hex(Owner::Stranger)), &[id::STATEMENT]),
        ("path", |raw| *at(raw, "/files/2/path") = json!("mean.py"), &[id::STATEMENT]),
        ("mode", |raw| *at(raw, "/files/2/mode") = json!(0o755), &[id::STATEMENT]),
        ("size", |raw| *at(raw, "/files/2/size") = json!(1), &[id::STATEMENT]),
        ("content", |raw| flip(at(raw, "/files/2/sha512")), &[id::STATEMENT]),
        ("base", |raw| *at(raw, "/base_chain") = json!(payload(b"")), &[id::STATEMENT]),
        ("build payload", |raw| flip(at(raw, "/build/payload")), &[id::BUILD_DIGEST]),
        ("build commitment", |raw| flip(at(raw, "/build/key_commitment")), &[id::BUILD_DIGEST]),
        (
            "build digest",
            |raw| flip(at(raw, "/build/digest")),
            &[id::BUILD_DIGEST, id::BUILD_SIGNATURE, id::STOP_DIGEST],
        ),
        ("build signature", |raw| flip(at(raw, "/build/signature")), &[id::BUILD_SIGNATURE]),
        ("older payload", |raw| flip(at(raw, "/route/0/signature/payload")), &[id::STOP_DIGEST]),
        (
            "older digest",
            |raw| flip(at(raw, "/route/0/signature/digest")),
            &[id::STOP_DIGEST, id::STOP_SIGNATURE, id::STOP_DIGEST],
        ),
        ("last commitment", |raw| flip(at(raw, "/route/1/signature/key_commitment")), &[id::STOP_DIGEST]),
        ("last signature", |raw| flip(at(raw, "/route/1/signature/signature")), &[id::STOP_SIGNATURE]),
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
        assert_eq!(broken(&collect(&config)), [id::KEY_RECIPIENTS]);
    }
    let config = tampered(&travelled(&V3, 3), |raw| *at(raw, "/route/2/encrypted_key") = wrapped(raw));
    assert_eq!(broken(&collect(&config)), [id::KEY_RECIPIENTS]);
}

#[test]
fn a_key_that_is_missing_is_malformed() {
    let config = tampered(&travelled(&V3, 1), |raw| *at(raw, "/route/1/encrypted_key") = Value::Null);
    assert_eq!(broken(&collect(&config)), [""; 0]);
    let error = unwrap_stage_key(&config, &config.route().stops()[1], key(Owner::Station(1))).err().unwrap();
    assert_eq!(error.kind(), Kind::Malformed);
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
        let seal = BuildSeal { builder: Some(key(Owner::Builder)), stage_key: Some(&stage_key), produced: &produced };
        V3.seal_build(signed, &seal).unwrap()
    };
    ran(&mut theirs, b"result 0");
    ran(&mut theirs, b"result 1");
    for field in ["/build", "/route/0/signature", "/route/1/signature"] {
        let foreign = at(&mut theirs.raw().clone(), field).clone();
        let found = broken(&collect(&tampered(&ours, |raw| *at(raw, field) = foreign)));
        assert!(
            found.iter().all(|id| [id::BUILD_DIGEST, id::STOP_DIGEST].contains(id)) && !found.is_empty(),
            "{field}"
        );
    }
    let swapped = tampered(&ours, |raw| *at(raw, "/route/1/signature") = at(raw, "/route/0/signature").clone());
    assert_eq!(broken(&collect(&swapped)), [id::STOP_DIGEST, id::STOP_SIGNATURE]);
    // A stop that never was: its station could have signed, but not what came after it.
    let gone = tampered(&ours, |raw| *at(raw, "/route/0/signature") = Value::Null);
    assert_eq!(broken(&collect(&gone)), [id::ROUTE_ORDER]);
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
    assert_eq!(checks, [Check::sound(id::IMMUTABLE_FILES, "immutable files")]);
}

#[test]
fn layers_are_the_signed_base_the_signed_payload_and_one_more() {
    let config = travelled(&V3, 1);
    let signed = payload(b"result 0");
    let layers = |diff_ids: &[&str]| Layers {
        diff_ids: diff_ids.iter().map(ToString::to_string).collect(),
        chain_ids: diff_ids.iter().map(|id| format!("chain of {id}")).collect(),
    };
    assert_eq!(broken(&V3.collect_layers(&config, &layers(&[&signed, "control"]))), [""; 0]);
    for other in [
        &["x", "control"][..],
        &["control", &signed],
        &[&signed],
        &[&signed, "control", "more"],
        &["base", &signed, "control"],
        &[],
    ] {
        assert_eq!(broken(&V3.collect_layers(&config, &layers(other))), [id::PAYLOAD], "{other:?}");
    }
    let based = tampered(&config, |raw| *at(raw, "/base_chain") = json!(payload(b"base")));
    let mut two = layers(&["a", "b", &signed, "control"]);
    assert_eq!(broken(&V3.collect_layers(&based, &two)), [id::BASE_CHAIN]);
    assert_eq!(V3.base_layers(&based, &two).unwrap_err().kind(), Kind::Verification);
    two.chain_ids[1] = payload(b"base");
    assert_eq!(broken(&V3.collect_layers(&based, &two)), [""; 0]);
    assert_eq!(V3.base_layers(&based, &two).unwrap(), Some(2));
    assert_eq!(V3.base_layers(&config, &two).unwrap(), Some(0));
}

#[test]
fn missing_unknown_and_mistyped_fields_are_malformed() {
    let config = travelled(&V3, 1);
    for field in
        ["files", "hash", "signature", "build", "session_id", "creator", "route", "base_chain", "@id", "proposal_id"]
    {
        malformed(&config, |raw| drop(raw.shift_remove(field)));
        malformed(&config, |raw| *at(raw, &format!("/{field}")) = json!(true));
    }
    for path in [
        "/build/payload",
        "/build/key_commitment",
        "/build/digest",
        "/build/signature",
        "/build/rsa_public_key",
        "/route/0/signature/payload",
        "/route/0/signature/key_commitment",
        "/route/0/signature/digest",
        "/route/0/signature/signature",
        "/creator/encrypted_key",
        "/files/0/path",
        "/files/0/mode",
        "/files/0/size",
        "/files/0/sha512",
    ] {
        assert!(malformed(&config, |raw| *at(raw, path) = Value::Null).contains("is missing"), "{path}");
        malformed(&config, |raw| *at(raw, path) = json!([1]));
        malformed(&config, |raw| *at(raw, path) = json!("X//Y"));
    }
    type Change = fn(&mut Object);
    let table: [(&str, Change); 14] = [
        ("wire: the wire version `4`", |raw| *at(raw, "/wire") = json!("4")),
        ("wire: is a number", |raw| *at(raw, "/wire") = json!(3)),
        ("result_hash: is no field of wire version 3", |raw| *at(raw, "/result_hash") = at(raw, "/hash").clone()),
        ("result_signature: is no field", |raw| *at(raw, "/result_signature") = json!("00")),
        ("session_id: has 2 bytes", |raw| *at(raw, "/session_id") = json!("0011")),
        ("hash: is not lower-case hex", |raw| *at(raw, "/hash") = json!("AB".repeat(64))),
        ("build.key_commitment: has 1 bytes", |raw| *at(raw, "/build/key_commitment") = json!("00")),
        ("build.payload: is no digest", |raw| *at(raw, "/build/payload") = json!("sha256:00")),
        ("files[0].extra: is no field of a file", |raw| *at(raw, "/files/0/extra") = json!(1)),
        ("files[0].path: is no path", |raw| *at(raw, "/files/0/path") = json!("../x")),
        ("files[0].mode: is 4096", |raw| *at(raw, "/files/0/mode") = json!(0o10000)),
        ("files[1].path: is not in walk order", |raw| at(raw, "/files").as_array_mut().unwrap().swap(0, 1)),
        ("files: names no file", |raw| *at(raw, "/files") = json!([])),
        ("the statement that the creator signs: the number", |raw| {
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
        let mut raw = travelled(&V3, 1).raw().clone();
        raw.shift_remove("wire");
        wire.map(|wire| raw.insert("wire".to_owned(), wire.into()));
        let config = TrainConfig::parse(Value::Object(raw).to_string().as_bytes()).unwrap();
        assert_eq!(config.wire().name(), "2.0");
        assert_eq!(config.wire().verify_creator(&config).unwrap_err().kind(), Kind::Verification);
    }
}

#[test]
fn only_the_station_at_its_turn_can_seal_and_only_with_a_payload() {
    let mut config = travelled(&V3, 1);
    let before = config.to_bytes().unwrap();
    let stage_key = V3.cipher().generate_key().unwrap();
    let produced = Produced { result_hash: None, payload: Some(payload(b"")) };
    for (index, owner, produced, kind) in [
        (0, Owner::Station(0), &produced, Kind::Verification),
        (2, Owner::Station(2), &produced, Kind::Verification),
        (1, Owner::Stranger, &produced, Kind::Key),
        (1, Owner::Station(1), &Produced::default(), Kind::Internal),
    ] {
        let seal = StopSeal { index, key: key(owner), stage_key: &stage_key, produced };
        assert_eq!(V3.seal_stop(&mut config, &seal).unwrap_err().kind(), kind, "{index} {owner:?}");
        assert_eq!(config.to_bytes().unwrap(), before);
    }
}

#[test]
fn a_seal_keeps_what_it_does_not_know() {
    let mut config = tampered(&built(&V3), |raw| {
        at(raw, "/route").as_array_mut().unwrap().reverse();
        *at(raw, "/id") = json!("plain");
        at(raw, "/route/2").as_object_mut().unwrap().insert("x-note".to_owned(), json!(1));
    });
    let keys: Vec<String> = config.raw().keys().cloned().collect();
    ran(&mut config, b"");
    let raw = config.raw();
    assert_eq!(raw.keys().cloned().collect::<Vec<_>>(), keys);
    assert_eq!((&raw["id"], &raw["route"][0]["x-note"]), (&json!("plain"), &json!(1)));
    assert!(
        raw["route"][0]["signature"].is_object() && !raw["route"][0].as_object().unwrap().contains_key("encrypted_key")
    );
    assert_eq!(broken(&collect(&config)), [""; 0]);
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
    let produced = Produced::default();
    let seal = BuildSeal { builder: None, stage_key: Some(&stage_key), produced: &produced };
    assert_eq!(V3.seal_build(signed(Owner::Creator).unwrap(), &seal).unwrap_err().kind(), Kind::Usage);
    assert_eq!(V3.draft(draft(), &[]).err().unwrap().kind(), Kind::Usage);
    let mut other = draft();
    other.base_chain = Some("sha512:00".to_owned());
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
    let wire = config.wire();
    wire.verify_creator(&config)?;
    wire.verify_build(&config)?;
    wire.verify_route(&config)?;
    let stop = &config.route().stops()[1];
    config.route_state()?.ensure_turn(stop, crate::train::StageKind::PreRun)?;
    wire.verify_layers(&config, &Layers { diff_ids: vec![payload(b"result 0"), payload(b"")], chain_ids: Vec::new() })?;
    unwrap_stage_key(&config, stop, key(Owner::Station(1)))?;
    wire.immutable_check(&config, &metas(&FILES))?;
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

/// What nobody has signed (wire 3, Config), and what a station does not act on.
fn is_unsigned(place: &str) -> bool {
    let free = ["/source", "/@context", "/file_list", "/creator/paillier_public_key", "/creator/encrypted_key"];
    free.iter().any(|free| place.starts_with(free))
}

#[test]
fn no_signed_value_can_be_changed() {
    let config = travelled(&V3, 1);
    let document = Value::Object(config.raw().clone());
    accept(document.to_string().as_bytes()).unwrap();
    let mut all = Vec::new();
    places(&document, "", &mut all);
    let mut accepted = Vec::new();
    for place in all.iter().filter(|place| !place.is_empty() && !is_unsigned(place)) {
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
