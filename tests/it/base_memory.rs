//! Compressed base layers that no signed digest binds: each is unpacked once, and read on its way where it is copied.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use support::tree::{differences, noise, snapshot};
use support::{Edit, Implementation, Layout, Outcome, Train, TrainSpec, Wire, pht_oci, utf8};

/// Bytes of the base that cannot be compressed; all else is much smaller.
const BASE: u64 = 6 << 20;

/// A train on a large base, and a directory for what is remembered.
struct MemoryFixture {
    train: Train,
    cache: PathBuf,
}

fn gunzip(blob: &[u8]) -> Vec<u8> {
    let mut tar = Vec::new();
    GzDecoder::new(blob).read_to_end(&mut tar).expect("gzip");
    tar
}

fn gzip(tar: &[u8], level: u32) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::new(level));
    gzip.write_all(tar).expect("an archive in memory");
    gzip.finish().expect("an archive in memory")
}

impl MemoryFixture {
    fn new(wire: Wire) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let base = Layout::new(dir.path().join("base"));
        base.make_base("small", false);
        base.append("small", "base", &[Edit::Put("var/big.bin", noise(BASE as usize))]);
        let spec = TrainSpec { base: Some(base), ..TrainSpec::default() };
        let train = Train::build(Implementation::Ours, wire, &spec).unwrap_or_else(|message| panic!("{message}"));
        let cache = train.dir.path().join("cache");
        let fixture = MemoryFixture { train, cache };
        if wire == Wire::V3 {
            // Packed anew on its way, as registries and tools do.
            fixture.with_layer("0", |tar| gzip(tar, 1));
        }
        fixture
    }

    /// The train at this tag with its large layer packed by `pack`; the diff ID stays.
    fn with_layer(&self, tag: &str, pack: impl FnOnce(&[u8]) -> Vec<u8>) {
        let layout = &self.train.layout;
        layout.rewrite(tag, tag, |manifest, _| {
            let layer = &mut manifest["layers"][1];
            let blob = fs::read(layout.blob(layer["digest"].as_str().expect("a digest"))).expect("a layer");
            (layer["digest"], layer["size"]) = layout.write_blob(&pack(&gunzip(&blob)));
        });
    }

    fn run(&self, line: &[&str]) -> Outcome {
        pht_oci(&[line, &["--format", "json"]].concat(), &[("XDG_CACHE_HOME", utf8(&self.cache))])
    }

    fn pre_run(&self, from: &str, to: &str, options: &[&str]) -> Outcome {
        let station = self.train.station_id(0);
        let key = self.train.key(&station);
        self.run(&[&["pre-run", from, to, "--private-key", &key, "--station", &station][..], options].concat())
    }

    fn file(&self) -> PathBuf {
        self.cache.join("pht-oci/verified-layers")
    }

    /// Bytes of the base that were read: whole, as the rest is small.
    #[track_caller]
    fn read(&self, outcome: Outcome) -> u64 {
        let report = outcome.ok().json();
        let read = report["read"].as_u64().or(report["bytes"]["read"].as_u64()).expect("a number");
        assert!(read % BASE < BASE / 4, "{read} bytes were read, which is no multiple of the base: {report}");
        read / BASE
    }
}

const WIRES: [Wire; 3] = [Wire::V1_1_2, Wire::V2_0, Wire::V3];

#[test]
fn a_base_is_unpacked_once() {
    for wire in WIRES {
        let fixture = MemoryFixture::new(wire);
        let layout = &fixture.train.layout;
        assert_eq!(fixture.read(fixture.pre_run(&layout.at("0"), &layout.at("no"), &["--no-cache"])), 1, "{wire:?}");
        assert!(!fixture.cache.exists(), "nothing is remembered");
        assert_eq!(fixture.read(fixture.pre_run(&layout.at("0"), &layout.at("a"), &[])), 1, "{wire:?}");
        assert_eq!(fixture.read(fixture.pre_run(&layout.at("0"), &layout.at("b"), &[])), 0, "{wire:?}");
        assert_eq!(fixture.read(fixture.pre_run(&layout.at("0"), &layout.at("c"), &["--no-cache"])), 1, "{wire:?}");
        if wire == Wire::V3 {
            assert_eq!(fixture.read(fixture.run(&["verify", &layout.at("0")])), 0);
            assert_eq!(fixture.read(fixture.run(&["verify", &layout.at("0"), "--no-cache"])), 1);
            fs::remove_file(fixture.file()).expect("the file");
            assert_eq!(fixture.read(fixture.run(&["verify", &layout.at("0")])), 1);
            assert_eq!(
                fixture.read(fixture.pre_run(&layout.at("0"), &layout.at("d"), &[])),
                0,
                "verify remembers, too"
            );
        }
    }
}

