use crate::crypto::PrivateKey;
use crate::error::{Kind, Result};
use crate::json::{Object, Value, json};
use crate::train::check::{Check, CheckId, Verdict};
use crate::train::config::TrainConfig;
use crate::train::draft::Draft;
use crate::train::files::FileMeta;
use crate::train::party::PartyId;
use crate::train::testing::{
    FILES, Owner, STATIONS, at, built, draft, feed, flip, key, metas, public_hex, ran, tampered, travelled,
};
use crate::train::unwrap::{unwrap_creator_key, unwrap_stage_key};
use crate::train::wire::classic::{Classic, V1_1_1, V1_1_2, V2_0};
use crate::train::wire::{BuildSeal, Produced, StopSeal, Wire};

static ALL: [&Classic; 3] = [&V1_1_1, &V1_1_2, &V2_0];

fn collect(config: &TrainConfig) -> Vec<Check> {
    let wire = config.form();
    [wire.collect_creator(config), wire.collect_build(config), wire.collect_route(config)].concat()
}

fn broken(checks: &[Check]) -> Vec<CheckId> {
    checks.iter().filter(|check| matches!(check.verdict, Verdict::Broken(_))).map(|check| check.id).collect()
}

fn ensure_files(config: &TrainConfig, files: &[(&str, &[u8])]) -> Result<Vec<Check>> {
    let mut check = config.form().immutable_check(config, &metas(files))?;
    feed(check.feed(), files);
    check.finish()
}

fn ensure_results(config: &TrainConfig, files: &[(&str, &[u8])]) -> Result<Vec<Check>> {
    let mut check = config.form().result_check(config, &metas(files))?;
    feed(check.feed(), files);
    check.finish()
}

fn seal(config: &mut TrainConfig, index: usize, key: &PrivateKey) -> Result<()> {
    let stage_key = config.wire().cipher().generate_key()?;
    let produced = Produced { result_hash: Some([9; 64]), payload: None };
    *config = config.seal_stop(&StopSeal { index, key, stage_key: &stage_key, produced: &produced, now: 0 })?;
    Ok(())
}

#[test]
fn a_session_id_that_could_end_a_document_is_broken() {
    for wire in ALL {
        let with = |session_id: &[u8]| {
            let session_id = crate::crypto::hex::encode(session_id);
            tampered(&built(wire), |raw| *at(raw, "/session_id") = json!(session_id))
        };
        let end = ["a".repeat(62).as_bytes(), b"\"}"].concat();
        for session_id in [&end[..], b"}", b"{\"index\": 0}"] {
            assert!(broken(&collect(&with(session_id))).contains(&CheckId::SessionId), "{}", wire.name);
        }
        for session_id in [&[0x80; 64][..], b"session", b"\x00}", b"}x"] {
            assert!(!broken(&collect(&with(session_id))).contains(&CheckId::SessionId), "{}", wire.name);
        }
    }
}

#[test]
fn an_honest_journey_is_sound_at_every_station() {
    for wire in ALL {
        let mut config = built(wire);
        for station in 0..=STATIONS {
            // What travels is the document.
            config = TrainConfig::parse(&config.to_bytes().unwrap()).unwrap();
            assert_eq!(broken(&collect(&config)), [], "{}", wire.name);
            ensure_files(&config, &FILES).unwrap();
            assert_eq!(config.is_encrypted().unwrap(), wire.encrypts_train || station > 0);
            if station < STATIONS {
                ran(&mut config, format!("result {station}").as_bytes());
                let result = format!("result {station}");
                ensure_results(&config, &[("out.txt", result.as_bytes())]).unwrap();
            }
        }
    }
}

#[test]
fn a_built_train_has_what_its_version_has() {
    for wire in ALL {
        let config = built(wire);
        let listed = if wire.has_build { 3 } else { 4 };
        assert_eq!(config.file_list(), &FILES.map(|(path, _)| path.to_owned())[..listed]);
        assert_eq!(config.form().builder_key().is_some(), wire.has_build);
        let first = &config.route().stops()[0];
        assert_eq!(first.encrypted_key.is_some(), wire.encrypts_train);
        assert!(config.creator().encrypted_key.is_none() && config.route().stops()[1].encrypted_key.is_none());
        assert!(config.to_bytes().unwrap().starts_with(b"{\n  \"source\": {\n    \"type\": "));
        let unwrapped = unwrap_stage_key(&config, first, key(Owner::Station(0)));
        assert_eq!(unwrapped.err().map(|error| error.kind()), Some(Kind::Malformed).filter(|_| !wire.encrypts_train));
    }
}

