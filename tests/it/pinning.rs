//! `trust` and `fingerprint`: from a key that came with a train to one that a person has compared.

use std::fs;
use std::path::Path;

use serde_json::Value;
use support::tree::{copy, differences, snapshot};
use support::{Layout, Peer, available, pht_oci, run, utf8};

/// A train of wire 3 after its second station, and where keys are to be pinned.
struct Desk {
    dir: tempfile::TempDir,
    layout: Layout,
}

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/wire-3"), dir.path());
        let _ = fs::remove_dir_all(dir.path().join("trust"));
        Desk { layout: Layout::new(dir.path().join("layout")), dir }
    }

    fn path(&self, name: &str) -> String {
        utf8(&self.dir.path().join(name)).to_owned()
    }

    fn fingerprint(&self, name: &str) -> String {
        let report = pht_oci(&["fingerprint", &self.path(name), "--format", "json"], &[]).ok().json();
        report["keys"][0]["fingerprint"].as_str().expect("a fingerprint").to_owned()
    }

    fn show(&self) -> Value {
        let trust = self.path("trust");
        fs::create_dir_all(&trust).expect("a directory");
        pht_oci(&["trust", "show", &self.layout.at("2"), "--trust", &trust, "--format", "json"], &[]).ok().json()
    }

    fn add(&self, party: &str, fingerprint: &str) -> support::Outcome {
        let (image, trust) = (self.layout.at("2"), self.path("trust"));
        pht_oci(&["trust", "add", &image, party, "--trust", &trust, "--fingerprint", fingerprint], &[])
    }
}

#[test]
fn a_fingerprint_is_what_openssl_makes_of_the_der() {
    let desk = Desk::new();
    let public = desk.fingerprint("keys/creator.pub.pem");
    assert_eq!(public, desk.fingerprint("keys/creator.pem"));
    let text = pht_oci(&["fingerprint", &desk.path("keys/creator.pub.pem"), &desk.path("keys/builder.pem")], &[]).ok();
    let text = String::from_utf8(text.stdout).expect("text");
    assert_eq!(text.lines().count(), 2);
    assert!(text.starts_with(&format!("{public}  ")), "{text}");
    pht_oci(&["fingerprint", &desk.path("route.json")], &[]).expect(0).map(drop).expect_err("not a key");
    if !available("pinning::a_fingerprint_is_what_openssl_makes_of_the_der", &[Peer::Openssl]) {
        return;
    }
    let pipe = "openssl pkey -pubin -in \"$0\" -outform DER | sha256sum | cut -d' ' -f1";
    let hex = run("sh", &["-c", pipe, &desk.path("keys/creator.pub.pem")]).expect("a digest");
    assert_eq!(public, format!("sha256:{}", String::from_utf8(hex).expect("text").trim()));
}

#[test]
fn keygen_and_inspect_name_the_same_fingerprint() {
    let desk = Desk::new();
    let made = pht_oci(&["keygen", &desk.path("new"), "--bits", "2048", "--format", "json"], &[]).ok().json();
    assert_eq!(made["fingerprint"], desk.fingerprint("new.pub.pem"));
    let shown = pht_oci(&["inspect", &desk.layout.at("2"), "--format", "json"], &[]).ok().json();
    assert_eq!(shown["creator_key"], desk.fingerprint("keys/creator.pub.pem"));
    assert_eq!(shown["builder_key"], desk.fingerprint("keys/builder.pub.pem"));
    assert_eq!(shown["route"][0]["key"], desk.fingerprint("keys/station_1.pub.pem"));
    let text = String::from_utf8(pht_oci(&["inspect", &desk.layout.at("2")], &[]).ok().stdout).expect("text");
    for key in ["creator", "builder", "station_1"] {
        let key = desk.fingerprint(&format!("keys/{key}.pub.pem"));
        assert!(text.contains(&key), "{key} is not in: {text}");
    }
}

