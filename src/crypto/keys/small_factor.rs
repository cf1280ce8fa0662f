//! Factors of a modulus that anybody finds, by trial division.

use std::sync::OnceLock;

/// Factors are looked for below this.
const LIMIT: u32 = 1 << 16;
/// Primes whose product has at most 64 bits, and by which a number is divided at once.
const PRIMES: usize = 4;
/// Divisions that go on beside one another: none waits for another.
const LANES: usize = 4;

/// The least prime factor of a big-endian number that is below 2^16.
pub(super) fn small_factor(number: &[u8]) -> Option<u32> {
    if number.last().is_none_or(|last| last % 2 == 0) {
        return Some(2);
    }
    let limb = |chunk: &[u8]| chunk.iter().fold(0, |limb, byte| limb << 8 | u64::from(*byte));
    let limbs: Vec<u64> = number.rchunks(8).map(limb).collect();
    divisors().iter().find_map(|lanes| {
        let rests = limbs.iter().fold([0; LANES], |rests, limb| {
            let mut next = [0; LANES];
            next.iter_mut().zip(lanes).zip(rests).for_each(|((next, lane), rest)| *next = lane.step(rest, *limb));
            next
        });
        lanes.iter().zip(rests).find_map(|(lane, rest)| lane.factor(rest))
    })
}

/// Some odd primes, and what division by their product takes without a division (Montgomery's reduction): what comes out
/// is the rest up to a power of two, which has no odd factor, and so it is divisible where the number is.
#[derive(Debug, Clone, Copy)]
struct Divisor {
    primes: [u32; PRIMES],
    product: u64,
    /// Of the product, modulo 2^64.
    inverse: u64,
}

impl Divisor {
    fn new(primes: [u32; PRIMES]) -> Self {
        let product = primes.iter().map(|prime| u64::from(*prime)).product::<u64>();
        // An odd number is its own inverse modulo 8, and each step of Newton's doubles the bits.
        let step = |inverse: u64, _| inverse.wrapping_mul(2_u64.wrapping_sub(product.wrapping_mul(inverse)));
        Divisor { primes, product, inverse: (0..5).fold(product, step) }
    }

    /// The rest after one more limb, from the least significant on; never above the product.
    fn step(&self, rest: u64, limb: u64) -> u64 {
        let (difference, borrows) = limb.overflowing_sub(rest);
        let quotient = difference.wrapping_mul(self.inverse);
        let high = (u128::from(quotient) * u128::from(self.product)) >> 64;
        high as u64 + u64::from(borrows)
    }

    /// The least of the primes that divides a rest.
    fn factor(&self, rest: u64) -> Option<u32> {
        self.primes.into_iter().find(|prime| *prime > 1 && rest.is_multiple_of(u64::from(*prime)))
    }
}

/// All odd primes below [`LIMIT`], from the least on.
fn divisors() -> &'static [[Divisor; LANES]] {
    static DIVISORS: OnceLock<Vec<[Divisor; LANES]>> = OnceLock::new();
    DIVISORS.get_or_init(|| {
        let primes = odd_primes();
        let lanes = |primes: &[u32]| {
            let mut lanes = [Divisor::new([1; PRIMES]); LANES];
            for (lane, some) in lanes.iter_mut().zip(primes.chunks(PRIMES)) {
                // One divides everything, and so it is the same with fewer.
                let mut four = [1; PRIMES];
                four[..some.len()].copy_from_slice(some);
                *lane = Divisor::new(four);
            }
            lanes
        };
        primes.chunks(PRIMES * LANES).map(lanes).collect()
    })
}

/// By the sieve of Eratosthenes.
fn odd_primes() -> Vec<u32> {
    let mut composite = vec![false; LIMIT as usize];
    let mut primes = Vec::new();
    for candidate in (3..LIMIT as usize).step_by(2) {
        if !composite[candidate] {
            primes.push(candidate as u32);
            (candidate * candidate..composite.len()).step_by(candidate).for_each(|multiple| composite[multiple] = true);
        }
    }
    primes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_least_factor_and_none_that_is_not_there() {
        assert_eq!(odd_primes().len(), 6541);
        let mut primes = vec![2];
        primes.extend(odd_primes());
        // A prime beyond the limit, and its powers up to a number of many limbs.
        let large: u64 = 4_294_967_311;
        let mut power = vec![1_u64];
        for exponent in 0..10 {
            assert_eq!(small_factor(&bytes(&power)), None, "exponent {exponent}");
            for (at, prime) in primes.iter().enumerate().step_by(97) {
                assert_eq!(small_factor(&bytes(&times(&power, u64::from(*prime)))), Some(*prime));
                let other = primes[(at * 31 + 7) % primes.len()];
                let both = times(&times(&power, u64::from(*prime)), u64::from(other));
                assert_eq!(small_factor(&bytes(&both)), Some(other.min(*prime)), "{prime} and {other}");
            }
            (0..4).for_each(|_| power = times(&power, large));
        }
    }

    #[test]
    fn agrees_with_division() {
        for number in (1..20_000_u64).chain((0..2000).map(|at| u64::MAX - at)) {
            let by_division = std::iter::once(2).chain(odd_primes_once().iter().copied());
            let expected = by_division.take_while(|prime| *prime < 300).find(|prime| number % u64::from(*prime) == 0);
            let found = small_factor(&number.to_be_bytes());
            assert_eq!(found.filter(|factor| *factor < 300), expected, "{number}");
        }
        assert_eq!(small_factor(&[0; 16]), Some(2));
    }

    fn odd_primes_once() -> &'static [u32] {
        static PRIMES: OnceLock<Vec<u32>> = OnceLock::new();
        PRIMES.get_or_init(odd_primes)
    }

    /// Limbs of 32 bits, the least significant first, times a number of at most 34 bits.
    fn times(limbs: &[u64], number: u64) -> Vec<u64> {
        let mut carry = 0_u128;
        let mut product: Vec<u64> = Vec::new();
        for limb in limbs {
            let sum = u128::from(*limb) * u128::from(number) + carry;
            product.push((sum & 0xffff_ffff) as u64);
            carry = sum >> 32;
        }
        while carry > 0 {
            product.push((carry & 0xffff_ffff) as u64);
            carry >>= 32;
        }
        product
    }

    fn bytes(limbs: &[u64]) -> Vec<u8> {
        limbs.iter().rev().flat_map(|limb| (*limb as u32).to_be_bytes()).collect()
    }
}
