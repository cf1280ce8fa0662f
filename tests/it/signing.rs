//! Trains that a central service builds and their creator signs elsewhere: `build --creator-public-key`, `sign`.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use pht_oci::crypto::hex;
use serde_json::{Value, json};
use sha2::{Digest, Sha512};
use support::peers::test_file;
use support::tree::{differences, snapshot};
use support::wire3::Wire3Fixture;
use support::{Layout, Outcome, Peer, Wire, available, pht_oci, program, run, utf8};

const EPOCH: (&str, &str) = ("SOURCE_DATE_EPOCH", "1700000000");

/// A place to build at, where all that can be fixed is.
struct Service {
    fixture: Wire3Fixture,
    route: String,
    session_id: String,
}

impl Service {
    fn new() -> Self {
        let fixture = Wire3Fixture::prepare();
        let stop = |number: usize| {
            let key = fixture.path(&format!("station_{number}.pub.pem"));
            json!({ "station": format!("station_{number}"), "public_key_file": key })
        };
        let route = fixture.path("route.json");
        fs::write(&route, json!([stop(1), stop(2)]).to_string()).expect("a new file");
        let session_id = (0..64).map(|byte| format!("{byte:02x}")).collect();
        Service { fixture, route, session_id }
    }

    fn path(&self, name: &str) -> String {
        self.fixture.path(name)
    }

    fn layout(&self, name: &str) -> Layout {
        Layout::new(self.path(name))
    }

    /// `build` with what names the creator, and more; without `--files` those of the fixture.
    fn build(&self, to: &str, wire: Wire, options: &[&str]) -> Outcome {
        let (to, files, base) = (self.path(to), self.path("files"), self.fixture.base.at("base"));
        let mut line =
            vec!["build", &to, "--base", &base, "--route", &self.route, "--creator", "alice", "--id", "train-1"];
        line.extend(["--session-id", &self.session_id, "--wire", wire.option()]);
        if !options.contains(&"--files") {
            line.extend(["--files", &files]);
        }
        line.extend(options);
        pht_oci(&line, &[EPOCH])
    }

    /// With the creator's private key, as a creator builds.
    fn build_whole(&self, to: &str, wire: Wire, more: &[&str]) {
        let (creator, builder) = (self.fixture.key("creator"), self.fixture.key("builder"));
        self.build(to, wire, &[&["--creator-key", &creator, "--builder-key", &builder], more].concat()).ok();
    }

    /// Without it, as a central service does.
    fn build_waiting(&self, to: &str, wire: Wire, more: &[&str]) -> Outcome {
        let (creator, builder) = (self.path("creator.pub.pem"), self.fixture.key("builder"));
        self.build(to, wire, &[&["--creator-public-key", &creator, "--builder-key", &builder], more].concat())
    }

    fn hash(&self, layout: &str) -> String {
        let config = self.layout(layout).train_config("latest");
        let hash = ["hash", "immutable_file_hash"].iter().find_map(|name| config[*name].as_str());
        hash.expect("a hash").to_owned()
    }

    /// What the field's own client makes of a hash.
    fn sign_as_the_field(&self, hash: &str) -> String {
        let script = test_file("python/field_signature.py");
        let printed = run("python3", &[utf8(&script), &self.fixture.key("creator"), hash]).expect("a signature");
        String::from_utf8(printed).expect("text").trim().to_owned()
    }

    fn sign(&self, layout: &str, options: &[&str]) -> Outcome {
        pht_oci(&[&["sign", &self.path(layout)], options].concat(), &[])
    }

    /// The train is one that the first station takes.
    fn goes_on(&self, layout: &str) {
        let (from, to, key) = (self.path(layout), self.path("opened"), self.fixture.key("station_1"));
        let _ = fs::remove_dir_all(&to);
        pht_oci(&["pre-run", &from, &format!("{to}:latest"), "--private-key", &key], &[]).ok();
        assert_eq!(Layout::new(to).cat("latest", "opt/pht_train/main.py"), b"print(1)\n");
    }
}

