//! The schemes against the `openssl` command, both ways.

use crate::crypto::openssl::{self, Files, public_of, shared_key};
use crate::crypto::random;
use crate::crypto::scheme::*;
use crate::crypto::testing;

const OAEP: [&str; 6] =
    ["-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha512", "-pkeyopt", "rsa_mgf1_md:sha512"];

fn pss(salt: &str) -> Vec<String> {
    let salt = format!("rsa_pss_saltlen:{salt}");
    let options = ["digest:sha512", "rsa_padding_mode:pss", "rsa_mgf1_md:sha512", &salt];
    options.iter().flat_map(|option| ["-pkeyopt".to_string(), (*option).to_string()]).collect()
}

/// Both halves of a key, for us and in files for `openssl`.
struct Pair {
    private: PrivateKey,
    public: PublicKey,
    files: Files,
    private_file: String,
    public_file: String,
}

impl Pair {
    fn new(pem: &[u8]) -> Self {
        let files = Files::new();
        let private = PrivateKey::from_pem(pem, None).unwrap();
        let private_file = files.put("private.pem", pem);
        let public_file = files.put("public.pem", &public_of(pem));
        Pair { public: private.public_key(), private, files, private_file, public_file }
    }

    fn openssl(&self, operation: &[&str], options: &[impl AsRef<str>], input: &[u8]) -> Result<Vec<u8>, String> {
        let mut args = vec!["pkeyutl"];
        args.extend(operation);
        args.extend(options.iter().map(AsRef::as_ref));
        openssl::run(&args, input)
    }

    fn sign(&self, options: &[impl AsRef<str>], digest: &[u8]) -> Vec<u8> {
        self.openssl(&["-sign", "-inkey", &self.private_file], options, digest).unwrap()
    }

    fn verifies(&self, options: &[impl AsRef<str>], digest: &[u8], signature: &[u8]) -> bool {
        let signature = self.files.put("signature", signature);
        let operation = ["-verify", "-pubin", "-inkey", &self.public_file, "-sigfile", &signature];
        self.openssl(&operation, options, digest).is_ok()
    }
}

/// Keys of all sizes; 2049 bits have an encoded message that is a byte shorter than the modulus.
fn pairs() -> Vec<Pair> {
    let others = [2049, 2050, 3072, 4096].map(|bits| Pair::new(&testing::pem_of_bits(bits)));
    [Pair::new(shared_key())].into_iter().chain(others).collect()
}

#[test]
fn openssl_agrees_for_every_size() {
    let digest: [u8; 64] = random::bytes().unwrap();
    let message = b"a message of any length";
    let pkcs1 = ["-pkeyopt", "digest:sha512", "-pkeyopt", "rsa_padding_mode:pkcs1"];
    for pair in pairs() {
        let bits = pair.public.bits();
        let wrapped = pair.public.wrap(b"stage key").unwrap();
        assert_eq!(wrapped.len(), bits.div_ceil(8));
        let opened = pair.openssl(&["-decrypt", "-inkey", &pair.private_file], &OAEP, &wrapped).unwrap();
        assert_eq!(opened, b"stage key", "{bits}");
        let encrypt = ["-encrypt", "-pubin", "-inkey", &pair.public_file];
        let wrapped = pair.openssl(&encrypt, &OAEP, b"stage key").unwrap();
        assert_eq!(**pair.private.unwrap(&wrapped).unwrap(), *b"stage key", "{bits}");

        let signature = pair.private.sign_pss_prehashed(&digest).unwrap();
        assert_eq!(signature.len(), bits.div_ceil(8));
        assert!(pair.verifies(&pss("max"), &digest, &signature), "{bits}");
        assert!(pair.public.verify_pss_prehashed(&digest, &signature), "{bits}");
        let salt = ((bits - 1).div_ceil(8) - 66).to_string();
        assert!(pair.verifies(&pss(&salt), &digest, &signature), "{bits} with a salt of {salt}");
        assert!(pair.public.verify_pss_prehashed(&digest, &pair.sign(&pss("max"), &digest)), "{bits}");
        for other in ["digest", "0", "63", "100"] {
            let signature = pair.sign(&pss(other), &digest);
            assert!(!pair.public.verify_pss_prehashed(&digest, &signature), "{bits} with a salt of {other}");
        }

        let hashed = Sha512::of(message);
        let signature = pair.private.sign_pkcs1v15(message).unwrap();
        assert!(pair.verifies(&pkcs1, &hashed, &signature), "{bits}");
        assert_eq!(pair.sign(&pkcs1, &hashed), signature, "{bits}");
        assert!(pair.public.verify_pkcs1v15(message, &signature), "{bits}");
    }
}

