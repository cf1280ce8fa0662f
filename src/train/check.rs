//! Checks and their verdicts: the rows of a report.

use std::fmt;

use super::party::PartyId;
use crate::error::{Advice, Error, Result};

/// The kind of a check; its text is the stable name in reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CheckId {
    /// The wire version is not older than the oldest that is accepted.
    MinWire,
    /// The immutable files hash to what the creator signed.
    ImmutableHash,
    /// The immutable files have the path, mode, size and content that the creator signed, and there are no others.
    ImmutableFiles,
    /// Properties that the immutable hash does not bind: names, modes and boundaries of the files.
    FileNames,
    /// The config's hash is that of what the creator states about the train.
    Statement,
    /// The creator's signature of the immutable hash or of the statement.
    CreatorSignature,
    /// The session id has the length that the protocol gives it.
    SessionId,
    /// The builder's digest is the one that train, payload and key give.
    BuildDigest,
    /// The builder's signature.
    BuildSignature,
    /// The party that vouches for the builder's key.
    BuilderKey,
    /// The creator's key is the pinned one.
    CreatorKey,
    /// A station's key is the pinned one.
    StationKey,
    /// The presence of pinned keys.
    Trust,
    /// The key that results are encrypted with homomorphically is large enough.
    PaillierKey,
    /// The run has left the config as pre-run verified it.
    ConfigAfterRun,
    /// Stations have signed in the order of the route.
    RouteOrder,
    /// Stations and keys on the route are those that the creator meant.
    RouteBinding,
    /// The stage's key is wrapped for those who need it and for nobody else.
    KeyRecipients,
    /// A station's digest is the one that train, stop, earlier digests, payload and key give.
    StopDigest,
    /// A station's signature of its digest.
    StopSignature,
    /// The digest of the last station that has signed is the one that session, route and results give.
    LastDigest,
    /// The digest of a station before the last.
    OlderDigest,
    /// The base layers are those that the creator signed, down to their blobs.
    Base,
    /// The payload layer is the one that the last signature vouches for.
    Payload,
    /// Above the signed payload layer there is the control layer, and nothing else in it.
    Control,
    /// The layers that were read have the digests that the image gives.
    Layers,
    /// No two encrypted files begin with the same initialisation vector.
    FileIvs,
    /// The results decrypt, every chunk of them authenticated.
    Results,
    /// The results hash to the config's result hash.
    ResultHash,
    /// The last station's signature of the result hash.
    ResultSignature,
    /// Command, environment, user and platform of the image are the signed ones.
    ImageConfig,
    /// Those for whom the last key is wrapped are the ones that the last signer names.
    Recipients,
    /// The image is one of the master images that the station accepts, but for the train's own files.
    Master,
    /// No stop says that it was made before the one that it follows.
    Time,
}

impl CheckId {
    /// Every check, in the order of declaration.
    pub const ALL: [CheckId; 34] = [
        CheckId::MinWire,
        CheckId::ImmutableHash,
        CheckId::ImmutableFiles,
        CheckId::FileNames,
        CheckId::Statement,
        CheckId::CreatorSignature,
        CheckId::SessionId,
        CheckId::BuildDigest,
        CheckId::BuildSignature,
        CheckId::BuilderKey,
        CheckId::CreatorKey,
        CheckId::StationKey,
        CheckId::Trust,
        CheckId::PaillierKey,
        CheckId::ConfigAfterRun,
        CheckId::RouteOrder,
        CheckId::RouteBinding,
        CheckId::KeyRecipients,
        CheckId::StopDigest,
        CheckId::StopSignature,
        CheckId::LastDigest,
        CheckId::OlderDigest,
        CheckId::Base,
        CheckId::Payload,
        CheckId::Control,
        CheckId::Layers,
        CheckId::FileIvs,
        CheckId::Results,
        CheckId::ResultHash,
        CheckId::ResultSignature,
        CheckId::ImageConfig,
        CheckId::Recipients,
        CheckId::Master,
        CheckId::Time,
    ];

