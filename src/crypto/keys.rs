//! RSA keys and the files they come in.

mod small_factor;

use std::fmt;

use rsa::BoxedUint;
use rsa::pkcs1::der::Decode;
use rsa::pkcs1::{ALGORITHM_OID, RsaPrivateKeyRef, RsaPublicKeyRef, UintRef};
use rsa::pkcs8::{
    AlgorithmIdentifierRef, EncodePrivateKey, EncodePublicKey, ObjectIdentifier, PrivateKeyInfoRef,
    SubjectPublicKeyInfoRef,
};
use rsa::traits::PublicKeyParts;
use zeroize::Zeroizing;

use self::small_factor::small_factor;
use super::digest::Sha256;
use super::passphrase::{Passphrase, wrong_passphrase};
use super::pem::Block;
use super::random::SystemRandom;
use crate::crypto::{hex, legacy_pem, pbes2, pem};
use crate::error::{Advice, Error, Kind, Result};

/// The fewest bits of a modulus that are accepted; less is within reach of factoring (NIST SP 800-131A).
pub const MIN_BITS: usize = 2048;

/// The most bits of a modulus that are accepted; more serves nobody but who wants to keep the program busy.
pub const MAX_BITS: usize = 16384;

/// An RSA public key (RFC 8017, section 3.1), of [`MIN_BITS`] to [`MAX_BITS`].
///
/// Two are equal if modulus and exponent are, in whatever form they came.
#[derive(Clone)]
pub struct PublicKey {
    pub(super) key: rsa::PublicKey,
    pem: String,
    fingerprint: String,
}

impl PublicKey {
    /// Reads a PEM of `PUBLIC KEY` (SPKI, RFC 5280) or `RSA PUBLIC KEY` (PKCS#1, RFC 8017, appendix A.1.1).
    ///
    /// White space around the block and CRLF do not matter.
    ///
    /// # Errors
    /// [`Kind::Malformed`]: no such block, or something beside it; not RSA; of a size, a modulus or an exponent that is
    /// not accepted.
    pub fn from_pem(file: &[u8]) -> Result<Self> {
        let blocks = pem::blocks(file).map_err(|why| {
            if file.trim_ascii_start().starts_with(b"ssh-") {
                if !file.trim_ascii_start().starts_with(b"ssh-rsa") {
                    let what = "a public key in OpenSSH format that is none of RSA; stations and creators need RSA";
                    return Error::malformed(what).hint("make one with pht-oci keygen NAME");
                }
                let error = Error::malformed("public key in OpenSSH format");
                return error.hint("convert the key with ssh-keygen -e -m pkcs8");
            }
            Error::malformed(format!("not a public key: {why}"))
        })?;
        let mut keys = blocks.iter().filter(|block| matches!(block.label, "PUBLIC KEY" | "RSA PUBLIC KEY"));
        let Some(block) = keys.next() else {
            return Err(not_a_public_key(blocks.first().map_or("", |first| first.label)));
        };
        // Which of two keys counts must not depend on who reads the file.
        if keys.next().is_some() {
            return Err(Error::malformed("several public keys in one file, expected one"));
        }
        if !pem::is_one_block(file) {
            let what = "text beside the public key, where only white space is allowed";
            return Err(Error::malformed(what).hint("leave nothing but the lines from BEGIN to END"));
        }
        let der = block.decode().ok_or_else(|| Error::malformed("public key is not valid base64"))?;
        let broken = || Error::malformed(format!("public key (PEM {}) is malformed", block.label));
        if block.label == "RSA PUBLIC KEY" {
            return Self::from_parts(&RsaPublicKeyRef::from_der(&der).map_err(|_| broken())?);
        }
        let spki = SubjectPublicKeyInfoRef::from_der(&der).map_err(|_| broken())?;
        ensure_algorithm(&spki.algorithm).map_err(Error::malformed)?;
        let inner = spki.subject_public_key.as_bytes().ok_or_else(broken)?;
        Self::from_parts(&RsaPublicKeyRef::from_der(inner).map_err(|_| broken())?)
    }

