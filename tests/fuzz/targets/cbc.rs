//! AES-256-CBC, the files of wires 1.1.2 and 2.0.

#![no_main]

mod cipher;

use libfuzzer_sys::fuzz_target;
use pht_oci::crypto::Cipher;

fuzz_target!(|data: &[u8]| cipher::check(Cipher::AesCbc, data));
