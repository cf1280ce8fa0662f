//! AES-256-GCM in chunks, the files of wire 3.

#![no_main]

mod cipher;

use libfuzzer_sys::fuzz_target;
use pht_oci::crypto::Cipher;

fuzz_target!(|data: &[u8]| cipher::check(Cipher::Stream, data));
