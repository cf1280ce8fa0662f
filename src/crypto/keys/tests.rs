//! Key files, as the `openssl` command writes and reads them, and as an attacker would.

use proptest::prelude::*;

use crate::crypto::keys::*;
use crate::crypto::openssl::{self, new_key, public_of, shared_key};
use crate::crypto::testing;

fn passphrase() -> Passphrase {
    Passphrase::new(b"correct horse".to_vec())
}

const PASSOUT: [&str; 2] = ["-passout", "pass:correct horse"];

fn private(file: &[u8]) -> PrivateKey {
    PrivateKey::from_pem(file, Some(&passphrase())).unwrap()
}

/// The error of a private key file, which is always about the key.
fn refused(file: &[u8]) -> Error {
    let error = PrivateKey::from_pem(file, Some(&passphrase())).err().unwrap();
    assert_eq!(error.kind(), Kind::Key);
    error
}

fn hint_of(error: &Error) -> &str {
    error.advice().and_then(Advice::as_text).unwrap()
}

fn refused_public(file: &[u8]) -> Error {
    let error = PublicKey::from_pem(file).unwrap_err();
    assert_eq!(error.kind(), Kind::Malformed);
    error
}

/// Every way in which `openssl` writes a private key under a passphrase.
fn encrypted_forms() -> Vec<(String, Vec<u8>)> {
    let mut forms: Vec<Vec<&str>> = Vec::new();
    for cipher in ["-aes128", "-aes192", "-aes256", "-des3"] {
        forms.push(vec!["rsa", "-traditional", cipher]);
    }
    for cipher in ["aes-128-cbc", "aes-192-cbc", "aes-256-cbc", "des3"] {
        forms.push(vec!["pkcs8", "-topk8", "-v2", cipher]);
    }
    for hash in ["hmacWithSHA1", "hmacWithSHA224", "hmacWithSHA256", "hmacWithSHA384", "hmacWithSHA512"] {
        forms.push(vec!["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-v2prf", hash]);
    }
    forms.push(vec!["pkcs8", "-topk8", "-scrypt"]);
    forms.push(vec!["pkcs8", "-topk8", "-scrypt", "-v2", "aes-128-cbc", "-scrypt_N", "1024", "-scrypt_r", "4"]);
    forms.push(vec!["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-iter", "100000"]);
    let write = |form: Vec<&str>| {
        let pem = openssl::run(&[form.as_slice(), &PASSOUT].concat(), shared_key());
        (form.join(" "), pem.unwrap_or_else(|complaint| panic!("{form:?}: {complaint}")))
    };
    forms.into_iter().map(write).collect()
}

#[test]
fn reads_every_form_that_openssl_writes() {
    let expected = PublicKey::from_pem(&public_of(shared_key())).unwrap();
    for (form, pem) in encrypted_forms() {
        let key = PrivateKey::from_pem(&pem, Some(&passphrase())).unwrap_or_else(|error| panic!("{form}: {error}"));
        assert_eq!(key.public_key(), expected, "{form}");

        let error = PrivateKey::from_pem(&pem, None).err().unwrap();
        assert_eq!(error.kind(), Kind::Key);
        assert_eq!(error.advice(), Some(&Advice::GivePassphrase), "{form}");

        for wrong in ["", "correct", "correct horse\n"] {
            let error = PrivateKey::from_pem(&pem, Some(&Passphrase::new(wrong.into()))).err().unwrap();
            assert_eq!(error.to_string(), wrong_passphrase().to_string(), "{form}");
        }
    }
    let pkcs1 = openssl::run(&["rsa", "-traditional"], shared_key()).unwrap();
    assert!(pkcs1.starts_with(b"-----BEGIN RSA PRIVATE KEY"));
    for pem in [pkcs1.as_slice(), shared_key()] {
        assert_eq!(PrivateKey::from_pem(pem, None).unwrap().public_key(), expected);
        // A passphrase that nobody needs.
        assert_eq!(private(pem).public_key(), expected);
    }
}

#[test]
fn reads_legacy_des() {
    // OpenSSL 3 does single DES only with its legacy provider, which is not everywhere.
    let args = ["rsa", "-provider", "default", "-provider", "legacy", "-traditional", "-des"];
    let args = [&args[..], &PASSOUT].concat();
    let Ok(pem) = openssl::run(&args, shared_key()) else { return };
    assert!(String::from_utf8_lossy(&pem).contains("DEK-Info: DES-CBC"));
    assert!(private(&pem).public_key() == private(shared_key()).public_key());
}

