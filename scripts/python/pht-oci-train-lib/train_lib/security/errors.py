"""What can be wrong with a train."""

from __future__ import annotations

from typing import Optional

import pht_oci
from cryptography.exceptions import InvalidSignature


class ValidationError(Exception):
    """Something about the train does not hold."""

    def __init__(self, hash_value: object) -> None:
        super().__init__(hash_value)
        self.hash_value = hash_value


class Invalid(ValidationError, ValueError):
    """The train is refused or malformed; callers of the reference expect the one class here and the other there."""

    def __init__(self, message: str, check: Optional[str] = None) -> None:
        super().__init__(message)
        #: The id of the check that failed, as `pht-oci` names it.
        self.check = check


class BadSignature(Invalid, InvalidSignature):
    """The creator's signature does not hold."""


class UnfitKey(ValueError):
    """The private key is wrong, missing or locked."""


def error_of(error: pht_oci.PhtOciError, check: Optional[str] = None) -> Exception:
    """The exception that callers of the reference expect; others, as of input/output, stay as they are."""
    if isinstance(error, pht_oci.KeyProblem):
        return UnfitKey(str(error))
    if check == "creator-signature":
        return BadSignature(str(error), check)
    if isinstance(error, (pht_oci.Refused, pht_oci.NotATrain, pht_oci.WrongUsage)):
        return Invalid(str(error), check)
    return error
