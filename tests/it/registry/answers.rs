//! What registries say: of manifests, of refusals, of how long to wait.

use std::io::Write;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::server::{Fake, Reply, answer};
use super::{Machine, error_of};

#[test]
fn a_manifest_is_what_it_says_itself_where_its_type_says_nothing() {
    let machine = Machine::new(&[1000]);
    let own = machine.manifest().2;
    let charset = format!("{own}; charset=utf-8");
    let upper = own.to_uppercase();
    for kind in [Some("application/json"), Some("text/plain; charset=utf-8"), None, Some(&charset), Some(&upper)] {
        let kind = kind.map(str::to_owned);
        let fake = Fake::start(move |request, state| {
            request.is("GET", "/manifests/").then(|| {
                let mut reply = answer(request, state);
                reply.headers.retain(|(name, _)| name != "Content-Type");
                match &kind {
                    Some(kind) => reply.header("Content-Type", kind),
                    None => reply,
                }
            })
        });
        machine.fill(&fake);
        machine.pull(&fake, &[]).ok();
        assert!(machine.is_pulled());
    }
    let fake = Fake::start(|request, state| {
        request.is("GET", "/manifests/").then(|| {
            let mut reply = answer(request, state);
            reply.headers.clear();
            reply.header("Content-Type", "application/vnd.oci.image.index.v1+json")
        })
    });
    machine.fill(&fake);
    let error = error_of(&machine.pull(&fake, &[]).refused(5));
    assert!(
        error.contains("Content-Type") && error.contains("contradict") || error.contains("calls itself"),
        "{error}"
    );
}

#[test]
fn what_is_no_image_is_named() {
    let schema = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    for (kind, body, words) in [
        (schema, r#"{"schemaVersion":1,"fsLayers":[],"history":[]}"#, "schema 1"),
        ("application/json", r#"{"schemaVersion":1,"fsLayers":[],"history":[]}"#, "schema 1"),
        ("application/json", r#"{"hello":1}"#, "Content-Type"),
        ("application/vnd.cncf.helm.config.v1+json", r#"{"name":"x"}"#, "Content-Type"),
    ] {
        let fake = Fake::start(move |request, _| {
            request.is("GET", "/manifests/").then(|| Reply::new(200).header("Content-Type", kind).body(body))
        });
        let error = error_of(&Machine::new(&[10]).pull(&fake, &[]).refused(5));
        assert!(error.contains(words) && !error.contains("incomplete"), "{error}");
    }
}

#[test]
fn a_packed_manifest_is_unpacked_or_its_packing_named() {
    let machine = Machine::new(&[1000]);
    for (encoding, is_known) in [("gzip", true), ("x-gzip", true), ("br", false), ("zstd", false)] {
        let fake = Fake::start(move |request, state| {
            request.is("GET", "/manifests/").then(|| {
                let mut reply = answer(request, state);
                let mut packer = GzEncoder::new(Vec::new(), Compression::default());
                packer.write_all(&reply.body).unwrap();
                reply.body = packer.finish().unwrap();
                reply.header("Content-Encoding", encoding)
            })
        });
        machine.fill(&fake);
        let outcome = machine.pull(&fake, &[]);
        if is_known {
            outcome.ok();
            assert!(machine.is_pulled(), "{encoding}");
        } else {
            let error = error_of(&outcome.refused(6));
            assert!(error.contains(encoding) && error.contains("Content-Encoding"), "{error}");
        }
    }
}

#[test]
fn a_registrys_words_are_shown_as_they_are_and_no_hint_contradicts_them() {
    let detail = r#"{"errors":[{"code":"MANIFEST_INVALID","detail":"layer type is not allowed"}]}"#;
    for (status, body, words) in [
        (412, json("PRECONDITION", "'train:latest' configured as immutable"), "'train:latest' configured as immutable"),
        (400, json("TAG_INVALID", "the tag \"latest\" is immutable"), "the tag \"latest\" is immutable"),
        (400, detail.to_owned(), "MANIFEST_INVALID: layer type is not allowed"),
        (403, json("DENIED", "adding 8.6 MiB will exceed the upper limit of 100.0 MiB"), "upper limit of 100.0 MiB"),
        (403, json("DENIED", "the system is in read only mode"), "read only mode"),
        (400, json("TAG_INVALID", "a\u{1b}[31mb\r\nc"), "a\\u{1b}[31mb\\r\\nc"),
        (413, "<html><h1>too large</h1></html>".to_owned(), "413"),
    ] {
        let fake =
            Fake::start(move |request, _| request.is("PUT", "/manifests/").then(|| Reply::new(status).body(&body[..])));
        let error = error_of(&Machine::new(&[10]).push(&fake, &[]).refused(6));
        assert!(error.contains(words), "no {words} in {error}");
        assert!(!error.contains("check the credentials") && !error.contains("<html"), "{error}");
        assert!(fake.state().manifests.is_empty());
    }
}

fn json(code: &str, message: &str) -> String {
    serde_json::json!({ "errors": [{ "code": code, "message": message }] }).to_string()
}

#[test]
fn who_is_to_wait_for_hours_is_told_at_once_and_for_seconds_waits() {
    let machine = Machine::new(&[10]);
    let limited = |after: &'static str| {
        Fake::start(move |request, _| {
            let limit = Reply::error(429, "TOOMANYREQUESTS", "You have reached your pull rate limit.");
            request.is("GET", "/manifests/").then(|| limit.header("Retry-After", after))
        })
    };
    let begun = Instant::now();
    let error = error_of(&machine.pull(&limited("21600"), &[]).refused(6));
    assert!(error.contains("pull rate limit") && error.contains("6 hours"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(20));
    // A pause of seconds is told without `-v`.
    let fake = Fake::start(|request, state| {
        let first = !state.log.iter().any(|before| before.path == request.path && before.query == "seen");
        if let Some(last) = state.log.last_mut().filter(|_| request.is("GET", "/manifests/")) {
            last.query = "seen".to_owned();
        }
        let limit = Reply::error(429, "TOOMANYREQUESTS", "slowly").header("Retry-After", "5");
        (first && request.is("GET", "/manifests/")).then_some(limit)
    });
    machine.fill(&fake);
    let place = super::at(&fake);
    let outcome = support::pht_oci(&["inspect", &place, "--src-tls-verify", "false"], &[]);
    assert!(outcome.stderr.contains("slowly") && outcome.stderr.contains("trying again in 5 s"), "{}", outcome.stderr);
}
