//! Attacks on trains of wire version 3: each is refused, with the exit status that says why, and nothing is published.

use support::peers::{cryptography, run, test_file};
use support::pht_oci;
use support::tree::{differences, snapshot};
use support::utf8;
use support::wire3::Wire3Fixture;

const VERIFICATION: i32 = 3;
const KEY: i32 = 4;
const MALFORMED: i32 = 5;

/// After the second of three stops.
const STATE: &str = "2";

/// One attack on the train after its second stop, met by the third station and by the creator.
struct Attack {
    name: &'static str,
    /// Implementation signs the payload again, being the attacker.
    sign: Option<&'static str>,
    /// What else the attacker has: another state or train.
    other: Option<&'static str>,
    /// Whether the layers are compressed in the end.
    gzip: bool,
    /// The state to start from.
    from: &'static str,
    status: i32,
    /// Whose key the third station uses.
    station: &'static str,
    /// Whether only the station can notice, or only the creator.
    by: By,
}

#[derive(PartialEq)]
enum By {
    Both,
    Station,
    Creator,
}

const fn attack(name: &'static str) -> Attack {
    let (sign, other, gzip, station) = (None, None, false, "station_3");
    Attack { name, sign, other, gzip, from: STATE, status: VERIFICATION, station, by: By::Both }
}

/// The same, and the second station is the attacker.
const fn signed(name: &'static str) -> Attack {
    Attack { sign: Some("station_2"), ..attack(name) }
}

/// The same, and the layers are compressed.
const fn gzipped(name: &'static str) -> Attack {
    Attack { gzip: true, ..attack(name) }
}

const fn malformed(name: &'static str) -> Attack {
    Attack { status: MALFORMED, ..attack(name) }
}

const ATTACKS: [Attack; 53] = [
    // The route.
    attack("stranger_added"),
    attack("stranger_swapped"),
    Attack { station: "stranger", by: By::Station, ..attack("stranger_swapped") },
    // Results.
    attack("results_exchanged"),
    signed("results_exchanged"),
    attack("result_truncated"),
    signed("result_truncated"),
    signed("result_emptied"),
    signed("result_extended"),
    attack("result_moved"),
    signed("result_moved"),
    attack("result_copied"),
    signed("result_copied"),
    attack("result_hidden_by_the_payload"),
    attack("control_hides_a_result"),
    attack("control_adds_a_file"),
    attack("control_adds_a_program"),
    attack("layer_on_top"),
    gzipped("result_truncated"),
    gzipped("control_hides_a_result"),
    gzipped("control_adds_a_file"),
    gzipped("control_adds_a_program"),
    Attack { gzip: true, ..signed("mode_changed") },
    // Signatures.
    Attack { other: Some("other-2"), ..attack("signature_of_another_train") },
    Attack { other: Some("other-2"), ..attack("build_of_another_train") },
    attack("signature_of_another_stop"),
    // The last stop removed.
    Attack { by: By::Station, ..attack("last_signature_removed") },
    Attack { by: By::Creator, ..attack("last_signature_removed") },
    Attack { from: "1", ..attack("stop_removed_from_the_route") },
    Attack { other: Some("1"), ..attack("older_payload") },
    Attack { by: By::Station, from: "1", ..attack("nothing") },
    // Keys.
    Attack { by: By::Station, ..attack("another_key_for_the_next") },
    Attack { by: By::Creator, ..attack("another_key_for_the_creator") },
    attack("key_for_one_who_has_left"),
    Attack { station: "station_1", by: By::Station, ..attack("key_for_one_who_has_left") },
    // The base.
    attack("base_swapped"),
    attack("base_swapped_under_its_diff_id"),
    attack("base_added"),
    // The immutable files.
    attack("file_added"),
    signed("file_added"),
    signed("file_changed"),
    signed("file_missing"),
    attack("mode_changed"),
    signed("mode_changed"),
    signed("mode_set_user_id"),
    signed("symlink_added"),
    signed("file_is_a_hard_link"),
    signed("file_in_plaintext"),
    attack("statement_repeated"),
    // The version, and fields.
    attack("version_removed"),
    malformed("version_unknown"),
    malformed("field_missing"),
    malformed("result_hash_planted"),
];

struct Field {
    fixture: Wire3Fixture,
    python: String,
}

