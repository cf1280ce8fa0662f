//! Trains that engines and other tools made of their master image, held against it; by us and by the reference.

use std::fs;

use serde_json::{Value, json};

use super::engine::{Engine, Kind};
use support::peers::{run, test_file};
use support::{Implementation, Layout, Peer, Train, TrainSpec, Wire, available, pht_oci, utf8};

fn report(layout: &Layout, tag: &str, master: &str, status: i32) -> Value {
    let line = ["validate", &layout.at(tag), "--master", master, "--format", "json"];
    pht_oci(&line, &[]).expect(status).unwrap_or_else(|message| panic!("{message}")).json()
}

/// A train whose run left results, committed by an engine: as it is, and closed by post-run.
fn committed(kind: Kind) {
    if !available(&format!("engines::masters::committed {kind:?}"), &[Peer::Python, Peer::Busybox, kind.peer()]) {
        return;
    }
    let entrypoint = "#!/bin/sh\nmkdir /opt/pht_results/sub; echo x > /opt/pht_results/sub/x\n".to_owned();
    for wire in [Wire::V1_1_1, Wire::V2_0, Wire::V3] {
        let spec = TrainSpec { entrypoint: entrypoint.clone(), ..TrainSpec::default() };
        let train = Train::build(Implementation::Ours, wire, &spec).unwrap_or_else(|message| panic!("{message}"));
        let (mut engine, master) = (Engine::new(kind), train.base.at("base"));
        train.ours("pre-run", "0", "pre", 0).unwrap_or_else(|message| panic!("{message}"));
        let image = engine.load(&train.layout, "pre");
        engine.run_and_commit(&image, &train.layout, "ran");
        train.ours("post-run", "ran", "1", 0).unwrap_or_else(|message| panic!("{message}"));
        let found = report(&train.layout, "1", &master, 0);
        assert_eq!((&found["valid"], &found["differences"]), (&json!(true), &json!([])), "{wire:?}: {found}");
        // As committed there is what the engine itself put into a container of this bare master image, and nothing else.
        let status = if kind == Kind::Podman { 3 } else { 0 };
        let found = report(&train.layout, "ran", &master, status);
        let of_engine = ["/dev", "/etc/", "/proc", "/run", "/sys"];
        for difference in found["differences"].as_array().expect("a list") {
            let subject = difference["subject"].as_str().expect("a path");
            let expected = of_engine.iter().any(|path| subject.starts_with(path)) && difference["change"] == "added";
            assert!(expected, "{wire:?}: {difference}");
        }
    }
}

#[test]
fn committed_by_podman() {
    committed(Kind::Podman);
}

#[test]
fn committed_by_docker() {
    committed(Kind::Docker);
}

/// umoci unpacks the train and packs it again with a change; buildah makes one layer of all.
#[test]
fn repacked_and_squashed() {
    if !available("engines::masters::repacked", &[Peer::Python, Peer::Umoci, Peer::Buildah, Peer::Root]) {
        return;
    }
    let train = Train::build(Implementation::Ours, Wire::V2_0, &TrainSpec::default())
        .unwrap_or_else(|message| panic!("{message}"));
    let (layout, master, bundle) = (&train.layout, train.base.at("base"), train.dir.path().join("bundle"));
    let call = |program: &str, line: &[&str]| {
        let printed = run(program, line).unwrap_or_else(|message| panic!("{message}"));
        String::from_utf8(printed).expect("UTF-8").trim().to_owned()
    };
    let (image, to) = (format!("{}:0", layout.path()), utf8(&bundle));
    call("umoci", &["unpack", "--image", &image, to]);
    fs::write(bundle.join("rootfs/opt/pht_results/x"), "x").expect("a result");
    call("umoci", &["repack", "--image", &format!("{}:repacked", layout.path()), to]);
    assert_eq!(report(layout, "repacked", &master, 0)["common_layers"], 1);
    fs::write(bundle.join("rootfs/etc/os-release"), "ID=other\n").expect("a file of the master image");
    call("umoci", &["repack", "--image", &format!("{}:tampered", layout.path()), to]);
    let found = report(layout, "tampered", &master, 3);
    assert_eq!(found["differences"][0]["subject"], "/etc/os-release", "{found}");

    let (root, run_root) = (train.dir.path().join("root"), train.dir.path().join("run"));
    let place = ["--root", utf8(&root), "--runroot", utf8(&run_root)];
    let buildah = |line: &[&str]| call("buildah", &[&place, &["--storage-driver", "vfs"][..], line].concat());
    // buildah makes a name of the path, and names are in lower case.
    let lower = std::env::temp_dir().join(format!("pht-oci-test-squash-{}", std::process::id()));
    std::os::unix::fs::symlink(&layout.dir, &lower).expect("a new link");
    for (from, to, status) in [("0", "squashed", 0), ("tampered", "tampered-squashed", 3)] {
        let container = buildah(&["from", &format!("oci:{}:{from}", lower.display())]);
        buildah(&["commit", "-q", "--squash", &container, &format!("oci:{}:{to}", lower.display())]);
        assert_eq!(layout.layers(to).len(), 1, "{to}");
        let found = report(layout, to, &master, status);
        assert_eq!(found["means"], "files", "{found}");
    }
    fs::remove_file(lower).expect("the link");
}

/// The reference's own verdict on an image of its daemon; it fails open on what newer daemons save.
const REFERENCE: &str = "
import os, sys
sys.path.insert(0, os.path.join(os.environ['PHT_REFERENCE_HOME'], 'lib', '2.0.5'))
import docker
from train_lib.docker_util.validate_master_image import validate_train_image
try:
    validate_train_image(sys.argv[1], sys.argv[2], docker_client=docker.from_env())
except ValueError:
    print('differs')
else:
    print('valid')
";

#[test]
fn the_reference_agrees() {
    if !available("engines::masters::the_reference_agrees", &[Peer::Reference, Peer::Python, Peer::Busybox]) {
        return;
    }
    let train = Train::build(Implementation::Reference, Wire::V2_0, &TrainSpec::default())
        .unwrap_or_else(|message| panic!("{message}"));
    let (layout, master) = (&train.layout, train.base.at("base"));
    let tamper = |out: &str, entries: Value| {
        let script = test_file("python/tamper.py");
        let line = [utf8(&script), "layer", layout.path(), "0", out, &entries.to_string()];
        run("python3", &line).unwrap_or_else(|message| panic!("{message}"));
    };
    tamper("own", json!([{ "path": "opt/pht_train/more" }, { "path": "opt/pht_results/x" }]));
    tamper("changed", json!([{ "path": "etc/os-release", "data": "ID=other" }]));
    tamper("added", json!([{ "path": "usr/lib/evil" }]));
    let mut engine = Engine::new(Kind::Docker);
    let loaded_master = engine.load(&train.base, "base");
    let python = std::env::var("PHT_PYTHON").expect("PHT_PYTHON is set where the reference is");
    for (tag, status, verdict) in
        [("0", 0, "valid"), ("own", 0, "valid"), ("changed", 3, "differs"), ("added", 3, "differs")]
    {
        report(layout, tag, &master, status);
        let image = engine.load(layout, tag);
        let printed =
            run(&python, &["-c", REFERENCE, &loaded_master, &image]).unwrap_or_else(|message| panic!("{message}"));
        assert_eq!(String::from_utf8_lossy(&printed).trim(), verdict, "the reference on {tag}");
    }
}
