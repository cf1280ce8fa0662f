//! Every byte of a small train of wire 3, one at a time: `verify --strict` with the creator pinned refuses each change, or
//! it is listed with the sentence of the specification that makes it harmless, and then pre-run opens the same train.
//!
//! By default one bit is flipped in every byte of the documents and of tar headers, and in samples of what is long and all
//! alike: ciphertext, padding, the digits of keys and signatures. `PHT_MUTANTS=all` flips one bit of every byte,
//! `PHT_MUTANTS=bits` each of the eight; outside of CI with `PHT_ROWS=1`, since a part of these is tried there.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use pht_oci::error::Kind;
use pht_oci::stage::read_trust;
use pht_oci::{Context, PrivateKey, Reference, StageRequest, Station, TrustStore, VerificationPolicy, pre_run, verify};
use serde_json::{Value, json};
use support::tree::sha256;
use support::wire3::Wire3Fixture;
use support::{Layout, rows};

/// The sentences of the specification that make a change harmless.
const NOT_SIGNED: &str = "`history`, `created`, `author`, annotations and how layers are compressed are not signed.";
const WRITTEN_ANEW: &str = "The fields that say what kind of document this is (`schemaVersion`, the `mediaType` of manifest \
                            and image config, `rootfs.type`) are written anew, and nothing depends on what they were.";
const LABELS: &str = "labels that begin with `de.personalhealthtrain.` are left aside";
const NOT_READ: &str = "A layer whose descriptor has the signed `digest` must have the signed `size` and is bound by them: \
                        it need not be read.";
const NULL_IS_ABSENT: &str = "A member of an object that is `null` is the same as one that is absent.";
const SKIPPED: &str =
    "What fills the last block of an entry's contents is skipped by every reader, and may be anything.";

/// A part of the train, and how much of it is tried.
struct Part {
    name: &'static str,
    bytes: Vec<u8>,
    /// Where every byte is tried; elsewhere samples are.
    whole: fn(&[u8], usize) -> bool,
}

/// Whether a byte of a layer is one of many alike: NULs or hex digits.
fn is_alike(bytes: &[u8], at: usize) -> bool {
    const MANY: usize = 64;
    let run = |is: fn(&u8) -> bool| {
        let before = bytes[..at].iter().rev().take(MANY).take_while(|byte| is(byte)).count();
        let after = bytes[at..].iter().take(MANY).take_while(|byte| is(byte)).count();
        after > 0 && before + after >= MANY
    };
    run(|byte| *byte == 0) || run(u8::is_ascii_hexdigit)
}

/// A small train after its first stop, alone in a layout.
struct ByteFixture {
    layout: Layout,
    manifest: Vec<u8>,
    config: Vec<u8>,
    index: Value,
    key: PrivateKey,
    trust: TrustStore,
    context: Context,
    opened: PathBuf,
    /// Keeps it all.
    _made: Wire3Fixture,
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::new(6));
    gzip.write_all(bytes).expect("an archive in memory");
    gzip.finish().expect("an archive in memory")
}

fn gunzip(blob: &[u8]) -> Vec<u8> {
    let mut tar = Vec::new();
    GzDecoder::new(blob).read_to_end(&mut tar).expect("gzip");
    tar
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", sha256(bytes))
}

