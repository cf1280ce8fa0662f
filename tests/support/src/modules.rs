//! A test file that no `mod` names is never compiled, and so never fails.

use std::fs;
use std::path::{Path, PathBuf};

use crate::project;

/// Every `.rs` file below this directory of the project is a module of the tests whose `main.rs` lies there.
#[track_caller]
pub fn check(dir: &str) {
    let forgotten = forgotten(&project().join(dir));
    assert!(forgotten.is_empty(), "no `mod` names {forgotten:?}");
}

/// The files below `top` that neither `main.rs` nor a module of its names.
pub fn forgotten(top: &Path) -> Vec<PathBuf> {
    let mut named = vec![top.join("main.rs")];
    let mut next = 0;
    while next < named.len() {
        let file = &named[next];
        let is_root = file.ends_with("main.rs") || file.ends_with("mod.rs");
        let dir =
            if is_root { file.parent().expect("a file is in a directory").to_owned() } else { file.with_extension("") };
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for name in
            text.lines().filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'))
        {
            let (file, below) = (dir.join(format!("{name}.rs")), dir.join(name).join("mod.rs"));
            named.push(if below.exists() { below } else { file });
        }
        next += 1;
    }
    let mut files = Vec::new();
    let mut open = vec![top.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).expect("a readable directory") {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") && !named.contains(&path) {
                files.push(path);
            }
        }
    }
    files
}
