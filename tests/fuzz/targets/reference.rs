//! A reference says what it was read from.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pht_oci::store::Reference;

fuzz_target!(|text: &str| {
    let Ok(reference) = text.parse::<Reference>() else { return };
    let shown = reference.to_string();
    assert!(shown.contains(&reference.without_tag()));
    // A bare path that exists may hold a colon; with its transport in front it ends there, as in skopeo.
    if std::path::Path::new(text).exists() {
        return;
    }
    assert_eq!(shown.parse::<Reference>().expect("what is shown can be read"), reference, "{text:?} as {shown:?}");
});
