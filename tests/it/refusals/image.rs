//! Layouts that are none, images that are broken, images that are no trains.

use std::fs;

use serde_json::{Value, json};

use super::case::{MALFORMED, RefusalFixture, Start, TAG, USAGE, VERIFICATION};
use support::tree::{differences, snapshot};
use support::vectors::Vectors;
use support::{Layout, Wire, pht_oci};

/// The digest of the manifest (`None`), the config, or a layer counted from the top.
fn digest(fixture: &RefusalFixture, layer_from_top: Option<usize>) -> String {
    match layer_from_top {
        Some(from_top) => fixture.layout.layers(TAG).iter().rev().nth(from_top).expect("a layer").clone(),
        None => fixture.layout.image(TAG)["descriptor"]["digest"].as_str().expect("a digest").to_owned(),
    }
}

fn config_digest(fixture: &RefusalFixture) -> String {
    fixture.layout.image(TAG)["manifest"]["config"]["digest"].as_str().expect("a digest").to_owned()
}

fn spoil(fixture: &RefusalFixture, digest: &str, how: fn(Vec<u8>) -> Option<Vec<u8>>) {
    let blob = fixture.layout.blob(digest);
    match how(fs::read(&blob).expect("a blob")) {
        Some(data) => fs::write(&blob, data).expect("a blob that can be written"),
        None => fs::remove_file(&blob).expect("a blob that can be removed"),
    }
}

fn index(fixture: &RefusalFixture, change: impl FnOnce(&mut Value)) {
    let path = fixture.layout.dir.join("index.json");
    let mut index = serde_json::from_slice(&fs::read(&path).expect("an index")).expect("JSON");
    change(&mut index);
    fs::write(path, index.to_string()).expect("an index that can be written");
}

/// Writes another manifest and points the index at it, with the right digest and size.
fn manifest(fixture: &RefusalFixture, change: impl FnOnce(&mut Value)) {
    let mut manifest = fixture.layout.image(TAG)["manifest"].clone();
    change(&mut manifest);
    let data = manifest.to_string().into_bytes();
    let digest = format!("sha256:{}", support::tree::sha256(&data));
    fs::write(fixture.layout.blob(&digest), &data).expect("a new blob");
    index(fixture, |index| {
        index["manifests"][0]["digest"] = Value::from(digest);
        index["manifests"][0]["size"] = Value::from(data.len());
    });
}

type Tamper = fn(&RefusalFixture);

fn truncate(mut data: Vec<u8>) -> Option<Vec<u8>> {
    data.truncate(data.len() - 3);
    Some(data)
}

fn corrupt(mut data: Vec<u8>) -> Option<Vec<u8>> {
    let middle = data.len() / 2;
    data[middle] ^= 0x20;
    Some(data)
}

fn extend(mut data: Vec<u8>) -> Option<Vec<u8>> {
    data.push(b'\n');
    Some(data)
}

const BLOBS: [(&str, Tamper); 12] = [
    ("a truncated layer", |g| spoil(g, &digest(g, Some(0)), truncate)),
    ("a corrupted layer", |g| spoil(g, &digest(g, Some(0)), corrupt)),
    ("a layer with a byte more", |g| spoil(g, &digest(g, Some(0)), extend)),
    ("an absent layer", |g| spoil(g, &digest(g, Some(0)), |_| None)),
    ("an absent layer below", |g| spoil(g, &digest(g, Some(1)), |_| None)),
    ("a truncated manifest", |g| spoil(g, &digest(g, None), truncate)),
    ("a corrupted manifest", |g| spoil(g, &digest(g, None), corrupt)),
    ("an absent manifest", |g| spoil(g, &digest(g, None), |_| None)),
    ("a truncated image config", |g| spoil(g, &config_digest(g), truncate)),
    ("a corrupted image config", |g| spoil(g, &config_digest(g), corrupt)),
    ("an absent image config", |g| spoil(g, &config_digest(g), |_| None)),
    ("a manifest with a byte more", |g| spoil(g, &digest(g, None), extend)),
];

