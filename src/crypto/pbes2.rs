//! Encrypted PKCS#8 (RFC 5958) by PBES2 (RFC 8018): `ENCRYPTED PRIVATE KEY`.

use ::pkcs8::der::asn1::{AnyRef, OctetStringRef};
use ::pkcs8::der::{self, Decode, Reader, SliceReader};
use ::pkcs8::pkcs5::pbes2::{
    AES_128_CBC_OID, AES_192_CBC_OID, AES_256_CBC_OID, DES_CBC_OID, DES_EDE3_CBC_OID, Kdf, PBES2_OID, PBKDF2_OID,
    Parameters, SCRYPT_OID,
};
use ::pkcs8::{AlgorithmIdentifierRef, PrivateKeyInfoRef, SecretDocument, pkcs5};
use zeroize::Zeroizing;

use super::passphrase::{Passphrase, wrong_passphrase};
use crate::crypto::random;
use crate::error::{Error, Result};

/// Rounds of PBKDF2-HMAC-SHA-256 for what is written here (OWASP's advice of 2023 is 600 000).
const ITERATIONS: u32 = 600_000;

/// Rounds of PBKDF2 that are read: RFC 8018, section 4.2 calls this appropriate for especially critical keys, and it
/// takes seconds. More is a file that wants to hang the program.
const MAX_ITERATIONS: u32 = 10_000_000;

/// Bytes of memory that scrypt may take (128 N r); OpenSSL writes 16 MiB and reads up to 32 MiB.
const MAX_SCRYPT_MEMORY: u64 = 256 << 20;

/// Blocks that scrypt may mix (N r p), some seconds.
const MAX_SCRYPT_WORK: u64 = 1 << 22;

/// Bytes of salt that the implementation can hold; it would panic on more.
const MAX_SALT: usize = pkcs5::pbes2::Salt::MAX_LEN;

/// The DER of the `PrivateKeyInfo` inside of `der`, an `EncryptedPrivateKeyInfo`.
///
/// # Errors
/// [`Kind::Key`](crate::error::Kind::Key): malformed, encrypted otherwise than by PBES2 with PBKDF2 or scrypt and
/// AES-CBC or DES-CBC, at a cost beyond all reason, or with another passphrase (noticed by the padding alone; once in
/// some 256 times garbage comes out).
pub(super) fn decrypt(der: &[u8], passphrase: &Passphrase) -> Result<Zeroizing<Vec<u8>>> {
    let malformed = |_| Error::key("encrypted private key is malformed");
    let (algorithm, data) = split(der).map_err(malformed)?;
    if algorithm.oid != PBES2_OID {
        return Err(Error::key(format!(
            "private key encrypted by an old scheme (PBES1 or PKCS#12, {})",
            algorithm.oid
        ))
        .hint("convert the key with openssl pkcs8 -topk8 -v2 aes-256-cbc"));
    }
    let parameters = algorithm.parameters.ok_or_else(|| Error::key("encrypted private key without parameters"))?;
    let (kdf, cipher) = schemes(parameters).map_err(malformed)?;
    ensure_kdf(&kdf)?;
    ensure_cipher(&cipher)?;
    let parameters = Parameters::try_from(parameters)
        .map_err(|_| Error::key("private key encrypted with parameters that are malformed or not supported"))?;
    ensure_cost(&parameters.kdf)?;
    let mut buffer = Zeroizing::new(data.as_bytes().to_vec());
    let length = match parameters.decrypt_in_place(passphrase.as_bytes(), &mut buffer) {
        Ok(plain) => plain.len(),
        Err(pkcs5::Error::DecryptFailed) => return Err(wrong_passphrase()),
        Err(cause) => return Err(Error::key("cannot decrypt the private key").because(cause)),
    };
    buffer.truncate(length);
    Ok(buffer)
}

/// `EncryptedPrivateKeyInfo ::= SEQUENCE { encryptionAlgorithm, encryptedData OCTET STRING }`
fn split(der: &[u8]) -> der::Result<(AlgorithmIdentifierRef<'_>, &OctetStringRef)> {
    let mut reader = SliceReader::new(der)?;
    let parts = reader.sequence(|parts| Ok::<_, der::Error>((parts.decode()?, parts.decode()?)))?;
    reader.finish()?;
    Ok(parts)
}

