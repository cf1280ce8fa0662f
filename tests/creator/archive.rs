//! The results as a tar archive.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::ground::Ground;
use crate::support::tree::{differences, snapshot, write_results};
use crate::support::{Edit, Peer, Wire, available, run};

#[test]
fn an_archive_holds_what_the_directory_holds() {
    if !available("an_archive_holds_what_the_directory_holds", &[Peer::Python]) {
        return;
    }
    for wire in [Wire::V2_0, Wire::V3] {
        let ground = Ground::new(wire, |dir| {
            write_results(dir, 0);
            fs::hard_link(dir.join("sub/x"), dir.join("sub/x-again")).unwrap();
            symlink("/etc/passwd", dir.join("leads out")).unwrap();
            fs::set_permissions(dir.join("block"), fs::Permissions::from_mode(0o4755)).unwrap();
        });
        ground.results(&ground.image(), "tree", &[]).ok();
        let report = ground.results(&ground.image(), "results.tar", &["--format", "json"]).ok().json();
        assert_eq!(report["destination"], ground.path("results.tar").to_str().unwrap());
        assert!(report["warnings"].to_string().contains("leads out (a link to /etc/passwd"), "{report}");
        let archive = fs::read(ground.path("results.tar")).unwrap();
        assert_eq!(ground.path("results.tar").metadata().unwrap().permissions().mode() & 0o777, 0o600);

        fs::create_dir(ground.path("unpacked")).unwrap();
        let (tar, to) = (ground.path("results.tar"), ground.path("unpacked"));
        run("tar", &["xpf", tar.to_str().unwrap(), "-C", to.to_str().unwrap()]).unwrap();
        let unpacked = snapshot(&to.join("pht_results"));
        assert_eq!(differences(&unpacked, &snapshot(&ground.path("tree")), true), Vec::<String>::new());
        let has = |name: &str| unpacked.contains_key(Path::new(name));
        assert!(has("sub/x-again") && !has("leads out"));

        // To a stream it is the same, byte for byte, and the report makes room for it.
        let streamed = ground.results(&ground.image(), "-", &["--format", "json"]).ok();
        assert!(streamed.stdout == archive, "the stream differs from the file");
        let report: serde_json::Value = serde_json::from_str(streamed.stderr.trim()).unwrap();
        assert_eq!((&report["stage"], &report["destination"]), (&"results".into(), &"-".into()));
        let quiet = ground.results(&ground.image(), "-", &["-q"]).ok();
        assert!(quiet.stdout == archive && quiet.stderr.is_empty(), "{}", quiet.stderr);
    }
}

#[test]
fn no_archive_appears_of_what_does_not_hold_and_none_is_replaced() {
    if !available("no_archive_appears_of_what_does_not_hold", &[Peer::Python]) {
        return;
    }
    let ground = Ground::new(Wire::V2_0, |dir| write_results(dir, 0));
    fs::write(ground.path("there.tar"), "mine").unwrap();
    let refused = ground.results(&ground.image(), "there.tar", &[]).refused(2);
    assert!(refused.stderr.contains("there already"), "{}", refused.stderr);
    assert_eq!(fs::read(ground.path("there.tar")).unwrap(), b"mine");
    // What a run that was killed has left goes away with the next.
    fs::write(ground.path(".pht-oci-results.tar"), "plaintext").unwrap();
    ground.results(&ground.image(), "results.tar", &[]).ok();
    assert!(!ground.path(".pht-oci-results.tar").exists());

    // A result that the station did not sign.
    let foreign = Ground::new(Wire::V2_0, |dir| write_results(dir, 1));
    let swapped = foreign.train.layout.cat("post", "opt/pht_results/result.txt");
    ground.train.layout.append("post", "swapped", &[Edit::Put("opt/pht_results/result.txt", swapped)]);
    let names = ground.names();
    for out in ["broken.tar", "-"] {
        let refused = ground.results(&ground.train.layout.at("swapped"), out, &[]).refused(3);
        assert!(refused.stdout.is_empty(), "{out}: something of it was written");
    }
    assert_eq!(ground.names(), names);
    let nowhere = ground.results(&ground.image(), "absent/results.tar", &[]).refused(1);
    assert!(nowhere.stderr.contains("cannot create a file"), "{}", nowhere.stderr);
}
