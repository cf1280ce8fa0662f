//! The one place where the implementation of AES-256-GCM (NIST SP 800-38D) is chosen.

use crate::error::{Error, Result};

/// Bytes of a tag.
pub(super) const TAG: usize = 16;

/// AES-256-GCM under one key, without additional data. It is up to the caller that no nonce occurs twice.
pub(super) struct Gcm(implementation::Key);

impl Gcm {
    /// Takes up `key`.
    ///
    /// # Errors
    /// [`Kind::Internal`](crate::error::Kind::Internal) if the implementation refuses the key, which for 32 bytes never
    /// happens.
    pub(super) fn new(key: &[u8; 32]) -> Result<Self> {
        let key = implementation::key(key).ok_or_else(|| Error::internal("cannot set up AES-256-GCM"))?;
        Ok(Gcm(key))
    }

    /// Encrypts all but the last [`TAG`] bytes of `buffer`, and writes the tag there.
    ///
    /// # Errors
    /// [`Kind::Internal`](crate::error::Kind::Internal) if there is no room for the tag, or more than GCM can take.
    pub(super) fn seal(&self, nonce: [u8; 12], buffer: &mut [u8]) -> Result<()> {
        let parts = buffer.split_last_chunk_mut::<TAG>();
        let sealed = parts.and_then(|(text, tag)| {
            *tag = implementation::seal(&self.0, nonce, text)?;
            Some(())
        });
        sealed.ok_or_else(|| Error::internal("cannot encrypt a chunk"))
    }

    /// Decrypts all but the last [`TAG`] bytes of `buffer`, which are the tag; `None` if the tag is wrong or absent.
    /// Then what the buffer holds is nothing.
    pub(super) fn open(&self, nonce: [u8; 12], buffer: &mut [u8]) -> Option<()> {
        if buffer.len() < TAG { None } else { implementation::open(&self.0, nonce, buffer) }
    }
}

/// AWS-LC's: three times as fast, which for wire version 3 is a fifth of a stage.
#[cfg(feature = "aws-lc")]
mod implementation {
    use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

    use super::TAG;

    pub(super) type Key = LessSafeKey;

    pub(super) fn key(key: &[u8; 32]) -> Option<Key> {
        UnboundKey::new(&AES_256_GCM, key).ok().map(LessSafeKey::new)
    }

    pub(super) fn seal(key: &Key, nonce: [u8; 12], text: &mut [u8]) -> Option<[u8; TAG]> {
        let tag = key.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), text).ok()?;
        tag.as_ref().try_into().ok()
    }

    pub(super) fn open(key: &Key, nonce: [u8; 12], sealed: &mut [u8]) -> Option<()> {
        key.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::empty(), sealed).ok().map(drop)
    }
}

/// RustCrypto's: portable, no C compiler needed.
#[cfg(not(feature = "aws-lc"))]
mod implementation {
    use aes_gcm::aead::inout::InOutBuf;
    use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit, Nonce, Tag};

    use super::TAG;

    pub(super) type Key = Aes256Gcm;

    pub(super) fn key(key: &[u8; 32]) -> Option<Key> {
        Some(Aes256Gcm::new(key.into()))
    }

    pub(super) fn seal(key: &Key, nonce: [u8; 12], text: &mut [u8]) -> Option<[u8; TAG]> {
        key.encrypt_inout_detached(&Nonce::from(nonce), b"", InOutBuf::from(text)).ok().map(Into::into)
    }

    pub(super) fn open(key: &Key, nonce: [u8; 12], sealed: &mut [u8]) -> Option<()> {
        let (text, tag) = sealed.split_last_chunk_mut::<TAG>()?;
        let tag = Tag::from(*tag);
        key.decrypt_inout_detached(&Nonce::from(nonce), b"", InOutBuf::from(text), &tag).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::hex;

    /// Test case 14 of McGrew and Viega, *The Galois/Counter Mode of Operation*: zeros under a key of zeros.
    #[test]
    fn seals_as_its_authors_do_and_opens_nothing_else() {
        let gcm = Gcm::new(&[0; 32]).unwrap();
        let mut buffer = [0; 32];
        gcm.seal([0; 12], &mut buffer).unwrap();
        let sealed = "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919";
        assert_eq!(hex::encode(&buffer), sealed);
        let changed = (0..buffer.len()).map(|at| {
            let mut changed = buffer;
            changed[at] ^= 1;
            changed
        });
        for mut changed in changed {
            assert!(gcm.open([0; 12], &mut changed).is_none());
        }
        assert!(gcm.open([1; 12], &mut buffer.clone()).is_none());
        assert!(gcm.open([0; 12], &mut buffer[..TAG - 1].to_vec()).is_none());
        assert!(gcm.open([0; 12], &mut buffer).is_some());
        assert_eq!(buffer[..16], [0; 16]);
        assert!(gcm.seal([0; 12], &mut [0; TAG - 1]).is_err());
    }
}
