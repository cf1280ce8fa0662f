//! Fernet tokens, the files of wire 1.1.1.

#![no_main]

mod cipher;

use libfuzzer_sys::fuzz_target;
use pht_oci::crypto::Cipher;

fuzz_target!(|data: &[u8]| cipher::check(Cipher::Fernet, data));
