//! Images that umoci and buildah wrote.

use std::fs;

use support::peers::run;
use support::stage::{RESULT, StageFixture, layers};
use support::{Peer, Wire, available, utf8};

#[track_caller]
fn call(program: &str, arguments: &[&str]) -> Vec<u8> {
    run(program, arguments).unwrap_or_else(|message| panic!("{message}"))
}

/// The run happens in a bundle that umoci unpacked and packed again; both umoci's layer and its config are read.
#[test]
fn umoci() {
    if !available("formats::umoci", &[Peer::Python, Peer::Umoci, Peer::Root]) {
        return;
    }
    for wire in Wire::ALL {
        let fixture = StageFixture::with_base(wire);
        fixture.stage("pre-run", &["latest"], &[]).ok();
        fixture.check_opened("latest");
        let bundle = fixture.vectors.dir.path().join("bundle");
        let (image, to) = (format!("{}:latest", fixture.layout.path()), utf8(&bundle));
        call("umoci", &["unpack", "--image", &image, to]);
        let results = bundle.join("rootfs").join(RESULT);
        fs::write(&results, "second run\n").expect("a result");
        fs::remove_file(results.with_file_name("sub.txt")).expect("a result of the first station");
        call("umoci", &["repack", "--image", &image, to]);
        call("umoci", &["config", "--image", &image, "--config.label", "org.example.umoci=kept"]);
        fixture.stage("post-run", &["latest"], &[]).ok();
        fixture.check_closed("latest");
        assert!(!fixture.layout.view("latest", "opt/pht_results").contains_key("opt/pht_results/sub.txt"));
        let closed = fixture.layout.image("latest");
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
    let fixture = StageFixture::with_base(Wire::V2_0);
    fixture.stage("pre-run", &["latest"], &[]).ok();
    let storage = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| storage.path().join(name).to_str().expect("UTF-8").to_owned();
    let (root, run_root) = (path("root"), path("run"));
    let buildah = |arguments: &[&str]| {
        let place = ["--root", &root, "--runroot", &run_root, "--storage-driver", "vfs"];
        String::from_utf8(call("buildah", &[&place, arguments].concat())).expect("UTF-8").trim().to_owned()
    };
    // buildah makes a name of the path, and names are in lower case.
    let lower = std::env::temp_dir().join(format!("pht-oci-test-buildah-{}", std::process::id()));
    std::os::unix::fs::symlink(&fixture.layout.dir, &lower).expect("a new link");
    let image = format!("oci:{}:latest", lower.display());
    let container = buildah(&["from", &image]);
    let mounted = buildah(&["mount", &container]);
    fs::write(format!("{mounted}/{RESULT}"), "second run\n").expect("a result");
    buildah(&["umount", &container]);
    buildah(&["commit", "-q", &container, &image]);
    fs::remove_file(lower).expect("the link");
    fixture.stage("post-run", &["latest"], &[]).ok();
    fixture.check_closed("latest");
    let base = fixture.layout.layers("base");
    assert_eq!(fixture.layout.layers("latest")[..base.len()], base, "the base layers as they were");
    assert_eq!(fixture.layout.layers("latest").len(), base.len() + 2);
}
