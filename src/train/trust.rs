//! The owners of keys: the keys that a person has pinned, held against those that a train brings along; and what a
//! creator's further key is worth.

use rsa::BoxedUint;

use super::check::{Check, CheckId, NAMED_BY_CREATOR, Subject, Verdict};
use super::config::TrainConfig;
use super::min_wire::MinWire;
use super::paillier::{digits_of, object_of};
use super::party::PartyId;
use crate::crypto::PublicKey;
use crate::crypto::keys::MAX_BITS;
use crate::error::{Error, Result};
use crate::json::Value;

/// The fewest bits of a Paillier modulus that keep its results secret: it has to resist factoring as RSA's does.
const PAILLIER_MIN_BITS: u32 = 2048;

/// The role of a party of a train, which decides which pinned keys are its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// Wrote the train.
    Creator,
    /// Signed its build.
    Builder,
    /// Stands on its route.
    Station,
    /// Looks at results before they leave, for the station; no party of a train.
    Reviewer,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 4] = [Role::Creator, Role::Builder, Role::Station, Role::Reviewer];

    /// The role by the name of its directory, or of one who has it, as in `creators` and `creator`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| name == role.directory() || role.directory().strip_suffix('s') == Some(name))
    }

    /// The directory with the pinned keys of this role.
    pub fn directory(self) -> &'static str {
        match self {
            Role::Creator => "creators",
            Role::Builder => "builders",
            Role::Station => "stations",
            Role::Reviewer => "reviewers",
        }
    }

    /// The name of one who has it, as in `creator`.
    pub fn name(self) -> &'static str {
        self.directory().trim_end_matches('s')
    }
}

/// The keys that a person has pinned: each under the id of its party, a builder's under any name.
#[derive(Debug, Clone, Default)]
pub struct TrustStore {
    pins: Vec<(Role, PartyId, PublicKey)>,
    min_wire: Option<MinWire>,
}

impl TrustStore {
    /// Demands a wire version, beside the keys.
    pub fn demand(&mut self, minimum: MinWire) {
        self.min_wire = Some(minimum);
    }

    /// The oldest wire version that is accepted with these keys.
    pub fn min_wire(&self) -> Option<&MinWire> {
        self.min_wire.as_ref()
    }

    /// Pins the key of a party.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::error::Kind::Usage) if another key is pinned for that creator or station already: `7` and
    /// `007` are one.
    pub fn pin(&mut self, role: Role, name: &str, key: PublicKey) -> Result<()> {
        let party = PartyId::from(name);
        if let Some(other) = self.pinned(role, &party).filter(|other| role != Role::Builder && **other != key) {
            let what = format!("another key is pinned for `{party}` already: {}", other.fingerprint());
            return Err(Error::usage(what).hint("remove one of the two key files"));
        }
        self.pins.push((role, party, key));
        Ok(())
    }

    /// Every key that is pinned, with its party.
    pub fn pins(&self) -> impl Iterator<Item = (Role, &PartyId, &PublicKey)> {
        self.pins.iter().map(|(role, party, key)| (*role, party, key))
    }

    /// The key that is pinned for a party.
    pub fn pinned(&self, role: Role, party: &PartyId) -> Option<&PublicKey> {
        self.pins.iter().find(|(of, who, _)| *of == role && who == party).map(|(_, _, key)| key)
    }

    /// Checks a party's key against its pin; without a pin it holds if another pinned party vouches for it.
    fn party(&self, party: &Party<'_>, voucher: Voucher) -> Check {
        let &Party { id, role, party, ref subject, key } = party;
        let (subject, found) = (subject.clone(), key.fingerprint());
        match self.pinned(role, party) {
            Some(pinned) if pinned == key => Check::sound(id, subject),
            Some(pinned) => {
                let reason = format!(
                    "its key in the train is {found}, but {} is pinned: the train brings another key, or the pin is old",
                    pinned.fingerprint()
                );
                Check::broken(id, subject, reason)
            }
            None => voucher.check(id, subject, || {
                if party.canonical().contains(['/', '\0']) {
                    return format!("no key can be pinned for an id that is no file name; its key is {found}");
                }
                let file = format!("{}/{party}.pem", role.directory());
                format!("no key is pinned for it; if its key is {found}, put it into {file}")
            }),
        }
    }

    fn builder(&self, key: &PublicKey, voucher: Voucher) -> Check {
        let mut pinned = self.pins.iter().filter(|(role, _, _)| *role == Role::Builder).peekable();
        let (found, directory) = (key.fingerprint(), Role::Builder.directory());
        if pinned.peek().is_none() {
            return voucher.check(CheckId::BuilderKey, Subject::Build, || {
                format!("no builder's key is pinned; if its key is {found}, put it into {directory}/NAME.pem")
            });
        }
        let reason = format!(
            "its key is {found}, which is not among the pinned ones in {directory}; if the builder confirms it, put it into \
             {directory}/NAME.pem"
        );
        Check::of(pinned.any(|(_, _, pinned)| pinned == key), CheckId::BuilderKey, Subject::Build, reason)
    }
}

