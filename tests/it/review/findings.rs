//! What single checks find, in files made for them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use pht_oci::review::{ReleasePolicy, Review, Severity};
use tempfile::TempDir;

use super::{review_against, review_of};

fn policy(change: impl FnOnce(&mut ReleasePolicy)) -> ReleasePolicy {
    let mut policy = ReleasePolicy::default();
    change(&mut policy);
    policy
}

fn of(files: &[(&str, &[u8])]) -> (TempDir, Review) {
    let dir = tempfile::tempdir().unwrap();
    for (name, data) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, data).unwrap();
    }
    let review = review_of(dir.path(), &ReleasePolicy::default());
    (dir, review)
}

/// The verdict of one file, and the checks that say so.
fn verdict(name: &str, data: &[u8]) -> (&'static str, Vec<&'static str>) {
    let (_dir, review) = of(&[(name, data)]);
    let verdict = review.verdict();
    let mut checks: Vec<&str> = review
        .findings
        .iter()
        .filter(|finding| finding.severity == verdict)
        .map(|finding| finding.check.name())
        .collect();
    checks.sort_unstable();
    checks.dedup();
    (verdict.name(), checks)
}

#[test]
fn statistics_pass() {
    for (name, data) in [
        ("a.json", r#"{"mean_age": 54.2, "std": 12.1, "n": 812}"#),
        ("a.csv", "group,n,mean,std\na,120,54.2,12.1\nb,98,51.3,11.4\n"),
        ("a.txt", "accuracy: 0.91\nauc: 0.874\nn: 400\n"),
        ("a.csv", "term,estimate,std_error,p_value\nage,0.021,0.004,0.0001\n"),
        ("a.json", "0.912"),
        ("empty.txt", ""),
    ] {
        assert_eq!(verdict(name, data.as_bytes()), ("pass", vec![]), "{data}");
    }
}

#[test]
fn each_check_finds_what_it_is_for() {
    let lines = |row: &str, count: usize| row.repeat(count).into_bytes();
    let column = |head: &str, cell: fn(usize) -> String| {
        [head.to_owned(), "\n".into()].concat() + &(0..20).map(|row| cell(row) + "\n").collect::<String>()
    };
    for (name, data, severity, check) in [
        ("a.csv", b"PatientID,x\n1,2\n".to_vec(), "stop", "identifier"),
        ("a.csv", b"x;GEBURTSDATUM\n1;2\n".to_vec(), "stop", "identifier"),
        ("a.json", br#"{"rows": [{"mrn": 1}]}"#.to_vec(), "stop", "identifier"),
        ("a.txt", b"contact a.b@clinic.example for more\n".to_vec(), "stop", "identifier"),
        ("a.csv", column("code,mean", |row| format!("QX-{row:06},1.5")).into_bytes(), "stop", "identifier"),
        ("a.txt", column("", |row| format!("KH{row:07}")).into_bytes(), "stop", "identifier"),
        ("a.csv", column("n,visit", |row| format!("20,2024-03-{:02}", row + 1)).into_bytes(), "look", "identifier"),
        ("a.csv", b"group,count\na,3\nb,30\n".to_vec(), "look", "small-count"),
        ("a.csv", b",yes,no\nf,30,40\nm,2,50\n".to_vec(), "look", "small-count"),
        ("a.json", br#"{"sex": {"f": 120, "m": 3}}"#.to_vec(), "look", "small-count"),
        ("a.csv", b"statistic,age\nmean,44.1\nmin,18.2\n".to_vec(), "look", "extreme"),
        ("a.csv", column("age,height", |row| format!("{},1.{row}", 30 + row)).into_bytes(), "look", "rows"),
        (
            "a.json",
            format!("{{\"x\": {:?}}}", (0..50).map(|x| x as f64 + 0.5).collect::<Vec<_>>()).into_bytes(),
            "look",
            "rows",
        ),
        ("a.log", lines("INFO step age=34.5 bmi=22.5\n", 30), "look", "rows"),
        ("a.csv", [b"mean,std\n".to_vec(), lines("1.5,2.5\n", 5001)].concat(), "stop", "rows"),
        ("a.csv", b"\x80\x04K\x05.".to_vec(), "stop", "type"),
        ("a.png", b"mean,n\n1.5,20\n".to_vec(), "stop", "type"),
        ("a.json", b"not JSON at all".to_vec(), "stop", "type"),
        ("a.sqlite", b"SQLite format 3\0".to_vec(), "stop", "type"),
        ("a.html", b"<html><body>mean 3.5</body></html>".to_vec(), "look", "type"),
        ("a.bin", vec![0xfe, 0xdc, 1, 2, 3], "stop", "opaque"),
        ("a.txt", "mean 3.5\u{200b}".into(), "stop", "opaque"),
        ("a.txt", b"-----BEGIN PRIVATE KEY-----\n".to_vec(), "stop", "opaque"),
        ("a.json", format!("{{\"w\": \"{}\"}}", "0f".repeat(200)).into_bytes(), "stop", "opaque"),
        ("a.he.json", format!("{{\"sum\": \"{}\"}}", "7".repeat(600)).into_bytes(), "look", "opaque"),
        ("a.pkl", b"\x80\x04]K\x05a.".to_vec(), "look", "model"),
        ("a.pkl", b"cposix\nsystem\n(S'id'\ntR.".to_vec(), "stop", "pickle"),
        ("a.pkl", b"\x80\x04\x8c\x05numpy\x8c\x04load\x93.".to_vec(), "stop", "pickle"),
        ("a.dcm", [vec![0; 128], b"DICM\x02\0".to_vec()].concat(), "stop", "medical"),
        ("a.json", br#"{"resourceType": "Patient", "id": "a"}"#.to_vec(), "stop", "medical"),
        ("a.7z", b"7z\xbc\xaf\x27\x1c\0\0".to_vec(), "stop", "nested"),
        ("a.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\x03broken".to_vec(), "stop", "nested"),
    ] {
        let (found, checks) = verdict(name, &data);
        let shown = String::from_utf8_lossy(&data[..data.len().min(60)]).into_owned();
        assert_eq!(found, severity, "{name}: {shown:?}: {checks:?}");
        assert!(checks.contains(&check), "{name}: {shown:?}: {checks:?}, not {check}");
    }
}

/// ACRO and UK LLC count zeros among the small ones, others do not: the station says.
#[test]
fn a_count_of_zero_is_small_unless_the_station_allows_it() {
    for data in ["group,count\na,0\nb,30\n", ",yes,no\nf,30,40\nm,0,50\n", "0 patients were excluded\n", "n = 0\n"] {
        let (dir, review) = of(&[("a.csv", data.as_bytes())]);
        let is_small = |review: &Review| review.findings.iter().any(|finding| finding.check.name() == "small-count");
        assert!(is_small(&review), "{data}");
        let allowed = policy(|policy| policy.allow_zeros = true);
        let review = review_of(dir.path(), &allowed);
        assert!(!is_small(&review), "{data}: {:?}", review.findings);
    }
    // Statistics are not counts.
    assert_eq!(verdict("a.csv", b"term,p_value,mean\nage,0,1.25\n"), ("pass", vec![]));
}

#[test]
fn links_names_and_modes_are_seen() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    symlink("/etc/passwd", path("out")).unwrap();
    fs::write(path("a.txt"), "mean 3.5\n").unwrap();
    symlink("a.txt", path("in")).unwrap();
    fs::hard_link(path("a.txt"), path("again")).unwrap();
    fs::write(path(".hidden"), "mean 3.5\n").unwrap();
    fs::write(path("od\u{202e}d"), "mean 3.5\n").unwrap();
    fs::write(path("setuid"), "mean 3.5\n").unwrap();
    fs::set_permissions(path("setuid"), fs::Permissions::from_mode(0o4755)).unwrap();
    fs::write(path("anna.b@clinic.example"), "mean 3.5\n").unwrap();
    let review = review_of(dir.path(), &ReleasePolicy::default());
    let severity = |name: &str| {
        let file = review.files.iter().find(|file| file.path.starts_with(name)).unwrap_or_else(|| panic!("no {name}"));
        file.verdict
    };
    for (name, expected) in [
        ("out", Severity::Stop),
        ("in", Severity::Look),
        ("again", Severity::Look),
        ("a.txt", Severity::Pass),
        (".hidden", Severity::Look),
        ("od", Severity::Stop),
        // The bit does not travel.
        ("setuid", Severity::Pass),
    ] {
        // Of two names of one file the first in walk order is the file.
        assert_eq!(severity(name), expected, "{name}: {:#?}", review.findings);
    }
    assert!(review.findings.iter().any(|finding| finding.check.name() == "inventory" && finding.path == "again"));
}

#[test]
fn the_rules_of_the_station_count() {
    let table = b"group,count\na,7\nb,30\n";
    let (dir, _) = of(&[("a.csv", table), ("b.txt", &[b'x'; 3000])]);
    let verdicts = |policy: &ReleasePolicy| {
        let review = review_of(dir.path(), policy);
        let of = |path: &str| review.files.iter().find(|file| file.path == path).unwrap().verdict;
        (of("a.csv"), of("b.txt"), review.verdict())
    };
    use Severity::{Look, Pass, Stop};
    assert_eq!(verdicts(&policy(|_| {})).0, Look);
    assert_eq!(verdicts(&policy(|policy| policy.min_count = 5)).0, Pass);
    assert_eq!(verdicts(&policy(|policy| policy.max_rows = 1)).0, Stop);
    assert_eq!(verdicts(&policy(|policy| policy.max_file = 100)).1, Stop);
    assert_eq!(verdicts(&policy(|policy| policy.max_total = 3000)).2, Stop);
    assert_eq!(verdicts(&policy(|policy| policy.types = vec!["json".to_owned()])).0, Stop);
}

#[test]
fn what_stands_in_the_data_is_found() {
    let data = tempfile::tempdir().unwrap();
    let rows: Vec<String> = (0..100).map(|row| format!("{row},female,{}.{:04}", 40 + row, 1234 + row * 57)).collect();
    fs::write(data.path().join("patients.csv"), rows.join("\n")).unwrap();
    let (dir, review) = of(&[
        ("copied.txt", rows[17].as_bytes()),
        ("label.txt", b"female\n"),
        ("value.json", format!("{{\"mean\": {}}}", rows[5].rsplit(',').next().unwrap()).as_bytes()),
        ("other.json", b"{\"mean\": 12.987654}"),
    ]);
    assert!(!review.findings.iter().any(|finding| finding.check.name() == "overlap"));
    let against = [data.path()];
    let review = review_against(dir.path(), &against, &ReleasePolicy::default());
    let mut found: Vec<&str> = review
        .findings
        .iter()
        .filter(|finding| finding.check.name() == "overlap")
        .map(|finding| finding.path.as_str())
        .collect();
    found.dedup();
    assert_eq!(found, ["copied.txt", "value.json"]);
}

/// Results that cost more to look at than they should: bounded, and never a pass.
#[test]
fn hostile_results_cost_bounded_work() {
    use std::io::Write;
    let gzip = |data: &[u8]| {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        out.write_all(data).unwrap();
        out.finish().unwrap()
    };
    let bomb = gzip(&vec![b'0'; 64 << 20]);
    let matryoshka = (0..8).fold(b"mean,n\n1.5,20\n".to_vec(), |inner, _| gzip(&inner));
    let deep = [b"[".repeat(100_000), b"]".repeat(100_000)].concat();
    let wide = format!("{{{}}}", (0..200_000).map(|key| format!("\"k{key}x\": 0.5")).collect::<Vec<_>>().join(","));
    let begin = std::time::Instant::now();
    for (name, data) in [
        ("bomb.gz", bomb),
        ("deep.gz", matryoshka),
        ("deep.json", deep),
        ("marks.pkl", [b"\x80\x04".to_vec(), b"(".repeat(4 << 20), b".".to_vec()].concat()),
        (
            "memo.pkl",
            [b"\x80\x04N".to_vec(), b"\x94".repeat(4 << 20), b"r\xff\xff\xff\xff.".to_vec(), b"x".to_vec()].concat(),
        ),
        ("length.pkl", b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7fabc".to_vec()),
        ("cut.zip", b"PK\x03\x04".to_vec()),
    ] {
        assert_eq!(verdict(name, &data).0, "stop", "{name}");
    }
    assert_ne!(verdict("wide.json", wide.as_bytes()).0, "pass");
    assert!(begin.elapsed().as_secs() < 300, "{:?}", begin.elapsed());
}
