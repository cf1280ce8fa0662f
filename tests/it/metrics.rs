//! `--metrics`: figures for node_exporter, read by a parser of Prometheus's text format that lets nothing pass.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use support::vectors::Vectors;
use support::{Wire, pht_oci, utf8};

/// A sample by its name and labels, as they stand there.
type Samples = BTreeMap<String, f64>;

/// The text format: each family has HELP, then TYPE, then its samples; no sample comes twice; the last line ends.
fn parse(text: &str) -> Samples {
    assert!(text.ends_with('\n'), "{text:?}");
    let (mut samples, mut families, mut helped, mut typed) = (Samples::new(), BTreeSet::new(), "", "");
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a name and a text");
            assert!(is_name(name) && !help.is_empty() && families.insert(name), "{line}");
            helped = name;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert_eq!(rest.split_once(' '), Some((helped, "gauge")), "{line}");
            typed = helped;
        } else {
            let (sample, value) = line.rsplit_once(' ').expect("a sample and a value");
            let (name, labels) = sample.strip_suffix('}').and_then(|s| s.split_once('{')).expect("labels");
            assert!(name == typed && name == helped, "{line}");
            for label in labels.split(',') {
                let (name, value) = label.split_once('=').expect("a label");
                let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).expect("quoted");
                assert!(is_name(name) && !value.contains(['"', '\\', '\n']), "{line}");
            }
            let value: f64 = value.parse().expect("a number");
            assert!(samples.insert(sample.to_owned(), value).is_none(), "{line}");
        }
    }
    samples
}

fn read(path: &Path) -> Samples {
    parse(&fs::read_to_string(path).expect("the metrics"))
}

fn of(samples: &Samples, command: &str, name: &str) -> Option<f64> {
    samples.get(&format!("pht_oci_{name}{{command=\"{command}\"}}")).copied()
}

fn checks(samples: &Samples, command: &str, verdict: &str) -> Option<f64> {
    samples.get(&format!("pht_oci_checks{{command=\"{command}\",verdict=\"{verdict}\"}}")).copied()
}

#[test]
fn stages_leave_their_figures() {
    let vectors = Vectors::ours(Wire::V2_0);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("pht.prom");
    fs::write(&file, "of the day before\n").expect("a file");
    let before = fs::metadata(&file).expect("a file").ino();
    let (key, open) = (vectors.key("station_2"), vectors.layout.at("open"));
    let metrics = ["--metrics", utf8(&file)];
    let line = ["pre-run", &vectors.layout.at("1-post"), &open, "--private-key", &key];
    pht_oci(&[&line[..], &metrics].concat(), &[("SOURCE_DATE_EPOCH", "7")]).ok();
    let found = read(&file);
    assert_eq!(of(&found, "pre-run", "exit_status"), Some(0.0), "{found:?}");
    assert!(of(&found, "pre-run", "start_time_seconds").expect("a time") > 1.7e9, "{found:?}");
    assert!((0.0..300.0).contains(&of(&found, "pre-run", "duration_seconds").expect("a duration")), "{found:?}");
    assert!(of(&found, "pre-run", "read_bytes").expect("bytes") > 0.0, "{found:?}");
    assert!(of(&found, "pre-run", "written_bytes").expect("bytes") > 0.0, "{found:?}");
    assert!(checks(&found, "pre-run", "sound").expect("checks") > 5.0, "{found:?}");
    assert!(checks(&found, "pre-run", "weak").expect("checks") >= 1.0, "{found:?}");
    assert_eq!(checks(&found, "pre-run", "broken"), Some(0.0));
    // Another file, which the collector's user may read.
    let after = fs::metadata(&file).expect("a file");
    assert!(after.ino() != before);
    assert_eq!(after.permissions().mode() & 0o777, 0o644);
    assert_eq!(fs::read_dir(dir.path()).expect("the directory").count(), 1, "nothing else is left there");

    let line = ["post-run", &open, &vectors.layout.at("closed"), "--private-key", &vectors.key("user")];
    pht_oci(&[&line[..], &metrics].concat(), &[]).refused(4);
    let found = read(&file);
    assert_eq!(of(&found, "post-run", "exit_status"), Some(4.0), "{found:?}");
    assert_eq!((of(&found, "post-run", "read_bytes"), of(&found, "pre-run", "exit_status")), (None, None));

    pht_oci(&[&["verify", &vectors.layout.at("1-post")], &metrics[..]].concat(), &[]).ok();
    assert_eq!(of(&read(&file), "verify", "exit_status"), Some(0.0));
}

#[test]
fn a_place_that_takes_no_metrics_undoes_nothing() {
    let vectors = Vectors::ours(Wire::V2_0);
    let told = pht_oci(&["inspect", &vectors.layout.at("1-post"), "--metrics", "/no/such/pht.prom"], &[]).ok();
    assert!(told.stderr.contains("/no/such/pht.prom: cannot write the metrics"), "{}", told.stderr);
}

#[test]
fn the_manual_lists_every_metric() {
    let page = pht_oci::manual::page("pipelines").expect("a page").text;
    let source = include_str!("../../src/cli/metrics.rs");
    let mut seen = 0;
    for name in source.split('"').filter(|word| {
        word.ends_with("_seconds") || word.ends_with("_bytes") || matches!(*word, "exit_status" | "checks")
    }) {
        assert!(page.contains(&format!("`pht_oci_{name}`")), "{name} is not in the manual");
        seen += 1;
    }
    assert_eq!(seen, 8);
}
