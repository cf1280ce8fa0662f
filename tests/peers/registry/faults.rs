//! What networks and registries do wrong: either all is well in the end, or an error says where and nothing has moved.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::journey::{PLAIN, stage};
use super::proxy::{Act, Proxy, Request, answer};
use super::server::Server;
use support::tree::noise;
use support::{Implementation, Outcome, Peer, Train, TrainSpec, Wire, available, pht_oci, utf8};

const PEERS: [Peer; 2] = [Peer::Registry, Peer::Python];

/// A train that has been at its first station, in a registry, and the digest and size of its payload.
struct Travelled {
    server: Server,
    train: Train,
    payload: String,
    size: usize,
}

impl Travelled {
    fn new(results: usize) -> Self {
        let server = Server::open();
        let train = Train::build(Implementation::Ours, Wire::V1_1_2, &TrainSpec::default()).unwrap();
        let written = tempfile::tempdir().unwrap();
        std::fs::write(written.path().join("result.bin"), noise(results)).unwrap();
        train.ours("pre-run", "0", "pre", 0).unwrap();
        train.put("pre", "ran", 0, written.path());
        stage(&train, "post-run", &train.layout.at("ran"), &[&server.at("t:latest")], 0, &PLAIN).ok();
        let manifest = train_manifest(&server);
        let layers = manifest["layers"].as_array().unwrap();
        let payload = &layers[layers.len() - 2];
        let (digest, size) = (payload["digest"].as_str().unwrap().to_owned(), payload["size"].as_u64().unwrap());
        Travelled { server, train, payload: digest, size: size as usize }
    }

    /// The second station's pre-run through a proxy; the digest of what it made, or what it said.
    fn pre_run(&self, to: &str, rule: impl Fn(&Request) -> Act + Send + Sync + 'static) -> Outcome {
        let proxy = Proxy::start(self.server.port, rule);
        let options = [&PLAIN[..], &["--registry-timeout", "2"]].concat();
        stage(&self.train, "pre-run", &proxy.at("t:latest"), &[&self.train.layout.at(to)], 1, &options)
    }

    fn shows(&self, to: &str) -> support::layout::View {
        self.train.layout.view(to, "opt/pht_results")
    }
}

fn train_manifest(server: &Server) -> serde_json::Value {
    let data = server.dir.path().join("data/docker/registry/v2");
    let link = |path: &Path| std::fs::read_to_string(path).unwrap();
    let digest = link(&data.join("repositories/t/_manifests/tags/latest/current/link"));
    let hex = digest.trim_start_matches("sha256:");
    let bytes = std::fs::read(data.join(format!("blobs/sha256/{}/{hex}/data", &hex[..2]))).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[test]
fn downloads_survive_cuts_and_busy_registries() {
    if !available("downloads_survive_cuts_and_busy_registries", &PEERS) {
        return;
    }
    let travelled = Travelled::new(300_000);
    travelled.pre_run("whole", |_| Act::Pass).ok();
    let whole = travelled.shows("whole");
    for tenth in 1..10 {
        let (payload, at) = (travelled.payload.clone(), travelled.size * tenth / 10);
        let cuts = AtomicUsize::new(0);
        let rule = move |request: &Request| match request.is_blob(&payload) && cuts.fetch_add(1, Ordering::SeqCst) == 0
        {
            true => Act::Cut(at),
            false => Act::Pass,
        };
        travelled.pre_run(&format!("cut{tenth}"), rule).ok();
        assert_eq!(travelled.shows(&format!("cut{tenth}")), whole, "cut after {tenth} tenths");
    }
    let at = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:49:38 GMT\r\n";
    for (name, status, headers, times) in [
        ("busy", "500 Broken", "", 3),
        ("many", "429 Too Many Requests", "Retry-After: 1\r\n", 1),
        ("date", "503 Unavailable", at, 1),
    ] {
        let (payload, left) = (travelled.payload.clone(), AtomicUsize::new(times));
        let rule = move |request: &Request| {
            let again = |left: usize| left.checked_sub(1);
            let refuses =
                request.is_blob(&payload) && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, again).is_ok();
            if refuses { answer(status, headers, "") } else { Act::Pass }
        };
        let begun = Instant::now();
        travelled.pre_run(name, rule).ok();
        assert_eq!(travelled.shows(name), whole, "{name}");
        assert!(begun.elapsed().as_millis() >= 700, "{name}: it waits between attempts");
    }
}

