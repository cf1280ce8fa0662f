//! The `openssl` command, the other side of the tests.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::testing;

/// Runs it and returns what it prints, `Err` with its complaint if it fails.
pub(super) fn run(args: &[&str], input: &[u8]) -> Result<Vec<u8>, String> {
    let mut child = Command::new("openssl")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the tests need the openssl command");
    // It may be done before it has read everything.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    if output.status.success() { Ok(output.stdout) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// A PKCS#8 PEM of a new key, with `options` for its making.
pub(super) fn new_key(options: &[&str]) -> Vec<u8> {
    let mut args = vec!["genpkey", "-quiet", "-algorithm", "RSA"];
    for option in options {
        args.extend(["-pkeyopt", option]);
    }
    run(&args, b"").or_else(|_| run(&[&args[..1], &args[2..]].concat(), b"")).unwrap()
}

/// The PKCS#8 PEM of a key of 2048 bits that it has made.
pub(super) fn shared_key() -> &'static [u8] {
    static KEY: OnceLock<Vec<u8>> = OnceLock::new();
    KEY.get_or_init(|| testing::pem(0))
}

/// The PEM of the public half of a private key.
pub(super) fn public_of(key: &[u8]) -> Vec<u8> {
    run(&["pkey", "-pubout"], key).unwrap()
}

/// A directory for what it reads from files only.
pub(super) struct Files(tempfile::TempDir);

impl Files {
    pub(super) fn new() -> Self {
        Files(tempfile::tempdir().unwrap())
    }

    /// The path of a file of that name and content.
    pub(super) fn put(&self, name: &str, content: &[u8]) -> String {
        let path: PathBuf = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.into_os_string().into_string().unwrap()
    }
}
