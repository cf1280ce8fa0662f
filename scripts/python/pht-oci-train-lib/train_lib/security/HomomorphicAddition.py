"""The name of `homomorphic_addition` before 1.0, which trains that were written then still import."""

from __future__ import annotations

from typing import Optional, SupportsIndex

from train_lib.security import homomorphic_addition as _current
from train_lib.security.homomorphic_addition import Number, PublicKey, enc_add, encrypt, invmod

__all__ = ["PublicKey", "enc_add", "encrypt", "invmod", "secure_addition"]


def secure_addition(
    result_local: SupportsIndex, result_prev: Optional[Number], n: Optional[Number] = None, g: Optional[Number] = None
) -> int:
    """Adds this station's number to the encrypted sum of those before; a key without g has n + 1."""
    return _current.secure_addition(result_local, result_prev, n, int(n) + 1 if n and not g else g)
