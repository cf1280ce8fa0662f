//! What holds for the files of wire version 3 only.

use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit, Nonce};

use super::super::opening::CANNOT_DECRYPT;
use super::*;
use crate::crypto::kdf::hkdf_sha256;

const CIPHER: Cipher = Cipher::Stream;
const N: usize = stream::CHUNK;
const TAG: usize = 16;
const SALT: usize = 16;

fn open_as(path: &[u8], data: &[u8]) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    CIPHER.decryptor(&key(CIPHER), path, data)?.read_to_end(&mut plain).map(|_| plain)
}

/// Plaintext, counter, and whether it is the last.
type Chunk<'a> = (&'a [u8], u64, bool);

/// The ciphertext of these chunks as the specification has it, by other means: whatever chunks these are.
fn by_hand(chunks: &[Chunk<'_>]) -> Vec<u8> {
    let salt = [7; SALT];
    let file_key = hkdf_sha256(key(CIPHER).as_bytes(), &salt, &[b"pht-oci/3 file", b"\0", PATH]).unwrap();
    let cipher = Aes256Gcm::new((&*file_key).into());
    let mut out = salt.to_vec();
    for (plain, counter, last) in chunks {
        let mut nonce = [0; 12];
        nonce[3..11].copy_from_slice(&counter.to_be_bytes());
        nonce[11] = u8::from(*last);
        let mut data = plain.to_vec();
        let tag = cipher.encrypt_inout_detached(&Nonce::from(nonce), b"", InOutBuf::from(&mut data[..])).unwrap();
        out.extend(data);
        out.extend(tag);
    }
    out
}

#[test]
fn is_what_the_specification_says() {
    let plain = plaintext(2 * N + 5);
    let chunks = [(&plain[..N], 0, false), (&plain[N..2 * N], 1, false), (&plain[2 * N..], 2, true)];
    assert!(seal(CIPHER, &plain, 1000) == by_hand(&chunks));
    assert_eq!(seal(CIPHER, b"", 1), by_hand(&[(b"", 0, true)]));
    // A full last chunk is the last.
    assert!(seal(CIPHER, &plain[..N], 77) == by_hand(&[(&plain[..N], 0, true)]));
}

#[test]
fn lengths_around_chunks_come_back() {
    for length in [0, 1, N - 1, N, N + 1, N + 100, 2 * N, 2 * N + 500] {
        let plain = plaintext(length);
        for step in [1, 512, 600, 1000, N - 1, N, N + 1, 3 * N] {
            let sealed = seal(CIPHER, &plain, step);
            assert_eq!(sealed.len() as u64, CIPHER.ciphertext_len(length as u64));
            assert_eq!(announced(CIPHER, &sealed).unwrap(), length as u64);
            assert!(open(CIPHER, &sealed, step).unwrap() == plain, "{length} by {step}");
        }
    }
}

#[test]
fn lengths_that_no_file_has_are_refused() {
    let whole = (N + TAG) as u64;
    for length in [0, 1, 16, 31, 16 + whole + 1, 16 + whole + 16, 16 + 2 * whole + 15, 16 + 2 * whole + 16] {
        let error = CIPHER.plaintext_len(&key(CIPHER), length, &[]).unwrap_err();
        assert_eq!(error.kind(), Kind::Verification, "{length}");
    }
    for (length, plain) in [(32, 0), (33, 1), (16 + whole, N as u64), (16 + whole + 17, N as u64 + 1)] {
        assert_eq!(CIPHER.plaintext_len(&key(CIPHER), length, &[]).unwrap(), plain);
    }
}

#[test]
fn refuses_a_cut_at_every_boundary() {
    let sealed = seal(CIPHER, &plaintext(3 * N + 10), 4096);
    let whole = N + TAG;
    for boundary in [0, SALT, SALT + whole, SALT + 2 * whole, SALT + 3 * whole, sealed.len()] {
        for end in boundary.saturating_sub(17)..(boundary + 18).min(sealed.len()) {
            assert_refused(CIPHER, &sealed[..end], &format!("cut to {end}"));
        }
    }
}

#[test]
fn refuses_every_flipped_bit_of_a_short_file() {
    for length in [0, 1, 40] {
        let sealed = seal(CIPHER, &plaintext(length), 64);
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_refused(CIPHER, &changed, &format!("{length} bit {bit}"));
        }
    }
}

#[test]
fn refuses_a_file_under_another_name() {
    let sealed = seal(CIPHER, &plaintext(100), 64);
    assert!(open_as(PATH, &sealed).is_ok());
    for path in
        [&b""[..], b"pht_results/out.cs", b"pht_results/out.csv/", b"pht_train/out.csv", b"/pht_results/out.csv"]
    {
        let error = Error::io("read", open_as(path, &sealed).unwrap_err());
        assert_eq!((error.kind(), error.what()), (Kind::Verification, CANNOT_DECRYPT));
    }
}

#[test]
fn refuses_chunks_in_another_order() {
    let (a, b, end) = (plaintext(N), vec![1; N], [2; 10]);
    let fine = by_hand(&[(&a, 0, false), (&b, 1, false), (&end, 2, true)]);
    assert!(open(CIPHER, &fine, 4096).is_ok());
    let (salt, whole) = (&fine[..SALT], N + TAG);
    let chunk = |at: usize| &fine[SALT + at * whole..(SALT + (at + 1) * whole).min(fine.len())];
    for order in [&[1, 0, 2][..], &[0, 2], &[1, 2], &[0, 0, 1, 2], &[0, 1, 1, 2], &[0, 1, 2, 2], &[2], &[2, 0, 1]] {
        let pieces: Vec<&[u8]> = std::iter::once(salt).chain(order.iter().map(|at| chunk(*at))).collect();
        assert_refused(CIPHER, &pieces.concat(), &format!("{order:?}"));
    }
}

#[test]
fn refuses_what_has_the_right_tags_in_the_wrong_form() {
    let (full, short): (&[u8], &[u8]) = (&plaintext(N), b"short");
    let forms: [(&str, &[Chunk<'_>]); 7] = [
        ("an empty last chunk after others", &[(full, 0, false), (b"", 1, true)]),
        ("no last chunk", &[(full, 0, false)]),
        ("an empty chunk that is not the last", &[(b"", 0, false), (short, 1, true)]),
        ("a short chunk that is not the last", &[(short, 0, false), (short, 1, true)]),
        ("data after the last chunk", &[(full, 0, true), (short, 1, true)]),
        ("another counter", &[(short, 1, true)]),
        ("no chunk at all", &[]),
    ];
    for (what, chunks) in forms {
        assert_refused(CIPHER, &by_hand(chunks), what);
    }
    // A file for another stage's key.
    let other = CIPHER.generate_key().unwrap();
    let sealed = by_hand(&[(short, 0, true)]);
    let error = CIPHER.decryptor(&other, PATH, &*sealed).unwrap().read(&mut [0; 9]).unwrap_err();
    assert_eq!(error.to_string(), CANNOT_DECRYPT);
}

#[test]
fn nothing_comes_out_of_a_chunk_before_its_tag_is_right() {
    let mut sealed = seal(CIPHER, &plaintext(N + 100), 4096);
    let last = sealed.len() - 1;
    sealed[last] ^= 1;
    let mut decryptor = CIPHER.decryptor(&key(CIPHER), PATH, &*sealed).unwrap();
    let mut plain = Vec::new();
    assert!(decryptor.read_to_end(&mut plain).is_err());
    assert!(plain == plaintext(N));
}
