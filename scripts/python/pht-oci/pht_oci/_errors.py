"""What the program can end with, an exception for each exit status."""

from __future__ import annotations

import json
from typing import Any, Mapping, Optional, Sequence


class PhtOciError(Exception):
    """The program ended with an exit status other than 0.

    `str()` of it is the program's message in one line, with its hint if there is one.
    """

    #: The exit status; negative where a signal ended the program before it could say so.
    status: int = 1
    #: Whether the same call may succeed later with nothing changed here.
    worth_repeating: bool = False

    def __init__(self, message: str, *, status: Optional[int] = None, document: Optional[Mapping[str, Any]] = None,
                 report: Optional[Mapping[str, Any]] = None) -> None:
        error = document or {}
        hint = error.get("hint")
        super().__init__(f"{message} ({hint})" if hint else message)
        #: The message without the hint.
        self.message = message
        if status is not None:
            self.status = status
        #: The member `error` of the program's JSON.
        self.document: Mapping[str, Any] = error
        #: The report that came before the error, as that of `verify` with all its checks.
        self.report: Mapping[str, Any] = report or {}

    @property
    def kind(self) -> Optional[str]:
        """The class of the error in JSON reports, as in `verification`."""
        return _text(self.document.get("kind"))

    @property
    def what(self) -> Optional[str]:
        """What was found."""
        return _text(self.document.get("what"))

    @property
    def where(self) -> Sequence[str]:
        """The places from the outside in: image, layer, path."""
        places = self.document.get("where")
        return tuple(str(place) for place in places) if isinstance(places, list) else ()

    @property
    def hint(self) -> Optional[str]:
        """What to do."""
        return _text(self.document.get("hint"))


class Failed(PhtOciError):
    """Input or output failed, or the program has a fault (exit status 1)."""

    status = 1
    worth_repeating = True


class WrongUsage(PhtOciError):
    """The request makes no sense as given (exit status 2)."""

    status = 2


class Refused(PhtOciError):
    """Something does not hold: a hash, a signature, a layer, the order of the route, a pin (exit status 3)."""

    status = 3

    @property
    def check(self) -> Optional[str]:
        """The id of the check that failed, as in `creator-signature`; None where no check of that list did."""
        return self._of_check("check", "id")

    @property
    def subject(self) -> Optional[str]:
        """What the check was about, as in a station or a file."""
        return self._of_check("subject", "subject")

    def _of_check(self, member: str, of_row: str) -> Optional[str]:
        told = _text(self.document.get(member))
        if told is not None:
            return told
        broken = [row for row in self.checks if row.get("verdict") == "broken"]
        return _text(broken[0].get(of_row)) if broken else None

    @property
    def checks(self) -> Sequence[Mapping[str, Any]]:
        """The rows that were checked, those before the failure included, as far as the program tells them."""
        for told in (self.document.get("checks"), self.report.get("checks")):
            if isinstance(told, list):
                return tuple(row for row in told if isinstance(row, dict))
        return ()


class KeyProblem(PhtOciError):
    """The private key is wrong, missing, locked or unfit (exit status 4)."""

    status = 4


class NotATrain(PhtOciError):
    """This is not a train, or the image is malformed (exit status 5)."""

    status = 5


class RegistryDown(PhtOciError):
    """The registry, the network or the credentials (exit status 6)."""

    status = 6
    worth_repeating = True


class DecisionNeeded(PhtOciError):
    """Somebody has to decide first whether the results may go (exit status 7)."""

    status = 7


class TrainFailed(PhtOciError):
    """The train itself ended with a failure (exit status 8)."""

    status = 8

    @property
    def train_status(self) -> Optional[int]:
        """The exit status of the train; None if it was ended."""
        status = self._train().get("exit_status")
        return status if isinstance(status, int) else None

    @property
    def log(self) -> Optional[str]:
        """The file with the train's output."""
        return _text(self._train().get("log"))

    def _train(self) -> Mapping[str, Any]:
        train = self.document.get("train")
        return train if isinstance(train, dict) else {}


class Interrupted(PhtOciError):
    """A signal ended the program before anything was published (exit status 129, 130 or 143)."""

    status = 130
    worth_repeating = True


class ProgramMissing(PhtOciError):
    """There is no program `pht-oci` here."""


_BY_STATUS = {
    1: Failed,
    2: WrongUsage,
    3: Refused,
    4: KeyProblem,
    5: NotATrain,
    6: RegistryDown,
    7: DecisionNeeded,
    8: TrainFailed,
    129: Interrupted,
    130: Interrupted,
    143: Interrupted,
}


def error_of(status: int, stderr: str, report: Optional[Mapping[str, Any]]) -> PhtOciError:
    """The exception for what the program printed on standard error."""
    document = _document(stderr)
    message = _text(document.get("message"))
    if message is None:
        lines = [line for line in stderr.splitlines() if line.strip()]
        ended = f"pht-oci was ended by signal {-status}" if status < 0 else f"pht-oci ended with exit status {status}"
        message = f"{ended}: {lines[-1]}" if lines else ended
    # Before 8 was an exit status of its own, a train's failure was 1 with this member.
    kind = TrainFailed if "train" in document else _BY_STATUS.get(status, Interrupted if status < 0 else PhtOciError)
    return kind(message, status=status, document=document, report=report)


def _document(stderr: str) -> Mapping[str, Any]:
    """The member `error` of the last JSON document on standard error; warnings may stand before it."""
    for line in reversed(stderr.splitlines()):
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if isinstance(document, dict) and isinstance(document.get("error"), dict):
            error: Mapping[str, Any] = document["error"]
            return error
    return {}


def _text(value: object) -> Optional[str]:
    return value if isinstance(value, str) else None