/// From an archive into a layout the base is copied: read on its way there, and not once more.
#[test]
fn what_is_copied_anyway_is_read_once() {
    for wire in WIRES {
        let fixture = MemoryFixture::new(wire);
        let (dir, layout) = (fixture.train.dir.path(), &fixture.train.layout);
        let archive = format!("oci-archive:{}:latest", utf8(&dir.join("train.tar")));
        fixture.run(&["copy", &layout.at("0"), &archive]).ok();
        for (at, to) in
            ["oci:%:latest", "oci-archive:%:latest", "dir:%", "docker-archive:%:t:latest"].iter().enumerate()
        {
            let to = to.replace('%', utf8(&dir.join(format!("to-{at}"))));
            let outcome = fixture.pre_run(&archive, &to, &["--no-cache"]).ok();
            assert!(outcome.json()["bytes"]["transferred"].as_u64() > Some(BASE), "{to}");
            assert_eq!(fixture.read(outcome), 1, "{wire:?} to {to}");
        }
        // Read on the way, it is remembered; copied again it is read again.
        let to = format!("oci:{}:latest", utf8(&dir.join("remembering")));
        assert_eq!(fixture.read(fixture.pre_run(&archive, &to, &[])), 1);
        let text = fs::read_to_string(fixture.file()).expect("something is remembered");
        assert!(text.contains(layout.image("0")["manifest"]["layers"][1]["digest"].as_str().expect("a digest")));
        assert_eq!(fixture.read(fixture.pre_run(&archive, &to, &[])), 0, "it is there");
    }
}

/// An exchanged layer is found wherever it is read.
#[test]
fn another_layer_under_the_diff_id_is_refused_on_its_way_too() {
    for wire in WIRES {
        let fixture = MemoryFixture::new(wire);
        let (dir, layout) = (fixture.train.dir.path(), &fixture.train.layout);
        // The honest one is remembered.
        fixture.pre_run(&layout.at("0"), &layout.at("opened"), &[]).ok();
        fixture.with_layer("0", |tar| {
            let mut tar = tar.to_vec();
            tar[1000] ^= 1; // in the padding behind a header or in a file: a tar of the same form
            gzip(&tar, 6)
        });
        let archive = format!("oci-archive:{}:latest", utf8(&dir.join("train.tar")));
        fixture.run(&["copy", &layout.at("0"), &archive]).ok();
        let before = snapshot(dir);
        for from in [layout.at("0"), archive] {
            for to in ["oci:%:latest", "oci-archive:%:latest", "dir:%"] {
                let to = to.replace('%', utf8(&dir.join("to")));
                let refused = fixture.pre_run(&from, &to, &[]).refused(3);
                assert!(refused.stderr.contains("do not have the diff ID"), "{}", refused.stderr);
            }
        }
        assert_eq!(differences(&before, &snapshot(dir), true), Vec::<String>::new(), "{wire:?}");
    }
}

/// Facts that somebody else could have put there, or that are none, are no facts.
#[test]
fn a_forged_memory_is_not_believed() {
    let fixture = MemoryFixture::new(Wire::V2_0);
    let layout = &fixture.train.layout;
    fixture.pre_run(&layout.at("0"), &layout.at("a"), &[]).ok();
    fixture.with_layer("0", |tar| gzip(&[tar, &[0; 512]].concat(), 6));
    let image = layout.image("0");
    let text = |value: &Value| value.as_str().expect("a digest").to_owned();
    let (blob, diff_id) =
        (text(&image["manifest"]["layers"][1]["digest"]), text(&image["config"]["rootfs"]["diff_ids"][1]));
    let line = format!("{blob} {diff_id} gzip");
    let refused = || fixture.pre_run(&layout.at("0"), &layout.at("b"), &[]).refused(3);
    for wrong in [format!("{line} x\n"), line.clone(), line.replace("gzip", "zip"), format!("{line}\0\n")] {
        fs::write(fixture.file(), wrong).expect("the file");
        refused();
    }
    fs::write(fixture.file(), format!("{line}\n")).expect("the file");
    for (path, mode) in [(fixture.file(), 0o666), (fixture.file(), 0o620), (fixture.cache.join("pht-oci"), 0o770)] {
        let honest = fs::metadata(&path).expect("it is there").permissions();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
        refused();
        fs::set_permissions(&path, honest).expect("a mode");
    }
    // The user's own file is believed: what is in it, this program has found.
    fixture.pre_run(&layout.at("0"), &layout.at("c"), &[]).ok();
}

/// A blob that is known may come under another media type: engines that believe the type would take it for something else.
#[test]
fn a_known_blob_is_still_held_against_its_media_type() {
    for wire in WIRES {
        let fixture = MemoryFixture::new(wire);
        let layout = &fixture.train.layout;
        fixture.pre_run(&layout.at("0"), &layout.at("a"), &[]).ok();
        layout.rewrite("0", "0", |manifest, _| {
            manifest["layers"][1]["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar+zstd");
        });
        let refused = fixture.pre_run(&layout.at("0"), &layout.at("b"), &[]).refused(3);
        assert!(refused.stderr.contains("contrary to its media type"), "{}", refused.stderr);
    }
}
