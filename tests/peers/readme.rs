//! The commands of README and of the manual run as they are printed there, one block after the other, in one directory.
//!
//! A block ```` ```sh NAME ```` is run; NAME says at what point of the journey. Other blocks are examples of output.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::registry::server::Server;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use support::Peer;
use support::containers::configure;
use support::layout::Layout;
use support::peers::available;

/// The blocks in the order in which a train needs them; the texts put them where people look for them. Blocks of one line
/// here are typed into one shell.
const JOURNEY: [&[&str]; 10] = [
    &["station-key"],
    &["creator-build"],
    &["station-trust"],
    &["pipeline"],
    &["pipeline-steps"],
    &["station-look"],
    &["station-run", "station-review", "station-send"],
    &["station-steps"],
    &["audit", "creator-archive"],
    &["creator-results"],
];

/// Blocks of other tests: `python::a_bare_debian_makes_the_journey_with_every_package`, where there are packages to install,
/// and [`several_trains_are_run_by_the_loop_of_the_manual`].
const ELSEWHERE: [&str; 2] = ["install", "station-inbox"];

/// What a station has that several trains come to, three of them, of which one is none.
const INBOX: &str = r#"
pht-oci keygen hospital_a
pht-oci keygen alice
pht-oci keygen builder
echo '[{"station": "hospital_a", "public_key_file": "hospital_a.pub.pem"}]' >route.json
mkdir inbox outbox
for name in one two; do
  pht-oci build ./$name --base oci:./master --files ./algorithm --route route.json --creator alice --creator-key alice.pem \
    --builder-key builder.pem --cmd sh /opt/pht_train/main.sh
  pht-oci copy ./$name "inbox/the train $name.tar"
