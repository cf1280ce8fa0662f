//! Other places than the registry: object stores, proxies, wherever a `Location` leads. A message names the one that
//! failed, and none of them learns who we are.

use std::net::TcpListener;

use super::server::{Fake, Reply, answer};
use super::{LOGIN, Machine, error_of, run};

/// A port where nobody listens.
fn closed() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_place_that_the_registry_names_is_named_when_it_fails() {
    let down = closed();
    let expired = Fake::start(|_, _| Some(Reply::new(403).body("<Error><Code>AccessDenied</Code></Error>")));
    for port in [down, expired.port] {
        let to = format!("http://localhost:{port}");
        // Blobs from a store.
        let (machine, place) = (Machine::new(&[1000]), to.clone());
        let fake = Fake::start(move |request, _| {
            let signed = format!("{place}{}?X-Amz-Signature=SIGNATURE", request.path);
            request.is("GET", "/blobs/").then(|| Reply::new(307).header("Location", signed))
        });
        machine.fill(&fake);
        let error = error_of(&machine.pull(&fake, &[]).refused(6));
        assert!(error.contains(&format!("localhost:{port}")) && !error.contains("check the credentials"), "{error}");
        // An upload that goes on elsewhere.
        let fake = Fake::start(move |request, _| {
            let at = format!("{to}/v2/proj/train/blobs/uploads/1?_state=STATE");
            (request.method == "POST").then(|| Reply::new(202).header("Location", at))
        });
        let error = error_of(&machine.push(&fake, &[]).refused(6));
        assert!(error.contains(&format!("localhost:{port}")) && !error.contains("check the credentials"), "{error}");
    }
    assert!(!expired.state().log.is_empty());
    assert_eq!(expired.count(super::shows_login), 0, "the login went elsewhere");
    // A token server.
    let fake = Fake::start(move |_, _| {
        Some(Reply::new(401).header("WWW-Authenticate", format!("Bearer realm=\"http://localhost:{down}/token\"")))
    });
    let error = error_of(&Machine::new(&[10]).pull(&fake, &[]).refused(6));
    assert!(error.contains(&format!("localhost:{down}")) && error.contains("token server"), "{error}");
}

#[test]
fn a_store_gets_no_login_and_a_cut_there_goes_on() {
    for status in [301, 302, 303, 307, 308] {
        let machine = Machine::new(&[200_000]);
        let store = Fake::start(|request, state| {
            let signed = request.query.contains("X-Amz-Signature=SIGNATURE") && !super::shows_login(request);
            (!signed).then(|| Reply::new(400)).or_else(|| Some(answer(request, state)))
        });
        machine.fill(&store);
        let to = format!("http://localhost:{}", store.port);
        let fake = Fake::start(move |request, _| {
            let signed = format!("{to}{}?X-Amz-Signature=SIGNATURE", request.path);
            request.is("GET", "/blobs/").then(|| Reply::new(status).header("Location", signed))
        });
        machine.fill(&fake);
        machine.pull(&fake, &[]).ok();
        assert!(machine.is_pulled(), "{status}");
        assert_eq!(store.count(super::shows_login), 0);
    }
}

#[test]
fn who_is_sent_away_and_back_shows_no_login_and_nobody_is_sent_round_for_ever() {
    let fake = Fake::start(|request, _| {
        let back =
            format!("http://{}/v2/back", request.header("host").unwrap_or_default().replace("127.0.0.1", "localhost"));
        (request.path != "/v2/").then(|| Reply::new(302).header("Location", back))
    });
    let error = error_of(&Machine::new(&[10]).pull(&fake, &[]).refused(6));
    assert!(error.contains("redirects without end"), "{error}");
    let elsewhere = |request: &super::Request| request.header("host").is_some_and(|host| host.starts_with("localhost"));
    assert!(fake.count(elsewhere) > 2);
    assert_eq!(fake.count(|request| elsewhere(request) && super::shows_login(request)), 0);
}

#[test]
fn one_that_waits_for_a_line_is_found_to_speak_no_tls() {
    // It neither answers nor refuses a handshake, as gunicorn does not.
    let (machine, fake) = (Machine::new(&[1000]), Fake::plain());
    fake.state().waits_for_lines = true;
    machine.push(&fake, &[]).ok();
    assert!(machine.is_at(&fake));
}

#[test]
fn a_proxy_that_fails_is_named_without_its_password() {
    let down = format!("127.0.0.1:{}", closed());
    let refuses = |status| Fake::start(move |_, _| Some(Reply::new(status)));
    let (no_login, forbidden) = (refuses(407), refuses(403));
    for proxy in [down, no_login.host(), forbidden.host()] {
        for (login, verify) in [("", "true"), ("robot:hidden-PASSWORD@", "true"), ("robot:hidden-PASSWORD@", "false")] {
            let url = format!("http://{login}{proxy}");
            let variables = [("HTTPS_PROXY", url.as_str()), ("HTTP_PROXY", url.as_str())];
            let line = ["inspect", "docker://registry.invalid/proj/train", "--src-creds", LOGIN];
            let verifies = format!("--src-tls-verify={verify}");
            let outcome = support::pht_oci(&[&line[..], &[&verifies, "-vv"]].concat(), &variables).refused(6);
            let error = error_of(&outcome);
            assert!(error.contains(&proxy) && error.contains("proxy"), "{error}");
            assert!(!outcome.stderr.contains("hidden-"), "{}", outcome.stderr);
        }
    }
}

#[test]
fn a_login_in_a_name_is_refused_and_not_repeated() {
    for name in
        ["docker://robot:hidden-PASSWORD@h.x/t", "https://robot:hidden-PASSWORD@h.x/t", "docker://hidden-TOKEN@h.x"]
    {
        for format in ["text", "json"] {
            let outcome = run(&["inspect", name, "--format", format], &[]).refused(2);
            assert!(outcome.stderr.contains("h.x"), "{}", outcome.stderr);
        }
    }
}