#[test]
fn reads_public_keys_in_both_forms_and_through_disguises() {
    let spki = public_of(shared_key());
    let pkcs1 = openssl::run(&["rsa", "-pubin", "-RSAPublicKey_out"], &spki).unwrap();
    assert!(pkcs1.starts_with(b"-----BEGIN RSA PUBLIC KEY"));
    let key = PublicKey::from_pem(&spki).unwrap();
    assert_eq!(key.bits(), 2048);
    assert_eq!(PublicKey::from_pem(&pkcs1).unwrap(), key);
    assert_eq!(key.to_pem().as_bytes(), spki);

    let der = openssl::run(&["pkey", "-pubin", "-outform", "DER"], &spki).unwrap();
    assert_eq!(key.fingerprint(), format!("sha256:{}", hex::encode(&Sha256::of(&der))));
    assert_eq!(format!("{key:?}"), format!("PublicKey({})", key.fingerprint()));

    let text = String::from_utf8(spki).unwrap();
    let long = text.lines().filter(|line| !line.starts_with('-')).collect::<String>();
    for disguise in [
        format!("\n\n{text}\n\n"),
        text.replace('\n', "\r\n"),
        text.trim_end().to_string(),
        text.lines().map(|line| format!("  {line}\t\n")).collect(),
        format!("-----BEGIN PUBLIC KEY-----\n{long}\n-----END PUBLIC KEY-----"),
    ] {
        assert_eq!(PublicKey::from_pem(disguise.as_bytes()).unwrap(), key, "{disguise}");
    }
    assert!(refused_public(text.repeat(2).as_bytes()).what().contains("several public keys"));
}

#[test]
fn sizes_at_the_limits() {
    for (bits, accepted) in [(1024, false), (2046, false), (2049, true), (3072, true), (4096, true)] {
        let pem =
            if bits == 2049 { testing::pem_of_bits(bits) } else { new_key(&[&format!("rsa_keygen_bits:{bits}")]) };
        let public = PublicKey::from_pem(&public_of(&pem));
        if accepted {
            assert_eq!(public.unwrap().bits(), bits);
            assert_eq!(private(&pem).bits(), bits);
        } else {
            let expected = format!("RSA key of {bits} bits, expected 2048 to 16384");
            assert_eq!(public.unwrap_err().to_string(), expected);
            assert_eq!(refused(&pem).to_string(), expected);
        }
    }
    // Nobody waits for a real key of this size.
    for (bits, accepted) in [(16384, true), (16385, false), (80_000, false)] {
        let mut modulus = vec![0xa5; bits / 8 + 1];
        modulus[0] = (bits % 8 > 0).into();
        // Without a small factor.
        let end = modulus.len() - 2;
        modulus[end..].copy_from_slice(&[0, 0x13]);
        let der = sequence(&[
            &tlv(2, &[&[0], &modulus[usize::from(bits % 8 == 0)..]].concat()[usize::from(bits % 8 > 0)..]),
            &tlv(2, &[1, 0, 1]),
        ]);
        let result = PublicKey::from_pem(pem::encode("RSA PUBLIC KEY", &der).unwrap().as_bytes());
        assert_eq!(result.as_ref().map(PublicKey::bits).unwrap_or_default(), if accepted { bits } else { 0 });
        if let Err(error) = result {
            assert!(error.what().contains(&bits.to_string()), "{error}");
        }
    }
}

/// A public key of any numbers, as PKCS#1.
fn public_of_numbers(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| tlv(2, &[&[0][..usize::from(number[0] >= 0x80)], number].concat());
    let der = sequence(&[&integer(modulus), &integer(exponent)]);
    pem::encode("RSA PUBLIC KEY", &der).unwrap().as_bytes().to_vec()
}

