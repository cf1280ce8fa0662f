//! `build`: what a new train is made of, and everything that it refuses.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use support::tree::{differences, snapshot};
use support::vectors::Vectors;
use support::{Layout, Outcome, Peer, Wire, available, pht_oci, run, utf8};

const EPOCH: &str = "1700000000";

/// A place to build at: keys, files of a train and a base image.
struct Yard {
    vectors: Vectors,
}

impl Yard {
    fn new() -> Self {
        let yard = Self { vectors: Vectors::ours(Wire::V2_0) };
        yard.put("files/main.py", b"print('run')\n");
        yard.put("files/lib/helper.py", b"pass\n");
        fs::create_dir(yard.path("files/empty directory")).expect("a new directory");
        yard.put("query.json", b"{\"query\": 1}");
        yard.route(&json!([yard.stop("station_1"), yard.stop("station_2")]));
        yard
    }

    fn path(&self, name: &str) -> String {
        utf8(&self.vectors.dir.path().join(name)).to_owned()
    }

    fn put(&self, name: &str, data: &[u8]) {
        let path = self.vectors.dir.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a new directory");
        fs::write(path, data).expect("a new file");
    }

    fn route(&self, route: &Value) {
        self.put("route.json", route.to_string().as_bytes());
    }

    /// A stop with the public key in a file, relative to the route's.
    fn stop(&self, station: &str) -> Value {
        json!({ "station": station, "public_key_file": format!("keys/{station}.pub.pem") })
    }

    fn public_key(&self, station: &str) -> String {
        fs::read_to_string(self.path(&format!("keys/{station}.pub.pem"))).expect("a public key")
    }

    fn destination(&self) -> Layout {
        Layout::new(self.path("train"))
    }

    /// `build` from `scratch` or a base, with options and variables of choice.
    fn build(&self, destination: &str, base: &str, options: &[&str], variables: &[(&str, &str)]) -> Outcome {
        let path = |name| self.path(name);
        let (files, route) = (path("files"), path("route.json"));
        let (user, builder) = (self.vectors.key("user"), self.vectors.key("builder"));
        let mut line = vec!["build", destination, "--base", base, "--route", &route, "--creator", "alice"];
        line.extend(["--creator-key", &user, "--builder-key", &builder]);
        if !options.contains(&"--files") {
            line.extend(["--files", &files]);
        }
        line.extend(options);
        pht_oci(&line, variables)
    }

    /// The build must be refused, and leave nothing behind: neither where there was nothing nor in a layout.
    #[track_caller]
    fn refused(&self, status: i32, options: &[&str]) -> String {
        let mut message = String::new();
        let existing = self.path("existing");
        self.vectors.layout.only("0-built", &existing);
        for destination in [&self.path("nothing here"), &existing] {
            let before = snapshot(self.vectors.dir.path());
            message = self.build(destination, "scratch", options, &[]).refused(status).stderr;
            let changes = differences(&before, &snapshot(self.vectors.dir.path()), true);
            assert!(changes.is_empty(), "refused, but left: {changes:?}");
        }
        message
    }

    /// The stops of the train that was built, by index.
    fn built_route(&self) -> Vec<Value> {
        let mut route = self.destination().train_config("latest")["route"].as_array().expect("a route").clone();
        route.sort_by_key(|stop| stop["index"].as_u64());
        route
    }
}

/// The layers of a train as built that are not its base's.
fn own_layers(wire: Wire) -> usize {
    wire.layers_above_base().max(1)
}

