//! Private keys under OpenSSL's legacy encryption: `Proc-Type: 4,ENCRYPTED` (RFC 1421 headers around PKCS#1).
//!
//! Its key derivation, one round of MD5, is weak against guessing; it is read because key files like that exist, and
//! never written.

use aes::{Aes128Dec, Aes192Dec, Aes256Dec};
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockCipherDecrypt, BlockModeDecrypt, KeyInit, KeyIvInit};
use md5::{Digest, Md5};
use zeroize::Zeroizing;

use super::passphrase::{Passphrase, wrong_passphrase};
use super::pem::Block;
use crate::crypto::hex;
use crate::error::{Error, Result};

/// Bytes of the salt, which is the beginning of the initialization vector.
const SALT: usize = 8;

/// The DER inside `block`.
///
/// # Errors
/// [`Kind::Key`](crate::error::Kind::Key): no or an unknown `DEK-Info`, bad base64, or the wrong passphrase (which
/// is noticed by the padding alone, so a wrong one passes once in some 256 times, with garbage for a result).
pub(super) fn decrypt(block: &Block<'_>, passphrase: &Passphrase) -> Result<Zeroizing<Vec<u8>>> {
    let info = block.header("DEK-Info").ok_or_else(|| Error::key("encrypted PEM block without DEK-Info"))?;
    let (name, iv) = info.split_once(',').unwrap_or((info, ""));
    let iv =
        hex::decode(iv.trim()).map_err(|_| Error::key("DEK-Info with an initialization vector that is not hex"))?;
    let open = match name.trim() {
        "AES-128-CBC" => open::<Aes128Dec>,
        "AES-192-CBC" => open::<Aes192Dec>,
        "AES-256-CBC" => open::<Aes256Dec>,
        "DES-EDE3-CBC" => open::<des::TdesEde3>,
        "DES-CBC" => open::<des::Des>,
        _ => {
            return Err(Error::key("private key encrypted with a cipher that is not supported")
                .hint("convert the key with openssl pkcs8 -topk8 -v2 aes-256-cbc"));
        }
    };
    let mut der = block.decode().ok_or_else(|| Error::key("private key is not valid base64"))?;
    let length = open(passphrase, &iv, &mut der)?;
    der.truncate(length);
    Ok(der)
}

/// Decrypts in place and says how many bytes remain without the padding.
fn open<C: BlockCipherDecrypt + KeyInit>(passphrase: &Passphrase, iv: &[u8], data: &mut [u8]) -> Result<usize> {
    if iv.len() != C::block_size() {
        return Err(Error::key(format!(
            "DEK-Info with an initialization vector of {} bytes, expected {}",
            iv.len(),
            C::block_size()
        )));
    }
    let key = bytes_to_key(passphrase.as_bytes(), &iv[..SALT], C::key_size());
    let cipher = cbc::Decryptor::<C>::new_from_slices(&key, iv).map_err(|_| wrong_passphrase())?;
    Ok(cipher.decrypt_padded::<Pkcs7>(data).map_err(|_| wrong_passphrase())?.len())
}

/// OpenSSL's `EVP_BytesToKey` with MD5 and a count of one: `D_i = MD5(D_(i-1) ‖ passphrase ‖ salt)`.
fn bytes_to_key(passphrase: &[u8], salt: &[u8], length: usize) -> Zeroizing<Vec<u8>> {
    // Room for the last digest too: a buffer that grows would leave a copy of the key behind.
    let mut key = Zeroizing::new(Vec::with_capacity(length + 16));
    while key.len() < length {
        let mut digest = Md5::new();
        let last = key.len().saturating_sub(16);
        digest.update(&key[last..]);
        digest.update(passphrase);
        digest.update(salt);
        key.extend_from_slice(&digest.finalize());
    }
    key.truncate(length);
    key
}