#[test]
fn a_lying_registry_is_found_out() {
    if !available("a_lying_registry_is_found_out", &PEERS) {
        return;
    }
    let travelled = Travelled::new(100_000);
    let short = |mut body: Vec<u8>| {
        body.truncate(body.len() / 2);
        body
    };
    let long = |body: Vec<u8>| [body, vec![0; 512]].concat();
    let wrong = |mut body: Vec<u8>| {
        let middle = body.len() / 2;
        body[middle] ^= 1;
        body
    };
    type Lie = fn(Vec<u8>) -> Vec<u8>;
    let lies: [(&str, i32, Lie); 3] = [("short", 6, short), ("long", 6, long), ("wrong", 3, wrong)];
    for (name, status, lie) in lies {
        let payload = travelled.payload.clone();
        let rule = move |request: &Request| if request.is_blob(&payload) { Act::Body(lie) } else { Act::Pass };
        let outcome = travelled.pre_run(name, rule).refused(status);
        for part in ["127.0.0.1:", "/t", &travelled.payload, "hint:"] {
            assert!(outcome.stderr.contains(part), "{name}: no {part} in {}", outcome.stderr);
        }
        let tags = serde_json::Value::from(travelled.train.layout.tags()).to_string();
        assert!(!tags.contains(name), "{name} was published: {tags}");
    }
    // One that falls silent for good.
    let (payload, asked) = (travelled.payload.clone(), AtomicUsize::new(0));
    let rule = move |request: &Request| match request.is_blob(&payload) {
        true if asked.fetch_add(1, Ordering::SeqCst) == 0 => Act::Stall(9000),
        true => Act::Stall(0),
        false => Act::Pass,
    };
    let outcome = travelled.pre_run("silent", rule).refused(6);
    assert!(outcome.stderr.contains("stalled after"), "{}", outcome.stderr);
}

#[test]
fn uploads_survive_cuts_and_move_no_tag_when_refused() {
    if !available("uploads_survive_cuts_and_move_no_tag_when_refused", &PEERS) {
        return;
    }
    let travelled = Travelled::new(1000);
    let (server, train) = (&travelled.server, &travelled.train);
    let written = tempfile::tempdir().unwrap();
    std::fs::write(written.path().join("large.bin"), noise(14 << 20)).unwrap();
    travelled.pre_run("pre1", |_| Act::Pass).ok();
    train.put("pre1", "ran1", 1, written.path());
    let before = train_manifest(server);
    // Refused at commit: of a blob, of the manifest.
    for part in ["digest=sha256", "/manifests/latest"] {
        let rule = move |request: &Request| match request.method == "PUT" && request.path.contains(part) {
            true => answer("400 Bad", "", r#"{"errors":[{"code":"DIGEST_INVALID","message":"not today"}]}"#),
            false => Act::Pass,
        };
        let proxy = Proxy::start(server.port, rule);
        let outcome =
            stage(train, "post-run", &train.layout.at("ran1"), &[&proxy.at("t:latest")], 1, &PLAIN).refused(6);
        for message in ["127.0.0.1:", "/t", "sha256:", "not today", "hint:"] {
            assert!(outcome.stderr.contains(message), "no {message} in {}", outcome.stderr);
        }
        assert_eq!(train_manifest(server), before, "the tag has moved");
    }
    // Cut in the second chunk.
    let chunks = AtomicUsize::new(0);
    let rule = move |request: &Request| match request.method == "PATCH" && chunks.fetch_add(1, Ordering::SeqCst) == 1 {
        true => Act::Drop,
        false => Act::Pass,
    };
    let proxy = Proxy::start(server.port, rule);
    stage(train, "post-run", &train.layout.at("ran1"), &[&proxy.at("t:latest")], 1, &PLAIN).ok();
    assert!(proxy.count(|request| request.method == "PATCH") > 2);
    let out = train.layout.dir.join("out");
    let (key, place, out) = (train.key("user"), server.at("t"), utf8(&out));
    pht_oci(&[&["results", &place, "--private-key", &key, "--out", out][..], &PLAIN].concat(), &[]).ok();
    assert_eq!(std::fs::read(Path::new(out).join("large.bin")).unwrap(), noise(14 << 20));
}