    fn from_parts(parts: &RsaPublicKeyRef<'_>) -> Result<Self> {
        ensure_bits(&parts.modulus).map_err(Error::malformed)?;
        let refused = || Error::malformed("public key with an invalid modulus or exponent");
        let (n, e) = (uint(&parts.modulus).ok_or_else(refused)?, uint(&parts.public_exponent).ok_or_else(refused)?);
        ensure_strong(&parts.modulus, &parts.public_exponent).map_err(Error::malformed)?;
        let key = rsa::PublicKey::new_with_size_limits(n, e, MIN_BITS..=MAX_BITS).map_err(|_| refused())?;
        Self::new(key)
    }

    fn new(key: rsa::PublicKey) -> Result<Self> {
        let spki =
            key.to_public_key_der().map_err(|_| Error::malformed("public key that cannot be encoded as SPKI"))?;
        let pem = pem::encode("PUBLIC KEY", spki.as_bytes())?.to_string();
        let fingerprint = format!("sha256:{}", hex::encode(&Sha256::of(spki.as_bytes())));
        Ok(PublicKey { key, pem, fingerprint })
    }

    /// The key as a PEM of `PUBLIC KEY` (SPKI), with a line feed at the end.
    pub fn to_pem(&self) -> String {
        self.pem.clone()
    }

    /// Bits of the modulus.
    pub fn bits(&self) -> usize {
        // At most `MAX_BITS`.
        self.key.n().bit_width() as usize
    }

    /// `sha256:` and the SHA-256 of the SPKI's DER in lower-case hexadecimal, to compare keys by eye; the same as that of
    /// `openssl pkey -pubin -in FILE -outform DER | sha256sum`.
    pub fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.fingerprint)
    }
}

/// An RSA private key of two primes (RFC 8017, section 3.2), of [`MIN_BITS`] to [`MAX_BITS`]; erased from memory on
/// drop.
pub struct PrivateKey {
    pub(super) key: rsa::PrivateKey,
    public: PublicKey,
}

impl PrivateKey {
    /// True if there is a private key of a form that is read in this file.
    pub fn holds_one(file: &[u8]) -> bool {
        pem::blocks(file).is_ok_and(|blocks| blocks.iter().any(|block| is_private_key(&block)))
    }

    /// True if [`PrivateKey::from_pem`] needs a passphrase for this file.
    pub fn is_encrypted(file: &[u8]) -> bool {
        pem::blocks(file).is_ok_and(|blocks| blocks.iter().find(is_private_key).is_some_and(is_encrypted))
    }

    /// Reads a PEM of `RSA PRIVATE KEY` (PKCS#1; also under OpenSSL's legacy encryption), `PRIVATE KEY` (PKCS#8,
    /// RFC 5958) or `ENCRYPTED PRIVATE KEY` (PBES2, RFC 8018, with PBKDF2 or scrypt).
    ///
    /// A passphrase for a key that is not encrypted is ignored. Reading an encrypted one takes as long as its key
    /// derivation, which is bounded.
    ///
    /// # Errors
    /// [`Kind::Key`]: encrypted and no passphrase, the wrong passphrase, not a private key, not RSA, of a size or
    /// in a format that is not accepted; the message says which of these.
    pub fn from_pem(file: &[u8], passphrase: Option<&Passphrase>) -> Result<Self> {
        let blocks = pem::blocks(file).map_err(|why| Error::key(format!("not a private key: {why}")))?;
        let Some(block) = blocks.iter().find(is_private_key) else {
            // An EC key comes after its parameters.
            let other = blocks.iter().find(|block| block.label.ends_with("PRIVATE KEY")).or(blocks.first());
            return Err(not_a_private_key(other));
        };
        if blocks.iter().filter(is_private_key).count() > 1 {
            return Err(Error::key("several private keys in one file, expected one"));
        }
        let encrypted = is_encrypted(block);
        let der = match (encrypted, passphrase) {
            (false, _) => block.decode().ok_or_else(not_base64)?,
            (true, None) => return Err(locked()),
            (true, Some(passphrase)) if block.is_legacy_encrypted() => legacy_pem::decrypt(block, passphrase)?,
            (true, Some(passphrase)) => pbes2::decrypt(&block.decode().ok_or_else(not_base64)?, passphrase)?,
        };
        // Padding that is right by chance lets a wrong passphrase through to here.
        let broken = || if encrypted { wrong_passphrase() } else { Error::key("private key is malformed") };
        if block.label == "RSA PRIVATE KEY" {
            return Self::from_parts(RsaPrivateKeyRef::from_der(&der).map_err(|_| broken())?);
        }
        let info = PrivateKeyInfoRef::try_from(der.as_slice()).map_err(|_| broken())?;
        ensure_algorithm(&info.algorithm).map_err(Error::key)?;
        let inner = info.private_key.as_bytes();
        Self::from_parts(RsaPrivateKeyRef::from_der(inner).map_err(|_| broken())?)
    }