fn digests(layout: &Layout) -> [Value; 2] {
    ["latest", "base"].map(|tag| layout.image(tag)["descriptor"]["digest"].clone())
}

/// In wire 1.1.2 nothing is random but the session id: every way to sign makes one train, bit for bit.
#[test]
fn every_way_to_sign_makes_the_same_train() {
    if !available("signing::every_way_to_sign", &[Peer::Python]) {
        return;
    }
    let service = Service::new();
    let wire = Wire::V1_1_2;
    service.build_whole("whole", wire, &[]);
    let whole = digests(&service.layout("whole"));
    let signature = service.sign_as_the_field(&service.hash("whole"));
    service.build_waiting("given", wire, &["--creator-signature", &signature]).ok();
    assert_eq!(digests(&service.layout("given")), whole, "the signature at build");

    let statement = service.path("statement.json");
    service.build_waiting("waiting", wire, &["--statement", &statement]).ok();
    assert_eq!(service.hash("waiting"), service.hash("whole"));
    assert_ne!(digests(&service.layout("waiting")), whole);
    let (out, key, files) = (service.path("signature.hex"), service.fixture.key("creator"), service.path("files"));
    let line = ["sign", "--statement", &statement, "--private-key", &key, "--files", &files, "--yes", "--out", &out];
    pht_oci(&line, &[]).ok();
    assert_eq!(fs::read_to_string(&out).expect("a signature").trim(), signature);
    service.sign("waiting", &["--signature", &out]).ok();
    assert_eq!(digests(&service.layout("waiting")), whole, "the signature put in");
    let message = service.sign("waiting", &["--signature", &out]).refused(2).stderr;
    assert!(message.contains("every signature"), "{message}");

    service.build_waiting("here", wire, &[]).ok();
    service.sign("here", &["--private-key", &key, "--files", &files, "--yes"]).ok();
    assert_eq!(digests(&service.layout("here")), whole, "signed in place");
    service.build_waiting("from", wire, &[]).ok();
    let to = service.path("to");
    let before = snapshot(Path::new(&service.path("from")));
    pht_oci(&["sign", &service.path("from"), &to, "--private-key", &key, "--yes"], &[]).ok();
    assert_eq!(digests(&service.layout("to")), whole, "signed into another place");
    assert!(differences(&before, &snapshot(Path::new(&service.path("from"))), true).is_empty());
    service.goes_on("to");
}

/// In all wires: what waits is refused by stages, and is as good as any other train when it is signed.
#[test]
fn a_train_waits_for_its_creator_and_then_goes_on() {
    if !available("signing::a_train_waits", &[Peer::Python]) {
        return;
    }
    let service = Service::new();
    let (creator, builder, files) =
        (service.fixture.key("creator"), service.fixture.key("builder"), service.path("files"));
    for wire in Wire::OURS {
        let name = |what: &str| format!("{what}-{}", wire.option());
        service.build_whole(&name("whole"), wire, &[]);
        let (train, statement, signature) =
            (name("train"), service.path(&name("statement")), service.path(&name("hex")));
        service.build_waiting(&train, wire, &["--statement", &statement]).ok();
        assert_eq!(service.hash(&train), service.hash(&name("whole")), "{wire:?}");
        let inspected = pht_oci(&["inspect", &service.path(&train), "--format", "json"], &[]).ok().json();
        assert_eq!(inspected["waits_for_creator"], true, "{wire:?}");
        let key = service.fixture.key("station_1");
        pht_oci(&["pre-run", &service.path(&train), &service.path("none"), "--private-key", &key], &[]).refused(3);
        pht_oci(&["verify", &service.path(&train)], &[]).refused(3);
        // The creator is elsewhere, and the service puts the signature in.
        let line = ["sign", "--statement", &statement, "--private-key", &creator, "--files", &files, "--yes"];
        pht_oci(&[&line[..], &["--out", &signature]].concat(), &[]).ok();
        service.sign(&train, &["--signature", &signature, "--builder-key", &builder]).ok();
        service.goes_on(&train);
        pht_oci(&["verify", &service.path(&train)], &[]).ok();
        let mut configs = [&train, &name("whole")].map(|layout| service.layout(layout).train_config("latest"));
        for config in &mut configs {
            forget_random(config);
        }
        assert_eq!(configs[0], configs[1], "{wire:?}");
        // The creator has the image.
        service.build_waiting(&train, wire, &[]).ok();
        service.sign(&train, &["--private-key", &creator, "--files", &files, "--yes"]).ok();
        if wire == Wire::V2_0 {
            service.sign(&train, &["--private-key", &creator, "--yes"]).refused(2);
            pht_oci(&["pre-run", &service.path(&train), &service.path("none"), "--private-key", &key], &[]).refused(3);
            service.sign(&train, &["--builder-key", &service.fixture.key("stranger")]).refused(4);
            service.sign(&train, &["--builder-key", &builder]).ok();
        }
        service.goes_on(&train);
        assert!(!Path::new(&service.path("none")).exists());
    }
}

