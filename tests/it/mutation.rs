//! Whole trains with one thing changed: every field of the config flipped, cut and removed, random bytes of every blob
//! flipped and cut off, with the digests as they were and with all of them repaired. Pre-run refuses each, or what was
//! changed is under no signature in that wire version and listed with its rule. `scripts/mutate.sh` does more of it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;

use pht_oci::crypto::hex;
use serde_json::{Value, json};
use support::tree::sha256;
use support::vectors::Signed;
use support::{Layout, Peer, Wire, available, pht_oci, rows, utf8};

/// The fields of the config that no signature covers before wire 3, and why a change of them does no harm at a station.
const UNSIGNED: [(&str, &str); 7] = [
    ("@context", "names the vocabulary; nothing here reads it"),
    ("id", "a copy of the id for the central service"),
    ("source", "where the master image comes from; its layers are in the image"),
    ("creator.paillier_public_key", "used by the train's own code"),
    ("creator.encrypted_key", "a wrong one is noticed by the creator, who cannot open it"),
    ("proposal_id", "metadata"),
    ("@id", "metadata"),
];

/// What they leave unsigned of the route besides (reports call it `route-binding`).
const UNBOUND: [(&str, &str); 6] = [
    ("station", "who is on the route is under no signature"),
    ("eco_system", "metadata"),
    ("encrypted_key", "another's: a wrong one is noticed by its owner, who cannot open it"),
    ("rsa_public_key", "the key of a station that has not signed yet"),
    ("type", "metadata"),
    ("index", "the order of those that have not signed yet"),
];

/// What wire 3 leaves unsigned in index, manifest and image config, and the sentence of its specification on it.
const FREE: [(&str, &str); 7] = [
    ("created", NOT_SIGNED),
    ("author", NOT_SIGNED),
    ("history", NOT_SIGNED),
    ("annotations", NOT_SIGNED),
    ("schemaVersion", WRITTEN_ANEW),
    ("mediaType", WRITTEN_ANEW),
    ("type", WRITTEN_ANEW),
];
const NOT_SIGNED: &str = "`history`, `created`, `author`, annotations and how layers are compressed are not signed.";
const WRITTEN_ANEW: &str = "The fields that say what kind of document this is (`schemaVersion`, the `mediaType` of manifest \
                            and image config, `rootfs.type`) are written anew, and nothing depends on what they were.";
const LABELS: &str = "labels that begin with `de.personalhealthtrain.` are left aside";

/// Why a train is accepted whose bytes differ although no digest tells.
const SAME: &str = "the run finds the same under pht_train and pht_results";

/// Why a base layer that is damaged is accepted.
const NOT_READ: &str = "a base layer is not read; who unpacks it verifies it";

struct MutationFixture {
    dir: tempfile::TempDir,
    wire: Wire,
    layout: Layout,
    key: String,
    /// The image: manifest, image config.
    manifest: Value,
    config: Value,
    /// The position on the route of the station that acts.
    stop: usize,
}

impl MutationFixture {
    fn new(wire: Wire) -> Self {
        let Signed { layout, tag, stop, station: key, dir, .. } = Signed::new(wire);
        let image = layout.image(tag);
        let layout = layout.only(tag, dir.path().join("fixture"));
        let (manifest, config) = (image["manifest"].clone(), image["config"].clone());
        MutationFixture { dir, wire, layout, key, manifest, config, stop }
    }

    fn train_config(&self) -> Value {
        let tags = self.layout.tags();
        self.layout.train_config(tags[0].as_str().expect("a tag"))
    }

    fn blob(&self, data: &[u8]) -> Value {
        let digest = format!("sha256:{}", sha256(data));
        fs::write(self.layout.blob(&digest), data).expect("a new blob");
        json!({ "digest": digest, "size": data.len() })
    }

    /// The train with another config, digests and all: in wire 3 in a new control layer, else in one more layer.
    fn put(&self, train_config: &Value) {
        let (mut manifest, mut config) = (self.manifest.clone(), self.config.clone());
        let layers = manifest["layers"].as_array_mut().expect("layers");
        let diff_ids = config["rootfs"]["diff_ids"].as_array_mut().expect("diff IDs");
        if self.wire == Wire::V3 {
            layers.pop();
            diff_ids.pop();
        }
        let tar = self.control_layer(train_config);
        let mut layer = self.blob(&tar);
        diff_ids.push(layer["digest"].clone());
        layer["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar");
        layers.push(layer);
        self.publish(manifest, config.to_string().as_bytes());
    }

