//! `validate`: what a train may change of its master image passes, in whatever form; everything else is named.

use serde_json::{Value, json};

use support::peers::test_file;
use support::tree::write_results;
use support::{Edit, Implementation, Layout, Outcome, Peer, Train, TrainSpec, Wire, available, pht_oci, run, utf8};

#[track_caller]
fn script(name: &str, layout: &Layout, command: &str, arguments: &[&str]) {
    let script = test_file(&format!("python/{name}"));
    let first = [utf8(&script), command, layout.path()];
    run("python3", &[&first, arguments].concat()).unwrap_or_else(|message| panic!("{message}"));
}

#[track_caller]
fn tamper(layout: &Layout, command: &str, arguments: &[&str]) {
    script("tamper.py", layout, command, arguments);
}

#[track_caller]
fn reform(layout: &Layout, tag: &str, out: &str, options: &[&str]) {
    script("reform.py", layout, "image", &[&[tag, out], options].concat());
}

/// A train, and the directory with its master image.
struct ValidateFixture {
    train: Train,
    _dir: tempfile::TempDir,
}

impl std::ops::Deref for ValidateFixture {
    type Target = Train;

    fn deref(&self) -> &Train {
        &self.train
    }
}

/// A train on a master image of more kinds of files than the usual one, as tag `base` of its layout too.
fn fixture(wire: Wire) -> ValidateFixture {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let base = Layout::new(dir.path().join("master"));
    base.make_base("plain", false);
    let entries = json!([
        { "path": "usr/bin/tool", "data": "tool", "mode": "0755" },
        { "path": "usr/bin/again", "type": "hardlink", "link": "usr/bin/tool", "mode": "0755" },
        { "path": "usr/lib/data", "data": "data", "uid": 5, "xattrs": { "user.note": "a" } },
        { "path": "usr/lib/link", "type": "symlink", "link": "data" },
        { "path": "usr/lib/pipe", "type": "fifo" },
        { "path": "dev/null", "type": "char" },
        { "path": "opt/other", "data": "not the train's" },
    ]);
    tamper(&base, "layer", &["plain", "base", &entries.to_string()]);
    let spec = TrainSpec { base: Some(base), ..TrainSpec::default() };
    ValidateFixture {
        train: Train::build(Implementation::Ours, wire, &spec).unwrap_or_else(|message| panic!("{message}")),
        _dir: dir,
    }
}

fn validate(image: &str, master: &str) -> Outcome {
    pht_oci(&["validate", image, "--master", master, "--format", "json"], &[])
}

/// The train is valid, by these means.
#[track_caller]
fn passes(image: &str, master: &str, means: &str) -> Value {
    let report = validate(image, master).ok().json();
    assert_eq!((&report["valid"], &report["means"]), (&json!(true), &json!(means)), "{image}: {report}");
    assert_eq!(report["differences"], json!([]), "{image}");
    report
}

/// Every difference as `change subject aspect...`.
fn differences(report: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let line = |found: &Value| {
        let aspects = found["aspects"].as_array().expect("a list").iter().map(|aspect| text(&aspect["name"]));
        [text(&found["change"]), text(&found["subject"])].into_iter().chain(aspects).collect::<Vec<_>>().join(" ")
    };
    report["differences"].as_array().expect("a list").iter().map(line).collect()
}

