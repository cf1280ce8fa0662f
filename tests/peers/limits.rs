//! What a stage may cost: memory does not grow with the data, and nothing is read that a stage does not need.

use std::path::Path;

use support::peers::test_file;
use support::program::Took;
use support::{Implementation, Layout, Peer, Train, TrainSpec, Wire, available, measured, pht_oci, run, utf8};

/// The most memory that a stage may take, in bytes.
const MEMORY: u64 = 64 << 20;
/// What a stage may read beside its payload, in bytes: the program itself and its libraries, manifests, configs, headers.
const READ_BESIDE: u64 = 8 << 20;

/// One more layer on an image: `files` files of `each` bytes (`1G`) below `at`.
fn add_bulk(layout: &Layout, (from, to): (&str, &str), at: &str, compress: &str, (files, each): (u32, &str)) {
    let (script, files) = (test_file("python/bulk.py"), files.to_string());
    let script = utf8(&script);
    let line = [script, "layer", layout.path(), from, to, at, compress, &files, each];
    run("python3", &line).unwrap_or_else(|message| panic!("{message}"));
}

fn base_of(dir: &Path, compress: &str, each: &str) -> Layout {
    let base = Layout::new(dir.join("base"));
    add_bulk(&base, ("-", "base"), "usr/share/bulk", compress, (1, each));
    base
}

/// What post-run at the first station and pre-run at the second take where the first has written these results.
fn both_stages(wire: Wire, base: Option<Layout>, compress: &str, bulk: (u32, &str)) -> [(&'static str, Took); 2] {
    let spec = TrainSpec { base, ..TrainSpec::default() };
    let train = Train::build(Implementation::Ours, wire, &spec).unwrap_or_else(|message| panic!("{message}"));
    train.ours("pre-run", "0", "0-pre", 0).unwrap_or_else(|message| panic!("{message}"));
    add_bulk(&train.layout, ("0-pre", "0-ran"), "opt/pht_results", compress, bulk);
    let post = measured(&train.line("post-run", "0-ran", "1", 0));
    let pre = measured(&train.line("pre-run", "1", "1-pre", 1));
    [("post-run", post), ("pre-run", pre)]
}

fn memory_is_bounded(wire: Wire, base: Option<Layout>, compress: &str, bulk: (u32, &str)) {
    for (stage, took) in both_stages(wire, base, compress, bulk) {
        let peak = took.peak;
        assert!(peak <= MEMORY, "{stage} of wire {wire:?} with {bulk:?}, {compress}, took {peak} bytes of memory");
    }
}

/// A file system of its own, of so many MiB; gone with it.
struct Small(tempfile::TempDir);

impl Small {
    fn new(mib: u32) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().to_str().expect("a path in UTF-8");
        run("mount", &["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs", path]).expect("root may mount");
        Small(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = run("umount", &[self.path()]);
    }
}

#[test]
fn a_step_for_which_there_is_no_room_is_not_begun() {
    if !available("limits::a_step_for_which_there_is_no_room_is_not_begun", &[Peer::Python, Peer::Root]) {
        return;
    }
    let train = Train::build(Implementation::Ours, Wire::V2_0, &TrainSpec::default())
        .unwrap_or_else(|message| panic!("{message}"));
    train.ours("pre-run", "0", "0-pre", 0).unwrap_or_else(|message| panic!("{message}"));
    add_bulk(&train.layout, ("0-pre", "0-ran"), "opt/pht_results", "plain", (1, "24M"));
    train.ours("post-run", "0-ran", "1", 0).unwrap_or_else(|message| panic!("{message}"));
    let newer = Layout::new(train.dir.path().join("newer"));
    newer.make_base("base", false);
    let [files, route] = ["bulky", "route.json"].map(|name| train.dir.path().join(name).display().to_string());
    std::fs::create_dir(&files).expect("a directory");
    std::fs::write(format!("{files}/model.bin"), vec![7; 24 << 20]).expect("a file");
    let line = |stage: &str, to: &str| -> Vec<String> {
        let (image, base, user, builder) =
            (train.layout.at("1"), newer.at("base"), train.key("user"), train.key("builder"));
        let build = ["build", to, "--base", "scratch", "--files", &files, "--route", &route, "--wire", "2.0"];
        let signers = ["--creator", "alice", "--creator-key", &user, "--builder-key", &builder];
        match stage {
            "build" => [&build[..], &signers].concat().into_iter().map(str::to_owned).collect(),
            "copy" => ["copy", &image, to].map(str::to_owned).to_vec(),
            "rebase" => ["rebase", &image, to, "--base", &base].map(str::to_owned).to_vec(),
            _ => {
                let (from, stop) = if stage == "pre-run" { ("1", 1) } else { ("0-ran", 0) };
                let mut line = train.line(stage, from, "to", stop);
                to.clone_into(&mut line[2]);
                line
            }
        }
    };
    for (mib, fits) in [(16, false), (64, true)] {
        for transport in ["oci", "oci-archive", "dir"] {
            for stage in ["build", "copy", "pre-run", "post-run", "rebase"] {
                let small = Small::new(mib);
                let to = format!("{transport}:{}", small.path().join("to").display());
                let line = line(stage, &to);
                let outcome = pht_oci(&line, &[]);
                if fits {
                    outcome.ok();
                    continue;
                }
                let message = outcome.refused(1).stderr;
                let needed = message.split("at least ").nth(1).and_then(|rest| rest.split_once(" MiB are needed"));
                let needed: f64 =
                    needed.and_then(|(needed, _)| needed.parse().ok()).unwrap_or_else(|| panic!("{message}"));
                assert!((16.0..26.0).contains(&needed), "{stage}: {message}");
                for part in [" are free", "hint: ", to.as_str()] {
                    assert!(message.contains(part), "{stage}: no {part} in {message}");
                }
                let left = std::fs::read_dir(small.path()).expect("a directory").count();
                assert_eq!(left, 0, "{stage} to {to} left something");
            }
        }
    }
}

#[test]
fn memory_does_not_grow_with_a_file() {
    if available("limits::memory_does_not_grow_with_a_file", &[Peer::Python]) {
        Wire::OURS.into_iter().for_each(|wire| memory_is_bounded(wire, None, "plain", (1, "1G")));
    }
}

#[test]
fn memory_does_not_grow_with_the_number_of_files() {
    if available("limits::memory_does_not_grow_with_the_number_of_files", &[Peer::Python]) {
        Wire::OURS.into_iter().for_each(|wire| memory_is_bounded(wire, None, "plain", (100_000, "1K")));
    }
}

#[test]
fn memory_does_not_grow_with_compressed_layers() {
    if available("limits::memory_does_not_grow_with_compressed_layers", &[Peer::Python]) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let base = base_of(dir.path(), "gzip", "1G");
        memory_is_bounded(Wire::V2_0, Some(base), "gzip", (1, "1G"));
    }
}

