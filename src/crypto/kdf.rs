//! Keys from keys: HKDF (RFC 5869).

use hkdf::Hkdf;
use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// HKDF-SHA-256 (RFC 5869): 32 bytes from the secret `ikm`, bound to `salt` and to `info`, the concatenation of its
/// parts.
///
/// # Errors
/// [`Kind::Internal`](crate::error::Kind::Internal) if the implementation refuses the length, which HKDF never does for
/// 32 bytes.
pub fn hkdf_sha256(ikm: &[u8], salt: &[u8], info: &[&[u8]]) -> Result<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<sha2::Sha256>::new(Some(salt), ikm)
        .expand_multi_info(info, key.as_mut())
        .map_err(|_| Error::internal("cannot derive a key"))?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::hex;

    /// The first 32 bytes of RFC 5869, A.1 and A.3.
    #[test]
    fn derives_as_rfc_5869_does() {
        let (ikm, salt) = ([0x0b; 22], hex::decode("000102030405060708090a0b0c").unwrap());
        let info = hex::decode("f0f1f2f3f4f5f6f7f8f9").unwrap();
        let expected = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf";
        assert_eq!(hex::encode(&*hkdf_sha256(&ikm, &salt, &[&info]).unwrap()), expected);
        assert_eq!(hex::encode(&*hkdf_sha256(&ikm, &salt, &[&info[..3], &info[3..]]).unwrap()), expected);
        let expected = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d";
        assert_eq!(hex::encode(&*hkdf_sha256(&ikm, &[], &[]).unwrap()), expected);
    }
}
