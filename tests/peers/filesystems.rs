//! File systems that cannot do what others can, and disks that fail: each call by which a stage, `copy` or `results`
//! changes names and modes, locks or syncs is refused at each place in turn (by strace). The command is done then, or it is
//! an error with nothing changed and nothing left behind. `scripts/crash.sh` tries every error at every place.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use support::tree::{Tree, copy, differences, snapshot};
use support::vectors::Vectors;
use support::{Layout, Peer, Wire, available, program, utf8};

use crate::crashes::number;

/// Calls by what they are for, in all their forms.
const CALLS: [(&str, &str); 6] = [
    ("flock", "flock"),
    ("fsync", "fsync,fdatasync"),
    ("rename", "rename,renameat,renameat2"),
    ("link", "link,linkat"),
    ("chmod", "chmod,fchmod,fchmodat,?fchmodat2"),
    ("fallocate", "fallocate"),
];
const ERRORS: [&str; 7] = ["EINVAL", "ENOSYS", "ENOLCK", "EOPNOTSUPP", "EPERM", "EIO", "ENOSPC"];
/// What a command goes without: calls, and how a file system says that it does not have them.
const GONE_WITHOUT: [(&str, &[&str]); 3] = [
    ("flock", &["EINVAL", "ENOSYS", "ENOLCK", "EOPNOTSUPP"]),
    ("link", &ERRORS),
    ("chmod", &["EINVAL", "ENOSYS", "EOPNOTSUPP", "EPERM"]),
];

/// A command and what it finds in its directory.
struct Case {
    name: &'static str,
    /// `{}` is the directory of the trial.
    line: &'static str,
    /// Which image lies in `{}/train`.
    image: &'static str,
    /// Whose key is given; none where none is needed.
    key: Option<&'static str>,
    /// Whether the results of the run lie in `{}/out` beforehand.
    results: bool,
    /// What must be there when the command is done.
    made: &'static [&'static str],
}

const fn case(name: &'static str, line: &'static str, image: &'static str, made: &'static [&'static str]) -> Case {
    Case { name, line, image, key: Some("station_2"), results: false, made }
}

const PRE_RUN: [Case; 5] = [
    case("in place, results beside it", "pre-run oci:{}/train:t --results {}/out", "1-post", &["out/result.txt"]),
    case("to a layout", "pre-run oci:{}/train:t oci:{}/to:t", "1-post", &["to/index.json"]),
    case("to an archive", "pre-run oci:{}/train:t oci-archive:{}/to:t --results {}/out", "1-post", &["to", "out"]),
    case("to an archive of Docker's", "pre-run oci:{}/train:t docker-archive:{}/to:t:t", "1-post", &["to"]),
    case("to a directory", "pre-run oci:{}/train:t dir:{}/to", "1-post", &["to/manifest.json"]),
];

const POST_RUN: [Case; 3] = [
    Case { results: true, ..case("in place", "post-run oci:{}/train:t --results {}/out", "2-pre", &[]) },
    case("to an archive", "post-run oci:{}/train:t oci-archive:{}/to:t", "2-ran", &["to"]),
    case("to a directory", "post-run oci:{}/train:t dir:{}/to", "2-ran", &["to/manifest.json"]),
];

const fn without_key(name: &'static str, line: &'static str, made: &'static [&'static str]) -> Case {
    Case { key: None, ..case(name, line, "1-post", made) }
}

const COPY: [Case; 4] = [
    without_key("to a layout", "copy oci:{}/train:t oci:{}/to:t", &["to/index.json"]),
    without_key("to an archive", "copy oci:{}/train:t oci-archive:{}/to:t", &["to"]),
    without_key("to an archive of Docker's", "copy oci:{}/train:t docker-archive:{}/to:t:t", &["to"]),
    without_key("to a directory", "copy oci:{}/train:t dir:{}/to", &["to/manifest.json"]),
];

