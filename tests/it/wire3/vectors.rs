//! `testdata/wire-3`: a train with all its keys and every intermediate value, as the second implementation computed
//! them. Here the library computes them again.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use support::utf8;

use pht_oci::crypto::kdf::hkdf_sha256;
use pht_oci::crypto::{Cipher, PrivateKey, Sha256, Sha512, StageKey, hex};
use pht_oci::json::{canonical, parse};
use pht_oci::train::check::overall;
use pht_oci::train::{TrainConfig, Verdict, unwrap_creator_key, unwrap_stage_key};
use serde_json::Value;
use support::pht_oci;

/// The sizes whose chunks are worth showing.
const SIZES: [u64; 6] = [0, 1, 65_535, 65_536, 65_537, 131_072];
const CHUNK: u64 = 65_536;

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/wire-3")
}

fn states() -> Vec<Value> {
    let text = fs::read(vectors().join("values.json")).expect("the vectors are there");
    let values: Value = serde_json::from_slice(&text).expect("JSON");
    values["states"].as_array().expect("a list of states").clone()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} is a text: {value}"))
}

fn bytes(value: &Value, key: &str) -> Vec<u8> {
    hex::decode(text(value, key)).unwrap_or_else(|_| panic!("{key} is hex: {value}"))
}

fn private_key(name: &str) -> PrivateKey {
    let pem = fs::read(vectors().join(format!("keys/{name}.pem"))).expect("a key");
    PrivateKey::from_pem(&pem, None).expect("a private key")
}

fn config_of(state: &Value) -> TrainConfig {
    TrainConfig::parse(state["config"].to_string().as_bytes()).expect("a train config")
}

/// The ciphertext of a file: its salt occurs once in the payload layer.
fn sealed<'a>(payload: &'a [u8], file: &Value) -> &'a [u8] {
    let (salt, size) = (bytes(file, "salt"), file["size"].as_u64().expect("a size"));
    let start = payload.windows(salt.len()).position(|window| window == salt).expect("the salt is in the layer");
    let length = usize::try_from(Cipher::Stream.ciphertext_len(size)).expect("a small file");
    &payload[start..start + length]
}

#[test]
fn documents_hashes_and_signatures() {
    for state in states() {
        let config = config_of(&state);
        let statement = text(&state, "statement");
        assert_eq!(canonical(&parse(statement.as_bytes()).unwrap()).unwrap(), statement.as_bytes());
        assert_eq!(hex::encode(&digest_of("statement", statement)), text(&state, "hash"));
        assert_eq!(hex::encode(config.hash()), text(&state, "hash"));
        assert_eq!(config.wire().name(), "3");
        let form = config.form();
        let checks = [form.collect_creator(&config), form.collect_build(&config), form.collect_route(&config)].concat();
        assert_eq!(overall(&checks), Verdict::Sound, "{checks:?}");
        let records = state["records"].as_array().unwrap();
        let signed = config.route_state().unwrap().signed().len();
        assert_eq!(records.len(), 1 + signed);
        for record in records {
            let document = text(record, "document");
            assert_eq!(canonical(&parse(document.as_bytes()).unwrap()).unwrap(), document.as_bytes());
            assert_eq!(hex::encode(&digest_of(text(record, "kind"), document)), text(record, "digest"));
        }
        for (record, stop) in records[1..].iter().zip(config.route().stops()) {
            assert_eq!(text(record, "digest"), hex::encode(&stop.signature.as_ref().unwrap().digest));
        }
    }
}

/// The digest of what is signed: the text that says what it is, a zero byte, the document.
fn digest_of(kind: &str, document: &str) -> [u8; 64] {
    Sha512::of(&[b"pht-oci/3 ", kind.as_bytes(), b"\0", document.as_bytes()].concat())
}

