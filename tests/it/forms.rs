//! Layouts, documents and layers in every form that tools write: read as it is meant, or refused with what to do.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use support::{Implementation, Layout, Outcome, Train, TrainSpec, Wire, pht_oci, utf8};

const NAME: &str = "org.opencontainers.image.ref.name";
const IMAGE_NAME: &str = "io.containerd.image.name";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A train, alone in its layout as `latest`.
struct Fixture {
    train: Train,
    layout: Layout,
}

impl Fixture {
    fn new() -> Self {
        let train = Train::build(Implementation::Ours, Wire::V3, &TrainSpec::default()).unwrap();
        train.layout.tag("0", "latest");
        let layout = train.layout.only("latest", train.dir.path().join("alone"));
        Fixture { train, layout }
    }

    fn path(&self, name: &str) -> String {
        utf8(&self.train.dir.path().join(name)).to_owned()
    }

    fn index(&self) -> Value {
        serde_json::from_slice(&fs::read(self.layout.dir.join("index.json")).unwrap()).unwrap()
    }

    fn write_index(&self, index: &Value) {
        fs::write(self.layout.dir.join("index.json"), index.to_string()).unwrap();
    }

    fn list(&self, entries: &[Value]) {
        self.write_index(&json!({ "schemaVersion": 2, "manifests": entries }));
    }

    /// The train's entry with another member, or without it if that is null.
    fn entry(&self, changes: &[(&str, Value)]) -> Value {
        let mut entry = self.layout.image("latest")["descriptor"].clone();
        for (name, value) in changes {
            entry[*name] = value.clone();
            if value.is_null() {
                entry.as_object_mut().unwrap().remove(*name);
            }
        }
        entry
    }

    /// A variant of the train as another manifest, with its entry.
    fn variant(&self, edit: impl FnOnce(&mut Value, &mut Value)) -> Value {
        let before = self.index();
        self.layout.edit("latest", "variant", edit);
        let mut entry = self.layout.image("variant")["descriptor"].clone();
        entry.as_object_mut().unwrap().remove("annotations");
        self.write_index(&before);
        entry
    }

    fn arm(&self) -> Value {
        self.variant(|_, config| config["architecture"] = json!("arm64"))
    }

    fn amd(&self) -> Value {
        self.variant(|_, config| config["architecture"] = json!("amd64"))
    }

    fn inspect(&self, name: &str, more: &[&str]) -> Outcome {
        let image = format!("oci:{}{name}", self.layout.path());
        pht_oci(&[&["inspect", &image, "--format", "json"], more].concat(), &[])
    }

    /// The digest of the image that a name leads to.
    #[track_caller]
    fn found(&self, name: &str, more: &[&str]) -> Value {
        self.inspect(name, more).ok().json()["digest"].clone()
    }

    fn key(&self) -> String {
        self.train.key(&self.train.station_id(0))
    }

    fn pre_run(&self, images: &[&str]) -> Outcome {
        pht_oci(&[&["pre-run"], images, &["--private-key", &self.key()]].concat(), &[])
    }
}

fn machine() -> &'static str {
    if cfg!(target_arch = "aarch64") { "linux/arm64" } else { "linux/amd64" }
}

#[track_caller]
fn hint(outcome: &Outcome) -> String {
    let text = &outcome.stderr;
    let error: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    error["error"]["hint"].as_str().unwrap_or_else(|| panic!("no hint: {text}")).to_owned()
}

