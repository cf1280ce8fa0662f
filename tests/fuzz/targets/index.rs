//! What a layout lists is what its index holds, each tag once.

#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use pht_oci::store::layout::listed_in;

fuzz_target!(|index: &[u8]| {
    let Ok(listed) = listed_in(index) else { return };
    let document: serde_json::Value = serde_json::from_slice(index).expect("an index is JSON");
    assert_eq!(Some(listed.len()), document["manifests"].as_array().map(Vec::len));
    let mut tags = HashSet::new();
    assert!(listed.iter().filter_map(|image| image.tag.as_ref()).all(|tag| tags.insert(tag)));
});
