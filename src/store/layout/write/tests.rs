use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{TryRecvError, channel};
use std::time::Duration;

use oci_spec::image::{Descriptor, MediaType};

use crate::error::Kind;
use crate::json::{Value, json};
use crate::store::destination::Unreached;
use crate::store::layout::write::*;
use crate::store::source::REF_NAME;
use crate::store::verify::{Verified, digest_of};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn put(writer: &mut LayoutWriter, media_type: &str, bytes: &[u8]) -> Descriptor {
    let mut sink = writer.create().unwrap();
    sink.write_all(bytes).unwrap();
    let written = sink.finish().unwrap();
    assert_eq!(written.digest, digest_of(bytes));
    Descriptor::new(MediaType::from(media_type), written.size, written.digest)
}

/// An image of these layers, not published.
fn put_image(writer: &mut LayoutWriter, layers: &[&str]) -> Descriptor {
    let config = json!({
        "created": "2024-01-01T00:00:00Z", "architecture": "amd64", "os": "linux",
        "rootfs": { "type": "layers", "diff_ids": layers.iter().map(|text| digest_of(text.as_bytes()).to_string()).collect::<Vec<_>>() },
    });
    let config = put(writer, "application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
    let layers: Vec<Descriptor> =
        layers.iter().map(|text| put(writer, "application/vnd.oci.image.layer.v1.tar", text.as_bytes())).collect();
    let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
    put(writer, MANIFEST, manifest.to_string().as_bytes())
}

fn set(tag: &str, descriptor: &Descriptor) -> TagChange {
    TagChange::Set { tag: tag.into(), descriptor: Box::new(descriptor.clone()), replaces: None }
}

/// Waits for the lock: a process that another test is just starting holds copies of our files for a moment.
fn open(dir: &Path) -> LayoutWriter {
    LayoutWriter::open(dir, Waiting::Wait, Audience::Anyone).unwrap()
}

fn publish(dir: &Path, tag: &str, layers: &[&str]) -> Descriptor {
    let mut writer = open(dir);
    let image = put_image(&mut writer, layers);
    writer.publish(&[set(tag, &image)], Unreached::Keep).unwrap();
    image
}

/// Every file below a directory, with its mode and contents; directories with none.
fn files(dir: &Path) -> BTreeMap<String, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut open = vec![dir.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let mode = path.metadata().unwrap().permissions().mode();
            let bytes = if path.is_dir() { Vec::new() } else { fs::read(&path).unwrap() };
            found.insert(path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned(), (mode, bytes));
            if path.is_dir() {
                open.push(path);
            }
        }
    }
    found
}

/// What the disk would hold if the process were killed now.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &to) } else { assert!(fs::copy(&path, &to).is_ok()) }
    }
}

fn has(dir: &Path, bytes: &str) -> bool {
    let digest = digest_of(bytes.as_bytes());
    dir.join("blobs/sha256").join(digest.digest()).exists()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn publishes_blobs_that_all_can_read_and_leaves_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("new");
    let mut writer = open(&at);
    let image = put_image(&mut writer, &["one"]);
    assert_eq!(
        writer.bytes_written(),
        writer.staging.as_ref().map_or(0, |staging| {
            staging.finished().unwrap().iter().map(|digest| fs::metadata(staging.path_of(digest)).unwrap().len()).sum()
        })
    );
    let staging = writer.staging.as_ref().unwrap().dir().to_owned();
    assert_eq!(staging.metadata().unwrap().mode() & 0o7777, 0o700);
    for (name, (mode, _)) in files(&staging) {
        assert_eq!(mode & 0o7777, 0o600, "{name}: may be plaintext, and is not published");
    }
    assert_eq!(names(&at), [staging.file_name().unwrap().to_str().unwrap()], "nothing may be visible yet");
    writer.publish(&[set("a", &image)], Unreached::Remove).unwrap();
    assert_eq!(names(&at), ["blobs", "index.json", "oci-layout"]);
    for (name, (mode, _)) in files(&at.join("blobs/sha256")) {
        assert_eq!(mode & 0o7777, 0o644, "{name}");
    }
    drop(writer);
    let layout = Layout::open(&at).unwrap();
    let listed = layout.list().unwrap();
    assert_eq!((listed.len(), listed[0].tag.as_deref()), (1, Some("a")));
    for (digest, size) in present(&layout).unwrap() {
        let descriptor = Descriptor::new(MediaType::ImageLayer, size, digest);
        let blob = layout.open(&descriptor).unwrap().into_reader();
        Verified::new(blob, &descriptor).unwrap().drain().unwrap();
    }
}