#[test]
fn null_is_an_empty_list() {
    let fixture = Fixture::new();
    let to = Layout::new(fixture.path("null"));
    fs::create_dir(&to.dir).unwrap();
    fs::write(to.dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    for list in [r#"{"schemaVersion":2,"manifests":null}"#, r#"{"schemaVersion":2,"manifests":[]}"#] {
        fs::write(to.dir.join("index.json"), list).unwrap();
        let refused = pht_oci(&["inspect", to.path(), "--format", "json"], &[]).refused(5);
        assert!(refused.stderr.contains("there is no image here") && !hint(&refused).is_empty());
        pht_oci(&["copy", &fixture.layout.at("latest"), &to.at("latest")], &[]).ok();
        pht_oci(&["inspect", &to.at("latest")], &[]).ok();
    }
    fs::write(to.dir.join("index.json"), r#"{"schemaVersion":2}"#).unwrap();
    pht_oci(&["inspect", to.path()], &[]).refused(5);

    // An image of nothing, as a base.
    let scratch = Layout::new(fixture.path("scratch"));
    scratch.make_base("base", false);
    scratch.edit("base", "base", |manifest, config| {
        manifest["layers"] = Value::Null;
        config["rootfs"]["diff_ids"] = Value::Null;
        config["history"] = Value::Null;
        config["config"] = Value::Null;
    });
    let files = fixture.path("own-files");
    fs::create_dir(&files).unwrap();
    fs::write(Path::new(&files).join("main"), "run").unwrap();
    let station = fixture.train.key(&fixture.train.station_id(0)).replace(".pem", ".pub.pem");
    let route = fixture.path("own-route.json");
    fs::write(&route, json!([{ "station": "a", "public_key_file": station }]).to_string()).unwrap();
    let keys = [fixture.train.key("user"), fixture.train.key("builder")];
    let train = fixture.path("built");
    let line = ["build", &train, "--base", &scratch.at("base"), "--files", &files, "--route", &route, "--creator", "c"];
    pht_oci(&[&line[..], &["--creator-key", &keys[0], "--builder-key", &keys[1]]].concat(), &[]).ok();
    pht_oci(&["verify", &train], &[]).ok();
}

#[test]
fn images_without_tags_have_digests_and_places() {
    let fixture = Fixture::new();
    let (train, other) = (fixture.entry(&[("annotations", Value::Null)]), fixture.arm());
    fixture.list(&[other.clone(), train.clone()]);
    let digest = |entry: &Value| entry["digest"].as_str().unwrap().to_owned();
    for entry in [&train, &other] {
        for name in [format!("@{}", digest(entry)), format!(":@{}", digest(entry))] {
            assert_eq!(fixture.found(&name, &[]), entry["digest"], "{name}");
        }
    }
    assert_eq!(fixture.found(":@0", &[]), other["digest"]);
    assert_eq!(fixture.found(":@1", &[]), train["digest"]);
    // A hint that can be followed.
    let refused = fixture.inspect("", &[]).refused(2);
    let names = hint(&refused);
    let name = names.split(' ').find(|word| word.starts_with("@sha256:")).unwrap();
    fixture.inspect(name.trim_end_matches(','), &[]).ok();
    for name in
        [":@2", ":@999", &format!("@sha256:{}", "0".repeat(64)), &format!(":latest@{}", digest(&train)), ":latest"]
    {
        assert!(!fixture.inspect(name, &[]).refused(2).stderr.is_empty(), "{name}");
    }
    // A bare path, and an archive of the layout, know them, too.
    let tar = fixture.path("untagged.tar");
    support::run("tar", &["cf", &tar, "-C", fixture.layout.path(), "."]).unwrap();
    for place in [fixture.layout.path().to_owned(), tar.clone(), format!("oci-archive:{tar}")] {
        let named = format!("{place}@{}", digest(&train));
        assert_eq!(pht_oci(&["inspect", &named, "--format", "json"], &[]).ok().json()["digest"], train["digest"]);
        let placed = format!("{place}:@0");
        assert_eq!(pht_oci(&["inspect", &placed, "--format", "json"], &[]).ok().json()["digest"], other["digest"]);
    }
    // They name what is there, and nothing that is to be.
    let named = format!("oci:{}@{}", fixture.layout.path(), digest(&train));
    pht_oci(&["copy", &named, &format!("oci:{}:@0", fixture.path("to"))], &[]).refused(2);
    pht_oci(&["copy", &named, &format!("oci:{}@{}", fixture.path("to"), digest(&train))], &[]).refused(2);
    assert!(!Path::new(&fixture.path("to")).exists());
    // In place the image that was named is opened, and the other stays.
    fixture.pre_run(&[&named]).ok();
    assert_eq!(fixture.found(":@0", &[]), other["digest"]);
    assert_eq!(fixture.layout.tags().len(), 3, "{:?}", fixture.layout.tags());
}

#[test]
fn one_image_under_several_names_is_one() {
    let fixture = Fixture::new();
    let digest = fixture.entry(&[])["digest"].clone();
    for names in [&["v1", "v1.0"][..], &["v1", "latest", "v2"], &["v1", "v1", "v1"]] {
        fixture.list(&names.iter().map(|name| fixture.tagged_as(name, &digest)).collect::<Vec<_>>());
        assert_eq!(fixture.found("", &[]), digest, "{names:?}");
        assert_eq!(fixture.found(":v1", &[]), digest, "{names:?}");
    }
    let untagged = fixture.tagged_as("x", &digest);
    let untagged = json!({ "mediaType": MANIFEST, "digest": untagged["digest"], "size": untagged["size"] });
    fixture.list(&[untagged.clone(), untagged]);
    assert_eq!(fixture.found("", &[]), digest);
    // In place one name changes; what had no name of its own gets one.
    fixture.list(&["v1", "latest", "v1"].map(|name| fixture.tagged_as(name, &digest)));
    fixture.pre_run(&[fixture.layout.path()]).ok();
    let mut tags: Vec<String> = fixture.layout.tags().iter().map(|tag| tag.as_str().unwrap().to_owned()).collect();
    tags.sort();
    assert_eq!(tags, ["latest", "latest-encrypted", "v1", "v1"]);
    fixture.pre_run(&[&fixture.layout.at("v1")]).ok();
    let mut tags: Vec<String> = fixture.layout.tags().iter().map(|tag| tag.as_str().unwrap().to_owned()).collect();
    tags.sort();
    assert_eq!(tags, ["latest", "latest-encrypted", "v1", "v1-encrypted"]);
}

impl Fixture {
    fn tagged_as(&self, tag: &str, digest: &Value) -> Value {
        let size = fs::metadata(self.layout.blob(digest.as_str().unwrap())).unwrap().len();
        json!({ "mediaType": MANIFEST, "digest": digest, "size": size, "annotations": { NAME: tag } })
    }
}

#[test]
fn one_tag_may_name_an_image_for_each_platform() {
    let fixture = Fixture::new();
    let of = |mut entry: Value, machine: &str| {
        entry["annotations"] = json!({ NAME: "v1" });
        entry["platform"] = json!({ "os": "linux", "architecture": machine });
        entry
    };
    let (arm, amd) = (of(fixture.arm(), "arm64"), of(fixture.amd(), "amd64"));
    fixture.list(&[amd.clone(), arm.clone()]);
    for name in ["", ":v1"] {
        assert_eq!(fixture.found(name, &["--platform", "linux/arm64"]), arm["digest"]);
        assert_eq!(fixture.found(name, &["--platform", "linux/amd64"]), amd["digest"]);
        let here = if machine() == "linux/arm64" { &arm } else { &amd };
        assert_eq!(fixture.found(name, &[]), here["digest"]);
        let refused = fixture.inspect(name, &["--platform", "linux/s390x"]).refused(2);
        assert!(hint(&refused).contains("linux/arm64"), "{}", refused.stderr);
    }
    // One image would take the place of two.
    let before = fixture.index();
    let image = fixture.layout.at("v1");
    let refused = fixture.pre_run(&[&image, "--format", "json"]).refused(2);
    assert!(hint(&refused).contains("DEST"), "{}", refused.stderr);
    let elsewhere = format!("oci:{}:latest", fixture.path("elsewhere"));
    pht_oci(&["copy", &fixture.train.layout.at("0"), &image], &[]).refused(2);
    assert_eq!(fixture.index(), before);
    fixture.pre_run(&[&image, &elsewhere, "--platform", machine()]).ok();
    // Without platforms, or with the same one, nobody can tell which is meant.
    let mut same = arm.clone();
    same["platform"] = amd["platform"].clone();
    let mut none = arm;
    none.as_object_mut().unwrap().remove("platform");
    for second in [same, none] {
        fixture.list(&[amd.clone(), second]);
        assert!(hint(&fixture.inspect(":v1", &[]).refused(5)).contains("sha256"));
    }
}

/// Two images with one name in containerd: the last one loaded takes the place of the other.
#[test]
fn a_name_for_containerd_goes_with_its_tag() {
    let fixture = Fixture::new();
    let annotations =
        json!({ NAME: "latest", IMAGE_NAME: "docker.io/library/train:latest", "org.example.kept": "yes" });
    fixture.list(&[fixture.entry(&[("annotations", annotations)])]);
    let names = |layout: &Layout| -> Vec<(Value, Value)> {
        let index: Value = serde_json::from_slice(&fs::read(layout.dir.join("index.json")).unwrap()).unwrap();
        let entries = index["manifests"].as_array().unwrap().clone();
        entries
            .iter()
            .map(|entry| (entry["annotations"][NAME].clone(), entry["annotations"][IMAGE_NAME].clone()))
            .collect()
    };
    let copied = Layout::new(fixture.path("copied"));
    for tag in ["latest", "other", "again"] {
        pht_oci(&["copy", &fixture.layout.at("latest"), &copied.at(tag)], &[]).ok();
    }
    let own = json!("docker.io/library/train:latest");
    assert_eq!(
        names(&copied),
        [(json!("latest"), own.clone()), (json!("other"), Value::Null), (json!("again"), Value::Null)]
    );
    assert_eq!(copied.image("other")["descriptor"]["annotations"]["org.example.kept"], "yes", "no name: it stays");
    fixture.pre_run(&[fixture.layout.path()]).ok();
    let named = names(&fixture.layout).into_iter().filter(|(_, name)| *name == own).count();
    assert!(named <= 1, "{:?}", names(&fixture.layout));
    // Archives as well.
    let archive = format!("oci-archive:{}:first", fixture.path("a.tar"));
    pht_oci(&["copy", &copied.at("latest"), &archive], &[]).ok();
    pht_oci(&["copy", &archive, &archive.replace(":first", ":second")], &[]).ok();
    let back = Layout::new(fixture.path("back"));
    fs::create_dir(&back.dir).unwrap();
    support::run("tar", &["xf", &fixture.path("a.tar"), "-C", back.path()]).unwrap();
    assert!(names(&back).iter().all(|(_, name)| name.is_null()), "{:?}", names(&back));
}

/// What an index holds, the platform that is asked for, and the image that is found or the exit status.
type IndexCase<'a> = (&'a str, Vec<&'a Value>, Option<&'a str>, Result<&'a Value, i32>);

fn with(entry: &Value, name: &str, value: Value) -> Value {
    let mut entry = entry.clone();
    entry[name] = value;
    entry
}

/// Indexes whose entries do not say what they are: the configs do.
#[test]
fn indexes_without_platforms() {
    let fixture = Fixture::new();
    let (arm, amd) = (fixture.arm(), fixture.amd());
    let artifact = fixture.variant(|manifest, _| {
        manifest["config"]["mediaType"] = json!("application/vnd.oci.empty.v1+json");
    });
    let typed = fixture.variant(|manifest, _| manifest["artifactType"] = json!("application/spdx+json"));
    let unknown = fixture.variant(|_, config| {
        config["os"] = json!("unknown");
        config["architecture"] = json!("unknown");
    });
    let absent = json!({ "mediaType": MANIFEST, "digest": format!("sha256:{}", "1".repeat(64)), "size": 100 });
    let no_platform = fixture.variant(|_, config| {
        config.as_object_mut().unwrap().retain(|name, _| !["os", "architecture"].contains(&name.as_str()));
    });
    let stated = with(&arm, "platform", json!({ "os": "linux", "architecture": "arm64" }));
    let nested = fixture.layout.put(&json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [stated] }));
    let nested = with(&nested, "mediaType", json!(INDEX));
    let empty = with(&amd, "platform", json!({ "os": "", "architecture": "" }));
    let attested = with(&arm, "annotations", json!({ "vnd.docker.reference.type": "attestation-manifest" }));
    let spdx = with(&arm, "artifactType", json!("application/spdx+json"));
    let said_to_be_an_image = with(&amd, "artifactType", json!("application/vnd.oci.image.config.v1+json"));
    let cases: [IndexCase; 16] = [
        ("two images", vec![&arm, &amd], Some("linux/amd64"), Ok(&amd)),
        ("two images, the other", vec![&arm, &amd], Some("linux/arm64"), Ok(&arm)),
        ("neither", vec![&arm, &amd], Some("linux/s390x"), Err(2)),
        ("one with a platform and one without", vec![&stated, &amd], Some("linux/amd64"), Ok(&amd)),
        ("empty platforms", vec![&stated, &empty], Some("linux/amd64"), Ok(&amd)),
        ("an artifact by its type", vec![&spdx, &amd], None, Ok(&amd)),
        ("an artifact by its manifest", vec![&typed, &amd], None, Ok(&amd)),
        ("an artifact by its config", vec![&artifact, &amd], None, Ok(&amd)),
        ("an attestation by its config", vec![&unknown, &amd], None, Ok(&amd)),
        ("an attestation by its annotation", vec![&attested, &amd], None, Ok(&amd)),
        ("an image that says so", vec![&said_to_be_an_image], Some("linux/amd64"), Ok(&amd)),
        ("an index below", vec![&nested, &amd], Some("linux/arm64"), Ok(&arm)),
        ("one that was not copied", vec![&absent, &amd], Some("linux/amd64"), Ok(&amd)),
        ("only one that was not copied", vec![&absent], Some("linux/amd64"), Err(5)),
        ("one that is for nothing", vec![&no_platform], Some("linux/amd64"), Ok(&no_platform)),
        ("nothing", vec![], None, Err(2)),
    ];
    for (what, entries, platform, expected) in cases {
        let stored = fixture.layout.put(&json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries }));
        let mut entry = with(&stored, "mediaType", json!(INDEX));
        entry["annotations"] = json!({ NAME: "latest" });
        fixture.list(&[entry]);
        let option: Vec<&str> = platform.map(|platform| vec!["--platform", platform]).unwrap_or_default();
        match expected {
            Ok(wanted) => {
                let found = fixture.inspect("", &option).expect(0).unwrap_or_else(|error| panic!("{what}: {error}"));
                assert_eq!(found.json()["digest"], wanted["digest"], "{what}");
            }
            Err(status) => {
                let refused = fixture.inspect("", &option).expect(status);
                assert!(!hint(&refused.unwrap_or_else(|error| panic!("{what}: {error}"))).is_empty(), "{what}");
            }
        }
    }
}

