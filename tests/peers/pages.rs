//! The pages about a review and about a journey, in headless Chromium: what a person sees, at two widths, in light and dark,
//! and on paper.

use std::fs;

use serde_json::Value;
use support::stage::StageFixture;
use support::tree::copy;
use support::{Edit, Layout, Peer, Wire, available, pht_oci, project, run, utf8};

/// A page, and the report as a document.
struct Page {
    name: &'static str,
    dir: tempfile::TempDir,
    report: Value,
    /// What has to be seen beside what the report has.
    words: &'static [&'static str],
    images: u64,
}

/// The review of a train that has all kinds of results.
fn review() -> Page {
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
    let dir = tempfile::tempdir().expect("a directory");
    let page = dir.path().join("page.html");
    let line = ["review", &stage.layout.at("latest"), "--html", utf8(&page), "--format", "json"];
    let report = pht_oci(&line, &[]).refused(7).json();
    let words: &[&str] = &[
        "Stop:",
        "That nothing is found does not say that the results are safe",
        "P-100001",
        "unchanged",
        "Least count",
        "pht-oci approve",
        "cannot find",
    ];
    Page { name: "review", dir, report, words, images: 1 }
}

/// The journey of a train over three stations, of which the last has a journal; an older state of it was handed in.
fn journey() -> Page {
    let dir = tempfile::tempdir().expect("a directory");
    copy(&project().join("testdata/wire-3"), dir.path());
    let layout = Layout::new(dir.path().join("layout"));
    let path = |name: &str| utf8(&dir.path().join(name)).to_owned();
    let (key, journal) = (path("keys/station_3.pem"), path("a-journal-with-a-long-name-".repeat(5).as_str()));
    let kept = ["--private-key", &key, "--journal", &journal];
    let pre_run = ["pre-run", &layout.at("2"), &layout.at("opened")];
    pht_oci(&[&pre_run[..], &kept].concat(), &[]).ok();
    for name in ["<b>bold</b> & \u{202e}.txt".to_owned(), "a-very-long-name-without-an-end-".repeat(7)] {
        layout.append("opened", "opened", &[Edit::Put(&format!("opt/pht_results/{name}"), b"result\n".to_vec())]);
    }
    let post_run = ["post-run", &layout.at("opened"), &layout.at("3-new")];
    pht_oci(&[&post_run[..], &kept].concat(), &[]).ok();
    let page = path("page.html");
    let line = ["report", &layout.at("2"), "--journal", &journal, "--html", &page, "--format", "json"];
    let report = pht_oci(&line, &[]).refused(3).json();
    let words: &[&str] = &[
        "contradiction",
        "older state",
        "is next",
        "opened the train",
        "closed the train",
        "Signed by the creator",
        "The creator signed this train",
        "No journal tells of this stop",
        "What this page cannot say",
        "Universität 🚂",
        "<b>bold</b>",
    ];
    Page { name: "journey", dir, report, words, images: 0 }
}

impl Page {
    /// What Chromium shows of it.
    fn browse(&self) -> Value {
        let script = project().join("tests/python/browse.py");
        let page = self.dir.path().join("page.html");
        let seen = run("python3", &["-I", utf8(&script), utf8(&page), utf8(self.dir.path())])
            .unwrap_or_else(|message| panic!("{message}"));
        serde_json::from_slice(&seen).expect("JSON")
    }

    /// All that a person has to see: the train, its creator's key, every finding with its place, every file and act.
    fn facts(&self) -> Vec<&str> {
        let report = &self.report;
        let train = if self.name == "review" { &report["train"] } else { report };
        let mut facts: Vec<Option<&str>> =
            ["id", "creator", "creator_key"].map(|member| train[member].as_str()).to_vec();
        assert!(facts.iter().all(Option::is_some), "{train}");
        facts.extend(["results", "digest"].map(|member| report[member].as_str()));
        facts.push(train["config"].as_str());
        let list = |of: &'static str, members: &'static [&'static str]| {
            let all = report[of].as_array().into_iter().flatten();
            all.flat_map(move |one| members.iter().map(move |member| one[*member].as_str()))
        };
        facts.extend(list("findings", &["check", "severity", "path", "place", "evidence", "id", "what"]));
        facts.extend(list("files", &["path"]));
        facts.extend(list("checks", &["means", "id", "reason"]));
        facts.extend(list("stops", &["station", "key", "signed_at"]));
        facts.extend(list("journals", &["journal", "last"]));
        for stop in report["stops"].as_array().into_iter().flatten() {
            let acts = stop["acts"].as_array().into_iter().flatten();
            facts
                .extend(acts.flat_map(|act| ["time", "before", "after", "version"].map(|member| act[member].as_str())));
            let files = stop["results"]["files"].as_array().into_iter().flatten();
            facts.extend(files.flat_map(|file| ["path", "sha256"].map(|member| file[member].as_str())));
        }
        facts.into_iter().flatten().collect()
    }

    #[track_caller]
    fn check(&self) {
        let seen = self.browse();
        let page = self.name;
        assert_eq!(seen["messages"], serde_json::json!([]), "{page}: the console");
        assert_eq!(seen["requests"], serde_json::json!([]), "{page}: the network");
        let views = seen["views"].as_object().expect("views");
        assert_eq!(views.len(), 4);
        for (name, view) in views {
            let name = format!("{page}, {name}");
            for what in ["faint", "wide"] {
                assert_eq!(view[what], serde_json::json!([]), "{name}: {what}");
            }
            let none = ["unnamed", "broken", "scripts", "dead"].map(|what| (what, 0));
            for (what, count) in none.into_iter().chain([("images", self.images)]) {
                assert_eq!(view[what], count, "{name}: {what}");
            }
            assert_eq!((&view["scroll"], &view["language"]), (&false.into(), &"en".into()), "{name}");
            assert_eq!(view["landmarks"].as_array().map(Vec::len), Some(3), "{name}");
            let text = view["text"].as_str().expect("text");
            for what in self.facts().into_iter().chain(self.words.iter().copied()) {
                assert!(text.contains(what), "{name}: no `{what}` in {text}");
            }
            assert!(!view["title"].as_str().expect("a title").contains("run"), "{name}: a script has run");
            let headings = view["headings"].as_array().expect("headings").iter().filter_map(Value::as_str);
            assert_eq!(headings.filter(|heading| heading.starts_with("H1")).count(), 1, "{name}");
        }
        for (file, least) in [("1280-light.png", 20_000), ("400-dark.png", 20_000), ("page.pdf", 10_000)] {
            let size = fs::metadata(self.dir.path().join(file)).expect("a file").len();
            assert!(size > least, "{page}: {file}: {size} bytes");
        }
        if let Some(dir) = std::env::var_os("PHT_PAGES") {
            let to = std::path::Path::new(&dir).join(page);
            run("cp", &["-r", utf8(self.dir.path()), utf8(&to)]).unwrap_or_else(|message| panic!("{message}"));
        }
    }
}

#[test]
fn a_person_sees_all_of_a_review_everywhere() {
    if available("pages::a_person_sees_all_of_a_review_everywhere", &[Peer::Chromium]) {
        review().check();
    }
}

#[test]
fn a_person_sees_all_of_a_journey_everywhere() {
    if available("pages::a_person_sees_all_of_a_journey_everywhere", &[Peer::Chromium]) {
        journey().check();
    }
}
