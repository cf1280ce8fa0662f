use std::collections::BTreeMap;

use super::super::entries::{ResultEntry, ResultKind};
use super::super::finding::{Finding, ReviewCheck, Severity};
use super::super::subject::Whole;
use super::inventory::shown_path;
use crate::crypto::hex;
use crate::error::Result;
use crate::json::{self, Value};

/// The name of ACRO's verdicts, and the largest file of them that is read.
const VERDICTS: &[u8] = b"results.json";
const MAX_VERDICTS: u64 = 8 << 20;
/// The directory beside them with one checksum a file.
const CHECKSUMS: &str = "checksums";

/// The verdicts of ACRO, where its `results.json` is among the results: `fail` stops, `review` is looked at, and its
/// checksums have to be those of the files.
pub(super) fn check(whole: &Whole<'_>) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    let digests: BTreeMap<&[u8], String> = whole.entries.iter().filter_map(digest_of).collect();
    for entry in whole.entries.iter().filter(|entry| is_verdicts(entry)) {
        let dir = &entry.path[..entry.path.len() - VERDICTS.len()];
        let Some(document) = read(whole, &entry.path)? else { continue };
        let Some(results) = document.get("results").and_then(Value::as_object) else { continue };
        if document.get("version").is_none() {
            continue;
        }
        for (name, result) in results {
            of_result(name, result, dir, &digests, whole, &mut found)?;
        }
    }
    Ok(found)
}

fn digest_of(entry: &ResultEntry) -> Option<(&[u8], String)> {
    match &entry.kind {
        ResultKind::File { digest, .. } => Some((&entry.path, hex::encode(digest))),
        _ => None,
    }
}

fn is_verdicts(entry: &ResultEntry) -> bool {
    let is_file = matches!(entry.kind, ResultKind::File { size, .. } if size <= MAX_VERDICTS);
    is_file && (*entry.path == *VERDICTS || entry.path.ends_with(&[b"/", VERDICTS].concat()))
}

/// A document of JSON among the results; `None` if it is none.
fn read(whole: &Whole<'_>, path: &[u8]) -> Result<Option<Value>> {
    Ok(contents(whole, path)?.and_then(|bytes| json::parse(&bytes).ok()))
}

fn contents(whole: &Whole<'_>, path: &[u8]) -> Result<Option<Vec<u8>>> {
    let node = whole.tree.get(&[whole.root, b"/", path].concat());
    node.map(|node| whole.tree.read(node, MAX_VERDICTS)).transpose()
}

fn of_result(
    name: &str,
    result: &Value,
    dir: &[u8],
    digests: &BTreeMap<&[u8], String>,
    whole: &Whole<'_>,
    found: &mut Vec<Finding>,
) -> Result<()> {
    let status = result.get("status").and_then(Value::as_str).unwrap_or_default();
    let files = result.get("files").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for file in files {
        let Some(file) = file.get("name").and_then(Value::as_str) else { continue };
        let path = [dir, file.as_bytes()].concat();
        let shown = shown_path(&path);
        let mut add = |severity, evidence: &str| {
            let (path, evidence) = (shown.clone(), evidence.to_owned());
            found.push(Finding { check: ReviewCheck::Acro, severity, path, place: None, evidence });
        };
        match status {
            "pass" => {}
            "review" => add(Severity::Look, "ACRO wants it to be reviewed"),
            "fail" => add(Severity::Stop, "fails the checks of ACRO"),
            _ => add(Severity::Stop, "has no verdict that ACRO gives"),
        }
        if name.contains("DONT_RELEASE") {
            add(Severity::Stop, "for the output checker alone, as ACRO marks it");
        }
        let Some(digest) = digests.get(&*path) else {
            add(Severity::Stop, "ACRO gives a verdict on it, but there is no such file");
            continue;
        };
        let checksum = [dir, format!("{CHECKSUMS}/{file}.txt").as_bytes()].concat();
        match contents(whole, &checksum)? {
            Some(recorded) if recorded.trim_ascii() == digest.as_bytes() => {}
            Some(_) => add(Severity::Stop, "not the file that ACRO has checked: its checksum is another one"),
            None => add(Severity::Look, "ACRO's checksum of it is not there"),
        }
    }
    Ok(())
}
