//! The step of the field between pre-run and the train: the station asks its FHIR server what the query asks for. The
//! command is the one of the manual; the server is faked, by the rules of FHIR R4 for searches (`tests/python/fhir.py`).

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use support::peers::test_file;
use support::tree::snapshot;
use support::{Peer, available, utf8};

use super::fixture::RunFixture;

const TOKEN: &str = "token-of-the-station";
/// As the desktop client of the field writes it.
const QUERY: &str = r#"{
  "query": {
    "resource": "Patient",
    "parameters": [
      {"variable": "gender", "condition": "female"},
      {"variable": "birthdate", "condition": "ge1945-01-01"},
      {"variable": "birthdate", "condition": "lt1990-01-01"}
    ],
    "has": [{"resource": "Condition", "property": "code", "params": ["E70.1", "I63.0"]}]
  },
  "data": {"output_format": "json", "filename": "patients.json", "variables": ["id", "gender"]}
}"#;
/// Counts the patients, and leaves their numbers, in a program that knows nothing of stations.
const COUNTS: &str = r#"#!/bin/sh
echo "$TRAIN_DATA_PATH" > /opt/pht_results/where
busybox grep -o '"id": "p[0-9]*"' "$TRAIN_DATA_PATH" >> /opt/pht_results/found
echo x >> "$TRAIN_DATA_PATH" && echo 'the data can be written'
[ -z "$FHIR_TOKEN" ] || echo 'the token is here'
exit 0
"#;

/// The server, for as long as this lives.
struct FhirServer {
    child: Child,
    url: String,
}

impl FhirServer {
    fn start() -> Self {
        let mut command = Command::new("python3");
        command.arg("-I").arg(test_file("python/fhir.py")).arg(TOKEN).stdout(Stdio::piped());
        let mut child = command.spawn().expect("python3 starts");
        let mut url = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut url).expect("an address");
        FhirServer { child, url: url.trim().to_owned() }
    }
}

impl Drop for FhirServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command of the manual, ready to be called.
fn command(fixture: &RunFixture) -> String {
    let page = pht_oci::manual::page("running").expect("a page").text;
    let (_, block) = page.split_once("```python fetch-fhir\n").expect("a block");
    let script = fixture.train.dir.path().join("fetch-fhir");
    fs::write(&script, block.split("```").next().expect("its text")).expect("a new file");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("a mode");
    utf8(&script).to_owned()
}

#[test]
fn a_query_is_asked_of_a_fhir_server() {
    let test = "running::prepared::a_query_is_asked_of_a_fhir_server";
    if !available(test, &[Peer::Python, Peer::Busybox, Peer::Runc]) {
        return;
    }
    let mut fixture = RunFixture::asking("runc", COUNTS, QUERY);
    let (server, fetch) = (FhirServer::start(), command(&fixture));
    let before = snapshot(fixture.place());
    fixture.variables.push(("FHIR_SERVER_URL", server.url.clone()));
    fixture.variables.push(("FHIR_TOKEN", "of-another-station".to_owned()));
    let error = fixture.run(0, &["--prepare", &fetch]).refused(1).stderr;
    assert!(error.contains("401") && error.contains("prepares the data failed"), "{error}");
    fs::remove_file(fixture.log()).expect("a log");
    assert!(snapshot(fixture.place()) == before, "a train without data has changed something");

    fixture.variables.push(("FHIR_TOKEN", TOKEN.to_owned()));
    let said = fixture.run(0, &["--prepare", &fetch]).ok().stderr;
    let log = fs::read_to_string(fixture.log()).expect("a log");
    assert!(said.contains("6 entries") && !log.contains("can be written") && !log.contains("is here"), "{said}\n{log}");
    fixture.check_nothing_left();
    // Women born from 1945 to 1989, with one of two diseases: two pages of the server's.
    let ids: String = [1, 2, 4, 5, 7, 8].map(|id| format!("\"id\": \"p{id}\"\n")).concat();
    assert_eq!(fixture.result("found"), ids);
    assert_eq!(fixture.result("where"), "/opt/train_data/patients.json\n");
}
