use std::path::Path;

use super::pinned_keys::{key_files, read_key};
use crate::crypto::PublicKey;
use crate::error::{Error, ErrorContext, Result};

/// The directory with the keys of those who may approve, in that of the pinned keys.
const REVIEWERS: &str = "reviewers";

/// Who may approve results at a station: names, and keys.
#[derive(Debug, Clone, Default)]
pub struct Reviewers {
    names: Vec<String>,
    keys: Vec<PublicKey>,
}

impl Reviewers {
    /// The name of the reviewer at this position.
    pub(in crate::stage) fn name(&self, at: usize) -> &str {
        self.names.get(at).map_or("", String::as_str)
    }

    /// The name under which the key with this fingerprint is pinned.
    pub fn name_of(&self, fingerprint: &str) -> Option<&str> {
        let at = self.keys().iter().position(|key| key.fingerprint() == fingerprint)?;
        Some(self.name(at))
    }

    /// Their number.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys.
    pub(in crate::stage) fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// True if this is the key of one of them.
    pub fn know(&self, key: &PublicKey) -> bool {
        self.keys.contains(key)
    }
}

/// Reads the keys of reviewers in a directory of pinned keys: `reviewers/NAME.pem`.
///
/// # Errors
/// [`Kind::Usage`](crate::error::Kind::Usage) if there is no such directory, a file in it is no public key, or two are the
/// same: one person would count as two. Input/output.
pub fn read_reviewers(trust: &Path) -> Result<Reviewers> {
    let dir = trust.join(REVIEWERS);
    let mut reviewers = Reviewers::default();
    for (path, name) in key_files(&dir)? {
        let key = read_key(&path).at(path.display())?;
        if let Some(same) = reviewers.keys.iter().position(|known| *known == key) {
            let what =
                format!("the key of the reviewer `{}` once more: one person would count as two", reviewers.names[same]);
            return Err(Error::usage(what).hint("remove one of the two key files").at(path.display()));
        }
        reviewers.names.push(name);
        reviewers.keys.push(key);
    }
    Ok(reviewers)
}