#[test]
fn the_creators_key_is_shown_compared_and_pinned_and_is_enough() {
    let desk = Desk::new();
    let shown = desk.show();
    let states: Vec<&Value> = shown["parties"].as_array().expect("a list").iter().map(|one| &one["state"]).collect();
    assert_eq!(states, ["not pinned"; 5]);
    assert_eq!(shown["parties"][0]["party"], "creators/alice");
    let key = desk.fingerprint("keys/creator.pub.pem");
    assert_eq!(shown["parties"][0]["fingerprint"], Value::from(key.clone()));

    // Not without an answer, and not with another one.
    let before = snapshot(desk.dir.path());
    let (image, trust) = (desk.layout.at("2"), desk.path("trust"));
    let message = pht_oci(&["trust", "add", &image, "creators/alice", "--trust", &trust], &[]).refused(2).stderr;
    assert!(message.contains(&key) && message.contains("--fingerprint"), "{message}");
    let other = desk.fingerprint("keys/builder.pub.pem");
    desk.add("creators/alice", &other).refused(3);
    // What is no fingerprint says nothing of the train.
    for wrong in [&key[..40], "sha256:deadbeef", "", &format!("{key}0"), &key.replace("sha256", "sha512")] {
        let message = desk.add("creators/alice", wrong).refused(2).stderr;
        assert!(message.contains("64 hexadecimal digits"), "{wrong}: {message}");
    }
    desk.add("creators/bob", &key).refused(2);
    desk.add("friends/alice", &key).refused(2);
    desk.add("stations", &key).refused(2);
    pht_oci(&["trust", "add", &image, "creator", "--fingerprint", &key], &[]).refused(2);
    assert_eq!(differences(&before, &snapshot(desk.dir.path()), true), Vec::<String>::new());

    desk.add("creators/alice", &key.to_uppercase()).ok();
    desk.add("creator", &key).ok();
    // As `openssl ... | sha256sum` prints it.
    let digits = key.strip_prefix("sha256:").expect("a fingerprint");
    desk.add("creator", digits).ok();
    desk.add("creator", &format!("{}\n", digits.to_uppercase())).ok();
    desk.add("creator", other.strip_prefix("sha256:").expect("a fingerprint")).refused(3);
    let shown = desk.show();
    let states: Vec<&Value> = shown["parties"].as_array().expect("a list").iter().map(|one| &one["state"]).collect();
    assert_eq!(states[0], "pinned");
    assert!(states[1..].iter().all(|state| *state == "named by the pinned creator"), "{states:?}");
    pht_oci(&["verify", &image, "--trust", &trust, "--strict"], &[]).ok();
    let list = pht_oci(&["trust", "list", "--trust", &trust, "--format", "json"], &[]).ok().json();
    assert_eq!(list["pins"].as_array().expect("a list").len(), 1);
    assert_eq!((&list["pins"][0]["role"], &list["pins"][0]["id"]), (&"creator".into(), &"alice".into()));

    let builder = desk.fingerprint("keys/builder.pub.pem");
    desk.add("builders/centre", &builder).ok();
    assert!(Path::new(&desk.path("trust/builders/centre.pub.pem")).exists());
    let station = desk.fingerprint("keys/station_3.pub.pem");
    desk.add("stations/Universität 🚂 \"3\"", &station).ok();
    assert!(
        desk.show()["parties"].as_array().expect("a list").iter().filter(|one| one["state"] == "pinned").count() == 3
    );
}

#[test]
fn another_pinned_key_is_not_overwritten() {
    let desk = Desk::new();
    fs::create_dir_all(desk.path("trust/creators")).expect("a new directory");
    fs::copy(desk.path("keys/builder.pub.pem"), desk.path("trust/creators/alice.pem")).expect("a key");
    assert_eq!(desk.show()["parties"][0]["state"], "ANOTHER KEY IS PINNED");
    let before = snapshot(desk.dir.path());
    let message = desk.add("creator", &desk.fingerprint("keys/creator.pub.pem")).refused(2).stderr;
    assert!(message.contains("another key is pinned"), "{message}");
    assert_eq!(differences(&before, &snapshot(desk.dir.path()), true), Vec::<String>::new());
}

/// `ID.pem` and `ID.pub.pem` are one pin; what pins nothing is said.
#[test]
fn pins_have_either_name_and_what_is_no_pin_is_said() {
    let desk = Desk::new();
    let pin = |name: &str, key: &str| {
        let to = desk.dir.path().join("trust").join(name);
        fs::create_dir_all(to.parent().expect("below a directory")).expect("a new directory");
        fs::copy(desk.path(&format!("keys/{key}.pub.pem")), to).expect("a key");
    };
    let (image, trust) = (desk.layout.at("2"), desk.path("trust"));
    let verify = || pht_oci(&["verify", &image, "--trust", &trust, "--strict"], &[]);
    pin("creators/alice.pub.pem", "creator");
    verify().ok();
    pin("creators/alice.pem", "creator");
    verify().ok();
    pin("creators/alice.pem", "builder");
    verify().refused(2);
    fs::remove_file(desk.path("trust/creators/alice.pem")).expect("a pin");
    pin("alice.pem", "creator");
    pin("creators/bob.txt", "builder");
    pin("reviewers/carol.pub.pem", "station_1");
    let outcome = verify().ok();
    for name in ["trust/alice.pem", "creators/bob.txt"] {
        assert!(outcome.stderr.contains(name), "{name}: {}", outcome.stderr);
    }
    assert!(!outcome.stderr.contains("carol"), "{}", outcome.stderr);
}

