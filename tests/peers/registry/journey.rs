//! Three stations, from registry to registry.

use std::fs;
use std::path::Path;

use super::server::Server;
use super::tokens::Tokens;
use support::tree::{differences, snapshot, write_results};
use support::{Implementation, Outcome, Peer, Train, TrainSpec, Wire, available, pht_oci, run, utf8};

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

/// A train's way over three stations, from registry to registry.
struct Journey<'a> {
    server: &'a Server,
    wire: Wire,
    /// How the program reaches the registry.
    options: &'a [&'a str],
    /// How skopeo does, as USER:PASSWORD.
    login: Option<&'a str>,
    /// The stop that runs the reference.
    reference: Option<usize>,
    /// Whether another tool compresses the layers anew on the way.
    recompressed: bool,
}

impl Journey<'_> {
    /// Runs skopeo; `side` is `src-`, `dest-` or nothing.
    fn skopeo(&self, command: &str, side: &str, line: &[&str]) -> Vec<u8> {
        let (verify, creds) = (format!("--{side}tls-verify=false"), format!("--{side}creds"));
        let login: Vec<&str> = self.login.iter().flat_map(|login| [creds.as_str(), *login]).collect();
        run("skopeo", &[&["--insecure-policy", command, &verify], &login[..], line].concat()).unwrap()
    }

    fn digest(&self, place: &str) -> String {
        String::from_utf8(self.skopeo("inspect", "", &["--format", "{{.Digest}}", place])).unwrap()
    }

    fn travels(&self) {
        let train = Train::build(Implementation::Ours, self.wire, &TrainSpec::default()).unwrap();
        let home = self.server.at("trains/one");
        let (latest, base) = (format!("{home}:latest"), format!("{home}:base"));
        for to in [&latest, &base] {
            self.skopeo("copy", "dest-", &["-q", &train.layout.at("0"), to]);
        }
        let built = self.digest(&base);
        let results = [(); 3].map(|()| tempfile::tempdir().unwrap());
        for (stop, results) in results.iter().enumerate() {
            let before = self.digest(&latest);
            write_results(results.path(), stop);
            if self.reference == Some(stop) {
                self.stop_of_reference(&train, &latest, stop, results.path());
            } else {
                self.stop(&train, &latest, stop, results.path());
            }
            assert_ne!(self.digest(&latest), before);
            assert_eq!(self.digest(&base), built, "a stage never pushes base");
            if stop == 1 && self.recompressed {
                self.recompress(&train, &latest);
            }
        }
        let out = train.layout.dir.join("out");
        let (key, path) = (train.key("user"), utf8(&out));
        pht_oci(&[&["results", &latest, "--private-key", &key, "--out", path][..], self.options].concat(), &[]).ok();
        let changes = differences(&snapshot(results[2].path()), &snapshot(&out), false);
        assert!(changes.is_empty(), "{changes:#?}");
    }

    fn stop(&self, train: &Train, latest: &str, stop: usize, results: &Path) {
        let (pre, ran) = (format!("pre{stop}"), format!("ran{stop}"));
        stage(train, "pre-run", latest, &[&train.layout.at(&pre)], stop, self.options).ok();
        train.put(&pre, &ran, stop, results);
        stage(train, "post-run", &train.layout.at(&ran), &[latest], stop, self.options).ok();
    }

    /// The reference knows no registries: the train comes to it by `copy` and goes back by skopeo.
    fn stop_of_reference(&self, train: &Train, latest: &str, stop: usize, results: &Path) {
        let copy = ["copy", latest, &train.layout.at("arrived")];
        pht_oci(&[&copy[..], self.options].concat(), &[]).ok();
        train.stop(Implementation::Reference, "arrived", "left", stop, results).unwrap();
        self.skopeo("copy", "dest-", &["-q", &train.layout.at("left"), latest]);
    }

    /// Another tool compresses the layers of the travelling image anew.
    fn recompress(&self, train: &Train, latest: &str) {
        let dir = format!("dir:{}", train.layout.dir.join("recompressed").display());
        let before = self.digest(latest);
        self.skopeo("copy", "src-", &["-q", "--dest-compress", "--dest-compress-format", "zstd", latest, &dir]);
        self.skopeo("copy", "dest-", &["-q", &dir, latest]);
        assert_ne!(self.digest(latest), before);
    }
}