const RESULTS: [Case; 2] = [
    Case {
        key: Some("user"),
        ..case("to a directory", "results oci:{}/train:t --out {}/out", "2-post", &["out/result.txt"])
    },
    Case {
        key: Some("user"),
        ..case("to an archive", "results oci:{}/train:t --out {}/out.tar", "2-post", &["out.tar"])
    },
];

/// The train in the forms that the cases begin with.
struct Fixture {
    vectors: Vectors,
}

/// How often a command was done and how often refused, by calls.
type Table = BTreeMap<&'static str, (u32, u32)>;

impl Fixture {
    fn template(&self, case: &Case) -> std::path::PathBuf {
        let dir = self.vectors.dir.path().join(format!("template-{}-{}", case.image, case.results));
        if !dir.exists() {
            let train = self.vectors.layout.only(case.image, dir.join("train"));
            let index = train.dir.join("index.json");
            let text = fs::read_to_string(&index).expect("an index").replace(case.image, "t");
            fs::write(index, text).expect("a new file");
            if case.results {
                fs::create_dir(dir.join("out")).expect("a new directory");
                fs::write(dir.join("out/result.txt"), "second run\n").expect("a new file");
            }
        }
        dir
    }

    /// Runs the command where `calls` end with `error`: all of them, or the one at this place. Whether any was made, and
    /// whether the command was done.
    fn run(&self, case: &Case, calls: &str, error: &str, place: Option<u32>) -> Result<(bool, bool), String> {
        let trials = tempfile::tempdir_in(self.vectors.dir.path()).expect("a temporary directory");
        let dir = trials.path().join("trial");
        copy(&self.template(case), &dir);
        let before = snapshot(&dir);
        let log = trials.path().join("strace.log");
        let when = place.map(|place| format!(":when={place}")).unwrap_or_default();
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", utf8(&log), "-e", &format!("trace={calls}")]);
        command.args(["-e", &format!("inject={calls}:error={error}{when}"), program()]);
        command.args(case.line.replace("{}", utf8(&dir)).split(' '));
        if let Some(name) = case.key {
            command.args(["--private-key", &self.vectors.key(name)]);
        }
        if case.key == Some("station_2") {
            command.args(["--station", "station_2"]);
        }
        command.env("SOURCE_DATE_EPOCH", "1700000000").env_remove("PHT_TRUST_DIR").stdin(Stdio::null());
        let output = command.output().expect("strace is here");
        let was_made = fs::read_to_string(&log).expect("what strace saw").contains("(INJECTED)");
        let said = String::from_utf8_lossy(&output.stderr);
        let after = snapshot(&dir);
        match output.status.code() {
            Some(0) => ensure_done(case, &dir, &before, &after).map(|()| (was_made, true)),
            Some(1) if was_made => match differences(&before, &after, true) {
                changes if changes.is_empty() => Ok((was_made, false)),
                changes => Err(format!("refused ({}), and changed: {changes:#?}", said.trim())),
            },
            status => Err(format!("ended with {status:?}: {}", said.trim())),
        }
    }
}

fn ensure_done(case: &Case, dir: &Path, before: &Tree, after: &Tree) -> Result<(), String> {
    let missing = case.made.iter().find(|made| !dir.join(made).exists());
    let left = after
        .keys()
        .find(|path| path.components().any(|part| part.as_os_str().to_string_lossy().starts_with(".pht-oci")));
    match (missing, left) {
        (Some(missing), _) => Err(format!("done without {missing}")),
        (None, Some(left)) => Err(format!("done, and left {}", left.display())),
        (None, None) if before == after => Err("done, and nothing has changed".to_owned()),
        (None, None) => Layout::new(dir.join("train"))
            .tags()
            .is_empty()
            .then(|| "no images are left".to_owned())
            .map_or(Ok(()), Err),
    }
}

