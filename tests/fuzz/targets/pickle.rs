//! Pickles, opcode by opcode: any bytes are read in bounded memory, and no import is missed by a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| pht_oci::review::fuzzing::pickle(data));
