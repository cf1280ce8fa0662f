//! What a layout lists is what its index holds, each tag once; an entry that stands there twice is one.

#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use pht_oci::store::layout::listed_in;

fuzz_target!(|index: &[u8]| {
    let Ok(listed) = listed_in(index) else { return };
    let document: serde_json::Value = serde_json::from_slice(index).expect("an index is JSON");
    let digest = |entry: &serde_json::Value| entry["digest"].as_str().map(str::to_owned);
    let entries = document["manifests"].as_array().map_or(&[][..], Vec::as_slice);
    let held: HashSet<String> = entries.iter().filter_map(digest).collect();
    let named: HashSet<String> = listed.iter().map(|image| image.descriptor.digest().to_string()).collect();
    assert!(listed.len() <= entries.len());
    assert_eq!(named, held);
    let mut tags = HashSet::new();
    assert!(listed.iter().filter_map(|image| image.tag.as_ref()).all(|tag| tags.insert(tag)));
});
