//! Every state of a journey, read by others; and what files are like besides their bytes.

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;

use super::engine::{Engine, Kind};
use support::layout::View;
use support::peers::run;
use support::tree::{sha256, write_results};
use support::{Implementation, Layout, Peer, Train, TrainSpec, Wire, available, utf8};

/// Results with modes, owners, times, xattrs and links that nobody has by chance.
fn write_odd_results(dir: &Path, stop: usize) {
    write_results(dir, stop);
    fs::hard_link(dir.join("noise.bin"), dir.join("sub/again")).expect("a hard link");
    symlink("/nowhere/at all", dir.join("dangling")).expect("a link");
    for (name, mode, owner, group) in
        [("result.txt", 0o640, 1000, 1001), ("block", 0o4755, 0, 0), ("sub", 0o2770, 7, 8), ("noise.bin", 0o400, 9, 9)]
    {
        let path = dir.join(name);
        chown(&path, Some(owner), Some(group)).expect("an owner");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
    }
    for name in ["sub.txt", "noise.bin", "sub"] {
        let path = dir.join(name);
        let note = ["-n", "user.note", "-v", "kept \u{fc}", utf8(&path)];
        run("setfattr", &note).unwrap_or_else(|message| panic!("{message}"));
    }
    for (seconds, name) in [(1_000_000_000, "block"), (1_234_567_890, "noise.bin"), (86_400, "sub-a")] {
        let times = FileTimes::new().set_modified(UNIX_EPOCH + Duration::from_secs(seconds));
        let there = File::open(dir.join(name)).and_then(|file| file.set_times(times));
        if name != "sub-a" || stop < 2 {
            there.expect("a time");
        }
    }
}

/// A journey whose states are tags `0`, then `N-pre`, `N-ran` and `N` for each stop.
fn journey(wire: Wire) -> Train {
    let train =
        Train::build(Implementation::Ours, wire, &TrainSpec::default()).unwrap_or_else(|message| panic!("{message}"));
    for stop in 0..3 {
        let results = train.dir.path().join(format!("results-{stop}"));
        write_odd_results(&results, stop);
        train
            .stop(Implementation::Ours, &stop.to_string(), &(stop + 1).to_string(), stop, &results)
            .unwrap_or_else(|message| panic!("{message}"));
    }
    train
}

fn states() -> impl Iterator<Item = String> {
    let of = |stop: usize| [format!("{stop}-pre"), format!("{stop}-ran"), stop.to_string()];
    ["0".to_owned()].into_iter().chain((1..=3).flat_map(of))
}

fn without_content(view: View) -> View {
    let strip = |mut entry: Value| {
        for field in ["size", "sha256"] {
            entry.as_object_mut().expect("an entry").remove(field);
        }
        entry
    };
    view.into_iter().map(|(path, entry)| (path, strip(entry))).collect()
}

/// The results as they are passed on: no program gets a user's or group's rights by its mode.
fn passed_on(mut results: View) -> View {
    for entry in results.values_mut() {
        let mode = entry["mode"].as_str().and_then(|mode| u32::from_str_radix(mode.strip_prefix("0o")?, 8).ok());
        entry["mode"] = format!("{:#o}", mode.expect("an octal mode") & !0o6000).into();
    }
    results
}

/// Modes, owners, times, xattrs and links: in the sealed image as in the run, and again for the next run.
#[test]
fn attributes_survive() {
    if !available("engines::attributes_survive", &[Peer::Python, Peer::Root]) {
        return;
    }
    for wire in Wire::OURS {
        let train = journey(wire);
        let results = |tag: &str| train.layout.view(tag, "opt/pht_results");
        for stop in 1..=3 {
            let ran = results(&format!("{stop}-ran"));
            assert_eq!(ran["opt/pht_results/block"]["mode"], "0o4755", "the test wrote no set-user-ID file");
            let ran = passed_on(ran);
            assert_eq!(ran["opt/pht_results/sub.txt"]["xattrs"]["user.note"], "kept \u{fc}", "the test wrote no xattr");
            let (sealed, before) = (without_content(results(&stop.to_string())), without_content(ran.clone()));
            assert_eq!(sealed, before, "sealed at stop {stop}, wire {wire:?}");
            if stop < 3 {
                // What the next pre-run shows, contents too.
                assert_eq!(results(&format!("{}-pre", stop + 1)), ran, "opened after stop {stop}, wire {wire:?}");
            }
        }
        let files = |tag: &str| train.layout.view(tag, "opt/pht_train");
        let (built, opened) = (without_content(files("0")), without_content(files("1-pre")));
        assert_eq!(opened, built, "train files, wire {wire:?}");
        assert_eq!(files("3-pre"), files("1-pre"), "train files at the last stop, wire {wire:?}");
        assert_eq!(without_content(files("3")), built, "sealed train files, wire {wire:?}");
    }
}