#[test]
fn a_train_is_valid_at_every_state_and_in_every_form() {
    if !available("validating::a_train_is_valid_at_every_state", &[Peer::Python]) {
        return;
    }
    for wire in Wire::OURS {
        let train = fixture(wire);
        let master = train.base.at("base");
        for stop in 0..2 {
            let results = train.dir.path().join(format!("results-{stop}"));
            write_results(&results, stop);
            train.stop(Implementation::Ours, &stop.to_string(), &(stop + 1).to_string(), stop, &results).unwrap();
        }
        for tag in ["0", "1-pre", "1-ran", "1", "2-pre", "2-ran", "2"] {
            let report = passes(&train.layout.at(tag), &master, "layers");
            assert_eq!(report["common_layers"], 2);
        }
        for (out, options) in [
            ("docker", &["--docker"][..]),
            ("zstd", &["--compress", "zstd"]),
            ("plain", &["--compress", "plain"]),
            ("unknown-history", &["--history", "none"]),
        ] {
            reform(&train.layout, "2", out, options);
            passes(&train.layout.at(out), &master, "layers");
        }
        // Squashed as a whole, or above the first layer.
        for keep in ["0", "1"] {
            tamper(&train.layout, "squash", &["2", "squashed", keep]);
            passes(&train.layout.at("squashed"), &master, "files");
        }
        // The names of entries begin otherwise, so that every digest is another.
        reform(&train.layout, "2", "named", &["--names", "./"]);
        passes(&train.layout.at("named"), &master, "files");
    }
}

/// What one more layer does, and how it is named.
fn tamperings() -> Vec<(Value, &'static [&'static str])> {
    vec![
        (json!({ "path": "usr/bin/tool", "data": "evil", "mode": "0755" }), &["changed /usr/bin/tool content"]),
        (json!({ "path": "usr/bin/tool", "data": "tool", "mode": "04755" }), &["changed /usr/bin/tool mode"]),
        (json!({ "path": "usr/bin/tool", "data": "tool", "mode": "0755", "uid": 1 }), &["changed /usr/bin/tool owner"]),
        (json!({ "path": "usr/bin/new" }), &["added /usr/bin/new"]),
        (json!({ "path": "usr/bin/.wh.tool" }), &["removed /usr/bin/tool"]),
        (json!({ "path": "usr/bin/.wh..wh..opq" }), &["removed /usr/bin/again", "removed /usr/bin/tool"]),
        (json!({ "path": "usr/bin/tool", "type": "symlink", "link": "/x" }), &["changed /usr/bin/tool type mode"]),
        (json!({ "path": "usr/lib/link", "type": "symlink", "link": "/x" }), &["changed /usr/lib/link target"]),
        (json!({ "path": "usr/lib/data", "data": "data", "uid": 5 }), &["changed /usr/lib/data xattrs"]),
        (
            json!({ "path": "usr/lib/data", "data": "data", "uid": 5, "xattrs": { "user.note": "b" } }),
            &["changed /usr/lib/data xattrs"],
        ),
        (json!({ "path": "dev/null", "type": "block" }), &["changed /dev/null type"]),
        (
            json!({ "path": "usr/lib", "type": "symlink", "link": "/opt/pht_train" }),
            &["removed /usr/lib/data", "removed /usr/lib/link", "removed /usr/lib/pipe"],
        ),
        (json!({ "path": "opt/other", "data": "the train's" }), &["changed /opt/other content"]),
        (json!({ "path": "opt/.wh.other" }), &["removed /opt/other"]),
        (json!({ "path": "opt/pht_train_2/x" }), &["added /opt/pht_train_2"]),
        (json!({ "path": "opt/train_config.json.bak" }), &["added /opt/train_config.json.bak"]),
        (
            json!({ "path": "opt/pht_results/link", "type": "hardlink", "link": "usr/bin/tool", "mode": "0755" }),
            &["changed /usr/bin/again hard-link", "changed /usr/bin/tool hard-link"],
        ),
        (json!({ "path": "tmp", "type": "directory", "mode": "01777" }), &["changed /tmp mode"]),
        (json!({ "path": "opt/pht_results", "type": "symlink", "link": "/etc" }), &["changed /opt/pht_results type"]),
        (json!({ "path": "opt/user_sym_key.key", "type": "fifo" }), &["changed /opt/user_sym_key.key type"]),
    ]
}

