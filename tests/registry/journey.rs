//! Three stations, from registry to registry.

use std::fs;

use crate::server::Server;
use crate::support::tree::{differences, snapshot, write_results};
use crate::support::{Outcome, Peer, Spec, Train, Who, Wire, available, pht_oci, run};

/// What goes before every command that talks to a registry without TLS.
pub const PLAIN: [&str; 4] = ["--src-tls-verify", "false", "--dest-tls-verify", "false"];

/// A stage of a station of the train.
pub fn stage(train: &Train, name: &str, from: &str, to: &[&str], stop: usize, options: &[&str]) -> Outcome {
    let station = train.station_id(stop);
    let key = train.key(&station);
    let own = ["--station", &station, "--private-key", &key];
    let line: Vec<&str> = [&[name, from], to, &own, options].concat();
    pht_oci(&line, &[])
}

fn travels(server: &Server, wire: Wire, options: &[&str], skopeo: &[&str]) {
    let train = Train::build(Who::Ours, wire, &Spec::default()).unwrap();
    let home = server.at("trains/one");
    for tag in ["latest", "base"] {
        let to = format!("{home}:{tag}");
        let from = train.layout.at("0");
        let copy = [&["copy", "-q", "--dest-tls-verify=false"][..], skopeo, &[&from, &to]].concat();
        run("skopeo", &[&["--insecure-policy"][..], &copy].concat()).unwrap();
    }
    let digest = |tag: &str| {
        let place = format!("{home}:{tag}");
        let creds: Vec<String> = skopeo.iter().map(|option| option.replace("--dest-", "--")).collect();
        let creds: Vec<&str> = creds.iter().map(String::as_str).collect();
        let line = [&["inspect", "--tls-verify=false", "--format", "{{.Digest}}"][..], &creds, &[&place]].concat();
        String::from_utf8(run("skopeo", &line).unwrap()).unwrap()
    };
    let base = digest("base");
    let latest = format!("{home}:latest");
    let results = [(); 3].map(|()| tempfile::tempdir().unwrap());
    for (stop, results) in results.iter().enumerate() {
        let (pre, ran) = (format!("pre{stop}"), format!("ran{stop}"));
        stage(&train, "pre-run", &latest, &[&train.layout.at(&pre)], stop, options).ok();
        write_results(results.path(), stop);
        train.put(&pre, &ran, stop, results.path());
        let before = digest("latest");
        stage(&train, "post-run", &train.layout.at(&ran), &[&latest], stop, options).ok();
        assert_ne!(digest("latest"), before);
        assert_eq!(digest("base"), base, "a stage never pushes base");
        if stop == 1 && skopeo.is_empty() {
            recompress(&train, &latest);
            assert_ne!(digest("latest"), before);
        }
    }
    let out = train.layout.dir.join("out");
    let (key, path) = (train.key("user"), out.to_str().unwrap());
    pht_oci(&[&["results", &latest, "--private-key", &key, "--out", path][..], options].concat(), &[]).ok();
    let told = differences(&snapshot(results[2].path()), &snapshot(&out), false);
    assert!(told.is_empty(), "{told:#?}");
}

/// Another tool compresses the layers of the travelling image anew.
fn recompress(train: &Train, latest: &str) {
    let dir = format!("dir:{}", train.layout.dir.join("recompressed").display());
    let copy = |line: &[&str]| run("skopeo", &[&["--insecure-policy", "copy", "-q"], line].concat()).unwrap();
    copy(&["--src-tls-verify=false", "--dest-compress", "--dest-compress-format", "zstd", latest, &dir]);
    copy(&["--dest-tls-verify=false", &dir, latest]);
}

#[test]
fn a_train_travels_from_registry_to_registry() {
    if !available("a_train_travels_from_registry_to_registry", &[Peer::Registry, Peer::Skopeo, Peer::Python]) {
        return;
    }
    let server = Server::open();
    for wire in [Wire::V1_1_1, Wire::V2_0, Wire::V3] {
        travels(&server, wire, &PLAIN, &[]);
    }
}

#[test]
fn a_train_travels_behind_a_login_and_a_private_authority() {
    let name = "a_train_travels_behind_a_login_and_a_private_authority";
    if !available(name, &[Peer::Registry, Peer::Skopeo, Peer::Python, Peer::Openssl]) {
        return;
    }
    let server = Server::locked(&["robot"]);
    let authority = server.dir.path().join("ca");
    let authority = authority.to_str().unwrap();
    let login = "robot:robot-secret";
    let options =
        ["--src-creds", login, "--dest-creds", login, "--src-cert-dir", authority, "--dest-cert-dir", authority];
    travels(&server, Wire::V1_1_2, &options, &["--dest-creds", login]);
    // Without the authority, or with a wrong password, nothing is said that should not be.
    let place = server.at("trains/one:latest");
    let refused = pht_oci(&["inspect", &place, "--src-creds", login], &[]).refused(6);
    assert!(refused.stderr.contains("--src-cert-dir"), "{}", refused.stderr);
    let wrong = ["inspect", &place, "--src-creds", "robot:wrong-secret", "--src-cert-dir", authority, "-vv"];
    let refused = pht_oci(&wrong, &[]).refused(6);
    assert!(refused.stderr.contains("--src-creds") && !refused.stderr.contains("wrong-secret"), "{}", refused.stderr);
}

#[test]
fn build_publishes_both_tags_in_a_registry() {
    if !available("build_publishes_both_tags_in_a_registry", &[Peer::Registry, Peer::Skopeo, Peer::Python]) {
        return;
    }
    let server = Server::open();
    let train = Train::build(Who::Ours, Wire::V3, &Spec::default()).unwrap();
    let dir = train.layout.dir.parent().unwrap();
    let path = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    let place = server.at("trains/built");
    let (files, route, base) = (path("files"), path("route.json"), train.base.at("base"));
    let line = ["build", &place, "--base", &base, "--files", &files, "--route", &route, "--creator", "me"];
    let (user, builder) = (train.key("user"), train.key("builder"));
    let keys = ["--creator-key", &user, "--builder-key", &builder];
    pht_oci(&[&line[..], &keys, &PLAIN].concat(), &[]).ok();
    for tag in ["latest", "base"] {
        let copied = format!("oci:{}:{tag}", path("copied"));
        let from = format!("{place}:{tag}");
        run("skopeo", &["--insecure-policy", "copy", "-q", "--src-tls-verify=false", &from, &copied]).unwrap();
        pht_oci(&["inspect", &copied], &[]).ok();
    }
    assert!(fs::read_dir(path("copied")).is_ok());
    // To open it in place would publish plaintext.
    let at = format!("{place}:latest");
    for to in [&[][..], &[place.as_str()], &[at.as_str()]] {
        let refused = stage(&train, "pre-run", &place, to, 0, &PLAIN).refused(2);
        assert!(refused.stderr.contains("plaintext"), "{}", refused.stderr);
    }
    // By digest, too.
    let digest = train_digest(&at);
    let found =
        pht_oci(&[&["inspect", &format!("{place}@{digest}"), "--format", "json"][..], &PLAIN].concat(), &[]).ok();
    assert_eq!(found.json()["digest"], digest.as_str());
}

fn train_digest(place: &str) -> String {
    let found = pht_oci(&[&["inspect", place, "--format", "json"][..], &PLAIN].concat(), &[]).ok();
    found.json()["digest"].as_str().unwrap().to_owned()
}
