//! Gateways with a login page, captive portals, and other answers that look like success.

use super::server::{Fake, Reply, Request, State, answer};
use super::{Machine, error_of, says};

type Habit = fn(&Request, &mut State) -> Option<Reply>;

/// Everything is sent to a login page; everything is one.
const ALL: [(&str, Habit); 5] = [
    ("302", |request, _| Some(to_login(request, 302))),
    ("303", |request, _| Some(to_login(request, 303))),
    ("307", |request, _| Some(to_login(request, 307))),
    ("200", |_, _| Some(Reply::page(200))),
    ("no type", |_, _| Some(Reply::new(200).body("\n<!DOCTYPE html><title>Please sign in</title>"))),
];

fn to_login(request: &Request, status: u16) -> Reply {
    if request.path.starts_with("/login") {
        return Reply::page(200);
    }
    Reply::new(status).header("Location", "/login?next=STATE")
}

#[test]
fn nothing_is_published_by_a_login_page() {
    for (name, habit) in ALL {
        let (machine, fake) = (Machine::new(&[300_000]), Fake::start(habit));
        let outcome = machine.push(&fake, &[]).refused(6);
        says(&outcome, &[&fake.host(), "login page"]);
        assert!(fake.state().manifests.is_empty(), "{name}");
    }
    // The session ended in the middle of the work: what comes last meets the page.
    let last: [(&str, Habit); 4] = [
        ("302", |request, _| meets_manifest(request, 302)),
        ("308", |request, _| meets_manifest(request, 308)),
        ("200", |request, _| request.is("PUT", "/manifests/").then(|| Reply::page(200))),
        ("201", |request, _| request.is("PUT", "/manifests/").then(|| Reply::page(201))),
    ];
    for (name, habit) in last {
        let (machine, fake) = (Machine::new(&[300_000]), Fake::start(habit));
        let outcome = machine.push(&fake, &[]).refused(6);
        says(&outcome, &["latest", "cannot publish"]);
        assert!(fake.state().manifests.is_empty(), "{name}");
    }
}

fn meets_manifest(request: &Request, status: u16) -> Option<Reply> {
    (request.is("PUT", "/manifests/") || request.path.starts_with("/login")).then(|| to_login(request, status))
}

#[test]
fn only_what_is_there_counts_as_published() {
    // Stored, whatever the status and headers.
    for (status, keeps_digest) in [(200, true), (200, false), (202, false), (204, false), (201, false)] {
        let (machine, fake) = (
            Machine::new(&[1000]),
            Fake::start(move |request, state| {
                request.is("PUT", "/manifests/").then(|| {
                    let mut reply = answer(request, state);
                    reply.status = status;
                    reply.headers.retain(|_| keeps_digest);
                    reply
                })
            }),
        );
        machine.push(&fake, &[]).ok();
        assert!(machine.is_at(&fake), "{status}");
    }
    // Not stored, whatever they say.
    for (status, digest) in [(200, true), (202, true), (204, false), (201, false)] {
        let machine = Machine::new(&[1000]);
        let own = machine.manifest().0;
        let fake = Fake::start(move |request, _| {
            let reply = Reply::new(status);
            let reply = if digest { reply.header("Docker-Content-Digest", &own[..]) } else { reply };
            request.is("PUT", "/manifests/").then_some(reply)
        });
        let outcome = machine.push(&fake, &[]).refused(6);
        says(&outcome, &["cannot publish", &status.to_string()]);
    }
    // Another image is there.
    let (other, machine) = (Machine::new(&[500]), Machine::new(&[1000]));
    let fake = Fake::start(|request, _| request.is("PUT", "/manifests/").then(|| Reply::new(201)));
    other.fill(&fake);
    machine.push(&fake, &[]).refused(6);
    // It is written and cannot be read.
    let fake = Fake::start(|request, state| {
        if request.is("GET", "/manifests/") {
            return Some(Reply::error(403, "DENIED", "push only"));
        }
        request.is("PUT", "/manifests/").then(|| {
            let mut reply = answer(request, state);
            reply.headers.clear();
            reply
        })
    });
    machine.push(&fake, &[]).ok();
    assert!(machine.is_at(&fake));
}

#[test]
fn a_manifest_that_is_sent_on_is_published_where_it_arrives() {
    let (machine, other) = (Machine::new(&[1000]), Fake::plain());
    machine.fill(&other);
    other.state().manifests.clear();
    let place = format!("http://{}/v2/proj/train/manifests/latest", other.host());
    let fake = Fake::start(move |request, _| {
        request.is("PUT", "/manifests/").then(|| Reply::new(307).header("Location", &place[..]))
    });
    machine.push(&fake, &[]).ok();
    assert!(machine.is_at(&other));
    assert_eq!(other.count(super::shows_login), 0, "the login went elsewhere");
}

#[test]
fn a_page_on_the_way_in_is_the_networks_fault_and_names_who_sent_it() {
    for (name, habit) in ALL {
        let machine = Machine::new(&[1000]);
        let fake = Fake::start(habit);
        let outcome = machine.pull(&fake, &[]).refused(6);
        let error = error_of(&outcome);
        assert!(error.contains("web page") && error.contains(&fake.host()), "{name}: {error}");
        // By digest it is no forgery, either.
        let (digest, ..) = machine.manifest();
        let place = format!("docker://{}/proj/train@{digest}", fake.host());
        let outcome = super::run(&["inspect", &place, "--src-creds", super::LOGIN], &[]).refused(6);
        assert!(error_of(&outcome).contains("web page"), "{name}: {}", outcome.stderr);
    }
    // The page comes from elsewhere, and in place of a blob.
    let portal = Fake::start(|_, _| Some(Reply::page(200)));
    for part in ["/manifests/", "/blobs/"] {
        let (machine, to) = (Machine::new(&[1000]), format!("http://{}/login?next=STATE", portal.host()));
        let fake =
            Fake::start(move |request, _| request.is("GET", part).then(|| Reply::new(302).header("Location", &to[..])));
        machine.fill(&fake);
        let outcome = machine.pull(&fake, &[]).refused(6);
        let error = error_of(&outcome);
        assert!(error.contains("web page") && error.contains(&portal.host()), "{part}: {error}");
    }
    assert_eq!(portal.count(super::shows_login), 0, "the login went elsewhere");
}