/// What differs from build to build whoever signs: keys, and signatures with a random salt.
fn forget_random(config: &mut Value) {
    for name in ["signature", "immutable_file_signature", "build"] {
        config.as_object_mut().expect("an object").remove(name);
    }
    config["creator"]["encrypted_key"] = Value::Null;
    for stop in config["route"].as_array_mut().expect("a route") {
        stop["encrypted_key"] = Value::Null;
    }
}

/// The field's own signature is taken in both wires that have it, and a builder who is nobody's is made.
#[test]
fn a_signature_of_the_field_is_taken_and_a_builder_is_made() {
    if !available("signing::a_signature_of_the_field", &[Peer::Python]) {
        return;
    }
    let service = Service::new();
    let creator = service.path("creator.pub.pem");
    service.build("probe", Wire::V2_0, &["--creator-public-key", &creator]).ok();
    let signature = service.sign_as_the_field(&service.hash("probe"));
    let given = ["--creator-public-key", &creator, "--creator-signature", &signature];
    let report = service.build("train", Wire::V2_0, &[&given[..], &["--format", "json"]].concat()).ok().json();
    assert!(report["notes"].to_string().contains("builder's key"), "{report}");
    service.goes_on("train");
    // One that waits gets its builder when it is signed.
    fs::write(service.path("hex"), &signature).expect("a new file");
    service.sign("probe", &["--signature", &service.path("hex")]).ok();
    service.goes_on("probe");
    service.build("three", Wire::V3, &["--creator-key", &service.fixture.key("creator")]).ok();
    service.goes_on("three");
    // PSS is not what the client makes, so its signature is none of wire 1.1.1 and 3.
    for wire in [Wire::V1_1_1, Wire::V3] {
        service.build("none", wire, &["--creator-public-key", &creator, "--creator-signature", &signature]).refused(3);
        assert!(!Path::new(&service.path("none")).exists());
    }
}