/// What has to be said of a train where no keys are pinned.
pub fn nobody_vouches(config: &TrainConfig) -> String {
    let creator = config.creator();
    let key = creator.public_key.fingerprint();
    format!(
        "no keys are pinned: nobody vouches that creator `{}` has the key {key}; ask the creator for its fingerprint",
        creator.id
    )
}

/// Who else vouches for a key that has no pin of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Voucher {
    /// Nobody: the wire version does not bind it to the creator's signature.
    Nobody,
    /// The creator, whose own key is pinned.
    Pinned,
    /// The creator, whose own key is not a pinned one.
    Unpinned,
}

impl Voucher {
    /// The check of a key that has no pin; `unpinned` says which it could have.
    fn check(self, id: CheckId, subject: Subject, unpinned: impl FnOnce() -> String) -> Check {
        match self {
            Voucher::Nobody => Check::unpinned(id, subject, unpinned()),
            Voucher::Pinned => Check::sound(id, subject).noting(NAMED_BY_CREATOR),
            Voucher::Unpinned => {
                Check::unpinned(id, subject, "only the creator names it, whose own key is not a pinned one")
            }
        }
    }
}

/// A party of a train and the key that it has there.
struct Party<'a> {
    id: CheckId,
    role: Role,
    party: &'a PartyId,
    subject: Subject,
    key: &'a PublicKey,
}

/// Adds to what a wire version found of a config who vouches for its keys.
pub fn collect(trust: Option<&TrustStore>, config: &TrainConfig, mut checks: Vec<Check>) -> Vec<Check> {
    let Some(trust) = trust else {
        checks.push(Check::weak(CheckId::Trust, "public keys", nobody_vouches(config)));
        return checks;
    };
    let creator = config.creator();
    let party = Party {
        id: CheckId::CreatorKey,
        role: Role::Creator,
        party: &creator.id,
        subject: Subject::Creator(creator.id.clone()),
        key: &creator.public_key,
    };
    let of_creator = trust.party(&party, Voucher::Nobody);
    let vouched = match config.form().creator_vouches() {
        false => Voucher::Nobody,
        true if of_creator.verdict == Verdict::Sound => Voucher::Pinned,
        true => Voucher::Unpinned,
    };
    // A wire version says something of the builder only where it has one.
    for check in checks.iter_mut().filter(|check| check.id == CheckId::BuilderKey) {
        if let Some(key) = config.form().builder_key() {
            *check = trust.builder(key, vouched);
        }
    }
    checks.push(of_creator);
    for stop in config.route().stops() {
        let party = Party {
            id: CheckId::StationKey,
            role: Role::Station,
            party: &stop.station,
            subject: stop.subject(),
            key: &stop.public_key,
        };
        checks.push(trust.party(&party, vouched));
    }
    checks
}

/// Looks at the creator's Paillier key, if the train has one: under it the stations encrypt what they count.
pub fn collect_paillier(config: &TrainConfig) -> Option<Check> {
    let creator = config.raw().get("creator").and_then(Value::as_object)?;
    let key = creator.get("paillier_public_key").filter(|key| !key.is_null())?;
    let subject = Subject::Creator(config.creator().id.clone());
    let unsigned = "the Paillier key is under no signature in this wire version: anyone with the train can replace it";
    Some(match paillier_bits(key) {
        Some(bits) if bits >= PAILLIER_MIN_BITS && config.form().creator_vouches() => {
            Check::sound(CheckId::PaillierKey, subject)
        }
        Some(bits) if bits >= PAILLIER_MIN_BITS => Check::weak(CheckId::PaillierKey, subject, unsigned),
        Some(bits) => {
            let reason =
                format!("its Paillier modulus has {bits} bits, less than {PAILLIER_MIN_BITS}: it may be factored");
            Check::weak(CheckId::PaillierKey, subject, reason)
        }
        None => {
            let reason =
                "paillier_public_key is not of the form {\"n\": \"...\", \"g\": \"...\"}, so that its size is unknown";
            Check::weak(CheckId::PaillierKey, subject, reason)
        }
    })
}

