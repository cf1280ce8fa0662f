//! The merged view of a stack of layers, held against what `umoci unpack` makes of the same image.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};
use support::{Peer, available};

mod archive;
mod cases;
pub mod layout;
mod seen;
mod stack;

use layout::Form;
use seen::{All, on_disk, through_view};
use stack::{LAST_TIME, Stack, is_wanted, stacks};

/// How many random stacks are held against umoci, if `PROPTEST_CASES` does not say.
const CASES: u32 = 150;

/// Whether umoci is here; if not, this test is left out.
fn has_umoci(test: &str) -> bool {
    available(test, &[Peer::Umoci])
}

/// What umoci makes of the image, below `dir`.
fn unpack(layout: &Path, dir: &Path) -> Result<All, String> {
    let mut command = Command::new("umoci");
    command.arg("unpack");
    if !rustix::process::geteuid().is_root() {
        command.arg("--rootless");
    }
    command.arg("--image").arg(format!("{}:latest", layout.display())).arg(dir).stdin(Stdio::null());
    let output = command.output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(on_disk(&dir.join("rootfs")))
}

/// Both sides of one image: the library's and umoci's.
fn both(layers: &[(Vec<u8>, Form)]) -> (pht_oci::error::Result<All>, Result<All, String>) {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("image");
    layout::write(&image, layers);
    // umoci 0.4 knows no zstd: it gets the same layers, of the same diff IDs, with gzip.
    let for_umoci = dir.path().join("for-umoci");
    let known = |form| if form == Form::Zstd { Form::Gzip } else { form };
    layout::write(
        &for_umoci,
        &layers.iter().map(|(archive, form)| (archive.clone(), known(*form))).collect::<Vec<_>>(),
    );
    (through_view(&image, dir.path()), unpack(&for_umoci, &dir.path().join("bundle")))
}

/// What differs, one line for each path.
fn differences(ours: &All, theirs: &All, implied: &BTreeSet<String>) -> Vec<String> {
    let paths: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    let mut found = Vec::new();
    for path in paths {
        let (own, mut their) = (ours.get(path), theirs.get(path).cloned());
        // What a layer removes or adds in a directory that it has no entry for gives the directory the time of
        // unpacking: umoci gives it back its own time only in some cases. No entry has such a time.
        if let (Some(own), Some(their)) = (own, &mut their)
            && their.kind == "directory"
            && their.mtime.0 > LAST_TIME
        {
            their.mtime = own.mtime;
        }
        let their = their.as_ref();
        // The layers say nothing of such a directory: umoci gives it mode 0755 and the time of unpacking. The view has
        // no node for it, and the file system must have it.
        if implied.contains(path) && own.is_none() && their.is_some_and(|seen| seen.kind == "directory") {
            continue;
        }
        // Reading stops when nothing below can be seen at or below the roots; a directory above them may lie deeper.
        if path == "opt" && own.is_none() && their.is_some_and(|seen| seen.kind == "directory") {
            continue;
        }
        if own != their {
            found.push(format!("{path}:\n    view  {own:?}\n    umoci {their:?}"));
        }
    }
    found
}

#[test]
fn random_stacks_look_as_umoci_unpacks_them() {
    if !has_umoci("overlay::random_stacks_look_as_umoci_unpacks_them") {
        return;
    }
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    let config = Config { cases, max_shrink_iters: 500, failure_persistence: None, ..Config::default() };
    let compared = Cell::new(0);
    let result = TestRunner::new(config).run(&stacks(), |drafts| {
        let stack = Stack::build(&drafts);
        let (ours, theirs) = both(&stack.archives());
        let theirs = theirs.map_err(|error| TestCaseError::fail(format!("umoci: {error}\n{stack}")))?;
        let ours = ours.map_err(|error| TestCaseError::fail(format!("view: {error}\n{stack}")))?;
        let implied = stack.implied.iter().filter(|path| is_wanted(path)).cloned().collect();
        let differ = differences(&ours, &theirs, &implied);
        compared.set(compared.get() + ours.len());
        prop_assert!(differ.is_empty(), "{}\n{stack}", differ.join("\n"));
        Ok(())
    });
    match result {
        // The input as the macro would show it is thousands of lines; the reason has the stack.
        Err(TestError::Fail(reason, _)) => panic!("{reason}"),
        other => other.unwrap(),
    }
    assert!(compared.get() > cases as usize * 2, "the stacks were too empty to say anything: {compared:?} paths");
}

#[test]
fn fixed_stacks_look_as_they_must() {
    let mut wrong = Vec::new();
    for case in cases::CASES {
        let dir = tempfile::tempdir().unwrap();
        for form in [Form::Plain, Form::Gzip] {
            let image = dir.path().join(format!("{form:?}"));
            layout::write(&image, &case.archives(form));
            let found = through_view(&image, dir.path());
            let found = found.as_ref().map(cases::brief).map_err(|error| error.what());
            let right = match (&found, case.expected) {
                (Ok(found), Ok(expected)) => found == expected,
                (Err(found), Err(expected)) => found.contains(expected),
                _ => false,
            };
            if !right {
                wrong.push(format!("{} ({form:?}):\n  {found:?}\n  {:?}", case.name, case.expected));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn umoci_agrees_with_the_fixed_stacks() {
    if !has_umoci("overlay::umoci_agrees_with_the_fixed_stacks") {
        return;
    }
    let mut wrong = Vec::new();
    for case in cases::CASES.iter().filter(|case| case.umoci_differs.is_empty()) {
        match both(&case.archives(Form::Gzip)) {
            (Ok(ours), Ok(theirs)) => {
                let differ = differences(&ours, &theirs, &case.implied());
                if !differ.is_empty() {
                    wrong.push(format!("{}:\n{}", case.name, differ.join("\n")));
                }
            }
            // Not always for the same reason, but none of the two shows such an image.
            (Err(_), Err(_)) => {}
            (ours, theirs) => wrong.push(format!("{}:\n{ours:?}\n{theirs:?}", case.name)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
