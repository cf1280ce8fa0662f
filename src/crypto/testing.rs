//! The keys of the tests: to make new ones takes half a second each.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use super::PrivateKey;

/// How many keys of 2048 bits there are.
const KEYS: usize = 8;

/// The PKCS#8 PEM of one of them.
pub(crate) fn pem(number: usize) -> Vec<u8> {
    read(&number.to_string())
}

/// The PKCS#8 PEM of the key of another size.
pub(super) fn pem_of_bits(bits: usize) -> Vec<u8> {
    read(&format!("of-{bits}-bits"))
}

/// One of them, read when first asked for.
pub(crate) fn key(number: usize) -> &'static PrivateKey {
    static READ: [OnceLock<PrivateKey>; KEYS] = [const { OnceLock::new() }; KEYS];
    READ[number].get_or_init(|| PrivateKey::from_pem(&pem(number), None).unwrap())
}

fn read(name: &str) -> Vec<u8> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/keys");
    fs::read(dir.join(format!("{name}.pem"))).unwrap()
}
