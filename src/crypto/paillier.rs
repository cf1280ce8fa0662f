//! Paillier's cryptosystem (EUROCRYPT '99, scheme 1), as far as the owner of a key needs it: decryption.

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, ConcatenatingMul, ConcatenatingSquare, NonZero, Odd};
use rsa::traits::PrivateKeyParts;
use zeroize::Zeroizing;

use super::random::SystemRandom;
use crate::error::{Error, Kind, Result};

/// The longest modulus that is read, in bits: decrypting takes the third power of it.
const MAX_BITS: usize = 8192;
/// The longest number that is read, in bits: ciphertexts are below the modulus squared, but programs that add them may
/// leave them unreduced.
const MAX_NUMBER_BITS: usize = 8 * MAX_BITS;

/// A natural number as programs of the field write it: decimal digits, or after `0x`, `0o` or `0b` those of the base,
/// with white space around.
///
/// # Errors
/// [`Kind::Malformed`] for anything else and for what is too large; the message does not
/// show it, for it may be secret.
pub(crate) fn parse_number(text: &str) -> Result<BoxedUint> {
    let text = text.trim();
    let (radix, digits, bits_per_digit) = match text.get(..2) {
        Some("0x" | "0X") => (16, &text[2..], 4),
        Some("0o" | "0O") => (8, &text[2..], 3),
        Some("0b" | "0B") => (2, &text[2..], 1),
        _ => (10, text, 3),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err(Error::malformed("not a natural number"));
    }
    if digits.len() > MAX_NUMBER_BITS / bits_per_digit {
        return Err(Error::malformed(format!("a number of more than {MAX_NUMBER_BITS} bits")));
    }
    BoxedUint::from_str_radix_vartime(digits, radix).map_err(|_| Error::malformed("not a natural number"))
}

/// A public key: the modulus and the generator.
#[derive(Debug, Clone)]
pub struct PaillierPublicKey {
    n: Odd<BoxedUint>,
    g: BoxedUint,
}

impl PaillierPublicKey {
    /// The key with this modulus and this generator, each in decimal digits, or after `0x`, `0o` or `0b` in those of the
    /// base.
    ///
    /// # Errors
    /// [`Kind::Malformed`] if they are none.
    pub fn new(n: &str, g: &str) -> Result<Self> {
        let (n, g) = (parse_number(n).map_err(|error| error.at("n"))?, parse_number(g).map_err(|error| error.at("g"))?);
        let bits = n.bit_width_vartime();
        if bits < 4 || bits as usize > MAX_BITS {
            return Err(Error::malformed(format!("a modulus of {bits} bits; at most {MAX_BITS} are supported")).at("n"));
        }
        let n = n.to_odd().into_option().ok_or_else(|| Error::malformed("the modulus is even").at("n"))?;
        Ok(PaillierPublicKey { n, g })
    }
}

/// The secret numbers of a private key; useless without the public key that they belong to.
pub struct PaillierSecret {
    lambda: Zeroizing<BoxedUint>,
    mu: Zeroizing<BoxedUint>,
}

impl std::fmt::Debug for PaillierSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PaillierSecret").finish_non_exhaustive()
    }
}

impl PaillierSecret {
    /// The key with these numbers, written as those of a [`PaillierPublicKey`].
    ///
    /// # Errors
    /// [`Kind::Malformed`] if they are none.
    pub fn new(lambda: &str, mu: &str) -> Result<Self> {
        let number = |name: &str, text| parse_number(text).map(Zeroizing::new).map_err(|error| error.at(name));
        Ok(PaillierSecret { lambda: number("lambda", lambda)?, mu: number("mu", mu)? })
    }
}

/// A new key pair, in decimal digits as key files have it.
pub struct NewPaillierKey {
    /// The modulus.
    pub n: String,
    /// The generator.
    pub g: String,
    /// The secret numbers.
    pub lambda: Zeroizing<String>,
    /// The other one.
    pub mu: Zeroizing<String>,
}