#[test]
fn skopeo_reads_what_is_published() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("image");
    let image = publish(&at, "tag", &["one", "two"]);
    let reference = format!("oci:{}:tag", at.display());
    let command = Command::new("skopeo").args(["inspect", "--raw", &reference]).stdin(Stdio::null()).output();
    let Ok(output) = command else {
        let line = "left out: store::layout: needs skopeo";
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{line}");
        eprintln!("{line}");
        if let Some(list) = std::env::var_os("PHT_LEFT_OUT") {
            writeln!(File::options().append(true).create(true).open(list).unwrap(), "{line}").unwrap();
        }
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(digest_of(&output.stdout), *image.digest());
}

#[test]
fn a_tag_keeps_its_place_and_its_annotations() {
    let dir = tempfile::tempdir().unwrap();
    for tag in ["first", "moved", "last"] {
        publish(dir.path(), tag, &[tag]);
    }
    let path = dir.path().join("index.json");
    let mut index: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    index["annotations"] = json!({ "of": "the index" });
    index["unknown"] = json!([1.50, { "z": 1, "a": 2 }]);
    index["manifests"][1]["annotations"]["org.example.kept"] = "yes".into();
    fs::write(&path, index.to_string()).unwrap();
    let image = publish(dir.path(), "moved", &["new"]);
    let found: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let mut expected = index;
    let annotations = json!({ REF_NAME: "moved", "org.example.kept": "yes" });
    expected["manifests"][1]["digest"] = image.digest().as_ref().into();
    expected["manifests"][1]["size"] = image.size().into();
    assert_eq!(found["manifests"][1]["annotations"], annotations);
    assert_eq!(found, expected);
    assert!(has(dir.path(), "moved"), "without a gc the old blobs stay");
}

#[test]
fn an_image_without_a_tag_is_replaced_wherever_it_stands() {
    for tag_is_first in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let (old, other) = (publish(dir.path(), "old", &["old"]), publish(dir.path(), "latest", &["other"]));
        let path = dir.path().join("index.json");
        let mut index: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        index["manifests"][0].as_object_mut().unwrap().remove("annotations");
        if tag_is_first {
            index["manifests"].as_array_mut().unwrap().reverse();
        }
        fs::write(&path, index.to_string()).unwrap();
        let mut writer = open(dir.path());
        let image = put_image(&mut writer, &["new"]);
        let replaces = Some(old.digest().clone());
        let change = TagChange::Set { tag: "latest".into(), descriptor: Box::new(image.clone()), replaces };
        writer.publish(&[change], Unreached::Remove).unwrap();
        let listed = writer.list().unwrap();
        assert_eq!(listed.len(), 1, "{listed:?}");
        assert_eq!((listed[0].tag.as_deref(), listed[0].descriptor.digest()), (Some("latest"), image.digest()));
        assert!(!writer.has(&old) && !writer.has(&other) && writer.has(&image));
    }
}

#[test]
fn a_sweep_removes_what_no_image_reaches_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    publish(dir.path(), "kept", &["shared", "kept"]);
    publish(dir.path(), "moved", &["shared", "old plaintext"]);
    publish(dir.path(), "dropped", &["shared", "dropped"]);
    // An index of several platforms, one of them not here, is reached through.
    let inner = publish(dir.path(), "inner", &["behind an index"]);
    let mut writer = open(dir.path());
    let absent = Descriptor::new(MediaType::ImageManifest, 3, digest_of(b"not here"));
    let index = json!({ "schemaVersion": 2, "manifests": [inner, absent] });
    let outer = put(&mut writer, "application/vnd.oci.image.index.v1+json", index.to_string().as_bytes());
    writer.publish(&[TagChange::Drop { tag: "inner".into() }, set("outer", &outer)], Unreached::Keep).unwrap();
    // Nor is what documents of other kinds name.
    let layer = "of an artifact";
    let blob = put(&mut writer, "text/plain", layer.as_bytes());
    let artifact = json!({ "mediaType": "application/vnd.oci.artifact.manifest.v1+json", "blobs": [blob] });
    let artifact = put(&mut writer, "application/vnd.oci.artifact.manifest.v1+json", artifact.to_string().as_bytes());
    let deep = put(&mut writer, "text/plain", b"deep inside");
    let own = json!({ "of": [{ "our": { "own": deep } }] });
    let own = put(&mut writer, "application/vnd.example.notes+json", own.to_string().as_bytes());
    writer.publish(&[set("artifact", &artifact), set("own", &own)], Unreached::Keep).unwrap();
    // Files that are not blobs are not ours.
    fs::write(dir.path().join("blobs/sha256/README"), "about").unwrap();
    let before = files(&dir.path().join("blobs/sha256"));
    let image = put_image(&mut writer, &["shared", "ciphertext"]);
    let collected =
        writer.publish(&[set("moved", &image), TagChange::Drop { tag: "dropped".into() }], Unreached::Remove).unwrap();
    let after = files(&dir.path().join("blobs/sha256"));
    let gone: Vec<_> = before.iter().filter(|(name, _)| !after.contains_key(*name)).collect();
    // Manifest, config and layer of each of two images.
    assert_eq!((gone.len(), collected.blobs), (6, 6));
    assert_eq!(collected.bytes, gone.iter().map(|(_, (_, bytes))| bytes.len() as u64).sum::<u64>());
    for (text, there) in [
        ("shared", true),
        ("kept", true),
        ("ciphertext", true),
        ("behind an index", true),
        ("of an artifact", true),
        ("deep inside", true),
        ("old plaintext", false),
        ("dropped", false),
    ] {
        assert_eq!(has(dir.path(), text), there, "{text}");
    }
    assert!(after.contains_key("README"));
}

