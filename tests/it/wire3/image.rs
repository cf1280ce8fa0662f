//! How the image of a train runs: what is signed of it, what is dropped, what an engine gets.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use support::layout::Edit;
use support::wire3::Wire3Fixture;
use support::{Peer, available, pht_oci};

/// A master image with this in its config's `config`, and the outcome of a build on it.
fn build_on(fixture: &Wire3Fixture, config: &Value, status: i32) -> Value {
    fixture.base.merge_config("base", "other", config);
    fixture.build("0", "plain");
    let (to, base, files) = (fixture.layout.at("on-other"), fixture.base.at("other"), fixture.path("files"));
    let (route, creator, builder) = (fixture.path("route.json"), fixture.key("creator"), fixture.key("builder"));
    let line = ["--format", "json", "build", &to, "--base", &base, "--files", &files, "--route", &route];
    let who = ["--creator", "alice", "--creator-key", &creator, "--builder-key", &builder];
    let outcome = pht_oci(&[&line[..], &who].concat(), &[]).expect(status).unwrap_or_else(|told| panic!("{told}"));
    if status == 0 { outcome.json() } else { json!(outcome.stderr) }
}

fn execution(fixture: &Wire3Fixture, tag: &str) -> Value {
    let mut config = fixture.layout.image(tag)["config"]["config"].clone();
    if let Some(labels) = config["Labels"].as_object_mut() {
        labels.retain(|name, _| !name.starts_with("de.personalhealthtrain."));
    }
    config
}

#[test]
fn what_cannot_be_signed_is_dropped_and_named() {
    if !available("wire3::what_cannot_be_signed", &[Peer::Python]) {
        return;
    }
    let fixture = Wire3Fixture::prepare();
    let health = json!({"Healthcheck": {"Test": ["CMD", "sh"]}, "User": "", "Labels": {"org.example": "kept"}});
    let report = build_on(&fixture, &health, 0);
    assert!(report["warnings"].to_string().contains("Healthcheck"), "{report}");
    let built = execution(&fixture, "on-other");
    assert!(built.get("Healthcheck").is_none() && built.get("User").is_none(), "{built}");
    let signed = &fixture.layout.train_config("on-other")["image"]["config"];
    assert_eq!(signed, &built);
    assert_eq!(signed["Labels"], json!({"org.example": "kept"}));
    pht_oci(&["verify", &fixture.layout.at("on-other")], &[]).ok();
}

#[test]
fn volumes_do_not_hide_the_train() {
    if !available("wire3::volumes", &[Peer::Python]) {
        return;
    }
    for volume in ["/opt", "/opt/pht_results", "/opt/./pht_train//x", "/"] {
        let fixture = Wire3Fixture::prepare();
        let said = build_on(&fixture, &json!({"Volumes": {volume: {}}}), 2);
        assert!(said.to_string().contains("volume"), "{said}");
    }
    build_on(&Wire3Fixture::prepare(), &json!({"Volumes": {"/data": {}}}), 0);
}

#[test]
fn a_stage_restores_what_is_signed() {
    if !available("wire3::restores", &[Peer::Python]) {
        return;
    }
    let fixture = Wire3Fixture::prepare();
    fixture.build("0", "ours");
    let (key, opened) = (fixture.key("station_1"), fixture.layout.at("opened"));
    pht_oci(&["pre-run", &fixture.layout.at("0"), &opened, "--private-key", &key], &[]).ok();
    assert_eq!(execution(&fixture, "opened"), execution(&fixture, "0"));
    // An engine's commit adds its own.
    let added = json!({"Cmd": ["sh"], "Hostname": "f00", "Image": "x", "Env": ["A=b"], "OnBuild": ["RUN x"]});
    fixture.layout.merge_config("opened", "committed", &added);
    pht_oci(&["post-run", &fixture.layout.at("committed"), &fixture.layout.at("1"), "--private-key", &key], &[]).ok();
    assert_eq!(execution(&fixture, "1"), execution(&fixture, "0"));
    pht_oci(&["verify", &fixture.layout.at("1")], &[]).ok();
    pht_oci(&["verify", &opened], &[]).refused(3);
    fixture.layout.merge_config("1", "changed", &json!({"Cmd": ["sh"]}));
    let said = pht_oci(&["--format", "json", "verify", &fixture.layout.at("changed")], &[]).refused(3);
    let checks = serde_json::from_slice::<Value>(&said.stdout).expect("a report")["checks"].clone();
    let broken = |check: &Value| check["id"] == "image-config" && check["verdict"] == "broken";
    assert!(checks.as_array().expect("a list").iter().any(broken), "{checks}");
}

#[test]
fn results_lose_what_would_give_them_power() {
    if !available("wire3::power", &[Peer::Python]) {
        return;
    }
    let fixture = Wire3Fixture::prepare();
    fixture.build("0", "ours");
    let (key, opened, dir) = (fixture.key("station_1"), fixture.layout.at("opened"), fixture.path("results"));
    pht_oci(&["pre-run", &fixture.layout.at("0"), &opened, "--private-key", &key, "--results", &dir], &[]).ok();
    fs::write(format!("{dir}/tool"), "x").expect("a new file");
    fs::set_permissions(format!("{dir}/tool"), fs::Permissions::from_mode(0o6755)).expect("a mode");
    let made = std::process::Command::new("mkfifo").arg(format!("{dir}/pipe")).status().expect("mkfifo");
    assert!(made.success());
    let (to, line) = (fixture.layout.at("1"), ["--format", "json", "post-run", &opened]);
    let report = pht_oci(&[&line[..], &[&to, "--private-key", &key, "--results", &dir]].concat(), &[]).ok().json();
    assert!(report["warnings"].to_string().contains("/opt/pht_results/pipe"), "{report}");
    let view = fixture.layout.view("1", "opt/pht_results");
    assert_eq!(view["opt/pht_results/tool"]["mode"], "0o755", "{view:?}");
    assert!(!view.contains_key("opt/pht_results/pipe"));
    pht_oci(&["verify", &to], &[]).ok();
}

#[test]
fn a_train_without_signature_waits_for_its_creator() {
    if !available("wire3::waits", &[Peer::Python]) {
        return;
    }
    let fixture = Wire3Fixture::prepare();
    fixture.build("0", "ours");
    let mut config = fixture.layout.train_config("0");
    config.as_object_mut().expect("an object").remove("signature");
    let put = [Edit::Put("opt/train_config.json", config.to_string().into_bytes())];
    fixture.layout.append("0", "unsigned", &put);
    let image = fixture.layout.at("unsigned");
    let said = String::from_utf8(pht_oci(&["inspect", &image], &[]).ok().stdout).expect("a report");
    assert!(said.contains("waits for its creator"), "{said}");
    assert_eq!(pht_oci(&["--format", "json", "inspect", &image], &[]).ok().json()["waits_for_creator"], true);
    let said = String::from_utf8(pht_oci(&["verify", &image], &[]).refused(3).stdout).expect("a report");
    assert!(said.contains("waits for its creator"), "{said}");
    pht_oci(&["pre-run", &image, "--private-key", &fixture.key("station_1")], &[]).refused(3);
}