#[test]
fn keys_that_anyone_factors_and_odd_exponents_are_refused() {
    let key = private(shared_key()).public_key();
    let modulus = key.key.n_bytes().to_vec();
    let multiple = |factor: u64| {
        let (mut carry, mut product) = (0, Vec::new());
        for byte in modulus.iter().rev() {
            carry += u64::from(*byte) * factor;
            product.push(carry as u8);
            carry >>= 8;
        }
        product.extend(carry.to_le_bytes());
        product.reverse();
        let zeros = product.iter().take_while(|byte| **byte == 0).count();
        product.split_off(zeros)
    };
    assert_eq!(PublicKey::from_pem(&public_of_numbers(&modulus, &[1, 0, 1])).unwrap(), key);
    assert!(PublicKey::from_pem(&public_of_numbers(&multiple(65_537), &[1, 0, 1])).is_ok(), "a factor above the limit");
    for factor in [2, 3, 17, 65_521] {
        let error = refused_public(&public_of_numbers(&multiple(factor), &[1, 0, 1]));
        assert!(error.what().contains(&format!("the factor {factor}:")), "{error}");
    }
    refused_public(&public_of_numbers(&[0xff; 256], &[1, 0, 1]));
    assert!(PublicKey::from_pem(&public_of_numbers(&modulus, &[0xff; 4])).is_ok());
    for exponent in [&[0][..], &[1], &[3], &[17], &[1, 0, 0], &[0xff, 0xff], &[1, 0, 0, 0, 1], &modulus] {
        let error = refused_public(&public_of_numbers(&modulus, exponent));
        assert!(error.what().contains("exponent"), "{error}");
    }
    let three = new_key(&["rsa_keygen_bits:2048", "rsa_keygen_pubexp:3"]);
    assert!(refused(&three).what().contains("exponent"));
}

#[test]
fn a_public_key_has_its_place_to_itself() {
    let text = String::from_utf8(public_of(shared_key())).unwrap();
    for beside in [
        format!("station 1\n{text}"),
        format!("{text}bye"),
        text.replace("KEY-----\nM", "KEY-----\nX-Note: 1\n\nM"),
        format!("{}{text}", String::from_utf8(shared_key().to_vec()).unwrap()),
    ] {
        assert!(refused_public(beside.as_bytes()).what().contains("beside"), "{beside}");
    }
}

