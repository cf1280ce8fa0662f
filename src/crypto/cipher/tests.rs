//! What holds for every cipher, over lengths, chunkings and damage.

use std::io::{self, Cursor, Read, Write};

use proptest::prelude::*;

use super::opening::CANNOT_DECRYPT;
use super::*;
use crate::crypto::hex;

mod stream_tests;

const ALL: [Cipher; 3] = [Cipher::Fernet, Cipher::AesCbc, Cipher::Stream];

/// The path of every file here.
const PATH: &[u8] = b"pht_results/out.csv";

/// A key that is the same in every run: CBC's answer to damage depends on it.
fn key(cipher: Cipher) -> StageKey {
    let bytes: &[u8] = match cipher {
        Cipher::Fernet => b"cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=",
        Cipher::AesCbc | Cipher::Stream => b"0123456789abcdef0123456789ABCDEF",
    };
    cipher.key_from_bytes(bytes.to_vec().into()).unwrap()
}

fn chunk(cipher: Cipher) -> usize {
    match cipher {
        Cipher::Fernet => fernet::CHUNK,
        Cipher::AesCbc => cbc::CHUNK,
        Cipher::Stream => stream::CHUNK,
    }
}

fn plaintext(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8 ^ (at >> 8) as u8).collect()
}

fn seal(cipher: Cipher, plain: &[u8], step: usize) -> Vec<u8> {
    let mut encryptor = cipher.encryptor_at(&key(cipher), PATH, ([7; 16], 1), Vec::new()).unwrap();
    for part in plain.chunks(step.max(1)) {
        encryptor.write_all(part).unwrap();
    }
    encryptor.finish().unwrap()
}

/// A reader that hands out `step` bytes at most and is interrupted now and then.
struct Steps<'a> {
    data: &'a [u8],
    step: usize,
    calls: usize,
}

impl Read for Steps<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.calls += 1;
        if self.calls.is_multiple_of(5) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let count = self.step.min(buffer.len()).min(self.data.len());
        buffer[..count].copy_from_slice(&self.data[..count]);
        self.data = &self.data[count..];
        Ok(count)
    }
}

fn open(cipher: Cipher, data: &[u8], step: usize) -> io::Result<Vec<u8>> {
    let mut decryptor = cipher.decryptor(&key(cipher), PATH, Steps { data, step, calls: 0 })?;
    let (mut plain, mut buffer) = (Vec::new(), vec![0; step.max(1)]);
    loop {
        match decryptor.read(&mut buffer)? {
            0 => return Ok(plain),
            count => plain.extend_from_slice(&buffer[..count]),
        }
    }
}

fn announced(cipher: Cipher, data: &[u8]) -> Result<u64> {
    let tail = &data[data.len().saturating_sub(cipher.tail_len())..];
    cipher.plaintext_len(&key(cipher), data.len() as u64, tail)
}

/// That `data` is refused, as changed data and not as an input/output error.
fn assert_refused(cipher: Cipher, data: &[u8], what: &str) {
    let error = open(cipher, data, 4096).expect_err(what);
    assert_eq!(Error::io("read", error).kind(), Kind::Verification, "{cipher:?} {what}");
}

#[test]
fn every_length_in_every_step_comes_back() {
    for cipher in ALL {
        let n = chunk(cipher);
        let around = |at: usize| [at - 17, at - 16, at - 15, at - 1, at, at + 1, at + 15, at + 16, at + 17];
        let lengths = [0, 1, 2, 3, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 1000];
        for length in lengths.into_iter().chain(around(n)).chain(around(2 * n)).chain([n - 48, n - 32, 3 * n]) {
            let plain = plaintext(length);
            let sealed = seal(cipher, &plain, usize::MAX);
            assert_eq!(sealed.len() as u64, cipher.ciphertext_len(length as u64), "{cipher:?} {length}");
            assert_eq!(announced(cipher, &sealed).unwrap(), length as u64, "{cipher:?} {length}");
            for step in [1, 3, 15, 16, 17, 1000, 65535, n, n + 1, 1 << 20] {
                if step < 15 && length > 2000 {
                    continue;
                }
                assert!(seal(cipher, &plain, step) == sealed, "{cipher:?} {length} sealed by {step}");
                assert!(open(cipher, &sealed, step).unwrap() == plain, "{cipher:?} {length} opened by {step}");
            }
        }
    }
}

