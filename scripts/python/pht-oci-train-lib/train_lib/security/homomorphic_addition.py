"""Sums that no station can read: encryption and addition under the creator's Paillier key.

A ciphertext of m is g^m r^n modulo n^2, with a fresh random r; the product of two ciphertexts is one of the sum. The
creator's key has a generator g of its own, so that libraries that know only g = n + 1 do not do.
"""

from __future__ import annotations

import math
import operator
import os
import secrets
from typing import Optional, SupportsIndex, Union

#: Shorter moduli can be factored by those who can pay for it, or soon.
MIN_BITS = 2048
#: With this variable set to `1` shorter moduli are taken, for tests.
ALLOW_SHORT = "TRAIN_LIB_ALLOW_SHORT_PAILLIER_KEYS"

Number = Union[SupportsIndex, str]


class PublicKey:
    """A public key: the modulus n and the generator g."""

    @classmethod
    def from_n(cls, n: int, g: Optional[int] = None) -> "PublicKey":
        """The key of a modulus; without g that is n + 1."""
        return cls(n, n + 1 if g is None else g)

    def __init__(self, n: int, g: int) -> None:
        self.n = n
        self.n_sq = n * n
        self.g = g

    def __repr__(self) -> str:
        return f"<PublicKey: {self.n}>"


def invmod(a: int, p: int, maxiter: int = 0) -> int:
    """The inverse of a modulo p. Raises ValueError if there is none."""
    try:
        return pow(a, -1, p)
    except ValueError:
        raise ValueError(f"{a} has no inverse modulo {p}") from None


def encrypt(pub: PublicKey, plain: SupportsIndex) -> int:
    """A ciphertext of an integer."""
    while True:
        r = 1 + secrets.randbelow(pub.n - 1)
        if math.gcd(r, pub.n) == 1:
            break
    return pow(pub.g, operator.index(plain), pub.n_sq) * pow(r, pub.n, pub.n_sq) % pub.n_sq


def enc_add(pub: PublicKey, a: int, b: int) -> int:
    """A ciphertext of the sum of what two ciphertexts hold."""
    return a * b % pub.n_sq


def secure_addition(
    result_local: SupportsIndex,
    result_prev: Optional[Number],
    n: Optional[Number] = None,
    g: Optional[Number] = None,
    *,
    allow_short: bool = False,
) -> int:
    """Adds this station's number to the encrypted sum of those before; None where there is none yet.

    The key is the creator's `n` and `g`. A modulus of less than 2048 bits, a key that is none and a sum that is not under
    this key are refused (ValueError); `allow_short`, or the variable `TRAIN_LIB_ALLOW_SHORT_PAILLIER_KEYS=1`, takes any
    key, for tests.
    """
    if not n or not g:
        raise ValueError("secure_addition needs the creator's Paillier key, n and g")
    key = PublicKey(_integer(n), _integer(g))
    trusting = allow_short or os.environ.get(ALLOW_SHORT) == "1"
    if not trusting:
        _check_key(key)
    local = operator.index(result_local)
    if not trusting and abs(local) >= key.n // 2:
        raise ValueError(f"the number of this station has {local.bit_length()} bits, too many for this key")
    previous = encrypt(key, 0) if result_prev is None else _integer(result_prev)
    if not trusting and not (0 < previous < key.n_sq and math.gcd(previous, key.n) == 1):
        raise ValueError("the sum of the stations before is not encrypted under this key")
    return enc_add(key, previous, encrypt(key, local))


def _check_key(key: PublicKey) -> None:
    bits = key.n.bit_length()
    if bits < MIN_BITS:
        raise ValueError(
            f"the creator's Paillier key has {bits} bits, and everyone who can factor it reads the sums; "
            f"ask for one of at least {MIN_BITS} bits"
        )
    # A prime modulus would let everyone decrypt, an even one half of everything.
    if key.n % 2 == 0 or pow(2, key.n - 1, key.n) == 1:
        raise ValueError("the creator's Paillier modulus n is no product of two odd primes")
    if not 1 < key.g < key.n_sq - 1 or math.gcd(key.g, key.n) != 1:
        raise ValueError("the creator's Paillier generator g is none: it has to be below n^2 - 1 and prime to n")


def _integer(value: Number) -> int:
    return int(value) if isinstance(value, str) else operator.index(value)
