#!/usr/bin/env python3
"""An independent Paillier: keys as the desktop client writes them, and numbers under them.

  paillier.py key BITS                     {"public": {"n", "g"}, "private": {"lambda", "mu"}}, decimal strings
  paillier.py encrypt PUBLIC NUMBER...     ciphertexts of the numbers, and of the sum of them all
"""
import json
import math
import secrets
import sys


def is_prime(n):
    """Miller and Rabin, twenty rounds."""
    if n % 2 == 0:
        return n == 2
    odd, twos = n - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for _ in range(20):
        x = pow(secrets.randbelow(n - 3) + 2, odd, n)
        if x not in (1, n - 1) and not any((x := x * x % n) == n - 1 for _ in range(twos - 1)):
            return False
    return True


def prime(bits):
    while True:
        candidate = secrets.randbits(bits) | 3 << (bits - 2) | 1
        if is_prime(candidate):
            return candidate


def key(bits):
    p, q = prime(bits // 2), prime(bits // 2)
    n, lam = p * q, math.lcm(p - 1, q - 1)
    while True:
        # Any generator, as in the client, not just n + 1.
        g = secrets.randbelow(n * n - 2) + 2
        step = (pow(g, lam, n * n) - 1) // n
        if math.gcd(g, n) == 1 and math.gcd(step, n) == 1:
            break
    return {"public": {"n": str(n), "g": str(g)}, "private": {"lambda": str(lam), "mu": str(pow(step, -1, n))}}


def encrypt(public, numbers):
    n, g = int(public["n"]), int(public["g"])
    out = [pow(g, m, n * n) * pow(secrets.randbelow(n - 1) + 1, n, n * n) % (n * n) for m in numbers]
    return [str(c) for c in [*out, math.prod(out) % (n * n)]]


if sys.argv[1] == "key":
    print(json.dumps(key(int(sys.argv[2]))))
else:
    print(json.dumps(encrypt(json.loads(sys.argv[2]), [int(number) for number in sys.argv[3:]])))
