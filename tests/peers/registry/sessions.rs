//! What happens in the middle of a session: tokens that expire, token servers that falter, mounts that are refused, and a
//! person who has waited long enough.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::journey::PLAIN;
use super::proxy::{Act, Proxy, Request, answer};
use super::server::Server;
use support::tree::noise;
use support::{Edit, Layout, Outcome, Peer, available, pht_oci, utf8};

const PEERS: [Peer; 2] = [Peer::Registry, Peer::Python];
/// More than two chunks of an upload.
const LARGE: usize = 14 << 20;

/// A layout with an image of one large layer, tag `it`.
fn large() -> (tempfile::TempDir, Layout) {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path().join("layout"));
    layout.make_base("base", false);
    layout.append("base", "it", &[Edit::Put("large.bin", noise(LARGE))]);
    (dir, layout)
}

fn copy(from: &str, to: &str) -> Outcome {
    pht_oci(&[&["copy", from, to][..], &PLAIN].concat(), &[])
}

/// Bearer tokens, the current of which a test can let expire; the first requests for each are answered by a busy server.
#[derive(Default)]
struct Tokens {
    current: AtomicUsize,
    faltered: AtomicUsize,
}

impl Tokens {
    /// What a token server answers, and a registry to those who have no token that is good; else nothing.
    fn answer(&self, request: &Request) -> Option<Act> {
        if request.path.starts_with("/token") {
            return Some(match self.faltered.fetch_add(1, Ordering::SeqCst) % 3 {
                0 => answer("503 Busy", "Retry-After: 0\r\n", ""),
                1 => Act::Drop,
                _ => answer("200 OK", "", &format!(r#"{{"token": "{}"}}"#, self.current.load(Ordering::SeqCst))),
            });
        }
        let good = format!("Bearer {}", self.current.load(Ordering::SeqCst));
        if request.header("authorization") == Some(&good) || request.path == "/v2/" {
            return None;
        }
        let host = request.header("host").unwrap_or_default();
        let challenge = format!("WWW-Authenticate: Bearer realm=\"http://{host}/token\",service=\"s\"\r\n");
        Some(answer("401 Expired", &challenge, ""))
    }

    fn expire(&self) {
        self.current.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn tokens_that_expire_within_a_blob_are_renewed() {
    if !available("tokens_that_expire_within_a_blob_are_renewed", &PEERS) {
        return;
    }
    let (dir, layout) = large();
    let server = Server::open();
    // Up: the token ends with the second chunk.
    let (tokens, chunks) = (Arc::new(Tokens::default()), AtomicUsize::new(0));
    let rule = {
        let tokens = tokens.clone();
        move |request: &Request| {
            if request.method == "PATCH" && chunks.fetch_add(1, Ordering::SeqCst) == 1 {
                tokens.expire();
            }
            tokens.answer(request).unwrap_or(Act::Pass)
        }
    };
    let proxy = Proxy::start(server.port, rule);
    copy(&layout.at("it"), &proxy.at("t:up")).ok();
    assert_eq!(tokens.current.load(Ordering::SeqCst), 1, "a token has expired");
    // Down: the connection is cut within the blob, and by the time of the range request the token is no good any more.
    let (tokens, cuts) = (Arc::new(Tokens::default()), AtomicUsize::new(0));
    let large = layout.layers("it").pop().unwrap();
    let rule = {
        let tokens = tokens.clone();
        move |request: &Request| {
            let act = tokens.answer(request);
            if act.is_none() && request.is_blob(&large) && cuts.fetch_add(1, Ordering::SeqCst) < 2 {
                tokens.expire();
                return Act::Cut(LARGE / 3);
            }
            act.unwrap_or(Act::Pass)
        }
    };
    let proxy = Proxy::start(server.port, rule);
    let back = Layout::new(dir.path().join("back"));
    copy(&proxy.at("t:up"), &back.at("it")).ok();
    assert_eq!(tokens.current.load(Ordering::SeqCst), 2, "two tokens have expired");
    assert_eq!(back.view("it", ""), layout.view("it", ""));
}

#[test]
fn a_token_server_that_stays_away_is_named() {
    if !available("a_token_server_that_stays_away_is_named", &PEERS) {
        return;
    }
    let server = Server::open();
    let proxy = Proxy::start(server.port, |request: &Request| {
        let host = request.header("host").unwrap_or_default();
        let challenge = format!("WWW-Authenticate: Bearer realm=\"http://{host}/token\"\r\n");
        match request.path.as_str() {
            "/v2/" => Act::Pass,
            path if path.starts_with("/token") => answer("502 Gone", "Retry-After: 0\r\n", ""),
            _ => answer("401 Implementation", &challenge, ""),
        }
    });
    let refused = pht_oci(&[&["inspect", &proxy.at("t:x")][..], &PLAIN].concat(), &[]).refused(6);
    for message in ["127.0.0.1", "/t", "the token server answers 502", "hint:"] {
        assert!(refused.stderr.contains(message), "no {message} in {}", refused.stderr);
    }
    assert!(proxy.count(|request| request.path.starts_with("/token")) > 2, "it is asked again");
}

#[test]
fn what_cannot_be_mounted_is_copied() {
    if !available("what_cannot_be_mounted_is_copied", &PEERS) {
        return;
    }
    let (dir, layout) = large();
    let server = Server::open();
    copy(&layout.at("it"), &server.at("from:it")).ok();
    let challenge = "WWW-Authenticate: Basic realm=\"x\"\r\n";
    let refusals =
        [("400 No", ""), ("401 No", challenge), ("401 No", ""), ("403 No", ""), ("404 No", ""), ("405 No", "")];
    for (number, (status, headers)) in refusals.into_iter().enumerate() {
        let rule = move |request: &Request| match request.path.contains("mount=") {
            true => answer(status, headers, ""),
            false => Act::Pass,
        };
        let proxy = Proxy::start(server.port, rule);
        let (to, back) = (format!("to{number}:it"), Layout::new(dir.path().join(number.to_string())));
        copy(&proxy.at("from:it"), &proxy.at(&to)).ok();
        assert!(proxy.count(|request| request.path.contains("mount=")) > 0, "{status}");
        copy(&server.at(&to), &back.at("it")).ok();
        assert_eq!(back.view("it", ""), layout.view("it", ""), "{status}");
    }
}

#[test]
fn a_signal_ends_waiting_for_a_busy_registry() {
    if !available("a_signal_ends_waiting_for_a_busy_registry", &PEERS) {
        return;
    }
    let (dir, layout) = large();
    let server = Server::open();
    copy(&layout.at("it"), &server.at("t:it")).ok();
    let proxy = Proxy::start(server.port, |request: &Request| match request.path.contains("/blobs/") {
        true => answer("429 Later", "Retry-After: 100\r\n", ""),
        false => Act::Pass,
    });
    let to = dir.path().join("to");
    let mut command = Command::new(support::program());
    command.args(["copy", &proxy.at("t:it"), utf8(&to)]).args(PLAIN);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while proxy.count(|request| request.path.contains("/blobs/")) == 0 {
        assert!(begun.elapsed() < Duration::from_secs(30), "no blob was asked for");
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(200));
    let sent = Instant::now();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{message}");
    assert!(message.contains("interrupted"), "{message}");
    assert!(sent.elapsed() < Duration::from_secs(10), "it went on waiting");
    assert!(!to.exists(), "nothing of it stays");
}