#[test]
fn a_sweep_that_cannot_tell_what_is_needed_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let broken = publish(dir.path(), "broken", &["x"]);
    publish(dir.path(), "good", &["y"]);
    let path = dir.path().join("blobs/sha256").join(broken.digest().digest());
    fs::write(&path, "[".repeat(usize::try_from(broken.size()).unwrap())).unwrap();
    let before = files(dir.path());
    let mut writer = open(dir.path());
    let image = put_image(&mut writer, &["z"]);
    assert_eq!(writer.publish(&[set("good", &image)], Unreached::Remove).unwrap_err().kind(), Kind::Verification);
    drop(writer);
    assert_eq!(files(dir.path()), before);
    // And the layout can still be written to.
    publish(dir.path(), "good", &["z"]);
}

#[test]
fn nothing_is_left_when_nothing_is_published() {
    let dir = tempfile::tempdir().unwrap();
    let new = dir.path().join("new");
    let mut writer = open(&new);
    put_image(&mut writer, &["one"]);
    drop(writer);
    assert!(!new.exists(), "we made it");

    let empty = dir.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let mut writer = open(&empty);
    put_image(&mut writer, &["one"]);
    drop(writer);
    assert_eq!(names(&empty), [""; 0]);

    let old = dir.path().join("old");
    publish(&old, "a", &["one"]);
    let before = files(&old);
    let mut writer = open(&old);
    put_image(&mut writer, &["two"]);
    assert_ne!(files(&old), before);
    drop(writer);
    assert_eq!(files(&old), before);

    let other = dir.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("thesis.txt"), "precious").unwrap();
    let before = files(&other);
    assert_eq!(LayoutWriter::open(&other, Waiting::Fail, Audience::Anyone).unwrap_err().kind(), Kind::Usage);
    assert_eq!(files(&other), before);
}

/// The states that a killed process leaves, one after the other, and whether the new image is in them.
fn interrupted(dir: &Path, before: impl Fn(&Path)) -> Vec<(std::path::PathBuf, bool)> {
    let at = dir.join("at");
    before(&at);
    let mut writer = open(&at);
    let image = put_image(&mut writer, &["new"]);
    let mut states = Vec::new();
    let mut kill = |published| {
        let to = dir.join(format!("killed-{}", states.len()));
        copy(&at, &to);
        states.push((to, published));
    };
    kill(false);
    let mut index = writer.index().unwrap();
    index.apply(&[set("a", &image)]).unwrap();
    writer.commit_blobs().unwrap();
    kill(false);
    let garbage = writer.unreached(&index).unwrap();
    writer.staging().unwrap().journal(garbage.iter().map(|(digest, _)| digest)).unwrap();
    kill(false);
    writer.replace_index(&index).unwrap();
    kill(true);
    if let Some((first, _)) = garbage.first() {
        fs::remove_file(writer.layout.blob_path(first)).unwrap();
        kill(true);
    }
    states
}

#[test]
fn the_next_writer_cleans_up_after_one_that_was_killed() {
    let dir = tempfile::tempdir().unwrap();
    let untouched = dir.path().join("untouched");
    publish(&untouched, "a", &["old"]);
    publish(&untouched, "b", &["kept"]);
    let states = interrupted(dir.path(), |at| copy(&untouched, at));
    assert_eq!(states.len(), 5);
    let old = files(&untouched);
    for (state, published) in states {
        assert_ne!(files(&state), old);
        // Readers are not disturbed before.
        assert_eq!(Layout::open(&state).unwrap().list().unwrap().len(), 2);
        drop(open(&state));
        assert_eq!(names(&state), ["blobs", "index.json", "oci-layout"]);
        assert_eq!((has(&state, "new"), has(&state, "old"), has(&state, "kept")), (published, !published, true));
        if !published {
            assert_eq!(files(&state), old, "{}", state.display());
        }
    }
}