#[test]
fn a_foreign_layer_is_called_foreign() {
    let fixture = Fixture::new();
    let kinds = [
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    ];
    for kind in kinds {
        let foreign = json!({
            "mediaType": kind, "digest": format!("sha256:{}", "2".repeat(64)), "size": 1000,
            "urls": ["https://example.invalid/l", "https://second.invalid/\u{1b}[2J"],
        });
        fixture.layout.edit("latest", "foreign", |manifest, config| {
            manifest["layers"].as_array_mut().unwrap().insert(0, foreign);
            config["rootfs"]["diff_ids"].as_array_mut().unwrap().insert(0, json!(format!("sha256:{}", "3".repeat(64))));
        });
        let (from, to) = (fixture.layout.at("foreign"), format!("oci:{}:x", fixture.path("to")));
        for line in [&["copy", &from, &to][..], &["inspect", &from], &["extract", &from, "/opt/train_config.json"]] {
            let message = pht_oci(line, &[]).refused(5).stderr;
            assert!(message.contains("a foreign layer") && message.contains("hint"), "{message}");
            assert!(message.contains("https://example.invalid/l") && !message.contains('\u{1b}'), "{message}");
        }
    }
}

/// A header of one block with these fields set as they are.
fn header(name: &str, size: usize, kind: u8, link: &str, fields: &[(usize, &[u8])]) -> Vec<u8> {
    let mut block = vec![0; 512];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.as_bytes());
    put(100, if kind == b'5' { b"0000755\0" } else { b"0000644\0" });
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, b"14524753000\0");
    put(156, &[kind]);
    put(157, link.as_bytes());
    put(257, b"ustar\x0000");
    fields.iter().for_each(|(at, bytes)| put(*at, bytes));
    put(148, b"        ");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn padded(data: &[u8]) -> Vec<u8> {
    let mut data = data.to_vec();
    data.resize(data.len().next_multiple_of(512), 0);
    data
}

