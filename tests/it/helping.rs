//! What helps a person at a terminal: completions, the manual, colours.

use std::fs;
use std::process::Command;

use support::vectors::Vectors;
use support::{Peer, Wire, available, pht_oci, run, utf8};

#[test]
fn bash_completes_commands_and_options() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("completion.bash");
    fs::write(&script, pht_oci(&["completions", "bash"], &[]).ok().stdout).unwrap();
    // As the shell itself calls what the script has registered.
    let ask = r#"
        source "$1"
        function=$(complete -p pht-oci | sed 's/.*-F \([^ ]*\).*/\1/')
        COMP_WORDS=(pht-oci "${@:2}") COMP_CWORD=$(($# - 1)) COMPREPLY=()
        "$function" pht-oci "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}""#;
    let completed = |words: &[&str]| {
        let line = [&["-c", ask, "ask", utf8(&script)], words].concat();
        let out = run("bash", &line).unwrap_or_else(|message| panic!("{message}"));
        String::from_utf8(out).unwrap().split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(completed(&["pre"]), ["pre-run"]);
    assert_eq!(completed(&["results", "--paillier"]), ["--paillier-key"]);
    assert_eq!(completed(&["inspect", "--format", ""]), ["text", "json"]);
    assert!(completed(&[""]).contains(&"completions".to_owned()));
}

#[test]
fn other_shells_get_scripts_of_their_own() {
    let mut scripts: Vec<Vec<u8>> = Vec::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = pht_oci(&["completions", shell], &[]).ok().stdout;
        let text = String::from_utf8_lossy(&script).into_owned();
        assert!(text.contains("post-run") && text.contains("paillier-key"), "{shell}: {text}");
        assert!(!scripts.contains(&script), "{shell} has another's script");
        scripts.push(script);
    }
    assert!(pht_oci(&["completions", "csh"], &[]).refused(2).stderr.contains("possible values"));
}

/// What the program prints to a terminal.
fn on_a_terminal(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let spawn = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)";
    let mut command = Command::new("python3");
    command.args(["-I", "-c", spawn, support::program()]).args(arguments);
    let output = command.env_remove("NO_COLOR").envs(variables.iter().copied()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    text
}

#[test]
fn colours_are_for_terminals_only_and_for_those_who_want_them() {
    if !available("colours_are_for_terminals_only", &[Peer::Python]) {
        return;
    }
    let image = Vectors::ours(Wire::V2_0);
    let source = image.layout.at("1-post");
    for (command, message) in [("inspect", "\x1b[33mis next"), ("verify", "\x1b[32mok")] {
        let shown = on_a_terminal(&[command, &source], &[]);
        assert!(shown.contains(message), "{command}: {shown:?}");
        let plain = on_a_terminal(&[command, &source], &[("NO_COLOR", "1")]);
        assert!(!plain.contains('\x1b'), "{command}: {plain:?}");
        let json = on_a_terminal(&[command, &source, "--format", "json"], &[]);
        assert!(!json.contains('\x1b'), "{command}: {json:?}");
        let piped = pht_oci(&[command, &source], &[]).ok();
        // A terminal shows what is said on standard error, too.
        let piped = piped.stderr + &String::from_utf8(piped.stdout).unwrap();
        assert_eq!(piped, plain.replace('\r', ""), "{command}: colours are all the difference");
    }
}

#[test]
fn a_person_sees_the_route_at_one_glance() {
    if !available("a_person_sees_the_route_at_one_glance", &[Peer::Python]) {
        return;
    }
    let vectors = Vectors::ours(Wire::V2_0);
    let lines = |command: &str, tag: &str| {
        let shown = pht_oci(&[command, &vectors.layout.at(tag)], &[]).ok().stdout;
        let shown = String::from_utf8(shown).unwrap();
        shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>()
    };
    let has = |lines: &[String], start: &str, end: &str| {
        assert!(lines.iter().any(|line| line.starts_with(start) && line.ends_with(end)), "{start} {end}: {lines:#?}");
    };
    let shown = lines("inspect", "1-post");
    has(&shown, "# station key state", "");
    has(&shown, "1 station_1 sha256:", "has signed");
    has(&shown, "2 station_2 sha256:", "is next");
    has(&shown, "layers", "KiB");
    has(&shown, "next: pht-oci pre-run at station_2", "");
    has(&lines("inspect", "2-post"), "every station has signed", "(pht-oci results)");
    let key = vectors.key("station_2");
    let open = vectors.layout.at("open");
    pht_oci(&["pre-run", &vectors.layout.at("1-post"), &open, "--private-key", &key], &[]).ok();
    has(&lines("inspect", "open"), "opened at station_2", "then pht-oci post-run");
    let shown = lines("verify", "2-post");
    has(&shown, "1 station_1", "holds cannot be recomputed");
    has(&shown, "2 station_2", "holds recomputed");
    has(&shown, "the train is sound but for what is not proved, and no keys are pinned (", " 0 broken)");
}

/// A mistyped option is answered with one that begins alike, and never with one that means something else: some lift a
/// protection.
#[test]
fn mistyped_options_lead_nowhere_else() {
    for (line, wanted, unwanted) in [
        (&["inspect", "x", "--tls-verify=false"][..], "Usage: pht-oci inspect [OPTIONS] <SRC>", "tip:"),
        (&["pre-run", "x", "--engine", "podman"], "Usage: pht-oci pre-run [OPTIONS] <SRC> [DEST]", "--again"),
        (&["reject", "x", "--trust", "y"], "unexpected argument '--trust'", "--results <DIR> "),
        (&["pre-run", "x", "--private-kay", "y"], "a similar argument exists: '--private-key'", "--again"),
        (&["run", "x", "--volume", "./data"], "tip: write HOST:PATH[:rw], as in ./data:/data", "--again"),
    ] {
        let said = pht_oci(line, &[]).refused(2).stderr;
        assert!(said.contains(wanted) && !said.contains(unwanted), "{line:?}: {said}");
    }
}

#[test]
fn nothing_asked_for_is_answered_with_the_commands_in_groups_and_the_topics() {
    let said = pht_oci::<&str>(&[], &[]).refused(2).stderr;
    assert!(said.starts_with("Run the Personal Health Train security protocol"), "{said}");
    for wanted in ["\nStations:\n", "\nReviewers:\n", "Topics (pht-oci help TOPIC):"] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    let topics =
        said.split("Topics (pht-oci help TOPIC):").nth(1).expect("topics").split("\n\n").next().expect("a list");
    let mut named: Vec<&str> = topics.split([',', '\n', ' ']).filter(|word| !word.is_empty()).collect();
    let mut pages: Vec<&str> = pht_oci::manual::PAGES.iter().map(|page| page.topic).collect();
    named.sort_unstable();
    pages.sort_unstable();
    assert_eq!(named, pages);
    let help = String::from_utf8(pht_oci(&["help", "help"], &[]).ok().stdout).expect("text");
    assert!(pages.iter().all(|topic| help.contains(&format!("\n  {topic} "))), "{help}");
}
