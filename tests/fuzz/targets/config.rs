//! A train config that was read is written as it was read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pht_oci::train::TrainConfig;

fuzz_target!(|document: &[u8]| {
    let Ok(config) = TrainConfig::parse(document) else { return };
    let written = config.to_bytes().expect("what was read can be written");
    let again = TrainConfig::parse(&written).expect("what was written can be read");
    assert_eq!(again.raw(), config.raw());
    assert_eq!(again.to_bytes().expect("written again"), written);
    assert_eq!(again.wire().name(), config.wire().name());
    if let Ok(route_state) = config.route_state() {
        assert_eq!(route_state.signed().len() < config.route().stops().len(), route_state.next().is_some());
    }
});