#[test]
fn the_stage_s_key_is_for_every_stop_and_the_creator() {
    for wire in ALL {
        let config = travelled(wire, 1);
        let expected = unwrap_creator_key(&config, key(Owner::Creator)).unwrap();
        for stop in config.route().stops() {
            let found = unwrap_stage_key(&config, stop, key(Owner::Station(stop.index))).unwrap();
            assert_eq!(found.as_bytes(), expected.as_bytes());
        }
    }
}

#[test]
fn a_wrong_private_key_is_told_apart() {
    let config = travelled(&V2_0, 1);
    let stop = &config.route().stops()[1];
    let table = [
        (Owner::Station(2), "station `1`: this private key belongs to station `station_2`"),
        (Owner::Creator, "station `1`: this private key belongs to the creator `user-1`"),
        (Owner::Stranger, "station `1`: this private key belongs to nobody in the train: its public key is sha256:"),
    ];
    for (owner, expected) in table {
        let error = unwrap_stage_key(&config, stop, key(owner)).err().unwrap();
        assert_eq!(error.kind(), Kind::Key);
        assert!(error.to_string().starts_with(expected), "{error}");
    }
    let error = unwrap_creator_key(&config, key(Owner::Station(0))).err().unwrap();
    let says = "only the creator can open the results: this private key belongs to station `station_0`";
    assert_eq!(error.to_string(), says);
    let swapped = tampered(&config, |raw| {
        *at(raw, "/route/1/encrypted_key") = at(raw, "/route/0/encrypted_key").clone();
    });
    let error = unwrap_stage_key(&swapped, &swapped.route().stops()[1], key(Owner::Station(1))).err().unwrap();
    assert_eq!(error.kind(), Kind::Key);
    assert!(error.to_string().starts_with("station `1`: its encrypted_key does not open"), "{error}");
}

#[test]
fn each_field_that_is_tampered_with_is_found() {
    type Change = fn(&mut Object);
    let table: [(&str, Change, &[CheckId]); 13] = [
        ("hash", |raw| flip(at(raw, "/hash")), &[CheckId::CreatorSignature, CheckId::BuildSignature]),
        ("signature", |raw| flip(at(raw, "/signature")), &[CheckId::CreatorSignature, CheckId::BuildSignature]),
        (
            "creator's key",
            |raw| *at(raw, "/creator/rsa_public_key") = json!(public_hex(Owner::Stranger)),
            &[CheckId::CreatorSignature],
        ),
        ("build signature", |raw| flip(at(raw, "/build/signature")), &[CheckId::BuildSignature]),
        (
            "builder's key",
            |raw| *at(raw, "/build/rsa_public_key") = json!(public_hex(Owner::Stranger)),
            &[CheckId::BuildSignature],
        ),
        ("older signature", |raw| flip(at(raw, "/route/0/signature/signature")), &[CheckId::StopSignature]),
        (
            "older digest",
            |raw| flip(at(raw, "/route/0/signature/digest")),
            &[CheckId::StopSignature, CheckId::LastDigest],
        ),
        ("last signature", |raw| flip(at(raw, "/route/1/signature/signature")), &[CheckId::StopSignature]),
        (
            "last digest",
            |raw| flip(at(raw, "/route/1/signature/digest")),
            &[CheckId::StopSignature, CheckId::LastDigest],
        ),
        (
            "station's key",
            |raw| *at(raw, "/route/0/rsa_public_key") = json!(public_hex(Owner::Stranger)),
            &[CheckId::StopSignature],
        ),
        ("result hash", |raw| flip(at(raw, "/result_hash")), &[CheckId::LastDigest, CheckId::ResultSignature]),
        ("result signature", |raw| flip(at(raw, "/result_signature")), &[CheckId::ResultSignature]),
        ("route order", |raw| *at(raw, "/route/0/signature") = Value::Null, &[CheckId::RouteOrder]),
    ];
    let config = travelled(&V2_0, 2);
    for (what, change, expected) in table {
        let changed = tampered(&config, change);
        assert_eq!(broken(&collect(&changed)), expected, "{what}");
    }
}