/// Another user of the image has to be able to leave results, whatever engine a station has.
#[test]
fn results_are_open_to_a_user_who_is_not_root() {
    if !available("building::results_are_open_to_a_user_who_is_not_root", &[Peer::Python]) {
        return;
    }
    let yard = Yard::new();
    let base = Layout::new(yard.path("base"));
    base.make_base("plain", false);
    for (user, mode) in [("", 0o755), ("0:0", 0o755), ("1000", 0o777), ("app:app", 0o777)] {
        base.merge_config("plain", "base", &json!({ "User": user }));
        for wire in ["2.0", "3"] {
            let train = Layout::new(yard.path(&format!("train-{}-{wire}", user.replace(':', "-"))));
            yard.build(train.path(), &base.at("base"), &["--wire", wire, "--cmd", "/opt/pht_train/main.py"], &[]).ok();
            assert_eq!(train.merged("latest")["opt/pht_results"].mode & 0o7777, mode, "{user} {wire}");
            // The mode goes along; that of a train of another program is said to be of no use.
            let line =
                ["pre-run", &train.at("latest"), &train.at("opened"), "--private-key", &yard.vectors.key("station_1")];
            let report = pht_oci(&[&line[..], &["--format", "json"]].concat(), &[]).ok().json();
            assert!(!report["warnings"].to_string().contains("cannot write"), "{report}");
            assert_eq!(train.merged("opened")["opt/pht_results"].mode & 0o7777, mode, "{user} {wire}");
        }
    }
    let (layout, opened, key) = (&yard.vectors.layout, yard.path("opened"), yard.vectors.key("station_1"));
    for (user, is_closed) in [("root", false), ("1000", true), ("app", true)] {
        layout.merge_config("0-built", "other", &json!({ "User": user }));
        for (more, may_be) in [(&[][..], true), (&["--results", &yard.path(&format!("results-{user}"))], false)] {
            let line = ["pre-run", &layout.at("other"), &opened, "--private-key", &key, "--format", "json"];
            let report = pht_oci(&[&line[..], more].concat(), &[]).ok().json();
            let said = report["warnings"].to_string().contains("who cannot write to /opt/pht_results");
            assert_eq!(said, is_closed && may_be, "{user} {more:?}: {report}");
        }
    }
}

#[test]
fn from_scratch() {
    if !available("building::from_scratch", &[Peer::Python]) {
        return;
    }
    for wire in Wire::OURS {
        let yard = Yard::new();
        let train = yard.destination();
        let (to, query) = (train.at("latest"), yard.path("query.json"));
        let options = ["--wire", wire.option(), "--query", &query, "--id", "my-id", "--proposal", "7"];
        let report = yard.build(&to, "scratch", &[&options[..], &["--format", "json"]].concat(), &[]).ok().json();
        let image = train.image("latest");
        assert_eq!(image["manifest"]["layers"].as_array().map(Vec::len), Some(own_layers(wire)));
        assert_eq!(image["config"]["config"]["Labels"]["de.personalhealthtrain.stage"], "built");
        assert_eq!(train.layers("base"), train.layers("latest"), "a travelling train has its base beside it");
        let view = train.view("latest", "");
        let files: Vec<&str> = view.iter().filter(|(_, n)| n["type"] == "file").map(|(p, _)| p.as_str()).collect();
        let of_train = ["lib/helper.py", "main.py", "query.json"].map(|name| format!("opt/pht_train/{name}"));
        // Wire 3 has the creator's key from the start.
        let control = ["opt/train_config.json".to_owned(), "opt/user_sym_key.key".to_owned()];
        assert_eq!(files, [&of_train, &control[..if wire == Wire::V3 { 2 } else { 1 }]].concat());
        // Wire 3 has no directory but those of its files, and says so.
        let empty = "opt/pht_train/empty directory";
        assert_eq!(view.contains_key(empty), wire != Wire::V3);
        assert_eq!(report["warnings"].to_string().contains(empty), wire == Wire::V3, "{}", report["warnings"]);
        let config = train.train_config("latest");
        assert_eq!((&config["@id"], &config["creator"]["id"]), (&json!("my-id"), &json!("alice")));
        let listed = if wire == Wire::V2_0 { 2 } else { 3 }; // 2.0 does not list the query
        assert_eq!(config["file_list"], json!(&["lib/helper.py", "main.py", "query.json"][..listed]));
        let clear = train.cat("latest", "opt/pht_train/main.py") == b"print('run')\n";
        assert_eq!(clear, !wire.encrypts_train(), "wire {wire:?}");
        let (key, pre) = (yard.vectors.key("station_1"), train.at("pre"));
        pht_oci(&["pre-run", &to, &pre, "--private-key", &key], &[]).ok();
        assert_eq!(train.cat("pre", "opt/pht_train/main.py"), b"print('run')\n");
        assert_eq!(train.cat("pre", "opt/pht_train/query.json"), b"{\"query\": 1}");
    }
}