#[test]
fn says_what_was_given_instead_of_a_private_key() {
    let spki = public_of(shared_key());
    assert!(refused(&spki).what().contains("public key was given"));
    let three = new_key(&["rsa_keygen_bits:2048", "rsa_keygen_primes:3"]);
    assert!(refused(&three).what().contains("more than two primes"));
    let ec = openssl::run(&["ecparam", "-name", "prime256v1", "-genkey"], b"").unwrap();
    assert_eq!(refused(&ec).to_string(), "not an RSA key: PEM EC PRIVATE KEY");
    let ec = openssl::run(&["pkcs8", "-topk8", "-nocrypt"], &ec).unwrap();
    assert_eq!(refused(&ec).to_string(), "not an RSA key: algorithm EC");
    assert_eq!(refused_public(&public_of(&ec)).to_string(), "not an RSA key: algorithm EC");
    let ec = openssl::run(&[&["pkcs8", "-topk8"][..], &PASSOUT].concat(), &ec).unwrap();
    assert_eq!(refused(&ec).to_string(), "not an RSA key: algorithm EC");
    let pss = openssl::run(&["genpkey", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"], b"").unwrap();
    assert!(refused(&pss).what().contains("RSASSA-PSS"));
    assert!(refused_public(&public_of(&pss)).what().contains("RSASSA-PSS"));
    let old =
        openssl::run(&[&["pkcs8", "-topk8", "-v1", "PBE-SHA1-3DES"][..], &PASSOUT].concat(), shared_key()).unwrap();
    assert_eq!(hint_of(&refused(&old)), "convert the key with openssl pkcs8 -topk8 -v2 aes-256-cbc");

    let block = |label: &str, body: &str| format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n");
    let openssh = refused(block("OPENSSH PRIVATE KEY", "AAAA").as_bytes());
    assert!(hint_of(&openssh).contains("ssh-keygen -p -m pkcs8"));
    assert!(refused(block("CERTIFICATE", "AAAA").as_bytes()).what().contains("certificate"));
    assert!(refused(block("PRIVATE KEY", "AAAA").as_bytes()).what().contains("malformed"));
    assert!(refused(block("PRIVATE KEY", "A").as_bytes()).what().contains("base64"));
    assert!(refused(b"").what().contains("empty file"));
    let unknown = block("RSA PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\nDEK-Info: RC4,00\n\nAAAA");
    assert!(refused(unknown.as_bytes()).what().contains("not supported"));
    let short = block("RSA PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0011\n\nAAAA");
    assert!(refused(short.as_bytes()).what().contains("of 2 bytes, expected 16"));
}

#[test]
fn says_what_was_given_instead_of_a_public_key() {
    let given = refused_public(shared_key());
    assert!(given.what().contains("private key was given") && given.advice().is_some());
    let openssh = refused_public(b"ssh-rsa AAAAB3NzaC1yc2EAAAADAQAB station@host\n");
    assert!(hint_of(&openssh).contains("ssh-keygen"));
    let other = refused_public(b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA station@host\n");
    assert!(other.what().contains("need RSA") && hint_of(&other).contains("keygen"));
    let private = refused_public(b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n");
    assert!(private.what().contains("private key") && hint_of(&private).contains("ssh-keygen -e"));
    let certificate = refused_public(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert!(hint_of(&certificate).contains("x509"));
    assert!(refused_public(b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----").what().contains("malformed"));
}

#[test]
fn parts_that_do_not_fit_together_are_refused() {
    let der = openssl::run(&["rsa", "-traditional", "-outform", "DER"], shared_key()).unwrap();
    for place in [100, 350, 600, 700] {
        let mut changed = der.clone();
        changed[place] ^= 4;
        let pem = pem::encode("RSA PRIVATE KEY", &changed).unwrap();
        let error = refused(pem.as_bytes());
        let is_modulus = error.what().contains("the factor"); // which a changed one mostly has
        assert!(is_modulus && place == 100 || error.what().contains("inconsistent parts"), "{place}: {error}");
    }
}

#[test]
fn openssl_reads_what_is_written() {
    let key = PrivateKey::generate(2048).unwrap();
    let plain = key.to_pkcs8_pem(None).unwrap();
    assert!(plain.starts_with("-----BEGIN PRIVATE KEY-----\n") && plain.ends_with("-----END PRIVATE KEY-----\n"));
    openssl::run(&["pkey", "-check", "-noout"], plain.as_bytes()).unwrap();
    let pem = key.to_pkcs8_pem(Some(&passphrase())).unwrap();
    assert!(pem.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
    let public = openssl::run(&["pkey", "-pubout", "-passin", "pass:correct horse"], pem.as_bytes()).unwrap();
    assert_eq!(public, key.public_key().to_pem().as_bytes());
    let form = openssl::run(&["asn1parse"], pem.as_bytes()).unwrap();
    let form = String::from_utf8(form).unwrap();
    for part in ["PBES2", "PBKDF2", "hmacWithSHA256", "aes-256-cbc", ":0927C0"] {
        assert!(form.contains(part), "{part} in {form}");
    }
    assert_eq!(private(pem.as_bytes()).public_key(), key.public_key());
    assert_eq!(PrivateKey::generate(1024).err().unwrap().kind(), Kind::Usage);
}

/// DER of `tag` around `content`.
fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut der = vec![tag];
    match content.len() {
        length @ ..128 => der.push(length as u8),
        length @ ..256 => der.extend([0x81, length as u8]),
        length => der.extend([&[0x82], &(length as u16).to_be_bytes()[..]].concat()),
    }
    der.extend(content);
    der
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

fn oid(text: &str) -> Vec<u8> {
    tlv(6, ObjectIdentifier::new(text).unwrap().as_bytes())
}

/// An encrypted key of no key at all: only its parameters matter.
fn pbes2(kdf: &[u8], cipher: &str, iv: usize) -> Zeroizing<String> {
    let cipher = sequence(&[&oid(cipher), &tlv(4, &vec![0; iv])]);
    let scheme = sequence(&[&oid("1.2.840.113549.1.5.13"), &sequence(&[kdf, &cipher])]);
    pem::encode("ENCRYPTED PRIVATE KEY", &sequence(&[&scheme, &tlv(4, &[0; 32])])).unwrap()
}

#[test]
fn hostile_parameters_neither_panic_nor_hang() {
    const AES: &str = "2.16.840.1.101.3.4.1.42";
    const DES3: &str = "1.2.840.113549.3.7";
    const DES: &str = "1.3.14.3.2.7";
    let pbkdf2 = |salt: usize, rounds: &[u8]| {
        sequence(&[&oid("1.2.840.113549.1.5.12"), &sequence(&[&tlv(4, &vec![0; salt]), &tlv(2, rounds)])])
    };
    let scrypt = |n: &[u8], r: &[u8], p: &[u8]| {
        let parameters = sequence(&[&tlv(4, &[0; 8]), &tlv(2, n), &tlv(2, r), &tlv(2, p)]);
        sequence(&[&oid("1.3.6.1.4.1.11591.4.11"), &parameters])
    };
    let what = |kdf: &[u8], cipher: &str, iv: usize| refused(pbes2(kdf, cipher, iv).as_bytes()).what().to_string();

    assert!(what(&pbkdf2(8, &[1]), AES, 16).contains("passphrase is wrong"));
    assert!(what(&pbkdf2(32, &[1]), DES3, 8).contains("passphrase is wrong"));
    assert!(what(&pbkdf2(33, &[1]), AES, 16).contains("salt of 33 bytes"));
    assert!(what(&pbkdf2(300, &[1]), AES, 16).contains("salt of 300 bytes"));
    for (cipher, lengths) in [(AES, [0, 8, 15, 17]), (DES3, [0, 7, 9, 16]), (DES, [0, 7, 9, 16])] {
        for iv in lengths {
            assert!(what(&pbkdf2(8, &[1]), cipher, iv).contains("initialization vector"), "{cipher} {iv}");
        }
    }
    for rounds in [&[0][..], &[0x00, 0x98, 0x96, 0x81], &[0x7f, 0xff, 0xff, 0xff]] {
        assert!(what(&pbkdf2(8, rounds), AES, 16).contains("with a cost"), "{rounds:?}");
    }
    for (n, r, p) in [
        (&[0x40, 0, 0, 0][..], &[8][..], &[1][..]),
        (&[0x7f, 0, 0, 0, 0, 0, 0, 0], &[8], &[1]),
        (&[0x40, 0], &[0x7f, 0xff], &[1]),
        (&[0x40, 0], &[8], &[0x7f, 0xff]),
        (&[0], &[8], &[1]),
        (&[0x40, 0], &[0], &[1]),
    ] {
        assert!(what(&scrypt(n, r, p), AES, 16).contains("with a cost"), "{n:?} {r:?} {p:?}");
    }
    // Not a power of two, one, no lanes.
    for (n, p) in [(&[0x40, 1][..], &[1][..]), (&[1], &[1]), (&[0x40, 0], &[0])] {
        refused(pbes2(&scrypt(n, &[8], p), AES, 16).as_bytes());
    }
    assert!(what(&sequence(&[&oid("1.2.3.4"), &sequence(&[])]), AES, 16).contains("1.2.3.4"));
    assert!(what(&pbkdf2(8, &[1]), "1.2.3.4", 16).contains("1.2.3.4"));
    assert!(what(&sequence(&[&oid("1.2.840.113549.1.5.12")]), AES, 16).contains("malformed"));
}

#[test]
fn changed_files_never_panic() {
    let encrypted = openssl::run(
        &[&["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-iter", "1", "-outform", "DER"][..], &PASSOUT].concat(),
        shared_key(),
    )
    .unwrap();
    let pkcs8 = openssl::run(&["pkey", "-outform", "DER"], shared_key()).unwrap();
    let pkcs1 = openssl::run(&["rsa", "-traditional", "-outform", "DER"], shared_key()).unwrap();
    let spki = openssl::run(&["pkey", "-pubout", "-outform", "DER"], shared_key()).unwrap();
    let files = [
        ("ENCRYPTED PRIVATE KEY", encrypted),
        ("PRIVATE KEY", pkcs8),
        ("RSA PRIVATE KEY", pkcs1),
        ("PUBLIC KEY", spki),
    ];
    let changes = proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let everything = (0..files.len(), changes, any::<bool>());
    runner
        .run(&everything, |(file, changes, head)| {
            let (label, der) = &files[file];
            let mut der = der.clone();
            for (place, byte) in changes {
                // The structure is at the front.
                let place = place.index(if head { 120 } else { der.len() });
                der[place] = byte;
            }
            let pem = pem::encode(label, &der).unwrap();
            let _ = PrivateKey::from_pem(pem.as_bytes(), Some(&passphrase()));
            let _ = PublicKey::from_pem(pem.as_bytes());
            Ok(())
        })
        .unwrap();
}
