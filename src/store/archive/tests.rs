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

/// The object with one more member.
fn with(object: &Value, member: &str, value: &Value) -> Value {
    let mut object = object.clone();
    object[member] = value.clone();
    object
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
        ("members of another case", json!([with(&good.2, "config", &evil.2["Config"])]), None, false),
        ("layers of another case", json!([with(&good.2, "LAYERS", &evil.2["Layers"])]), index(&[&good.1]), false),
        ("tags of another case", json!([with(&good.2, "repotags", &json!(["other:1"]))]), None, false),
        ("tags that are none", json!([with(&good.2, "RepoTags", &json!("train:latest"))]), None, false),
        ("a tag that is a number", json!([with(&good.2, "RepoTags", &json!([1]))]), None, false),
        ("no tags", json!([with(&good.2, "RepoTags", &Value::Null)]), None, true),
        ("an index of another case", json!([good.2]), Some(json!({ "manifests": [good.1], "Manifests": [] })), false),
        ("a digest of another case", json!([good.2]), index(&[&with(&good.1, "Digest", &evil.1["digest"])]), false),
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
    let cases: [(&str, Vec<(&str, EntryKind)>); 12] = [
        ("occurs twice", vec![("a", EntryKind::File), ("a", EntryKind::File)]),
        ("occurs twice", vec![("a", EntryKind::File), ("./a", EntryKind::File)]),
        ("occurs twice", vec![("a", EntryKind::File), ("a", link("b"))]),
        ("occurs twice", vec![("a", EntryKind::Directory), ("a", link("b"))]),
        ("occurs twice", vec![("a", link("b")), ("a", link("c"))]),
        ("lies below `d`", vec![("d", link(".")), ("d/index.json", EntryKind::File)]),
        ("lies below `d`", vec![("d/index.json", EntryKind::File), ("d", link("."))]),
        ("is not in its plain form", vec![("a//b", EntryKind::File)]),
        ("is not in its plain form", vec![("/a", EntryKind::File)]),
        ("lies outside of the archive", vec![("a", link("../b"))]),
        ("lies outside of the archive", vec![("a", link("/etc/passwd"))]),
        ("in place of a list of images", vec![("index.json", link("other"))]),
    ];
    for (what, members) in cases {
        let place = |(at, (name, kind))| {
            let contents = if kind == EntryKind::File { format!("{at}").into_bytes() } else { Vec::new() };
            (name, kind, contents)
        };
        let members: Vec<_> = members.into_iter().enumerate().map(place).collect();
        let error = open(&members, Some(ArchiveFormat::Oci)).map(drop).expect_err(what);
        assert_eq!(error.kind(), Kind::Malformed, "{what}");
        assert!(error.to_string().contains(what), "{what}: {error}");
        assert!(error.advice().is_some(), "{what}: what is a person to do?");
    }
}