/// The base's layers, config and labels stay; a tag that is not `latest` comes alone.
#[test]
fn from_a_base() {
    if !available("building::from_a_base", &[Peer::Python]) {
        return;
    }
    for wire in [Wire::V2_0, Wire::V3] {
        let yard = Yard::new();
        let (base, train) = (Layout::new(yard.path("master")), yard.destination());
        base.make_base("v1", false);
        yard.build(&train.at("mine"), &base.at("v1"), &["--wire", wire.option()], &[]).ok();
        assert_eq!(train.tags(), ["mine"]);
        assert_eq!(train.layers("mine")[..1], base.layers("v1"));
        assert_eq!(train.layers("mine").len(), 1 + own_layers(wire));
        let image = train.image("mine");
        assert_eq!(image["config"]["config"]["Labels"]["org.example.base"], "kept");
        assert_eq!(image["config"]["config"]["Env"], json!(["PATH=/bin"]));
        assert_eq!(image["config"]["config"].get("Cmd"), None, "without --cmd the base's command stays");
        assert_eq!(train.cat("mine", "etc/os-release"), b"ID=pht-test-base\n");
        assert_eq!(image["config"]["history"].as_array().map(Vec::len), Some(1 + own_layers(wire)));
        assert_eq!(train.train_config("mine")["source"]["tag"], "v1");
    }
}

#[test]
fn other_tags_stay() {
    if !available("building::other_tags_stay", &[Peer::Python]) {
        return;
    }
    let yard = Yard::new();
    let train = yard.destination();
    yard.vectors.layout.only("2-ran", &train.dir);
    let before = train.image("2-ran");
    yard.build(train.path(), "scratch", &[], &[]).ok();
    let first = train.image("latest")["descriptor"]["digest"].clone();
    yard.build(&train.at("other"), "scratch", &[], &[]).ok();
    assert_eq!(train.tags(), ["2-ran", "latest", "base", "other"]);
    // Another build under the same tag replaces that image and its base, and nothing else.
    yard.build(train.path(), "scratch", &[], &[]).ok();
    assert_eq!(train.tags(), ["2-ran", "latest", "base", "other"]);
    let now = train.image("latest")["descriptor"]["digest"].clone();
    assert_ne!(first, now);
    let base = train.image("base");
    assert_ne!(now, base["descriptor"]["digest"], "registries count and delete by digest");
    assert_eq!(train.layers("latest"), train.layers("base"));
    assert_eq!(before, train.image("2-ran"));
    assert!(!train.view("2-ran", "").is_empty(), "its blobs are there and whole");
}

#[test]
fn cmd_takes_the_rest_of_the_line() {
    if !available("building::cmd_takes_the_rest_of_the_line", &[Peer::Python]) {
        return;
    }
    let yard = Yard::new();
    let command = ["--cmd", "python", "-u", "--wire", "9.9", "--help", "-q", "a b"];
    yard.build(yard.destination().path(), "scratch", &command, &[]).ok();
    assert_eq!(yard.destination().image("latest")["config"]["config"]["Cmd"], json!(command[1..]));
}

/// Every way to write a stop; and the stations come in the order of the indexes.
#[test]
fn forms_of_the_route() {
    if !available("building::forms_of_the_route", &[Peer::Python, Peer::Openssl]) {
        return;
    }
    let yard = Yard::new();
    let pem = yard.public_key("station_2");
    let hex: String = pem.bytes().map(|byte| format!("{byte:02x}")).collect();
    let (pkcs1, public) = (yard.path("pkcs1.pem"), yard.path("keys/station_1.pub.pem"));
    run("openssl", &["rsa", "-pubin", "-in", &public, "-RSAPublicKey_out", "-out", &pkcs1]).expect("a PKCS#1 key");
    yard.route(&json!([
        { "station": "file", "index": 3, "public_key_file": "keys/station_1.pub.pem", "eco_system": "padme" },
        { "station": 4711, "index": 0, "rsa_public_key": pem },
        { "station": "hex", "index": 2, "rsa_public_key": hex },
        { "station": "absolute", "index": 1, "public_key_file": pkcs1 },
    ]));
    yard.build(yard.destination().path(), "scratch", &[], &[]).ok();
    let route = yard.built_route();
    let stations: Vec<&Value> = route.iter().map(|stop| &stop["station"]).collect();
    assert_eq!(stations, [&json!(4711), &json!("absolute"), &json!("hex"), &json!("file")]);
    assert_eq!(route[3]["eco_system"], "padme");
    let destination = yard.destination();
    let shown = pht_oci(&["inspect", destination.path()], &[]).ok().stdout;
    let networks = String::from_utf8_lossy(&shown).contains("network");
    assert!(networks, "a network that is not everybody's is shown");
    assert_eq!(route[0]["rsa_public_key"], route[2]["rsa_public_key"], "PEM and hex are the same key");
    assert_eq!(route[1]["rsa_public_key"], route[3]["rsa_public_key"], "PKCS#1 and SPKI are the same key");
    for (index, stop) in route.iter().enumerate() {
        assert_eq!(stop["index"], index);
    }
    yard.route(&json!([yard.stop("station_2"), yard.stop("station_1")]));
    yard.build(yard.destination().path(), "scratch", &[], &[]).ok();
    assert_eq!(yard.built_route()[0]["station"], "station_2", "without indexes the order is the route");
}