fn file(name: &str, data: &[u8]) -> Vec<u8> {
    [header(name, data.len(), b'0', "", &[]), padded(data)].concat()
}

fn link(name: &str, target: &str) -> Vec<u8> {
    header(name, 0, b'1', target, &[])
}

fn pax(records: &str) -> Vec<u8> {
    [header("PaxHeaders/x", records.len(), b'x', "", &[]), padded(records.as_bytes())].concat()
}

/// The train's image with one more layer of these parts, as a tag.
fn with_layer(fixture: &Fixture, tag: &str, parts: &[Vec<u8>]) -> String {
    fixture.layout.append_tar("latest", tag, &[parts.concat(), vec![0; 1024]].concat());
    fixture.layout.at(tag)
}

#[test]
fn directories_that_no_entry_names_are_extracted() {
    let fixture = Fixture::new();
    let parts = [file("app/data/deep/f", b"one"), file("app/g", b"two"), file("etc/new/h", b"three")];
    let image = with_layer(&fixture, "implied", &parts);
    for (path, below) in [("/app", "data/deep/f"), ("app/data", "deep/f"), ("/app/data/deep/", "f"), ("/etc", "new/h")]
    {
        let out = fixture.path(&format!("out{}", path.replace('/', "-")));
        pht_oci(&["extract", &image, path, "--out", &out], &[]).ok();
        assert!(Path::new(&out).join(below).is_file(), "{path}");
    }
    let tar = pht_oci(&["extract", &image, "/app", "--out", "-"], &[]).ok().stdout;
    let names: Vec<String> = tar::Archive::new(&tar[..])
        .entries()
        .unwrap()
        .map(|entry| String::from_utf8(entry.unwrap().path_bytes().into_owned()).unwrap())
        .collect();
    assert_eq!(
        names.iter().map(|name| name.trim_end_matches('/')).collect::<Vec<_>>(),
        ["app/data", "app/data/deep", "app/data/deep/f", "app/g"]
    );
    pht_oci(&["extract", &image, "/app/dat", "--out", &fixture.path("none")], &[]).refused(2);
    // What a whiteout has removed is not there, with all below it.
    let gone = [file("app/.wh.data", b"")].concat();
    fixture.layout.append_tar("implied", "removed", &[gone, vec![0; 1024]].concat());
    pht_oci(&["extract", &fixture.layout.at("removed"), "/app/data", "--out", &fixture.path("none")], &[]).refused(2);
}