impl ByteFixture {
    /// `compressed`: with payload and control layer as gzip.
    fn new(compressed: bool) -> Self {
        let made = Wire3Fixture::prepare();
        // As small as a train can be that has everything.
        for name in ["lib/two chunks.bin", "lib.py"] {
            fs::remove_file(made.path(&format!("files/{name}"))).expect("a file");
        }
        fs::create_dir(made.path("results-0")).expect("a directory");
        fs::write(made.path("results-0/a.txt"), "a result\n").expect("a file");
        made.build("built", "small");
        made.stop("built", "train", 0);
        let trust = made.path("trust");
        fs::create_dir_all(format!("{trust}/creators")).expect("a directory");
        fs::copy(made.path("creator.pub.pem"), format!("{trust}/creators/alice.pem")).expect("a pin");
        let layout = made.layout.only("train", made.dir.path().join("small"));
        if compressed {
            layout.rewrite("train", "train", |manifest, _| {
                let layers = manifest["layers"].as_array_mut().expect("layers");
                let base = layers.len() - 2;
                for layer in &mut layers[base..] {
                    let plain = fs::read(layout.blob(layer["digest"].as_str().expect("a digest"))).expect("a layer");
                    (layer["digest"], layer["size"]) = layout.write_blob(&gzip(&plain));
                    layer["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar+gzip");
                }
            });
        }
        let index: Value =
            serde_json::from_slice(&fs::read(layout.dir.join("index.json")).expect("an index")).expect("JSON");
        let read = |name: &Value| fs::read(layout.blob(name.as_str().expect("a digest"))).expect("a blob");
        let manifest = read(&index["manifests"][0]["digest"]);
        let config = read(&json_of(&manifest)["config"]["digest"]);
        let key = PrivateKey::from_pem(&fs::read(made.key("station_2")).expect("a key"), None).expect("a private key");
        let spool = made.dir.path().join("spool");
        fs::create_dir(&spool).expect("a directory");
        let opened = made.dir.path().join("opened");
        let (trust, context) = (read_trust(Path::new(&trust)).expect("pins"), Context::new(1_700_000_000, spool));
        ByteFixture { layout, manifest, config, index, key, trust, context, opened, _made: made }
    }

    fn reference(&self) -> Reference {
        Reference::layout(&self.layout.dir, None)
    }

    /// The layers, plain or as they are stored.
    fn layer(&self, at: usize) -> Vec<u8> {
        let manifest = json_of(&self.manifest);
        fs::read(self.layout.blob(manifest["layers"][at]["digest"].as_str().expect("a digest"))).expect("a layer")
    }

    /// Puts blobs, does something with the train, and takes them away again.
    fn with<T>(&self, blobs: &[&[u8]], index: &[u8], then: impl FnOnce() -> T) -> T {
        let paths: Vec<PathBuf> = blobs.iter().map(|blob| self.layout.blob(&digest(blob))).collect();
        let there: Vec<bool> = paths.iter().map(|path| path.exists()).collect();
        for (path, blob) in paths.iter().zip(blobs) {
            fs::write(path, blob).expect("a blob");
        }
        fs::write(self.layout.dir.join("index.json"), index).expect("an index");
        let done = then();
        for (path, _) in paths.iter().zip(there).filter(|(_, there)| !there) {
            fs::remove_file(path).expect("the blob");
        }
        done
    }

    /// An index of this manifest.
    fn index_of(&self, manifest: &[u8]) -> Vec<u8> {
        let mut index = self.index.clone();
        index["manifests"][0]["digest"] = json!(digest(manifest));
        index["manifests"][0]["size"] = json!(manifest.len());
        index.to_string().into_bytes()
    }

    /// Why the train is refused, or nothing if it is sound.
    fn refusal(&self) -> Result<Option<Kind>, String> {
        let mut policy = VerificationPolicy::default();
        (policy.trust, policy.strict) = (Some(&self.trust), true);
        match verify(&self.reference(), policy, &self.context).and_then(|found| found.enforce(policy)) {
            Ok(()) => Ok(None),
            Err(error) if matches!(error.kind(), Kind::Verification | Kind::Malformed) => Ok(Some(error.kind())),
            Err(error) => Err(format!("{:?}: {error}", error.kind())),
        }
    }

    /// What pre-run opens: the files that the run finds, and how it runs.
    fn opened(&self) -> String {
        let _ = fs::remove_dir_all(&self.opened);
        let (from, to) = (self.reference(), Reference::layout(&self.opened, Some("latest".to_owned())));
        let mut request = StageRequest::new(&from, Station::of(&self.key));
        request.destination = Some(&to);
        if let Err(error) = pre_run(&request, &self.context) {
            return error.to_string();
        }
        let opened = Layout::new(&self.opened);
        let (image, mut found) = (opened.image("latest"), Vec::new());
        for (path, entry) in opened.merged("latest") {
            if !path.starts_with("opt/train_config.json") {
                let data = if entry.kind.is_file() { sha256(&entry.data) } else { String::new() };
                found.push(format!("{path} {:o} {data}", entry.mode));
            }
        }
        let mut config = image["config"].clone();
        if let Some(labels) = config["config"]["Labels"].as_object_mut() {
            labels.retain(|name, _| !name.starts_with("de.personalhealthtrain."));
        }
        let runs = json!([config["architecture"], config["os"], config["variant"], config["config"]]);
        let kinds =
            json!([image["manifest"]["mediaType"], image["manifest"]["schemaVersion"], config["rootfs"]["type"]]);
        format!("{runs} {kinds} {found:?}")
    }
}

