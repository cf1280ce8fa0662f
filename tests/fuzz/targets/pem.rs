//! A key that was read is the same key when it is written and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pht_oci::crypto::{Passphrase, PrivateKey, PublicKey};

fuzz_target!(|file: &[u8]| {
    if let Ok(key) = PublicKey::from_pem(file) {
        let again = PublicKey::from_pem(key.to_pem().as_bytes()).expect("what was written can be read");
        assert_eq!((&again, again.fingerprint()), (&key, key.fingerprint()));
    }
    let passphrase = Passphrase::new(b"passphrase".to_vec());
    if let Ok(key) = PrivateKey::from_pem(file, Some(&passphrase)) {
        let written = key.to_pkcs8_pem(None).expect("a key can be written");
        let again = PrivateKey::from_pem(written.as_bytes(), None).expect("what was written can be read");
        assert_eq!(again.public_key(), key.public_key());
    }
});