/// The same among a run's results: they travel on, and arrive.
#[test]
fn results_in_directories_that_no_entry_names_arrive() {
    for wire in Wire::OURS {
        let train = Train::build(Implementation::Ours, wire, &TrainSpec::default()).unwrap();
        let path = |name: &str| utf8(&train.dir.path().join(name)).to_owned();
        let keys = [train.key(&train.station_id(0)), train.key(&train.station_id(1)), train.key("user")];
        let (image, open) = (train.layout.at("run"), train.layout.at("open"));
        pht_oci(&["pre-run", &train.layout.at("0"), &open, "--private-key", &keys[0]], &[]).ok();
        let layer = [file("opt/pht_results/sub/deep/f", b"hi"), vec![0; 1024]].concat();
        train.layout.append_tar("open", "run", &layer);
        let closed = train.layout.at("closed");
        pht_oci(&["post-run", &image, &closed, "--private-key", &keys[0]], &[]).ok();
        for out in ["out", "out.tar"] {
            pht_oci(&["results", &closed, "--private-key", &keys[2], "--out", &path(out)], &[]).ok();
        }
        assert_eq!(fs::read(path("out/sub/deep/f")).unwrap(), b"hi", "{wire:?}");
        let line = ["pre-run", &closed, &train.layout.at("again"), "--private-key", &keys[1], "--results", &path("at")];
        pht_oci(&line, &[]).ok();
        assert_eq!(fs::read(path("at/sub/deep/f")).unwrap(), b"hi", "{wire:?}");
    }
}