/// A key that nobody has pinned is not one that is wrong.
#[test]
fn a_missing_pin_is_another_verdict_than_a_wrong_one() {
    let desk = Desk::new();
    let (image, trust) = (desk.layout.at("2"), desk.path("trust"));
    fs::create_dir_all(desk.path("trust")).expect("a new directory");
    let line = ["verify", &image, "--trust", &trust, "--format", "json"];
    let outcome = pht_oci(&line, &[]).refused(3);
    let report: Value = serde_json::from_slice(&outcome.stdout).expect("a report");
    assert_eq!(report["verdict"], "unpinned");
    assert!(report["checks"].as_array().expect("a list").iter().all(|check| check["verdict"] != "broken"), "{report}");
    let error: Value = serde_json::from_str(outcome.stderr.lines().last().expect("an error")).expect("JSON");
    let message = error["error"]["message"].as_str().expect("a message");
    assert!(message.contains("creators/alice.pem"), "{message}");
    assert!(error["error"]["hint"].as_str().expect("a hint").contains("trust add"), "{error}");
    fs::create_dir_all(desk.path("trust/creators")).expect("a new directory");
    fs::copy(desk.path("keys/builder.pub.pem"), desk.path("trust/creators/alice.pem")).expect("a key");
    let outcome = pht_oci(&line, &[]).refused(3);
    let report: Value = serde_json::from_slice(&outcome.stdout).expect("a report");
    assert_eq!(report["verdict"], "broken");
}

/// Without pins a stage goes on and says so, however quiet it is to be.
#[test]
fn without_pins_the_creators_key_is_named_aloud() {
    let desk = Desk::new();
    let key = desk.fingerprint("keys/creator.pub.pem");
    let (image, own) = (desk.layout.at("2"), desk.path("keys/station_3.pem"));
    for (at, options) in [&[][..], &["-q"], &["--format", "json"], &["-q", "--format", "json"]].into_iter().enumerate()
    {
        let to = desk.layout.at(&format!("opened-{at}"));
        let outcome = pht_oci(&[&["pre-run", &image, &to, "--private-key", &own], options].concat(), &[]).ok();
        // Where programs read, it stands in the report: standard error is for one document at most.
        let said = match options.contains(&"json") {
            true => outcome.json()["warnings"].to_string(),
            false => outcome.stderr.clone(),
        };
        assert_eq!(said.matches("nobody vouches").count(), 1, "{options:?}: {said}");
        assert!(said.contains(&key) && said.contains("alice"), "{said}");
        assert_eq!(outcome.stderr.contains("nobody vouches"), !options.contains(&"json"));
    }
    let outcome = pht_oci(&["verify", &image, "-q"], &[]).ok();
    assert!(outcome.stderr.contains(&key), "{}", outcome.stderr);
    fs::create_dir_all(desk.path("trust/creators")).expect("a new directory");
    fs::copy(desk.path("keys/creator.pub.pem"), desk.path("trust/creators/alice.pub.pem")).expect("a key");
    let (to, trust) = (desk.layout.at("pinned"), desk.path("trust"));
    let outcome = pht_oci(&["pre-run", &image, &to, "--private-key", &own, "--trust", &trust], &[]).ok();
    assert!(!outcome.stderr.contains("nobody vouches"), "{}", outcome.stderr);
}

/// Advice to change the mode of a file is for keys alone.
#[test]
fn no_mode_is_advised_for_what_is_no_key() {
    let desk = Desk::new();
    for name in ["route.json", "keys/station_3.pub.pem"] {
        let file = desk.path(name);
        fs::write(desk.path("route.json"), "[]").expect("a new file");
        let to = desk.layout.at("opened");
        let message = pht_oci(&["pre-run", &desk.layout.at("2"), &to, "--private-key", &file], &[]).refused(4).stderr;
        assert!(!message.contains("chmod"), "{message}");
        let outcome = pht_oci(&["fingerprint", &file], &[]);
        assert!(!outcome.stderr.contains("chmod"), "{}", outcome.stderr);
    }
}
