//! Lines that break or are slow, and what registries take of an upload.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::server::{Fake, Reply, Request, State, answer};
use super::{Machine, says};
use support::tree::noise;
use support::{Implementation, Train, TrainSpec, Wire, utf8};

const MIB: usize = 1 << 20;
/// Less than a chunk; more than one; several.
const ONE: usize = 5_000_000;
const TWO: usize = 9_000_000;
const FOUR: usize = 24_000_000;

/// Publishes an image with a layer of each size to a registry with a habit.
fn all_are_published(sizes: &[usize], name: &str, habit: fn(&Request, &mut State) -> Option<Reply>) {
    for size in sizes {
        let (machine, fake) = (Machine::new(&[*size]), Fake::start(habit));
        machine.push(&fake, &[]).ok();
        assert!(machine.is_at(&fake), "{name}: {size} bytes");
    }
}

fn has_range(request: &Request) -> bool {
    request.method == "PATCH" && request.header("content-range").is_some()
}

#[test]
fn a_line_that_breaks_within_a_body_costs_nothing_but_time() {
    for forgets in [true, false] {
        for (size, breaks) in [
            (ONE, vec![2_000_000]),
            (ONE, vec![2_000_000, 4_000_000]),
            (TWO, vec![3_000_000]),
            (TWO, vec![3_000_000, 1_000_000, 5_000_000]),
        ] {
            let (machine, fake) = (Machine::new(&[size]), Fake::plain());
            (fake.state().forgets, fake.state().breaks) = (forgets, breaks.clone());
            machine.push(&fake, &[]).ok();
            assert!(machine.is_at(&fake), "{size} bytes, broken after {breaks:?}, forgets: {forgets}");
            assert!(fake.state().breaks.is_empty(), "the line did not break");
        }
    }
    // In the second chunk, which alone is in memory by then: the source still has the blob.
    let (machine, fake) = (Machine::new(&[TWO]), Fake::start(break_in_the_second_chunk));
    machine.push(&fake, &[]).ok();
    assert!(machine.is_at(&fake));
    assert!(fake.count(|request| request.method == "POST") > 1, "a new upload was begun");
}

/// Loses the upload with its second chunk, once.
fn break_in_the_second_chunk(request: &Request, state: &mut State) -> Option<Reply> {
    let second = has_range(request) && !request.header("content-range")?.starts_with("0-");
    let before = state
        .log
        .iter()
        .filter(|one| has_range(one) && one.header("content-range").is_some_and(|range| !range.starts_with("0-")));
    if !second || before.count() > 1 {
        return None;
    }
    state.uploads.clear();
    Some(Reply::error(503, "UNAVAILABLE", "gone"))
}

#[test]
fn what_is_lost_for_good_says_what_to_do() {
    // Every second chunk is lost.
    let fake = Fake::start(|request, state| {
        let second = has_range(request) && !request.header("content-range")?.starts_with("0-");
        second.then(|| {
            state.uploads.clear();
            Reply::error(404, "BLOB_UPLOAD_INVALID", "blob upload invalid")
        })
    });
    let machine = Machine::new(&[TWO]);
    let outcome = machine.push(&fake, &[]).refused(6);
    says(&outcome, &["blob upload invalid", "run the command again"]);
    assert!(fake.state().manifests.is_empty());
}

