//! What goes over the wire: the payload and little more, however large the base is.

use crate::journey::{PLAIN, stage};
use crate::proxy::{Act, Proxy};
use crate::server::Server;
use crate::support::tree::noise;
use crate::support::{Edit, Peer, Spec, Train, Who, Wire, available, pht_oci};

const MIB: u64 = 1 << 20;

#[test]
fn the_base_does_not_travel() {
    if !available("the_base_does_not_travel", &[Peer::Registry, Peer::Python]) {
        return;
    }
    let server = Server::open();
    let train = Train::build(Who::Ours, Wire::V1_1_2, &Spec::default()).unwrap();
    let layout = &train.layout;
    layout.append("0", "big", &[Edit::Put("var/big.bin", noise(200 << 20))]);
    let base = layout.at("big");
    let options = [&PLAIN[..], &["--base", &base]].concat();
    stage(&train, "pre-run", &base, &[&layout.at("pre")], 0, &options).ok();
    let results = tempfile::tempdir().unwrap();
    let payload = 2 * MIB;
    std::fs::write(results.path().join("result.bin"), noise(payload as usize)).unwrap();
    train.put("pre", "ran", 0, results.path());
    let home = server.at("central/t:latest");
    stage(&train, "post-run", &layout.at("ran"), &[&home], 0, &options).ok();

    let proxy = || Proxy::start(server.port, |_| Act::Pass);
    let wire = proxy();
    pht_oci(&[&["inspect", &wire.at("central/t:latest")][..], &PLAIN].concat(), &[]).ok();
    let (up, down) = wire.traffic();
    assert!(up + down < 64 << 10, "inspect: {up} up, {down} down");

    let wire = proxy();
    stage(&train, "pre-run", &wire.at("central/t:latest"), &[&wire.at("station/t:latest")], 1, &PLAIN).ok();
    let (up, down) = wire.traffic();
    assert!(down < payload + MIB && up < payload + MIB, "pre-run: {up} up, {down} down");
    let mounts = wire.count(|request| request.path.contains("mount="));
    assert!(mounts > 0, "the base was mounted from the other repository");

    // As the run would leave it: nothing changed. Encrypted anew, it goes back.
    let wire = proxy();
    stage(&train, "post-run", &wire.at("station/t:latest"), &[&wire.at("central/t:latest")], 1, &PLAIN).ok();
    let (up, down) = wire.traffic();
    assert!(down < payload + MIB && up < payload + MIB, "post-run: {up} up, {down} down");
}
