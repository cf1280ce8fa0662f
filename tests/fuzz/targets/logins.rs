//! A file with logins gives one or a reason, and neither shows a secret.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pht_oci::json::parse;
use pht_oci::store::registry::{Repository, login_in};

fuzz_target!(|file: &[u8]| {
    let document = parse(file).unwrap_or_default();
    if document.get("credHelpers").is_some() || document.get("credsStore").is_some() {
        return; // No programs are run from here.
    }
    for name in ["h.x:1/a/b", "docker.io/library/a"] {
        let repository: Repository = name.parse().expect("a repository");
        match login_in(file, &repository) {
            Ok(found) => {
                assert!(found.is_none_or(|(login, _)| format!("{login:?}").ends_with(r#"secret: "[redacted]" }"#)));
            }
            Err(error) => {
                let shown = format!("{error} {error:?}");
                let entries = document["auths"].as_object().into_iter().flat_map(serde_json::Map::values);
                let secrets = entries.flat_map(|entry| ["auth", "password", "identitytoken"].map(|key| entry.get(key)));
                // A short one may stand in the message by chance.
                let long = secrets.flatten().filter_map(serde_json::Value::as_str).filter(|text| text.len() > 9);
                long.for_each(|secret| assert!(!shown.contains(secret), "{shown}"));
            }
        }
    }
});