    /// The stable name in reports, as in `stop-signature`.
    pub fn name(self) -> &'static str {
        match self {
            CheckId::MinWire => "min-wire",
            CheckId::ImmutableHash => "immutable-hash",
            CheckId::ImmutableFiles => "immutable-files",
            CheckId::FileNames => "file-names",
            CheckId::Statement => "statement",
            CheckId::CreatorSignature => "creator-signature",
            CheckId::SessionId => "session-id",
            CheckId::BuildDigest => "build-digest",
            CheckId::BuildSignature => "build-signature",
            CheckId::BuilderKey => "builder-key",
            CheckId::CreatorKey => "creator-key",
            CheckId::StationKey => "station-key",
            CheckId::Trust => "trust",
            CheckId::PaillierKey => "paillier-key",
            CheckId::ConfigAfterRun => "config-after-run",
            CheckId::RouteOrder => "route-order",
            CheckId::RouteBinding => "route-binding",
            CheckId::KeyRecipients => "key-recipients",
            CheckId::StopDigest => "stop-digest",
            CheckId::StopSignature => "stop-signature",
            CheckId::LastDigest => "last-digest",
            CheckId::OlderDigest => "older-digest",
            CheckId::Base => "base",
            CheckId::Payload => "payload",
            CheckId::Control => "control",
            CheckId::Layers => "layers",
            CheckId::FileIvs => "file-ivs",
            CheckId::Results => "results",
            CheckId::ResultHash => "result-hash",
            CheckId::ResultSignature => "result-signature",
            CheckId::ImageConfig => "image-config",
            CheckId::Recipients => "recipients",
            CheckId::Master => "master",
            CheckId::Time => "time",
        }
    }
}

impl fmt::Display for CheckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The object of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subject {
    /// The creator, by id.
    Creator(PartyId),
    /// The build.
    Build,
    /// A stop of the route.
    Stop {
        /// Its position on the route, from 0.
        index: usize,
        /// The station's identity.
        station: PartyId,
    },
    /// Anything else, by the name that reports give it.
    Part(&'static str),
}

impl Subject {
    /// The position of the stop, if it is one.
    pub fn stop(&self) -> Option<usize> {
        match self {
            Subject::Stop { index, .. } => Some(*index),
            _ => None,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Creator(id) => write!(f, "creator `{id}`"),
            Subject::Build => f.write_str("build"),
            Subject::Stop { station, .. } => write!(f, "station `{station}`"),
            Subject::Part(name) => f.write_str(name),
        }
    }
}

impl From<&'static str> for Subject {
    fn from(name: &'static str) -> Self {
        Subject::Part(name)
    }
}

/// The outcome of a check, from good to bad.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Verdict {
    /// It holds.
    Sound,
    /// Nothing contradicts it, but this wire version cannot prove it; why not.
    Weak(String),
    /// A key for which none is pinned, where keys are: nobody vouches for it; whose.
    Unpinned(String),
    /// It does not hold; what was found.
    Broken(String),
}

impl Verdict {
    /// The stable name in reports: `sound`, `weak`, `unpinned` or `broken`.
    pub fn name(&self) -> &'static str {
        match self {
            Verdict::Sound => "sound",
            Verdict::Weak(_) => "weak",
            Verdict::Unpinned(_) => "unpinned",
            Verdict::Broken(_) => "broken",
        }
    }

    /// Why it is weak or broken.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Verdict::Sound => None,
            Verdict::Weak(reason) | Verdict::Unpinned(reason) | Verdict::Broken(reason) => Some(reason),
        }
    }
}

/// Why a key needs no pin of its own.
pub(crate) const NAMED_BY_CREATOR: &str = "the creator's signature names it";

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Check {
    /// The kind of check.
    pub id: CheckId,
    /// The object that was checked.
    pub subject: Subject,
    /// The outcome.
    pub verdict: Verdict,
    /// Why it is sound, where that is not plain: who vouches for a key.
    pub note: Option<&'static str>,
}

impl Check {
    /// A check that holds.
    pub fn sound(id: CheckId, subject: impl Into<Subject>) -> Self {
        Check { id, subject: subject.into(), verdict: Verdict::Sound, note: None }
    }

    /// A check that nothing contradicts, and why it proves little.
    pub fn weak(id: CheckId, subject: impl Into<Subject>, reason: impl Into<String>) -> Self {
        Check { id, subject: subject.into(), verdict: Verdict::Weak(reason.into()), note: None }
    }