#[test]
fn a_layout_that_was_never_finished_can_be_made_again() {
    let dir = tempfile::tempdir().unwrap();
    for (state, published) in interrupted(dir.path(), |_| ()) {
        let before = names(&state);
        assert!(before.iter().any(|name| name.starts_with(".pht-oci-")), "{before:?}");
        drop(open(&state));
        assert_eq!(names(&state).is_empty(), !published, "{before:?}: {:?}", names(&state));
        publish(&state, "a", &["again"]);
        assert_eq!(Layout::open(&state).unwrap().list().unwrap().len(), 1);
        assert_eq!(has(&state, "new"), published);
    }
}

#[test]
fn shares_blobs_without_changing_them() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    let image = publish(&from, "a", &["base"]);
    let source = Layout::open(&from).unwrap();
    let path = source.blob_path(image.digest());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o440)).unwrap();
    let before = fs::metadata(&path).unwrap();
    let mut writer = open(&to);
    assert_eq!(writer.copy_blobs(&source, std::slice::from_ref(&image)).unwrap(), [Transfer::Reused]);
    assert_eq!(writer.copy_blobs(&source, std::slice::from_ref(&image)).unwrap(), [Transfer::Reused]);
    writer.publish(&[set("b", &image)], Unreached::Keep).unwrap();
    let (after, shared) =
        (fs::metadata(&path).unwrap(), fs::metadata(writer.layout.blob_path(image.digest())).unwrap());
    assert_eq!((after.mode(), after.ino(), after.mtime_nsec()), (before.mode(), shared.ino(), before.mtime_nsec()));
    assert_eq!(after.mode() & 0o7777, 0o440);
    assert_eq!(writer.bytes_written(), 0);
}

#[test]
fn takes_no_blob_that_is_cut_changed_or_absent() {
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("from");
    let blob = |text: &str| Descriptor::new(MediaType::ImageLayer, text.len() as u64, digest_of(text.as_bytes()));
    publish(&from, "a", &["cut here", "linked"]);
    let source = Layout::open(&from).unwrap();
    fs::write(source.blob_path(blob("cut here").digest()), "cut").unwrap();
    let (path, elsewhere) = (source.blob_path(blob("linked").digest()), dir.path().join("elsewhere"));
    fs::rename(&path, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &path).unwrap();

    let mut writer = open(&dir.path().join("to"));
    for text in ["cut here", "absent"] {
        assert_eq!(writer.copy_blobs(&source, &[blob(text)]).unwrap_err().kind(), Kind::Malformed, "{text}");
    }
    // A link would lead nowhere from there.
    assert_eq!(writer.copy_blobs(&source, &[blob("linked")]).unwrap(), [Transfer::Copied(6)]);
    // Where blobs cannot be shared they are read, and then checked.
    fs::write(&elsewhere, "Linked").unwrap();
    let mut writer = open(&dir.path().join("other"));
    assert_eq!(writer.copy_blobs(&source, &[blob("linked")]).unwrap_err().kind(), Kind::Verification);
}

#[test]
fn one_writer_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    // The first publishes nothing, and removes the directory that it has made while the second waits for it.
    for publishes in [true, false] {
        let at = dir.path().join(format!("publishes-{publishes}"));
        let mut first = open(&at);
        let image = put_image(&mut first, &["first"]);
        assert_eq!(LayoutWriter::open(&at, Waiting::Fail, Audience::Anyone).unwrap_err().kind(), Kind::Io);
        let (opened, waiting) = channel();
        let second = std::thread::spawn({
            let at = at.clone();
            move || {
                let mut second = LayoutWriter::open(&at, Waiting::Wait, Audience::Anyone).unwrap();
                opened.send(()).unwrap();
                let image = put_image(&mut second, &["second"]);
                second.publish(&[set("second", &image)], Unreached::Keep).unwrap();
            }
        });
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(waiting.try_recv(), Err(TryRecvError::Empty), "the second writer does not wait");
        if publishes {
            first.publish(&[set("first", &image)], Unreached::Keep).unwrap();
        }
        drop(first);
        second.join().unwrap();
        assert_eq!(has(&at, "first"), publishes);
        assert_eq!(Layout::open(&at).unwrap().list().unwrap().len(), 1 + usize::from(publishes));
    }
}
