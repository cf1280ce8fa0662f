//! The JSON that programs read: which fields there are and of what type, for every command.
//!
//! `tests/golden/json.txt` holds them. A field that is renamed, removed or added fails here; with the change the file
//! and the tables in src/manual/json.md have to be changed as well; `PHT_GOLDEN=write cargo nextest run -E 'test(json::)'` writes the
//! file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;
use support::peers::test_file;
use support::vectors::Vectors;
use support::{Edit, Layout, Peer, Wire, available, pht_oci, utf8};

/// Command and path of a field, with the types that it has.
type Shape = BTreeMap<(String, String), BTreeSet<&'static str>>;

fn collect(shape: &mut Shape, command: &str, path: &str, value: &Value) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(items) => {
            items.iter().for_each(|item| collect(shape, command, &format!("{path}[]"), item));
            "array"
        }
        Value::Object(members) => {
            for (name, member) in members {
                let dot = if path.is_empty() { "" } else { "." };
                collect(shape, command, &format!("{path}{dot}{name}"), member);
            }
            "object"
        }
    };
    if !path.is_empty() {
        shape.entry((command.to_owned(), path.to_owned())).or_default().insert(kind);
    }
}

/// Every command with a report, and what can make a field of it null or not.
fn reports() -> Shape {
    let mut shape = Shape::new();
    let mut see = |line: &[&str]| {
        let report = pht_oci(&[line, &["--format", "json"]].concat(), &[]).ok().json();
        collect(&mut shape, line[0], "", &report);
    };
    let vectors = Vectors::ours(Wire::V2_0);
    let path = |name: &str| utf8(&vectors.dir.path().join(name)).to_owned();
    let (station, user, builder) = (vectors.key("station_2"), vectors.key("user"), vectors.key("builder"));
    let (keys, files, route, built) = (path("new"), path("files"), path("route.json"), path("built"));
    fs::create_dir(&files).unwrap();
    fs::write(path("files/main"), "main").unwrap();
    fs::write(&route, r#"[{"station": "a", "public_key_file": "keys/station_1.pub.pem"}]"#).unwrap();
    see(&["keygen", &keys, "--bits", "2048"]);
    let build = ["build", &built, "--base", "scratch", "--files", &files, "--route", &route, "--creator", "c"];
    see(&[&build[..], &["--creator-key", &user, "--builder-key", &builder]].concat());
    see_signing(&mut see, &vectors, (&files, &route));
    let tag = |tag: &str| vectors.layout.at(tag);
    for image in [&tag("1-post"), &tag("2-post"), &built] {
        see(&["inspect", image]);
        see(&["verify", image]);
    }
    [&["ls", vectors.layout.path()][..], &["diff", &tag("1-post"), &tag("2-post")]].into_iter().for_each(&mut see);
    see(&["pre-run", &tag("1-post"), &tag("pre"), "--private-key", &station]);
    see(&["inspect", &tag("pre")]);
    let edit = Edit::Put("opt/pht_results/result.txt", b"result\n".to_vec());
    vectors.layout.append("pre", "ran", &[edit]);
    see_review(&mut shape, &vectors, "ran");
    let mut see = |line: &[&str]| {
        let report = pht_oci(&[line, &["--format", "json"]].concat(), &[]).ok().json();
        collect(&mut shape, line[0], "", &report);
    };
    see(&["post-run", &tag("ran"), &tag("post"), "--private-key", &station]);
    see(&["results", &tag("post"), "--private-key", &user, "--out", &path("out")]);
    see(&["copy", &tag("post"), &format!("oci:{}:copy", path("copied"))]);
    see(&["gc", vectors.layout.path()]);
    see(&["man", "--out", &path("man")]);
    let masters = Layout::new(path("masters"));
    masters.make_base("old", false);
    masters.append("old", "new", &[Edit::Put("usr/lib/fixed", b"fixed\n".to_vec())]);
    let (old, new, classic) = (masters.at("old"), masters.at("new"), path("classic"));
    let build = ["build", &classic, "--base", &old, "--files", &files, "--route", &route, "--creator", "c"];
    see(&[&build[..], &["--wire", "2.0", "--creator-key", &user, "--builder-key", &builder]].concat());
    see(&["validate", &classic, "--master", &old]);
    let refused = pht_oci(&["validate", &classic, "--master", &new, "--format", "json"], &[]).refused(3);
    collect(&mut shape, "validate", "", &refused.json());
    let rebased = format!("oci:{}:new", path("rebased"));
    let report = pht_oci(&["rebase", &classic, &rebased, "--base", &new, "--format", "json"], &[]).ok().json();
    collect(&mut shape, "rebase", "", &report);
    see_runs(&mut shape, &vectors, &masters, (&files, &route));
    see_rehearsals(&mut shape, &vectors, &masters);
    see_station(&mut shape, &vectors);
    // What extract prints is data, whatever form reports have; errors have one form for all commands.
    let config = pht_oci(&["extract", &tag("post"), "/opt/train_config.json", "--format", "json"], &[]).ok().stdout;
    assert_eq!(config, vectors.layout.cat("post", "opt/train_config.json"));
    let refused = pht_oci(&["verify", &tag("post"), "--min-wire", "3", "--format", "json"], &[]).refused(3);
    collect(&mut shape, "an error", "", &serde_json::from_str(refused.stderr.trim()).unwrap());
    for source in [path("absent"), format!("oci:{}:absent", vectors.layout.path())] {
        let error = pht_oci(&["inspect", &source, "--format", "json"], &[]);
        collect(&mut shape, "an error", "", &serde_json::from_str(error.stderr.trim()).unwrap());
    }
    shape
}

/// What a station has beside its trains: keys and pins, a journal, a check-up.
fn see_station(shape: &mut Shape, vectors: &Vectors) {
    let mut see = |line: &[&str]| {
        let report = pht_oci(&[line, &["--format", "json"]].concat(), &[]).ok().json();
        collect(shape, line[0], "", &report);
    };
    let path = |name: &str| utf8(&vectors.dir.path().join(name)).to_owned();
    let tag = |tag: &str| vectors.layout.at(tag);
    let station = vectors.key("station_2");
    let (fingerprint, trust) = (vectors.key("user"), path("trust"));
    see(&["fingerprint", &fingerprint]);
    fs::create_dir(&trust).unwrap();
    see(&["trust", "show", &tag("post")]);
    let shown = pht_oci(&["trust", "show", &tag("post"), "--format", "json"], &[]).ok().json();
    let told = shown["parties"][0]["fingerprint"].as_str().unwrap().to_owned();
    see(&["trust", "add", &tag("post"), "creator", "--trust", &trust, "--fingerprint", &told]);
    see(&["trust", "list", "--trust", &trust]);
    let journal = path("journal");
    let recorded = ["--private-key", &station, "--journal", &journal];
    see(&[&["post-run", &tag("ran"), &tag("recorded")], &recorded[..]].concat());
    see(&["journal", "verify", "--journal", &journal, "--key", &station]);
    see(&["report", &tag("post")]);
    // With the journal, of which the end is not known: another closed train came of the same stop.
    fs::remove_file(format!("{journal}.head")).unwrap();
    let report = ["report", &tag("recorded"), "--journal", &journal];
    see(&report);
    see(&["doctor", "--private-key", &station, "--journal", &journal]);
}

/// A train and a directory that are reviewed, results that are approved, and such that are rejected.
fn see_review(shape: &mut Shape, vectors: &Vectors, tag: &str) {
    let path = |name: &str| utf8(&vectors.dir.path().join(name)).to_owned();
    let (image, results, user) = (vectors.layout.at(tag), path("reviewed"), vectors.key("user"));
    fs::create_dir(&results).unwrap();
    fs::write(path("reviewed/a.csv"), "patient_id,n\nA1,3\n").unwrap();
    std::os::unix::fs::symlink("a.csv", path("reviewed/link")).unwrap();
    let against = ["--against", &results];
    for line in [&["review", &image][..], &[&["review", &results], &against[..]].concat()] {
        collect(shape, "review", "", &pht_oci(&[line, &["--format", "json"]].concat(), &[]).json());
    }
    let rejected = vectors.layout.at("rejected");
    let (first, key) = (vectors.layout.at("0-built"), vectors.key("station_1"));
    pht_oci(&["pre-run", &first, &rejected, "--private-key", &key], &[]).ok();
    let (out, json) = (path("approval.json"), ["--format", "json"]);
    let approve = ["approve", &rejected, "--reviewer-key", &user, "--out", &out];
    collect(shape, "approve", "", &pht_oci(&[&approve[..], &json].concat(), &[]).ok().json());
    collect(shape, "reject", "", &pht_oci(&[&["reject", &rejected][..], &json].concat(), &[]).ok().json());
}

/// A train that waits for its creator, in a wire that signs everything and in one that does not.
fn see_signing(see: &mut impl FnMut(&[&str]), vectors: &Vectors, (files, route): (&str, &str)) {
    let path = |name: &str| utf8(&vectors.dir.path().join(name)).to_owned();
    let (user, builder, public, paillier) =
        (vectors.key("user"), vectors.key("builder"), path("user.pub.pem"), path("paillier.json"));
    let derived = pht_oci(&["keygen", "--public-of", &user], &[]).ok().stdout;
    fs::write(&public, derived).unwrap();
    fs::write(&paillier, r#"{"n": "35", "g": "36"}"#).unwrap();
    for wire in ["2.0", "3"] {
        let (train, statement) = (path(&format!("waits-{wire}")), path(&format!("statement-{wire}.json")));
        let build = ["build", &train, "--base", "scratch", "--files", files, "--route", route, "--creator", "c"];
        let keys = ["--creator-public-key", &public, "--builder-key", &builder, "--statement", &statement];
        let more = ["--paillier-public-key", &paillier, "--wire", wire, "--cmd", "run"];
        pht_oci(&[&build[..], &keys, &more[..if wire == "3" { 6 } else { 4 }]].concat(), &[]).ok();
        let own = ["--private-key", &user, "--yes"];
        see(&[&["sign", &train, "--builder-key", &builder, "--files", files][..], &own].concat());
    }
}

/// A train that does well and one that fails.
fn see_runs(shape: &mut Shape, vectors: &Vectors, masters: &Layout, (files, route): (&str, &str)) {
    masters.make_base("shell", true);
    let path = |name: &str| utf8(&vectors.dir.path().join(name)).to_owned();
    let (user, builder, first) = (vectors.key("user"), vectors.key("builder"), vectors.key("station_1"));
    for command in ["/bin/true", "/bin/false"] {
        let (train, outbox) = (path(&command[1..].replace('/', "-")), format!("oci:{}:latest", path("outbox")));
        let build = ["build", &train, "--base", &masters.at("shell"), "--files", files, "--route", route];
        let keys = ["--creator", "c", "--creator-key", &user, "--builder-key", &builder, "--cmd", command];
        pht_oci(&[&build[..], &keys].concat(), &[]).ok();
        let run = ["run", &train, &outbox, "--engine", "runc", "--private-key", &first, "--format", "json"];
        let ran = pht_oci(&run, &[]);
        if command == "/bin/true" {
            collect(shape, "run", "", &ran.ok().json());
        } else {
            let error = ran.refused(8).stderr;
            let document = error.lines().last().expect("an error is said");
            collect(shape, "an error", "", &serde_json::from_str(document).unwrap());
        }
    }
}

/// A rehearsal that goes well, with a finding, and one of a train that fails.
fn see_rehearsals(shape: &mut Shape, vectors: &Vectors, masters: &Layout) {
    let path = |name: &str| utf8(&vectors.dir.path().join(name)).to_owned();
    let (files, data, base) = (path("tried"), path("tried-data"), masters.at("shell"));
    let script = "echo 1 >/tmp/x; printf 'n\\n3\\n' >/opt/pht_results/n.csv; [ \"$END\" = 0 ] || exit 1";
    fs::create_dir(&files).unwrap();
    fs::create_dir(&data).unwrap();
    fs::write(path("tried/main"), script).unwrap();
    for (end, status) in [("END=0", 0), ("END=1", 8)] {
        let (out, station) = (path(&format!("tried-{status}")), format!("a={data}"));
        let line = ["try", "--base", &base, "--files", &files, "--data", &station, "--data", "b=", "--out", &out];
        let how = ["--engine", "runc", "--env", end, "--format", "json", "--cmd", "/bin/sh", "/opt/pht_train/main"];
        let cache = path("tried-cache");
        let tried = pht_oci(&[&line[..], &how].concat(), &[("XDG_CACHE_HOME", cache.as_str())]);
        let mut report = if status == 0 { tried.ok() } else { tried.refused(status) }.json();
        // How much memory a train takes is told only if it is looked at in time.
        if let Some(memory) = report.pointer_mut("/stops/0/memory") {
            *memory = if status == 0 { 4096.into() } else { Value::Null };
        }
        report.pointer_mut("/stops/1/memory").map(Value::take);
        collect(shape, "try", "", &report);
    }
}

#[test]
fn fields_keep_their_names_and_types_and_are_documented() {
    if !available("fields_keep_their_names_and_types", &[Peer::Python, Peer::Runc, Peer::Busybox]) {
        return;
    }
    let shape = reports();
    let line = |((command, path), kinds): (&(String, String), &BTreeSet<&str>)| {
        format!("{command}: {path}: {}\n", kinds.iter().copied().collect::<Vec<_>>().join(" or "))
    };
    let found: String = shape.iter().map(line).collect();
    let file = test_file("golden/json.txt");
    if std::env::var_os("PHT_GOLDEN").is_some_and(|what| what == "write") {
        fs::write(&file, &found).unwrap();
    }
    let golden = fs::read_to_string(&file).unwrap();
    let message = |what: &str, from: &str, other: &str| -> Vec<String> {
        let others: BTreeSet<&str> = other.lines().collect();
        from.lines().filter(|line| !others.contains(line)).map(|line| format!("{what} {line}")).collect()
    };
    let differences = [message("gone", &golden, &found), message("new", &found, &golden)].concat();
    assert!(differences.is_empty(), "the JSON of reports has changed:\n{}", differences.join("\n"));

    // The manual says what each means. A field is documented by its path, in a row of its table.
    let manual = pht_oci::manual::page("json").unwrap().text;
    let undocumented: Vec<&String> = shape
        .keys()
        .map(|(_, path)| path)
        .filter(|path| !manual.lines().any(|line| line.starts_with("| `") && line.contains(&format!("`{path}`"))))
        .filter(|path| !path.ends_with("[]"))
        .collect();
    assert!(undocumented.is_empty(), "not documented in src/manual/json.md: {undocumented:#?}");
}
