//! How a registry is reached: by helpers that know logins, by certificates of ours, through proxies.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};

use super::journey::PLAIN;
use super::proxy::{Act, Proxy};
use super::server::Server;
use support::{Layout, Outcome, Peer, available, pht_oci, utf8};

const PEERS: [Peer; 3] = [Peer::Registry, Peer::Python, Peer::Openssl];

/// Puts an image into a repository of the registry and takes it out again.
fn there_and_back(server: &Server, options: &[&str], variables: &[(&str, &str)]) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path().join("layout"));
    layout.make_base("base", false);
    let copy = |from: &str, to: &str| pht_oci(&[&["copy", from, to], options].concat(), variables);
    let there = copy(&layout.at("base"), &server.at("t:x"));
    if there.status != Some(0) {
        return there;
    }
    let back = Layout::new(dir.path().join("back"));
    let outcome = copy(&server.at("t:x"), &back.at("base"));
    assert!(outcome.status != Some(0) || back.layers("base") == layout.layers("base"));
    outcome
}

#[test]
fn helpers_are_asked_for_logins() {
    if !available("helpers_are_asked_for_logins", &PEERS) {
        return;
    }
    let server = Server::locked(&["robot"]);
    let (dir, host) = (tempfile::tempdir().unwrap(), format!("127.0.0.1:{}", server.port));
    let helper = |name: &str, script: &str| {
        let path = dir.path().join(format!("docker-credential-{name}"));
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    // Docker's protocol: the verb as argument, the server on standard input.
    let knows = format!(
        r#"test "$1" = get && test "$(cat)" = {host} && echo '{{"ServerURL": "", "Username": "robot", "Secret": "robot-secret"}}'"#
    );
    helper("knows", &knows);
    helper("other", "cat >/dev/null; echo credentials not found in native keychain; exit 1");
    helper("breaks", "cat >/dev/null; echo robot-secret; exit 1");
    let ca = utf8(&server.dir.path().join("ca")).to_owned();
    let options = ["--src-cert-dir", &ca, "--dest-cert-dir", &ca, "-v"];
    let path = format!("{}:{}", dir.path().display(), std::env::var("PATH").unwrap());
    let home = utf8(dir.path());
    fs::create_dir(dir.path().join(".docker")).unwrap();
    for (config, status, message) in [
        (format!(r#"{{"credHelpers": {{"{host}": "knows"}}, "credsStore": "breaks"}}"#), 0, "as robot"),
        (r#"{"credsStore": "knows"}"#.to_owned(), 0, "docker-credential-knows"),
        (r#"{"credsStore": "other"}"#.to_owned(), 6, "there are none"),
        (r#"{"credsStore": "breaks"}"#.to_owned(), 6, "docker-credential-breaks failed"),
        (r#"{"credsStore": "absent"}"#.to_owned(), 6, "docker-credential-absent"),
        (r#"{"credsStore": "../knows"}"#.to_owned(), 6, "not a program name"),
    ] {
        fs::write(dir.path().join(".docker/config.json"), &config).unwrap();
        // An empty variable is none: the file at home counts.
        let variables = [("PATH", path.as_str()), ("HOME", home), ("REGISTRY_AUTH_FILE", ""), ("XDG_RUNTIME_DIR", "")];
        let outcome = there_and_back(&server, &options, &variables);
        let outcome = outcome.expect(status).unwrap_or_else(|message| panic!("{config}: {message}"));
        assert!(outcome.stderr.contains(message), "{config}: no {message} in {}", outcome.stderr);
        assert!(!outcome.stderr.contains("robot-secret"), "{config}: {}", outcome.stderr);
    }
}

#[test]
fn a_registry_that_demands_a_certificate_gets_ours() {
    if !available("a_registry_that_demands_a_certificate_gets_ours", &PEERS) {
        return;
    }
    let server = Server::for_certificates();
    let dir = |name: &str| utf8(&server.dir.path().join(name)).to_owned();
    for (certificates, status) in [("ours", 0), ("ca", 6)] {
        let certificates = dir(certificates);
        let options = ["--src-cert-dir", &certificates, "--dest-cert-dir", &certificates];
        let outcome = there_and_back(&server, &options, &[]);
        outcome.expect(status).unwrap_or_else(|message| panic!("{certificates}: {message}"));
    }
    // A certificate without its key is no certificate of ours.
    fs::remove_file(server.dir.path().join("ours/client.key")).unwrap();
    let ours = dir("ours");
    let refused = there_and_back(&server, &["--src-cert-dir", &ours, "--dest-cert-dir", &ours], &[]).refused(1);
    assert!(refused.stderr.contains("client.key"), "{}", refused.stderr);
}

/// A proxy that makes tunnels (`CONNECT`), and where they led.
fn tunnels() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, led) = (listener.local_addr().unwrap().port(), Arc::new(Mutex::new(Vec::new())));
    let printed = led.clone();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let message = printed.clone();
            std::thread::spawn(move || tunnel(client, &message));
        }
    });
    (port, led)
}

fn tunnel(mut client: TcpStream, message: &Mutex<Vec<String>>) -> io::Result<()> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let to = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).unwrap_or_default().to_owned();
    message.lock().unwrap().push(to.clone());
    let mut server = TcpStream::connect(&to)?;
    client.write_all(b"HTTP/1.1 200 Tunnel\r\n\r\n")?;
    let (mut from, mut back) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || {
        let _ = io::copy(&mut from, &mut back);
        let _ = back.shutdown(Shutdown::Write);
    });
    io::copy(&mut server, &mut client).map(drop)
}

#[test]
fn proxies_from_the_environment_are_used() {
    if !available("proxies_from_the_environment_are_used", &PEERS) {
        return;
    }
    let server = Server::locked(&["robot"]);
    let ca = utf8(&server.dir.path().join("ca")).to_owned();
    let login = "robot:robot-secret";
    let options = ["--src-cert-dir", &ca, "--dest-cert-dir", &ca, "--src-creds", login, "--dest-creds", login];
    let (port, led) = tunnels();
    let proxy = format!("http://127.0.0.1:{port}");
    there_and_back(&server, &options, &[("HTTPS_PROXY", &proxy), ("NO_PROXY", "")]).ok();
    let to = format!("127.0.0.1:{}", server.port);
    assert!(led.lock().unwrap().contains(&to), "the tunnel leads to the registry");
    led.lock().unwrap().clear();
    there_and_back(&server, &options, &[("HTTPS_PROXY", &proxy), ("NO_PROXY", "127.0.0.1")]).ok();
    assert!(led.lock().unwrap().is_empty(), "NO_PROXY names what is reached directly");
    // Without TLS the proxy is told the whole URL.
    let open = Server::open();
    let proxy = Proxy::start(open.port, |_| Act::Pass);
    let url = format!("http://127.0.0.1:{}", proxy.port);
    there_and_back(&open, &PLAIN, &[("HTTP_PROXY", &url), ("NO_PROXY", "")]).ok();
    let whole = format!("http://127.0.0.1:{}/v2/t/", open.port);
    assert!(proxy.count(|request| request.path.starts_with(&whole)) > 0, "requests go through the proxy");
}
