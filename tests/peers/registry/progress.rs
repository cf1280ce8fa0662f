//! What a person sees while a long step goes on.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::journey::PLAIN;
use super::proxy::{Act, Proxy, Request};
use super::server::Server;
use support::peers::test_file;
use support::tree::noise;
use support::{Edit, Layout, Peer, available, pht_oci, run, utf8};

const LARGE: usize = 4 << 20;

/// A registry with an image of one large layer, and the layer's digest.
fn served() -> (Server, String) {
    let server = Server::open();
    let layout = Layout::new(server.dir.path().join("layout"));
    layout.make_base("base", false);
    layout.append("base", "it", &[Edit::Put("large.bin", noise(LARGE))]);
    pht_oci(&[&["copy", &layout.at("it"), &server.at("t:it")][..], &PLAIN].concat(), &[]).ok();
    (server, layout.layers("it").pop().unwrap())
}

/// A way to it on which the layer stalls in the middle, for as long as the program is patient.
fn slow(server: &Server, layer: &str) -> Proxy {
    let (layer, asked) = (layer.to_owned(), AtomicUsize::new(0));
    Proxy::start(server.port, move |request: &Request| {
        match request.is_blob(&layer) && asked.fetch_add(1, Ordering::SeqCst) == 0 {
            true => Act::Stall(LARGE / 2),
            false => Act::Pass,
        }
    })
}

fn line(proxy: &Proxy, to: &str, options: &[&str]) -> Vec<String> {
    let own = ["copy", &proxy.at("t:it"), to, "--registry-timeout", "1"];
    [&own[..], &PLAIN, options].concat().into_iter().map(str::to_owned).collect()
}

#[test]
fn a_terminal_shows_a_bar_and_the_report_stands_alone() {
    if !available("a_terminal_shows_a_bar_and_the_report_stands_alone", &[Peer::Registry, Peer::Python]) {
        return;
    }
    let (server, layer) = served();
    let dir = tempfile::tempdir().unwrap();
    let script = test_file("python/terminal.py");
    let on_a_terminal = |name: &str, options: &[&str]| {
        let proxy = slow(&server, &layer);
        let to = format!("oci:{}:x", dir.path().join(name).display());
        let own = [utf8(&script), support::program()].map(str::to_owned);
        let line = [&own[..], &line(&proxy, &to, options)].concat();
        let output: serde_json::Value = serde_json::from_slice(&run("python3", &line).unwrap()).unwrap();
        assert_eq!(output["status"], 0, "{output}");
        let text = |key: &str| output[key].as_str().unwrap().to_owned();
        (text("stdout"), text("terminal"))
    };
    let short = &layer[..19];
    let (report, terminal) = on_a_terminal("auto", &[]);
    for part in [&format!("fetching {short}"), "2.00 MiB/4.00 MiB", "MiB/s", " left", "[="] {
        assert!(terminal.contains(part), "no {part} in {terminal:?}");
    }
    assert!(report.starts_with("copy of ") && !report.contains("fetching"), "{report}");
    // The last that happens to the bar is that it is cleared away.
    let end = terminal.rsplit(" left").next().unwrap();
    assert!(end.contains("\u{1b}[2K"), "{end:?}");
    // Lines of the log do not run into it: each begins where a line was cleared.
    let (_, terminal) = on_a_terminal("log", &["-v"]);
    let at = terminal.find("trying again").expect("the cut is in the log");
    let before = &terminal[..at];
    let begins = before.rfind(['\n', '\r']).unwrap_or(0).max(before.rfind("\u{1b}[2K").unwrap_or(0));
    assert!(!before[begins..].contains("MiB/"), "{before:?}");
    for silent in [&["--progress", "never"][..], &["-q"]] {
        let (_, terminal) = on_a_terminal(silent[0], silent);
        assert!(!terminal.contains("fetching"), "{silent:?}: {terminal:?}");
    }
}

#[test]
fn elsewhere_there_are_plain_lines_for_those_who_want_them() {
    if !available("elsewhere_there_are_plain_lines_for_those_who_want_them", &[Peer::Registry, Peer::Python]) {
        return;
    }
    let (server, layer) = served();
    let dir = tempfile::tempdir().unwrap();
    for (number, (options, shown)) in [
        (&["--progress", "always"][..], true),
        (&["--progress", "always", "--format", "json"], false),
        (&["--progress", "always", "-q"], false),
        (&["--progress", "never"], false),
        // A step of a second or two is not worth a line.
        (&[], false),
    ]
    .into_iter()
    .enumerate()
    {
        let proxy = slow(&server, &layer);
        let to = format!("oci:{}:x", dir.path().join(number.to_string()).display());
        let outcome = pht_oci(&line(&proxy, &to, options), &[]).ok();
        let message = format!("pht-oci: fetching {}: 4.00 MiB of 4.00 MiB (100 %), ", &layer[..19]);
        let lines: Vec<&str> = outcome.stderr.lines().filter(|line| line.starts_with(&message)).collect();
        assert_eq!(lines.len(), usize::from(shown), "{options:?}: {}", outcome.stderr);
        assert!(!outcome.stderr.contains(['\r', '\u{1b}']), "{options:?}: {:?}", outcome.stderr);
        let report = String::from_utf8(outcome.stdout.clone()).unwrap();
        assert!(!report.contains("fetching"), "{options:?}: {report}");
        if options.contains(&"json") {
            assert_eq!(outcome.json()["stage"], "copy");
            let documents: Vec<serde_json::Value> =
                outcome.stderr.lines().map(|line| serde_json::from_str(line).expect("a document a line")).collect();
            let last =
                documents.iter().rev().find(|one| one["progress"]["task"] == format!("fetching {}", &layer[..19]));
            let last = &last.expect("the last of the progress")["progress"];
            assert!(last["done"] == last["total"] && last["done"].as_u64() >= Some(4 << 20), "{documents:?}");
        }
    }
}
