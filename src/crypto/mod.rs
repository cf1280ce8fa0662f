//! Keys, signatures, digests and ciphers. Knows no image.

pub mod cipher;
pub mod digest;
pub mod dsse;
pub mod hex;
pub mod kdf;
pub mod keys;
pub mod paillier;
pub mod random;

mod aes_cbc;
mod gcm;
mod legacy_pem;
#[cfg(test)]
mod openssl;
mod passphrase;
mod pbes2;
mod pem;
mod scheme;
#[cfg(test)]
pub(crate) mod testing;

pub use cipher::{Cipher, Decryptor, Encryptor, StageKey};
pub use digest::{Sha256, Sha512};
pub use keys::{PrivateKey, PublicKey};
pub use passphrase::Passphrase;
pub use pem::MAX_KEY_FILE;
/// Memory that is erased when it is given up.
pub use zeroize::Zeroizing;
