//! A central service with a registry that counts and deletes images by digest, as the field's does: build, start, route
//! over three stations, hand-out.

use support::peers::test_file;
use support::{Peer, available, program, run, utf8};

#[test]
fn a_train_is_built_started_routed_and_handed_out() {
    if !available("centre::a_train_is_built", &[Peer::Python]) {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let script = test_file("python/centre.py");
    let printed = run("python3", &[utf8(&script), program(), utf8(dir.path())]).unwrap_or_else(|told| panic!("{told}"));
    assert_eq!(String::from_utf8_lossy(&printed), "1.1.2\n2.0\n3\n");
}
