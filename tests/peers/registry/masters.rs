//! Master images in a registry: the one that a train names, and a newer one.

use super::journey::{PLAIN, stage};
use super::proxy::{Act, Proxy};
use super::server::Server;
use support::tree::write_results;
use support::{Edit, Implementation, Layout, Peer, Train, TrainSpec, Wire, available, pht_oci, utf8};

#[test]
fn a_train_is_held_against_the_master_image_that_it_names_and_rebased() {
    if !available("registry::masters", &[Peer::Registry, Peer::Python]) {
        return;
    }
    let server = Server::open();
    let dir = tempfile::tempdir().unwrap();
    let master = Layout::new(dir.path().join("master"));
    master.make_base("1", false);
    master.append("1", "2", &[Edit::Put("usr/lib/fixed", b"fixed\n".to_vec())]);
    let run = |line: &[&str]| pht_oci(&[line, &PLAIN[..], &["--format", "json"]].concat(), &[]);
    for tag in ["1", "2"] {
        run(&["copy", &master.at(tag), &format!("{}:{tag}", server.at("master/tool"))]).ok();
    }
    let (old, newer) = (format!("{}:1", server.at("master/tool")), format!("{}:2", server.at("master/tool")));
    let train = Train::build(Implementation::Ours, Wire::V2_0, &TrainSpec::default()).unwrap();
    let (files, route) = (train.dir.path().join("files"), train.dir.path().join("route.json"));
    let (files, route) = (utf8(&files), utf8(&route));
    let (user, builder, home) = (train.key("user"), train.key("builder"), server.at("trains/one"));
    let line = ["build", &home, "--base", &old, "--files", files, "--route", route, "--wire", "2.0", "--creator", "c"];
    run(&[&line[..], &["--creator-key", &user, "--builder-key", &builder]].concat()).ok();

    let report = run(&["validate", &home]).ok().json();
    assert_eq!((report["valid"].as_bool(), report["means"].as_str()), (Some(true), Some("layers")), "{report}");
    assert_eq!(report["master"]["source"], old, "{report}");
    assert!(report["warnings"].to_string().contains("names"), "who else vouches for it: {report}");

    let proxy = Proxy::start(server.port, |_| Act::Pass);
    let newer_there = format!("{}:2", proxy.at("master/tool"));
    let report = run(&["rebase", &proxy.at("trains/one"), "--base", &newer_there]).ok().json();
    // Routers act upon the travelling tag: it moves last.
    let seen = proxy.seen.lock().unwrap();
    let tags: Vec<&str> = seen
        .iter()
        .filter(|request| request.method == "PUT")
        .filter_map(|request| request.path.rsplit_once("/manifests/").map(|(_, tag)| tag))
        .collect();
    assert_eq!(tags, ["base", "latest"]);
    drop(seen);
    assert_eq!((report["layers"]["reused"].as_u64(), report["bytes"]["transferred"].as_u64()), (Some(2), Some(0)));
    let report = run(&["validate", &home]).refused(3).json();
    assert_eq!((report["valid"].as_bool(), report["common_layers"].as_u64()), (Some(false), Some(1)), "{report}");
    run(&["validate", &home, "--master", &newer]).ok();
    run(&["validate", &format!("{home}:base"), "--master", &newer]).ok();

    let results = dir.path().join("results");
    write_results(&results, 0);
    let latest = format!("{home}:latest");
    stage(&train, "pre-run", &latest, &[&train.layout.at("pre")], 0, &PLAIN).ok();
    train.put("pre", "ran", 0, &results);
    stage(&train, "post-run", &train.layout.at("ran"), &[&latest], 0, &PLAIN).ok();
    run(&["validate", &latest, "--master", &newer]).ok();
}