    fn from_parts(parts: RsaPrivateKeyRef<'_>) -> Result<Self> {
        if parts.other_prime_infos.is_some() {
            return Err(Error::key("RSA key of more than two primes is not supported"));
        }
        ensure_bits(&parts.modulus).map_err(Error::key)?;
        ensure_strong(&parts.modulus, &parts.public_exponent).map_err(Error::key)?;
        let inconsistent = |_| Error::key("private key with inconsistent parts");
        Self::new(rsa::PrivateKey::try_from(parts).map_err(inconsistent)?)
    }

    fn new(key: rsa::PrivateKey) -> Result<Self> {
        let public = PublicKey::new(key.to_public_key())?;
        Ok(PrivateKey { key, public })
    }

    /// A new key of 2048, 3072 or 4096 bits with the public exponent 65537; takes up to some seconds.
    ///
    /// # Errors
    /// [`Kind::Usage`] for another size, [`Kind::Io`] if the system gives no random bytes.
    pub fn generate(bits: usize) -> Result<Self> {
        if ![2048, 3072, 4096].contains(&bits) {
            return Err(Error::usage(format!("cannot generate an RSA key of {bits} bits, only of 2048, 3072 or 4096")));
        }
        let key = rsa::PrivateKey::new(&mut SystemRandom, bits)
            .map_err(|cause| Error::new(Kind::Io, "cannot generate the RSA key").because(cause))?;
        Self::new(key)
    }

    /// The key that belongs to this one.
    pub fn public_key(&self) -> PublicKey {
        self.public.clone()
    }

    /// Bits of the modulus.
    pub fn bits(&self) -> usize {
        self.public.bits()
    }

    /// The key as a PEM of PKCS#8: `PRIVATE KEY`, or with a passphrase `ENCRYPTED PRIVATE KEY` by PBES2
    /// (PBKDF2-HMAC-SHA-256 with 600 000 rounds, AES-256-CBC).
    ///
    /// # Errors
    /// [`Kind::Io`] if the system gives no random bytes.
    pub fn to_pkcs8_pem(&self, passphrase: Option<&Passphrase>) -> Result<Zeroizing<String>> {
        let der =
            self.key.to_pkcs8_der().map_err(|cause| Error::internal("cannot encode the private key").because(cause))?;
        match passphrase {
            None => pem::encode("PRIVATE KEY", der.as_bytes()),
            Some(passphrase) => {
                pem::encode("ENCRYPTED PRIVATE KEY", pbes2::encrypt(der.as_bytes(), passphrase)?.as_bytes())
            }
        }
    }
}

fn is_private_key(block: &&Block<'_>) -> bool {
    matches!(block.label, "RSA PRIVATE KEY" | "PRIVATE KEY" | "ENCRYPTED PRIVATE KEY")
}

fn is_encrypted(block: &Block<'_>) -> bool {
    block.label == "ENCRYPTED PRIVATE KEY" || block.is_legacy_encrypted()
}

fn locked() -> Error {
    Error::key("private key is encrypted and no passphrase was given").advise(Advice::GivePassphrase)
}

fn not_base64() -> Error {
    Error::key("private key is not valid base64")
}