/// What a central service hands out to a creator: results and train config in one stream.
#[test]
fn memory_does_not_grow_with_what_is_handed_out() {
    if !available("limits::memory_does_not_grow_with_what_is_handed_out", &[Peer::Python]) {
        return;
    }
    let train = Train::build(Implementation::Ours, Wire::V3, &TrainSpec::default())
        .unwrap_or_else(|message| panic!("{message}"));
    train.ours("pre-run", "0", "0-pre", 0).unwrap_or_else(|message| panic!("{message}"));
    add_bulk(&train.layout, ("0-pre", "0-ran"), "opt/pht_results", "plain", (1, "256M"));
    train.ours("post-run", "0-ran", "1", 0).unwrap_or_else(|message| panic!("{message}"));
    let (image, archive) = (train.layout.at("1"), train.dir.path().join("handout.tar"));
    for out in ["-", utf8(&archive)] {
        let took = measured(&["extract", &image, "/opt/pht_results", "/opt/train_config.json", "--out", out]);
        assert!(took.peak <= MEMORY, "to {out}: {} bytes of memory", took.peak);
    }
    // And the creator opens it as that, in as little.
    let (key, results) = (train.key("user"), train.dir.path().join("results"));
    let took = measured(&["results", utf8(&archive), "--private-key", &key, "--out", utf8(&results)]);
    assert!(took.peak <= MEMORY, "results: {} bytes of memory", took.peak);
    let found = run("find", &[utf8(&results), "-type", "f", "-size", "262144k"]).expect("find runs");
    assert_eq!(found.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count(), 1, "{found:?}");
}