/// Anything that is signed and changed between build and signature is exit 3, and changes nothing.
#[test]
fn a_changed_statement_is_refused() {
    if !available("signing::a_changed_statement", &[Peer::Python]) {
        return;
    }
    let service = Service::new();
    let (creator, files) = (service.fixture.key("creator"), service.path("files"));
    for wire in Wire::OURS {
        let (statement, hex_file) = (service.path(&format!("{wire:?}.json")), service.path(&format!("{wire:?}.hex")));
        service.build_waiting("train", wire, &["--statement", &statement]).ok();
        let line = ["sign", "--statement", &statement, "--private-key", &creator, "--yes", "--out", &hex_file];
        pht_oci(&line, &[]).ok();
        // The train was built again, with another session id, or other files.
        let other: String = "11".repeat(64);
        let mut options = vec!["--session-id".to_owned(), other];
        for change in ["session id", "files"] {
            if change == "files" {
                let changed = service.path("changed");
                let _ = fs::remove_dir_all(&changed);
                run("cp", &["-a", &files, &changed]).expect("a copy");
                fs::write(format!("{changed}/main.py"), "print(2)\n").expect("a file");
                options = vec!["--files".to_owned(), changed];
            }
            let options: Vec<&str> = options.iter().map(String::as_str).collect();
            service.rebuild("train", wire, &options);
            let before = snapshot(Path::new(&service.path("train")));
            let message = service.sign("train", &["--signature", &hex_file]).refused(3).stderr;
            assert!(message.contains("alice") && message.contains("hint"), "{wire:?} {change}: {message}");
            assert!(differences(&before, &snapshot(Path::new(&service.path("train"))), true).is_empty());
            let signature = fs::read_to_string(&hex_file).expect("a signature");
            let given = [&options[..], &["--creator-signature", signature.trim()]].concat();
            service.rebuild_given("none", wire, &given).refused(3);
        }
        // The creator's own files are others: by name, where the wire has that.
        let message = service.sign("train", &["--private-key", &creator, "--files", &files, "--yes"]).refused(3).stderr;
        assert!(wire != Wire::V3 || message.contains("main.py"), "{message}");
        // What a statement says is held against its hash, or against the files.
        let text = fs::read_to_string(&statement).expect("a statement");
        let changed = text.replacen("00010203", "ff010203", 1);
        assert_ne!(text, changed, "the session id is in it");
        fs::write(&statement, changed).expect("a file");
        let line = ["sign", "--statement", &statement, "--private-key", &creator, "--files", &files, "--yes"];
        pht_oci(&line, &[]).refused(3);
    }
}

impl Service {
    fn rebuild(&self, to: &str, wire: Wire, options: &[&str]) {
        let _ = fs::remove_dir_all(self.path(to));
        self.rebuild_given(to, wire, options).ok();
    }

    /// A waiting train with other options than the fixed ones.
    fn rebuild_given(&self, to: &str, wire: Wire, options: &[&str]) -> Outcome {
        let (to, base, creator) = (self.path(to), self.fixture.base.at("base"), self.path("creator.pub.pem"));
        let (files, builder) = (self.path("files"), self.fixture.key("builder"));
        let mut line =
            vec!["build", &to, "--base", &base, "--route", &self.route, "--creator", "alice", "--id", "train-1"];
        line.extend(["--creator-public-key", &creator, "--builder-key", &builder, "--wire", wire.option()]);
        for (name, value) in [("--session-id", &self.session_id), ("--files", &files)] {
            if !options.contains(&name) {
                line.extend([name, value]);
            }
        }
        line.extend(options);
        pht_oci(&line, &[EPOCH])
    }
}

