//! `verify` of trains that skopeo has compressed.

use std::fs;

use support::checks::{verdicts, verify};
use support::peers::skopeo_copy;
use support::wire3::Wire3Fixture;
use support::{Layout, Peer, available, pht_oci};

/// Wire 3 needs the base neither to be right nor to be there; and a registry's tools may compress the payload.
#[test]
fn wire_3_needs_the_payload_only_and_in_any_compression() {
    if !available("verifying::wire_3_needs_the_payload_only", &[Peer::Python, Peer::Skopeo]) {
        return;
    }
    let fixture = Wire3Fixture::prepare();
    fixture.build("latest", "one");
    let compressed = fixture.path("compressed");
    let to = format!("dir:{compressed}");
    support::run("skopeo", &["--insecure-policy", "copy", "-q", "--dest-compress", &fixture.layout.at("latest"), &to])
        .unwrap_or_else(|message| panic!("{message}"));
    let back = Layout::new(fixture.path("back"));
    skopeo_copy(&to, &back.at("latest")).unwrap_or_else(|message| panic!("{message}"));
    for layout in [&fixture.layout, &back] {
        fs::remove_file(layout.blob(&layout.layers("latest")[0])).expect("the base layer");
        let report = verify(&layout.at("latest"), 0, &[]);
        assert_eq!(verdicts(&report).get(&("payload".to_owned(), "sound".to_owned())), Some(&1));
        let warnings = report["warnings"].to_string();
        assert!(warnings.contains("whoever runs the train needs it") && warnings.contains("absent"), "{warnings}");
        let payload = layout.blob(&layout.layers("latest")[1]);
        let mut bytes = fs::read(&payload).expect("a blob");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&payload, bytes).expect("a blob");
        pht_oci(&["verify", &layout.at("latest")], &[]).refused(3);
    }
}
