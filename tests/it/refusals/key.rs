//! Keys that do not fit, do not open or are not there.

use super::case::{KEY, RefusalFixture, Start, TAG};
use support::peers::run;
use support::{Peer, Wire, available, pht_oci, utf8};

/// The station's key under a passphrase, as OpenSSL writes it.
fn locked(fixture: &RefusalFixture, station: &str) -> String {
    let file = fixture.vectors.dir.path().join("locked.pem");
    let file = utf8(&file).to_owned();
    let key = fixture.vectors.key(station);
    let line = ["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-in", &key, "-out", &file, "-passout", "pass:right"];
    run("openssl", &line).unwrap_or_else(|message| panic!("{message}"));
    file
}

#[test]
fn keys() {
    if !available("refusals::keys", &[Peer::Openssl]) {
        return;
    }
    let mut failures = Vec::new();
    for wire in Wire::ALL {
        for (start, stage) in [(Start::Sealed, "pre-run"), (Start::Ran, "post-run")] {
            let fixture = RefusalFixture::new(start, wire);
            let dir = fixture.vectors.dir.path();
            let path = |name: &str| dir.join(name).to_str().expect("a path in UTF-8").to_owned();
            std::fs::write(
                path("garbage.pem"),
                "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n",
            )
            .expect("a new file");
            let (image, key) = (fixture.layout.at(TAG), locked(&fixture, "station_2"));
            let (other, public) = (fixture.vectors.key("station_1"), path("keys/station_2.pub.pem"));
            let wrong = [("PRIVATE_KEY_PASSWORD", "wrong")];
            for (name, key, variables) in [
                ("another station's key", other.as_str(), &[][..]),
                ("a wrong passphrase", &key, &wrong),
                ("no passphrase", &key, &[]),
                ("a public key", &public, &[]),
                ("no key at all", &path("garbage.pem"), &[]),
                ("no such file", &path("missing.pem"), &[]),
            ] {
                let line = [stage, &image, "--station", "station_2", "--private-key", key];
                if let Err(message) = fixture.refuse(&line, variables, KEY) {
                    failures.push(format!("{stage}, {name} (wire {wire:?}): {message}"));
                }
            }
            // The same key with the right passphrase goes through: the refusals are about the passphrase.
            let line = [stage, &image, "--station", "station_2", "--private-key", &key];
            pht_oci(&line, &[("PRIVATE_KEY_PASSWORD", "right")]).ok();
        }
    }
    assert!(failures.is_empty(), "{}:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn results_with_the_wrong_key() {
    for wire in Wire::ALL {
        let fixture = RefusalFixture::new(Start::Sealed, wire);
        let out = fixture.vectors.dir.path().join("out");
        let (image, key) = (fixture.layout.at(TAG), fixture.vectors.key("station_1"));
        let line = ["results", &image, "--private-key", &key, "--out", utf8(&out)];
        fixture.refuse(&line, &[], KEY).unwrap_or_else(|message| panic!("{message}"));
        assert!(
            std::fs::read_dir(&out).map_or(true, |mut entries| entries.next().is_none()),
            "results in {}",
            out.display()
        );
    }
}
