//! Journeys of trains that differ from the plain one, by the reference and by the program.

use std::path::Path;

use serde_json::json;
use support::journey::journey;
use support::tree::write_results;
use support::{Implementation, Peer, TrainSpec, Wire, available};

use Implementation::{Ours, Reference};

/// The journeys with the reference that a variant needs: either builder, the reference before and after the program.
fn mixed(test: &str, wires: &[Wire], spec: &TrainSpec, write: fn(&Path, usize)) {
    if !available(test, &[Peer::Python, Peer::Busybox, Peer::Openssl, Peer::Reference]) {
        return;
    }
    for wire in wires {
        journey(Reference, *wire, spec, &[Ours, Reference, Ours], write);
        journey(Ours, *wire, spec, &[Reference, Ours, Reference], write);
    }
}

#[test]
fn encrypted_pkcs8_keys() {
    let spec = TrainSpec { password: Some("corr\u{e9}ct horse"), ..TrainSpec::default() };
    // The reference's 1.1.1 reads no key with a passphrase.
    mixed("variants::encrypted_pkcs8_keys", &[Wire::V1_1_2, Wire::V2_0], &spec, write_results);
}

#[test]
fn pkcs1_public_keys() {
    let spec = TrainSpec { pkcs1_public_keys: true, ..TrainSpec::default() };
    mixed("variants::pkcs1_public_keys", &Wire::ALL, &spec, write_results);
}

#[test]
fn keys_of_3072_bits() {
    let spec = TrainSpec { bits: 3072, ..TrainSpec::default() };
    mixed("variants::keys_of_3072_bits", &Wire::ALL, &spec, write_results);
}

#[test]
fn integer_ids_and_a_route_out_of_order() {
    let spec = TrainSpec {
        stations: vec![json!(30), json!("station_1"), json!(2)],
        indexes: vec![2, 0, 1],
        creator: json!(4711),
        ..TrainSpec::default()
    };
    mixed("variants::integer_ids_and_a_route_out_of_order", &Wire::ALL, &spec, write_results);
}

#[test]
fn no_query() {
    let spec = TrainSpec { query: false, ..TrainSpec::default() };
    mixed("variants::no_query", &Wire::ALL, &spec, write_results);
}

#[test]
fn dot_slash_in_the_file_list() {
    let spec = TrainSpec { prefix: "./", ..TrainSpec::default() };
    if available("variants::dot_slash_in_the_file_list", &[Peer::Python, Peer::Busybox, Peer::Reference]) {
        for wire in Wire::ALL {
            journey(Reference, wire, &spec, &[Ours, Reference, Ours], write_results);
        }
    }
}

#[test]
fn empty_results() {
    mixed("variants::empty_results", &Wire::ALL, &TrainSpec::default(), |_, _| {});
}