impl Field {
    /// The train after its second stop, and another train of the same people.
    fn new(python: String) -> Self {
        let fixture = Wire3Fixture::prepare();
        for (id, [built, one, two]) in [("ours", ["0", "1", STATE]), ("other", ["other-0", "other-1", "other-2"])] {
            fixture.build(built, id);
            fixture.stop(built, one, 0);
            fixture.stop(one, two, 1);
        }
        Field { fixture, python }
    }

    fn mount(&self, attack: &Attack) -> Result<(), String> {
        let script = test_file("python/wire3_attacks.py");
        let (script, keys) = (utf8(&script), self.fixture.path(""));
        let mut line = vec![script, self.fixture.layout.path(), attack.from, "attacked", attack.name, "--keys", &keys];
        line.extend(attack.sign.iter().flat_map(|name| ["--sign", name]));
        line.extend(attack.other.iter().flat_map(|tag| ["--other", tag]));
        line.extend(attack.gzip.then_some("--gzip"));
        run(&self.python, &line).map(drop)
    }

    fn check(&self, attack: &Attack) -> Result<(), String> {
        self.mount(attack)?;
        let before = snapshot(&self.fixture.layout.dir);
        let source = self.fixture.layout.at("attacked");
        let (to, out) = (self.fixture.layout.at("published"), self.fixture.path("out"));
        let mut lines = Vec::new();
        let key = self.fixture.key(attack.station);
        if attack.by != By::Creator {
            let station = if attack.station == "station_1" { "station_1" } else { "station_3" };
            lines.push(vec!["pre-run", &source, &to, "--private-key", &key, "--station", station]);
        }
        let creator = self.fixture.key("creator");
        if attack.by != By::Station {
            lines.push(vec!["results", &source, "--private-key", &creator, "--out", &out]);
        }
        for line in lines {
            let outcome = pht_oci(&line, &[]).expect(attack.status)?;
            let changes = differences(&before, &snapshot(&self.fixture.layout.dir), true);
            if !changes.is_empty() || std::path::Path::new(&out).exists() {
                return Err(format!("{} has published something: {changes:?}", line[0]));
            }
            println!("{:34} {:9} {:8} {}", attack.name, attack.sign.unwrap_or(""), line[0], outcome.stderr.trim());
        }
        Ok(())
    }
}

#[test]
fn every_attack_is_refused() {
    let Some(python) = cryptography("wire3") else { return };
    let field = Field::new(python);
    // What the tools do to an image that they leave alone is no attack.
    for honest in [attack("nothing"), signed("nothing"), gzipped("nothing")] {
        field.mount(&honest).unwrap_or_else(|message| panic!("{message}"));
        let (source, to) = (field.fixture.layout.at("attacked"), field.fixture.layout.at("honest"));
        pht_oci(&["pre-run", &source, &to, "--private-key", &field.fixture.key("station_3")], &[]).ok();
    }
    let failures: Vec<String> = ATTACKS
        .iter()
        .filter_map(|attack| {
            field.check(attack).err().map(|message| format!("{} {:?}: {message}", attack.name, attack.sign))
        })
        .collect();
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), ATTACKS.len(), failures.join("\n"));
}

#[test]
fn a_station_that_has_left_cannot_read_what_later_ones_computed() {
    let Some(python) = cryptography("wire3") else { return };
    let field = Field::new(python);
    let (source, key) = (field.fixture.layout.at(STATE), field.fixture.key("station_1"));
    let out = field.fixture.path("out");
    pht_oci(&["results", &source, "--private-key", &key, "--out", &out], &[]).refused(KEY);
    pht_oci(&["pre-run", &source, "--private-key", &key], &[]).refused(VERIFICATION);
    // Nor with the config's other keys: none is wrapped for it, whatever the program would do.
    let config = field.fixture.layout.train_config(STATE);
    for stop in config["route"].as_array().expect("a route") {
        assert_eq!(stop.get("encrypted_key").is_some(), stop["index"] == 2, "{stop}");
    }
    let script = test_file("python/wire3_peer.py");
    let script = utf8(&script);
    let line = [script, "open", field.fixture.layout.path(), STATE, "--key", &key, "--out", &out];
    let output = run(&field.python, &line).expect_err("no key is wrapped for it");
    assert!(output.contains("exit status: 4"), "{output}");
}

#[test]
fn a_lower_version_is_refused() {
    let Some(python) = cryptography("wire3") else { return };
    let field = Field::new(python);
    field.check(&attack("version_lowered")).unwrap_or_else(|message| panic!("{message}"));
}