#[test]
fn a_signature_from_another_train_does_not_pass() {
    let theirs = {
        let mut draft = draft();
        draft.session_id = [1; 64];
        let mut sink = V1_1_2.draft(draft, &metas(&FILES)).unwrap();
        feed(sink.feed(), &FILES);
        let signed = sink.finish(key(Owner::Creator)).unwrap();
        let produced = Produced::default();
        let seal = BuildSeal { builder: None, stage_key: None, produced: &produced, now: 0 };
        let mut config = TrainConfig::build(&V1_1_2, signed, &seal).unwrap();
        ran(&mut config, b"result 0");
        config
    };
    let ours = tampered(&travelled(&V1_1_2, 1), |raw| {
        *at(raw, "/route/0/signature") = at(&mut theirs.raw().clone(), "/route/0/signature").clone();
    });
    assert_eq!(broken(&collect(&ours)), [CheckId::LastDigest]);
    // With results and all, it is the session id that gives it away.
    let ours = tampered(&ours, |raw| {
        for field in ["/result_hash", "/result_signature"] {
            *at(raw, field) = at(&mut theirs.raw().clone(), field).clone();
        }
    });
    assert_eq!(broken(&collect(&ours)), [CheckId::LastDigest]);
    assert_eq!(ensure_results(&ours, &[("out.txt", b"result 0")]).unwrap_err().kind(), Kind::Verification);
}

#[test]
fn changed_immutable_files_are_found() {
    let with = |position: usize, file: (&'static str, &'static [u8])| {
        let mut files = FILES;
        files[position] = file;
        files
    };
    for wire in ALL {
        let config = built(wire);
        let refused = [
            ensure_files(&config, &with(0, ("lib/helper.py", b"def help(): evil()\n"))),
            ensure_files(&config, &with(3, ("query.json", b"{ }"))),
            ensure_files(&config, &FILES[1..]),
            ensure_files(&config, &[&FILES[..], &[("new.py", b"")]].concat()),
            ensure_files(&config, &with(2, ("renamed.py", b"import lib\n"))),
            ensure_files(&tampered(&config, |raw| flip(at(raw, "/session_id"))), &FILES),
            ensure_files(&tampered(&config, |raw| *at(raw, "/creator/id") = json!("user-2")), &FILES),
            ensure_files(&tampered(&config, |raw| flip(&mut raw[wire.fields.hash])), &FILES),
            ensure_files(&tampered(&config, |raw| at(raw, "/file_list").as_array_mut().unwrap().swap(0, 2)), &FILES),
        ];
        for (number, outcome) in refused.into_iter().enumerate() {
            assert_eq!(outcome.unwrap_err().kind(), Kind::Verification, "{} {number}", wire.name);
        }
        let checks = ensure_files(&config, &FILES).unwrap();
        assert_eq!(checks[0], Check::sound(CheckId::ImmutableHash, "immutable files"));
        assert!(matches!(checks[1].verdict, Verdict::Weak(_)) && checks[1].id == CheckId::FileNames);
    }
}

#[test]
fn the_query_can_be_left_out_where_it_was_at_the_build() {
    for wire in ALL {
        let mut sink = wire.draft(draft(), &metas(&FILES[..3])).unwrap();
        feed(sink.feed(), &FILES[..3]);
        let signed = sink.finish(key(Owner::Creator)).unwrap();
        let (stage_key, produced) = (wire.cipher.generate_key().unwrap(), Produced::default());
        let seal =
            BuildSeal { builder: Some(key(Owner::Builder)), stage_key: Some(&stage_key), produced: &produced, now: 0 };
        let config = TrainConfig::build(wire, signed, &seal).unwrap();
        ensure_files(&config, &FILES[..3]).unwrap();
        assert_eq!(ensure_files(&config, &FILES).unwrap_err().kind(), Kind::Verification);
    }
}

#[test]
fn results_are_hashed_in_walk_order() {
    let files: [(&str, &[u8]); 3] = [("sub.txt", b"3"), ("sub-a/y", b"2"), ("sub/x", b"1")];
    let mut config = built(&V1_1_2);
    ran(&mut config, b"123");
    assert_eq!(ensure_results(&config, &files).unwrap(), [Check::sound(CheckId::ResultHash, "results")]);
    assert_eq!(ensure_results(&config, &files[1..]).unwrap_err().kind(), Kind::Verification);
    let config = built(&V1_1_2);
    assert_eq!(ensure_results(&config, &[]).unwrap(), []);
    let checks = ensure_results(&config, &files).unwrap();
    assert!(matches!(&checks[..], [Check { id: CheckId::ResultHash, verdict: Verdict::Weak(_), .. }]));
}

#[test]
fn a_caller_that_feeds_out_of_order_is_told() {
    let config = built(&V2_0);
    let mut check = config.form().immutable_check(&config, &metas(&FILES)).unwrap();
    assert_eq!(check.feed().begin(1).unwrap_err().kind(), Kind::Internal);
    check.feed().begin(0).unwrap();
    assert_eq!(check.finish().unwrap_err().kind(), Kind::Internal);
}