#[test]
fn bad_routes() {
    if !available("building::bad_routes", &[Peer::Python, Peer::Openssl]) {
        return;
    }
    let yard = Yard::new();
    let (one, two, pem) = (yard.stop("station_1"), yard.stop("station_2"), yard.public_key("station_1"));
    let private = fs::read_to_string(yard.vectors.key("station_1")).expect("a private key");
    let with = |key: &str, value: Value| {
        let mut stop = one.clone();
        stop[key] = value;
        json!([stop])
    };
    let short = yard.path("short.pem");
    run("openssl", &["genrsa", "-out", &short, "512"]).expect("a short key");
    run("openssl", &["rsa", "-in", &short, "-pubout", "-out", &short]).expect("a short public key");
    let indexed = |a: Value, b: Value| {
        let (mut first, mut second) = (one.clone(), two.clone());
        (first["index"], second["index"]) = (a, b);
        json!([first, second])
    };
    for (what, route) in [
        ("an empty route", json!([])),
        ("no list", json!({ "route": [one] })),
        ("a stop that is a text", json!(["station_1"])),
        ("no station", json!([{ "public_key_file": "keys/station_1.pub.pem" }])),
        ("a station that is a list", with("station", json!(["a"]))),
        ("an empty station", with("station", json!(""))),
        ("a station twice", json!([one, one])),
        ("no key", json!([{ "station": "a" }])),
        ("two keys", with("rsa_public_key", json!(pem))),
        ("a key file that is not there", with("public_key_file", json!("nowhere.pem"))),
        ("a key file that is a directory", with("public_key_file", json!("keys"))),
        ("a private key", with("public_key_file", json!("keys/station_1.pem"))),
        ("a private key as text", json!([{ "station": "a", "rsa_public_key": private }])),
        ("a short key", with("public_key_file", json!("short.pem"))),
        ("a key that is neither PEM nor hex", json!([{ "station": "a", "rsa_public_key": "xyz" }])),
        ("a key that is hex of nothing", json!([{ "station": "a", "rsa_public_key": "00ff" }])),
        ("indexes with a gap", indexed(json!(0), json!(2))),
        ("indexes from one", indexed(json!(1), json!(2))),
        ("an index twice", indexed(json!(0), json!(0))),
        ("a negative index", indexed(json!(0), json!(-1))),
        ("an index that is a text", indexed(json!(0), json!("1"))),
        ("an eco_system that is a number", with("eco_system", json!(1))),
        ("an eco_system that no network has", with("eco_system", json!("nowhere"))),
        ("an unknown field", with("stations", json!("b"))),
    ] {
        println!("{what}"); // shown if it is not refused
        yard.route(&route);
        yard.refused(2, &[]);
    }
    for text in ["", "{", "[{\"station\": \"a\", \"station\": \"b\"}]", "\u{0}"] {
        yard.put("route.json", text.as_bytes());
        yard.refused(2, &[]);
    }
    fs::remove_file(yard.path("route.json")).expect("a route");
    let outcome = yard.refused(2, &[]);
    assert!(outcome.contains("route.json"), "the file is not named: {outcome}");
}

#[test]
fn bad_files_and_options() {
    if !available("building::bad_files_and_options", &[Peer::Python]) {
        return;
    }
    let yard = Yard::new();
    let (empty, query) = (yard.path("empty"), yard.path("query.json"));
    fs::create_dir_all(yard.path("empty/with/directories only")).expect("a new directory");
    yard.refused(2, &["--files", &empty]);
    yard.refused(2, &["--files", &yard.path("nowhere")]);
    yard.refused(2, &["--files", &query]);
    yard.refused(2, &["--query", &yard.path("nowhere")]);
    yard.refused(2, &["--query", &yard.path("files")]);
    yard.refused(2, &["--wire", "9.9"]);
    yard.put("files/query.json", b"{}");
    let refusal = yard.refused(2, &["--query", &query]);
    assert!(refusal.contains("query.json"), "{refusal}");
    fs::remove_file(yard.path("files/query.json")).expect("a file");
    std::os::unix::fs::symlink("main.py", yard.path("files/lib/link")).expect("a new link");
    let outcome = yard.refused(2, &[]);
    assert!(outcome.contains("lib/link"), "the link is not named: {outcome}");
}