    /// The layer with the config; in wire 3, whose form is fixed, with the creator's key as this config has it.
    fn control_layer(&self, train_config: &Value) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        let mut append = |name: &str, entry_type: tar::EntryType, mode, data: &[u8]| {
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(entry_type);
            header.set_mode(mode);
            header.set_uid(0);
            header.set_gid(0);
            header.set_size(data.len() as u64);
            tar.append_data(&mut header, name, data).expect("an entry");
        };
        let config = train_config.to_string();
        if self.wire == Wire::V3 {
            append("opt", tar::EntryType::Directory, 0o755, b"");
        }
        append("opt/train_config.json", tar::EntryType::Regular, 0o644, config.as_bytes());
        if self.wire == Wire::V3 {
            let key = train_config["creator"]["encrypted_key"].as_str().and_then(|text| hex::decode(text).ok());
            append("opt/user_sym_key.key", tar::EntryType::Regular, 0o644, &key.unwrap_or_default());
        }
        tar.into_inner().expect("an archive")
    }

    /// The train with a byte of a layer's archive changed, and every digest right again.
    fn put_layer(&self, position: usize, tar: &[u8]) {
        let (mut manifest, mut config) = (self.manifest.clone(), self.config.clone());
        let mut layer = self.blob(tar);
        config["rootfs"]["diff_ids"][position] = layer["digest"].clone();
        layer["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar");
        manifest["layers"][position] = layer;
        self.publish(manifest, config.to_string().as_bytes());
    }

    /// The archive that a layer is.
    fn archive(&self, position: usize) -> Vec<u8> {
        let digest = self.manifest["layers"][position]["digest"].as_str().expect("a digest");
        let blob = fs::read(self.layout.blob(digest)).expect("a layer");
        if !blob.starts_with(&[0x1f, 0x8b]) {
            return blob;
        }
        let mut tar = Vec::new();
        flate2::read::GzDecoder::new(&blob[..]).read_to_end(&mut tar).expect("gzip");
        tar
    }

    fn publish(&self, mut manifest: Value, config: &[u8]) {
        let described = self.blob(config);
        manifest["config"]["digest"] = described["digest"].clone();
        manifest["config"]["size"] = described["size"].clone();
        self.point(manifest.to_string().as_bytes());
    }

    fn point(&self, manifest: &[u8]) {
        self.put_index(&self.index(manifest));
    }

    fn index(&self, manifest: &[u8]) -> Value {
        let mut entry = self.blob(manifest);
        entry["mediaType"] = self.manifest["mediaType"].clone();
        json!({ "schemaVersion": 2, "manifests": [entry] })
    }

    fn put_index(&self, index: &Value) {
        fs::write(self.layout.dir.join("index.json"), index.to_string()).expect("an index");
    }

    /// The exit status of pre-run into another layout, which appears only where it is 0.
    fn pre_run(&self) -> i32 {
        self.pre_run_and(|_| ()).0
    }

    /// The same, with a look at what was published.
    fn pre_run_and<T>(&self, look: impl FnOnce(&Layout) -> T) -> (i32, Option<T>) {
        let to = self.dir.path().join("to");
        let utf8 = |path: &Path| utf8(path).to_owned();
        let line =
            ["pre-run".to_owned(), utf8(&self.layout.dir), utf8(&to), "--private-key".to_owned(), self.key.clone()];
        let outcome = pht_oci(&line, &[]);
        let status = outcome.status.expect("an exit status");
        assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
        let published = fs::read_to_string(to.join("index.json")).is_ok_and(|index| index.contains("sha256:"));
        assert_eq!(published, status == 0, "ended with {status}: {}", outcome.stderr);
        let looked = (status == 0).then(|| look(&Layout::new(to.clone())));
        let _ = fs::remove_dir_all(to);
        (status, looked)
    }

    /// What the run will find: the files of the train and the results, and in wire 3 how the image runs. The earlier wires sign contents alone (reports call
    /// the rest `file-names`), so that names and modes are left out there.
    fn found_by_the_run(&self, opened: &Layout) -> Vec<String> {
        let tag = opened.tags()[0].as_str().expect("a tag").to_owned();
        let mut found = Vec::new();
        for (path, entry) in opened.merged(&tag) {
            let ours = path.starts_with("opt/pht_train/") || path.starts_with("opt/pht_results/");
            if ours && entry.kind.is_file() {
                let name = if self.wire == Wire::V3 { format!("{path} {:o} ", entry.mode) } else { String::new() };
                found.push(format!("{name}{}", sha256(&entry.data)));
            }
        }
        if self.wire == Wire::V3 {
            let image = opened.image(&tag);
            let (manifest, mut config) = (&image["manifest"], image["config"].clone());
            if let Some(labels) = config["config"]["Labels"].as_object_mut() {
                labels.retain(|name, _| !name.starts_with("de.personalhealthtrain."));
            }
            found.push(json!([config["architecture"], config["os"], config["variant"], config["config"]]).to_string());
            let kinds = [&manifest["schemaVersion"], &manifest["mediaType"], &manifest["config"]["mediaType"]];
            found.push(json!([kinds, config["rootfs"]["type"]]).to_string());
        }
        found.sort();
        found
    }

    /// Whether a blob is a layer of the master image under a train of wire 3. A stage does not read such layers: it hands
    /// them on under their digests, against which whoever unpacks them holds them.
    fn is_base_layer(&self, blob: &Path) -> bool {
        let layers = self.manifest["layers"].as_array().expect("layers");
        let base = if self.wire == Wire::V3 { layers.len() - 2 } else { 0 };
        let digests = layers[..base].iter().map(|layer| layer["digest"].as_str().expect("a digest"));
        digests.map(|digest| self.layout.blob(digest)).any(|layer| layer == blob)
    }

    /// The rule by which a change of this field of the train config is one that the wire version cannot notice. Wire 3
    /// has none: what the creator does not sign is in the last record, or is compared with what is signed.
    fn why_unsigned(&self, path: &str) -> Option<&'static str> {
        if self.wire == Wire::V3 {
            return None;
        }
        let is_at =
            |field: &str| path == field || path.strip_prefix(field).is_some_and(|rest| rest.starts_with(['.', '[']));
        let own = format!("route[{}].", self.stop);
        let unsigned = UNSIGNED.iter().find(|(field, _)| is_at(field));
        let last = path.rsplit('.').next().unwrap_or_default();
        let may_be_unbound = path.starts_with("route[") && !(path.starts_with(&own) && last == "encrypted_key");
        let unbound = UNBOUND.iter().find(|(field, _)| may_be_unbound && *field == last);
        unsigned.or(unbound).map(|(_, why)| *why)
    }
}