#[test]
fn only_the_station_at_its_turn_can_seal() {
    let mut config = travelled(&V1_1_1, 1);
    let before = config.to_bytes().unwrap();
    for (index, owner, kind) in [
        (0, Owner::Station(0), Kind::Verification),
        (2, Owner::Station(2), Kind::Verification),
        (3, Owner::Station(2), Kind::Verification),
        (1, Owner::Station(2), Kind::Key),
        (1, Owner::Stranger, Kind::Key),
    ] {
        assert_eq!(seal(&mut config, index, key(owner)).unwrap_err().kind(), kind, "{index} {owner:?}");
        assert_eq!(config.to_bytes().unwrap(), before);
    }
    seal(&mut config, 1, key(Owner::Station(1))).unwrap();
}

#[test]
fn a_seal_sorts_the_route_and_keeps_what_it_does_not_know() {
    let mut config = tampered(&built(&V2_0), |raw| {
        at(raw, "/route").as_array_mut().unwrap().reverse();
        *at(raw, "/id") = json!("plain");
        at(raw, "/route/2").as_object_mut().unwrap().insert("x-note".to_owned(), json!(1));
        at(raw, "/route/1").as_object_mut().unwrap().shift_remove("signature");
    });
    let keys: Vec<String> = config.raw().keys().cloned().collect();
    ran(&mut config, b"");
    let raw = config.raw();
    assert_eq!(raw.keys().cloned().collect::<Vec<_>>(), keys);
    let indexes: Vec<u64> =
        raw["route"].as_array().unwrap().iter().map(|stop| stop["index"].as_u64().unwrap()).collect();
    assert_eq!(indexes, [0, 1, 2]);
    assert_eq!((&raw["id"], &raw["route"][0]["x-note"]), (&json!("plain"), &json!(1)));
    assert!(raw["route"][0]["signature"].is_object() && raw["route"][2]["signature"].is_null());
    assert_eq!(config.route_state().unwrap().last_signed().unwrap().index, 0);
}

#[test]
fn says_what_a_version_cannot_prove() {
    let weak = |config: &TrainConfig| {
        let checks = collect(config).into_iter().filter(|check| matches!(check.verdict, Verdict::Weak(_)));
        checks.map(|check| check.id).collect::<Vec<_>>()
    };
    assert_eq!(weak(&travelled(&V1_1_1, 1)), [CheckId::RouteBinding]);
    assert_eq!(
        weak(&travelled(&V2_0, 3)),
        [CheckId::BuilderKey, CheckId::RouteBinding, CheckId::OlderDigest, CheckId::OlderDigest]
    );
    let config = tampered(&built(&V1_1_2), |raw| *at(raw, "/session_id") = json!("00"));
    assert_eq!(weak(&config), [CheckId::SessionId, CheckId::RouteBinding]);
}

#[test]
fn refuses_to_draft_what_the_reference_could_not_read() {
    let none: [FileMeta; 0] = [];
    type Change = fn(&mut Draft);
    let table: [(&str, Change); 3] = [
        ("the route has no station", |draft| draft.route.clear()),
        ("station `1` is on the route twice", |draft| draft.route[2].station = PartyId::from("1")),
        ("the eco_system of station `1` is `aac`", |draft| draft.route[1].eco_system = "aac".to_owned()),
    ];
    for (expected, change) in table {
        let mut draft = draft();
        change(&mut draft);
        let error = V2_0.draft(draft, &metas(&FILES)).err().unwrap();
        assert_eq!((error.kind(), error.to_string().as_str()), (Kind::Usage, expected));
    }
    for files in [&none[..], &metas(&FILES[3..])] {
        assert_eq!(V2_0.draft(draft(), files).err().unwrap().kind(), Kind::Usage);
    }
    let nameless = FileMeta { path: b"\xff".to_vec(), mode: 0o644, size: 0, is_link: false };
    assert_eq!(V2_0.draft(draft(), &[nameless]).err().unwrap().kind(), Kind::Usage);
}

#[test]
fn a_build_needs_its_keys() {
    let signed = |creator| {
        let mut sink = V2_0.draft(draft(), &metas(&FILES)).unwrap();
        feed(sink.feed(), &FILES);
        sink.finish(key(creator))
    };
    assert_eq!(signed(Owner::Stranger).unwrap_err().kind(), Kind::Key);
    let produced = Produced::default();
    let seal = BuildSeal { builder: None, stage_key: None, produced: &produced, now: 0 };
    assert_eq!(V2_0.seal_build(signed(Owner::Creator).unwrap(), &seal).unwrap_err().kind(), Kind::Usage);
}
