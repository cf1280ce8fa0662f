//! What a layout lists is what its index holds, each tag once.

#![no_main]

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use libfuzzer_sys::fuzz_target;
use pht_oci::store::Source;
use pht_oci::store::layout::Layout;

fuzz_target!(init: fs::create_dir_all(dir()).expect("a directory"), |index: &[u8]| {
    fs::write(dir().join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("a file");
    fs::write(dir().join("index.json"), index).expect("a file");
    let Ok(listed) = Layout::open(&dir()).and_then(|layout| layout.list()) else { return };
    let document: serde_json::Value = serde_json::from_slice(index).expect("an index is JSON");
    assert_eq!(Some(listed.len()), document["manifests"].as_array().map(Vec::len));
    let mut tags = HashSet::new();
    assert!(listed.iter().filter_map(|image| image.tag.as_ref()).all(|tag| tags.insert(tag)));
});

fn dir() -> PathBuf {
    std::env::temp_dir().join(format!("pht-oci-fuzz-{}", std::process::id()))
}