/// Old versions of Docker on AUFS: a file with several names is in a directory of AUFS's, and its names are hard links.
#[test]
fn layers_of_aufs_have_their_files() {
    let fixture = Fixture::new();
    let plnk = |contents: &[u8]| file(".wh..wh.plnk/123.456", contents);
    let directory = header(".wh..wh.plnk/", 0, b'5', "", &[]);
    let aufs = file(".wh..wh.aufs", b"");
    let parts = [
        aufs.clone(),
        directory.clone(),
        plnk(b"several names"),
        header("app/", 0, b'5', "", &[]),
        link("app/a", ".wh..wh.plnk/123.456"),
        link("app/b", ".wh..wh.plnk/123.456"),
        file("app/c", b"one name"),
    ];
    let image = with_layer(&fixture, "aufs", &parts);
    for name in ["a", "b"] {
        assert_eq!(pht_oci(&["extract", &image, &format!("/app/{name}")], &[]).ok().stdout, b"several names", "{name}");
    }
    let out = fixture.path("app");
    pht_oci(&["extract", &image, "/app", "--out", &out], &[]).ok();
    assert_eq!(fs::read(Path::new(&out).join("b")).unwrap(), b"several names");
    assert_eq!(fs::read_dir(&out).unwrap().count(), 3);
    pht_oci(&["extract", &image, "/.wh..wh.plnk/123.456"], &[]).refused(2);
    // Engines refuse what they have not seen; what lies in a lower layer is none of this one's.
    let later = [header("app/", 0, b'5', "", &[]), link("app/a", ".wh..wh.plnk/123.456"), plnk(b"late")];
    let message = pht_oci(&["extract", &with_layer(&fixture, "late", &later), "/app/a"], &[]).refused(5).stderr;
    assert!(message.contains("/app/a") && message.contains("does not come before it"), "{message}");
    let upper = [header("app/", 0, b'5', "", &[]), link("app/d", ".wh..wh.plnk/123.456")].concat();
    fixture.layout.append_tar("aufs", "upper", &[upper, vec![0; 1024]].concat());
    pht_oci(&["extract", &fixture.layout.at("upper"), "/app/d"], &[]).refused(5);
    let other = [directory, plnk(b"x"), header("app/a", 0, b'1', ".wh..wh.plnk/123.456", &[(100, b"0004755\0")])];
    pht_oci(&["extract", &with_layer(&fixture, "other", &other), "/app/a"], &[]).refused(5);
}