    /// A check of a key for which none is pinned.
    pub fn unpinned(id: CheckId, subject: impl Into<Subject>, reason: impl Into<String>) -> Self {
        Check { id, subject: subject.into(), verdict: Verdict::Unpinned(reason.into()), note: None }
    }

    /// A check that does not hold, and what was found.
    pub fn broken(id: CheckId, subject: impl Into<Subject>, reason: impl Into<String>) -> Self {
        Check { id, subject: subject.into(), verdict: Verdict::Broken(reason.into()), note: None }
    }

    /// The check with a word on why it is sound.
    #[must_use]
    pub fn noting(self, note: &'static str) -> Self {
        Check { note: Some(note), ..self }
    }

    /// Why it is as it is, where there is something to say.
    pub fn reason(&self) -> Option<&str> {
        self.verdict.reason().or(self.note)
    }

    /// True if it says nothing without the creator's signature: of what he has signed, or whom he names.
    fn rests_on_creator(&self) -> bool {
        let of_signed = [
            CheckId::ImmutableHash,
            CheckId::ImmutableFiles,
            CheckId::FileNames,
            CheckId::RouteBinding,
            CheckId::Base,
            CheckId::ImageConfig,
        ];
        self.note == Some(NAMED_BY_CREATOR) || of_signed.contains(&self.id)
    }

    /// True if the check failed.
    pub fn is_broken(&self) -> bool {
        matches!(self.verdict, Verdict::Broken(_))
    }

    /// A check that holds if `holds`, else is broken because of `reason`.
    pub fn of(holds: bool, id: CheckId, subject: impl Into<Subject>, reason: impl Into<String>) -> Self {
        if holds { Check::sound(id, subject) } else { Check::broken(id, subject, reason) }
    }
}

/// False if the creator's signature, or what it is of, does not hold: then nothing is signed by the creator.
pub(crate) fn is_signed_by_creator(checks: &[Check]) -> bool {
    let of_creator = [CheckId::Statement, CheckId::CreatorSignature];
    !checks.iter().any(|check| of_creator.contains(&check.id) && check.is_broken())
}

/// Takes back what rests on the creator's signature where that does not hold: whoever broke it may have written the rest.
pub(crate) fn withdraw_unfounded(checks: &mut [Check]) {
    if is_signed_by_creator(checks) {
        return;
    }
    let is_unfounded = |check: &&mut Check| check.verdict == Verdict::Sound && check.rests_on_creator();
    for check in checks.iter_mut().filter(is_unfounded) {
        let reason = "rests on the creator's signature, which is missing or does not hold";
        *check = Check::weak(check.id, check.subject.clone(), reason);
    }
}

/// False if a signature is missing between others.
pub(crate) fn is_in_order(checks: &[Check]) -> bool {
    !checks.iter().any(|check| check.id == CheckId::RouteOrder && check.is_broken())
}

/// Takes back what rests on which signature is the last one, where a signature is missing between others.
pub(crate) fn withdraw_unordered(checks: &mut [Check]) {
    if is_in_order(checks) {
        return;
    }
    for check in checks.iter_mut().filter(|check| check.id == CheckId::Payload) {
        let reason = "which signature it is of cannot be told: one is missing between others";
        *check = Check::weak(check.id, check.subject.clone(), reason);
    }
}

/// The checks, if none of them is broken.
///
/// # Errors
/// [`Kind::Verification`](crate::error::Kind::Verification) with the reason of the first broken one, at its subject; if none
/// is broken, of the first for which no key is pinned.
pub fn require_ok(checks: Vec<Check>) -> Result<Vec<Check>> {
    for check in &checks {
        if let Verdict::Broken(reason) = &check.verdict {
            return Err(Error::verification(reason.clone())
                .in_check(check.id.name(), &check.subject)
                .at(&check.subject));
        }
    }
    // Whose pin is missing first of all: the creator vouches for others.
    let unpinned_checks = || {
        checks.iter().filter_map(|check| match &check.verdict {
            Verdict::Unpinned(reason) => Some((reason, check)),
            _ => None,
        })
    };
    let first = unpinned_checks().find(|(_, check)| check.id == CheckId::CreatorKey);
    match first.or_else(|| unpinned_checks().next()) {
        None => Ok(checks),
        Some((reason, check)) => Err(unpinned(reason, check, &checks)),
    }
}

