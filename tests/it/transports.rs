//! Every place that images can be in, as source and as destination of every stage; skopeo writes and reads them all.

use std::path::Path;

use sha2::Digest;

use support::transports::{TRANSPORTS, path_of, place, stage};
use support::tree::snapshot;
use support::{Implementation, Peer, Train, TrainSpec, Wire, available, pht_oci, utf8};

/// What a bare path is says the archive's member names: nothing is spooled for that, and a fault is that form's.
#[test]
fn a_compressed_archive_of_docker_s_is_known_without_a_spool() {
    if !available("a_compressed_archive_of_docker_s_is_known_without_a_spool", &[Peer::Python]) {
        return;
    }
    let train = Train::build(Implementation::Ours, Wire::V3, &TrainSpec::default()).unwrap();
    let dir = train.dir.path();
    let tar = dir.join("train.tar");
    pht_oci(&["copy", &train.layout.at("0"), &format!("docker-archive:{}:t:0", tar.display())], &[]).ok();
    support::run("gzip", &["-k", utf8(&tar)]).unwrap();
    let archive = dir.join("train.tar.gz");
    let (spool, archive) = (dir.join("spool"), utf8(&archive));
    std::fs::create_dir(&spool).unwrap();
    let nowhere = [("TMPDIR", "/proc/nowhere")];
    let line = ["inspect", archive, "--tmpdir", utf8(&spool)];
    pht_oci(&line, &nowhere).ok();
    assert_eq!(spool.read_dir().unwrap().count(), 0);
    let message = pht_oci(&["inspect", archive], &nowhere).refused(1).stderr;
    assert!(message.contains("docker-archive:") && !message.contains("oci-layout"), "{message}");
}

#[test]
fn a_directory_of_others_is_no_destination_and_stays_as_it_is() {
    if !available("a_directory_of_others_is_no_destination_and_stays_as_it_is", &[Peer::Python]) {
        return;
    }
    let train = Train::build(Implementation::Ours, Wire::V3, &TrainSpec::default()).unwrap();
    let dir = train.dir.path().join("others");
    // Work directories of ours, and a file that is named as a blob is.
    for (name, file) in [(".pht-oci-run-0123456789abcdef", "results"), (".pht-oci-out", "result.csv")] {
        std::fs::create_dir_all(dir.join(name)).unwrap();
        std::fs::write(dir.join(name).join(file), "plaintext").unwrap();
    }
    std::fs::write(dir.join("a".repeat(64)), "no blob").unwrap();
    let before = snapshot(&dir);
    for transport in ["dir", "oci"] {
        let there = format!("{transport}:{}", dir.display());
        pht_oci(&["copy", &train.layout.at("0"), &there], &[]).refused(2);
        assert!(snapshot(&dir) == before, "{transport}");
    }
    // What an interrupted writer has left beside something else is no reason either.
    std::fs::create_dir(dir.join(".pht-oci-123")).unwrap();
    let before = snapshot(&dir);
    pht_oci(&["copy", &train.layout.at("0"), &format!("dir:{}", dir.display())], &[]).refused(2);
    assert!(snapshot(&dir) == before);
}

#[test]
fn stages_in_place_replace_the_image_and_nothing_else() {
    let train = Train::build(Implementation::Ours, Wire::V3, &TrainSpec::default()).unwrap();
    for (transport, several) in TRANSPORTS {
        let here = place(train.dir.path(), transport, "latest");
        pht_oci(&["copy", &train.layout.at("0"), &here], &[]).ok();
        if !several {
            let key = train.key(&train.station_id(0));
            let before = snapshot(&path_of(&here));
            pht_oci(&["pre-run", &here, "--private-key", &key], &[]).refused(2);
            assert!(snapshot(&path_of(&here)) == before);
            continue;
        }
        let other = here.replace(":latest", ":other");
        pht_oci(&["copy", &train.layout.at("0"), &other], &[]).ok();
        let digest = |place: &str| pht_oci(&["inspect", place, "--format", "json"], &[]).ok().json()["digest"].clone();
        let untouched = digest(&other);
        if transport == "oci" {
            stage(&train, &["pre-run", &here], 0);
        } else {
            // An archive is what travels: who means it names it twice.
            let key = train.key(&train.station_id(0));
            let before = digest(&here);
            let refused = pht_oci(&["pre-run", &here, "--private-key", &key], &[]).refused(2);
            assert!(refused.stderr.contains("into the archive"), "{transport}: {}", refused.stderr);
            assert_eq!(digest(&here), before, "{transport}");
            stage(&train, &["pre-run", &here, &here], 0);
        }
        if transport == "oci" {
            // Again, by mistake: what a run has added since is not dropped without a word.
            let edit = support::Edit::Put("opt/pht_results/new", b"new".to_vec());
            let tag = here.rsplit_once(':').unwrap().1;
            support::Layout::new(path_of(&here)).append(tag, tag, &[edit]);
            let key = train.key(&train.station_id(0));
            let outcome = pht_oci(&["pre-run", &here, "--private-key", &key], &[]).ok();
            let message = String::from_utf8_lossy(&outcome.stdout).into_owned() + &outcome.stderr;
            assert!(message.contains("the layers that a run added to sha256:"), "{message}");
        }
        stage(&train, &["post-run", &here], 0);
        assert_eq!(digest(&other), untouched, "{transport}");
        pht_oci(&["inspect", &format!("{here}-encrypted")], &[]).refused(2);
        let parent = train.dir.path().read_dir().unwrap();
        let left = parent.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with(".pht"));
        assert_eq!(left.count(), 0, "{transport}");
    }
}

