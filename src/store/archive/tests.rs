//! Reading archives, and refusing those that could be read in two ways.

use std::io::Write;
use std::path::PathBuf;

use super::{Archive, ArchiveFormat};
use crate::error::{Kind, Result};
use crate::json::{Value, json};
use crate::store::{Source, digest_of, read_document};
use crate::tar::{EntryKind, Meta, Writer};

/// An archive of these members: contents, or a link.
fn archive(members: &[(&str, EntryKind, Vec<u8>)]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("archive.tar");
    let mut writer = Writer::new(std::fs::File::create(&path).unwrap());
    for (name, kind, contents) in members {
        writer.header(name.as_bytes(), kind, &Meta::new(0o644, 0), contents.len() as u64).unwrap();
        writer.write_all(contents).unwrap();
    }
    writer.finish().unwrap();
    (dir, path)
}

fn open(members: &[(&str, EntryKind, Vec<u8>)], format: Option<ArchiveFormat>) -> Result<Archive> {
    let (dir, path) = archive(members);
    Archive::open(&path, format, dir.path())
}

fn blob_name(bytes: &[u8]) -> String {
    format!("blobs/{}", digest_of(bytes).to_string().replace(':', "/"))
}

fn config(layer: &[u8]) -> Vec<u8> {
    json!({ "os": "linux", "rootfs": { "type": "layers", "diff_ids": [digest_of(layer).to_string()] } })
        .to_string()
        .into()
}

/// The blobs of an image, with its entries of an index and of Docker's list.
fn image(text: &str, name: &str) -> (Vec<(String, Vec<u8>)>, Value, Value) {
    let layer = text.repeat(100).into_bytes();
    let config = config(&layer);
    let descriptor =
        |bytes: &[u8]| json!({ "mediaType": "x", "digest": digest_of(bytes).to_string(), "size": bytes.len() });
    let manifest = json!({ "schemaVersion": 2, "config": descriptor(&config), "layers": [descriptor(&layer)] });
    let manifest = manifest.to_string().into_bytes();
    let mut entry = descriptor(&manifest);
    entry["annotations"] = json!({ "io.containerd.image.name": format!("docker.io/library/{name}") });
    let listed = json!({ "Config": blob_name(&config), "RepoTags": [name], "Layers": [blob_name(&layer)] });
    let blobs = [manifest, config, layer].map(|bytes| (blob_name(&bytes), bytes));
    (blobs.to_vec(), entry, listed)
}

#[test]
fn a_layer_may_begin_with_a_skippable_frame() {
    let layer = b"the contents of a layer".repeat(50);
    let skippable = [&0x184D_2A50_u32.to_le_bytes()[..], &3_u32.to_le_bytes(), b"toc"].concat();
    let packed =
        [skippable, ruzstd::encoding::compress_to_vec(&layer[..], ruzstd::encoding::CompressionLevel::Fastest)]
            .concat();
    let list = json!([{ "Config": "config.json", "RepoTags": ["a:b"], "Layers": ["l/layer.tar"] }]).to_string();
    let members = [
        ("l/layer.tar", EntryKind::File, packed.clone()),
        ("config.json", EntryKind::File, config(&layer)),
        ("manifest.json", EntryKind::File, list.into_bytes()),
    ];
    let archive = open(&members, Some(ArchiveFormat::Docker)).unwrap();
    let manifest = read_document(&archive, &archive.list().unwrap()[0].descriptor).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["layers"][0]["mediaType"], "application/vnd.oci.image.layer.v1.tar+zstd");
    assert_eq!(manifest["layers"][0]["digest"], digest_of(&packed).to_string());
}

