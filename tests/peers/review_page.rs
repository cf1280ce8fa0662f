//! The page about a review, in headless Chromium: what a person sees, at two widths, in light and dark, and on paper.

use std::fs;

use serde_json::Value;
use support::stage::StageFixture;
use support::{Edit, Peer, Wire, available, pht_oci, project, run, utf8};

/// What Chromium shows of the review of a train that has all kinds of results.
fn browsed() -> Option<(Value, Value, tempfile::TempDir)> {
    if !available("review_page", &[Peer::Chromium]) {
        return None;
    }
    let stage = StageFixture::new(Wire::V2_0);
    stage.stage("pre-run", &["latest"], &[]).ok();
    let picture = fs::read(project().join("testdata/review/127/bars.png")).expect("a sample");
    let wide: String = (0..60)
        .map(|row| (0..40).map(|column| format!("c{}", row * column)).collect::<Vec<_>>().join(",") + "\n")
        .collect();
    let long = format!("{}.txt", "a-very-long-name-without-an-end-".repeat(7));
    for (name, data) in [
        ("patients.csv", b"patient_id,n\nP-100001,3\nP-100002,30\n".to_vec()),
        ("bars.png", picture),
        ("wide.csv", wide.into_bytes()),
        (&long, "x".repeat(5000).into_bytes()),
        ("<b>bold</b> & \u{202e}.txt", b"</pre><script>document.title = 'run'</script>\n".to_vec()),
        ("model.pkl", b"\x80\x04}\x8c\x04meanK\x05s.".to_vec()),
    ] {
        stage.layout.append("latest", "latest", &[Edit::Put(&format!("opt/pht_results/{name}"), data)]);
    }
    let out = tempfile::tempdir().expect("a directory");
    let page = out.path().join("review.html");
    let line = ["review", &stage.layout.at("latest"), "--html", utf8(&page), "--format", "json"];
    let report = pht_oci(&line, &[]).refused(7).json();
    let script = project().join("tests/python/browse.py");
    let seen = run("python3", &["-I", utf8(&script), utf8(&page), utf8(out.path())])
        .unwrap_or_else(|message| panic!("{message}"));
    Some((report, serde_json::from_slice(&seen).expect("JSON"), out))
}

#[test]
fn a_person_sees_all_of_it_everywhere() {
    let Some((report, seen, out)) = browsed() else { return };
    assert_eq!(seen["messages"], serde_json::json!([]), "the console");
    assert_eq!(seen["requests"], serde_json::json!([]), "the network");
    let views = seen["views"].as_object().expect("views");
    assert_eq!(views.len(), 4);
    for (name, view) in views {
        let none = |what: &str| assert_eq!(view[what], serde_json::json!([]), "{name}: {what}");
        none("faint");
        none("wide");
        for (what, count) in [("unnamed", 0), ("broken", 0), ("scripts", 0), ("dead", 0), ("images", 1)] {
            assert_eq!(view[what], count, "{name}: {what}");
        }
        assert_eq!((&view["scroll"], &view["language"]), (&false.into(), &"en".into()), "{name}");
        assert_eq!(view["landmarks"].as_array().map(Vec::len), Some(3), "{name}");
        let text = view["text"].as_str().expect("text");
        let has = |what: &str| assert!(text.contains(what), "{name}: no `{what}` in {text}");
        for member in ["id", "creator", "creator_key", "config"] {
            has(report["train"][member].as_str().expect("text"));
        }
        has(report["results"].as_str().expect("a digest"));
        for finding in report["findings"].as_array().expect("findings") {
            for member in ["check", "severity", "path", "place", "evidence"] {
                finding[member].as_str().into_iter().for_each(has);
            }
        }
        for file in report["files"].as_array().expect("files") {
            has(file["path"].as_str().expect("a path"));
        }
        for what in [
            "Stop:",
            "Nothing found is never safe",
            "P-100001",
            "unchanged",
            "Least count",
            "pht-oci approve",
            "cannot find",
        ] {
            has(what);
        }
        assert!(!view["title"].as_str().expect("a title").contains("run"), "{name}: a script has run");
        let headings: Vec<&str> =
            view["headings"].as_array().expect("headings").iter().filter_map(Value::as_str).collect();
        assert_eq!(headings.iter().filter(|heading| heading.starts_with("H1")).count(), 1, "{headings:?}");
    }
    for (file, least) in [("1280-light.png", 20_000), ("400-dark.png", 20_000), ("page.pdf", 10_000)] {
        let size = fs::metadata(out.path().join(file)).expect("a file").len();
        assert!(size > least, "{file}: {size} bytes");
    }
    if let Some(dir) = std::env::var_os("PHT_PAGES") {
        run("cp", &["-r", utf8(out.path()), &dir.to_string_lossy()]).unwrap_or_else(|message| panic!("{message}"));
    }
}