/// What was accepted, by the rule that makes it harmless.
#[derive(Default)]
struct Accepted(BTreeMap<&'static str, Vec<String>>);

impl Accepted {
    fn add(&mut self, why: &'static str, what: String) {
        self.0.entry(why).or_default().push(what);
    }

    fn print(&self) {
        for (why, which) in &self.0 {
            println!("  accepted, {} ({why}): {}", which.len(), which.join(", "));
        }
    }
}

/// Every change of one field of `value`, with the field's path and the kind of the change.
fn mutants(value: &Value, path: &str) -> Vec<(String, &'static str, Value)> {
    let join = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    let mut all: Vec<(String, &'static str, Value)> = Vec::new();
    match value {
        Value::Object(object) => {
            for (key, inner) in object {
                if !inner.is_null() {
                    // `null` is as good as absent: without it the config is the same.
                    let mut less = object.clone();
                    less.remove(key);
                    all.push((join(key), "removed", less.into()));
                }
                for (at, how, changed) in mutants(inner, &join(key)) {
                    let mut whole = object.clone();
                    whole.insert(key.clone(), changed);
                    all.push((at, how, whole.into()));
                }
            }
        }
        Value::Array(items) => {
            for (position, inner) in items.iter().enumerate() {
                let place = format!("{path}[{position}]");
                let mut less = items.clone();
                less.remove(position);
                all.push((place.clone(), "removed", less.into()));
                for (at, how, changed) in mutants(inner, &place) {
                    let mut whole = items.clone();
                    whole[position] = changed;
                    all.push((at, how, whole.into()));
                }
            }
        }
        Value::String(text) if !text.is_empty() => {
            let characters: Vec<char> = text.chars().collect();
            let mut flipped = characters.clone();
            let middle = characters.len() / 2;
            flipped[middle] = if characters[middle] == '0' { '1' } else { '0' };
            all.push((path.to_owned(), "flipped", flipped.into_iter().collect::<String>().into()));
            all.push((path.to_owned(), "cut", characters[..characters.len() - 1].iter().collect::<String>().into()));
        }
        Value::Number(number) => all.push((path.to_owned(), "flipped", json!(number.as_i64().unwrap_or(0) + 1))),
        _ => all.push((path.to_owned(), "flipped", json!("0"))),
    }
    all
}

#[test]
fn every_field_of_the_config() {
    if !available("mutation::every_field_of_the_config", &[Peer::Python]) {
        return;
    }
    let mut holes = Vec::new();
    for wire in Wire::OURS {
        let fixture = MutationFixture::new(wire);
        let train_config = fixture.train_config();
        fixture.put(&train_config);
        assert_eq!(fixture.pre_run(), 0, "{wire:?}: the same config in another layer goes through");
        let (mut counts, mut accepted) = (BTreeMap::new(), Accepted::default());
        for (path, how, mutant) in rows::chosen(mutants(&train_config, "")) {
            fixture.put(&mutant);
            let status = fixture.pre_run();
            *counts.entry(status).or_insert(0) += 1;
            match (status, fixture.why_unsigned(&path)) {
                (0, Some(why)) => accepted.add(why, format!("{path} {how}")),
                (0, None) => holes.push(format!("{wire:?}: {path} {how} is accepted")),
                (3..=5, _) => {}
                (other, _) => holes.push(format!("{wire:?}: {path} {how} ends with {other}")),
            }
        }
        println!("wire {}: fields, by exit status: {counts:?}", wire.option());
        accepted.print();
    }
    assert!(holes.is_empty(), "{}", holes.join("\n"));
}

/// Index, manifest and image config of a train of wire 3. What is accepted is listed by the sentence of the
/// specification that leaves it unsigned, and the run finds and does the same.
#[test]
fn every_member_of_the_documents_of_wire_3() {
    if !available("mutation::every_member_of_the_documents_of_wire_3", &[Peer::Python]) {
        return;
    }
    let page = include_str!("../../src/manual/wire-3.md").split_whitespace().collect::<Vec<_>>().join(" ");
    for sentence in [NOT_SIGNED, WRITTEN_ANEW, LABELS] {
        assert!(page.contains(sentence), "not in the specification: {sentence}");
    }
    let mut fixture = MutationFixture::new(Wire::V3);
    let annotations = json!({ "org.example.note": "x" });
    fixture.manifest["annotations"] = annotations.clone();
    fixture.manifest["layers"][0]["annotations"] = annotations;
    fixture.config["author"] = json!("x");
    fixture.publish(fixture.manifest.clone(), fixture.config.to_string().as_bytes());
    let honest = fixture.pre_run_and(|opened| fixture.found_by_the_run(opened)).1.expect("untouched it goes through");
    let published = fs::read(fixture.layout.dir.join("index.json")).expect("an index");
    let index: Value = serde_json::from_slice(&published).expect("JSON");
    let manifest = fixture.layout.blob(index["manifests"][0]["digest"].as_str().expect("a digest"));
    let manifest: Value = serde_json::from_slice(&fs::read(manifest).expect("a manifest")).expect("JSON");
    let mut holes = Vec::new();
    for (name, document) in [("index", &index), ("manifest", &manifest), ("image config", &fixture.config)] {
        let (mut counts, mut accepted) = (BTreeMap::new(), Accepted::default());
        for (path, how, mutant) in rows::chosen(mutants(document, "")) {
            match name {
                "index" => fixture.put_index(&mutant),
                "manifest" => fixture.point(mutant.to_string().as_bytes()),
                _ => fixture.publish(manifest.clone(), mutant.to_string().as_bytes()),
            }
            let (status, opened) = fixture.pre_run_and(|opened| fixture.found_by_the_run(opened));
            *counts.entry(status).or_insert(0) += 1;
            let parts = path.split(['.', '[']);
            let free = FREE.iter().find(|(member, _)| parts.clone().any(|part| part == *member)).map(|(_, why)| *why);
            let label = path.starts_with("config.Labels.de.personalhealthtrain.").then_some(LABELS);
            match (status, free.or(label)) {
                (0, Some(why)) if opened.as_ref() == Some(&honest) => accepted.add(why, format!("{path} {how}")),
                (3..=5, _) => {}
                (other, _) => holes.push(format!("{name}: {path} {how} ends with {other}")),
            }
        }
        println!("wire 3: members of the {name}, by exit status: {counts:?}");
        accepted.print();
    }
    assert!(holes.is_empty(), "{}", holes.join("\n"));
}

/// Numbers below a bound, the same every time.
fn random() -> impl FnMut(usize) -> usize {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).expect("a small number")
    }
}

