//! Logins: which one is used where, and that none is ever said or shown to a stranger.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::journey::{PLAIN, stage};
use super::proxy::{Act, Proxy, Request, answer};
use super::server::Server;
use support::{Implementation, Peer, Train, TrainSpec, Wire, available, pht_oci, run, utf8};

/// base64 of `USER:SECRET`.
fn basic(login: &str) -> String {
    let line = format!("printf %s '{login}' | base64 -w0");
    String::from_utf8(run("sh", &["-c", &line]).unwrap()).unwrap()
}

/// A registry with a train at `a/t` and `b/t`.
fn served() -> (Server, Train) {
    let server = Server::open();
    let train = Train::build(Implementation::Ours, Wire::V1_1_2, &TrainSpec::default()).unwrap();
    for repository in ["a/t", "b/t"] {
        let (from, to) = (train.layout.at("0"), server.at(repository));
        run("skopeo", &["--insecure-policy", "copy", "-q", "--dest-tls-verify=false", &from, &to]).unwrap();
    }
    (server, train)
}

const PEERS: [Peer; 3] = [Peer::Registry, Peer::Skopeo, Peer::Python];

#[test]
fn two_robots_on_one_host_in_one_command() {
    if !available("two_robots_on_one_host_in_one_command", &PEERS) {
        return;
    }
    let (server, train) = served();
    let logins = [("/v2/a/", "robot-a:secret-a"), ("/v2/b/", "robot-b:secret-b")].map(|(at, login)| (at, basic(login)));
    let expected = logins.clone();
    // Each project takes its own robot only.
    let proxy = Proxy::start(server.port, move |request: &Request| {
        let wanted = expected.iter().find(|(at, _)| request.path.starts_with(at)).map(|(_, login)| login);
        let shown = request.header("authorization").and_then(|value| value.strip_prefix("Basic "));
        match wanted {
            Some(wanted) if shown != Some(wanted) => answer("401 No", "WWW-Authenticate: Basic realm=\"x\"\r\n", ""),
            _ => Act::Pass,
        }
    });
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("auth.json");
    let host = format!("127.0.0.1:{}", proxy.port);
    let entries = logins.each_ref().map(|(at, login)| format!(r#""{host}/{}": {{"auth": "{login}"}}"#, &at[4..5]));
    fs::write(&file, format!(r#"{{"auths": {{{}, "{host}": {{"auth": "eDp5"}}}}}}"#, entries.join(","))).unwrap();
    let file = utf8(&file);
    let (from, to) = (proxy.at("a/t"), proxy.at("b/t:opened"));
    let outcome = stage(&train, "pre-run", &from, &[&to], 0, &[&PLAIN[..], &["--authfile", file, "-v"]].concat()).ok();
    for user in ["robot-a", "robot-b"] {
        assert!(outcome.stderr.contains(user) && outcome.stderr.contains(file), "{}", outcome.stderr);
    }
    // The same by options; and one side's login is not the other's.
    let to = proxy.at("b/t:again");
    let creds = ["--src-creds", "robot-a:secret-a", "--dest-creds", "robot-b:secret-b"];
    stage(&train, "pre-run", &from, &[&to], 0, &[&PLAIN[..], &creds].concat()).ok();
    let empty = dir.path().to_str().unwrap();
    let line = ["inspect", &proxy.at("b/t"), "--dest-creds", "robot-b:secret-b"];
    let home = [("HOME", empty), ("XDG_CONFIG_HOME", empty), ("XDG_RUNTIME_DIR", empty)];
    pht_oci(&[&line[..], &PLAIN].concat(), &home).refused(6);
}

#[test]
fn tokens_are_fetched_and_renewed_and_no_secret_is_ever_said() {
    if !available("tokens_are_fetched_and_renewed_and_no_secret_is_ever_said", &PEERS) {
        return;
    }
    let (server, train) = served();
    let (issued, used) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let login = format!("Basic {}", basic("robot:hidden-secret"));
    // Every token is good for three requests.
    let proxy = Proxy::start(server.port, move |request: &Request| {
        if request.path.starts_with("/token") {
            if request.header("authorization") != Some(&login)
                || !request.path.contains("scope=repository%3Aa%2Ft%3Apull")
            {
                return answer("401 No", "", "");
            }
            used.store(0, Ordering::SeqCst);
            let token = format!("hidden-token-{}", issued.fetch_add(1, Ordering::SeqCst) + 1);
            return answer("200 OK", "", &format!(r#"{{"token": "{token}"}}"#));
        }
        let current = format!("Bearer hidden-token-{}", issued.load(Ordering::SeqCst));
        let fits = request.header("authorization") == Some(&current) && used.fetch_add(1, Ordering::SeqCst) < 3;
        let host = request.header("host").unwrap_or_default();
        let challenge = format!("WWW-Authenticate: Bearer realm=\"http://{host}/token\",service=\"s\"\r\n");
        if fits || request.path == "/v2/" { Act::Pass } else { answer("401 No", &challenge, "") }
    });
    let place = proxy.at("a/t");
    let creds = ["--src-creds", "robot:hidden-secret", "-vv"];
    let to = train.layout.at("opened");
    let outcome = stage(&train, "pre-run", &place, &[&to], 0, &[&PLAIN[..], &creds].concat()).ok();
    assert!(proxy.count(|request| request.path.starts_with("/token")) > 1, "a token was renewed");
    let secret = ["hidden", &basic("robot:hidden-secret")].map(str::to_owned);
    let message = |text: &str| secret.iter().any(|secret| text.contains(secret));
    assert!(outcome.stderr.contains("/v2/a/t/"), "-vv tells the requests: {}", outcome.stderr);
    assert!(!message(&outcome.stderr), "{}", outcome.stderr);
    // Refused: neither does the error.
    for format in ["text", "json"] {
        let line = ["inspect", &place, "--src-creds", "other:hidden-secret", "-vv", "--format", format];
        let outcome = pht_oci(&[&line[..], &PLAIN].concat(), &[]).refused(6);
        assert!(!message(&outcome.stderr) && outcome.stderr.contains("`other`"), "{}", outcome.stderr);
    }
    let outcome = pht_oci(&["inspect", &place, "--src-creds", "hidden"], &[]).refused(2);
    assert!(!message(&outcome.stderr), "{}", outcome.stderr);
}

#[test]
fn logins_stay_with_the_registry_they_belong_to() {
    if !available("logins_stay_with_the_registry_they_belong_to", &PEERS) {
        return;
    }
    let (server, train) = served();
    // Another host (another port is one): blobs and uploads are there, and it must not learn who we are.
    let elsewhere = Proxy::start(server.port, |_| Act::Pass);
    let port = elsewhere.port;
    let login = format!("Basic {}", basic("robot:secret"));
    let proxy = Proxy::start(server.port, move |request: &Request| {
        let location = format!("Location: http://127.0.0.1:{port}{}\r\n", request.path);
        let uploads = format!("Location: http://127.0.0.1:{port}/v2/b/t/blobs/uploads/lost\r\n");
        match request.header("authorization") {
            None if request.path != "/v2/" => answer("401 No", "WWW-Authenticate: Basic realm=\"x\"\r\n", ""),
            Some(shown) if shown != login => answer("403 No", "", ""),
            _ if request.method == "GET" && request.path.contains("/blobs/") => answer("307 There", &location, ""),
            _ if request.method == "POST" => answer("202 There", &uploads, ""),
            _ => Act::Pass,
        }
    });
    let creds = ["--src-creds", "robot:secret", "--dest-creds", "robot:secret"];
    let options = [&PLAIN[..], &creds].concat();
    stage(&train, "pre-run", &proxy.at("a/t"), &[&train.layout.at("opened")], 0, &options).ok();
    stage(&train, "pre-run", &train.layout.at("0"), &[&proxy.at("b/t:x")], 0, &options).refused(6);
    let seen = elsewhere.seen.lock().unwrap();
    assert!(seen.iter().any(|request| request.method == "GET") && seen.iter().any(|request| request.method != "GET"));
    let message: Vec<_> = seen.iter().filter(|request| request.header("authorization").is_some()).collect();
    assert!(message.is_empty(), "{} requests elsewhere carried the login", message.len());
}

#[test]
fn offline_opens_no_socket() {
    if !available("offline_opens_no_socket", &[Peer::Strace, Peer::Python]) {
        return;
    }
    let train = Train::build(Implementation::Ours, Wire::V1_1_2, &TrainSpec::default()).unwrap();
    let (program, key) = (support::program(), train.key("station_1"));
    let registry = "docker://127.0.0.1:9/a/t";
    for (from, to) in [(registry, train.layout.at("x")), (train.layout.at("0").as_str(), registry.to_owned())] {
        let log = train.layout.dir.join("strace");
        let log = utf8(&log);
        let traced = ["-f", "-e", "trace=socket", "-o", log, program, "pre-run", from, &to, "--private-key", &key];
        let output = run("strace", &[&traced[..], &["--offline"]].concat()).unwrap_err();
        assert!(output.contains("exit status: 2") && output.contains("--offline"), "{output}");
        let calls = fs::read_to_string(log).unwrap();
        assert!(calls.contains("exited with 2") && !calls.contains("socket("), "{calls}");
    }
}
