//! Stages out of order, and stations that are not on the route.

use super::case::{Case, KEY, RefusalFixture, Start, TAG, VERIFICATION, check};
use support::Wire;

const fn order(name: &'static str, start: Start, stage: &'static str, station: &'static str) -> Case {
    Case { name, start, stage, station, status: VERIFICATION, tamper: |_, _| {} }
}

#[test]
fn stages_out_of_order() {
    let cases = [
        order("pre-run before the previous station", Start::Built, "pre-run", "station_2"),
        order("pre-run at a station that has signed", Start::Sealed, "pre-run", "station_1"),
        order("pre-run at a station that has signed here", Start::SealedByUs, "pre-run", "station_1"),
        order("post-run at a station that has signed", Start::SealedByUs, "post-run", "station_1"),
        order("post-run at the wrong station", Start::Ran, "post-run", "station_1"),
        order("post-run without pre-run", Start::SealedByUs, "post-run", "station_2"),
        order("post-run without pre-run, sealed by the reference", Start::Sealed, "post-run", "station_2"),
        order("pre-run twice", Start::Opened, "pre-run", "station_2"),
    ];
    check(&Wire::ALL, &cases);
}

/// In 2.0 the train files of a train as built are sealed, so that a missing pre-run shows.
#[test]
fn post_run_of_a_train_as_built() {
    let cases = [order("post-run of a train as built", Start::Built, "post-run", "station_1")];
    check(&[Wire::V2_0], &cases);
}

#[test]
fn strangers() {
    for wire in Wire::ALL {
        let fixture = RefusalFixture::new(Start::Sealed, wire);
        let (image, key) = (fixture.layout.at(TAG), fixture.vectors.key("station_2"));
        let line = ["pre-run", &image, "--station", "station_9", "--private-key", &key];
        fixture.refuse(&line, &[], VERIFICATION).unwrap_or_else(|message| panic!("not on the route: {message}"));
        let key = fixture.vectors.key("builder");
        let line = ["pre-run", &image, "--private-key", &key];
        fixture.refuse(&line, &[], KEY).unwrap_or_else(|message| panic!("a key of no station: {message}"));
    }
}
