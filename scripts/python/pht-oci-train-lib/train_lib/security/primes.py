"""Primes, by the test of Miller and Rabin."""

from __future__ import annotations

import secrets
from typing import Optional

_SMALL = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97)


def is_probably_prime(possible: int, k: Optional[int] = None) -> bool:
    """Whether a number is prime; wrong for a composite one with a probability below 4^-k. 1 counts as prime, as ever."""
    if possible == 1:
        return True
    if possible < 2:
        return False
    for small in _SMALL:
        if possible % small == 0:
            return possible == small
    odd, twos = possible - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for _ in range(k or 64):
        power = pow(2 + secrets.randbelow(possible - 3), odd, possible)
        if power in (1, possible - 1):
            continue
        for _ in range(twos - 1):
            power = pow(power, 2, possible)
            if power == possible - 1:
                break
        else:
            return False
    return True


def generate_prime(bits: int, k: Optional[int] = None) -> int:
    """A random prime of exactly so many bits."""
    if bits < 8:
        raise ValueError(f"a prime of {bits} bits is too small to be of use; at least 8 are needed")
    while True:
        possible = secrets.randbits(bits - 1) | (1 << (bits - 1)) | 1
        if is_probably_prime(possible, k):
            return possible
