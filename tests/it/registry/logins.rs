//! Tokens and passwords: how registries ask for them, and where they come from.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::server::{Fake, Reply, Request, State};
use super::{BASIC, Machine, error_of, says};
use support::{program, utf8};

/// Harbor's refusal of whatever carried a header, and that of others (goharbor/harbor#18856).
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Harbor,
    Bearer,
    /// It says nothing about how to log in again.
    Mute,
}

/// A registry that takes tokens of its own, each for so many requests.
fn with_tokens(kind: Kind, uses: usize) -> Fake {
    let (issued, used) = (AtomicUsize::new(0), AtomicUsize::new(0));
    Fake::start(move |request, state| {
        if request.path == "/token" {
            if request.header("authorization") != Some(BASIC) {
                return Some(Reply::error(401, "UNAUTHORIZED", "authentication required"));
            }
            let token = format!("hidden-{}", issued.fetch_add(1, Ordering::SeqCst));
            used.store(0, Ordering::SeqCst);
            state.tokens = [token.clone()].into();
            return Some(Reply::new(200).body(json!({ "token": token, "expires_in": 1800 }).to_string()));
        }
        let good = is_let_in(request, state) && used.fetch_add(1, Ordering::SeqCst) < uses;
        (!good).then(|| refusal(request, kind, "authentication required"))
    })
}

fn is_let_in(request: &Request, state: &State) -> bool {
    let token = request.header("authorization").and_then(|shown| shown.strip_prefix("Bearer "));
    token.is_some_and(|token| state.tokens.contains(token))
}

