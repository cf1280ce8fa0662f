//! The results as a tar archive.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::creator::fixture::ResultsFixture;
use support::tree::{differences, snapshot, write_results};
use support::{Edit, Peer, Wire, available, run, utf8};

#[test]
fn an_archive_holds_what_the_directory_holds() {
    if !available("an_archive_holds_what_the_directory_holds", &[Peer::Python]) {
        return;
    }
    for wire in [Wire::V2_0, Wire::V3] {
        let fixture = ResultsFixture::new(wire, |dir| {
            write_results(dir, 0);
            fs::hard_link(dir.join("sub/x"), dir.join("sub/x-again")).unwrap();
            symlink("/etc/passwd", dir.join("leads out")).unwrap();
            fs::set_permissions(dir.join("block"), fs::Permissions::from_mode(0o4755)).unwrap();
        });
        fixture.results(&fixture.image(), "tree", &[]).ok();
        let report = fixture.results(&fixture.image(), "results.tar", &["--format", "json"]).ok().json();
        assert_eq!(report["destination"], fixture.path("results.tar").to_str().unwrap());
        assert!(report["warnings"].to_string().contains("leads out (a link to /etc/passwd"), "{report}");
        let archive = fs::read(fixture.path("results.tar")).unwrap();
        assert_eq!(fixture.path("results.tar").metadata().unwrap().permissions().mode() & 0o777, 0o600);

        fs::create_dir(fixture.path("unpacked")).unwrap();
        let (tar, to) = (fixture.path("results.tar"), fixture.path("unpacked"));
        run("tar", &["xpf", utf8(&tar), "-C", utf8(&to)]).unwrap();
        let unpacked = snapshot(&to.join("pht_results"));
        assert_eq!(differences(&unpacked, &snapshot(&fixture.path("tree")), true), Vec::<String>::new());
        let has = |name: &str| unpacked.contains_key(Path::new(name));
        assert!(has("sub/x-again") && !has("leads out"));

        // To a stream it is the same, byte for byte, and the report makes room for it.
        let streamed = fixture.results(&fixture.image(), "-", &["--format", "json"]).ok();
        assert!(streamed.stdout == archive, "the stream differs from the file");
        let report: serde_json::Value = serde_json::from_str(streamed.stderr.trim()).unwrap();
        assert_eq!((&report["stage"], &report["destination"]), (&"results".into(), &"-".into()));
        let quiet = fixture.results(&fixture.image(), "-", &["-q"]).ok();
        assert!(quiet.stdout == archive && quiet.stderr.is_empty(), "{}", quiet.stderr);
    }
}

#[test]
fn no_archive_appears_of_what_does_not_hold_and_none_is_replaced() {
    if !available("no_archive_appears_of_what_does_not_hold", &[Peer::Python]) {
        return;
    }
    let fixture = ResultsFixture::new(Wire::V2_0, |dir| write_results(dir, 0));
    fs::write(fixture.path("there.tar"), "mine").unwrap();
    let refused = fixture.results(&fixture.image(), "there.tar", &[]).refused(2);
    assert!(refused.stderr.contains("the path exists"), "{}", refused.stderr);
    assert_eq!(fs::read(fixture.path("there.tar")).unwrap(), b"mine");
    // What a run that was killed has left goes away with the next.
    fs::write(fixture.path(".pht-oci-results.tar"), "plaintext").unwrap();
    fixture.results(&fixture.image(), "results.tar", &[]).ok();
    assert!(!fixture.path(".pht-oci-results.tar").exists());

    // A result that the station did not sign.
    let foreign = ResultsFixture::new(Wire::V2_0, |dir| write_results(dir, 1));
    let swapped = foreign.train.layout.cat("post", "opt/pht_results/result.txt");
    fixture.train.layout.append("post", "swapped", &[Edit::Put("opt/pht_results/result.txt", swapped)]);
    let names = fixture.names();
    for out in ["broken.tar", "-"] {
        let refused = fixture.results(&fixture.train.layout.at("swapped"), out, &[]).refused(3);
        assert!(refused.stdout.is_empty(), "{out}: something of it was written");
    }
    assert_eq!(fixture.names(), names);
    let nowhere = fixture.results(&fixture.image(), "absent/results.tar", &[]).refused(1);
    assert!(nowhere.stderr.contains("there is no directory to create it in"), "{}", nowhere.stderr);
}