/// The kind of a key in OpenSSH's format other than RSA, by the name that stands in it.
fn other_openssh_key(block: &Block<'_>) -> Option<&'static str> {
    let bytes = block.decode()?;
    let has = |name: &str| bytes.windows(name.len()).any(|window| window == name.as_bytes());
    [("ssh-ed25519", "Ed25519"), ("ecdsa-sha2-", "ECDSA"), ("ssh-dss", "DSA")]
        .into_iter()
        .find_map(|(name, kind)| has(name).then_some(kind))
}

fn not_a_private_key(block: Option<&Block<'_>>) -> Error {
    let label = block.map_or("", |block| block.label);
    match label {
        "OPENSSH PRIVATE KEY" if block.is_some_and(|block| other_openssh_key(block).is_some()) => {
            let kind = block.and_then(other_openssh_key).unwrap_or_default();
            Error::key(format!("the key is an {kind} key in OpenSSH format; stations and creators need RSA"))
                .hint("make one with pht-oci keygen NAME")
        }
        "PUBLIC KEY" | "RSA PUBLIC KEY" => {
            Error::key("a public key was given where the private key is needed").hint("give NAME.pem, not NAME.pub.pem")
        }
        "OPENSSH PRIVATE KEY" => Error::key("private key in OpenSSH format")
            .hint("convert a copy, since ssh-keygen overwrites its file: ssh-keygen -p -m pkcs8 -f COPY"),
        "CERTIFICATE" | "TRUSTED CERTIFICATE" | "X509 CERTIFICATE" => {
            Error::key("a certificate was given where the private key is needed")
        }
        _ if label.ends_with("PRIVATE KEY") => Error::key(format!("not an RSA key: PEM {label}")),
        _ => Error::key(format!("not a private key: PEM {label}")),
    }
}

fn not_a_public_key(label: &str) -> Error {
    match label {
        "OPENSSH PRIVATE KEY" => {
            Error::malformed("a private key in OpenSSH format was given where the public key is needed")
                .hint("of an RSA key, ssh-keygen -e -m pkcs8 -f FILE writes the public one")
        }
        _ if label.ends_with("PRIVATE KEY") => {
            Error::malformed("a private key was given where the public key is needed")
                .hint("extract the public key with openssl pkey -pubout")
        }
        "CERTIFICATE" | "TRUSTED CERTIFICATE" | "X509 CERTIFICATE" => {
            Error::malformed("a certificate was given where the public key is needed")
                .hint("extract the public key with openssl x509 -noout -pubkey")
        }
        _ => Error::malformed(format!("not a public key: PEM {label}")),
    }
}

/// Refuses, in words, what is not plain RSA.
fn ensure_algorithm(algorithm: &AlgorithmIdentifierRef<'_>) -> Result<(), String> {
    const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
    const DSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10040.4.1");
    const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
    const RSASSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
    let name = match algorithm.oid {
        // RFC 3279 wants NULL for parameters; some writers leave them out.
        ALGORITHM_OID if algorithm.parameters.is_none_or(|parameters| parameters.is_null()) => return Ok(()),
        ALGORITHM_OID => return Err("RSA key with invalid algorithm parameters".into()),
        RSASSA_PSS => return Err("RSA key restricted to signing (RSASSA-PSS), expected a plain one".into()),
        EC => "EC".into(),
        DSA => "DSA".into(),
        ED25519 => "Ed25519".into(),
        oid => oid.to_string(),
    };
    Err(format!("not an RSA key: algorithm {name}"))
}

/// Refuses, in words, a modulus that is too small or too large, before any arithmetic on it.
fn ensure_bits(modulus: &UintRef<'_>) -> Result<(), String> {
    let bytes = modulus.as_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let bits = bytes.get(zeros).map_or(0, |first| (bytes.len() - zeros) * 8 - first.leading_zeros() as usize);
    match bits {
        MIN_BITS..=MAX_BITS => Ok(()),
        _ => Err(format!("RSA key of {bits} bits, expected {MIN_BITS} to {MAX_BITS}")),
    }
}

/// The least public exponent that is accepted (NIST SP 800-56B, section 6.2).
const MIN_EXPONENT: u64 = 65_537;

/// Refuses, in words, what anyone factors, and exponents that are no use: both are cheap to make and cheap to tell.
fn ensure_strong(modulus: &UintRef<'_>, exponent: &UintRef<'_>) -> Result<(), String> {
    let value = exponent.as_bytes().iter().try_fold(0_u64, |value, byte| {
        value.checked_mul(256).map(|shifted| shifted | u64::from(*byte)).filter(|value| *value <= u64::from(u32::MAX))
    });
    match value {
        Some(value) if value >= MIN_EXPONENT && value % 2 == 1 => {}
        _ => return Err(format!("RSA key whose exponent is not an odd number from {MIN_EXPONENT} to {}", u32::MAX)),
    }
    match small_factor(modulus.as_bytes()) {
        None => Ok(()),
        Some(factor) => Err(format!("RSA key whose modulus has the factor {factor}: anyone can factor it")),
    }
}

fn uint(value: &UintRef<'_>) -> Option<BoxedUint> {
    let bytes = value.as_bytes();
    BoxedUint::from_be_slice(bytes, u32::try_from(bytes.len().checked_mul(8)?).ok()?).ok()
}

#[cfg(test)]
mod tests;
