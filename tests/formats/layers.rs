//! Layers in other forms: compression, the names of entries, Docker's media types; and base layers that keep theirs.

use serde_json::json;

use super::stage::{Ground, layers};
use crate::support::{Peer, Wire, available, pht_oci};

const GZIP: [u8; 2] = [0x1f, 0x8b];

#[test]
fn recompressed() {
    if !available("formats::recompressed", &[Peer::Python, Peer::Zstd]) {
        return;
    }
    for wire in Wire::ALL {
        for how in ["zstd", "plain"] {
            let ground = Ground::with_base(wire);
            ground.reform(&["--compress", how]);
            let before = ground.layout.layers("latest");
            let [opened, closed] = ground.whole_stop();
            for image in [opened, closed] {
                assert_eq!(layers(&image).len(), 4, "base and two");
                for (at, layer) in layers(&image)[..2].iter().enumerate() {
                    let kept = [&before, &ground.layout.layers("base")].iter().any(|own| layer["digest"] == *own[at]);
                    assert!(kept, "base layer {at} is neither as it was nor as built (wire {wire:?}, {how})");
                }
            }
        }
    }
}

#[test]
fn names_of_entries() {
    if !available("formats::names_of_entries", &[Peer::Python]) {
        return;
    }
    for wire in Wire::ALL {
        for prefix in ["./", "/"] {
            let ground = Ground::new(wire);
            let before = ground.layout.view("latest", "opt");
            ground.reform(&["--names", prefix]);
            assert_eq!(before, ground.layout.view("latest", "opt"), "the helper keeps the view");
            ground.whole_stop();
        }
    }
}

/// The image stays in its family, with layers as Docker has them, and nothing that Docker wrote is lost.
#[test]
fn docker_schema_2() {
    if !available("formats::docker_schema_2", &[Peer::Python]) {
        return;
    }
    for wire in Wire::ALL {
        let ground = Ground::new(wire);
        ground.reform(&["--docker", "--annotate", r#"{"org.example.manifest":"kept"}"#]);
        let before = ground.layout.image("latest");
        for (stage, image) in ["pre-run", "post-run"].iter().zip(ground.whole_stop()) {
            let what = format!("{stage}, wire {wire:?}");
            let manifest = "application/vnd.docker.distribution.manifest.v2+json";
            assert_eq!(image["descriptor"]["mediaType"], manifest, "{what}");
            assert_eq!(image["manifest"]["mediaType"], manifest, "{what}");
            assert_eq!(
                image["manifest"]["config"]["mediaType"], "application/vnd.docker.container.image.v1+json",
                "{what}"
            );
            for layer in layers(&image) {
                assert_eq!(layer["mediaType"], "application/vnd.docker.image.rootfs.diff.tar.gzip", "{what}");
                if stage == &"post-run" {
                    let blob = ground.layout.blob(layer["digest"].as_str().expect("a digest"));
                    assert_eq!(std::fs::read(blob).expect("a blob")[..2], GZIP, "{what}: a layer that is not gzip");
                }
            }
            for field in ["docker_version", "container", "container_config", "id"] {
                assert_eq!(image["config"].get(field), before["config"].get(field), "{what}: {field}");
                assert!(image["config"].get(field).is_some(), "{what}: {field}");
            }
            for field in ["annotations", "x-unknown"] {
                assert_eq!(image["manifest"][field], before["manifest"][field], "{what}: {field}");
                assert!(!image["manifest"][field].is_null(), "{what}: {field}");
            }
            assert_eq!(image["manifest"]["config"]["annotations"], json!({"org.example.config": "kept"}), "{what}");
            assert_eq!(image["manifest"]["layers"][0], before["manifest"]["layers"][0], "{what}: the lowest layer");
        }
    }
}

/// An engine that the image went through has compressed all layers anew; the published image has the base layers as
/// they were, and the layout does not keep them twice.
#[test]
fn base_layers_come_back() {
    if !available("formats::base_layers_come_back", &[Peer::Python, Peer::Zstd]) {
        return;
    }
    for wire in Wire::ALL {
        for beside in ["latest-encrypted", "base"] {
            let ground = Ground::with_base(wire);
            let base = ground.layout.layers("base");
            ground.stage("pre-run", &["latest"], &[]).ok();
            ground.write("latest", "latest");
            ground.reform(&["--compress", "zstd"]);
            assert_ne!(ground.layout.layers("latest")[..base.len()], base, "the helper compresses anew");
            let other = if beside == "base" { "latest-encrypted" } else { "base" };
            drop_tag(&ground, other);
            let source = ground.layout.image("latest");
            let report = ground.stage("post-run", &["latest"], &["--format", "json"]).ok().json();
            ground.check_closed("latest");
            assert_eq!(ground.layout.layers("latest")[..base.len()], base, "wire {wire:?}, {beside} beside");
            assert_eq!(report["layers"]["reused"], base.len());
            for layer in layers(&source) {
                let digest = layer["digest"].as_str().expect("a digest");
                assert!(!ground.layout.blob(digest).exists(), "{digest} is in nobody's image any more");
            }
        }
    }
}

fn drop_tag(ground: &Ground, tag: &str) {
    let mut index = ground.index();
    let entries = index["manifests"].as_array_mut().expect("entries");
    let before = entries.len();
    entries.retain(|entry| entry["annotations"]["org.opencontainers.image.ref.name"] != tag);
    assert_eq!(entries.len() + 1, before, "there was a tag {tag}");
    std::fs::write(ground.layout.dir.join("index.json"), index.to_string()).expect("an index that can be written");
}

/// The family of the base is the family of the train that is built on it.
#[test]
fn built_on_a_docker_base() {
    if !available("formats::built_on_a_docker_base", &[Peer::Python]) {
        return;
    }
    let ground = Ground::with_base(Wire::V2_0);
    ground.layout.reform("image", &["base", "master", "--docker"]);
    let path = |name: &str| ground.vectors.dir.path().join(name).to_str().expect("UTF-8").to_owned();
    std::fs::create_dir(path("files")).expect("a new directory");
    std::fs::write(path("files/main"), "run").expect("a new file");
    let route = json!([{ "station": "s", "public_key_file": "keys/station_1.pub.pem" }]).to_string();
    std::fs::write(path("route.json"), route).expect("a new file");
    let (train, base, user) = (path("train"), ground.layout.at("master"), ground.vectors.key("user"));
    let (files, route, builder) = (path("files"), path("route.json"), ground.vectors.key("builder"));
    let line = ["build", &train, "--base", &base, "--files", &files, "--route", &route, "--creator", "c"];
    pht_oci(&[&line[..], &["--creator-key", &user, "--builder-key", &builder]].concat(), &[]).ok();
    let image = crate::support::Layout::new(train).image("latest");
    assert!(
        layers(&image).iter().all(|layer| layer["mediaType"] == "application/vnd.docker.image.rootfs.diff.tar.gzip")
    );
    assert_eq!(image["manifest"]["mediaType"], "application/vnd.docker.distribution.manifest.v2+json");
    assert_eq!(image["config"]["docker_version"], "20.10.24");
}
