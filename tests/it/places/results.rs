//! Results on their way between trains and directories: what strangers chose for them is not for the host.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, XattrFlags, lgetxattr, llistxattr, lsetxattr, mknodat};
use serde_json::Value;

use support::stage::StageFixture;
use support::{Edit, Peer, Wire, available, pht_oci, utf8};

const SET_IDS: u32 = 0o6000;

/// A layer with one file in the place of a result that is there, as a stranger would have it.
fn strange_layer(name: &str, contents: &[u8], capability: &str) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |name: &str, kind: tar::EntryType, mode: u32, contents: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(1000);
        header.set_gid(1000);
        header.set_size(contents.len() as u64);
        tar.append_data(&mut header, name, contents).expect("an archive in memory");
    };
    add("opt/pht_results/", tar::EntryType::Directory, 0o6777, b"");
    let record = |key: &str, value: &str| {
        let length = |digits: usize| key.len() + value.len() + digits + 3;
        let digits = length(2).to_string().len();
        format!("{} {key}={value}\n", length(digits))
    };
    let records = record("SCHILY.xattr.security.capability", capability) + &record("SCHILY.xattr.user.note", "kept");
    add("PaxHeaders/x", tar::EntryType::XHeader, 0o644, records.as_bytes());
    add(name, tar::EntryType::Regular, 0o6755, contents);
    tar.into_inner().expect("an archive in memory")
}

/// The mode of what a view shows.
fn mode_of(node: &Value) -> u32 {
    let text = node["mode"].as_str().expect("a mode");
    u32::from_str_radix(text.trim_start_matches("0o"), 8).expect("a number")
}

/// What of a directory and of what is in it gives rights to somebody.
fn harm(dir: &Path) -> Vec<String> {
    let own = fs::metadata(std::env::temp_dir()).map(|_| rustix::process::geteuid().as_raw()).expect("this user");
    let mut found = Vec::new();
    let mut look = vec![dir.to_owned()];
    while let Some(path) = look.pop() {
        let status = path.symlink_metadata().expect("it is there");
        let shown = path.display();
        if !status.is_symlink() && status.mode() & SET_IDS != 0 {
            found.push(format!("{shown} has mode {:o}", status.mode()));
        }
        if status.uid() != own {
            found.push(format!("{shown} is of uid {}", status.uid()));
        }
        let mut names = vec![0; 4096];
        let len = llistxattr(&path, &mut names[..]).unwrap_or_default();
        let names = String::from_utf8_lossy(&names[..len]).into_owned();
        found.extend(
            names.split('\0').filter(|name| name.starts_with("security.cap")).map(|name| format!("{shown}: {name}")),
        );
        if status.is_dir() {
            look.extend(fs::read_dir(&path).expect("a directory").map(|entry| entry.expect("an entry").path()));
        }
    }
    found
}

/// In the earlier versions no signature covers modes and owners: anybody on the way can choose them.
#[test]
fn what_anybody_on_the_way_chose_is_not_for_the_next_station() {
    if !available("places::what_anybody_on_the_way_chose", &[Peer::Python]) {
        return;
    }
    let capability = "\u{1}\0\0\u{2}\u{2}\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    for wire in Wire::ALL {
        let fixture = StageFixture::new(wire);
        let closed = fixture.layout.cat("latest", support::stage::RESULT);
        fixture.layout.append_tar("latest", "latest", &strange_layer(support::stage::RESULT, &closed, capability));
        let out = fixture.vectors.dir.path().join("results");
        fixture.stage("pre-run", &["latest", "opened"], &["--results", utf8(&out)]).ok();
        assert_eq!(harm(&out), Vec::<String>::new(), "wire {wire:?}");
        let result = out.join("result.txt");
        assert_eq!(fs::metadata(&result).expect("a result").mode() & 0o777, 0o755, "it may be run still");
        let mut note = [0; 16];
        if lsetxattr(&out, "user.try", b"x", XattrFlags::empty()).is_ok() {
            let len = lgetxattr(&result, "user.note", &mut note[..]).expect("an attribute of the user's own");
            assert_eq!(&note[..len], b"kept");
        }
        // In the image, too: who runs it may do so as root.
        fixture.stage("pre-run", &["latest", "opened-whole"], &[]).ok();
        let view = fixture.layout.view("opened-whole", "opt/pht_results");
        let shown: Vec<&Value> = view.values().filter(|node| mode_of(node) & SET_IDS != 0).collect();
        assert!(shown.is_empty(), "wire {wire:?}: {shown:?}");
    }
}

