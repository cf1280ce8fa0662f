//! JSON survives being written, and its canonical form is one form.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pht_oci::json::{canonical, parse, to_vec};

fuzz_target!(|document: &[u8]| {
    let Ok(value) = parse(document) else { return };
    assert_eq!(parse(&to_vec(&value)).expect("what was written can be read"), value);
    let Ok(form) = canonical(&value) else { return };
    let again = parse(&form).expect("the canonical form is JSON");
    assert_eq!(canonical(&again).expect("it has a canonical form"), form);
});