/// With a payload large enough that to read it twice would show.
#[test]
fn a_payload_is_read_once() {
    if available("limits::a_payload_is_read_once", &[Peer::Python]) {
        for wire in Wire::OURS {
            for (stage, took) in both_stages(wire, None, "plain", (1, "64M")) {
                let fernet = wire == Wire::V1_1_1 && stage == "pre-run";
                let payload = if fernet { (64 << 20) / 3 * 4 } else { 64 << 20 };
                let read = took.read;
                assert!(read <= payload + READ_BESIDE, "{stage} of wire {wire:?} read {read} bytes of {payload}");
            }
        }
    }
}

#[test]
fn base_layers_are_not_read() {
    if available("limits::base_layers_are_not_read", &[Peer::Python]) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (small, large) = (dir.path().join("small"), dir.path().join("large"));
        let (small, large) = (base_of(&small, "plain", "1M"), base_of(&large, "plain", "1G"));
        for wire in Wire::OURS {
            let on_small = both_stages(wire, Some(small.clone()), "plain", (1, "1M"));
            let on_large = both_stages(wire, Some(large.clone()), "plain", (1, "1M"));
            for ((stage, small), (_, large)) in on_small.into_iter().zip(on_large) {
                let (small, large) = (small.read, large.read);
                assert!(large <= (1 << 20) + READ_BESIDE, "{stage} of wire {wire:?} read {large} bytes");
                let more = large.abs_diff(small);
                assert!(more <= 64 << 10, "{stage} of wire {wire:?}: {small} bytes on 1 MiB, {large} on 1 GiB");
            }
        }
    }
}

/// The sum of all that a validation reads beside its payload: the program, manifests, configs, headers.
const READ_TO_VALIDATE: u64 = 1 << 20;

#[test]
fn a_master_image_is_not_read_where_digests_agree() {
    if available("limits::a_master_image_is_not_read", &[Peer::Python]) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let base = base_of(dir.path(), "plain", "1G");
        for wire in Wire::OURS {
            let spec = TrainSpec { base: Some(base.clone()), ..TrainSpec::default() };
            let train = Train::build(Implementation::Ours, wire, &spec).unwrap_or_else(|message| panic!("{message}"));
            let read = measured(&["validate", &train.layout.at("0"), "--master", &base.at("base")]).read;
            assert!(read < READ_TO_VALIDATE, "wire {wire:?}: {read} bytes");
        }
    }
}

/// The same files in layers of another order: no layer in common, and every file of both images is read.
#[test]
fn memory_does_not_grow_with_files_that_are_compared() {
    if available("limits::memory_does_not_grow_with_files_that_are_compared", &[Peer::Python]) {
        // As many files as the image of a language with its libraries has: names are held in memory, contents never.
        for bulk in [(1, "1G"), (40_000, "1K")] {
            let dir = tempfile::tempdir().expect("a temporary directory");
            let (master, base) = (Layout::new(dir.path().join("master")), Layout::new(dir.path().join("base")));
            add_bulk(&master, ("-", "base"), "usr/share/bulk", "gzip", bulk);
            add_bulk(&master, ("base", "base"), "tmp", "plain", (1, "1K"));
            add_bulk(&base, ("-", "base"), "tmp", "plain", (1, "1K"));
            add_bulk(&base, ("base", "base"), "usr/share/bulk", "gzip", bulk);
            let spec = TrainSpec { base: Some(base), ..TrainSpec::default() };
            let train =
                Train::build(Implementation::Ours, Wire::V2_0, &spec).unwrap_or_else(|message| panic!("{message}"));
            let took = measured(&["validate", &train.layout.at("0"), "--master", &master.at("base")]);
            assert!(took.read > READ_TO_VALIDATE, "{bulk:?}: nothing was compared");
            assert!(took.peak <= MEMORY, "{bulk:?}: {} bytes of memory", took.peak);
        }
    }
}