fn json_of(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

/// The bits to flip in each byte, and every how many of the bytes that are only sampled.
fn effort() -> (Vec<u8>, usize) {
    match std::env::var("PHT_MUTANTS").as_deref() {
        Ok("bits") => ((0..8).map(|bit| 1 << bit).collect(), 1),
        Ok("all") => (vec![1], 1),
        _ => (vec![1], 61),
    }
}

/// Positions and masks for a part.
fn mutants(part: &Part) -> Vec<(usize, u8)> {
    let (masks, stride) = effort();
    let chosen = |at: &usize| at.is_multiple_of(stride) || (part.whole)(&part.bytes, *at);
    rows::chosen((0..part.bytes.len()).filter(chosen))
        .flat_map(|at| masks.iter().map(move |mask| (at, *mask)))
        .collect()
}

/// The member of a JSON document in whose text a byte lies, as far as names tell: all names that are open there.
fn names_at(document: &[u8], at: usize) -> String {
    // Without a parser: the names since the beginning that are not closed again.
    let (mut open, mut last, mut text, mut quoted, mut escaped) =
        (Vec::new(), String::new(), String::new(), false, false);
    for &byte in &document[..=at.min(document.len() - 1)] {
        match (quoted, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (true, b'"') => {
                quoted = false;
                last = std::mem::take(&mut text);
            }
            (true, byte) => text.push(char::from(byte)),
            (false, b'"') => quoted = true,
            (false, b'{' | b'[') => open.push(std::mem::take(&mut last)),
            (false, b'}' | b']') => drop(open.pop()),
            _ => {}
        }
    }
    let inside = if quoted { text } else { String::new() };
    format!("{}.{last}.{inside}", open.join("."))
}

/// The sentence that makes a change of a document harmless, by where the byte is.
fn why_free(document: &[u8], at: usize) -> Option<&'static str> {
    let end = (at + 1..document.len()).find(|&end| document[end] == b'"').unwrap_or(document.len() - 1);
    let names = names_at(document, at) + &names_at(document, end);
    let has = |name: &str| names.contains(name);
    match () {
        () if has("de.personalhealthtrain.") => Some(LABELS),
        () if has("history") || has("created") || has("author") || has("annotations") => Some(NOT_SIGNED),
        () if has("schemaVersion") || has("mediaType") || has("rootfs") => Some(WRITTEN_ANEW),
        () => None,
    }
}

/// The sentence that makes a change of the control layer harmless, by where the byte is.
fn why_harmless(tar: &[u8], at: usize) -> Option<&'static str> {
    let mut archive = tar::Archive::new(tar);
    let is_skipped = archive.entries().expect("an archive").map(|entry| entry.expect("an entry")).any(|entry| {
        let (begin, end) = (entry.raw_file_position(), entry.raw_file_position() + entry.size());
        (end..begin + entry.size().next_multiple_of(512)).contains(&(at as u64))
    });
    if is_skipped { Some(SKIPPED) } else { is_name_of_null(tar, at).then_some(NULL_IS_ABSENT) }
}

/// Whether a byte is in the name of a member that is `null`.
fn is_name_of_null(document: &[u8], at: usize) -> bool {
    let rest = document[at..].iter().position(|byte| *byte == b'"').map(|end| &document[at + end + 1..]);
    let value = rest.map(|rest| rest.trim_ascii_start()).and_then(|rest| rest.strip_prefix(b":"));
    value.is_some_and(|value| value.trim_ascii_start().starts_with(b"null"))
}