/// Bits of the modulus of a Paillier key.
fn paillier_bits(key: &Value) -> Option<u32> {
    let digits = digits_of(object_of(key)?.get("n")?)?;
    // A decimal digit is more than three bits.
    if digits.len() > MAX_BITS / 3 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    BoxedUint::from_str_radix_vartime(&digits, 10).ok().map(|modulus| modulus.bit_width_vartime())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::hex;
    use crate::error::Kind;
    use crate::json::{self, json};
    use crate::train::Verdict;
    use crate::train::testing::{Owner, STATIONS, at, key, tampered, travelled};
    use crate::train::wire::classic::{V1_1_2, V2_0};

    fn pinned() -> TrustStore {
        let mut trust = TrustStore::default();
        trust.pin(Role::Creator, "user-1", key(Owner::Creator).public_key()).unwrap();
        trust.pin(Role::Builder, "any name", key(Owner::Builder).public_key()).unwrap();
        for (index, name) in ["station_0", "001", "station_2"].into_iter().enumerate() {
            trust.pin(Role::Station, name, key(Owner::Station(index)).public_key()).unwrap();
        }
        trust
    }

    fn broken(trust: &TrustStore, config: &TrainConfig) -> Vec<(CheckId, String)> {
        let checks = collect(Some(trust), config, config.form().collect_build(config));
        checks
            .into_iter()
            .filter(|c| matches!(c.verdict, Verdict::Broken(_) | Verdict::Unpinned(_)))
            .map(|c| (c.id, c.subject.to_string()))
            .collect()
    }

    #[test]
    fn pinned_keys_are_sound_and_all_others_broken() {
        let config = travelled(&V2_0, 1);
        let checks = collect(Some(&pinned()), &config, config.form().collect_build(&config));
        assert_eq!(checks.len(), 2 + 1 + STATIONS);
        assert!(checks.iter().all(|check| check.verdict == Verdict::Sound), "{checks:?}");

        let mut trust = pinned();
        trust.pins.retain(|(role, _, _)| *role != Role::Builder);
        assert_eq!(broken(&trust, &config), [(CheckId::BuilderKey, "build".to_owned())]);
        assert_eq!(broken(&trust, &travelled(&V1_1_2, 1)), [], "no builder, no pin");
        trust.pins.retain(|(role, _, _)| *role != Role::Creator);
        trust.pins.retain(|(_, party, _)| !party.is_named("1"));
        trust.pin(Role::Station, "1", key(Owner::Stranger).public_key()).unwrap();
        let found =
            [(CheckId::CreatorKey, "creator `user-1`".to_owned()), (CheckId::StationKey, "station `1`".to_owned())];
        assert_eq!(broken(&trust, &travelled(&V1_1_2, 1)), found);
    }

    #[test]
    fn one_party_has_one_pin_and_builders_have_many() {
        let mut trust = pinned();
        let stranger = key(Owner::Stranger).public_key();
        assert_eq!(trust.pin(Role::Station, "1", stranger.clone()).unwrap_err().kind(), Kind::Usage);
        trust.pin(Role::Station, "1", key(Owner::Station(1)).public_key()).unwrap();
        trust.pin(Role::Builder, "any name", stranger).unwrap();
        assert_eq!(broken(&trust, &travelled(&V2_0, 0)), []);
    }

    #[test]
    fn without_pins_the_keys_are_weak() {
        let config = travelled(&V2_0, 1);
        let checks = collect(None, &config, config.form().collect_build(&config));
        let weak = checks.iter().filter(|check| matches!(check.verdict, Verdict::Weak(_)));
        assert_eq!(weak.map(|check| check.id).collect::<Vec<_>>(), [CheckId::BuilderKey, CheckId::Trust]);
    }

    #[test]
    fn measures_a_paillier_modulus_in_every_form() {
        let number = |bits: u32| {
            // 10^k has floor(k log2 10) + 1 bits; close enough on either side of the limit.
            format!("1{}", "0".repeat((f64::from(bits) / std::f64::consts::LOG2_10) as usize + 1))
        };
        let (small, large) = (number(1000), number(2048));
        let text = |n: &str| format!(r#"{{"n": "{n}", "g": "2"}}"#);
        let verdict = |value: Value| {
            let config = tampered(&travelled(&V1_1_2, 0), |raw| *at(raw, "/creator/paillier_public_key") = value);
            collect_paillier(&config).map(|check| check.verdict.name())
        };
        let number = json::parse(format!(r#"{{"n": {large}, "g": 2}}"#).as_bytes()).unwrap();
        for (value, expected) in [
            (Value::Null, None),
            (json!(text(&large)), Some("weak")),
            (json!(hex::encode(text(&large).as_bytes())), Some("weak")),
            (number, Some("weak")),
            (json!(text(&small)), Some("weak")),
            (json!(hex::encode(text(&small).as_bytes())), Some("weak")),
            (json!("not a key"), Some("weak")),
            (json!(7), Some("weak")),
            (json!(text("-5")), Some("weak")),
            (json!(text(&"9".repeat(1 << 20))), Some("weak")),
        ] {
            assert_eq!(verdict(value.clone()), expected, "{value}");
        }
    }
}
