//! A reviewer's signature under exactly these results.

use super::entries::ResultKind;
use super::finding::Severity;
use super::report::Review;
use crate::crypto::dsse::{Envelope, IN_TOTO};
use crate::crypto::{PrivateKey, PublicKey, Sha256, hex};
use crate::error::{Advice, Error, ErrorContext, Result};
use crate::json::{self, Object, Value, json};

/// The type of the statement that an approval is (in-toto attestation framework, Statement v1).
pub const PREDICATE_TYPE: &str = "https://personalhealthtrain.de/pht-oci/approval/v1";
const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// What an approval is about: it fits nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApprovalSubject {
    /// The train's id.
    pub train: String,
    /// The SHA-256 of the train config that pre-run has verified: code, route, and all stops before this one.
    pub config: String,
    /// The position of the stop on the route, from 0.
    pub stop: usize,
    /// The station.
    pub station: String,
    /// The digest of the results, as [`results_digest`](super::results_digest) gives it.
    pub results: String,
    /// The digest of the station's rules.
    pub policy: String,
}

impl ApprovalSubject {
    /// What is approved.
    pub fn new(train: String, config: String, stop: (usize, String), results: String, policy: String) -> Self {
        let (stop, station) = stop;
        ApprovalSubject { train, config, stop, station, results, policy }
    }

    fn to_json(&self) -> Value {
        json!({
            "train": { "id": self.train, "config": self.config },
            "stop": { "index": self.stop as u64, "station": self.station },
            "results": self.results,
            "policy": self.policy,
        })
    }
}

/// A finding that stops, and why it is let through.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accepted {
    /// The finding, as [`Finding::key`](super::Finding::key) gives it.
    pub finding: String,
    /// The reviewer's reason.
    pub reason: String,
}

impl Accepted {
    /// A finding with the reason for which it is accepted.
    pub fn new(finding: impl Into<String>, reason: impl Into<String>) -> Self {
        Accepted { finding: finding.into(), reason: reason.into() }
    }
}

/// An approval, signed.
#[derive(Debug, Clone)]
pub struct Approval {
    envelope: Envelope,
}

impl Approval {
    /// Signs that these results may leave.
    ///
    /// # Errors
    /// [`Kind::Decision`](crate::error::Kind::Decision) if a finding stops and is not accepted with a reason;
    /// [`Kind::Usage`](crate::error::Kind::Usage) if something is accepted that was not found.
    pub fn sign(
        subject: &ApprovalSubject,
        review: &Review,
        accepted: &[Accepted],
        key: &PrivateKey,
        (time, comment): (&str, Option<&str>),
    ) -> Result<Self> {
        ensure_accepted(review, accepted)?;
        let mut files = vec![json!({ "name": "results", "digest": { "sha256": bare(&subject.results) } })];
        files.extend(review.files.iter().filter_map(|file| match &file.entry.kind {
            ResultKind::File { digest, .. } => {
                Some(json!({ "name": file.path, "digest": { "sha256": hex::encode(digest) } }))
            }
            _ => None,
        }));
        let reason =
            |key: &str| accepted.iter().find(|accepted| accepted.finding == key).map(|accepted| &accepted.reason);
        let mut findings: Vec<Value> = review
            .findings
            .iter()
            .map(|finding| (finding.key(), finding.severity))
            .map(|(key, severity)| json!({ "finding": key, "severity": severity.name(), "reason": reason(&key) }))
            .collect();
        findings.dedup();
        let mut predicate = subject.to_json();
        let members = json!({
            "decision": "approved",
            "rules": review.policy.to_json(),
            "findings": findings,
            "reviewer": key.public_key().fingerprint(),
            "comment": comment,
            "time": time,
            "tool": format!("pht-oci {}", env!("CARGO_PKG_VERSION")),
        });
        if let (Some(predicate), Value::Object(members)) = (predicate.as_object_mut(), members) {
            predicate.extend(members);
        }
        let statement = json!({
            "_type": STATEMENT_TYPE,
            "subject": files,
            "predicateType": PREDICATE_TYPE,
            "predicate": predicate,
        });
        Ok(Approval { envelope: Envelope::sign(IN_TOTO, json::to_vec(&statement), key)? })
    }

    /// Reads an approval; nothing of it is verified.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::error::Kind::Malformed) if it is no DSSE envelope.
    pub fn parse(document: &[u8]) -> Result<Self> {
        Ok(Approval { envelope: Envelope::parse(document)? })
    }