/// Nobody signs without having been asked, nor for somebody else.
/// Who is shown a hash alone, as on the page of the field's centre, signs that.
#[test]
fn a_hash_alone_is_signed_as_the_field_s_client_does() {
    if !available("signing::a_hash_alone", &[Peer::Python]) {
        return;
    }
    let service = Service::new();
    let creator = service.fixture.key("creator");
    for wire in [Wire::V1_1_2, Wire::V2_0] {
        let name = format!("by-hash-{}", wire.option());
        let told = String::from_utf8(service.build_waiting(&name, wire, &[]).ok().stdout).expect("text");
        let hash = service.hash(&name);
        assert!(told.contains(&hash), "the creator is told what to sign: {told}");
        let file = service.path(&format!("{name}.hex"));
        let line = ["sign", "--hash", &hash, "--private-key", &creator, "--yes"];
        let printed = String::from_utf8(pht_oci(&line, &[]).ok().stdout).expect("text");
        assert_eq!(printed.trim(), service.sign_as_the_field(&hash));
        pht_oci(&[&line[..], &["--out", &file]].concat(), &[]).ok();
        assert_eq!(fs::read_to_string(&file).expect("a signature"), printed);
        let builder = service.fixture.key("builder");
        let builder = if wire == Wire::V2_0 { vec!["--builder-key", &builder] } else { vec![] };
        service.sign(&name, &[&["--signature", &file][..], &builder].concat()).ok();
        service.goes_on(&name);
    }
    // Wire 3 takes no signature of a hash that nobody has looked behind.
    let statement = service.path("by-hash-3.json");
    service.build_waiting("by-hash-3", Wire::V3, &["--statement", &statement]).ok();
    let (hash, file) = (service.hash("by-hash-3"), service.path("by-hash-3.hex"));
    let line = ["sign", "--hash", &hash, "--private-key", &creator, "--yes", "--out", &file];
    pht_oci(&line, &[]).ok();
    service.sign("by-hash-3", &["--signature", &file]).refused(3);
    for (line, named) in [
        (vec!["sign", "--hash", "abc", "--private-key", &creator, "--yes"], "128 hexadecimal digits"),
        (vec!["sign", "--hash", &hash[2..], "--private-key", &creator, "--yes"], "128 hexadecimal digits"),
        (vec!["sign", "--hash", &hash, "--private-key", &creator], "--yes"),
        (vec!["sign", "--hash", &hash, "--statement", &statement, "--private-key", &creator], "--statement"),
        (vec!["sign", "--hash", &hash, "--files", &statement, "--private-key", &creator], "--files"),
    ] {
        let message = pht_oci(&line, &[]).refused(2).stderr;
        assert!(message.contains(named), "{line:?}: {message}");
    }
}

#[test]
fn signing_asks_and_looks_first() {
    if !available("signing::signing_asks", &[Peer::Python]) {
        return;
    }
    let service = Service::new();
    let creator = service.fixture.key("creator");
    for wire in [Wire::V2_0, Wire::V3] {
        let name = format!("train-{}", wire.option());
        let statement = service.path(&format!("{name}.json"));
        let command = ["--statement", &statement, "--cmd", "python", "/opt/pht_train/main.py"];
        service.build_waiting(&name, wire, &command).ok();
        let before = snapshot(Path::new(&service.path(&name)));
        for (status, line, what) in [
            (2, vec!["sign", &service.path(&name), "--private-key", &creator], "--yes"),
            (2, vec!["sign", "--statement", &statement, "--private-key", &creator], "--yes"),
            (
                4,
                vec!["sign", &service.path(&name), "--private-key", &service.fixture.key("station_1"), "--yes"],
                "station_1",
            ),
            (
                4,
                vec!["sign", &service.path(&name), "--private-key", &service.fixture.key("stranger"), "--yes"],
                "sha256:",
            ),
            (4, vec!["sign", &service.path(&name), "--yes"], "--private-key"),
            (2, vec!["sign", &service.path(&name), "--signature", &service.path("nowhere")], "nowhere"),
            (2, vec!["sign", &service.path(&name), "--signature", &statement], "hexadecimal"),
            (2, vec!["sign", &service.path(&name), "--builder-key", &service.fixture.key("builder")], "creator"),
            (2, vec!["sign"], "required"),
        ] {
            let message = pht_oci(&line, &[]).refused(status).stderr;
            assert!(message.contains(what), "{line:?}: {message}");
        }
        assert!(differences(&before, &snapshot(Path::new(&service.path(&name))), true).is_empty(), "{wire:?}");
        // What is signed is shown: the route with its keys, the files, the command, the base.
        let files = service.path("files");
        let line = ["sign", &service.path(&name), "--private-key", &creator, "--files", &files, "--yes"];
        let shown = pht_oci(&line, &[]).ok().stderr;
        let key = pht_oci(&["inspect", &service.path(&name), "--format", "json"], &[]).ok().json();
        let key = key["route"][0]["key"].as_str().expect("a fingerprint").to_owned();
        let base = service.fixture.base.layers("base")[0].clone();
        for part in ["station_1", &key, "main.py", &files, "python", "/opt/pht_train/main.py", &base, "alice"] {
            assert!(shown.contains(part), "{part} is not shown: {shown}");
        }
        assert_eq!(shown.contains("does not cover"), wire != Wire::V3, "{shown}");
    }
}

