//! What was checked, and with which verdict: the rows of a report.

use crate::error::{Advice, Error, Result};

/// The stable names of checks, as reports show them.
pub mod id {
    /// The immutable files hash to what the creator signed.
    pub const IMMUTABLE_HASH: &str = "immutable-hash";
    /// The immutable files have the path, mode, size and content that the creator signed, and there are no others.
    pub const IMMUTABLE_FILES: &str = "immutable-files";
    /// What the immutable hash does not bind: names, modes and boundaries of the files.
    pub const FILE_NAMES: &str = "file-names";
    /// The config's hash is that of what the creator states about the train.
    pub const STATEMENT: &str = "statement";
    /// The creator's signature of the immutable hash or of the statement.
    pub const CREATOR_SIGNATURE: &str = "creator-signature";
    /// The session id has the length that the protocol gives it.
    pub const SESSION_ID: &str = "session-id";
    /// The builder's digest is the one that train, payload and key give.
    pub const BUILD_DIGEST: &str = "build-digest";
    /// The builder's signature.
    pub const BUILD_SIGNATURE: &str = "build-signature";
    /// Who vouches for the builder's key.
    pub const BUILDER_KEY: &str = "builder-key";
    /// The creator's key is the pinned one.
    pub const CREATOR_KEY: &str = "creator-key";
    /// A station's key is the pinned one.
    pub const STATION_KEY: &str = "station-key";
    /// Whether keys were pinned at all.
    pub const TRUST: &str = "trust";
    /// The key that results are encrypted with homomorphically is large enough.
    pub const PAILLIER_KEY: &str = "paillier-key";
    /// The run has left the config as pre-run verified it.
    pub const CONFIG_AFTER_RUN: &str = "config-after-run";
    /// Stations have signed in the order of the route.
    pub const ROUTE_ORDER: &str = "route-order";
    /// Stations and keys on the route are those that the creator meant.
    pub const ROUTE_BINDING: &str = "route-binding";
    /// The stage's key is wrapped for those who need it and for nobody else.
    pub const KEY_RECIPIENTS: &str = "key-recipients";
    /// A station's digest is the one that train, stop, earlier digests, payload and key give.
    pub const STOP_DIGEST: &str = "stop-digest";
    /// A station's signature of its digest.
    pub const STOP_SIGNATURE: &str = "stop-signature";
    /// The digest of the last station that has signed is the one that session, route and results give.
    pub const LAST_DIGEST: &str = "last-digest";
    /// The digest of a station before the last.
    pub const OLDER_DIGEST: &str = "older-digest";
    /// The base layers are those that the creator signed.
    pub const BASE_CHAIN: &str = "base-chain";
    /// The payload layer is the one that the last signature vouches for.
    pub const PAYLOAD: &str = "payload";
    /// Above the signed payload layer there is the control layer, and nothing else in it.
    pub const CONTROL: &str = "control";
    /// The layers that were read have the digests that the image gives.
    pub const LAYERS: &str = "layers";
    /// No two encrypted files begin with the same initialisation vector.
    pub const FILE_IVS: &str = "file-ivs";
    /// The results decrypt, every chunk of them authenticated.
    pub const RESULTS: &str = "results";
    /// The results hash to the config's result hash.
    pub const RESULT_HASH: &str = "result-hash";
    /// The last station's signature of the result hash.
    pub const RESULT_SIGNATURE: &str = "result-signature";
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It holds.
    Sound,
    /// Nothing contradicts it, but this wire version cannot prove it; why not.
    Weak(String),
    /// It does not hold; what was found.
    Broken(String),
}

impl Verdict {
    /// The stable name in reports: `sound`, `weak` or `broken`.
    pub fn name(&self) -> &'static str {
        match self {
            Verdict::Sound => "sound",
            Verdict::Weak(_) => "weak",
            Verdict::Broken(_) => "broken",
        }
    }

    /// Why it is weak or broken.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Verdict::Sound => None,
            Verdict::Weak(reason) | Verdict::Broken(reason) => Some(reason),
        }
    }
}

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Check {
    /// What kind of check it is; one of [`id`].
    pub id: &'static str,
    /// What was checked, as in ``station `charite` ``.
    pub subject: String,
    /// What came out.
    pub verdict: Verdict,
}

