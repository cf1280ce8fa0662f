//! What holds of every stream cipher.

use std::io::{Read, Write};

use pht_oci::crypto::{Cipher, StageKey};
use zeroize::Zeroizing;

const PATH: &[u8] = b"pht_results/file";

fn key(cipher: Cipher) -> StageKey {
    let bytes: &[u8] = match cipher {
        Cipher::Fernet => b"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
        _ => b"0123456789abcdef0123456789abcdef",
    };
    cipher.key_from_bytes(Zeroizing::new(bytes.to_vec())).expect("a key of the cipher")
}

/// Hands out its bytes in pieces of `1..=size`.
struct Pieces<'a>(&'a [u8], usize);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.0.len().min(buffer.len()).min(self.1);
        let (now, rest) = self.0.split_at(count);
        buffer[..count].copy_from_slice(now);
        (self.0, self.1) = (rest, self.1 % 4099 + 1);
        Ok(count)
    }
}

fn open(cipher: Cipher, ciphertext: impl Read) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    let mut decryptor = cipher.decryptor(&key(cipher), PATH, ciphertext).expect("the key fits");
    decryptor.read_to_end(&mut plain).ok().map(|_| plain)
}

fn seal(cipher: Cipher, plain: &[u8], piece: usize) -> Vec<u8> {
    let mut encryptor = cipher.encryptor(&key(cipher), PATH, Vec::new()).expect("the key fits");
    plain.chunks(piece).for_each(|piece| encryptor.write_all(piece).expect("memory takes all"));
    encryptor.finish().expect("memory takes all")
}

/// The first four bytes choose what happens to the rest.
pub fn check(cipher: Cipher, data: &[u8]) {
    let Some((&[a, b, c, repeat], data)) = data.split_first_chunk() else { return };
    let (piece, at) = (usize::from(a) * 257 + 1, usize::from(b) << 8 | usize::from(c));
    // Anything at all as ciphertext: the same verdict however it arrives, and a known length.
    let opened = open(cipher, data);
    assert_eq!(open(cipher, Pieces(data, piece)), opened);
    if let Some(plain) = opened {
        let tail = &data[data.len().saturating_sub(cipher.tail_len())..];
        let length = cipher.plaintext_len(&key(cipher), data.len() as u64, tail).expect("it has a plaintext");
        assert_eq!(length, plain.len() as u64);
    }
    // The same as plaintext, long enough to cross chunks.
    let plain = data.repeat(usize::from(repeat) % 32 + 1);
    let sealed = seal(cipher, &plain, piece);
    assert_eq!(sealed.len() as u64, cipher.ciphertext_len(plain.len() as u64));
    assert_eq!(open(cipher, Pieces(&sealed, piece)).as_ref(), Some(&plain));
    let cut = &sealed[..at % sealed.len()];
    assert_ne!(open(cipher, cut).as_ref(), Some(&plain), "cut to {}", cut.len());
    if cipher != Cipher::AesCbc {
        assert_eq!(open(cipher, cut), None, "cut to {}", cut.len());
        let mut changed = sealed;
        let place = at % changed.len();
        changed[place] ^= if b == 0 { 1 } else { b };
        assert_eq!(open(cipher, &changed[..]), None, "changed at {place}");
    }
}