#[test]
fn copies_keep_the_manifest() {
    let train = Train::build(Implementation::Ours, Wire::V3, &TrainSpec::default()).unwrap();
    let dir = train.dir.path();
    let digest = |place: &str| pht_oci(&["inspect", place, "--format", "json"], &[]).ok().json()["digest"].clone();
    let original = digest(&train.layout.at("0"));
    let mut current = train.layout.at("0");
    for transport in ["oci-archive", "dir", "oci"] {
        let next = place(dir, transport, "copied");
        pht_oci(&["copy", &current, &next], &[]).ok();
        assert_eq!(digest(&next), original, "{transport}");
        current = next;
    }
    // An image is not copied onto itself.
    pht_oci(&["copy", &current, &current], &[]).refused(2);
    // A pipe is read once; what is compressed is spooled.
    let archive = path_of(&place(dir, "oci-archive", "copied"));
    support::run("gzip", &["-kf", utf8(&archive)]).unwrap();
    assert_eq!(digest(&format!("oci-archive:{}.gz", archive.display())), original);
}

/// The same image, but its first layer is named by SHA-512; the digest of that.
fn with_sha512(train: &Train, to: &str) -> String {
    let layout = &train.layout;
    let mut manifest = layout.image("0")["manifest"].clone();
    let layer = std::fs::read(layout.blob(&layout.layers("0")[0])).unwrap();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let digest = format!("sha512:{}", hex(&sha2::Sha512::digest(&layer)));
    manifest["layers"][0]["digest"] = digest.as_str().into();
    let manifest = manifest.to_string();
    let own = format!("sha256:{}", support::tree::sha256(manifest.as_bytes()));
    std::fs::create_dir_all(layout.dir.join("blobs/sha512")).unwrap();
    std::fs::write(layout.blob(&digest), layer).unwrap();
    std::fs::write(layout.blob(&own), &manifest).unwrap();
    let path = layout.dir.join("index.json");
    let mut index: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    index["manifests"].as_array_mut().unwrap().push(serde_json::json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": own, "size": manifest.len(),
        "annotations": { "org.opencontainers.image.ref.name": to },
    }));
    std::fs::write(path, index.to_string()).unwrap();
    digest
}

#[test]
fn blobs_named_by_sha512_go_through_archives() {
    if !available("transports::blobs_named_by_sha512_go_through_archives", &[Peer::Python]) {
        return;
    }
    let train = Train::build(Implementation::Ours, Wire::V3, &TrainSpec::default()).unwrap();
    let digest = with_sha512(&train, "long");
    let file = train.dir.path().join("long.tar");
    let (archive, back) = (format!("oci-archive:{}:long", file.display()), train.dir.path().join("back"));
    pht_oci(&["copy", &train.layout.at("long"), &archive], &[]).ok();
    // Other readers of tar files find it by its whole name ...
    let listed = String::from_utf8(support::run("tar", &["tvf", utf8(&file)]).unwrap()).unwrap();
    let name = format!("blobs/{}", digest.replace(':', "/"));
    assert!(listed.lines().any(|line| line.ends_with(&name)), "{listed}");
    // ... and it comes back as it was, also when something is put beside it.
    pht_oci(&["copy", &train.layout.at("0"), &archive.replace(":long", ":beside")], &[]).ok();
    pht_oci(&["copy", &archive, &format!("oci:{}:long", back.display())], &[]).ok();
    let blob = |dir: &Path| std::fs::read(dir.join(&name)).unwrap();
    assert!(blob(&back) == blob(&train.layout.dir));
}

