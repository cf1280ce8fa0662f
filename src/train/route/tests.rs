use crate::error::Kind;
use crate::json::{Value, json};
use crate::train::route::StageKind;
use crate::train::testing::{Owner, STATIONS, at, key, public_hex, tampered, travelled};
use crate::train::wire::classic::V1_1_2;

#[test]
fn stands_where_the_signatures_say() {
    for signed in 0..=STATIONS {
        let config = travelled(&V1_1_2, signed);
        let route_state = config.route_state().unwrap();
        assert_eq!(route_state.signed().len(), signed);
        assert_eq!(route_state.last_signed().map(|stop| stop.index), signed.checked_sub(1));
        assert_eq!(route_state.next().map(|stop| stop.index), Some(signed).filter(|index| *index < STATIONS));
    }
}

#[test]
fn refuses_a_gap_in_the_signatures() {
    let config = tampered(&travelled(&V1_1_2, 2), |raw| *at(raw, "/route/0/signature") = Value::Null);
    let error = config.route_state().unwrap_err();
    assert_eq!(error.kind(), Kind::Verification);
    let expected = "route: station `1` (stop 2) has signed, but station `station_0` (stop 1) before it has not";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn only_the_next_station_is_at_its_turn() {
    let config = travelled(&V1_1_2, 1);
    let (route_state, stops) = (config.route_state().unwrap(), config.route().stops());
    route_state.ensure_turn(&stops[1], StageKind::PreRun).unwrap();
    let table = [
        (0, "cannot pre-run: station `station_0` (stop 1) has signed already: next is station `1` (stop 2)"),
        (2, "cannot pre-run: station `station_2` (stop 3) has to wait: next is station `1` (stop 2)"),
    ];
    for (index, expected) in table {
        let error = route_state.ensure_turn(&stops[index], StageKind::PreRun).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (Kind::Verification, expected));
    }
    let config = travelled(&V1_1_2, STATIONS);
    let error = config.route_state().unwrap().ensure_turn(&config.route().stops()[2], StageKind::PostRun).unwrap_err();
    let expected =
        "cannot post-run: station `station_2` (stop 3) has signed already: every station on the route has signed";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn finds_a_station_by_name_or_key() {
    let config = travelled(&V1_1_2, 0);
    let route = config.route();
    for (name, index) in [("station_0", 0), ("1", 1), ("station_2", 2)] {
        assert_eq!(route.stop_named(name).unwrap().index, index);
    }
    for index in 0..STATIONS {
        assert_eq!(route.stop_with_key(&key(Owner::Station(index)).public_key()).unwrap().index, index);
    }
    let error = route.stop_named("station_1").unwrap_err();
    assert_eq!(error.kind(), Kind::Verification);
    assert_eq!(error.to_string(), "station `station_1` is not on the route: `station_0`, `1`, `station_2`");
    assert_eq!(route.stop_with_key(&key(Owner::Creator).public_key()).unwrap_err().kind(), Kind::Key);
    assert_eq!(route.stop(STATIONS).unwrap_err().kind(), Kind::Verification);
}

#[test]
fn a_key_of_two_stations_does_not_say_which() {
    let config = tampered(&travelled(&V1_1_2, 0), |raw| {
        *at(raw, "/route/2/rsa_public_key") = json!(public_hex(Owner::Station(0)));
    });
    let error = config.route().stop_with_key(&key(Owner::Station(0)).public_key()).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert_eq!(error.to_string(), "the private key belongs to several stations: `station_0`, `station_2`");
}
