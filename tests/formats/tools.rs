//! Images that umoci and buildah wrote.

use std::fs;

use super::stage::{Ground, RESULT, layers};
use crate::support::peers::run;
use crate::support::{Edit, Peer, Wire, available};

#[track_caller]
fn call(program: &str, arguments: &[&str]) -> Vec<u8> {
    run(program, arguments).unwrap_or_else(|told| panic!("{told}"))
}

/// The run happens in a bundle that umoci unpacked and packed again; both umoci's layer and its config are read.
#[test]
fn umoci() {
    if !available("formats::umoci", &[Peer::Python, Peer::Umoci, Peer::Root]) {
        return;
    }
    for wire in Wire::ALL {
        let ground = Ground::with_base(wire);
        ground.stage("pre-run", &["latest"], &[]).ok();
        ground.check_opened("latest");
        let bundle = ground.vectors.dir.path().join("bundle");
        let (image, to) = (format!("{}:latest", ground.layout.path()), bundle.to_str().expect("UTF-8"));
        call("umoci", &["unpack", "--image", &image, to]);
        let results = bundle.join("rootfs").join(RESULT);
        fs::write(&results, "second run\n").expect("a result");
        fs::remove_file(results.with_file_name("sub.txt")).expect("a result of the first station");
        call("umoci", &["repack", "--image", &image, to]);
        call("umoci", &["config", "--image", &image, "--config.label", "org.example.umoci=kept"]);
        ground.stage("post-run", &["latest"], &[]).ok();
        ground.check_closed("latest");
        assert!(!ground.layout.view("latest", "opt/pht_results").contains_key("opt/pht_results/sub.txt"));
        let closed = ground.layout.image("latest");
        assert_eq!(layers(&closed).len(), 4, "base and two");
        assert_eq!(closed["config"]["config"]["Labels"]["org.example.umoci"], "kept");
    }
}

/// The same by buildah, which copies through its own storage: every layer is compressed anew.
#[test]
fn buildah() {
    if !available("formats::buildah", &[Peer::Python, Peer::Buildah, Peer::Root]) {
        return;
    }
    let ground = Ground::with_base(Wire::V2_0);
    ground.stage("pre-run", &["latest"], &[]).ok();
    let storage = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| storage.path().join(name).to_str().expect("UTF-8").to_owned();
    let (root, run_root) = (path("root"), path("run"));
    let buildah = |arguments: &[&str]| {
        let place = ["--root", &root, "--runroot", &run_root, "--storage-driver", "vfs"];
        String::from_utf8(call("buildah", &[&place, arguments].concat())).expect("UTF-8").trim().to_owned()
    };
    // buildah makes a name of the path, and names are in lower case.
    let lower = std::env::temp_dir().join(format!("pht-oci-test-buildah-{}", std::process::id()));
    std::os::unix::fs::symlink(&ground.layout.dir, &lower).expect("a new link");
    let image = format!("oci:{}:latest", lower.display());
    let container = buildah(&["from", &image]);
    let mounted = buildah(&["mount", &container]);
    fs::write(format!("{mounted}/{RESULT}"), "second run\n").expect("a result");
    buildah(&["umount", &container]);
    buildah(&["commit", "-q", &container, &image]);
    fs::remove_file(lower).expect("the link");
    ground.stage("post-run", &["latest"], &[]).ok();
    ground.check_closed("latest");
    let base = ground.layout.layers("base");
    assert_eq!(ground.layout.layers("latest")[..base.len()], base, "the base layers as they were");
    assert_eq!(ground.layout.layers("latest").len(), base.len() + 2);
}

/// A train committed twice, by one tool on top of another: everything above the base is replaced.
#[test]
fn several_layers_of_a_run() {
    if !available("formats::several_layers_of_a_run", &[Peer::Python]) {
        return;
    }
    let ground = Ground::with_base(Wire::V1_1_1);
    ground.stage("pre-run", &["latest"], &[]).ok();
    ground.layout.append("latest", "latest", &[Edit::Put(RESULT, b"first half\n".to_vec())]);
    ground.layout.append("latest", "latest", &[Edit::Remove(RESULT), Edit::Put("tmp/log", b"log".to_vec())]);
    ground.write("latest", "latest");
    let report = ground.stage("post-run", &["latest"], &["--format", "json"]).ok().json();
    assert_eq!(report["layers"]["dropped"].as_array().map(Vec::len), Some(5), "payload, control and the run's three");
    assert!(report["notes"].to_string().contains("/tmp/log"), "what was dropped is named: {}", report["notes"]);
    ground.check_closed("latest");
    assert!(!ground.layout.view("latest", "tmp").contains_key("tmp/log"));
}
