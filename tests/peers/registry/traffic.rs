//! What goes over the wire: the payload and little more, however large the base is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::journey::{PLAIN, stage};
use super::proxy::{Act, Proxy, Request};
use super::server::Server;
use support::peers::test_file;
use support::tree::noise;
use support::{Edit, Implementation, Layout, Peer, Train, TrainSpec, Wire, available, measured, pht_oci, run, utf8};

const MIB: u64 = 1 << 20;

/// Only wire 3 signs the blobs of the base. In older trains pre-run unpacks a compressed base once, and passes none on.
#[test]
fn the_base_does_not_travel() {
    if !available("the_base_does_not_travel", &[Peer::Registry, Peer::Python]) {
        return;
    }
    let server = Server::open();
    let dir = tempfile::tempdir().unwrap();
    let base = Layout::new(dir.path().join("base"));
    base.make_base("small", false);
    base.append("small", "base", &[Edit::Put("var/big.bin", noise(200 << 20))]);
    for (wire, unpacked) in [(Wire::V1_1_2, 200 * MIB), (Wire::V3, 0)] {
        base_stays(&server, wire, &base, unpacked);
    }
}

fn base_stays(server: &Server, version: Wire, base: &Layout, unpacked: u64) {
    let spec = TrainSpec { base: Some(base.clone()), ..TrainSpec::default() };
    let train = Train::build(Implementation::Ours, version, &spec).unwrap();
    let layout = &train.layout;
    stage(&train, "pre-run", &layout.at("0"), &[&layout.at("pre")], 0, &PLAIN).ok();
    let results = tempfile::tempdir().unwrap();
    let payload = 2 * MIB;
    std::fs::write(results.path().join("result.bin"), noise(payload as usize)).unwrap();
    train.put("pre", "ran", 0, results.path());
    let (central, station) = (format!("central/{version:?}:latest"), format!("station/{version:?}:latest"));
    let (central, station) = (central.to_lowercase(), station.to_lowercase());
    stage(&train, "post-run", &layout.at("ran"), &[&server.at(&central)], 0, &PLAIN).ok();

    let proxy = || Proxy::start(server.port, |_| Act::Pass);
    let wire = proxy();
    pht_oci(&[&["inspect", &wire.at(&central)][..], &PLAIN].concat(), &[]).ok();
    let (up, down) = wire.traffic();
    assert!(up + down < 64 << 10, "{version:?}: inspect: {up} up, {down} down");

    let wire = proxy();
    stage(&train, "pre-run", &wire.at(&central), &[&wire.at(&station)], 1, &PLAIN).ok();
    let (up, down) = wire.traffic();
    assert!(down < unpacked + payload + MIB, "{version:?}: pre-run: {down} down");
    assert!(down >= unpacked && up < payload + MIB, "{version:?}: pre-run: {up} up, {down} down");
    let mounts = wire.count(|request| request.path.contains("mount="));
    assert!(mounts > 0, "the base was mounted from the other repository");

    // As the run would leave it: nothing changed. Encrypted anew, it goes back.
    let wire = proxy();
    stage(&train, "post-run", &wire.at(&station), &[&wire.at(&central)], 1, &PLAIN).ok();
    let (up, down) = wire.traffic();
    assert!(down < payload + MIB && up < payload + MIB, "{version:?}: post-run: {up} up, {down} down");
}

/// A base that no signature binds is fetched once: on its way where it is copied, and not again once it is known.
#[test]
fn an_unsigned_base_is_fetched_once() {
    if !available("an_unsigned_base_is_fetched_once", &[Peer::Registry]) {
        return;
    }
    const BASE: u64 = 24 * MIB;
    let server = Server::open();
    let dir = tempfile::tempdir().unwrap();
    let base = Layout::new(dir.path().join("base"));
    base.make_base("small", false);
    base.append("small", "base", &[Edit::Put("var/big.bin", noise(BASE as usize))]);
    let spec = TrainSpec { base: Some(base), ..TrainSpec::default() };
    let train = Train::build(Implementation::Ours, Wire::V2_0, &spec).unwrap();
    let central = "unsigned/central:latest";
    copy(&train.layout.at("0"), &server.at(central));
    let (cache, station) = (dir.path().join("cache"), train.station_id(0));
    let key = train.key(&station);
    let down = |to: &str, options: &[&str]| {
        let wire = Proxy::start(server.port, |_| Act::Pass);
        let to = if to.starts_with("oci:") { to.to_owned() } else { wire.at(to) };
        let from = wire.at(central);
        let line = ["pre-run", &from, &to, "--private-key", &key, "--station", &station];
        pht_oci(&[&line[..], options, &PLAIN].concat(), &[("XDG_CACHE_HOME", utf8(&cache))]).ok();
        wire.traffic().1
    };
    let layout = |name: &str| format!("oci:{}:latest", utf8(&dir.path().join(name)));
    for (to, options, least, most) in [
        (layout("a"), &["--no-cache"][..], BASE, BASE + 2 * MIB),
        ("unsigned/a:latest".to_owned(), &["--no-cache"], BASE, BASE + 2 * MIB),
        (layout("b"), &[], BASE, BASE + 2 * MIB),
        ("unsigned/b:latest".to_owned(), &[], 0, 2 * MIB),
    ] {
        let down = down(&to, options);
        assert!((least..most).contains(&down), "{to} {options:?}: {down} down");
    }
}

