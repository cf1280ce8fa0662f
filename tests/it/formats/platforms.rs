//! Image indexes: which image of several is the train.

use std::fs;

use serde_json::{Value, json};

use support::stage::{StageFixture, read_json};
use support::tree::{differences, snapshot};
use support::{Peer, Wire, available, pht_oci};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// `amd64` or `arm64`, whichever this machine is, and the other.
fn machines() -> [&'static str; 2] {
    if cfg!(target_arch = "aarch64") { ["arm64", "amd64"] } else { ["amd64", "arm64"] }
}

/// An index with an image for this machine and one for another, both with attestations, as tag `latest`.
fn several() -> (StageFixture, [&'static str; 2]) {
    let fixture = StageFixture::new(Wire::V2_0);
    let [here, other] = machines();
    for machine in [here, other] {
        fixture.layout.reform("image", &["latest", machine, "--architecture", machine]);
    }
    let images = [format!("linux/{other}={other}"), format!("linux/{here}={here}")];
    fixture.layout.reform("index", &["latest", &images[0], &images[1], "--attest"]);
    assert_eq!(fixture.layout.tags(), ["latest"]);
    assert_eq!(fixture.index()["manifests"][0]["mediaType"], INDEX);
    (fixture, [here, other])
}

#[test]
fn this_machine_is_the_default() {
    if available("formats::this_machine_is_the_default", &[Peer::Python]) {
        let (fixture, [here, _]) = several();
        let images = fixture.whole_stop();
        assert!(images.iter().all(|image| image["config"]["architecture"] == here));
    }
}

#[test]
fn another_platform_by_name() {
    if !available("formats::another_platform_by_name", &[Peer::Python]) {
        return;
    }
    let (fixture, [_, other]) = several();
    let option = ["--platform", &format!("linux/{other}")];
    fixture.stage("pre-run", &["latest"], &option).ok();
    fixture.check_opened("latest");
    let opened = fixture.layout.image("latest");
    assert_eq!(opened["config"]["architecture"], other);
    // The tag names the one image, no index any more; what it was made from is the whole index.
    assert_eq!(opened["descriptor"]["mediaType"], "application/vnd.oci.image.manifest.v1+json");
    let entries = fixture.index()["manifests"].as_array().expect("entries").clone();
    let aside =
        entries.iter().find(|entry| entry["annotations"]["org.opencontainers.image.ref.name"] == "latest-encrypted");
    assert_eq!(aside.map(|entry| &entry["mediaType"]), Some(&json!(INDEX)), "the index is kept aside");

    fixture.write("latest", "latest");
    fixture.stage("post-run", &["latest"], &option).ok();
    fixture.check_closed("latest");
    assert_eq!(fixture.layout.image("latest")["config"]["architecture"], other);
}

/// A run that failed is started again from the index that was put aside.
#[test]
fn pre_run_again_from_the_index() {
    if available("formats::pre_run_again_from_the_index", &[Peer::Python]) {
        let (fixture, [_, other]) = several();
        let option = ["--platform", &format!("linux/{other}")];
        for _ in 0..2 {
            fixture.stage("pre-run", &["latest"], &option).ok();
            fixture.check_opened("latest");
            assert_eq!(fixture.layout.image("latest")["config"]["architecture"], other);
        }
    }
}

#[test]
fn the_only_image_of_an_index() {
    if !available("formats::the_only_image_of_an_index", &[Peer::Python]) {
        return;
    }
    for attest in [&[][..], &["--attest"]] {
        let fixture = StageFixture::new(Wire::V1_1_2);
        fixture.layout.reform("image", &["latest", "only", "--architecture", "s390x"]);
        fixture.layout.reform("index", &[&["latest", "linux/s390x=only"], attest].concat());
        assert_eq!(fixture.index()["manifests"][0]["mediaType"], INDEX);
        let images = fixture.whole_stop();
        assert!(images.iter().all(|image| image["config"]["architecture"] == "s390x"));
    }
}

#[test]
fn no_fitting_platform() {
    if !available("formats::no_fitting_platform", &[Peer::Python]) {
        return;
    }
    let (fixture, machines) = several();
    let before = snapshot(&fixture.layout.dir);
    for stage in ["pre-run", "post-run"] {
        let message = fixture.stage(stage, &["latest"], &["--platform", "linux/riscv64"]).refused(2).stderr;
        for there in machines {
            assert!(message.contains(&format!("linux/{there}")), "{there} is not listed: {message}");
        }
        assert!(message.contains("linux/riscv64"), "what was asked for is not named: {message}");
        assert!(!message.contains("unknown/"), "an attestation is no choice: {message}");
    }
    // An image that is no index is for the platform that it says.
    let plain = StageFixture::new(Wire::V2_0);
    plain.stage("pre-run", &["latest"], &["--platform", "linux/riscv64"]).refused(2);
    for wrong in ["linux", "linux/", "/amd64", "a/b/c/d", ""] {
        pht_oci(&["inspect", &fixture.layout.at("latest"), "--platform", wrong], &[]).refused(2);
    }
    assert_eq!(differences(&before, &snapshot(&fixture.layout.dir), true), Vec::<String>::new());
}

/// What Go leaves out of a platform is no reason to refuse the images beside it, nor to remove what it needs.
#[test]
fn a_platform_that_says_little() {
    let fixture = StageFixture::new(Wire::V2_0);
    let file = fixture.layout.dir.join("index.json");
    let plain = fixture.index();
    for platform in [json!({}), json!({ "architecture": "amd64" }), json!({ "os": "linux", "architecture": null })] {
        for at in 0..plain["manifests"].as_array().expect("entries").len() {
            let mut index = plain.clone();
            index["manifests"][at]["platform"] = platform.clone();
            fs::write(&file, index.to_string()).expect("the index");
            pht_oci(&["verify", &fixture.layout.at("latest")], &[]).ok();
            let before = snapshot(&fixture.layout.dir);
            pht_oci(&["gc", fixture.layout.path()], &[]).ok();
            assert_eq!(differences(&before, &snapshot(&fixture.layout.dir), true), Vec::<String>::new());
        }
    }
    fixture.stage("pre-run", &["latest"], &[]).ok();
    fixture.check_opened("latest");
}

/// Variants count only where one was asked for.
#[test]
fn variants() {
    if !available("formats::variants", &[Peer::Python]) {
        return;
    }
    let fixture = StageFixture::new(Wire::V2_0);
    for variant in ["v6", "v7"] {
        let note = json!({ "org.example.variant": variant }).to_string();
        fixture.layout.reform("image", &["latest", variant, "--architecture", "arm", "--annotate", &note]);
    }
    fixture.layout.reform("index", &["latest", "linux/arm/v6=v6", "linux/arm/v7=v7"]);
    let digests: Vec<Value> = ["linux/arm/v6", "linux/arm/v7", "linux/arm"]
        .map(|platform| {
            let line = ["inspect", &fixture.layout.at("latest"), "--format", "json", "--platform", platform];
            pht_oci(&line, &[]).ok().json()["digest"].clone()
        })
        .to_vec();
    let listed = fixture.index()["manifests"][0]["digest"].as_str().expect("a digest").to_owned();
    let index = read_json(&fixture.layout.blob(&listed));
    let wanted = |place: usize| index["manifests"][place]["digest"].clone();
    assert_eq!(digests, [wanted(0), wanted(1), wanted(0)]);
}