#[test]
fn skopeo_reads_every_state() {
    if !available("engines::skopeo_reads_every_state", &[Peer::Python, Peer::Skopeo, Peer::Root]) {
        return;
    }
    for wire in Wire::OURS {
        let train = journey(wire);
        for tag in states() {
            let image = train.layout.at(&tag);
            let inspect = |more: &[&str]| {
                let line = [&["inspect"], more, &[image.as_str()]].concat();
                let printed = run("skopeo", &line).unwrap_or_else(|message| panic!("{tag}: {message}"));
                serde_json::from_slice::<Value>(&printed).expect("skopeo prints JSON")
            };
            let layers = train.layout.layers(&tag).len();
            assert_eq!(inspect(&[])["Layers"].as_array().map(Vec::len), Some(layers), "{tag}");
            let config = inspect(&["--config"]);
            assert_eq!(config["rootfs"]["diff_ids"].as_array().map(Vec::len), Some(layers), "{tag}");
            let history = config["history"].as_array().expect("a history");
            assert_eq!(history.iter().filter(|entry| entry["empty_layer"] != true).count(), layers, "{tag}: history");
            assert!(history.iter().all(|entry| entry["created"].is_string()), "{tag}: history without a time");
            assert_eq!(config["config"]["Labels"]["org.example.base"], "kept", "{tag}: a label of the base image");
            // Reads all blobs and verifies them.
            let copy = train.dir.path().join(format!("copy-{tag}"));
            let to = format!("dir:{}", copy.display());
            run("skopeo", &["--insecure-policy", "copy", "-q", &image, &to])
                .unwrap_or_else(|message| panic!("{message}"));
        }
    }
}

/// What umoci unpacks is what the merged view says.
#[test]
fn umoci_unpacks_every_state() {
    if !available("engines::umoci_unpacks_every_state", &[Peer::Python, Peer::Umoci, Peer::Root]) {
        return;
    }
    for wire in Wire::OURS {
        let train = journey(wire);
        for tag in states() {
            let bundle = train.dir.path().join(format!("bundle-{tag}"));
            let image = format!("{}:{tag}", train.layout.path());
            let line = ["unpack", "--image", &image, utf8(&bundle)];
            run("umoci", &line).unwrap_or_else(|message| panic!("{tag}: {message}"));
            compare(&bundle.join("rootfs"), &train.layout, &tag);
            fs::remove_dir_all(&bundle).expect("a bundle to remove");
        }
    }
}

fn compare(root: &Path, layout: &Layout, tag: &str) {
    let view = layout.view(tag, "opt");
    for (path, entry) in &view {
        let here = root.join(path);
        let status = here.symlink_metadata().unwrap_or_else(|error| panic!("{tag}: {path}: {error}"));
        let what = format!("{path} of {tag}");
        assert_eq!(Some(u64::from(status.uid())), entry["uid"].as_u64(), "owner of {what}");
        assert_eq!(Some(u64::from(status.gid())), entry["gid"].as_u64(), "group of {what}");
        if let Some(link) = entry["link"].as_str() {
            assert_eq!(fs::read_link(&here).expect("a link"), Path::new(link), "target of {what}");
            continue;
        }
        assert_eq!(Some(format!("0o{:o}", status.mode() & 0o7777).as_str()), entry["mode"].as_str(), "mode of {what}");
        if let Some(hash) = entry["sha256"].as_str() {
            assert_eq!(sha256(&fs::read(&here).expect("a file")), hash, "bytes of {what}");
            assert_eq!(Some(status.mtime()), entry["mtime"].as_i64(), "time of {what}");
        }
        for (name, value) in entry["xattrs"].as_object().expect("xattrs") {
            let mut buffer = vec![0; 256];
            let length = rustix::fs::lgetxattr(&here, name.as_str(), &mut buffer[..]).expect("an xattr");
            assert_eq!(Some(&buffer[..length]), value.as_str().map(str::as_bytes), "xattr {name} of {what}");
        }
        let names = entry["names"].as_array().map_or(1, Vec::len) as u64;
        assert!(status.is_dir() || status.nlink() == names, "links of {what}: {} for {names}", status.nlink());
    }
    let count = |dir: &Path| support::tree::snapshot(dir).len();
    assert_eq!(count(&root.join("opt")) + 1, view.len(), "umoci unpacks more or less than {tag} shows");
}

fn engine_reads_every_state(test: &str, kind: Kind) {
    if !available(test, &[Peer::Python, Peer::Busybox, Peer::Root, kind.peer()]) {
        return;
    }
    let train = journey(Wire::V2_0);
    let mut engine = Engine::new(kind);
    for tag in states() {
        let image = engine.load(&train.layout, &tag);
        for path in ["opt/train_config.json", "opt/pht_train/lib/helper.py"] {
            let printed = engine.print(&image, &["/bin/cat", &format!("/{path}")]);
            assert_eq!(sha256(&printed), sha256(&train.layout.cat(&tag, path)), "{path} of {tag}");
        }
        let printed = engine.print(&image, &["/bin/find", "/opt"]);
        let mut seen: Vec<String> =
            String::from_utf8_lossy(&printed).lines().map(|line| line.trim_start_matches('/').to_owned()).collect();
        seen.sort();
        let mut shown: Vec<String> = train.layout.view(&tag, "opt").into_keys().collect();
        shown.sort();
        assert_eq!(seen, shown, "what {kind:?} sees of {tag}");
    }
}

#[test]
fn podman_reads_every_state() {
    engine_reads_every_state("engines::podman_reads_every_state", Kind::Podman);
}

#[test]
fn docker_reads_every_state() {
    engine_reads_every_state("engines::docker_reads_every_state", Kind::Docker);
}
