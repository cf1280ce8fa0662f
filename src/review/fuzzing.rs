use super::finding::Notes;
use super::inspect::{Found, inspect};
use super::nested::{Budget, Role};
use super::pickle;
use super::policy::ReleasePolicy;
use super::subject::Shared;

/// Any bytes as a pickle.
pub fn pickle(bytes: &[u8]) {
    pickle::fuzz(bytes);
}

/// Any bytes as a result: archives are opened, and what is in them is looked at.
pub fn result(bytes: &[u8]) {
    let policy = ReleasePolicy::default();
    let shared = Shared { policy: &policy, budget: Budget::default(), candidates: None };
    for name in [&b"result.bin"[..], b"result.csv"] {
        let mut notes = Notes::new(&policy, "result".to_owned());
        let found = Found { name, bytes, size: bytes.len() as u64, whole: true, role: Role::File, depth: 0 };
        if let Ok(format) = inspect(&found, &shared, &mut notes) {
            assert!(!format.name().is_empty());
        }
        assert!(notes.finish().len() < 2000);
    }
}