#[test]
fn keys_and_commitments() {
    let creator = private_key("creator");
    for state in states() {
        let config = config_of(&state);
        let stage_key = unwrap_creator_key(&config, &creator).unwrap();
        assert_eq!(hex::encode(stage_key.as_bytes()), text(&state, "stage_key"));
        let commitment = hkdf_sha256(stage_key.as_bytes(), config.session_id(), &[b"pht-oci/3 commit"]).unwrap();
        assert_eq!(hex::encode(&*commitment), text(&state, "key_commitment"));
        if let Some(next) = config.route_state().unwrap().next() {
            let theirs = unwrap_stage_key(&config, next, &private_key(&format!("station_{}", next.index + 1))).unwrap();
            assert_eq!(theirs.as_bytes(), stage_key.as_bytes());
        }
    }
}

#[test]
fn files_and_their_chunks() {
    for state in states() {
        let payload = text(&state, "payload").replace(':', "/");
        let payload = fs::read(vectors().join("layout/blobs").join(payload)).expect("the payload layer is plain");
        assert_eq!(format!("sha256:{}", hex::encode(&Sha256::of(&payload))), text(&state, "payload"));
        let stage_key = Cipher::Stream.key_from_bytes(bytes(&state, "stage_key").into()).unwrap();
        let files = state["files"].as_array().unwrap();
        for file in files {
            check_file(file, &payload, &stage_key);
        }
        let sizes: Vec<u64> = files.iter().filter_map(|file| file["size"].as_u64()).collect();
        assert!(SIZES.iter().all(|size| sizes.contains(size)), "{sizes:?}");
    }
}

fn check_file(file: &Value, payload: &[u8], stage_key: &StageKey) {
    let (path, info) = (text(file, "path"), bytes(file, "info"));
    assert_eq!(info, [b"pht-oci/3 file\0", path.as_bytes()].concat());
    let key = hkdf_sha256(stage_key.as_bytes(), &bytes(file, "salt"), &[&info]).unwrap();
    assert_eq!(hex::encode(&*key), text(file, "key"), "{path}");
    let sealed = sealed(payload, file);
    let mut plain = Vec::new();
    Cipher::Stream.decryptor(stage_key, path.as_bytes(), sealed).unwrap().read_to_end(&mut plain).unwrap();
    assert_eq!(hex::encode(&Sha512::of(&plain)), text(file, "sha512"), "{path}");
    assert_eq!(Cipher::Stream.plaintext_len(stage_key, sealed.len() as u64, &[]).unwrap(), plain.len() as u64);
    let (chunks, size) = (file["chunks"].as_array().unwrap(), plain.len() as u64);
    assert_eq!(chunks.len() as u64, size.div_ceil(CHUNK).max(1), "{path}");
    let mut end = 16;
    for (counter, chunk) in chunks.iter().enumerate() {
        let (length, last) = (chunk["size"].as_u64().unwrap(), counter + 1 == chunks.len());
        assert_eq!(length, CHUNK.min(size - counter as u64 * CHUNK), "{path}");
        assert_eq!(text(chunk, "nonce"), format!("{counter:022x}{:02x}", u8::from(last)));
        end += usize::try_from(length).unwrap() + 16;
        assert_eq!(hex::encode(&sealed[end - 16..end]), text(chunk, "tag"), "{path}");
    }
    assert_eq!(end, sealed.len(), "{path}");
}

/// The program itself takes the train on from every state.
#[test]
fn the_program_goes_on_from_every_state() {
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let dir = |name: String| scratch.path().join(name).to_str().expect("a path in UTF-8").to_owned();
    let layout = vectors().join("layout");
    let layout = utf8(&layout);
    let key = |name: &str| vectors().join(format!("keys/{name}.pem")).to_str().expect("a path in UTF-8").to_owned();
    for state in 0..4 {
        let (source, to) = (format!("oci:{layout}:{state}"), format!("oci:{}:open", dir(format!("to-{state}"))));
        if state < 3 {
            pht_oci(&["pre-run", &source, &to, "--private-key", &key(&format!("station_{}", state + 1))], &[]).ok();
        }
        if state > 0 {
            let out = dir(format!("results-{state}"));
            pht_oci(&["results", &source, "--private-key", &key("creator"), "--out", &out], &[]).ok();
            let sum = fs::read_to_string(Path::new(&out).join("sum.txt")).expect("a result");
            assert_eq!(sum, format!("sum after stop {state}\n"));
        }
    }
}