#[test]
fn what_post_run_reads_of_a_directory_gives_nobody_rights() {
    if !available("places::what_post_run_reads_of_a_directory", &[Peer::Python]) {
        return;
    }
    for wire in Wire::ALL {
        let fixture = StageFixture::new(wire);
        let dir = fixture.vectors.dir.path().join("results");
        fixture.stage("pre-run", &["latest", "opened"], &["--results", utf8(&dir)]).ok();
        fs::write(dir.join("result.txt"), "second run\n").expect("a result");
        fs::create_dir(dir.join("tools")).expect("a directory");
        fs::write(dir.join("tools/shell"), "#!/bin/sh\n").expect("a file");
        for path in ["tools/shell", "tools"] {
            fs::set_permissions(dir.join(path), fs::Permissions::from_mode(0o6755)).expect("a mode");
        }
        symlink("tools/shell", dir.join("same")).expect("a link");
        let is_root = rustix::process::geteuid().is_root();
        if is_root {
            lchown(dir.join("tools/shell"), Some(1234), Some(1234)).expect("root may");
            let mode = fs::Permissions::from_mode(0o6755);
            fs::set_permissions(dir.join("tools/shell"), mode).expect("a mode");
            let _ = lsetxattr(dir.join("tools/shell"), "trusted.note", b"x", XattrFlags::empty());
        }
        let _ = lsetxattr(dir.join("tools/shell"), "user.note", b"kept", XattrFlags::empty());
        for (options, uid) in [(&[][..], 0), (&["--keep-owners"][..], 1234)] {
            let options = [&["--results", utf8(&dir)], options].concat();
            fixture.stage("post-run", &["opened", "closed"], &options).ok();
            let view = fixture.layout.view("closed", "opt/pht_results");
            for (path, node) in &view {
                assert!(node["link"].is_string() || mode_of(node) & SET_IDS == 0, "wire {wire:?}: {path}: {node}");
                let attributes = node["xattrs"].to_string();
                assert!(!attributes.contains("trusted.") && !attributes.contains("security."), "{path}: {node}");
            }
            let shell = &view["opt/pht_results/tools/shell"];
            assert_eq!(mode_of(shell) & 0o777, 0o755, "{shell}");
            if is_root {
                assert_eq!(shell["uid"], uid, "wire {wire:?}, {options:?}: {shell}");
            }
        }
    }
}

#[test]
fn owners_come_along_when_somebody_asks_for_them() {
    if !available("places::owners_come_along", &[Peer::Python, Peer::Root]) {
        return;
    }
    let fixture = StageFixture::new(Wire::V2_0);
    let closed = fixture.layout.cat("latest", support::stage::RESULT);
    fixture.layout.append_tar("latest", "latest", &strange_layer(support::stage::RESULT, &closed, "x"));
    let out = fixture.vectors.dir.path().join("results");
    fixture.stage("pre-run", &["latest", "opened"], &["--results", utf8(&out), "--keep-owners"]).ok();
    let (top, result) = (fs::metadata(&out).unwrap(), fs::metadata(out.join("result.txt")).unwrap());
    assert_eq!((top.uid(), top.mode() & 0o7777), (0, 0o700), "the directory is the caller's all the same");
    assert_eq!((result.uid(), result.mode() & SET_IDS), (1000, 0));
    fixture.stage("pre-run", &["latest", "opened"], &["--keep-owners"]).refused(2);
}

#[test]
fn no_pipe_reaches_the_creator() {
    for wire in [Wire::V1_1_2, Wire::V2_0] {
        let fixture = StageFixture::new(wire);
        let dir = fixture.vectors.dir.path().join("results");
        fixture.stage("pre-run", &["latest", "opened"], &["--results", utf8(&dir)]).ok();
        mknodat(CWD, dir.join("pipe"), FileType::Fifo, Mode::from_raw_mode(0o666), 0).expect("a pipe");
        fixture.stage("post-run", &["opened", "closed"], &["--results", utf8(&dir)]).ok();
        let (image, key) = (fixture.layout.at("closed"), fixture.vectors.key("user"));
        for out in ["out", "out.tar"] {
            let path = fixture.vectors.dir.path().join(out);
            let line = ["results", &image, "--private-key", &key, "--out", utf8(&path)];
            let said = pht_oci(&line, &[]).ok();
            let said = said.stderr + &String::from_utf8_lossy(&said.stdout);
            assert!(said.contains("pipe (a named pipe)"), "wire {wire:?}, {out}: {said}");
            let there = match path.is_dir() {
                true => path.join("pipe").exists(),
                false => {
                    let archive = fs::File::open(&path).expect("an archive");
                    let mut archive = tar::Archive::new(archive);
                    let entries = archive.entries().expect("entries");
                    entries.map(|entry| entry.expect("an entry")).any(|entry| entry.path_bytes().ends_with(b"pipe"))
                }
            };
            assert!(!there, "wire {wire:?}, {out}");
        }
    }
}