#[test]
fn lengths_agree_with_the_output() {
    for cipher in ALL {
        for length in 0..400 {
            let sealed = seal(cipher, &plaintext(length), 7);
            assert_eq!(sealed.len() as u64, cipher.ciphertext_len(length as u64));
            assert_eq!(announced(cipher, &sealed).unwrap(), length as u64);
        }
    }
}

#[test]
fn lengths_beyond_all_memory_do_not_overflow() {
    for cipher in ALL {
        assert!(cipher.ciphertext_len(u64::MAX) > u64::MAX / 2);
        for length in [u64::MAX, u64::MAX - 3, u64::MAX - 15, 1 << 63] {
            let tail = vec![b'A'; cipher.tail_len()];
            let _ = cipher.plaintext_len(&key(cipher), length, &tail);
        }
        for (length, tail) in [(0, 0), (16, 16), (32, 0), (100, 0), (100, 99), (1000, 1)] {
            if cipher == Cipher::Stream && length >= 32 {
                continue; // needs no tail
            }
            assert!(cipher.plaintext_len(&key(cipher), length, &vec![b'A'; tail]).is_err());
        }
    }
}

#[test]
fn refuses_every_truncation() {
    for cipher in ALL {
        for length in [0, 5, 16, 100] {
            let sealed = seal(cipher, &plaintext(length), 64);
            for end in 0..sealed.len() {
                assert_refused(cipher, &sealed[..end], &format!("{length} cut to {end}"));
            }
        }
        // A cut where the buffer is full, which looks like an end until more is read.
        let sealed = seal(cipher, &plaintext(3 * chunk(cipher)), 4096);
        for end in [chunk(cipher), chunk(cipher) / 3 * 4, chunk(cipher) / 3 * 4 - 4, chunk(cipher) * 2] {
            assert_refused(cipher, &sealed[..end], &format!("cut to {end}"));
        }
    }
}

#[test]
fn refuses_what_follows() {
    for cipher in ALL {
        for length in [0, 15, 16, 100, 3 * chunk(cipher)] {
            let sealed = seal(cipher, &plaintext(length), 4096);
            let mut tails: Vec<&[u8]> = vec![b"\n", b"A", b"AAAA", b"====", b"0123456789abcdef"];
            // The end of a ciphertext is the end of CBC's padding: nothing but the plaintext's hash notices another.
            if cipher != Cipher::AesCbc {
                tails.push(&sealed);
            }
            for tail in tails {
                assert_refused(cipher, &[&sealed, tail].concat(), &format!("{length} then {} bytes", tail.len()));
            }
        }
    }
}

#[test]
fn refuses_every_flipped_bit_of_a_token() {
    // Long enough that the vectorized base64 sees most of it.
    let sealed = seal(Cipher::Fernet, &plaintext(150), 64);
    for bit in 0..sealed.len() * 8 {
        let mut changed = sealed.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_refused(Cipher::Fernet, &changed, &format!("bit {bit}"));
    }
}

#[test]
fn refuses_tokens_that_python_reads_too_kindly() {
    let sealed = seal(Cipher::Fernet, &plaintext(1), 64);
    let text = String::from_utf8(sealed).unwrap();
    assert!(text.ends_with("=="), "{text}");
    let bare = text.trim_end_matches('=');
    let last = bare.as_bytes()[bare.len() - 1];
    let other = format!("{}{}==", &bare[..bare.len() - 1], char::from(last + 1));
    let standard = text.replace('_', "/").replace('-', "+");
    assert_ne!(standard, text);
    for changed in
        [bare.to_string(), format!("{bare}="), other, standard, format!(" {text}"), text.replacen('g', "g\n", 1)]
    {
        assert_refused(Cipher::Fernet, changed.as_bytes(), &changed);
    }
}

#[test]
fn an_error_stays() {
    for cipher in ALL {
        let mut sealed = seal(cipher, &plaintext(3 * chunk(cipher)), 4096);
        sealed.pop();
        let mut decryptor = cipher.decryptor(&key(cipher), PATH, sealed.as_slice()).unwrap();
        let first = decryptor.read_to_end(&mut Vec::new()).unwrap_err();
        for _ in 0..3 {
            assert_eq!(decryptor.read(&mut []).unwrap(), 0);
            let again = decryptor.read(&mut [0; 10]).unwrap_err();
            assert_eq!(again.to_string(), first.to_string());
            assert_eq!(Error::io("read", again).kind(), Kind::Verification);
        }
    }
}

