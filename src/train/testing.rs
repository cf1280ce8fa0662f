//! Small trains for the tests of this module, made with keys that live as long as the test process.

use super::common::Source;
use super::config::TrainConfig;
use super::draft::{Draft, DraftStop, key_hex};
use super::files::FileMeta;
use super::party::PartyId;
use super::signed_image::SignedImage;
use super::wire::{BuildSeal, ContentFeed, Produced, StopSeal, Wire};
use crate::crypto::{PrivateKey, Sha256, hex, testing};
use crate::json::{Object, Value, json};

/// The owners of keys in the test trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    Creator,
    Builder,
    Station(usize),
    Stranger,
}

/// The number of stations on the route of the test trains.
pub(crate) const STATIONS: usize = 3;

/// The session id of the test trains.
pub(crate) const SESSION_ID: [u8; 64] = [0x5a; 64];

/// When the test trains were built.
pub(crate) const NOW: i64 = 1_700_000_000;

/// The image config of the test trains, without layers.
pub(crate) fn image_config() -> Object {
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["python3", "/opt/pht_train/main.py"], "Env": ["PATH=/usr/bin"], "Labels": {"a": "b"}},
    });
    config.as_object().cloned().unwrap()
}

/// The execution parameters of the test trains' image.
fn image() -> SignedImage {
    SignedImage::of(&image_config()).unwrap().0
}

/// Files of the test trains, in walk order.
pub(crate) const FILES: [(&str, &[u8]); 4] = [
    ("lib/helper.py", b"def help(): pass\n"),
    ("lib-extra/a.txt", b""),
    ("main.py", b"import lib\n"),
    ("query.json", b"{}"),
];

/// The private key of somebody.
pub(crate) fn key(owner: Owner) -> &'static PrivateKey {
    testing::key(match owner {
        Owner::Creator => 0,
        Owner::Builder => 1,
        Owner::Stranger => 2,
        Owner::Station(index) => 3 + index,
    })
}

/// The public key of somebody, as configs hold it.
pub(crate) fn public_hex(owner: Owner) -> String {
    key_hex(&key(owner).public_key())
}

/// The metadata of files that are handed to a feed.
pub(crate) fn metas(files: &[(&str, &[u8])]) -> Vec<FileMeta> {
    let meta = |(path, content): &(&str, &[u8])| FileMeta {
        path: path.as_bytes().to_vec(),
        mode: 0o644,
        size: content.len() as u64,
        is_link: false,
    };
    files.iter().map(meta).collect()
}

/// Feeds each file in the order that the feed asks for, in pieces of three bytes.
pub(crate) fn feed<F: ContentFeed + ?Sized>(feed: &mut F, files: &[(&str, &[u8])]) {
    for index in feed.order().to_vec() {
        feed.begin(index).unwrap();
        files[index].1.chunks(3).for_each(|piece| feed.update(piece));
    }
}

/// The draft of a test train.
pub(crate) fn draft() -> Draft {
    let stop = |index| DraftStop {
        station: PartyId::from_json(&if index == 1 { json!(1) } else { json!(format!("station_{index}")) }).unwrap(),
        eco_system: "tue".to_owned(),
        public_key: key(Owner::Station(index)).public_key(),
    };
    let source = Source {
        kind: "docker_repository".to_owned(),
        address: "registry.example/master".to_owned(),
        tag: Some("latest".to_owned()),
        branch: None,
    };
    Draft {
        id: "train-1".to_owned(),
        proposal_id: PartyId::from_json(&json!(7)).unwrap(),
        source,
        creator: PartyId::from("user-1"),
        creator_key: key(Owner::Creator).public_key(),
        paillier_key: None,
        route: (0..STATIONS).map(stop).collect(),
        session_id: SESSION_ID,
        file_list: None,
        builder_key: Some(key(Owner::Builder).public_key()),
        base_layers: Vec::new(),
        image: image(),
    }
}

/// The diff ID of a payload layer with this content.
pub(crate) fn payload(content: &[u8]) -> String {
    format!("sha256:{}", hex::encode(&Sha256::of(content)))
}

/// A train as built.
pub(crate) fn built(wire: &'static dyn Wire) -> TrainConfig {
    let mut sink = wire.draft(draft(), &metas(&FILES)).unwrap();
    feed(sink.feed(), &FILES);
    let signed = sink.finish(key(Owner::Creator)).unwrap();
    let stage_key = wire.cipher().generate_key().unwrap();
    let produced = Produced { result_hash: None, payload: Some(payload(b"built")) };
    let seal =
        BuildSeal { builder: Some(key(Owner::Builder)), stage_key: Some(&stage_key), produced: &produced, now: NOW };
    TrainConfig::build(wire, signed, &seal).unwrap()
}

/// The train after the next station ran it, with one result file of this content.
pub(crate) fn ran(config: &mut TrainConfig, result: &[u8]) {
    let index = config.route_state().unwrap().next().unwrap().index;
    let hasher = config.form().result_hasher(config);
    let result_hash = hasher.map(|mut hasher| {
        hasher.update(result);
        hasher.finish()
    });
    let produced = Produced { result_hash, payload: Some(payload(result)) };
    let stage_key = config.wire().cipher().generate_key().unwrap();
    let seal = StopSeal {
        index,
        key: key(Owner::Station(index)),
        stage_key: &stage_key,
        produced: &produced,
        now: NOW + index as i64,
    };
    *config = config.seal_stop(&seal).unwrap();
}

/// The train after this many stations, with `result N` as the result of station N.
pub(crate) fn travelled(wire: &'static dyn Wire, stations: usize) -> TrainConfig {
    let mut config = built(wire);
    (0..stations).for_each(|index| ran(&mut config, format!("result {index}").as_bytes()));
    config
}

/// The config with a change that its types allow; for tests of what the checks find.
pub(crate) fn tampered(config: &TrainConfig, change: impl FnOnce(&mut Object)) -> TrainConfig {
    let mut config = config.clone();
    config
        .edit(|raw| {
            change(raw);
            Ok(())
        })
        .unwrap();
    config
}

/// The value at a path of keys and positions, as in `/route/0/index`; a key that is not there yet is made.
pub(crate) fn at<'a>(raw: &'a mut Object, path: &str) -> &'a mut Value {
    let mut steps = path.split('/').skip(1);
    let mut value = raw.entry(steps.next().unwrap()).or_insert(Value::Null);
    for step in steps {
        value = match value {
            Value::Array(items) => &mut items[step.parse::<usize>().unwrap()],
            object => &mut object[step],
        };
    }
    value
}

/// Changes the last digit of a hex text.
pub(crate) fn flip(value: &mut Value) {
    let mut text = value.as_str().unwrap().to_owned();
    let last = if text.pop() == Some('0') { '1' } else { '0' };
    text.push(last);
    *value = text.into();
}
