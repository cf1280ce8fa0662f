//! The tables of results that real programs have written, each with its verdict: those with which the checks were made
//! (`scripts/make-review-samples.py`), those that were written afterwards (`scripts/make-review-holdout.py`), what PyTorch
//! itself writes (`scripts/make-review-torch.py`), and those with which somebody tried to get past the checks
//! (`scripts/make-review-variants.py`).

use std::fs;
use std::path::{Path, PathBuf};

use pht_oci::review::{ReleasePolicy, Review, Severity};
use serde_json::{Value, json};

use super::review_of;

/// The directories, and the least number of safe and unsafe samples in each.
const SETS: [(&str, usize, usize); 4] =
    [("review", 50, 60), ("review-holdout", 20, 40), ("review-torch", 10, 11), ("review-variants", 30, 150)];

fn dir(set: &str) -> PathBuf {
    support::project().join("testdata").join(set)
}

fn table(set: &str) -> Vec<Value> {
    let text = fs::read(dir(set).join("table.json")).expect("the table of samples");
    serde_json::from_slice(&text).expect("JSON")
}

/// The review of the directory that a sample is in.
fn reviewed(set: &str, sample: &str) -> Review {
    let dir = dir(set).join(Path::new(sample).iter().next().expect("a number"));
    review_of(&dir, &ReleasePolicy::default())
}

/// The checks that have found something, each with its worst severity.
fn found(review: &Review) -> Vec<String> {
    let mut found: Vec<String> =
        review.findings.iter().map(|finding| format!("{} {}", finding.severity.name(), finding.check.name())).collect();
    found.sort();
    found.dedup();
    found
}

#[test]
fn no_unsafe_sample_passes_and_few_safe_ones_stop() {
    for (set, safe, unsafe_ones) in SETS {
        let table = table(set);
        let count = |kind: &str| table.iter().filter(|sample| sample["kind"] == kind).count();
        assert!(count("safe") >= safe && count("unsafe") >= unsafe_ones, "{set}: {}", table.len());
        let (mut passed, mut stopped) = (Vec::new(), Vec::new());
        for sample in &table {
            let name = sample["sample"].as_str().expect("a name");
            match (sample["kind"].as_str(), reviewed(set, name).verdict()) {
                (Some("unsafe"), Severity::Pass) => passed.push(name),
                (Some("safe"), Severity::Stop) => stopped.push(name),
                (Some("safe" | "unsafe"), _) => {}
                other => panic!("{name}: {other:?}"),
            }
        }
        assert!(passed.is_empty(), "{set}: unsafe, but passed: {passed:#?}");
        assert!(stopped.len() * 10 <= count("safe"), "{set}: safe, but stopped: {stopped:#?}");
    }
}

/// What each check finds is part of what the program promises: a change has to be looked at.
#[test]
fn every_sample_has_its_verdict() {
    for (set, _, _) in SETS {
        let mut table = table(set);
        for sample in &mut table {
            let review = reviewed(set, sample["sample"].as_str().expect("a name"));
            let now = (json!(review.verdict().name()), json!(found(&review)));
            if std::env::var_os("BLESS").is_some() {
                (sample["verdict"], sample["findings"]) = now;
            } else {
                assert_eq!((sample["verdict"].clone(), sample["findings"].clone()), now, "{set}: {sample}");
            }
        }
        if std::env::var_os("BLESS").is_some() {
            let rows: Vec<String> = table.iter().map(Value::to_string).collect();
            fs::write(dir(set).join("table.json"), format!("[\n{}\n]\n", rows.join(",\n"))).expect("the table");
        }
    }
}

#[test]
fn the_samples_stay_small() {
    let mut bytes = 0;
    let mut open: Vec<PathBuf> = SETS.iter().map(|(set, _, _)| dir(set)).collect();
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).expect("a directory") {
            let entry = entry.expect("an entry");
            match entry.metadata().expect("metadata") {
                found if found.is_dir() => open.push(entry.path()),
                found => bytes += found.len(),
            }
        }
    }
    assert!(bytes < 2 << 20, "{bytes} bytes");
}

/// Neither places nor evidence may hold a datum: they go into logs.
#[test]
fn no_finding_tells_a_datum() {
    let invented =
        ["PAT-1", "Meier", "Vogel", "Clara", "klinik.example", "A123456780", "1974-12-25", "77123", "83-year"];
    for (set, _, _) in SETS {
        for sample in table(set) {
            for finding in reviewed(set, sample["sample"].as_str().expect("a name")).findings {
                let told = format!("{} {}", finding.place.unwrap_or_default(), finding.evidence);
                let datum = invented.iter().find(|datum| told.contains(**datum));
                assert_eq!(datum, None, "{set}: {}: {told}", sample["sample"]);
            }
        }
    }
}
