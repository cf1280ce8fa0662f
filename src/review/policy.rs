use crate::crypto::{Sha256, hex};
use crate::error::Result;
use crate::json::{self, Value, json};

/// A station's rules for what leaves: the section `[release]` of its settings, with the strictest of the values that are
/// common in the field.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReleasePolicy {
    /// Nothing leaves that nobody has approved.
    pub review: bool,
    /// The number of different reviewers who have to approve.
    pub reviewers: usize,
    /// The least count that may leave.
    pub min_count: u64,
    /// A count of zero may leave, though it is below the least one. ACRO and UK LLC take zeros for disclosive: that a group
    /// has nobody is said of everybody in it. Others count from one.
    pub allow_zeros: bool,
    /// The most bytes of a file.
    pub max_file: u64,
    /// The most bytes of all files.
    pub max_total: u64,
    /// The most rows of a table.
    pub max_rows: u64,
    /// The types that may leave without a look at them, by the names of formats.
    pub types: Vec<String>,
}

impl Default for ReleasePolicy {
    fn default() -> Self {
        let types = ["csv", "tsv", "json", "txt", "png", "jpeg"];
        ReleasePolicy {
            review: false,
            reviewers: 1,
            min_count: 10,
            allow_zeros: false,
            max_file: 16 << 20,
            max_total: 256 << 20,
            max_rows: 5000,
            types: types.map(str::to_owned).to_vec(),
        }
    }
}

impl ReleasePolicy {
    /// The counts that are too small to leave.
    pub fn small_counts(&self) -> std::ops::Range<u64> {
        u64::from(self.allow_zeros)..self.min_count
    }

    /// The policy as an object, by the keys that settings have.
    pub fn to_json(&self) -> Value {
        let mut types = self.types.clone();
        types.sort();
        types.dedup();
        json!({
            "allow-zeros": self.allow_zeros,
            "max-file": self.max_file,
            "max-rows": self.max_rows,
            "max-total": self.max_total,
            "min-count": self.min_count,
            "reviewers": self.reviewers as u64,
            "types": types,
        })
    }

    /// `sha256:` and the SHA-256 of the policy's canonical JSON (RFC 8785). Whether approvals are needed is not part of
    /// it, for that changes nothing of what is approved.
    ///
    /// # Errors
    /// A number beyond what JSON carries.
    pub fn digest(&self) -> Result<String> {
        Ok(format!("sha256:{}", hex::encode(&Sha256::of(&json::canonical(&self.to_json())?))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_counts_in_the_digest_and_order_does_not() {
        let digest = |change: fn(&mut ReleasePolicy)| {
            let mut policy = ReleasePolicy::default();
            change(&mut policy);
            policy.digest().unwrap()
        };
        let same = digest(|_| {});
        assert_eq!(digest(|policy| policy.types.reverse()), same);
        assert_eq!(digest(|policy| policy.review = true), same);
        let changes: [fn(&mut ReleasePolicy); 7] = [
            |policy| policy.reviewers = 2,
            |policy| policy.min_count = 5,
            |policy| policy.allow_zeros = true,
            |policy| policy.max_file += 1,
            |policy| policy.max_total += 1,
            |policy| policy.max_rows += 1,
            |policy| policy.types.push("pdf".to_owned()),
        ];
        let mut seen = vec![same];
        for change in changes {
            let other = digest(change);
            assert!(!seen.contains(&other));
            seen.push(other);
        }
    }
}