/// Whoever unpacks the archive as root gets nothing that a directory would not have.
#[test]
fn what_is_extracted_gives_nobody_rights() {
    let fixture = StageFixture::new(Wire::V2_0);
    fixture.layout.append("latest", "odd", &[Edit::Put("opt/pht_results/other", b"x".to_vec())]);
    fixture.layout.append_tar("odd", "odd", &strange_layer("opt/pht_results/shell", b"#!/bin/sh\n", "x"));
    let out = fixture.vectors.dir.path().join("tree");
    pht_oci(&["extract", &fixture.layout.at("odd"), "opt/pht_results", "--out", utf8(&out)], &[]).ok();
    assert_eq!(harm(&out), Vec::<String>::new());
    let tar = pht_oci(&["extract", &fixture.layout.at("odd"), "opt/pht_results", "--out", "-"], &[]).ok().stdout;
    let mut archive = tar::Archive::new(&tar[..]);
    let mut seen = 0;
    for entry in archive.entries().expect("entries") {
        let mut entry = entry.expect("an entry");
        let header = entry.header().clone();
        assert_eq!(header.mode().expect("a mode") & SET_IDS, 0, "{:?}", entry.path());
        assert_eq!(header.uid().expect("an owner"), 0, "{:?}", entry.path());
        let pax = entry.pax_extensions().expect("records").into_iter().flatten();
        let keys: Vec<String> =
            pax.map(|record| record.expect("a record").key().expect("a keyword").to_owned()).collect();
        assert!(!keys.iter().any(|key| key.contains("xattr")), "{keys:?}");
        seen += 1;
    }
    assert!(seen >= 3, "{seen} entries");
}

/// The directory of the results is named in the opened image. One that was opened before and in which nothing has run
/// goes when the train is opened again; one in which a train has run stays until post-run, for whoever wants its results.
#[test]
fn opening_again_leaves_nothing_of_the_image_before() {
    if !available("places::opening_again_leaves_nothing", &[Peer::Python]) {
        return;
    }
    let fixture = StageFixture::new(Wire::V2_0);
    let blobs = || fs::read_dir(fixture.layout.dir.join("blobs/sha256")).expect("blobs").count();
    let open = |name: &str| {
        let dir = fixture.vectors.dir.path().join(name);
        fixture.stage("pre-run", &["latest"], &["--results", utf8(&dir)]).ok();
        blobs()
    };
    let once = open("first");
    assert_eq!(open("second"), once, "blobs of an image that nobody can use are left");
    fixture.write("latest", "latest");
    let ran = blobs();
    let third = open("third");
    assert!(third >= ran + 2, "what a train wrote is gone");
    assert!(open("fourth") >= third, "what a train wrote is gone after a second time");
}

/// Where nothing is to be removed, nobody asks what the other images need.
#[test]
fn a_broken_image_beside_the_train_does_not_keep_it_from_being_opened() {
    if !available("places::a_broken_image_beside_the_train", &[Peer::Python]) {
        return;
    }
    let fixture = StageFixture::new(Wire::V2_0);
    fixture.write("latest", "other");
    let manifests = fixture.index()["manifests"].as_array().expect("images").clone();
    let other = manifests.iter().find(|image| image["annotations"]["org.opencontainers.image.ref.name"] == "other");
    let path = fixture.layout.blob(other.expect("an image")["digest"].as_str().expect("a digest"));
    let length = fs::metadata(&path).expect("a manifest").len();
    fs::write(&path, "[".repeat(usize::try_from(length).expect("small"))).expect("a manifest");
    fixture.stage("pre-run", &["latest"], &[]).ok();
}
