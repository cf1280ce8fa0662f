//! Any bytes as a result: what they are, what is in them, archives in archives, through every check of files.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| pht_oci::review::fuzzing::result(data));