/// How many mutants there are of each blob.
fn mutants_of_each() -> usize {
    let number = |text: String| match text.as_str() {
        "all" | "bits" => 2000, // of every byte, in `every_byte`
        text => text.parse().expect("PHT_MUTANTS is a number, `all` or `bits`"),
    };
    std::env::var("PHT_MUTANTS").map_or(8_usize.div_ceil(rows::stride()), number)
}

/// Nothing but the protocol can refuse these: all digests fit. One that is accepted must open to what was signed.
#[test]
fn random_bytes_with_all_digests_repaired() {
    if !available("mutation::random_bytes_with_all_digests_repaired", &[Peer::Python]) {
        return;
    }
    // A tenth of those with wrong digests in a long run: they take ten times as long.
    let (each, mut random, mut holes) =
        ((mutants_of_each() / 10).max(8_usize.div_ceil(rows::stride())), random(), Vec::new());
    for wire in Wire::OURS {
        let fixture = MutationFixture::new(wire);
        let honest =
            fixture.pre_run_and(|opened| fixture.found_by_the_run(opened)).1.expect("untouched it goes through");
        assert!(!honest.is_empty(), "{wire:?}: the run finds nothing: this test tests nothing");
        let layers = fixture.manifest["layers"].as_array().expect("layers").len();
        let mut counts: BTreeMap<(String, i32), u32> = BTreeMap::new();
        let mut accepted = Accepted::default();
        for position in 0..layers + 2 {
            let (blob, whole) = match position.checked_sub(layers) {
                None => (format!("layer {position}"), fixture.archive(position)),
                Some(0) => ("image config".to_owned(), fixture.config.to_string().into_bytes()),
                Some(_) => ("manifest".to_owned(), fixture.manifest.to_string().into_bytes()),
            };
            for _ in 0..each {
                let (mut bytes, place) = (whole.clone(), random(whole.len()));
                bytes[place] ^= 1 << random(8);
                match position.checked_sub(layers) {
                    None => fixture.put_layer(position, &bytes),
                    Some(0) => fixture.publish(fixture.manifest.clone(), &bytes),
                    Some(_) => fixture.point(&bytes),
                }
                let (status, opened) = fixture.pre_run_and(|opened| fixture.found_by_the_run(opened));
                *counts.entry((blob.clone(), status)).or_insert(0) += 1;
                let harmless = opened.is_some_and(|opened| opened == honest);
                if harmless {
                    accepted.add(SAME, format!("byte {place} of {blob}"));
                } else if !(3..=5).contains(&status) {
                    holes.push(format!("{wire:?}: byte {place} of {blob} ends with {status}"));
                }
            }
        }
        println!("wire {}: bytes with all digests repaired, by blob and exit status: {counts:?}", wire.option());
        accepted.print();
    }
    assert!(holes.is_empty(), "{}", holes.join("\n"));
}

