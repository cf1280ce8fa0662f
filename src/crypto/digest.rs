//! The one place where the implementation of digests is chosen.
//!
//! The rest of the program sees these types only, so another implementation is a matter of this file.

use std::io::{self, Write};

use hmac::{KeyInit, Mac};

use crate::error::{Error, Result};

/// The SHA-512 that the RSA schemes are generic over (RFC 8017 leaves the hash to the user).
pub(crate) type SchemeHash = sha2::Sha512;

/// The SHA-256 of signed statements, in the same way.
pub(crate) type StatementHash = sha2::Sha256;

macro_rules! digest {
    ($(#[$doc:meta])* $name:ident, $implementation:ident, $length:literal) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(implementation::$implementation);

        impl $name {
            /// Starts over no bytes.
            pub fn new() -> Self {
                Self(implementation::$implementation::new())
            }

            /// Appends `data` to the message.
            pub fn update(&mut self, data: &[u8]) {
                self.0.update(data);
            }

            /// The digest of all that was appended.
            pub fn finish(self) -> [u8; $length] {
                self.0.finish()
            }

            /// The digest of `data`.
            pub fn of(data: &[u8]) -> [u8; $length] {
                let mut digest = Self::new();
                digest.update(data);
                digest.finish()
            }
        }

        impl Write for $name {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.update(bytes);
                Ok(bytes.len())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }
    };
}

digest! {
    /// SHA-256 (FIPS 180-4), 32 bytes.
    Sha256, Digest256, 32
}

digest! {
    /// SHA-512 (FIPS 180-4), 64 bytes.
    Sha512, Digest512, 64
}

/// OpenSSL's: SHA-512 bounds the older wire versions' stages, and no other does it with AVX2. These are functions over
/// bytes: nothing of OpenSSL's configuration or providers comes with them.
#[cfg(feature = "openssl")]
mod implementation {
    pub(super) use openssl::sha::{Sha256 as Digest256, Sha512 as Digest512};
}

/// RustCrypto's: portable, no C compiler needed.
#[cfg(not(feature = "openssl"))]
mod implementation {
    use sha2::Digest;

    #[derive(Clone)]
    pub(super) struct Running<D>(D);
    pub(super) type Digest256 = Running<sha2::Sha256>;
    pub(super) type Digest512 = Running<sha2::Sha512>;

    impl<D: Digest> Running<D> {
        pub(super) fn new() -> Self {
            Running(D::new())
        }

        pub(super) fn update(&mut self, data: &[u8]) {
            self.0.update(data);
        }

        pub(super) fn finish<const N: usize>(self) -> [u8; N]
        where
            sha2::digest::Output<D>: Into<[u8; N]>,
        {
            self.0.finalize().into()
        }
    }
}

/// HMAC-SHA-256 (RFC 2104), 32 bytes.
pub(crate) struct HmacSha256(hmac::Hmac<sha2::Sha256>);

impl HmacSha256 {
    /// Starts over no bytes with `key`.
    ///
    /// # Errors
    /// [`Kind::Internal`](crate::error::Kind::Internal) if the implementation refuses the key, which HMAC never does.
    pub(crate) fn new(key: &[u8]) -> Result<Self> {
        hmac::Hmac::new_from_slice(key).map(Self).map_err(|_| Error::internal("cannot set up HMAC-SHA-256"))
    }

    /// Appends `data` to the message.
    pub(crate) fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// The tag over all that was appended.
    pub(crate) fn finish(self) -> [u8; 32] {
        self.0.finalize().into_bytes().into()
    }

    /// True if `tag` is the tag over all that was appended; compares in constant time.
    pub(crate) fn verify(self, tag: &[u8]) -> bool {
        self.0.verify_slice(tag).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::hex;

    #[test]
    fn digests_of_abc_are_those_of_fips_180() {
        assert_eq!(
            hex::encode(&Sha256::of(b"abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            hex::encode(&Sha512::of(b"abc")),
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        );
    }

    #[test]
    fn a_clone_goes_its_own_way() {
        let mut digest = Sha512::new();
        digest.update(b"a");
        let fork = digest.clone();
        digest.update(b"bc");
        assert_eq!(digest.finish(), Sha512::of(b"abc"));
        assert_eq!(fork.finish(), Sha512::of(b"a"));
    }

    #[test]
    fn hmac_is_that_of_rfc_4231() {
        let mut hmac = HmacSha256::new(b"Jefe").unwrap();
        hmac.update(b"what do ya want ");
        hmac.update(b"for nothing?");
        let tag = hmac.finish();
        assert_eq!(hex::encode(&tag), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        let again = || {
            let mut hmac = HmacSha256::new(b"Jefe").unwrap();
            hmac.update(b"what do ya want for nothing?");
            hmac
        };
        assert!(again().verify(&tag));
        assert!(!again().verify(&tag[..31]));
        assert!(!again().verify(&[0; 32]));
    }
}