#[test]
fn a_salt_is_as_long_as_the_protocol_says() {
    let key = PublicKey::from_pem(&public_of(shared_key())).unwrap();
    assert_eq!(salt_length(&key), 190);
}

#[test]
fn other_signatures_are_just_false() {
    let key = PrivateKey::from_pem(shared_key(), None).unwrap();
    let public = key.public_key();
    let (digest, message) = ([3; 64], b"message");
    let pss = key.sign_pss_prehashed(&digest).unwrap();
    let pkcs1 = key.sign_pkcs1v15(message).unwrap();
    assert!(public.verify_pss_prehashed(&digest, &pss) && public.verify_pkcs1v15(message, &pkcs1));
    assert!(!public.verify_pss_prehashed(&[4; 64], &pss) && !public.verify_pkcs1v15(b"massage", &pkcs1));
    assert!(!public.verify_pss_prehashed(&digest, &pkcs1) && !public.verify_pkcs1v15(message, &pss));
    for signature in [&pss, &pkcs1] {
        let longer = [&[0], signature.as_slice()].concat();
        let trailing = [signature.as_slice(), &[0]].concat();
        let mut flipped = signature.clone();
        flipped[200] ^= 1;
        let wrong: [&[u8]; 8] = [&[], &[0], &[0xff; 256], &[0; 256], &signature[1..], &longer, &trailing, &flipped];
        for wrong in wrong {
            assert!(!public.verify_pss_prehashed(&digest, wrong));
            assert!(!public.verify_pkcs1v15(message, wrong));
        }
    }
}

#[test]
fn what_does_not_open_says_one_thing() {
    let key = PrivateKey::from_pem(shared_key(), None).unwrap();
    let wrapped = key.public_key().wrap(&[1; 32]).unwrap();
    assert_eq!(**key.unwrap(&wrapped).unwrap(), [1; 32]);
    let mut flipped = wrapped.clone();
    flipped[100] ^= 1;
    let other = testing::key(1).public_key().wrap(&[1; 32]).unwrap();
    let mut message = Vec::new();
    for wrong in
        [&[], &wrapped[1..], &[0; 256], &[1; 256], &[0xff; 256], &flipped, &other, &[wrapped.as_slice(), &[0]].concat()]
    {
        let error = key.unwrap(wrong).err().unwrap();
        assert_eq!(error.kind(), Kind::Key);
        message.push(error.to_string());
    }
    message.dedup();
    assert_eq!(message.len(), 1);
}

#[test]
fn a_secret_fits_or_is_refused() {
    let key = PrivateKey::from_pem(shared_key(), None).unwrap();
    for length in [0, 1, 32, 44, 126] {
        let secret = vec![7; length];
        assert_eq!(**key.unwrap(&key.public_key().wrap(&secret).unwrap()).unwrap(), secret);
    }
    assert_eq!(key.public_key().wrap(&[0; 127]).unwrap_err().kind(), Kind::Malformed);
}

#[test]
fn signatures_of_messages_have_a_salt_of_64_bytes() {
    for pair in pairs() {
        let digest = Sha512::of(b"message");
        let ours = pair.private.sign_pss(b"message").unwrap();
        assert!(pair.public.verify_pss(b"message", &ours) && pair.verifies(&pss("64"), &digest, &ours));
        assert!(!pair.verifies(&pss("max"), &digest, &ours) && !pair.public.verify_pss_prehashed(&digest, &ours));
        let theirs = pair.sign(&pss("64"), &digest);
        assert!(pair.public.verify_pss(b"message", &theirs) && !pair.public.verify_pss(b"massage", &theirs));
        for salt in ["0", "63", "65", "max"] {
            assert!(!pair.public.verify_pss(b"message", &pair.sign(&pss(salt), &digest)), "{salt}");
        }
        for wrong in [&ours[1..], &[&[0], &ours[..]].concat(), &[&ours[..], &[0]].concat(), &[]] {
            assert!(!pair.public.verify_pss(b"message", wrong));
        }
    }
}
