//! The train protocol's use of RSA keys (RFC 8017): OAEP, PSS and PKCS#1 v1.5, all with SHA-512; and PKCS#1 v1.5 with
//! SHA-256 for signed statements, since other programs verify these.

use rsa::Pss;
use rsa::traits::PublicKeyParts;
use zeroize::Zeroizing;

use super::digest::{SchemeHash, Sha256, Sha512, StatementHash};
use super::keys::{PrivateKey, PublicKey};
use super::random::SystemRandom;
use crate::error::{Error, Kind, Result};

/// Bytes of the hash, `hLen` of RFC 8017, and of the salt of signatures over messages.
const HASH: usize = 64;

/// The longest salt that fits: `emLen - hLen - 2` with `emLen = ceil((bits - 1) / 8)` (RFC 8017, section 9.1.1).
fn salt_length(key: &PublicKey) -> usize {
    // No key is below 2048 bits, so this never saturates.
    (key.bits().saturating_sub(1).div_ceil(8)).saturating_sub(HASH + 2)
}

impl PublicKey {
    /// Encrypts `secret` for the owner of the key: RSAES-OAEP (RFC 8017, section 7.1) with SHA-512, MGF1 with
    /// SHA-512 and an empty label. The result is as long as the modulus.
    ///
    /// # Errors
    /// [`Kind::Malformed`] if the secret is too long for the key (126 bytes fit with 2048 bits), [`Kind::Io`] if the
    /// system gives no random bytes.
    pub fn wrap(&self, secret: &[u8]) -> Result<Vec<u8>> {
        let most = self.key.size().saturating_sub(2 * HASH + 2);
        if secret.len() > most {
            let (length, bits) = (secret.len(), self.bits());
            return Err(Error::malformed(format!(
                "secret of {length} bytes, an RSA key of {bits} bits can wrap at most {most}"
            )));
        }
        self.key
            .oaep_encrypt_with_rng::<SchemeHash, _>(&mut SystemRandom, secret)
            .map_err(|cause| Error::new(Kind::Io, "cannot wrap a key").because(cause))
    }

    /// True if `signature` is the owner's RSASSA-PSS signature (RFC 8017, section 8.1) of the message with this
    /// `digest`, which is not hashed again: SHA-512, MGF1 with SHA-512, the salt of exactly the longest length that
    /// fits the key.
    pub fn verify_pss_prehashed(&self, digest: &[u8; 64], signature: &[u8]) -> bool {
        self.key.verify(Pss::<SchemeHash>::new_with_salt(salt_length(self)), digest, signature).is_ok()
    }

    /// True if `signature` is the owner's RSASSA-PSS signature (RFC 8017, section 8.1) of `message`: SHA-512, MGF1 with
    /// SHA-512, a salt of exactly 64 bytes. No signature over a digest with the longest salt is one of these.
    pub fn verify_pss(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify(Pss::<SchemeHash>::new_with_salt(HASH), &Sha512::of(message), signature).is_ok()
    }

    /// True if `signature` is the owner's RSASSA-PKCS1-v1_5 signature (RFC 8017, section 8.2) of `message` with
    /// SHA-512.
    pub fn verify_pkcs1v15(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.pkcs1v15_verify_prehash::<SchemeHash>(&Sha512::of(message), signature).is_ok()
    }

    /// True if `signature` is the owner's RSASSA-PKCS1-v1_5 signature of `message` with SHA-256.
    pub fn verify_pkcs1v15_sha256(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.pkcs1v15_verify_prehash::<StatementHash>(&Sha256::of(message), signature).is_ok()
    }
}

impl PrivateKey {
    /// Decrypts what [`PublicKey::wrap`] made.
    ///
    /// # Errors
    /// [`Kind::Key`] with one and the same message whatever is wrong, so that nobody learns from it.
    pub fn unwrap(&self, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        self.key.oaep_decrypt_with_rng::<SchemeHash, _>(&mut SystemRandom, wrapped).map(Zeroizing::new).map_err(|_| {
            Error::key("the wrapped key cannot be opened with this private key (wrapped for another key, or changed)")
        })
    }

    /// The RSASSA-PSS signature that [`PublicKey::verify_pss_prehashed`] accepts.
    ///
    /// # Errors
    /// [`Kind::Io`] if the system gives no random bytes.
    pub fn sign_pss_prehashed(&self, digest: &[u8; 64]) -> Result<Vec<u8>> {
        let scheme = Pss::<SchemeHash>::new_with_salt(salt_length(&self.public_key()));
        self.key
            .sign_with_rng(&mut SystemRandom, scheme, digest)
            .map_err(|cause| Error::new(Kind::Io, "cannot sign the digest").because(cause))
    }

    /// The RSASSA-PSS signature that [`PublicKey::verify_pss`] accepts.
    ///
    /// # Errors
    /// [`Kind::Io`] if the system gives no random bytes.
    pub fn sign_pss(&self, message: &[u8]) -> Result<Vec<u8>> {
        self.key
            .sign_with_rng(&mut SystemRandom, Pss::<SchemeHash>::new_with_salt(HASH), &Sha512::of(message))
            .map_err(|cause| Error::new(Kind::Io, "cannot sign").because(cause))
    }

    /// The RSASSA-PKCS1-v1_5 signature that [`PublicKey::verify_pkcs1v15`] accepts.
    ///
    /// # Errors
    /// [`Kind::Io`] if the system gives no random bytes (the operation is blinded).
    pub fn sign_pkcs1v15(&self, message: &[u8]) -> Result<Vec<u8>> {
        self.key
            .pkcs1v15_sign_prehash_with_rng::<SchemeHash, _>(&mut SystemRandom, &Sha512::of(message))
            .map_err(|cause| Error::new(Kind::Io, "cannot sign the digest").because(cause))
    }

    /// The RSASSA-PKCS1-v1_5 signature that [`PublicKey::verify_pkcs1v15_sha256`] accepts.
    ///
    /// # Errors
    /// As [`sign_pkcs1v15`](Self::sign_pkcs1v15).
    pub fn sign_pkcs1v15_sha256(&self, message: &[u8]) -> Result<Vec<u8>> {
        self.key
            .pkcs1v15_sign_prehash_with_rng::<StatementHash, _>(&mut SystemRandom, &Sha256::of(message))
            .map_err(|cause| Error::new(Kind::Io, "cannot sign the statement").because(cause))
    }
}

#[cfg(test)]
mod tests;