#[test]
fn a_fault_below_keeps_its_class_and_stays() {
    struct Broken(Option<Error>);
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            match self.0.take() {
                Some(error) => Err(error.into()),
                None => Err(io::ErrorKind::ConnectionReset.into()),
            }
        }
    }
    for cipher in ALL {
        let mut decryptor = cipher.decryptor(&key(cipher), PATH, Broken(Some(Error::malformed("bad gzip")))).unwrap();
        for _ in 0..2 {
            let error = Error::io("read", decryptor.read(&mut [0]).unwrap_err());
            assert_eq!((error.kind(), error.what()), (Kind::Malformed, "bad gzip"));
        }
        let mut decryptor = cipher.decryptor(&key(cipher), PATH, Broken(None)).unwrap();
        for _ in 0..2 {
            assert_eq!(decryptor.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        }
    }
}

#[test]
fn a_broken_writer_is_not_written_to_again() {
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(1).ok_or(io::ErrorKind::StorageFull)?;
            Ok(data.len().min(10))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for cipher in ALL {
        let mut encryptor = cipher.encryptor(&key(cipher), PATH, Full(3)).unwrap();
        assert!(encryptor.write_all(&plaintext(2 * chunk(cipher))).is_err());
        assert!(encryptor.write(&[1]).is_err());
        assert!(encryptor.flush().is_err());
        assert!(encryptor.finish().is_err());
    }
}

#[test]
fn keys_of_another_form_are_refused() {
    for (cipher, lengths) in [
        (Cipher::AesCbc, [0, 16, 31, 33, 44]),
        (Cipher::Stream, [0, 16, 31, 33, 44]),
        (Cipher::Fernet, [0, 32, 43, 45, 44]),
    ] {
        for length in lengths {
            let error = cipher.key_from_bytes(vec![b'='; length].into()).err().unwrap();
            assert_eq!(error.kind(), Kind::Key);
        }
        let generated = cipher.generate_key().unwrap();
        let bytes = Zeroizing::new(generated.as_bytes().to_vec());
        assert!(cipher.key_from_bytes(bytes).is_ok());
        assert_ne!(generated.as_bytes(), cipher.generate_key().unwrap().as_bytes());
    }
    for (cipher, other) in
        [(Cipher::AesCbc, Cipher::Fernet), (Cipher::Stream, Cipher::Fernet), (Cipher::Fernet, Cipher::AesCbc)]
    {
        assert_eq!(cipher.encryptor(&key(other), PATH, Vec::new()).err().unwrap().kind(), Kind::Key);
        assert_eq!(cipher.decryptor(&key(other), PATH, io::empty()).err().unwrap().kind(), Kind::Key);
        assert_eq!(cipher.plaintext_len(&key(other), 320, &[b'A'; 88]).unwrap_err().kind(), Kind::Key);
    }
    // Bits behind the last byte.
    let text = b"cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e5=".to_vec();
    assert!(Cipher::Fernet.key_from_bytes(text.into()).is_err());
}

#[test]
fn another_key_says_the_same_as_changed_data() {
    for cipher in ALL {
        let other = cipher.generate_key().unwrap();
        let sealed = seal(cipher, &plaintext(100), 64);
        let mut decryptor = cipher.decryptor(&other, PATH, sealed.as_slice()).unwrap();
        // A random key passes the padding of CBC once in 256 times.
        if let Err(error) = decryptor.read_to_end(&mut Vec::new()) {
            assert_eq!(error.to_string(), CANNOT_DECRYPT);
        }
    }
    let mut sealed = seal(Cipher::Fernet, &plaintext(100), 64);
    sealed[50] = if sealed[50] == b'A' { b'B' } else { b'A' };
    assert_eq!(open(Cipher::Fernet, &sealed, 9).unwrap_err().to_string(), CANNOT_DECRYPT);
}

#[test]
fn every_file_has_its_own_iv() {
    for cipher in ALL {
        let seal = || cipher.encryptor(&key(cipher), PATH, Vec::new()).unwrap().finish().unwrap();
        assert_ne!(seal(), seal());
    }
}

