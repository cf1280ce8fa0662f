//! Keys and passphrases: how they come in, and that they do not get out.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::Value;
use support::peers::test_file;
use support::tree::snapshot;
use support::{Implementation, Peer, Train, TrainSpec, Wire, available, pht_oci, run, utf8};

const PASSPHRASE: &str = "open sesame";

fn locked_train() -> Train {
    let spec = TrainSpec { password: Some(PASSPHRASE), ..TrainSpec::default() };
    Train::build(Implementation::Ours, Wire::V3, &spec).unwrap_or_else(|message| panic!("{message}"))
}

/// Pre-run of the first stop in place on a terminal where this is typed.
fn at_a_terminal(train: &Train, typed: &str) -> Value {
    let script = test_file("python/prompted.py");
    let line = train.line("pre-run", "0", "0", 0);
    let mut arguments = vec!["-I", utf8(&script), typed, support::program()];
    arguments.extend(line.iter().map(String::as_str));
    let output = run("python3", &arguments).unwrap_or_else(|message| panic!("{message}"));
    serde_json::from_slice(&output).expect("JSON")
}

#[test]
fn a_passphrase_is_asked_for_at_a_terminal_and_not_shown() {
    if !available("secrets::a_passphrase_is_asked_for_at_a_terminal_and_not_shown", &[Peer::Python]) {
        return;
    }
    let train = locked_train();
    let before = snapshot(&train.layout.dir);
    for (typed, status, says) in [
        ("wrong one\\n", 4, "the passphrase is wrong"),
        ("\\n", 4, "no passphrase was typed"),
        ("\\x04", 4, "no passphrase was typed"),
        ("\\x03", 130, "interrupted"),
    ] {
        let message = at_a_terminal(&train, typed);
        assert_eq!(message["status"], status, "{typed}: {message}");
        assert!(message["seen"].as_str().is_some_and(|seen| seen.contains(says)), "{typed}: {message}");
        assert_eq!((&message["echo_while_asked"], &message["echo_after"]), (&false.into(), &true.into()), "{typed}");
        assert_eq!(snapshot(&train.layout.dir), before, "{typed}");
    }
    let message = at_a_terminal(&train, &format!("{PASSPHRASE}\\n"));
    assert_eq!(message["status"], 0, "{message}");
    assert_eq!((&message["echo_while_asked"], &message["echo_after"]), (&false.into(), &true.into()));
    assert!(message["seen"].as_str().is_some_and(|seen| seen.contains("passphrase of") && !seen.contains(PASSPHRASE)));
    assert_ne!(snapshot(&train.layout.dir), before);
}

#[test]
fn a_new_key_is_encrypted_with_what_is_typed_twice() {
    if !available("secrets::a_new_key_is_encrypted", &[Peer::Python]) {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| utf8(&dir.path().join(name)).to_owned();
    let script = test_file("python/prompted.py");
    let at_a_terminal = |typed: &str, name: &str, more: &[&str]| -> Value {
        let (name, program) = (path(name), support::program());
        let line = [&["-I", utf8(&script), typed, program, "keygen", &name, "--bits", "2048"], more].concat();
        serde_json::from_slice(&run("python3", &line).expect("an outcome")).expect("JSON")
    };
    let twice = format!("{PASSPHRASE}\\n{PASSPHRASE}\\n");
    let outcome = at_a_terminal(&twice, "locked", &[]);
    assert_eq!((&outcome["status"], &outcome["echo_while_asked"]), (&0.into(), &false.into()), "{outcome}");
    assert!(outcome["seen"].as_str().is_some_and(|seen| !seen.contains(PASSPHRASE)), "{outcome}");
    let public = pht_oci(&["keygen", "--public-of", &path("locked.pem")], &[("PRIVATE_KEY_PASSWORD", PASSPHRASE)]);
    assert_eq!(public.ok().stdout, fs::read(path("locked.pub.pem")).expect("a public key"));
    // Two that differ make no key, an empty one an open key, and who says so is not asked.
    let outcome = at_a_terminal(&format!("{PASSPHRASE}\\nother\\n"), "none", &[]);
    assert_eq!(outcome["status"], 2, "{outcome}");
    assert!(!dir.path().join("none.pem").exists() && !dir.path().join("none.pub.pem").exists());
    assert_eq!(at_a_terminal("\\n", "empty", &[])["status"], 0);
    let outcome = at_a_terminal("", "asked-not", &["--no-passphrase"]);
    assert!(outcome["status"] == 0 && outcome["echo_while_asked"].is_null(), "{outcome}");
    for name in ["empty.pem", "asked-not.pem"] {
        assert!(!fs::read_to_string(path(name)).expect("a key").contains("ENCRYPTED"), "{name}");
    }
}

#[test]
fn nobody_is_asked_where_there_is_no_terminal() {
    if !available("secrets::nobody_is_asked_where_there_is_no_terminal", &[Peer::Python]) {
        return;
    }
    let train = locked_train();
    let outcome = pht_oci(&train.line("pre-run", "0", "0", 0), &[]).refused(4);
    assert!(outcome.stderr.contains("PRIVATE_KEY_PASSWORD"), "{}", outcome.stderr);
}

#[test]
fn a_key_in_memory_is_in_no_core_dump() {
    if !available("secrets::a_key_in_memory_is_in_no_core_dump", &[Peer::Python]) {
        return;
    }
    let train = locked_train();
    // Nobody ever writes the passphrase: the program waits for it.
    let passphrase = train.dir.path().join("never");
    mknodat(CWD, &passphrase, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a new pipe");
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -Sc \"$(ulimit -Hc)\"; exec \"$@\"", "sh", support::program()]);
    command.args(train.line("pre-run", "0", "0", 0)).arg("--passphrase-file").arg(&passphrase);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
    let (begin, name) = (Instant::now(), format!("/proc/{}/limits", child.id()));
    let core = || {
        let limits = fs::read_to_string(&name).expect("the program runs");
        let line = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).expect("a limit");
        line.split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    while core() != ["0", "0"] && begin.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(10));
    }
    let found = core();
    child.kill().and_then(|()| child.wait()).expect("it ends");
    assert_eq!(found, ["0", "0"]);
}