/// At a terminal a person sees what is signed, and only a yes signs it.
#[test]
fn a_person_at_a_terminal_decides() {
    if !available("signing::a_person_at_a_terminal", &[Peer::Python]) {
        return;
    }
    let service = Service::new();
    let (script, key) = (test_file("python/prompted.py"), service.fixture.key("creator"));
    service.build_waiting("train", Wire::V3, &[]).ok();
    let train = service.path("train");
    let before = snapshot(Path::new(&train));
    let at_a_terminal = |typed: &str| -> Value {
        let line = ["-I", utf8(&script), typed, program(), "sign", &train, "--private-key", &key];
        serde_json::from_slice(&run("python3", &line).expect("an outcome")).expect("JSON")
    };
    for (typed, status) in [("n\\n", 2), ("\\n", 2), ("yes please\\n", 2), ("\\x04", 2), ("\\x03", 130)] {
        let outcome = at_a_terminal(typed);
        assert_eq!(outcome["status"], status, "{typed}: {outcome}");
        assert_eq!(outcome["echo_after"], true);
        assert!(differences(&before, &snapshot(Path::new(&train)), true).is_empty(), "{typed}");
    }
    let outcome = at_a_terminal("y\\n");
    assert_eq!(outcome["status"], 0, "{outcome}");
    assert!(
        outcome["seen"]
            .as_str()
            .is_some_and(|seen| seen.contains("station_1") && seen.contains("sign the train train-1?"))
    );
    service.goes_on("train");
}

/// The order of a central service decides the hash of the earlier wires, and its names are kept as they are.
#[test]
fn the_hash_follows_the_list_of_the_service() {
    if !available("signing::the_hash_follows", &[Peer::Python]) {
        return;
    }
    let service = Service::new();
    let listed = ["./main.py", "lib.py", "./lib/two chunks.bin", "lib-extra/empty"];
    let list = service.path("list.json");
    fs::write(&list, json!(listed).to_string()).expect("a new file");
    let read = |name: &str| fs::read(service.path(&format!("files/{name}"))).expect("a file");
    let mut expected = Sha512::new();
    expected.update(b"alice");
    listed.iter().for_each(|name| expected.update(read(name)));
    expected.update((0..64).collect::<Vec<u8>>());
    expected.update(read("query.json"));
    let expected = hex::encode(&expected.finalize());
    for wire in Wire::ALL {
        let train = format!("train-{}", wire.option());
        service.build_whole(&train, wire, &["--file-list", &list]);
        assert_eq!(service.hash(&train), expected, "{wire:?}");
        let names = service.layout(&train).train_config("latest")["file_list"].clone();
        let listed = if wire == Wire::V2_0 { json!(listed) } else { json!([&listed[..], &["query.json"]].concat()) };
        assert_eq!(names, listed, "{wire:?}");
        service.goes_on(&train);
    }
    // Line by line, and in wire 3, whose order is fixed, too.
    fs::write(&list, listed.join("\n") + "\n").expect("a file");
    service.build_whole("lines", Wire::V2_0, &["--file-list", &list]);
    assert_eq!(service.hash("lines"), expected);
    service.build_whole("three", Wire::V3, &["--file-list", &list]);
    service.goes_on("three");
    for (text, what) in [
        ("main.py\n", "lib.py"),
        ("main.py\nlib.py\nlib/two chunks.bin\nlib-extra/empty\nother.py\n", "other.py"),
        ("main.py\nlib.py\nlib/two chunks.bin\nlib-extra/empty\n./main.py\n", "main.py"),
        ("../main.py\n", "../main.py"),
        ("", "no file"),
        ("[1]", "JSON"),
    ] {
        fs::write(&list, text).expect("a file");
        for wire in [Wire::V1_1_2, Wire::V2_0, Wire::V3] {
            let (creator, builder) = (service.fixture.key("creator"), service.fixture.key("builder"));
            let options = ["--creator-key", &creator, "--builder-key", &builder, "--file-list", &list];
            let message = service.build("none", wire, &options).refused(2).stderr;
            assert!(message.contains(what), "{text:?}: {message}");
        }
    }
    assert!(!Path::new(&service.path("none")).exists());
}