#[test]
fn every_difference_is_named() {
    if !available("validating::every_difference_is_named", &[Peer::Python]) {
        return;
    }
    let train = fixture(Wire::V2_0);
    let master = train.base.at("base");
    for (entry, message) in tamperings() {
        tamper(&train.layout, "layer", &["0", "tampered", &json!([entry]).to_string()]);
        tamper(&train.layout, "squash", &["tampered", "squashed"]);
        for tag in ["tampered", "squashed"] {
            let refused = validate(&train.layout.at(tag), &master).refused(3);
            let found = differences(&refused.json());
            for line in message {
                assert!(found.iter().any(|found| found.starts_with(line)), "{tag}: {entry}: {line}: {found:?}");
            }
            let most = if message.len() == 1 { 2 } else { message.len() + 2 };
            assert!(found.len() <= most, "{tag}: {entry}: more than that: {found:?}");
        }
    }
}

/// What need not be read has to be there all the same, for whoever runs the train.
#[test]
fn a_missing_layer_of_the_base_is_said() {
    if !available("validating::a_missing_layer_of_the_base_is_said", &[Peer::Python]) {
        return;
    }
    for wire in [Wire::V1_1_2, Wire::V3] {
        let train = fixture(wire);
        let layout = train.layout.only("0", train.dir.path().join("only"));
        let line = ["validate", &layout.at("0"), "--master", &train.base.at("base"), "--format", "json"];
        assert!(!pht_oci(&line, &[]).ok().json()["warnings"].to_string().contains("missing"), "{wire:?}");
        let lowest = layout.layers("0")[0].clone();
        std::fs::remove_file(layout.blob(&lowest)).expect("a layer");
        let report = pht_oci(&line, &[]).ok().json();
        let told = report["warnings"].to_string();
        assert!(told.contains("is missing or damaged") && told.contains(&lowest), "{wire:?}: {report}");
    }
}

/// What digests alone bind is said to be so, and read where that is asked for.
#[test]
fn what_was_not_read_is_said_and_can_be_read() {
    if !available("validating::what_was_not_read_is_said_and_can_be_read", &[Peer::Python]) {
        return;
    }
    let train = fixture(Wire::V3);
    let layout = train.layout.only("0", train.dir.path().join("only"));
    let line = ["validate", &layout.at("0"), "--master", &train.base.at("base")];
    let with = |more: &[&str]| pht_oci(&[&line[..], more].concat(), &[]);
    let report = with(&["--format", "json"]).ok().json();
    assert!(report["unread_layers"] == report["common_layers"] && report["unread_layers"] != 0, "{report}");
    assert!(String::from_utf8(with(&[]).ok().stdout).unwrap().contains("--all-layers reads all"));
    assert_eq!(with(&["--all-layers", "--format", "json"]).ok().json()["unread_layers"], 0);
    let lowest = layout.blob(&layout.layers("0")[0]);
    let mut bytes = std::fs::read(&lowest).expect("a layer");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&lowest, bytes).expect("a layer");
    with(&[]).ok();
    let message = with(&["--all-layers"]).refused(3).stderr;
    assert!(message.contains("its bytes do not have this digest"), "{message}");
}

