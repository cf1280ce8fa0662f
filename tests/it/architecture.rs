//! The rules of the house that a compiler does not hold: imports run downwards, files stay readable.

use std::fs;
use std::path::{Path, PathBuf};

/// The modules from the top down; one may use those below it, and the floor below all.
const LAYERS: [&str; 6] = ["cli", "stage", "train", "image", "store", "crypto"];
const FLOOR: [&str; 2] = ["error", "json"];
/// Lines of a file without its tests.
const MAX_LINES: usize = 500;

fn sources() -> Vec<PathBuf> {
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut found = Vec::new();
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                found.push(path);
            }
        }
    }
    assert!(found.len() > 30, "the sources were not found");
    found
}

fn module_of(path: &Path) -> String {
    let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    below.components().next().unwrap().as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// What a file uses of the crate, comments left out.
fn uses(text: &str) -> Vec<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let after = |line: &str| line.match_indices("crate::").map(|(at, _)| line[at + 7..].to_owned()).collect::<Vec<_>>();
    code.flat_map(after).map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()).collect()
}

#[test]
fn imports_run_downwards() {
    let mut upwards = Vec::new();
    for path in sources() {
        let module = module_of(&path);
        let own = LAYERS.iter().position(|layer| *layer == module);
        for used in uses(&fs::read_to_string(&path).unwrap()) {
            let there = LAYERS.iter().position(|layer| *layer == used);
            let allowed = match (own, there) {
                (Some(own), Some(there)) => there >= own,
                // The floor uses nothing above it; the crate's root and the program may use all.
                (None, Some(_)) => !FLOOR.contains(&module.as_str()),
                (_, None) => true,
            };
            if !allowed {
                upwards.push(format!("{} uses {used}", path.display()));
            }
        }
    }
    assert!(upwards.is_empty(), "{upwards:#?}");
}

#[test]
fn finds_an_import_that_runs_upwards() {
    assert_eq!(uses("use crate::stage::x;\n// crate::cli\nlet a = crate::json::b();"), ["stage", "json"]);
}

#[test]
fn files_stay_readable() {
    let long = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        text.lines().take_while(|line| *line != "#[cfg(test)]").count() > MAX_LINES
    };
    let long: Vec<PathBuf> = sources().into_iter().filter(long).collect();
    assert!(long.is_empty(), "longer than {MAX_LINES} lines: {long:#?}");
}