/// The files may come as a tar archive, in a file or on standard input, packed or not.
#[test]
fn files_may_come_in_an_archive() {
    if !available("signing::files_may_come", &[Peer::Python]) {
        return;
    }
    let service = Service::new();
    let (creator, files) = (service.fixture.key("creator"), service.path("files"));
    service.build_whole("directory", Wire::V1_1_2, &[]);
    let expected = digests(&service.layout("directory"));
    let (tar, packed) = (service.path("files.tar"), service.path("files.tar.gz"));
    // Not in any order, some with `./`.
    let names = ["./query.json", "main.py", "lib", "lib-extra", "lib.py"];
    run("tar", &[&["-C", &files, "-cf", &tar], &names[..]].concat()).expect("an archive");
    run("sh", &["-c", &format!("gzip -c '{tar}' > '{packed}'")]).expect("a packed archive");
    for (number, from) in [&tar, &packed].into_iter().enumerate() {
        let to = format!("from-{number}");
        service.build(&to, Wire::V1_1_2, &["--files", from, "--creator-key", &creator]).ok();
        assert_eq!(digests(&service.layout(&to)), expected, "{from}");
        for stdin in [Stdio::piped(), Stdio::from(fs::File::open(from).expect("the archive"))] {
            let is_pipe = number == 0;
            let to = service.path(&format!("stream-{number}-{is_pipe}"));
            let _ = fs::remove_dir_all(&to);
            let base = service.fixture.base.at("base");
            let mut child = Command::new(program())
                .args(["build", &to, "--base", &base, "--route", &service.route, "--creator", "alice", "--files", "-"])
                .args([
                    "--creator-key",
                    &creator,
                    "--session-id",
                    &service.session_id,
                    "--wire",
                    "1.1.2",
                    "--id",
                    "train-1",
                ])
                .env(EPOCH.0, EPOCH.1)
                .stdin(stdin)
                .stdout(Stdio::null())
                .spawn()
                .expect("the program starts");
            if let Some(mut stdin) = child.stdin.take() {
                stdin.write_all(&fs::read(from).expect("the archive")).expect("the program reads");
            }
            assert!(child.wait().expect("an end").success());
            assert_eq!(digests(&Layout::new(to)), expected, "{from} on standard input");
        }
    }
    // What nobody would unpack is refused.
    let script = "import io, sys, tarfile\nt = tarfile.open(sys.argv[1], 'w')\nfor n in sys.argv[2:]:\n  i = \
                  tarfile.TarInfo(n); i.size = 1; t.addfile(i, io.BytesIO(b'x'))\nt.close()";
    for members in [&["../x"][..], &["a", "a"], &["a", "a/b"], &[]] {
        let bad = service.path("bad.tar");
        run("python3", &[&["-c", script, &bad], members].concat()).expect("an archive");
        let message = service.build("none", Wire::V3, &["--files", &bad, "--creator-key", &creator]).refused(2).stderr;
        assert!(message.contains("bad.tar"), "{message}");
    }
}