done
echo nothing >inbox/none.tar
mkdir again && cp inbox/* again
printf '%s\n' 'private-key = "hospital_a.pem"' 'journal = "journal"' '[run]' 'engine = "runc"' >station.toml
"#;

/// What others have done before the pipeline: the new train and its master image are in the registry.
const PUSH: &str = "pht-oci copy ./master $MASTER\npht-oci copy ./train $INCOMING:latest";

/// What is presupposed, beside a master image and data: an algorithm that adds one line at every station.
const ALGORITHM: &str = "#!/bin/sh\necho visited >> /opt/pht_results/visits\n";

/// What README says, and every page of the manual.
fn texts() -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(readme).expect("README.md can be read");
    std::iter::once(readme.as_str()).chain(pht_oci::manual::PAGES.iter().map(|page| page.text)).collect()
}

/// Name and text of every block that is to be run.
pub(crate) fn blocks(text: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        match line.strip_prefix("```") {
            Some(_) if open => open = false,
            Some(info) => {
                if let Some(name) = info.strip_prefix("sh ") {
                    found.push((name.trim().to_owned(), String::new()));
                    open = true;
                }
            }
            None if open => {
                let block = &mut found.last_mut().expect("a block is open").1;
                block.push_str(line);
                block.push('\n');
            }
            None => {}
        }
    }
    found
}

/// Runs a block as a person would, in a shell that stops at the first command that fails.
fn run(dir: &Path, name: &str, block: &str, variables: &[(&str, String)]) -> String {
    let program = Path::new(support::program()).parent().expect("in a directory").to_owned();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", block]).current_dir(dir).stdin(Stdio::null());
    shell.env("PATH", format!("{}:{path}", program.display()));
    shell.envs(configure(dir)).envs(variables.iter().map(|(name, value)| (name, value)));
    for variable in ["STATION_ID", "PRIVATE_KEY_PATH", "PRIVATE_KEY_PASSWORD", "PHT_TRUST_DIR"] {
        shell.env_remove(variable);
    }
    let output = shell.output().expect("bash starts");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "block `{name}` fails:\n{block}\n{stdout}\n{stderr}");
    stdout.into_owned()
}

fn prepare(dir: &Path) {
    Layout::new(dir.join("master")).make_base("latest", true);
    let write = |name: &str, text: &str| std::fs::write(dir.join(name), text).expect("a file can be written");
    std::fs::create_dir(dir.join("algorithm")).expect("a directory can be made");
    write("algorithm/main.sh", ALGORITHM);
    std::fs::create_dir(dir.join("data")).expect("a directory can be made");
    write("data/patients.csv", "id,age\n1,40\n");
}

/// What a pipeline has in its environment: where its trains are, its login, and whom it trusts.
fn registry(dir: &Path, server: &Server) -> [(&'static str, String); 5] {
    let login =
        json!({ "auths": { format!("127.0.0.1:{}", server.port): { "auth": STANDARD.encode("robot:robot-secret") } } });
    let file = dir.join("auth.json");
    std::fs::write(&file, login.to_string()).expect("a file can be written");
    [
        ("INCOMING", server.at("incoming/train")),
        ("OUTGOING", server.at("outgoing/train")),
        ("MASTER", server.at("master/sh:1.0")),
        ("REGISTRY_AUTH_FILE", file.display().to_string()),
        ("SSL_CERT_FILE", server.dir.path().join("ca/ca.crt").display().to_string()),
    ]
}

#[test]
fn every_command_works_as_printed() {
    let peers = [Peer::Podman, Peer::Busybox, Peer::Python, Peer::Openssl, Peer::Registry];
    if !available("every_command_works_as_printed", &peers) {
        return;
    }
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::locked(&["robot"]));
    prepare(dir.path());
    let mut variables = registry(dir.path(), &server).to_vec();
    let blocks = blocks(&texts());
    let mut steps: Vec<&str> = JOURNEY.concat();
    steps.extend(ELSEWHERE);
    for (name, _) in &blocks {
        assert!(steps.contains(&name.as_str()), "there is a block `{name}` that no step of the journey runs");
    }
    let block = |step: &str| {
        let found: Vec<&str> = blocks.iter().filter(|(name, _)| name == step).map(|(_, text)| text.as_str()).collect();
        assert_eq!(found.len(), 1, "blocks of the name `{step}`");
        found.concat()
    };
    let mut printed = String::new();
    for step in JOURNEY {
        if step == ["pipeline"] {
            run(dir.path(), "what the builder does", PUSH, &variables);
        }
        if step == ["station-trust"] {
            let told = run(dir.path(), "the telephone", "pht-oci fingerprint alice.pub.pem", &variables);
            let fingerprint = told.split_whitespace().find(|word| word.starts_with("sha256:")).expect("a fingerprint");
            variables.push(("WHAT_ALICE_TOLD", fingerprint.to_owned()));
        }
        let text: String = step.iter().copied().map(block).collect();
        printed = run(dir.path(), &step.join(", "), &text, &variables);
    }
    assert!(printed.ends_with("visited\n"), "the creator reads what the station has computed, not: {printed}");
}

/// Whatever is in the inbox twice, or comes to it once more, is run once; what is no train stays there.
#[test]
fn several_trains_are_run_by_the_loop_of_the_manual() {
    let test = "readme::several_trains_are_run_by_the_loop_of_the_manual";
    if !available(test, &[Peer::Runc, Peer::Busybox]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path());
    let variables = [("PHT_CONFIG", dir.path().join("station.toml").display().to_string())];
    run(dir.path(), "what has come", INBOX, &[]);
    let text = blocks(&texts()).into_iter().find(|(name, _)| name == "station-inbox").expect("a block").1;
    let names = |place: &str| {
        let entries = std::fs::read_dir(dir.path().join(place)).expect("a directory");
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name.ends_with(".tar"));
        names.sort();
        names
    };
    let sent = |name: &str| std::fs::read(dir.path().join("outbox").join(name)).expect("a train");
    let trains = ["the train one.tar", "the train two.tar"];
    let printed = run(dir.path(), "the loop", &text, &variables);
    assert!(printed.contains("inbox/none.tar: exit status 5"), "{printed}");
    assert_eq!((names("inbox"), names("outbox")), (vec!["none.tar".to_owned()], trains.map(str::to_owned).to_vec()));
    let first = trains.map(sent);
    run(dir.path(), "they come again", "cp again/* inbox", &variables);
    run(dir.path(), "the loop, again", &text, &variables);
    assert_eq!(names("inbox"), ["none.tar"]);
    assert!(trains.map(sent) == first, "a stop was closed twice");
}

#[test]
fn finds_the_blocks_that_are_run() {
    let text = "```sh\nnot\n```\n```sh one\na\nb\n```\n```console\n$ no\n```\n```sh two\nc\n```\n";
    let found = blocks(text);
    assert_eq!(found, [("one".to_owned(), "a\nb\n".to_owned()), ("two".to_owned(), "c\n".to_owned())]);
}
