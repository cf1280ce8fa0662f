//! The one place where the implementation of encryption with AES-CBC (NIST SP 800-38A) is chosen. Each block waits for
//! the one before it, so no core does it fast; decryption has no such bound, and one implementation.

use crate::error::{Error, Result};

/// Bytes of a block and of an IV.
pub(super) const BLOCK: usize = 16;

/// Encryption under one key and IV, of one message.
pub(super) struct Encryptor(implementation::Encryptor);

impl Encryptor {
    /// Begins a message under `key`, of 16 bytes for AES-128 or 32 for AES-256.
    ///
    /// # Errors
    /// [`Kind::Internal`](crate::error::Kind::Internal) if the implementation refuses the key, which for these lengths
    /// never happens.
    pub(super) fn new(key: &[u8], iv: [u8; BLOCK]) -> Result<Self> {
        implementation::start(key, iv).map(Encryptor).ok_or_else(|| Error::internal("cannot set up AES-CBC"))
    }

    /// Encrypts the message's next blocks in place.
    ///
    /// # Errors
    /// [`Kind::Internal`](crate::error::Kind::Internal) if they are not whole.
    pub(super) fn encrypt(&mut self, blocks: &mut [u8]) -> Result<()> {
        let whole = blocks.len().is_multiple_of(BLOCK);
        let done = if whole { implementation::encrypt(&mut self.0, blocks) } else { None };
        done.ok_or_else(|| Error::internal("cannot encrypt a chunk"))
    }
}

/// AWS-LC's: a sixth faster.
#[cfg(feature = "aws-lc")]
mod implementation {
    use aws_lc_rs::cipher::{AES_128, AES_256, EncryptionContext, StreamingEncryptingKey, UnboundCipherKey};
    use aws_lc_rs::iv::FixedLength;

    use super::BLOCK;

    /// It does not encrypt in place: bytes that it encrypts before they are copied back, within a core's first cache.
    const PIECE: usize = 8 << 10;

    pub(super) struct Encryptor {
        cipher: StreamingEncryptingKey,
        piece: [u8; PIECE],
    }

    pub(super) fn start(key: &[u8], iv: [u8; BLOCK]) -> Option<Encryptor> {
        let algorithm = if key.len() == 16 { &AES_128 } else { &AES_256 };
        let key = UnboundCipherKey::new(algorithm, key).ok()?;
        // The padding that it would add at the end is never asked for.
        let cipher = StreamingEncryptingKey::less_safe_cbc_pkcs7(key, EncryptionContext::Iv128(FixedLength::from(iv)));
        Some(Encryptor { cipher: cipher.ok()?, piece: [0; PIECE] })
    }

    pub(super) fn encrypt(encryptor: &mut Encryptor, blocks: &mut [u8]) -> Option<()> {
        for piece in blocks.chunks_mut(PIECE) {
            let sealed = &mut encryptor.piece[..piece.len()];
            let update = encryptor.cipher.less_safe_update(piece, sealed).ok()?;
            if update.written().len() != piece.len() {
                return None;
            }
            piece.copy_from_slice(update.written());
        }
        Some(())
    }
}

/// RustCrypto's: portable, no C compiler needed.
#[cfg(not(feature = "aws-lc"))]
mod implementation {
    use aes::{Aes128Enc, Aes256Enc};
    use cbc::cipher::{Array, BlockModeEncrypt, KeyIvInit};

    use super::BLOCK;

    pub(super) enum Encryptor {
        Aes128(cbc::Encryptor<Aes128Enc>),
        Aes256(cbc::Encryptor<Aes256Enc>),
    }

    pub(super) fn start(key: &[u8], iv: [u8; BLOCK]) -> Option<Encryptor> {
        match key.len() {
            16 => cbc::Encryptor::new_from_slices(key, &iv).ok().map(Encryptor::Aes128),
            _ => cbc::Encryptor::new_from_slices(key, &iv).ok().map(Encryptor::Aes256),
        }
    }

    pub(super) fn encrypt(encryptor: &mut Encryptor, blocks: &mut [u8]) -> Option<()> {
        let blocks = Array::slice_as_chunks_mut(blocks).0;
        match encryptor {
            Encryptor::Aes128(cipher) => cipher.encrypt_blocks(blocks),
            Encryptor::Aes256(cipher) => cipher.encrypt_blocks(blocks),
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::hex;

    /// NIST SP 800-38A, F.2.1 and F.2.5: the first two blocks.
    const PLAIN: &str = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51";

    fn sealed(key: &str, calls: &[usize]) -> String {
        let (key, iv) = (hex::decode(key).unwrap(), hex::decode("000102030405060708090a0b0c0d0e0f").unwrap());
        let mut encryptor = Encryptor::new(&key, iv.try_into().unwrap()).unwrap();
        let mut message = hex::decode(PLAIN).unwrap();
        let mut from = 0;
        for blocks in calls {
            encryptor.encrypt(&mut message[from..from + blocks * BLOCK]).unwrap();
            from += blocks * BLOCK;
        }
        hex::encode(&message)
    }

    #[test]
    fn encrypts_as_nist_does_in_any_number_of_calls() {
        for calls in [&[2][..], &[1, 1], &[0, 1, 0, 1]] {
            let short = sealed("2b7e151628aed2a6abf7158809cf4f3c", calls);
            assert_eq!(short, "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2");
            let long = sealed("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4", calls);
            assert_eq!(long, "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d");
        }
    }

    #[test]
    fn refuses_what_is_no_key_and_no_block() {
        assert!(Encryptor::new(&[0; 24], [0; BLOCK]).is_err());
        assert!(Encryptor::new(&[], [0; BLOCK]).is_err());
        assert!(Encryptor::new(&[0; 32], [0; BLOCK]).unwrap().encrypt(&mut [0; BLOCK + 1]).is_err());
    }
}