/// What happened to the mutants.
#[derive(Default)]
struct Outcomes {
    counts: BTreeMap<String, usize>,
    accepted: BTreeMap<&'static str, usize>,
    holes: Vec<String>,
}

impl Outcomes {
    fn add(&mut self, part: &str, fixture: &ByteFixture, honest: &str, why: Option<&'static str>, what: &str) {
        let (outcome, hole) = match fixture.refusal() {
            Ok(Some(Kind::Verification)) => ("3", None),
            Ok(Some(_)) => ("5", None),
            Ok(None) => match why {
                Some(why) => {
                    *self.accepted.entry(why).or_default() += 1;
                    let same = why == NOT_READ || fixture.opened() == honest;
                    ("accepted", (!same).then(|| format!("accepted, and not the same train: {}", fixture.opened())))
                }
                None => ("accepted", Some("accepted".to_owned())),
            },
            Err(error) => ("other", Some(error)),
        };
        *self.counts.entry(format!("{part}: {outcome}")).or_default() += 1;
        self.holes.extend(hole.map(|hole| format!("{part}: {what}: {hole}")));
    }

    #[track_caller]
    fn check(self, title: &str) {
        println!("{title}: {} changes", self.counts.values().sum::<usize>());
        self.counts.iter().for_each(|(what, count)| println!("  {what}: {count}"));
        self.accepted.iter().for_each(|(why, count)| println!("  accepted, {count}: {why}"));
        let shown = &self.holes[..self.holes.len().min(40)];
        assert!(self.holes.is_empty(), "{} holes:\n{}", self.holes.len(), shown.join("\n"));
    }
}

#[test]
fn the_sentences_are_in_the_specification() {
    let page = include_str!("../../src/manual/wire-3.md").split_whitespace().collect::<Vec<_>>().join(" ");
    for sentence in [NOT_SIGNED, WRITTEN_ANEW, LABELS, NOT_READ, NULL_IS_ABSENT, SKIPPED] {
        assert!(page.contains(&sentence.split_whitespace().collect::<Vec<_>>().join(" ")), "{sentence}");
    }
}

/// No digest is repaired: the bytes are refused wherever they are read.
#[test]
fn a_byte_of_any_blob() {
    let fixture = ByteFixture::new(false);
    let honest = fixture.opened();
    assert_eq!(fixture.refusal(), Ok(None), "the train is sound as it is");
    let manifest = json_of(&fixture.manifest);
    let base = digest(&fixture.layer(0));
    let mut outcomes = Outcomes::default();
    for blob in fs::read_dir(fixture.layout.dir.join("blobs/sha256")).expect("blobs") {
        let path = blob.expect("a blob").path();
        let bytes = fs::read(&path).expect("a blob");
        let name = if digest(&bytes) == base { "base layer" } else { "another blob" };
        let reachable = manifest.to_string().contains(&sha256(&bytes)) || bytes == fixture.manifest;
        if !reachable {
            continue;
        }
        let part = Part { name, bytes, whole: |_, at| at < 512 };
        for (at, mask) in mutants(&part) {
            let mut changed = part.bytes.clone();
            changed[at] ^= mask;
            fs::write(&path, changed).expect("a blob");
            let why = (part.name == "base layer").then_some(NOT_READ);
            outcomes.add(part.name, &fixture, &honest, why, &format!("byte {at} of {}", path.display()));
        }
        fs::write(&path, &part.bytes).expect("a blob");
    }
    let index = fs::read(fixture.layout.dir.join("index.json")).expect("an index");
    let part = Part { name: "index", bytes: index, whole: |_, _| true };
    for (at, mask) in mutants(&part) {
        let mut changed = part.bytes.clone();
        changed[at] ^= mask;
        let why = why_free(&part.bytes, at);
        let what = format!("byte {at} ^ {mask:#x}");
        fixture.with(&[], &changed, || outcomes.add("index", &fixture, &honest, why, &what));
    }
    outcomes.check("digests as they were");
}

