//! `pht-oci help`: commands as their own `--help` has them, and topics of the manual.

use std::fs;

use support::pht_oci;
use support::program::commands_in;

fn printed(line: &[&str]) -> String {
    String::from_utf8(pht_oci(line, &[]).ok().stdout).expect("text")
}

#[test]
fn a_command_has_one_help() {
    assert_eq!(printed(&["help"]), printed(&["--help"]));
    for command in ["build", "pre-run", "post-run", "results", "help"] {
        assert_eq!(printed(&["help", command]), printed(&[command, "--help"]), "{command}");
    }
}

#[test]
fn the_specification_is_a_topic_and_a_page() {
    let text = printed(&["help", "wire-3"]);
    assert_eq!(text, pht_oci::manual::page("wire-3").expect("a page").text);
    assert!(text.contains("pht-oci/3 statement") && text.contains("a salt of exactly 64 bytes"), "{text}");
    let told: serde_json::Value =
        serde_json::from_str(&printed(&["help", "wire-3", "--format", "json"])).expect("JSON");
    assert_eq!((&told["topic"], &told["text"]), (&"wire-3".into(), &text.into()));
    let dir = tempfile::tempdir().expect("a temporary directory");
    let out = dir.path().to_str().expect("a path in UTF-8");
    pht_oci(&["man", "--out", out], &[]).ok();
    let page = fs::read_to_string(dir.path().join("pht-oci-wire-3.1")).expect("a page");
    assert!(page.starts_with(".TH pht-oci-wire-3 1 ") && page.contains("SHA\\-512(M)"), "{page}");
}

#[test]
fn what_is_neither_is_refused() {
    for topic in ["wire-4", "", "nonsense\n"] {
        let told = pht_oci(&["help", topic], &[]).refused(2).stderr;
        assert!(told.contains("topics are wire-3"), "{told}");
    }
}

/// Every command line in a page of the manual is one that the program takes.
#[test]
fn the_commands_of_the_page_on_migrating_are_those_of_the_program() {
    let text = printed(&["help", "migrating"]);
    let list = printed(&["--help"]);
    let commands = commands_in(&list);
    assert!(commands.contains(&"post-run"), "{list}");
    let mut seen = 0;
    for code in text.split('`').skip(1).step_by(2) {
        let mut words = code.split_whitespace();
        let Some(command) = words.next().filter(|command| commands.contains(command)) else { continue };
        let help = printed(&[command, "--help"]);
        for option in words.filter(|word| word.starts_with("--")) {
            assert!(help.contains(option), "{command} has no option {option}");
            seen += 1;
        }
    }
    assert!(seen >= 10, "{seen} options");
    let sections = ["--authfile", "--passphrase-file", "--keep-initial-results", "--trust", "--station"];
    let all = ["pre-run", "copy"].map(|command| printed(&[command, "--help"])).concat();
    for option in sections {
        assert!(text.contains(option) && all.contains(option), "{option}");
    }
}