/// The error of a train some of whose keys have no pin: the first of them, and whose the others are.
fn unpinned(reason: &str, check: &Check, checks: &[Check]) -> Error {
    let others = checks.iter().filter(|other| matches!(other.verdict, Verdict::Unpinned(_)) && *other != check);
    let others: Vec<String> = others.map(|other| other.subject.to_string()).collect();
    let more = if others.is_empty() { String::new() } else { format!("; nor is one for {}", others.join(", ")) };
    Error::verification(format!("{reason}{more}"))
        .advise(Advice::PinKeys)
        .in_check(check.id.name(), &check.subject)
        .at(&check.subject)
}

/// The checks, if all of them are sound: [`require_ok`], and what is weak is refused as well.
///
/// # Errors
/// As [`require_ok`]; a broken check comes before every weak one.
pub fn require_sound(checks: Vec<Check>) -> Result<Vec<Check>> {
    let checks = require_ok(checks)?;
    let weak = checks.iter().find_map(|check| match &check.verdict {
        Verdict::Weak(reason) => Some((reason, check)),
        _ => None,
    });
    match weak {
        None => Ok(checks),
        Some((reason, check)) => Err(Error::verification(format!("weak: {reason}"))
            .advise(Advice::NotStrict)
            .in_check(check.id.name(), &check.subject)
            .at(&check.subject)),
    }
}

/// The verdict on all of them: the worst.
pub fn overall(checks: &[Check]) -> Verdict {
    checks.iter().map(|check| &check.verdict).max().cloned().unwrap_or(Verdict::Sound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn stop_b() -> Subject {
        Subject::Stop { index: 1, station: PartyId::from("b") }
    }

    #[test]
    fn nothing_rests_on_a_signature_that_does_not_hold() {
        let checks = |creator: Check| {
            vec![
                creator,
                Check::sound(CheckId::BuilderKey, Subject::Build).noting(NAMED_BY_CREATOR),
                Check::sound(CheckId::StationKey, "pinned by itself"),
                Check::sound(CheckId::RouteBinding, "route"),
                Check::broken(CheckId::ImageConfig, "image config", "changed"),
                Check::sound(CheckId::StopSignature, "of the station"),
            ]
        };
        let names = |checks: &[Check]| checks.iter().map(|check| check.verdict.name()).collect::<Vec<_>>();
        let mut held = checks(Check::sound(CheckId::CreatorSignature, "creator"));
        withdraw_unfounded(&mut held);
        assert_eq!(names(&held), ["sound", "sound", "sound", "sound", "broken", "sound"]);
        for id in [CheckId::CreatorSignature, CheckId::Statement] {
            let mut broken = checks(Check::broken(id, "creator", "changed"));
            withdraw_unfounded(&mut broken);
            assert_eq!(names(&broken), ["broken", "weak", "sound", "weak", "broken", "sound"]);
        }
    }

    #[test]
    fn the_first_broken_check_is_the_error() {
        let fine =
            vec![Check::sound(CheckId::RouteOrder, "route"), Check::weak(CheckId::BuilderKey, "builder", "unknown")];
        assert_eq!(require_ok(fine.clone()).unwrap(), fine);
        let broken = [fine, vec![Check::broken(CheckId::StopSignature, stop_b(), "does not verify")]].concat();
        let error = require_ok(broken).unwrap_err();
        assert_eq!(error.kind(), Kind::Verification);
        assert_eq!(error.to_string(), "station `b`: does not verify");
    }

    #[test]
    fn strictly_a_weak_check_is_an_error_and_a_broken_one_comes_first() {
        let sound = vec![Check::sound(CheckId::RouteOrder, "route")];
        assert_eq!(require_sound(sound.clone()).unwrap(), sound);
        assert_eq!(overall(&sound), Verdict::Sound);
        let weak = [sound, vec![Check::weak(CheckId::BuilderKey, "build", "unknown")]].concat();
        assert_eq!(require_sound(weak.clone()).unwrap_err().to_string(), "build: weak: unknown");
        assert_eq!(overall(&weak).name(), "weak");
        let broken = [weak, vec![Check::broken(CheckId::StopSignature, stop_b(), "is not")]].concat();
        assert_eq!(require_sound(broken.clone()).unwrap_err().to_string(), "station `b`: is not");
        assert_eq!(overall(&broken).name(), "broken");
    }
}