/// The tar headers of a train that was built from scratch, as they stand: name, mode, owner, group, size and time.
fn headers(layout: &Layout, tag: &str) -> Vec<String> {
    let image = layout.image(tag);
    let layers = image["manifest"]["layers"].as_array().expect("layers");
    let list = "import sys, tarfile\n\
        for path in sys.argv[1:]:\n\
        \x20for m in tarfile.open(path): print(repr((m.name, m.type, m.mode, m.uid, m.gid, m.uname, m.gname, m.size, m.mtime, m.pax_headers)))";
    let blobs = layers.iter().map(|layer| layout.blob(layer["digest"].as_str().expect("a digest")));
    let line = ["-c".into(), list.into()].into_iter().chain(blobs).collect::<Vec<_>>();
    let output = run("python3", &line).expect("a tar");
    String::from_utf8(output).expect("UTF-8").lines().map(str::to_owned).collect()
}

/// Two builds at different times from files of different ages: only what must be random differs.
#[test]
fn reproducible() {
    if !available("building::reproducible", &[Peer::Python]) {
        return;
    }
    for wire in Wire::OURS {
        let yard = Yard::new();
        let mut built = Vec::new();
        for name in ["one", "two"] {
            let to = yard.path(name);
            let query = yard.path("query.json");
            let options = ["--wire", wire.option(), "--id", "fixed", "--query", &query, "--cmd", "run"];
            yard.build(&to, "scratch", &options, &[("SOURCE_DATE_EPOCH", EPOCH)]).ok();
            built.push(Layout::new(to));
            // As a fresh checkout has it: newer files, and directories that were filled in another order.
            let copy = yard.path("checkout");
            support::tree::copy(Path::new(&yard.path("files")), Path::new(&copy));
            fs::remove_dir_all(yard.path("files")).expect("a directory to remove");
            fs::rename(copy, yard.path("files")).expect("a directory to rename");
        }
        let (one, two) = (&built[0], &built[1]);
        assert_eq!(headers(one, "latest"), headers(two, "latest"), "wire {wire:?}");
        assert!(headers(one, "latest").iter().all(|header| header.contains(EPOCH)), "a time that is not the epoch");
        let [mut a, mut b] = [one.image("latest"), two.image("latest")];
        assert_eq!(a["config"]["created"], "2023-11-14T22:13:20Z");
        for image in [&mut a, &mut b] {
            // These follow from the layer.
            image["config"]["rootfs"]["diff_ids"] = Value::Null;
            image["config"]["config"]["Labels"]["de.personalhealthtrain.base-chain"] = Value::Null;
        }
        assert_eq!(a["config"], b["config"], "wire {wire:?}");
        let [mut a, mut b] = [one.train_config("latest"), two.train_config("latest")];
        assert_ne!(a["session_id"], b["session_id"], "the session id is random");
        for config in [&mut a, &mut b] {
            for field in ["session_id", "hash", "signature", "immutable_file_hash", "immutable_file_signature", "build"]
            {
                config.as_object_mut().expect("an object").remove(field);
            }
            for stop in config["route"].as_array_mut().expect("a route") {
                stop["encrypted_key"] = Value::Null;
            }
            config["creator"]["encrypted_key"] = Value::Null;
        }
        assert_eq!(a, b, "wire {wire:?}");
        let clear: Vec<_> = [one, two].map(|train| train.cat("latest", "opt/pht_train/main.py")).to_vec();
        assert_eq!(clear[0] == clear[1], !wire.encrypts_train(), "wire {wire:?}");
    }
    let yard = Yard::new();
    for wrong in ["yesterday", "1e9", " 1"] {
        yard.build(&yard.path("train"), "scratch", &[], &[("SOURCE_DATE_EPOCH", wrong)]).refused(2);
    }
    assert!(!fs::exists(yard.path("train")).expect("an answer"), "something was left");
}