/// Refuses calls of every kind, all at once and at each place.
fn try_all(test: &str, cases: &[Case]) {
    if !available(&format!("filesystems::{test}"), &[Peer::Strace]) {
        return;
    }
    let fixture = Fixture { vectors: Vectors::ours(Wire::V2_0) };
    let at_each_place = number("PHT_FAULTS", 1) as usize;
    let (mut table, mut failures) = (Table::new(), Vec::new());
    for case in cases {
        for (call, calls) in CALLS {
            let mut attempt = |error: &str, place: Option<u32>| {
                let at = place.map_or("everywhere".to_owned(), |place| format!("at place {place}"));
                match fixture.run(case, calls, error, place) {
                    Ok((was_made, done)) => {
                        let counts = table.entry(call).or_default();
                        *(if done { &mut counts.0 } else { &mut counts.1 }) += u32::from(was_made);
                        let without = |(known, errors): &(&str, &[&str])| *known == call && errors.contains(&error);
                        if was_made && !done && GONE_WITHOUT.iter().any(without) {
                            failures.push(format!("{test} {}: {call} is {error} {at}: refused", case.name));
                        }
                        was_made
                    }
                    Err(message) => {
                        failures.push(format!("{test} {}: {call} is {error} {at}: {message}", case.name));
                        true
                    }
                }
            };
            if !attempt(ERRORS[0], None) {
                continue; // it is not made at all
            }
            for error in &ERRORS[1..] {
                attempt(error, None);
            }
            for place in 1..100 {
                let mut was_made = false;
                for number in 0..at_each_place.min(ERRORS.len()) {
                    was_made |= attempt(ERRORS[(place as usize + 4 + number) % ERRORS.len()], Some(place));
                }
                if !was_made {
                    break;
                }
            }
        }
    }
    for (call, (done, refused)) in &table {
        println!("{test}, {call}: done {done} times, refused with nothing changed {refused} times");
    }
    assert!(failures.is_empty(), "{failures:#?}");
    let tried: u32 = table.values().map(|(done, refused)| done + refused).sum();
    assert!(tried > 30, "{tried} calls were refused: this test tests little");
}

#[test]
fn pre_run_is_done_or_undone() {
    try_all("pre-run", &PRE_RUN);
}

/// CIFS and many of FUSE cannot sync a directory: what is published there is recorded there, too.
#[test]
fn a_journal_is_kept_where_directories_cannot_be_synced() {
    if !available("filesystems::a_journal_is_kept_where_directories_cannot_be_synced", &[Peer::Strace]) {
        return;
    }
    let fixture = Fixture { vectors: Vectors::ours(Wire::V2_0) };
    let case = case("recorded", "pre-run oci:{}/train:t oci:{}/to:t", "1-post", &[]);
    let template = fixture.template(&case);
    for error in ["EINVAL", "EOPNOTSUPP", "EIO"] {
        let trials = tempfile::tempdir_in(fixture.vectors.dir.path()).expect("a temporary directory");
        let (dir, journals) = (trials.path().join("trial"), trials.path().join("journals"));
        copy(&template, &dir);
        fs::create_dir(&journals).expect("a new directory");
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-P", utf8(&journals)]);
        command.args(["-e", "trace=fsync", "-e", &format!("inject=fsync:error={error}"), program()]);
        command.args(case.line.replace("{}", utf8(&dir)).split(' '));
        command.args(["--private-key", &fixture.vectors.key("station_2"), "--station", "station_2"]);
        command.args(["--journal", utf8(&journals.join("journal"))]).env_remove("PHT_TRUST_DIR").stdin(Stdio::null());
        let output = command.output().expect("strace is here");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}: {said}");
        assert_eq!(said.contains("could not be synced"), error == "EIO", "{error}: {said}");
        let names = ["journal", "journal.head"].map(|name| fs::read_to_string(journals.join(name)).expect("a line"));
        assert_eq!(names[0], names[1], "{error}");
    }
}

#[test]
fn post_run_is_done_or_undone() {
    try_all("post-run", &POST_RUN);
}

#[test]
fn copy_is_done_or_undone() {
    try_all("copy", &COPY);
}

#[test]
fn results_are_handed_out_or_not() {
    try_all("results", &RESULTS);
}
