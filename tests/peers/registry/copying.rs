//! `copy` of several images at once.

use std::fs;

use super::journey::PLAIN;
use super::server::Server;
use support::{Layout, Peer, available, pht_oci, run};

#[test]
fn an_index_comes_with_its_images_for_all_platforms() {
    let test = "registry::an_index_comes_with_its_images_for_all_platforms";
    if !available(test, &[Peer::Registry, Peer::Python, Peer::Skopeo]) {
        return;
    }
    let (server, dir) = (Server::open(), tempfile::tempdir().unwrap());
    let layout = Layout::new(dir.path().join("several"));
    layout.make_base("latest", false);
    for machine in ["amd64", "arm64"] {
        layout.reform("image", &["latest", machine, "--architecture", machine]);
    }
    layout.reform("index", &["latest", "linux/arm64=arm64", "linux/amd64=amd64", "--attest"]);

    let there = server.at("several:latest");
    pht_oci(&[&["copy", "--all", &layout.at("latest"), &there], &PLAIN[..]].concat(), &[]).ok();
    let back = Layout::new(dir.path().join("back"));
    pht_oci(&[&["copy", "--all", &there, &back.at("latest")], &PLAIN[..]].concat(), &[]).ok();
    let digest = |layout: &Layout| {
        let index: serde_json::Value =
            serde_json::from_slice(&fs::read(layout.dir.join("index.json")).unwrap()).unwrap();
        index["manifests"][0]["digest"].clone()
    };
    assert_eq!(digest(&back), digest(&layout));
    for machine in ["amd64", "arm64"] {
        let options = ["--insecure-policy", "--override-arch", machine, "inspect", "--tls-verify=false", "--config"];
        let config = run("skopeo", &[&options[..], &["--format", "{{.Architecture}}", &there]].concat()).unwrap();
        assert_eq!(String::from_utf8_lossy(&config).trim(), machine);
    }
}