#[test]
fn fernet_is_that_of_its_specification() {
    // generate.json, verify.json and invalid.json of github.com/fernet/spec.
    const TOKEN: &[u8] =
        b"gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==";
    let key = key(Cipher::Fernet);
    let iv = std::array::from_fn(|at| at as u8);
    let mut encryptor = Cipher::Fernet.encryptor_at(&key, PATH, (iv, 499_162_800), Vec::new()).unwrap();
    encryptor.write_all(b"hello").unwrap();
    assert_eq!(encryptor.finish().unwrap(), TOKEN);
    assert_eq!(open(Cipher::Fernet, TOKEN, 1000).unwrap(), b"hello");
    let invalid = [
        // Incorrect MAC.
        "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAl1-szkFVzXTuGb4hR8AKtwcaX1YdykQUFBQUFBQUFBQQ==",
        // Too short.
        "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPA==",
        // Invalid base64.
        "%%%%%%%%%%%%%AECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAl1-szkFVzXTuGb4hR8AKtwcaX1YdykRtfsH-p1YsUD2Q==",
        // Payload size not a multiple of the block size.
        "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPOm73QeoCk9uGib28Xe5vz6oxq5nmxbx_v7mrfyudzUm",
        // Payload padding error.
        "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0ODz4LEpdELGQAad7aNEHbf-JkLPIpuiYRLQ3RtXatOYREu2FWke6CnJNYIbkuKNqOhw==",
    ];
    for token in invalid {
        assert_refused(Cipher::Fernet, token.as_bytes(), token);
    }
}

#[test]
fn cbc_is_that_of_nist() {
    // NIST SP 800-38A, F.2.5.
    let key = hex::decode("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4").unwrap();
    let plain = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51\
                 30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";
    let sealed = "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d\
                  39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b";
    let key = Cipher::AesCbc.key_from_bytes(key.into()).unwrap();
    let iv = std::array::from_fn(|at| at as u8);
    let mut encryptor = Cipher::AesCbc.encryptor_at(&key, PATH, (iv, 0), Vec::new()).unwrap();
    encryptor.write_all(&hex::decode(plain).unwrap()).unwrap();
    let output = encryptor.finish().unwrap();
    assert_eq!(output[..16], iv);
    assert_eq!(hex::encode(&output[16..80]), sealed);
    // A block of padding follows.
    assert_eq!(output.len(), 96);
    let mut back = Vec::new();
    Cipher::AesCbc.decryptor(&key, PATH, Cursor::new(output)).unwrap().read_to_end(&mut back).unwrap();
    assert_eq!(hex::encode(&back), plain);
}

#[test]
fn padding_is_that_of_pkcs_7() {
    for count in 1..=16u8 {
        let mut block = [0xaa; 16];
        block[16 - usize::from(count)..].fill(count);
        assert_eq!(cbc::padding(&block), Some(count.into()));
        for place in 16 - usize::from(count)..15 {
            let mut wrong = block;
            wrong[place] ^= 0x80;
            assert_eq!(cbc::padding(&wrong), None);
        }
    }
    for count in [0, 17, 0x80, 0xff] {
        assert_eq!(cbc::padding(&[count; 16]), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn random_chunks_come_back(
        length in 0usize..200_000,
        steps in proptest::collection::vec(1usize..70_000, 1..20),
        read in 1usize..70_000,
        which in 0..ALL.len(),
    ) {
        let cipher = ALL[which];
        let plain = plaintext(length);
        let mut encryptor = cipher.encryptor(&key(cipher), PATH, Vec::new()).unwrap();
        let (mut rest, mut steps) = (plain.as_slice(), steps.iter().cycle());
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(*steps.next().unwrap()));
            encryptor.write_all(now).unwrap();
            rest = later;
        }
        let sealed = encryptor.finish().unwrap();
        prop_assert_eq!(sealed.len() as u64, cipher.ciphertext_len(length as u64));
        prop_assert_eq!(announced(cipher, &sealed).unwrap(), length as u64);
        prop_assert!(open(cipher, &sealed, read).unwrap() == plain);
    }

    #[test]
    fn garbage_never_panics(data: Vec<u8>, text in "[A-Za-z0-9_=-]{0,400}", which in 0..ALL.len()) {
        let cipher = ALL[which];
        for data in [data.as_slice(), text.as_bytes()] {
            let _ = open(cipher, data, 100);
            let _ = announced(cipher, data);
        }
    }
}