/// A layer that only repeats what the master image has, or touches what is the train's, is none.
#[test]
fn what_changes_nothing_is_no_difference() {
    if !available("validating::what_changes_nothing", &[Peer::Python]) {
        return;
    }
    let train = fixture(Wire::V1_1_2);
    let master = train.base.at("base");
    for (entries, means) in [
        (json!([{ "path": "opt", "type": "directory", "mode": "0700", "uid": 3 }]), "layers"),
        (json!([{ "path": "opt/pht_results/.wh..wh..opq" }, { "path": "opt/pht_results/x" }]), "layers"),
        (json!([{ "path": "opt/.wh.pht_results" }]), "layers"),
        (json!([{ "path": "tmp", "type": "directory" }, { "path": "etc", "type": "directory" }]), "files"),
        (json!([{ "path": "usr/bin/again", "data": "tool", "mode": "0755" }]), "files"),
        (json!([{ "path": "usr/bin/again", "type": "hardlink", "link": "usr/bin/tool", "mode": "0755" }]), "files"),
    ] {
        tamper(&train.layout, "layer", &["0", "touched", &entries.to_string()]);
        passes(&train.layout.at("touched"), &master, means);
    }
    // A hard link to a file of lower layers, and one to that.
    tamper(
        &train.layout,
        "layer",
        &[
            "touched",
            "linked",
            r#"[{"path": "usr/bin/tool", "type": "hardlink", "link": "usr/bin/again", "mode": "0755"}]"#,
        ],
    );
    passes(&train.layout.at("linked"), &master, "files");
    // Put there and taken away again.
    tamper(&train.layout, "layer", &["0", "first", r#"[{"path": "tmp/x/y"}]"#]);
    tamper(&train.layout, "layer", &["first", "second", r#"[{"path": "tmp/.wh.x"}]"#]);
    passes(&train.layout.at("second"), &master, "files");
}

#[test]
fn the_config_may_differ_in_command_and_labels_alone() {
    if !available("validating::the_config_may_differ", &[Peer::Python]) {
        return;
    }
    let train = fixture(Wire::V2_0);
    let master = train.base.at("base");
    let changed = |merge: Value| {
        script("layout.py", &train.layout, "config", &["0", "changed", "--merge", &merge.to_string()]);
        validate(&train.layout.at("changed"), &master)
    };
    for merge in [
        json!({ "Cmd": ["/bin/other"], "Labels": { "any": "thing" } }),
        json!({ "Hostname": "c0ffee", "Image": "sha256:00", "AttachStdout": true, "Entrypoint": null, "WorkingDir": "/" }),
        json!({ "Env": ["PATH=/bin", "container=podman", "TERM=xterm", "HOSTNAME=c0ffee"] }),
    ] {
        let report = changed(merge.clone()).ok().json();
        assert_eq!(differences(&report), Vec::<String>::new(), "{merge}");
    }
    for (merge, message) in [
        (json!({ "Entrypoint": ["/opt/pht_train/x"] }), "added config.Entrypoint"),
        (json!({ "User": "0:0" }), "added config.User"),
        (json!({ "Env": ["PATH=/opt/pht_train"] }), "changed config.Env: PATH value"),
        (json!({ "Env": ["PATH=/opt/pht_train", "PATH=/bin"] }), "changed config.Env: PATH value"),
        (json!({ "Env": ["PATH=/bin", "LD_PRELOAD=s3cret"] }), "added config.Env: LD_PRELOAD"),
        (json!({ "Env": ["PATH=/bin", "container=s3cret"] }), "added config.Env: container"),
        (json!({ "Env": null }), "removed config.Env: PATH"),
        (json!({ "x-unknown": { "a": 1 } }), "added config.x-unknown"),
    ] {
        let refused = changed(merge.clone()).refused(3);
        assert_eq!(differences(&refused.json()), [message], "{merge}");
        assert!(!String::from_utf8_lossy(&refused.stdout).contains("s3cret"), "a variable's value is shown");
    }
    reform(&train.layout, "0", "other", &["--architecture", "s390x"]);
    validate(&train.layout.at("other"), &master).refused(2);
}

/// Whatever cannot be read does not pass.
#[test]
fn fails_closed() {
    if !available("validating::fails_closed", &[Peer::Python]) {
        return;
    }
    let train = fixture(Wire::V2_0);
    let (layout, master) = (&train.layout, train.base.at("base"));
    // A base layer that is another one, while the config promises the master's.
    tamper(layout, "swap", &["0", "swapped", "1", r#"[{"path": "usr/bin/tool", "data": "evil"}]"#]);
    let refused = validate(&layout.at("swapped"), &master).refused(5);
    assert!(refused.stderr.contains("diff ID"), "{}", refused.stderr);
    for (entry, message) in [
        (r#"[{"path": ".wh..wh..opq"}]"#, "opaque whiteout of the root"),
        (r#"[{"path": "tmp/.wh."}]"#, "whiteout without a name"),
        (r#"[{"path": "tmp/x", "type": "hardlink", "link": "nowhere"}]"#, "hard link"),
        (r#"[{"path": "opt/pht_results/x", "type": "hardlink", "link": "opt/pht_results/y"}]"#, "hard link"),
        // Some readers would write through the link.
        (
            r#"[{"path": "opt/pht_train/x", "type": "symlink", "link": "/etc"}, {"path": "opt/pht_train/x/passwd"}]"#,
            "which is not a directory in the same layer",
        ),
    ] {
        tamper(layout, "layer", &["0", "hostile", entry]);
        let refused = validate(&layout.at("hostile"), &master).refused(5);
        assert!(refused.stderr.contains(message), "{entry}: {}", refused.stderr);
    }
    // An upper layer, and then a base layer where files are compared, that is damaged or gone.
    tamper(layout, "squash", &["0", "squashed", "1"]);
    for (tag, layer) in [("0", 2), ("squashed", 0)] {
        let blob = layout.blob(&layout.layers(tag)[layer]);
        let bytes = std::fs::read(&blob).expect("a blob");
        let mut damaged = bytes.clone();
        *damaged.last_mut().expect("a byte") ^= 1;
        // Not in place: the master image's layout may have the same file.
        std::fs::remove_file(&blob).expect("a blob");
        std::fs::write(&blob, damaged).expect("a blob");
        validate(&layout.at(tag), &master).refused(3);
        std::fs::remove_file(&blob).expect("a blob");
        validate(&layout.at(tag), &master).refused(5);
        std::fs::write(&blob, bytes).expect("a blob");
    }
    // No train, no master image.
    validate(&master, &master).refused(5);
    validate(&layout.at("0"), &layout.at("absent")).refused(2);
}

#[test]
fn the_train_names_its_master_image_only_in_a_registry() {
    if !available("validating::the_train_names_its_master", &[Peer::Python]) {
        return;
    }
    let train = fixture(Wire::V2_0);
    // Ours was built on a layout; a place on this machine is not for a train to choose.
    let line = ["validate", &train.layout.at("0"), "--offline"];
    let refused = pht_oci(&line, &[]).refused(2);
    assert!(refused.stderr.contains("--master"), "{}", refused.stderr);
    for (source, message) in [
        (
            json!({ "type": "docker_repository", "address": "r.example/master", "tag": "1" }),
            "docker://r.example/master: ",
        ),
        (json!({ "type": "docker_repository", "address": "docker://r.example/master" }), "docker://r.example/master: "),
        (json!({ "type": "git_repository", "address": "r.example/code" }), "--master"),
        (json!({ "type": "docker_repository", "address": "dir:/etc" }), "--master"),
        (json!({ "type": "docker_repository", "address": "no such//name" }), "--master"),
    ] {
        let mut config = train.layout.train_config("0");
        config["source"] = source.clone();
        let put = Edit::Put("opt/train_config.json", config.to_string().into_bytes());
        train.layout.append("0", "named", &[put]);
        let refused = pht_oci(&["validate", &train.layout.at("named"), "--offline"], &[]).refused(2);
        assert!(refused.stderr.contains(message), "{source}: {}", refused.stderr);
    }
}

#[test]
fn text_names_a_few_and_json_all() {
    if !available("validating::text_names_a_few", &[Peer::Python]) {
        return;
    }
    let train = fixture(Wire::V3);
    let entries: Vec<Value> = (0..100).map(|number| json!({ "path": format!("tmp/{number:03}\u{1b}[31m") })).collect();
    tamper(&train.layout, "layer", &["0", "many", &Value::from(entries).to_string()]);
    let (image, master) = (train.layout.at("many"), train.base.at("base"));
    let text = String::from_utf8(pht_oci(&["validate", &image, "--master", &master], &[]).refused(3).stdout).unwrap();
    assert_eq!(text.matches("added ").count(), 20, "{text}");
    assert!(text.contains("and 80 more"), "{text}");
    assert!(!text.contains('\u{1b}'), "what a terminal would act on is shown as it stands");
    assert_eq!(differences(&validate(&image, &master).refused(3).json()).len(), 100);
}