fn refusal(request: &Request, kind: Kind, words: &str) -> Reply {
    let reply = Reply::error(401, "UNAUTHORIZED", words);
    let carried = request.header("authorization").is_some();
    let host = request.header("host").unwrap_or_default();
    match kind {
        Kind::Harbor if carried => reply.header("WWW-Authenticate", r#"Basic realm="harbor""#),
        Kind::Mute if carried => reply,
        _ => reply.header("WWW-Authenticate", format!(r#"Bearer realm="http://{host}/token",service="fake""#)),
    }
}

#[test]
fn a_token_that_ends_is_replaced_whatever_the_refusal_says() {
    for kind in [Kind::Harbor, Kind::Bearer, Kind::Mute] {
        for uses in [1, 2, 5] {
            // One blob at a time, so that no other request uses the token up.
            let (machine, fake) = (Machine::new(&[9_000_000]), with_tokens(kind, uses * 4));
            machine.push(&fake, &[]).ok();
            assert!(machine.is_at(&fake));
            machine.pull(&fake, &[]).ok();
            assert!(machine.is_pulled());
            assert!(fake.count(|request| request.path == "/token") > 1);
        }
    }
}

#[test]
fn a_token_that_has_ended_by_its_own_word_is_replaced_before_it_is_refused() {
    let born = std::sync::Mutex::new(Instant::now());
    let fake = Fake::start(move |request, state| {
        if request.path == "/token" {
            *born.lock().unwrap() = Instant::now();
            state.tokens = ["hidden-1".to_owned()].into();
            return Some(Reply::new(200).body(r#"{"access_token":"hidden-1","token":"","expires_in":2}"#));
        }
        let late = born.lock().unwrap().elapsed() > Duration::from_secs(4);
        (late || !is_let_in(request, state)).then(|| refusal(request, Kind::Bearer, "expired"))
    });
    fake.state().rate = Some(2_000_000);
    let machine = Machine::new(&[9_000_000]);
    machine.push(&fake, &[]).ok();
    let refused = fake.count(|request| request.path != "/token" && !super::shows_login(request));
    assert!(machine.is_at(&fake) && fake.count(|request| request.path == "/token") > 1);
    assert!(refused <= 4, "{refused} requests without a token");
}

#[test]
fn a_right_that_is_lacking_is_not_a_wrong_login() {
    let words = "unauthorized to access repository: proj/train, action: push";
    for kind in [Kind::Harbor, Kind::Bearer, Kind::Mute] {
        let fake = Fake::start(move |request, state| {
            if request.path == "/token" {
                state.tokens.insert("hidden-1".to_owned());
                return Some(Reply::new(200).body(r#"{"token":"hidden-1"}"#));
            }
            let reads = matches!(request.method.as_str(), "GET" | "HEAD");
            (!reads || !is_let_in(request, state)).then(|| refusal(request, kind, words))
        });
        let error = error_of(&Machine::new(&[1000]).push(&fake, &[]).refused(6));
        assert!(error.contains(words) && error.contains("check the rights"), "{error}");
        assert!(!error.contains("refuses the credentials") && !error.contains("check user name"), "{error}");
        assert!(fake.count(|request| request.path == "/token") < 8, "it asks again and again");
    }
}

#[test]
fn a_wrong_password_is_tried_once_and_never_said() {
    let tokens = |kind| {
        Fake::start(move |request, _| {
            // It repeats what it was sent, as some do.
            let words = format!("no such login: {}", request.header("authorization").unwrap_or("none"));
            if request.path == "/token" {
                return Some(Reply::error(401, "UNAUTHORIZED", &words));
            }
            Some(refusal(request, kind, &words))
        })
    };
    let basic = Fake::start(|request, _| {
        let words =
            format!("no such login: {} robot:hidden-PASSWORD", request.header("authorization").unwrap_or("none"));
        Some(Reply::error(401, "UNAUTHORIZED", &words).header("WWW-Authenticate", "Basic realm=\"x\""))
    });
    for fake in [tokens(Kind::Harbor), tokens(Kind::Bearer), basic] {
        let outcome = Machine::new(&[1000]).pull(&fake, &[]).refused(6);
        says(&outcome, &["`robot`", "no such login: "]);
        let shown = fake.count(|request| request.header("authorization") == Some(BASIC));
        assert_eq!(shown, 1, "{}", outcome.stderr);
    }
}

#[test]
fn a_token_servers_words_are_shown_and_a_page_is_none() {
    let machine = Machine::new(&[1000]);
    for (reply, words) in [
        (|| Reply::error(403, "DENIED", "robot account is disabled"), "robot account is disabled"),
        (
            || Reply::new(400).body(r#"{"error":"invalid_scope","error_description":"no such project"}"#),
            "no such project",
        ),
        (|| Reply::page(200), "web page"),
        (|| Reply::new(200).body(r#"{"token":"","access_token":null}"#), "holds no token"),
    ] as [(fn() -> Reply, &str); 4]
    {
        let fake = Fake::start(move |request, _| {
            let asks = request.path == "/token";
            Some(if asks { reply() } else { refusal(request, Kind::Bearer, "no") })
        });
        let outcome = machine.pull(&fake, &[]).refused(6);
        assert!(error_of(&outcome).contains(words), "{words}: {}", outcome.stderr);
    }
}

#[test]
fn a_token_server_is_no_nearer_than_the_registry() {
    // A registry of the internet, as it is seen through a proxy, names this machine.
    let inner = Fake::start(|_, _| Some(Reply::new(200).body(r#"{"token":"hidden-1"}"#)));
    let realm = format!("http://{}/token", inner.host());
    let fake = Fake::start(move |_, _| {
        let challenge = format!("Bearer realm=\"{realm}\"");
        Some(Reply::new(401).header("WWW-Authenticate", challenge))
    });
    let proxy = format!("http://robot:hidden-PASSWORD@{}", fake.host());
    // HTTPS fails at this proxy, so plain HTTP it is.
    let line = ["inspect", "docker://registry.invalid/proj/train", "--src-creds", super::LOGIN];
    let outcome =
        super::run(&line, &[("HTTP_PROXY", &proxy), ("HTTPS_PROXY", &proxy), ("NO_PROXY", "127.0.0.1")]).refused(6);
    says(&outcome, &["token server", &inner.host(), "no credentials were sent"]);
    assert!(inner.state().log.is_empty(), "it was asked");
}

#[test]
fn an_identity_token_is_exchanged() {
    let fake = Fake::start(|request, state| {
        if request.path == "/token" {
            let form = String::from_utf8(request.body.clone()).unwrap();
            let good = request.method == "POST"
                && ["grant_type=refresh_token", "refresh_token=hidden-IDENTITY", "service=fake"]
                    .iter()
                    .all(|part| form.contains(part))
                && form.contains("scope=repository%3Aproj%2Ftrain%3Apull");
            if !good {
                return Some(Reply::error(401, "UNAUTHORIZED", &form));
            }
            state.tokens.insert("hidden-1".to_owned());
            return Some(Reply::new(200).body(r#"{"access_token":"hidden-1","expires_in":300}"#));
        }
        (!is_let_in(request, state)).then(|| refusal(request, Kind::Bearer, "who?"))
    });
    let machine = Machine::new(&[1000]);
    machine.fill(&fake);
    let helper =
        helper(&machine, "token", r#"cat >/dev/null; echo '{"Username":"<token>","Secret":"hidden-IDENTITY"}'"#);
    let nobody = "MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwOg==";
    for document in [
        json!({ "auths": { fake.host(): { "identitytoken": "hidden-IDENTITY" } } }),
        json!({ "auths": { fake.host(): { "auth": nobody, "identitytoken": "hidden-IDENTITY" } } }),
        json!({ "credHelpers": { fake.host(): "token" } }),
    ] {
        pull_with_file(&machine, &fake, &document, &helper, &[]).ok();
        assert!(machine.is_pulled());
    }
    // Refused, it is not said; nor is it a password.
    let document = json!({ "auths": { fake.host(): { "identitytoken": "hidden-OTHER" } } });
    let outcome = pull_with_file(&machine, &fake, &document, &helper, &[]).refused(6);
    assert!(error_of(&outcome).contains("the identity token"), "{}", outcome.stderr);
    let basic = Fake::start(|_, _| Some(Reply::new(401).header("WWW-Authenticate", "Basic realm=\"x\"")));
    let document = json!({ "auths": { basic.host(): { "identitytoken": "hidden-IDENTITY" } } });
    let outcome = pull_with_file(&machine, &basic, &document, &helper, &[]).refused(6);
    assert!(error_of(&outcome).contains("asks for a password"), "{}", outcome.stderr);
}

/// A `PATH` that has this credential helper in front.
fn helper(machine: &Machine, name: &str, script: &str) -> String {
    let bin = machine.file("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let path = bin.join(format!("docker-credential-{name}"));
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:{}", utf8(&bin), std::env::var("PATH").unwrap())
}

fn pull_with_file(
    machine: &Machine,
    fake: &Fake,
    document: &serde_json::Value,
    path: &str,
    options: &[&str],
) -> support::Outcome {
    let file = machine.file("auth.json");
    std::fs::write(&file, document.to_string()).unwrap();
    machine.pull_with(fake, options, &[("REGISTRY_AUTH_FILE", utf8(&file)), ("PATH", path)])
}

#[test]
fn a_helper_that_fails_says_why_and_one_that_hangs_is_ended() {
    let fake = with_tokens(Kind::Bearer, 1000);
    let machine = Machine::new(&[1000]);
    machine.fill(&fake);
    let document = |name: &str| json!({ "credHelpers": { fake.host(): name } });
    for (name, script, words) in [
        (
            "fail",
            "cat >/dev/null; echo hidden-OUT; printf 'vault is\\tsealed\\033[31m' >&2; exit 1",
            &["vault is sealed", "docker-credential-fail"][..],
        ),
        ("junk", "cat >/dev/null; echo hidden-OUT", &["docker-credential-junk"]),
        ("none", "cat >/dev/null; echo credentials not found in native keychain; exit 1", &["anonymous"]),
        ("hang", "exec sleep 30", &["docker-credential-hang", "2 s"]),
        ("child", "sleep 30", &["docker-credential-child", "2 s"]),
    ] {
        let path = helper(&machine, name, script);
        let begun = Instant::now();
        let outcome = pull_with_file(&machine, &fake, &document(name), &path, &["--registry-timeout", "2"]).refused(6);
        assert!(begun.elapsed() < Duration::from_secs(20), "{name}: {:?}", begun.elapsed());
        assert!(words.iter().all(|word| error_of(&outcome).contains(word)), "{name}: {}", outcome.stderr);
        assert!(!outcome.stderr.contains('\u{1b}'), "{name}: {}", outcome.stderr);
    }
    // It does not read what it is asked, and leaves a child behind that holds its output open.
    let answer = r#"echo '{"Username":"robot","Secret":"hidden-PASSWORD"}'"#;
    let path = helper(&machine, "odd", &format!("exec 0<&-; sleep 30 & {answer}"));
    let begun = Instant::now();
    pull_with_file(&machine, &fake, &document("odd"), &path, &[]).ok();
    assert!(machine.is_pulled() && begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    // A person has waited long enough.
    let path = helper(&machine, "hang", "touch \"$0.runs\"; exec sleep 30");
    let file = machine.file("auth.json");
    std::fs::write(&file, document("hang").to_string()).unwrap();
    let mut command = Command::new(program());
    command.args(["inspect", &super::at(&fake), "--src-tls-verify", "false"]);
    command.env("PATH", path).env("REGISTRY_AUTH_FILE", &file).stdout(Stdio::null()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let begun = Instant::now();
    while !machine.file("bin/docker-credential-hang.runs").exists() {
        assert!(begun.elapsed() < Duration::from_secs(30), "the helper does not run");
        std::thread::sleep(Duration::from_millis(20));
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let (sent, output) = (Instant::now(), child.wait_with_output().unwrap());
    assert_eq!(output.status.code(), Some(143), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(sent.elapsed() < Duration::from_secs(10), "{:?}", sent.elapsed());
}

/// Whoever names a file means it, though this registry may ask for no login.
#[test]
fn a_named_file_of_logins_has_to_be_one() {
    let fake = Fake::start(|_, _| None);
    let machine = Machine::new(&[1000]);
    machine.fill(&fake);
    let file = machine.file("auth.json");
    for (text, says) in [(None, "cannot read the credentials"), (Some("{"), "not valid JSON"), (Some("[]"), "JSON")] {
        let _ = text.map(|text| std::fs::write(&file, text).unwrap());
        let message = machine.pull_with(&fake, &["--authfile", utf8(&file)], &[]).refused(6).stderr;
        assert!(message.contains(utf8(&file)) && message.contains(says), "{text:?}: {message}");
        assert!(fake.count(|_| true) == 0, "{text:?}: the registry was asked");
    }
    std::fs::write(&file, "{}").unwrap();
    machine.pull_with(&fake, &["--authfile", utf8(&file)], &[]).ok();
}

#[test]
fn a_file_of_logins_that_others_can_write_is_said() {
    let fake = with_tokens(Kind::Bearer, 1000);
    let machine = Machine::new(&[1000]);
    machine.fill(&fake);
    let file = machine.file("auth.json");
    let document = json!({ "auths": { fake.host(): { "auth": &BASIC[6..] } } });
    std::fs::write(&file, document.to_string()).unwrap();
    for (mode, is_said) in [(0o600, false), (0o644, false), (0o666, true), (0o620, true)] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let outcome = machine.pull_with(&fake, &["--authfile", utf8(&file)], &[]).ok();
        assert_eq!(
            outcome.stderr.contains("others can write the credentials"),
            is_said,
            "{mode:o}: {}",
            outcome.stderr
        );
    }
}