/// `PBES2-params ::= SEQUENCE { keyDerivationFunc, encryptionScheme }`
fn schemes(parameters: AnyRef<'_>) -> der::Result<(AlgorithmIdentifierRef<'_>, AlgorithmIdentifierRef<'_>)> {
    parameters.sequence(|parts| Ok::<_, der::Error>((parts.decode()?, parts.decode()?)))
}

/// Refuses what is not supported by name, and a salt on which the implementation would panic.
fn ensure_kdf(kdf: &AlgorithmIdentifierRef<'_>) -> Result<()> {
    if kdf.oid != PBKDF2_OID && kdf.oid != SCRYPT_OID {
        return Err(Error::key(format!("private key encrypted with an unsupported key derivation ({})", kdf.oid)));
    }
    // Both begin with the salt.
    let salt = kdf.parameters.and_then(|parameters| {
        let mut reader = SliceReader::new(parameters.value()).ok()?;
        <&OctetStringRef>::decode(&mut reader).ok()
    });
    match salt {
        Some(salt) if salt.as_bytes().len() <= MAX_SALT => Ok(()),
        Some(salt) => Err(Error::key(format!(
            "private key encrypted with a salt of {} bytes, at most {MAX_SALT} are supported",
            salt.as_bytes().len()
        ))),
        None => Err(Error::key("private key encrypted with key derivation parameters that are malformed")),
    }
}

/// Refuses what is not supported by name, and an initialization vector on which the implementation would panic.
fn ensure_cipher(cipher: &AlgorithmIdentifierRef<'_>) -> Result<()> {
    let block = match cipher.oid {
        AES_128_CBC_OID | AES_192_CBC_OID | AES_256_CBC_OID => 16,
        DES_EDE3_CBC_OID | DES_CBC_OID => 8,
        oid => return Err(Error::key(format!("private key encrypted with an unsupported cipher ({oid})"))),
    };
    let iv = cipher.parameters.and_then(|parameters| parameters.decode_as::<&OctetStringRef>().ok());
    match iv {
        Some(iv) if iv.as_bytes().len() == block => Ok(()),
        _ => Err(Error::key("private key encrypted with an initialization vector of the wrong length")),
    }
}

/// Bounds the time and memory that a key file may ask for.
fn ensure_cost(kdf: &Kdf) -> Result<()> {
    let fits = match kdf {
        Kdf::Pbkdf2(parameters) => (1..=MAX_ITERATIONS).contains(&parameters.iteration_count),
        Kdf::Scrypt(parameters) => {
            let (r, p) = (u64::from(parameters.block_size), u64::from(parameters.parallelization));
            let blocks = parameters.cost_parameter.saturating_mul(r);
            (1..=MAX_SCRYPT_MEMORY / 128).contains(&blocks) && blocks.saturating_mul(p) <= MAX_SCRYPT_WORK
        }
        _ => false,
    };
    if fits {
        return Ok(());
    }
    Err(Error::key("private key encrypted with a cost (rounds or memory) outside the accepted range")
        .hint("convert the key with openssl pkcs8 -topk8 -v2 aes-256-cbc -iter 600000"))
}

/// `der`, a `PrivateKeyInfo`, as an `EncryptedPrivateKeyInfo`: PBKDF2-HMAC-SHA-256 and AES-256-CBC.
///
/// # Errors
/// [`Kind::Io`](crate::error::Kind::Io) if there are no random bytes.
pub(super) fn encrypt(der: &[u8], passphrase: &Passphrase) -> Result<SecretDocument> {
    let failed = || Error::internal("cannot encrypt the private key");
    let (salt, iv) = (random::bytes::<16>()?, random::bytes::<16>()?);
    let parameters =
        Parameters::generate_pbkdf2_sha256_aes256cbc(ITERATIONS, &salt, iv).map_err(|cause| failed().because(cause))?;
    PrivateKeyInfoRef::try_from(der)
        .and_then(|key| key.encrypt_with_params(parameters, passphrase.as_bytes()))
        .map_err(|cause| failed().because(cause))
}
