//! Registries and what stands before them, as public reports tell of their habits: each on a server of our own. Every run
//! of the program here is made with `-vv` and with a login, and nothing that is secret may show in what it says.

mod answers;
mod gateways;
mod logins;
mod places;
mod server;
mod tags;
mod uploads;

use std::path::{Path, PathBuf};

use server::{Fake, Request};
use support::tree::noise;
use support::{Layout, Outcome, pht_oci, utf8};
use tempfile::TempDir;

/// The login of all runs, and the parts of it, and of what comes of it, that no text may have.
pub const LOGIN: &str = "robot:hidden-PASSWORD";
pub const BASIC: &str = "Basic cm9ib3Q6aGlkZGVuLVBBU1NXT1JE";
const SECRETS: [&str; 5] = ["hidden-", "cm9ib3Q6", "PASSWORD", "SIGNATURE", "STATE"];
const PLAIN: [&str; 4] = ["--src-tls-verify", "false", "--dest-tls-verify", "false"];

/// Runs the program, and listens whether it tells a secret.
pub fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Outcome {
    let outcome = pht_oci(&[arguments, &PLAIN, &["-vv"]].concat(), variables);
    let said = format!("{}{}", outcome.stderr, String::from_utf8_lossy(&outcome.stdout));
    for secret in SECRETS {
        assert!(!said.contains(secret), "{arguments:?} tells a secret ({secret}):\n{said}");
    }
    outcome
}

/// A machine with an image, tag `it` of its layout.
pub struct Machine {
    pub dir: TempDir,
    pub layout: Layout,
}

impl Machine {
    /// The image has layers of so many bytes.
    pub fn new(layers: &[usize]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().join("layout"));
        layout.make_base("base", false);
        let mut tag = "base".to_owned();
        for (number, size) in layers.iter().enumerate() {
            let next = if number + 1 == layers.len() { "it".to_owned() } else { format!("it{number}") };
            // No two are alike.
            let bytes = [noise(*size), number.to_string().into_bytes()].concat();
            layout.append_noise(&tag, &next, "data", bytes);
            tag = next;
        }
        Machine { dir, layout }
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn push(&self, fake: &Fake, options: &[&str]) -> Outcome {
        let line = ["copy", &self.layout.at("it"), &at(fake), "--dest-creds", LOGIN];
        run(&[&line[..], options].concat(), &[])
    }

    pub fn pull(&self, fake: &Fake, options: &[&str]) -> Outcome {
        self.pull_with(fake, &[&["--src-creds", LOGIN], options].concat(), &[])
    }

    pub fn pull_with(&self, fake: &Fake, options: &[&str], variables: &[(&str, &str)]) -> Outcome {
        let to = self.file("pulled");
        let _ = std::fs::remove_dir_all(&to);
        run(&[&["copy", &at(fake), &format!("oci:{}:it", utf8(&to))][..], options].concat(), variables)
    }

    /// Puts the image there without any of the program's doing.
    pub fn fill(&self, fake: &Fake) {
        let mut state = fake.state();
        for (digest, bytes) in self.blobs() {
            state.blobs.insert(format!("proj/train@{digest}"), bytes);
        }
        let (digest, bytes, kind) = self.manifest();
        for name in ["latest", &digest] {
            state.manifests.insert(format!("proj/train@{name}"), (bytes.clone(), kind.clone()));
        }
    }

    /// Whether it is there, whole and as it is.
    pub fn is_at(&self, fake: &Fake) -> bool {
        let state = fake.state();
        let blobs = self.blobs();
        let all = blobs.iter().all(|(digest, bytes)| state.blobs.get(&format!("proj/train@{digest}")) == Some(bytes));
        all && state.manifests.get("proj/train@latest").is_some_and(|(bytes, _)| *bytes == self.manifest().1)
    }

    /// Whether it was pulled, as it is.
    pub fn is_pulled(&self) -> bool {
        let pulled = Layout::new(self.file("pulled"));
        pulled.dir.join("index.json").exists() && pulled.view("it", "") == self.layout.view("it", "")
    }

    /// Digest, bytes and type of its manifest.
    pub fn manifest(&self) -> (String, Vec<u8>, String) {
        let named = |entry: &&serde_json::Value| entry["annotations"]["org.opencontainers.image.ref.name"] == "it";
        let entries = read(&self.file("layout/index.json"));
        let entry = entries["manifests"].as_array().unwrap().iter().find(named).unwrap().clone();
        let digest = entry["digest"].as_str().unwrap().to_owned();
        let bytes = std::fs::read(self.layout.blob(&digest)).unwrap();
        (digest, bytes, entry["mediaType"].as_str().unwrap().to_owned())
    }

    /// Its config and layers.
    pub fn blobs(&self) -> Vec<(String, Vec<u8>)> {
        let manifest: serde_json::Value = serde_json::from_slice(&self.manifest().1).unwrap();
        let layers = manifest["layers"].as_array().unwrap();
        let digests =
            layers.iter().chain([&manifest["config"]]).map(|blob| blob["digest"].as_str().unwrap().to_owned());
        digests.map(|digest| (digest.clone(), std::fs::read(self.layout.blob(&digest)).unwrap())).collect()
    }
}

fn read(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The place of the image there.
pub fn at(fake: &Fake) -> String {
    format!("docker://{}/proj/train:latest", fake.host())
}

/// The outcome has these words.
#[track_caller]
pub fn says(outcome: &Outcome, words: &[&str]) {
    for word in words {
        assert!(outcome.stderr.contains(word), "no {word:?} in {}", outcome.stderr);
    }
}

/// What is told at the end, after the log: the error and its hint.
pub fn error_of(outcome: &Outcome) -> String {
    outcome.stderr.lines().filter(|line| line.starts_with("pht-oci:")).collect::<Vec<_>>().join("\n")
}

/// Whether the request shows who we are.
pub fn shows_login(request: &Request) -> bool {
    request.header("authorization").is_some()
}