impl NewPaillierKey {
    /// Generates a key of 2048, 3072 or 4096 bits. The primes are those of an RSA key, of one length each, so that the
    /// modulus has no divisor in common with `lambda`; the generator is `n + 1`.
    ///
    /// # Errors
    /// [`Kind::Usage`] for another length, [`Kind::Io`] if the system gives no random bytes.
    pub fn generate(bits: usize) -> Result<Self> {
        if ![2048, 3072, 4096].contains(&bits) {
            return Err(Error::usage(format!(
                "cannot generate a Paillier key of {bits} bits, only of 2048, 3072 or 4096"
            )));
        }
        let failed = || Error::internal("the primes of a new key do not make one");
        let key = rsa::PrivateKey::new(&mut SystemRandom, bits)
            .map_err(|cause| Error::new(Kind::Io, "cannot generate the primes").because(cause))?;
        let [p, q] = key.primes() else { return Err(failed()) };
        let minus_one = |prime: &Odd<BoxedUint>| {
            let prime = prime.as_ref();
            Zeroizing::new(prime.wrapping_sub(BoxedUint::one_with_precision(prime.bits_precision())))
        };
        let n = p.as_ref().concatenating_mul(q.as_ref());
        let lambda = Zeroizing::new(minus_one(p).concatenating_mul(&*minus_one(q)));
        let odd = n.to_odd().into_option().ok_or_else(failed)?;
        let mu = Zeroizing::new(lambda.invert_odd_mod(&odd).into_option().ok_or_else(failed)?);
        let g = n.wrapping_add(BoxedUint::one_with_precision(n.bits_precision()));
        Ok(NewPaillierKey {
            n: n.to_string_radix_vartime(10),
            g: g.to_string_radix_vartime(10),
            lambda: Zeroizing::new(lambda.to_string_radix_vartime(10)),
            mu: Zeroizing::new(mu.to_string_radix_vartime(10)),
        })
    }
}

/// A whole key, with which its owner decrypts.
pub struct PaillierKey<'a> {
    secret: &'a PaillierSecret,
    n: NonZero<BoxedUint>,
    n_squared: NonZero<BoxedUint>,
    modulo_n_squared: BoxedMontyParams,
}

impl<'a> PaillierKey<'a> {
    /// The key of these two halves.
    ///
    /// # Errors
    /// [`Kind::Key`] if they do not belong together.
    pub fn new(public: &PaillierPublicKey, secret: &'a PaillierSecret) -> Result<Self> {
        let squared = public.n.concatenating_square();
        let mismatch = || Error::key("the Paillier private key does not belong to this public key");
        let odd = squared.to_odd().into_option().ok_or_else(mismatch)?;
        let n = public.n.as_ref().to_nz().into_option().ok_or_else(mismatch)?;
        let n_squared = squared.to_nz().into_option().ok_or_else(mismatch)?;
        let key = PaillierKey { secret, n, n_squared, modulo_n_squared: BoxedMontyParams::new(odd) };
        // The generator itself is a ciphertext of 1.
        match key.decrypt(&public.g) {
            Some(one) if bool::from(one.is_one()) => Ok(key),
            _ => Err(mismatch()),
        }
    }

    /// The plaintext, below the modulus: `L(c^lambda mod n^2) * mu mod n` with `L(x) = (x - 1) / n`. `None` if the
    /// number is no ciphertext under this key. As elsewhere in the field, a number that was not reduced counts modulo
    /// n^2.
    pub(crate) fn decrypt(&self, ciphertext: &BoxedUint) -> Option<BoxedUint> {
        let reduced = ciphertext.rem_vartime(&self.n_squared);
        let power = BoxedMontyForm::new(reduced, &self.modulo_n_squared).pow(&self.secret.lambda).retrieve();
        if bool::from(power.is_zero()) {
            return None;
        }
        let one = BoxedUint::one_with_precision(power.bits_precision());
        let (quotient, rest) = power.wrapping_sub(&one).div_rem(&self.n);
        if !bool::from(rest.is_zero()) {
            return None;
        }
        let mu = Zeroizing::new(self.secret.mu.rem(&self.n));
        Some(quotient.concatenating_mul(&*mu).rem(&self.n))
    }
}