#[test]
fn a_member_twice_with_the_same_bytes_is_one() {
    let index = json!({ "schemaVersion": 2, "manifests": [] }).to_string().into_bytes();
    let big = b"0123456789abcdef".repeat(20_000);
    let link = EntryKind::Symlink(b"big"[..].into());
    let mut members = vec![
        ("oci-layout", EntryKind::File, br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
        ("index.json", EntryKind::File, index.clone()),
        ("big", EntryKind::File, big.clone()),
        ("link", link.clone(), Vec::new()),
        ("./index.json", EntryKind::File, index),
        ("big", EntryKind::File, big.clone()),
        ("link", link, Vec::new()),
    ];
    open(&members, Some(ArchiveFormat::Oci)).unwrap();
    for at in [0, 100_000, big.len() - 1] {
        members[5].2.clone_from(&big);
        members[5].2[at] ^= 1;
        assert_eq!(open(&members, Some(ArchiveFormat::Oci)).err().map(|error| error.kind()), Some(Kind::Malformed));
    }
    members[5].2 = big[..big.len() - 1].to_vec();
    assert!(open(&members, Some(ArchiveFormat::Oci)).is_err(), "a shorter one is another");
}

/// `@N` is the Nth image of Docker's list, as skopeo counts, whatever the number of its names.
#[test]
fn images_have_places() {
    let (one, two) = (image("one", "one:latest"), image("two", "two:latest"));
    let blobs = [&one.0[..], &two.0].concat();
    let mut members: Vec<_> =
        blobs.iter().map(|(name, bytes)| (name.as_str(), EntryKind::File, bytes.clone())).collect();
    let mut first = one.2.clone();
    first["RepoTags"] = json!(["a/b:1", "a/b:2", "a/b:3"]);
    let mut second = two.2.clone();
    second["RepoTags"] = Value::Null;
    let mut third = one.2;
    third["Layers"] = Value::Null;
    let list = json!([first, second]).to_string().into_bytes();
    members.push(("manifest.json", EntryKind::File, list));
    let archive = open(&members, Some(ArchiveFormat::Docker)).unwrap();
    let digest = |place| archive.nth(place).unwrap().map(|found| found.descriptor.digest().clone());
    let listed = archive.list().unwrap();
    assert_eq!(listed.iter().map(|entry| entry.tag.is_some()).collect::<Vec<_>>(), [true, true, true, false]);
    assert_eq!(digest(0).as_ref(), Some(listed[2].descriptor.digest()));
    assert_eq!(digest(1).as_ref(), Some(listed[3].descriptor.digest()));
    assert_eq!(digest(2), None);
    // Without layers there can be no diff IDs.
    members.last_mut().unwrap().2 = json!([third]).to_string().into_bytes();
    assert!(open(&members, Some(ArchiveFormat::Docker)).is_err());
    members.last_mut().unwrap().2 = b"null".to_vec();
    assert_eq!(open(&members, Some(ArchiveFormat::Docker)).unwrap().list().unwrap().len(), 0);
}

/// A copy that was cut anywhere is malformed, and the hint is one that can be followed.
#[test]
fn cut_archives_are_malformed_and_there_is_something_to_do() {
    use flate2::{Compression, write::GzEncoder};
    let (blobs, entry, _) = image("contents", "train:latest");
    let index = json!({ "schemaVersion": 2, "manifests": [entry] }).to_string().into_bytes();
    let mut members: Vec<_> =
        blobs.iter().map(|(name, bytes)| (name.as_str(), EntryKind::File, bytes.clone())).collect();
    members.push(("oci-layout", EntryKind::File, br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()));
    members.push(("index.json", EntryKind::File, index));
    let (dir, path) = archive(&members);
    let plain = std::fs::read(&path).unwrap();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&plain).unwrap();
    let gzip = encoder.finish().unwrap();
    let zstd = ruzstd::encoding::compress_to_vec(&plain[..], ruzstd::encoding::CompressionLevel::Fastest);
    let mut flipped = gzip.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0xff;
    let mut cases = vec![flipped, [&gzip[..], &[0; 4096]].concat(), [&zstd[..], &[0; 512]].concat()];
    for whole in [&plain, &gzip, &zstd] {
        // The end marker of a plain archive may be missing: umoci leaves it out.
        let end = whole.len() - if whole == &plain { 1024 + 512 } else { 1 };
        let cuts = [0, 1, 100, 512, 600, 1024, 1500, end / 3, end / 2, end];
        cases.extend(cuts.iter().filter(|cut| **cut <= end).map(|&cut| whole[..cut].to_vec()));
    }
    for case in cases {
        std::fs::write(&path, &case).unwrap();
        let opened = Archive::open(&path, Some(ArchiveFormat::Oci), dir.path());
        let error = match opened.and_then(|archive| {
            let listed = archive.list()?;
            listed.iter().try_for_each(|entry| read_document(&archive, &entry.descriptor).map(drop))
        }) {
            Err(error) => error,
            Ok(()) => panic!("{} bytes are read", case.len()),
        };
        assert_eq!(error.kind(), Kind::Malformed, "{} bytes: {error}", case.len());
        assert!(error.advice().is_some(), "{} bytes: {error}", case.len());
    }
}

#[test]
fn archives_of_old_versions_of_docker_are_called_so() {
    let members = [
        ("repositories", EntryKind::File, b"{}".to_vec()),
        ("0123/json", EntryKind::File, b"{}".to_vec()),
        ("0123/layer.tar", EntryKind::File, vec![0; 1024]),
    ];
    for format in [None, Some(ArchiveFormat::Docker), Some(ArchiveFormat::Oci)] {
        let error = open(&members, format).err().unwrap();
        assert!(error.kind() == Kind::Malformed && error.to_string().contains("older than 1.10"), "{error}");
        assert!(error.advice().is_some());
    }
}

#[test]
fn other_compressions_are_called_by_their_names() {
    let magics: [(&str, &[u8]); 6] = [
        ("xz", b"\xfd7zXZ\0\0\x04"),
        ("bzip2", b"BZh91AY&SY"),
        ("lz4", b"\x04\x22\x4d\x18"),
        ("lzip", b"LZIP\x01"),
        ("compress", b"\x1f\x9d\x90"),
        ("zip", b"PK\x03\x04"),
    ];
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("archive.tar");
    for (name, magic) in magics {
        for length in [100, 511, 512, 5000] {
            let noise: Vec<u8> = magic.iter().copied().chain((0..length).map(|at| (at * 7 + 3) as u8)).collect();
            std::fs::write(&path, &noise).unwrap();
            let error = Archive::open(&path, None, dir.path()).err().unwrap();
            assert_eq!(error.kind(), Kind::Malformed);
            assert!(error.to_string().contains(&format!("compressed by {name},")), "{error}");
            assert!(error.advice().and_then(|advice| advice.as_text()).is_some_and(|hint| hint.contains("unpack")));
        }
    }
}

/// A frame that asks for a window of 128 MiB, as `zstd --long` makes it.
#[test]
fn windows_that_take_much_memory_are_named() {
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0, (27 - 10) << 3, 3 << 3 | 1, 0, 0, b'r', b'a', b'w'];
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("archive.tar");
    std::fs::write(&path, frame).unwrap();
    let error = Archive::open(&path, None, dir.path()).err().unwrap();
    assert_eq!(error.kind(), Kind::Malformed);
    assert!(error.to_string().contains("window is larger than 32 MiB"), "{error}");
    assert!(error.advice().and_then(|advice| advice.as_text()).is_some_and(|hint| hint.contains("long and ultra")));
}
