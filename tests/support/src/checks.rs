//! Reports of `verify`.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::pht_oci;

/// The report, where the command ends with `status`.
#[track_caller]
pub fn verify(image: &str, status: i32, options: &[&str]) -> Value {
    let outcome = pht_oci(&[&["verify", image, "--format", "json"], options].concat(), &[]);
    outcome.expect(status).unwrap_or_else(|message| panic!("{message}")).json()
}

/// How often each check stands in a report with each verdict.
pub fn verdicts(report: &Value) -> BTreeMap<(String, String), usize> {
    let mut counts = BTreeMap::new();
    for check in report["checks"].as_array().expect("a list of checks") {
        let text = |key: &str| check[key].as_str().expect("a text").to_owned();
        assert_eq!(check["reason"].is_null(), check["verdict"] == "sound", "{check}");
        *counts.entry((text("id"), text("verdict"))).or_default() += 1;
    }
    counts
}
