//! `ls` in a repository: lists that come in pages, as the distribution specification has them and as registries write them.

use super::server::{Fake, Reply};
use super::{LOGIN, error_of, run};
use support::Outcome;

fn list(fake: &Fake, options: &[&str]) -> Outcome {
    let place = format!("docker://{}/proj/train", fake.host());
    run(&[&["ls", &place, "--src-creds", LOGIN][..], options].concat(), &[])
}

/// Pages of two tags each, `link` the header that leads to the one after a tag.
fn paged(link: impl Fn(&str) -> String + Send + Sync + 'static) -> Fake {
    const TAGS: [&str; 5] = ["1.0", "base", "latest", "post-1", "post-2"];
    Fake::start(move |request, _| {
        request.is("GET", "/tags/list").then(|| {
            let last = request.parameter("last");
            let begin = last.and_then(|last| TAGS.iter().position(|tag| *tag == last)).map_or(0, |at| at + 1);
            let page = &TAGS[begin..TAGS.len().min(begin + 2)];
            let body = serde_json::json!({ "name": "proj/train", "tags": page }).to_string();
            let reply = Reply::new(200).header("Content-Type", "application/json").body(body);
            if begin + 2 < TAGS.len() { reply.header("Link", link(page[1])) } else { reply }
        })
    })
}

#[test]
fn all_pages_are_listed_and_no_other_host_is_asked() {
    let links: [fn(&str) -> String; 4] = [
        |last| format!(r#"</v2/proj/train/tags/list?last={last}&n=2>; rel="next""#),
        |last| format!("<https://inner.example:5000/v2/proj/train/tags/list?n=2&last={last}>; rel=next"),
        |last| format!(r#"<?last={last}>; rel="next""#),
        |last| format!(r#"</v2/other/repository/tags/list?last={last}>;REL="next""#),
    ];
    for link in links {
        let fake = paged(link);
        let text = String::from_utf8(list(&fake, &[]).ok().stdout).unwrap();
        assert_eq!(text, "1.0\nbase\nlatest\npost-1\npost-2\n");
        assert_eq!(fake.count(|request| request.is("GET", "/v2/proj/train/tags/list")), 3);
        let found = list(&fake, &["--format", "json"]).ok().json();
        assert_eq!(found["source"], format!("docker://{}/proj/train", fake.host()));
        assert_eq!(found["images"][4], serde_json::json!({ "place": 4, "tag": "post-2", "digest": null }));
    }
}

#[test]
fn what_is_no_list_of_tags_is_named() {
    let json = |body: &str| Reply::new(200).header("Content-Type", "application/json").body(body);
    type Answer = fn(&dyn Fn(&str) -> Reply) -> Reply;
    let rows: [(Answer, &str); 6] = [
        (|json| json("{}"), "no list of tags"),
        (|json| json(r#"{"name":"proj/train","tags":"latest"}"#), "no list of tags"),
        (|json| json(r#"{"name":"proj/train","tags":["latest",7]}"#), "no list of tags"),
        (|json| json("[]"), "no list of tags"),
        (|_| Reply::page(200), "page"),
        (|_| Reply::error(404, "NAME_UNKNOWN", "repository name not known"), "repository name not known"),
    ];
    for (answer, words) in rows {
        let fake = Fake::start(move |request, _| request.is("GET", "/tags/list").then(|| answer(&json)));
        let outcome = list(&fake, &[]).refused(6);
        assert!(error_of(&outcome).contains(words), "{words}: {}", outcome.stderr);
        assert!(outcome.stdout.is_empty());
    }
    // A repository that had tags once.
    let fake = Fake::start(move |request, _| request.is("GET", "/tags/list").then(|| json(r#"{"tags":null}"#)));
    assert!(list(&fake, &[]).ok().stdout.is_empty());
}

#[test]
fn a_list_without_end_is_no_list() {
    let pages = std::sync::atomic::AtomicUsize::new(0);
    let fake = Fake::start(move |request, _| {
        request.is("GET", "/tags/list").then(|| {
            let page = pages.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            // Long ones, so that it need not be waited for long.
            let tags: Vec<String> = (0..50_000).map(|tag| format!("t{page}-{tag}")).collect();
            let reply = Reply::new(200).header("Content-Type", "application/json");
            let reply = reply.header("Link", format!(r#"<?page={page}>; rel="next""#));
            reply.body(serde_json::json!({ "tags": tags }).to_string())
        })
    });
    let outcome = list(&fake, &[]).refused(6);
    assert!(error_of(&outcome).contains("has no end"), "{}", outcome.stderr);
    // One that leads to itself.
    let fake = Fake::start(|request, _| {
        request.is("GET", "/tags/list").then(|| {
            let reply = Reply::new(200).header("Content-Type", "application/json");
            reply.header("Link", r#"<?last=a>; rel="next""#).body(r#"{"tags":["a"]}"#)
        })
    });
    assert!(error_of(&list(&fake, &[]).refused(6)).contains("has no end"));
    assert_eq!(fake.count(|request| request.is("GET", "/tags/list")), 2);
}