/// Bytes of a payload with which memory would show that something is held whole; `PHT_BULK=2G` makes it larger.
fn bulk() -> String {
    std::env::var("PHT_BULK").unwrap_or_else(|_| "256M".to_owned())
}

#[test]
fn memory_does_not_grow_with_a_payload_over_http() {
    if !available("memory_does_not_grow_with_a_payload_over_http", &[Peer::Registry, Peer::Python]) {
        return;
    }
    let server = Server::open();
    let train = Train::build(Implementation::Ours, Wire::V3, &TrainSpec::default()).unwrap();
    let layout = &train.layout;
    train.ours("pre-run", "0", "pre", 0).unwrap();
    let script = test_file("python/bulk.py");
    let line = [utf8(&script), "layer", layout.path(), "pre", "ran", "opt/pht_results", "plain", "1", &bulk()];
    run("python3", &line).unwrap();
    let (latest, opened, copied) = (server.at("t:latest"), server.at("t:opened"), server.at("u:latest"));
    let stage = |name: &str, from: &str, to: &str, stop: usize| {
        let station = train.station_id(stop);
        let (name, from, to, key) = (name.to_owned(), from.to_owned(), to.to_owned(), train.key(&station));
        vec![name, from, to, "--station".to_owned(), station, "--private-key".to_owned(), key]
    };
    let copy = |from: &str, to: &str| ["copy", from, to].map(str::to_owned).to_vec();
    let far = layout.at("far");
    for line in [
        stage("post-run", &layout.at("ran"), &latest, 0),
        stage("pre-run", &latest, &opened, 1),
        copy(&latest, &far),
        copy(&far, &copied),
    ] {
        let line: Vec<&str> = line.iter().map(String::as_str).chain(PLAIN).collect();
        let peak = measured(&line).peak;
        assert!(peak <= 64 * MIB, "{line:?} with {} took {peak} bytes of memory", bulk());
    }
}

/// A registry, and a layout with a master image.
fn fixture() -> (Server, Layout) {
    let server = Server::open();
    let layout = Layout::new(server.dir.path().join("layout"));
    layout.make_base("base", false);
    (server, layout)
}

fn copy(from: &str, to: &str) {
    pht_oci(&[&["copy", from, to][..], &PLAIN].concat(), &[]).ok();
}

#[test]
fn what_is_there_is_not_pushed_again() {
    if !available("what_is_there_is_not_pushed_again", &[Peer::Registry, Peer::Python]) {
        return;
    }
    let (server, layout) = fixture();
    layout.append("base", "it", &[Edit::Put("large.bin", noise(20 << 20))]);
    let archive = format!("oci-archive:{}/it.tar:it", server.dir.path().display());
    copy(&layout.at("it"), &archive);
    let first = Proxy::start(server.port, |_| Act::Pass);
    copy(&layout.at("it"), &first.at("t:it"));
    assert!(first.traffic().0 > 20 * MIB, "the proxy counts");
    for from in [layout.at("it"), archive, server.at("t:it")] {
        let wire = Proxy::start(server.port, |_| Act::Pass);
        copy(&from, &wire.at("t:again"));
        let (up, down) = wire.traffic();
        assert!(up + down < 64 << 10, "{from}: {up} up, {down} down");
        let moved = |request: &Request| request.path.contains("/blobs/") && request.method != "HEAD";
        assert_eq!(wire.count(moved), 0, "{from}: a blob was moved");
    }
}

#[test]
fn a_few_blobs_are_on_their_way_at_once() {
    if !available("a_few_blobs_are_on_their_way_at_once", &[Peer::Registry, Peer::Python]) {
        return;
    }
    let (server, layout) = fixture();
    for (number, (from, to)) in [("base", "1"), ("1", "2"), ("2", "3"), ("3", "it")].into_iter().enumerate() {
        layout.append(from, to, &[Edit::Put(["a", "b", "c", "d"][number], noise(MIB as usize))]);
    }
    let most = Arc::new(AtomicUsize::new(0));
    let wire = |method: &'static str, part: &'static str| {
        let (now, most) = (AtomicUsize::new(0), most.clone());
        Proxy::start(server.port, move |request| {
            if request.method == method && request.path.contains(part) {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(500));
                now.fetch_sub(1, Ordering::SeqCst);
            }
            Act::Pass
        })
    };
    copy(&layout.at("it"), &wire("PUT", "/blobs/uploads/").at("t:it"));
    assert_eq!(most.swap(0, Ordering::SeqCst), 3, "uploads");
    let copied = layout.at("copied").replace("/layout:", "/other:");
    copy(&wire("GET", "/blobs/sha256").at("t:it"), &copied);
    assert_eq!(most.swap(0, Ordering::SeqCst), 3, "downloads");
    let line = ["--insecure-policy", "copy", "-q", &copied, &layout.at("back")];
    run("skopeo", &line).unwrap();
    assert_eq!(layout.layers("back"), layout.layers("it"));
}