#[test]
fn a_train_travels_from_registry_to_registry() {
    if !available("a_train_travels_from_registry_to_registry", &[Peer::Registry, Peer::Skopeo, Peer::Python]) {
        return;
    }
    let server = Server::open();
    for wire in [Wire::V1_1_1, Wire::V2_0, Wire::V3] {
        let journey =
            Journey { server: &server, wire, options: &PLAIN, login: None, reference: None, recompressed: true };
        journey.travels();
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
    let authority = utf8(&authority);
    let login = "robot:robot-secret";
    let options =
        ["--src-creds", login, "--dest-creds", login, "--src-cert-dir", authority, "--dest-cert-dir", authority];
    let (server, wire, options) = (&server, Wire::V1_1_2, &options);
    Journey { server, wire, options, login: Some(login), reference: None, recompressed: false }.travels();
    // Without the authority, or with a wrong password, nothing is said that should not be.
    let place = server.at("trains/one:latest");
    let refused = pht_oci(&["inspect", &place, "--src-creds", login], &[]).refused(6);
    assert!(refused.stderr.contains("--src-cert-dir"), "{}", refused.stderr);
    let wrong = ["inspect", &place, "--src-creds", "robot:wrong-secret", "--src-cert-dir", authority, "-vv"];
    let refused = pht_oci(&wrong, &[]).refused(6);
    assert!(refused.stderr.contains("--src-creds") && !refused.stderr.contains("wrong-secret"), "{}", refused.stderr);
}

/// A registry that takes tokens only, and the options of one who gets them.
fn with_tokens() -> (Tokens, Server, Vec<&'static str>) {
    let tokens = Tokens::start("robot", "robot-secret");
    let server = Server::with_tokens(&tokens.config());
    let creds = ["--src-creds", "robot:robot-secret", "--dest-creds", "robot:robot-secret"];
    (tokens, server, [&PLAIN[..], &creds].concat())
}

#[test]
fn a_train_travels_by_tokens() {
    let name = "a_train_travels_by_tokens";
    if !available(name, &[Peer::Registry, Peer::Skopeo, Peer::Python, Peer::Openssl]) {
        return;
    }
    let (tokens, server, options) = with_tokens();
    let (server, login) = (&server, Some("robot:robot-secret"));
    Journey { server, wire: Wire::V3, options: &options, login, reference: None, recompressed: false }.travels();
    assert!(tokens.proxy.count(|request| request.path.contains("scope=")) > 0, "the registry asks for tokens");
    let line = ["inspect", &server.at("trains/one:latest"), "--src-creds", "robot:wrong-secret"];
    let refused = pht_oci(&[&line[..], &PLAIN].concat(), &[]).refused(6);
    assert!(refused.stderr.contains("token server") && !refused.stderr.contains("wrong"), "{}", refused.stderr);
}

#[test]
fn a_train_travels_by_tokens_and_the_reference_is_on_its_way() {
    let name = "a_train_travels_by_tokens_and_the_reference_is_on_its_way";
    if !available(name, &[Peer::Registry, Peer::Python, Peer::Openssl, Peer::Busybox, Peer::Reference]) {
        return;
    }
    let (_tokens, server, options) = with_tokens();
    let (server, login) = (&server, Some("robot:robot-secret"));
    for stop in [0, 1] {
        let (wire, reference) = (Wire::V2_0, Some(stop));
        Journey { server, wire, options: &options, login, reference, recompressed: false }.travels();
    }
}

#[test]
fn build_publishes_both_tags_in_a_registry() {
    if !available("build_publishes_both_tags_in_a_registry", &[Peer::Registry, Peer::Skopeo, Peer::Python]) {
        return;
    }
    let server = Server::open();
    let train = Train::build(Implementation::Ours, Wire::V3, &TrainSpec::default()).unwrap();
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