impl Check {
    /// A check that holds.
    pub fn sound(id: &'static str, subject: impl Into<String>) -> Self {
        Check { id, subject: subject.into(), verdict: Verdict::Sound }
    }

    /// A check that nothing contradicts, and why it proves little.
    pub fn weak(id: &'static str, subject: impl Into<String>, reason: impl Into<String>) -> Self {
        Check { id, subject: subject.into(), verdict: Verdict::Weak(reason.into()) }
    }

    /// A check that does not hold, and what was found.
    pub fn broken(id: &'static str, subject: impl Into<String>, reason: impl Into<String>) -> Self {
        Check { id, subject: subject.into(), verdict: Verdict::Broken(reason.into()) }
    }

    /// A check that holds if `holds`, else is broken because of `reason`.
    pub fn of(holds: bool, id: &'static str, subject: impl Into<String>, reason: impl Into<String>) -> Self {
        if holds { Check::sound(id, subject) } else { Check::broken(id, subject, reason) }
    }
}

/// The checks, if none of them is broken.
///
/// # Errors
/// [`Kind::Verification`](crate::error::Kind::Verification) with the reason of the first broken one, at its subject.
pub fn require_ok(checks: Vec<Check>) -> Result<Vec<Check>> {
    for check in &checks {
        if let Verdict::Broken(reason) = &check.verdict {
            return Err(Error::verification(reason.clone()).at(&check.subject));
        }
    }
    Ok(checks)
}

/// The checks, if all of them are sound: [`require_ok`], and what is weak is refused as well.
///
/// # Errors
/// As [`require_ok`]; a broken check comes before every weak one.
pub fn require_sound(checks: Vec<Check>) -> Result<Vec<Check>> {
    let checks = require_ok(checks)?;
    let weak = checks.iter().find_map(|check| match &check.verdict {
        Verdict::Weak(reason) => Some((reason, &check.subject)),
        _ => None,
    });
    match weak {
        None => Ok(checks),
        Some((reason, subject)) => {
            Err(Error::verification(format!("weak: {reason}")).advise(Advice::NotStrict).at(subject))
        }
    }
}

/// The verdict on all of them: the worst.
pub fn overall(checks: &[Check]) -> &'static str {
    let any = |name| checks.iter().any(|check| check.verdict.name() == name);
    ["broken", "weak"].into_iter().find(|name| any(*name)).unwrap_or("sound")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn the_first_broken_check_is_the_error() {
        let fine = vec![Check::sound(id::ROUTE_ORDER, "route"), Check::weak(id::BUILDER_KEY, "builder", "unknown")];
        assert_eq!(require_ok(fine.clone()).unwrap(), fine);
        let broken = [fine, vec![Check::broken(id::STOP_SIGNATURE, "station `b`", "does not verify")]].concat();
        let error = require_ok(broken).unwrap_err();
        assert_eq!(error.kind(), Kind::Verification);
        assert_eq!(error.to_string(), "station `b`: does not verify");
    }

    #[test]
    fn strictly_a_weak_check_is_an_error_and_a_broken_one_comes_first() {
        let sound = vec![Check::sound(id::ROUTE_ORDER, "route")];
        assert_eq!(require_sound(sound.clone()).unwrap(), sound);
        assert_eq!(overall(&sound), "sound");
        let weak = [sound, vec![Check::weak(id::BUILDER_KEY, "build", "unknown")]].concat();
        assert_eq!(require_sound(weak.clone()).unwrap_err().to_string(), "build: weak: unknown");
        assert_eq!(overall(&weak), "weak");
        let broken = [weak, vec![Check::broken(id::STOP_SIGNATURE, "station `b`", "is not")]].concat();
        assert_eq!(require_sound(broken.clone()).unwrap_err().to_string(), "station `b`: is not");
        assert_eq!(overall(&broken), "broken");
    }
}
