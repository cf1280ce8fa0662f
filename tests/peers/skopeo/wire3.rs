//! Trains of wire version 3 that skopeo has compressed in another way.

use support::wire3::{STATIONS, Wire3Fixture, check_results};
use support::{Layout, Peer, available, run};

/// What is signed is the uncompressed payload.
#[test]
fn recompression_is_no_change() {
    if !available("wire3::recompression", &[Peer::Python, Peer::Skopeo]) {
        return;
    }
    let fixture = Wire3Fixture::prepare();
    fixture.build("0", "ours");
    for stop in 0..STATIONS {
        let (from, squeezed) = (stop.to_string(), format!("{stop}-squeezed"));
        // Skopeo compresses into a directory only.
        let (dir, other) = (format!("dir:{}", fixture.path("dir")), Layout::new(fixture.path(&squeezed)));
        let format = if stop == 1 { "zstd" } else { "gzip" };
        let copy = |line: &[&str]| {
            run("skopeo", &[&["--insecure-policy", "copy", "-q"], line].concat())
                .unwrap_or_else(|message| panic!("{message}"))
        };
        copy(&["--dest-compress", "--dest-compress-format", format, &fixture.layout.at(&from), &dir]);
        copy(&[&dir, &other.at(&squeezed)]);
        assert_ne!(fixture.layout.layers(&from), other.layers(&squeezed));
        other.only(&squeezed, &fixture.layout.dir);
        fixture.stop(&squeezed, &(stop + 1).to_string(), stop);
    }
    check_results(&fixture, "3");
}