#[cfg(test)]
mod tests {
    use crypto_bigint::Resize;

    use super::*;

    /// A key that is small enough to follow by hand: p = 5, q = 7, lambda = lcm(4, 6), g = n + 1.
    fn small() -> (PaillierPublicKey, PaillierSecret) {
        (PaillierPublicKey::new("35", "36").unwrap(), PaillierSecret::new("12", "3").unwrap())
    }

    #[test]
    fn decrypts_every_ciphertext_of_a_small_key() {
        let (public, secret) = small();
        let key = PaillierKey::new(&public, &secret).unwrap();
        let squared = 35_u64 * 35;
        let power = |base: u64, exponent: u64| (0..exponent).fold(1, |product, _| product * base % squared);
        for m in 0..35 {
            for r in (1..35).filter(|r| r % 5 != 0 && r % 7 != 0) {
                let c = power(36, m) * power(r, 35) % squared;
                // Reduced or not, it is the same.
                for c in [c, c + squared, c + 1_000_000 * squared] {
                    assert_eq!(key.decrypt(&BoxedUint::from(c)), Some(BoxedUint::from(m)), "{m} {r} {c}");
                }
            }
        }
        for none in [0, 5, 7, 35, squared, 10 * 35] {
            assert_eq!(key.decrypt(&BoxedUint::from(none)), None, "{none}");
        }
    }

    #[test]
    fn a_new_key_decrypts_what_was_encrypted_under_it() {
        let made = NewPaillierKey::generate(2048).unwrap();
        let public = PaillierPublicKey::new(&made.n, &made.g).unwrap();
        let secret = PaillierSecret::new(&made.lambda, &made.mu).unwrap();
        assert_eq!(public.n.bit_width_vartime(), 2048);
        let key = PaillierKey::new(&public, &secret).unwrap();
        // (n + 1)^m r^n mod n^2, with m = 1234567 and r = 3.
        let modulo = &key.modulo_n_squared;
        let form = |number: &BoxedUint| BoxedMontyForm::new(number.rem_vartime(&key.n_squared), modulo);
        let widened = |number: u64| BoxedUint::from(number).resize(key.n_squared.bits_precision());
        let ciphertext = form(&public.g.resize(key.n_squared.bits_precision())).pow(&BoxedUint::from(1_234_567_u64))
            * form(&widened(3)).pow(key.n.as_ref());
        assert_eq!(key.decrypt(&ciphertext.retrieve()), Some(BoxedUint::from(1_234_567_u64)));
        assert_eq!(NewPaillierKey::generate(1024).err().unwrap().kind(), Kind::Usage);
    }

    #[test]
    fn halves_must_belong_together() {
        let (public, secret) = small();
        let other = PaillierSecret::new("12", "4").unwrap();
        assert_eq!(PaillierKey::new(&public, &other).err().unwrap().kind(), Kind::Key);
        let other = PaillierPublicKey::new("77", "78").unwrap();
        assert_eq!(PaillierKey::new(&other, &secret).err().unwrap().kind(), Kind::Key);
        for (n, g) in [("36", "37"), ("1", "2"), ("0", "0"), ("-35", "36"), ("35", ""), (&"9".repeat(4000), "2")] {
            assert_eq!(PaillierPublicKey::new(n, g).unwrap_err().kind(), Kind::Malformed, "{n}");
        }
    }

    #[test]
    fn reads_numbers_as_the_field_writes_them() {
        for (text, value) in [("0", 0), ("  42\n", 42), ("0x2a", 42), ("0o52", 42), ("0b101010", 42), ("007", 7)] {
            assert_eq!(parse_number(text).unwrap(), BoxedUint::from(value as u64), "{text}");
        }
        for none in ["", " ", "-1", "+1", "1_000", "1.5", "1e3", "0x", "0b2", "x", "é1", "1 2", &"9".repeat(30_000)] {
            assert_eq!(parse_number(none).unwrap_err().kind(), Kind::Malformed, "{none}");
        }
    }
}