/// Image config and manifest, all that names them repaired.
#[test]
fn a_byte_of_the_documents_with_all_digests_repaired() {
    let fixture = ByteFixture::new(false);
    let honest = fixture.opened();
    let mut outcomes = Outcomes::default();
    let part = Part { name: "manifest", bytes: fixture.manifest.clone(), whole: |_, _| true };
    for (at, mask) in mutants(&part) {
        let mut changed = part.bytes.clone();
        changed[at] ^= mask;
        let (why, what) = (why_free(&part.bytes, at), format!("byte {at} ^ {mask:#x}"));
        let index = fixture.index_of(&changed);
        fixture.with(&[&changed], &index, || outcomes.add(part.name, &fixture, &honest, why, &what));
    }
    let part = Part { name: "image config", bytes: fixture.config.clone(), whole: |_, _| true };
    for (at, mask) in mutants(&part) {
        let mut changed = part.bytes.clone();
        changed[at] ^= mask;
        let (why, what) = (why_free(&part.bytes, at), format!("byte {at} ^ {mask:#x}"));
        let mut manifest = json_of(&fixture.manifest);
        manifest["config"]["digest"] = json!(digest(&changed));
        let manifest = manifest.to_string().into_bytes();
        let index = fixture.index_of(&manifest);
        fixture.with(&[&changed, &manifest], &index, || outcomes.add(part.name, &fixture, &honest, why, &what));
    }
    outcomes.check("documents");
}

/// The layer at a position, with every digest that names it right again; `plain` says whether its diff ID is, too.
fn layers(compressed: bool) {
    let fixture = ByteFixture::new(compressed);
    let honest = fixture.opened();
    assert_eq!(fixture.refusal(), Ok(None), "the train is sound as it is");
    let count = json_of(&fixture.manifest)["layers"].as_array().expect("layers").len();
    let mut outcomes = Outcomes::default();
    for (at, name) in [(0, "base"), (count - 2, "payload"), (count - 1, "control")] {
        let blob = fixture.layer(at);
        let is_gzip = blob.starts_with(&[0x1f, 0x8b]);
        if is_gzip != compressed && name != "base" {
            panic!("{name} is packed otherwise");
        }
        // Headers, and the documents of the control layer, byte by byte.
        let whole: fn(&[u8], usize) -> bool = match (name, is_gzip) {
            ("control", true) => |_, _| true,
            ("control", false) => |bytes, at| !is_alike(bytes, at),
            (_, true) => |_, at| at < 512,
            (_, false) => |bytes, at| at < 6 * 512 && !is_alike(bytes, at),
        };
        let bytes = if name == "base" && !compressed { gunzip(&blob) } else { blob };
        let part = Part { name, bytes, whole };
        for (place, mask) in mutants(&part) {
            let mut changed = part.bytes.clone();
            changed[place] ^= mask;
            let (mut manifest, mut config) = (json_of(&fixture.manifest), json_of(&fixture.config));
            let layer = &mut manifest["layers"][at];
            (layer["digest"], layer["size"]) = (json!(digest(&changed)), json!(changed.len()));
            if !compressed {
                config["rootfs"]["diff_ids"][at] = json!(digest(&changed));
                layer["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar");
            }
            let config = config.to_string().into_bytes();
            manifest["config"]["digest"] = json!(digest(&config));
            manifest["config"]["size"] = json!(config.len());
            let manifest = manifest.to_string().into_bytes();
            let index = fixture.index_of(&manifest);
            let why = match (compressed, name) {
                (true, _) => Some(NOT_SIGNED),
                (false, "control") => why_harmless(&part.bytes, place),
                (false, _) => None,
            };
            let what = format!("byte {place} ^ {mask:#x}");
            fixture.with(&[&changed, &config, &manifest], &index, || {
                outcomes.add(part.name, &fixture, &honest, why, &what);
            });
        }
    }
    outcomes.check(if compressed { "layers as gzip" } else { "plain layers" });
}

#[test]
fn a_byte_of_the_plain_layers_with_all_digests_repaired() {
    layers(false);
}

#[test]
fn a_byte_of_the_compressed_layers_with_all_digests_repaired() {
    layers(true);
}