#[test]
fn random_bytes_of_every_blob() {
    if !available("mutation::random_bytes_of_every_blob", &[Peer::Python]) {
        return;
    }
    let (each, mut random) = (mutants_of_each(), random());
    for wire in Wire::OURS {
        let fixture = MutationFixture::new(wire);
        assert_eq!(fixture.pre_run(), 0, "{wire:?}: untouched it goes through");
        let (mut counts, mut accepted) = (BTreeMap::new(), Accepted::default());
        let blobs = fs::read_dir(fixture.layout.dir.join("blobs/sha256")).expect("blobs");
        for blob in blobs.map(|entry| entry.expect("a blob").path()) {
            let whole = fs::read(&blob).expect("a blob");
            for round in 0..each {
                let mut bytes = whole.clone();
                let place = random(bytes.len());
                match round % 4 {
                    0 => bytes.truncate(place),
                    _ => bytes[place] ^= 1 << random(8),
                }
                fs::write(&blob, bytes).expect("a blob that can be written");
                let status = fixture.pre_run();
                let harmless = status == 0 && fixture.is_base_layer(&blob);
                let how = if round % 4 == 0 { "cut at byte" } else { "byte" };
                let place = format!("{how} {place} of {}", blob.file_name().expect("a digest").display());
                assert!(harmless || (3..=5).contains(&status), "{wire:?}: {place} ends with {status}");
                if harmless {
                    accepted.add(NOT_READ, place);
                }
                *counts.entry(status).or_insert(0) += 1;
            }
            fs::write(&blob, whole).expect("a blob that can be written");
        }
        println!("wire {}: bytes of blobs, by exit status: {counts:?}", wire.option());
        accepted.print();
    }
}