#[test]
fn a_slow_line_is_not_a_silent_one() {
    // A request takes three times as long as silence may. It is larger than what the buffers of a loopback hold, which
    // would take a chunk at once.
    let (machine, fake) =
        (Machine::new(&[30_000_000]), Fake::start(|request, _| has_range(request).then(|| Reply::new(416))));
    let begun = Instant::now();
    fake.state().rate = Some(4_000_000);
    machine.push(&fake, &["--registry-timeout", "3"]).ok();
    assert!(machine.is_at(&fake) && begun.elapsed() > Duration::from_secs(7), "{:?}", begun.elapsed());
    // One that takes everything and says nothing.
    let fake = Fake::start(|_, _| {
        std::thread::sleep(Duration::from_secs(5));
        None
    });
    let begun = Instant::now();
    let outcome = Machine::new(&[100]).push(&fake, &["--registry-timeout", "1"]).refused(6);
    says(&outcome, &["no answer in time"]);
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

#[test]
fn chunks_fit_what_a_registry_takes() {
    // ghcr.io (oras-project/rust-oci-client#37), and others that say it with another status.
    all_are_published(&[ONE, TWO], "no part over 4 MiB", |request, _| {
        let refused = has_range(request) && request.body.len() > 4 * MIB;
        refused.then(|| Reply::error(416, "SIZE_INVALID", "the request body is too large"))
    });
    all_are_published(&[TWO], "no part over 1 MiB", |request, _| {
        (has_range(request) && request.body.len() > MIB).then(|| Reply::page(413))
    });
    // Google (kitops-ml/kitops#777).
    all_are_published(&[ONE, FOUR], "no parts at all", |request, _| {
        has_range(request).then(|| Reply::error(400, "UNSUPPORTED", "chunked upload is not supported"))
    });
    all_are_published(&[TWO], "parts are not implemented", |request, _| has_range(request).then(|| Reply::new(501)));
    all_are_published(&[TWO], "parts are forbidden", |request, _| has_range(request).then(|| Reply::new(403)));
    all_are_published(&[TWO], "parts are nowhere", |request, _| has_range(request).then(|| Reply::new(404)));
    all_are_published(&[TWO], "parts break it", |request, _| has_range(request).then(|| Reply::new(500)));
    // The second chunk is refused, when the first is gone from memory.
    all_are_published(&[FOUR], "no second part", |request, _| {
        let second = has_range(request) && !request.header("content-range")?.starts_with("0-");
        second.then(|| Reply::error(413, "SIZE_INVALID", "too large"))
    });
    // JFrog (containerd/containerd#3533).
    all_are_published(&[1000, ONE, TWO], "no contents with the end", |request, _| {
        let refused = request.method == "PUT" && request.path.contains("/uploads/") && !request.body.is_empty();
        refused.then(|| Reply::error(400, "BLOB_UPLOAD_INVALID", "the upload has no contents yet"))
    });
    all_are_published(&[1000], "contents with the end break it", |request, _| {
        let refused = request.method == "PUT" && request.path.contains("/uploads/") && !request.body.is_empty();
        refused.then(|| Reply::new(500))
    });
    // ECR takes no part under 5 MiB but the last, and says nothing of it.
    all_are_published(&[TWO, FOUR], "no part under 5 MiB", |request, state| {
        let length = request.body.len();
        let small = has_range(request) && length < 5 * MIB;
        let is_last = |state: &State| {
            let before = state.uploads.get(request.path.rsplit('/').next()?)?.len();
            Some(before + length == TWO + 2048 || before + length > TWO)
        };
        (small && is_last(state) != Some(true)).then(|| Reply::error(416, "SIZE_INVALID", "too small"))
    });
}

#[test]
fn a_blob_that_is_made_on_the_way_goes_as_a_stream_too() {
    let train = Train::build(Implementation::Ours, Wire::V3, &TrainSpec::default()).unwrap();
    let (files, route) = (train.dir.path().join("files"), train.dir.path().join("route.json"));
    std::fs::write(files.join("large.bin"), noise(20_000_000)).unwrap();
    let fake = Fake::start(|request, _| has_range(request).then(|| Reply::new(416)));
    let (user, builder, base, to) = (train.key("user"), train.key("builder"), train.base.at("base"), super::at(&fake));
    let line = ["build", &to, "--base", &base, "--files", utf8(&files), "--route", utf8(&route), "--creator", "c"];
    let keys = ["--creator-key", &user, "--builder-key", &builder, "--dest-creds", super::LOGIN];
    super::run(&[&line[..], &keys].concat(), &[]).ok();
    let streamed = fake.count(|request| request.method == "PATCH" && request.header("transfer-encoding").is_some());
    assert!(streamed > 0, "its size is not known before");
    super::run(&["verify", &to], &[]).ok();
}

#[test]
fn the_least_chunk_is_the_registrys_to_say() {
    for (least, sizes) in [(10 * MIB, [TWO, FOUR]), (64 * MIB, [TWO, FOUR])] {
        for size in sizes {
            let (machine, fake) = (
                Machine::new(&[size]),
                Fake::start(move |request, state| {
                    let reply = (request.method == "POST").then(|| answer(request, state));
                    reply.map(|reply| reply.header("OCI-Chunk-Min-Length", least.to_string()))
                }),
            );
            machine.push(&fake, &[]).ok();
            assert!(machine.is_at(&fake), "{least} for {size}");
            let state = fake.state();
            let parts: Vec<usize> = state.log.iter().filter(|one| has_range(one)).map(|one| one.body.len()).collect();
            let (_, whole) = parts.split_last().unwrap_or((&0, &[]));
            assert!(whole.iter().all(|part| *part >= least), "{parts:?} where {least} is the least");
        }
    }
}

#[test]
fn what_a_registry_kept_is_asked_where_its_answer_leaves_it_open() {
    // A part is kept, and `Range` says so (ocx-sh/ocx#237).
    all_are_published(&[TWO], "1 MiB is kept of each", |request, state| {
        let mut kept = request.clone();
        kept.body.truncate(MIB);
        has_range(request).then(|| answer(&kept, state))
    });
    // ECR's `Range` stays where it was, and the status is another (aws/containers-roadmap#2831).
    all_are_published(&[TWO, FOUR], "the range stays", |request, state| {
        if !has_range(request) {
            return None;
        }
        let mut reply = answer(request, state);
        if reply.status == 202 {
            reply.status = 201;
            reply.headers.retain(|(name, _)| name != "Range");
            reply = reply.header("Range", "0-6291455");
        }
        Some(reply)
    });
    // It cannot be asked (405), after an answer that was lost.
    let broken = AtomicUsize::new(0);
    let fake = Fake::start(move |request, state| {
        if request.is("GET", "/uploads/") {
            return Some(Reply::new(405));
        }
        if has_range(request) && broken.fetch_add(1, Ordering::SeqCst) == 0 {
            answer(request, state);
            return Some(Reply::page(502));
        }
        None
    });
    let machine = Machine::new(&[TWO]);
    machine.push(&fake, &[]).ok();
    assert!(machine.is_at(&fake));
}

#[test]
fn what_cannot_be_asked_for_is_sent() {
    for status in [401, 403, 405, 400] {
        let fake = Fake::start(move |request, _| {
            request.is("HEAD", "/blobs/").then(|| Reply::new(status).header("WWW-Authenticate", "Basic"))
        });
        let machine = Machine::new(&[1000, 2000]);
        let outcome = machine.push(&fake, &[]);
        if status == 401 {
            // That is about who we are.
            outcome.refused(6);
            continue;
        }
        outcome.ok();
        assert!(machine.is_at(&fake), "{status}");
    }
    // Whatever a gateway says of a blob, it is none.
    let fake = Fake::start(|request, _| request.is("HEAD", "/blobs/").then(|| Reply::page(200)));
    let machine = Machine::new(&[1000]);
    machine.push(&fake, &[]).ok();
    assert!(machine.is_at(&fake));
}

#[test]
fn a_mount_that_fails_is_asked_for_twice_at_most() {
    for status in [500, 503, 403, 404, 405, 202] {
        let machine = Machine::new(&[1000, 2000, 3000]);
        let fake = Fake::start(move |request, state| {
            let is_mount = request.method == "POST" && request.query.contains("mount=");
            (is_mount && status != 202).then(|| Reply::new(status)).or_else(|| is_mount.then(|| answer(request, state)))
        });
        machine.fill(&fake);
        let line = ["copy", &super::at(&fake), &format!("docker://{}/other/train:latest", fake.host())];
        super::run(&[&line[..], &["--src-creds", super::LOGIN, "--dest-creds", super::LOGIN]].concat(), &[]).ok();
        let mounts = fake.count(|request| request.query.contains("mount="));
        assert!(mounts <= 2 * machine.blobs().len(), "{status}: {mounts} mounts");
        assert!(fake.state().manifests.contains_key("other/train@latest"));
    }
}

#[test]
fn a_lost_answer_to_the_last_request_is_no_second_upload() {
    let lost = AtomicUsize::new(0);
    let fake = Fake::start(move |request, state| {
        let last = request.is("PUT", "/uploads/") && lost.fetch_add(1, Ordering::SeqCst) == 0;
        last.then(|| {
            answer(request, state);
            Reply::new(502)
        })
    });
    let machine = Machine::new(&[TWO]);
    machine.push(&fake, &[]).ok();
    assert!(machine.is_at(&fake));
    // Success in other words.
    for status in [204, 202] {
        let fake = Fake::start(move |request, state| {
            let last = request.is("PUT", "/uploads/");
            last.then(|| {
                answer(request, state);
                Reply::new(status)
            })
        });
        machine.push(&fake, &[]).ok();
        assert!(machine.is_at(&fake), "{status}");
    }
}