/// Numbers that some writers write and readers do not agree on: nothing is invented, and the entry is named.
#[test]
fn odd_numbers_in_headers_name_their_entry() {
    let fixture = Fixture::new();
    let negative: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe];
    let record = |record: &str| {
        let rest = record.len() + 2;
        let length = if rest < 9 { rest + 1 } else { rest + 2 };
        pax(&format!("{length} {record}\n"))
    };
    let cases: [(&str, Vec<Vec<u8>>); 10] = [
        ("uid -2", vec![header("opt/f", 2, b'0', "", &[(108, negative)]), padded(b"hi")]),
        ("gid -2", vec![header("opt/f", 2, b'0', "", &[(116, negative)]), padded(b"hi")]),
        ("a negative size", vec![header("opt/f", 2, b'0', "", &[(124, &[0xff; 12])]), padded(b"hi")]),
        ("PAX uid=-2", vec![record("uid=-2"), file("opt/f", b"hi")]),
        ("PAX gid=-1", vec![record("gid=-1"), file("opt/f", b"hi")]),
        ("PAX mtime=", vec![record("mtime="), file("opt/f", b"hi")]),
        ("PAX size=", vec![record("size="), file("opt/f", b"hi")]),
        ("PAX mtime=x", vec![record("mtime=x"), file("opt/f", b"hi")]),
        ("PAX uid=4294967295", vec![pax("18 uid=4294967295\n"), file("opt/f", b"hi")]),
        ("PAX uid=1.5", vec![record("uid=1.5"), file("opt/f", b"hi")]),
    ];
    for (what, parts) in cases {
        let image = with_layer(&fixture, "odd", &parts);
        let message = pht_oci(&["extract", &image, "/opt/f"], &[]).refused(5).stderr;
        assert!(message.contains("/opt/f:"), "{what}: {message}");
    }
    // A run's results, too: post-run neither loses nor invents an owner.
    fixture.pre_run(&[fixture.layout.path()]).ok();
    let parts = [
        header("opt/pht_results/", 0, b'5', "", &[]),
        header("opt/pht_results/f", 2, b'0', "", &[(108, negative)]),
        padded(b"hi"),
        vec![0; 1024],
    ];
    fixture.layout.append_tar("latest", "latest", &parts.concat());
    let line = ["post-run", &fixture.layout.at("latest"), "--private-key", &fixture.key()];
    let message = pht_oci(&line, &[]).refused(5).stderr;
    assert!(message.contains("/opt/pht_results/f"), "{message}");
}
