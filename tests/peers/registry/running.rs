//! `run` in a registry.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::journey::{PLAIN, stage};
use super::proxy::{Act, Proxy, Request, answer};
use super::server::Server;
use support::tree::MARKER;
use support::{Implementation, Peer, Train, TrainSpec, Wire, available, pht_oci};

/// Leaves a result and ends well.
const ENTRYPOINT: &str = "#!/bin/sh
echo RESULT-PLAINTEXT-MARKER > /opt/pht_results/result.txt
";

fn writes(request: &Request) -> bool {
    !matches!(&*request.method, "GET" | "HEAD")
}

fn refusal() -> Act {
    answer("403 Forbidden", "", r#"{"errors": [{"code": "DENIED", "message": "no more"}]}"#)
}

#[test]
fn a_train_does_not_run_where_it_could_not_go_afterwards() {
    let test = "registry::a_train_does_not_run_where_it_could_not_go_afterwards";
    if !available(test, &[Peer::Registry, Peer::Python, Peer::Busybox, Peer::Runc]) {
        return;
    }
    let server = Server::open();
    let train = Train::build(
        Implementation::Ours,
        Wire::V3,
        &TrainSpec { entrypoint: ENTRYPOINT.to_owned(), ..TrainSpec::default() },
    )
    .unwrap();
    let proxy = Proxy::start(server.port, |request| if writes(request) { refusal() } else { Act::Pass });
    let (tmp, key) = (tempfile::tempdir().unwrap(), train.key(&train.station_id(0)));
    let own = ["--engine", "runc", "--private-key", &key, "--tmpdir", tmp.path().to_str().unwrap()];
    let (from, to) = (train.layout.at("0"), proxy.at("t:latest"));
    let line = [&["run", &from, &to], &own[..], &PLAIN].concat();
    let message = pht_oci(&line, &[]).refused(6).stderr;
    assert!(message.contains("cannot begin an upload"), "{message}");
    assert_eq!(fs::read_dir(tmp.path()).unwrap().count(), 0, "it has run, or left something");
}

#[test]
fn a_train_that_has_run_is_kept_closed_where_its_registry_does_not_take_it() {
    let test = "registry::a_train_that_has_run_is_kept_closed_where_its_registry_does_not_take_it";
    if !available(test, &[Peer::Registry, Peer::Python, Peer::Busybox, Peer::Runc]) {
        return;
    }
    for wire in [Wire::V2_0, Wire::V3] {
        let server = Server::open();
        let spec = TrainSpec { entrypoint: ENTRYPOINT.to_owned(), ..TrainSpec::default() };
        let train = Train::build(Implementation::Ours, wire, &spec).unwrap();
        let home = server.at("t:latest");
        pht_oci(&[&["copy", &train.layout.at("0"), &home], &PLAIN[..]].concat(), &[]).ok();
        let link = server.dir.path().join("data/docker/registry/v2/repositories/t/_manifests/tags/latest/current/link");
        let before = fs::read(&link).unwrap();

        // The right to write is lost while the train runs: after it was asked for, by an upload that was begun and ended.
        let asked = AtomicUsize::new(0);
        let proxy = Proxy::start(server.port, move |request| match writes(request) {
            true if asked.fetch_add(1, Ordering::SeqCst) >= 2 => refusal(),
            _ => Act::Pass,
        });
        let (tmp, key) = (tempfile::tempdir().unwrap(), train.key(&train.station_id(0)));
        let own = ["--engine", "runc", "--private-key", &key, "--tmpdir", tmp.path().to_str().unwrap()];
        let place = proxy.at("t:latest");
        let line = [&["run", &place], &own[..], &PLAIN].concat();
        let message = pht_oci(&line, &[]).refused(6).stderr;
        assert!(message.contains("the train has run, but its registry has not taken the closed train"), "{message}");
        assert_eq!(fs::read(&link).unwrap(), before, "the registry has another image");

        // What is left is the log and the archive, without plaintext, and copied as the error says it goes on.
        let mut left: Vec<_> = fs::read_dir(tmp.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        left.sort();
        let [dir, log] = &left[..] else { panic!("{left:?}") };
        assert!(log.file_name().unwrap().to_str().unwrap().starts_with("pht-oci-log-"), "{left:?}");
        let archive = format!("oci-archive:{}/train.tar:latest", dir.display());
        let command = format!("pht-oci copy {archive} {place}");
        assert!(message.contains(&command), "{message}");
        let bytes = fs::read(dir.join("train.tar")).unwrap();
        assert!(!bytes.windows(MARKER.len()).any(|window| window == MARKER.as_bytes()), "plaintext in the archive");
        pht_oci(&[&["copy", &archive, &home], &PLAIN[..]].concat(), &[]).ok();
        stage(&train, "pre-run", &home, &[&train.layout.at("next")], 1, &PLAIN).ok();
        let shown = train.layout.view("next", "opt/pht_results");
        assert!(format!("{shown:?}").contains("result.txt"), "{shown:?}");
    }
}
