//! The manual, set by groff.

use std::fs;
use std::process::Command;

use support::{Peer, available, pht_oci, utf8};

#[test]
fn the_manual_has_a_page_for_every_command_and_groff_sets_it() {
    if !available("the_manual_has_a_page_for_every_command", &[Peer::Groff]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("share/man1");
    pht_oci(&["man", "--out", utf8(&out)], &[]).ok();
    let pages: Vec<_> = fs::read_dir(&out).unwrap().map(|page| page.unwrap().path()).collect();
    for name in ["pht-oci.1", "pht-oci-pre-run.1", "pht-oci-results.1", "pht-oci-man.1", "pht-oci-wire-3.1"] {
        assert!(pages.iter().any(|page| page.ends_with(name)), "{name}: {pages:?}");
    }
    for page in pages {
        let set = Command::new("groff").args(["-man", "-Tutf8", "-ww"]).arg(&page).output().unwrap();
        let message = String::from_utf8_lossy(&set.stderr);
        assert!(set.status.success() && message.is_empty(), "{}: {message}", page.display());
        let topics = pht_oci::manual::PAGES.iter().map(|topic| format!("pht-oci-{}.1", topic.topic));
        let of_manual = page.ends_with("pht-oci.1") || topics.into_iter().any(|name| page.ends_with(name));
        let text = fs::read_to_string(&page).unwrap();
        assert!(text.contains(".SH \"EXAMPLE") || of_manual, "{}: {text}", page.display());
    }
    // Where no directory can be.
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    pht_oci(&["man", "--out", utf8(&file)], &[]).refused(1);
}