const DOCUMENTS: [(&str, Tamper); 10] = [
    ("a manifest with a wrong size in the index", |g| {
        index(g, |i| i["manifests"][0]["size"] = json!(i["manifests"][0]["size"].as_u64().unwrap_or(0) + 1));
    }),
    ("a manifest with a negative size in the index", |g| index(g, |i| i["manifests"][0]["size"] = json!(-1))),
    ("a manifest that the index calls an index", |g| {
        index(g, |i| i["manifests"][0]["mediaType"] = json!("application/vnd.oci.image.index.v1+json"));
    }),
    ("a manifest that the index calls a text", |g| {
        index(g, |i| i["manifests"][0]["mediaType"] = json!("text/plain"));
    }),
    ("a manifest that calls itself an index", |g| {
        manifest(g, |m| m["mediaType"] = json!("application/vnd.oci.image.index.v1+json"));
    }),
    ("a layer of an unknown media type", |g| {
        manifest(g, |m| {
            m["layers"].as_array_mut().expect("layers").last_mut().expect("one")["mediaType"] = json!("a/b")
        });
    }),
    ("a layer with a wrong size", |g| {
        manifest(g, |m| m["layers"].as_array_mut().expect("layers").last_mut().expect("one")["size"] = json!(7));
    }),
    ("a manifest with a layer too few", |g| {
        manifest(g, |m| {
            m["layers"].as_array_mut().expect("layers").pop();
        });
    }),
    ("a digest that leads out of the layout", |g| {
        index(g, |i| i["manifests"][0]["digest"] = json!("sha256:../../oci-layout"));
    }),
    ("an index that is not JSON", |g| {
        fs::write(g.layout.dir.join("index.json"), "{").expect("an index that can be written");
    }),
];

fn check(cases: &[(&str, Tamper)]) {
    let mut failures = Vec::new();
    for (start, stage) in [(Start::Sealed, "pre-run"), (Start::Ran, "post-run")] {
        for (name, tamper) in cases {
            let fixture = RefusalFixture::new(start, Wire::V2_0);
            tamper(&fixture);
            // Wrong bytes under a right name are somebody's doing or a broken disk, no wrong form.
            let status = if name.starts_with("a corrupted") { VERIFICATION } else { MALFORMED };
            if let Err(message) = fixture.refuse_stage(stage, "station_2", status) {
                failures.push(format!("{stage}, {name}: {message}"));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), 2 * cases.len(), failures.join("\n"));
}

#[test]
fn blobs() {
    check(&BLOBS);
}

#[test]
fn documents() {
    check(&DOCUMENTS);
}

/// Every command that reads a train.
fn lines<'a>(source: &'a str, key: &'a str) -> [Vec<&'a str>; 3] {
    let stage = |stage| vec![stage, source, "--private-key", key];
    [vec!["inspect", source], stage("pre-run"), stage("post-run")]
}

#[test]
fn not_a_layout() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| dir.path().join(name).to_str().expect("a path in UTF-8").to_owned();
    fs::create_dir(path("empty")).expect("a new directory");
    fs::create_dir(path("other")).expect("a new directory");
    fs::write(path("other/readme.txt"), "hello").expect("a new file");
    fs::write(path("text"), "hello").expect("a new file");
    let before = snapshot(dir.path());
    let sources = [path("empty"), path("other"), path("text"), format!("oci:{}:tag", path("empty"))];
    let vectors = Vectors::ours(Wire::V2_0);
    let key = vectors.key("station_1");
    for source in &sources {
        for line in lines(source, &key) {
            pht_oci(&line, &[]).refused(MALFORMED);
        }
    }
    assert_eq!(differences(&before, &snapshot(dir.path()), true), Vec::<String>::new());
}

#[test]
fn an_image_that_is_no_train() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let layout = Layout::new(dir.path());
    layout.make_base("base", false);
    let before = snapshot(dir.path());
    let vectors = Vectors::ours(Wire::V2_0);
    let (source, key) = (layout.at("base"), vectors.key("station_1"));
    for line in lines(&source, &key) {
        pht_oci(&line, &[]).refused(MALFORMED);
    }
    assert_eq!(differences(&before, &snapshot(dir.path()), true), Vec::<String>::new());
}

#[test]
fn two_images_and_no_tag() {
    let fixture = RefusalFixture::new(Start::Sealed, Wire::V2_0);
    let key = fixture.vectors.key("station_2");
    let bare = format!("oci:{}", fixture.layout.path());
    // One image needs no tag.
    pht_oci(&["inspect", &bare], &[]).ok();
    fixture.layout.append(TAG, "another", &[]);
    for source in [bare.as_str(), fixture.layout.path()] {
        let line = ["pre-run", source, "--station", "station_2", "--private-key", &key];
        let printed = fixture.refuse(&line, &[], USAGE).unwrap_or_else(|message| panic!("{message}"));
        assert!(printed.contains(TAG) && printed.contains("another"), "names no tags: {printed}");
    }
}
