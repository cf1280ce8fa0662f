//! TLS: what began with it does not go on without.

use std::net::TcpListener;

use super::server::Server;
use support::{Implementation, Peer, Train, TrainSpec, Wire, available, pht_oci, utf8};

#[test]
fn no_byte_goes_from_tls_to_plain_http() {
    if !available("registry::tls::no_byte_goes_from_tls_to_plain_http", &[Peer::Registry, Peer::Openssl]) {
        return;
    }
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    plain.set_nonblocking(true).unwrap();
    let server = Server::misled(plain.local_addr().unwrap().port());
    let authority = server.dir.path().join("ca");
    let train = Train::build(Implementation::Ours, Wire::V3, &TrainSpec::default()).unwrap();
    let (from, to, key) = (train.layout.at("0"), server.at("trains/one:latest"), train.key(&train.station_id(0)));
    // The second would be the decrypted train.
    for line in [vec!["copy", &from, &to], vec!["pre-run", &from, &to, "--private-key", &key]] {
        for trust in [["--dest-cert-dir", utf8(&authority)], ["--dest-tls-verify", "false"]] {
            let refused = pht_oci(&[&line[..], &trust].concat(), &[]).refused(6);
            assert!(refused.stderr.contains("from TLS to plain HTTP"), "{}", refused.stderr);
            assert!(plain.accept().is_err(), "somebody came over plain HTTP");
        }
    }
}
