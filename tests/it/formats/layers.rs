//! Layers in other forms: compression, the names of entries, Docker's media types; and base layers that keep theirs.

use serde_json::json;

use support::stage::{RESULT, StageFixture, layers};
use support::{Edit, Peer, Wire, available, pht_oci, utf8};

const GZIP: [u8; 2] = [0x1f, 0x8b];

#[test]
fn recompressed() {
    if !available("formats::recompressed", &[Peer::Python, Peer::Zstd]) {
        return;
    }
    for wire in Wire::ALL {
        for how in ["zstd", "plain"] {
            let fixture = StageFixture::with_base(wire);
            fixture.reform(&["--compress", how]);
            let before = fixture.layout.layers("latest");
            let [opened, closed] = fixture.whole_stop();
            for image in [opened, closed] {
                assert_eq!(layers(&image).len(), 4, "base and two");
                for (at, layer) in layers(&image)[..2].iter().enumerate() {
                    let kept = [&before, &fixture.layout.layers("base")].iter().any(|own| layer["digest"] == *own[at]);
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
            let fixture = StageFixture::new(wire);
            let before = fixture.layout.view("latest", "opt");
            fixture.reform(&["--names", prefix]);
            assert_eq!(before, fixture.layout.view("latest", "opt"), "the helper keeps the view");
            fixture.whole_stop();
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
        let fixture = StageFixture::new(wire);
        fixture.reform(&["--docker", "--annotate", r#"{"org.example.manifest":"kept"}"#]);
        let before = fixture.layout.image("latest");
        for (stage, image) in ["pre-run", "post-run"].iter().zip(fixture.whole_stop()) {
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
                    let blob = fixture.layout.blob(layer["digest"].as_str().expect("a digest"));
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
            let fixture = StageFixture::with_base(wire);
            let base = fixture.layout.layers("base");
            fixture.stage("pre-run", &["latest"], &[]).ok();
            fixture.write("latest", "latest");
            fixture.reform(&["--compress", "zstd"]);
            assert_ne!(fixture.layout.layers("latest")[..base.len()], base, "the helper compresses anew");
            let other = if beside == "base" { "latest-encrypted" } else { "base" };
            drop_tag(&fixture, other);
            let source = fixture.layout.image("latest");
            let report = fixture.stage("post-run", &["latest"], &["--format", "json"]).ok().json();
            fixture.check_closed("latest");
            assert_eq!(fixture.layout.layers("latest")[..base.len()], base, "wire {wire:?}, {beside} beside");
            assert_eq!(report["layers"]["reused"], base.len());
            for layer in layers(&source) {
                let digest = layer["digest"].as_str().expect("a digest");
                assert!(!fixture.layout.blob(digest).exists(), "{digest} is in nobody's image any more");
            }
        }
    }
}

fn drop_tag(fixture: &StageFixture, tag: &str) {
    let mut index = fixture.index();
    let entries = index["manifests"].as_array_mut().expect("entries");
    let before = entries.len();
    entries.retain(|entry| entry["annotations"]["org.opencontainers.image.ref.name"] != tag);
    assert_eq!(entries.len() + 1, before, "there was a tag {tag}");
    std::fs::write(fixture.layout.dir.join("index.json"), index.to_string()).expect("an index that can be written");
}

/// The family of the base is the family of the train that is built on it.
#[test]
fn built_on_a_docker_base() {
    if !available("formats::built_on_a_docker_base", &[Peer::Python]) {
        return;
    }
    let fixture = StageFixture::with_base(Wire::V2_0);
    fixture.layout.make_base("plain", false);
    fixture.layout.reform("image", &["plain", "master", "--docker"]);
    let path = |name: &str| utf8(&fixture.vectors.dir.path().join(name)).to_owned();
    std::fs::create_dir(path("files")).expect("a new directory");
    std::fs::write(path("files/main"), "run").expect("a new file");
    let route = json!([{ "station": "s", "public_key_file": "keys/station_1.pub.pem" }]).to_string();
    std::fs::write(path("route.json"), route).expect("a new file");
    let (train, base, user) = (path("train"), fixture.layout.at("master"), fixture.vectors.key("user"));
    let (files, route, builder) = (path("files"), path("route.json"), fixture.vectors.key("builder"));
    for wire in Wire::OURS {
        let line = ["build", &train, "--base", &base, "--files", &files, "--route", &route, "--creator", "c"];
        let keys = ["--creator-key", &user, "--builder-key", &builder, "--wire", wire.option(), "--format", "json"];
        let known = ["--master", "registry.example/master:1", "--cmd", "/opt/pht_train/main"];
        let report = pht_oci(&[&line[..], &keys, &known].concat(), &[]).ok().json();
        let image = support::Layout::new(&train).image("latest");
        let gzip = "application/vnd.docker.image.rootfs.diff.tar.gzip";
        assert!(layers(&image).iter().all(|layer| layer["mediaType"] == gzip), "{wire:?}");
        assert_eq!(image["manifest"]["mediaType"], "application/vnd.docker.distribution.manifest.v2+json");
        // Docker's own members stay, but in wire 3, in which they cannot be signed.
        let (own, warnings) = (&image["config"]["docker_version"], report["warnings"].to_string());
        if wire == Wire::V3 {
            assert_eq!(own, &json!(null));
            for member in ["docker_version", "container"] {
                assert!(warnings.contains(member), "{warnings}");
            }
        } else {
            assert_eq!(own, "20.10.24", "{wire:?}");
            assert_eq!(report["warnings"], json!([]), "{wire:?}");
        }
    }
}

/// A train committed twice, by one tool on top of another: everything above the base is replaced.
#[test]
fn several_layers_of_a_run() {
    if !available("formats::several_layers_of_a_run", &[Peer::Python]) {
        return;
    }
    let fixture = StageFixture::with_base(Wire::V1_1_1);
    fixture.stage("pre-run", &["latest"], &[]).ok();
    fixture.layout.append("latest", "latest", &[Edit::Put(RESULT, b"first half\n".to_vec())]);
    fixture.layout.append("latest", "latest", &[Edit::Remove(RESULT), Edit::Put("tmp/log", b"log".to_vec())]);
    fixture.write("latest", "latest");
    let report = fixture.stage("post-run", &["latest"], &["--format", "json"]).ok().json();
    assert_eq!(report["layers"]["dropped"].as_array().map(Vec::len), Some(5), "payload, control and the run's three");
    assert!(report["notes"].to_string().contains("/tmp/log"), "what was dropped is named: {}", report["notes"]);
    fixture.check_closed("latest");
    assert!(!fixture.layout.view("latest", "tmp").contains_key("tmp/log"));
}