#[test]
fn a_temporary_file_that_is_not_ours_is_not_used() {
    let train = Train::build(Implementation::Ours, Wire::V3, &TrainSpec::default()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (victim, planted) = (dir.path().join("victim"), dir.path().join(".pht-oci-out.tar"));
    std::fs::write(&victim, "mine").unwrap();
    let out = format!("oci-archive:{}:latest", dir.path().join("out.tar").display());
    std::os::unix::fs::symlink(&victim, &planted).unwrap();
    pht_oci(&["copy", &train.layout.at("0"), &out], &[]).refused(1);
    std::fs::remove_file(&planted).unwrap();
    std::fs::hard_link(&victim, &planted).unwrap();
    pht_oci(&["copy", &train.layout.at("0"), &out], &[]).refused(1);
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "mine");
    assert!(!dir.path().join("out.tar").exists());
    // What a run that was killed has left is one of ours, whatever its mode.
    std::fs::remove_file(&planted).unwrap();
    std::fs::write(&planted, "left").unwrap();
    pht_oci(&["copy", &train.layout.at("0"), &out], &[]).ok();
    assert!(!planted.exists());
    // A link to an archive stays one; a pipe is no file to replace.
    let link = dir.path().join("link.tar");
    std::os::unix::fs::symlink("out.tar", &link).unwrap();
    pht_oci(&["copy", &train.layout.at("0"), &format!("oci-archive:{}:second", link.display())], &[]).ok();
    assert!(link.symlink_metadata().unwrap().is_symlink());
    pht_oci(&["inspect", &format!("{}:second", out.trim_end_matches(":latest"))], &[]).ok();
    let pipe = dir.path().join("pipe");
    support::run("mkfifo", &[utf8(&pipe)]).unwrap();
    pht_oci(&["copy", &train.layout.at("0"), &format!("oci-archive:{}:latest", pipe.display())], &[]).refused(2);
}

#[test]
fn a_damaged_layer_is_not_copied_and_garbage_is_collected() {
    let train = Train::build(Implementation::Ours, Wire::V3, &TrainSpec::default()).unwrap();
    let collected = pht_oci(&["gc", train.layout.path(), "--format", "json"], &[]).ok().json();
    assert_eq!(collected["removed"]["blobs"], 0);
    let stray = train.layout.blob(&format!("sha256:{}", "0".repeat(64)));
    std::fs::write(&stray, "stray").unwrap();
    pht_oci(&["gc", train.layout.path()], &[]).ok();
    assert!(!stray.exists());
    let blob = train.layout.blob(&train.layout.layers("0")[0]);
    let mut bytes = std::fs::read(&blob).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&blob, bytes).unwrap();
    for (transport, _) in TRANSPORTS {
        let to = place(train.dir.path(), transport, "damaged");
        pht_oci(&["copy", &train.layout.at("0"), &to], &[]).refused(3);
        assert!(!path_of(&to).exists(), "{transport}");
    }
}

/// What is wrong with an archive, the exit status, and how it is made of a sound one.
const BROKEN: [(&str, i32, &str); 7] = [
    ("cut", 5, "head -c 700000 in.tar > bad.tar"),
    ("not a tar file", 5, "head -c 5000 /dev/urandom > bad.tar"),
    ("empty", 5, ": > bad.tar"),
    (
        "a blob is missing",
        5,
        "mkdir x; tar xf in.tar -C x; rm $(ls -S x/blobs/sha256/* | tail -1); tar cf bad.tar -C x .",
    ),
    (
        "wrong bytes",
        3,
        "mkdir x; tar xf in.tar -C x; for f in x/blobs/sha256/*; do printf X | dd of=$f bs=1 seek=20 \
      conv=notrunc status=none; done; tar cf bad.tar -C x .",
    ),
    (
        "a member twice",
        5,
        "mkdir x; tar xf in.tar -C x; tar cf bad.tar -C x . ; echo ' ' >> x/index.json; tar rf bad.tar -C x ./index.json",
    ),
    (
        "names that lead out",
        5,
        "mkdir x; tar xf in.tar -C x; tar cf bad.tar --transform 's,^,../,' -P -C x index.json \
      oci-layout blobs",
    ),
];

#[test]
fn broken_archives_are_refused_and_nothing_changes() {
    let train = Train::build(Implementation::Ours, Wire::V3, &TrainSpec::default()).unwrap();
    let sound = train.dir.path().join("in.tar");
    pht_oci(&["copy", &train.layout.at("0"), &format!("oci-archive:{}:latest", sound.display())], &[]).ok();
    let key = train.key(&train.station_id(0));
    for (what, status, make) in BROKEN {
        let dir = tempfile::tempdir().unwrap();
        std::fs::copy(&sound, dir.path().join("in.tar")).unwrap();
        let made = std::process::Command::new("bash").args(["-ec", make]).current_dir(dir.path()).status().unwrap();
        assert!(made.success(), "{what}");
        let bad = dir.path().join("bad.tar");
        let before = snapshot(dir.path());
        let source = format!("oci-archive:{}", bad.display());
        pht_oci(&["pre-run", &source, "--private-key", &key], &[])
            .expect(status)
            .unwrap_or_else(|message| panic!("{what}: {message}"));
        assert!(snapshot(dir.path()) == before, "{what}");
        let destination = format!("oci:{}:latest", dir.path().join("out").display());
        pht_oci(&["pre-run", &source, &destination, "--private-key", &key], &[]).refused(status);
        assert!(!dir.path().join("out").exists(), "{what}");
    }
}