    /// What it says of itself, for a record of those that were verified: the reviewer, the time, what was accepted and why.
    pub fn summary(&self) -> Value {
        let statement = json::parse_object(self.envelope.unverified()).unwrap_or_default();
        let predicate = statement.get("predicate").and_then(Value::as_object).cloned().unwrap_or_default();
        let findings = predicate.get("findings").and_then(Value::as_array).into_iter().flatten();
        let accepted = findings.filter(|finding| finding.get("reason").is_some_and(Value::is_string));
        let accepted = accepted.map(|one| json!({ "finding": one.get("finding"), "reason": one.get("reason") }));
        json!({
            "reviewer": predicate.get("reviewer"),
            "time": predicate.get("time"),
            "comment": predicate.get("comment"),
            "accepted": accepted.collect::<Vec<_>>(),
            "results": predicate.get("results"),
            "policy": predicate.get("policy"),
            "sha256": hex::encode(&Sha256::of(self.envelope.unverified())),
        })
    }

    /// The file of an approval, by who has signed it.
    pub fn to_json(&self, key: &PublicKey) -> Vec<u8> {
        self.envelope.to_json(key)
    }

    /// Which of these reviewers has approved exactly `subject`, by the position.
    ///
    /// # Errors
    /// [`Kind::Decision`](crate::error::Kind::Decision) if none of them has signed it, or it is about something else; the
    /// message says what.
    pub fn verify(&self, subject: &ApprovalSubject, reviewers: &[PublicKey]) -> Result<usize> {
        let signer = |key: &PublicKey| self.envelope.verify(IN_TOTO, key).is_some();
        let Some(reviewer) = reviewers.iter().position(signer) else {
            let hint = "have a reviewer of the station approve, or pin the reviewer's key in reviewers/NAME.pem of the trust directory";
            return Err(Error::decision("not signed by a reviewer of this station").hint(hint));
        };
        let statement = json::parse_object(self.envelope.unverified())?;
        let is = |key: &str, wanted: &str| statement.get(key).and_then(Value::as_str) == Some(wanted);
        if !is("_type", STATEMENT_TYPE) || !is("predicateType", PREDICATE_TYPE) {
            return Err(Error::decision("a signed statement of another kind, no approval"));
        }
        let predicate = statement
            .get("predicate")
            .and_then(Value::as_object)
            .ok_or_else(|| Error::decision("an approval of nothing"))?;
        ensure_fits(predicate, subject)?;
        let is_own = predicate.get("reviewer").and_then(Value::as_str) == Some(&reviewers[reviewer].fingerprint());
        if predicate.get("decision").and_then(Value::as_str) != Some("approved") || !is_own {
            return Err(Error::decision("an approval that its signer has not given"));
        }
        Ok(reviewer)
    }
}

/// Compares an approval with what is about to leave.
fn ensure_fits(predicate: &Object, subject: &ApprovalSubject) -> Result<()> {
    let wanted = subject.to_json();
    let differences = [
        ("train", "another train, or another state of it"),
        ("stop", "another stop"),
        ("results", "other results: they were changed after the approval"),
        ("policy", "other rules than those of the station now"),
    ];
    for (member, what) in differences {
        if predicate.get(member) != wanted.get(member) {
            let hint = "review the results again, and approve them";
            return Err(Error::decision(format!("an approval of {what}")).hint(hint));
        }
    }
    Ok(())
}

fn ensure_accepted(review: &Review, accepted: &[Accepted]) -> Result<()> {
    let has_reason = |accepted: &&Accepted| !accepted.reason.trim().is_empty();
    if let Some(empty) = accepted.iter().find(|accepted| !has_reason(accepted)) {
        return Err(Error::usage("accepted without a reason").at(&empty.finding));
    }
    let keys: Vec<String> = review.findings.iter().map(super::finding::Finding::key).collect();
    if let Some(unknown) = accepted.iter().find(|accepted| !keys.contains(&accepted.finding)) {
        let hint = "name it as CHECK:PATH, as the review does";
        return Err(Error::usage("there is no such finding to accept").hint(hint)).at(&unknown.finding);
    }
    let is_accepted = |key: &String| accepted.iter().any(|accepted| accepted.finding == *key);
    let mut open: Vec<String> = review
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Stop)
        .map(super::finding::Finding::key)
        .filter(|key| !is_accepted(key))
        .collect();
    open.dedup();
    if open.is_empty() {
        return Ok(());
    }
    let what = format!("findings that stop the release: {}", open.join(", "));
    Err(Error::decision(what).advise(Advice::AcceptFindings))
}

fn bare(digest: &str) -> &str {
    digest.strip_prefix("sha256:").unwrap_or(digest)
}