#[test]
fn two_lists_name_the_same_images() {
    let (good, evil) = (image("good", "train:latest"), image("evil", "train:latest"));
    let other = image("other", "other:latest");
    let index = |entries: &[&Value]| Some(json!({ "schemaVersion": 2, "manifests": entries }));
    let swapped = |mut entry: Value, name: &str| {
        entry["annotations"]["io.containerd.image.name"] = format!("docker.io/library/{name}").into();
        entry
    };
    let with_bare_tag = |mut entry: Value| {
        entry["annotations"] = json!({ "org.opencontainers.image.ref.name": "latest" });
        entry
    };
    let cases = [
        ("one image", json!([good.2]), index(&[&good.1]), true),
        ("no index", json!([good.2]), None, true),
        ("an index of nothing", json!([good.2]), index(&[]), true),
        ("null", json!([good.2]), Some(json!({ "schemaVersion": 2, "manifests": null })), true),
        ("no document", json!([good.2]), Some(Value::Null), true),
        ("two images", json!([good.2, other.2]), index(&[&other.1, &good.1]), true),
        ("a bare tag", json!([good.2]), index(&[&with_bare_tag(good.1.clone())]), true),
        ("another", json!([good.2]), index(&[&evil.1]), false),
        ("one more in the index", json!([good.2]), index(&[&good.1, &other.1]), false),
        ("one more in Docker's list", json!([good.2, other.2]), index(&[&good.1]), false),
        ("an empty list of Docker's", json!([]), index(&[&good.1]), false),
        (
            "names exchanged",
            json!([good.2, other.2]),
            index(&[&swapped(good.1.clone(), "other:latest"), &swapped(other.1.clone(), "train:latest")]),
            false,
        ),
        ("no list in the index", json!([good.2]), Some(json!({ "manifests": "x" })), false),
    ];
    for (what, docker, oci, right) in cases {
        let blobs = [&good.0[..], &evil.0, &other.0].concat();
        let mut members: Vec<_> =
            blobs.iter().map(|(name, bytes)| (name.as_str(), EntryKind::File, bytes.clone())).collect();
        members.push(("oci-layout", EntryKind::File, br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()));
        members.push(("manifest.json", EntryKind::File, docker.to_string().into_bytes()));
        members.extend(oci.map(|index| ("index.json", EntryKind::File, index.to_string().into_bytes())));
        let found = open(&members, Some(ArchiveFormat::Docker)).map(drop).map_err(|error| error.kind());
        assert_eq!(found, if right { Ok(()) } else { Err(Kind::Malformed) }, "{what}");
    }
}

#[test]
fn members_that_could_be_others_are_refused() {
    let link = |target: &str| EntryKind::Symlink(target.as_bytes().into());
    let cases: [(&str, Vec<(&str, EntryKind)>); 11] = [
        ("occurs twice", vec![("a", EntryKind::File), ("a", EntryKind::File)]),
        ("occurs twice", vec![("a", EntryKind::File), ("./a", EntryKind::File)]),
        ("occurs twice", vec![("a", EntryKind::File), ("a", link("b"))]),
        ("occurs twice", vec![("a", EntryKind::Directory), ("a", link("b"))]),
        ("lies below `d`", vec![("d", link(".")), ("d/index.json", EntryKind::File)]),
        ("lies below `d`", vec![("d/index.json", EntryKind::File), ("d", link("."))]),
        ("is not in its plain form", vec![("a//b", EntryKind::File)]),
        ("is not in its plain form", vec![("/a", EntryKind::File)]),
        ("lies outside of the archive", vec![("a", link("../b"))]),
        ("lies outside of the archive", vec![("a", link("/etc/passwd"))]),
        ("in place of a list of images", vec![("index.json", link("other"))]),
    ];
    for (what, members) in cases {
        let members: Vec<_> = members.into_iter().map(|(name, kind)| (name, kind, Vec::new())).collect();
        let error = open(&members, Some(ArchiveFormat::Oci)).map(drop).expect_err(what);
        assert_eq!(error.kind(), Kind::Malformed, "{what}");
        assert!(error.to_string().contains(what), "{what}: {error}");
    }
}
