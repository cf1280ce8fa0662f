"""The reports of the program as dataclasses. Their fields are the members of the JSON documents, by the same names.

A member that this version does not know is kept in `raw`, and so is everything else of a document.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, Dict, Mapping, Optional, Tuple, Type, TypeVar, Union, get_args, get_origin, get_type_hints

from ._errors import Failed

T = TypeVar("T")


@dataclass(frozen=True)
class Document:
    """What every report has."""

    #: The whole JSON document, with members that this version has no field for.
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Digests:
    """Digests of manifests."""

    #: Of the one that was read.
    before: Optional[str] = None
    #: Of the one that was published.
    after: Optional[str] = None


@dataclass(frozen=True)
class Layers:
    """What happened to the layers."""

    added: Tuple[str, ...] = ()
    dropped: Tuple[str, ...] = ()
    reused: int = 0


@dataclass(frozen=True)
class Bytes:
    """How much was read and written."""

    read: int = 0
    written: int = 0
    transferred: int = 0


@dataclass(frozen=True)
class Check:
    """A check, and what came out."""

    id: str
    subject: str
    #: `sound`, `weak` (not proved) or `broken`.
    verdict: str
    reason: Optional[str] = None


@dataclass(frozen=True)
class Ran:
    """How the train ran."""

    engine: str
    seconds: Union[int, float, None] = None
    log: Optional[str] = None


@dataclass(frozen=True)
class Report(Document):
    """Of `build`, `pre_run`, `post_run`, `run`, `results`, `rebase`, `copy` and `tool_image`."""

    stage: str
    station: Optional[str] = None
    #: The wire version, as in `3`; None of a command that knows no train.
    wire: Optional[str] = None
    source: Optional[str] = None
    destination: Optional[str] = None
    digest: Digests = Digests()
    layers: Layers = Layers()
    bytes: Bytes = Bytes()
    checks: Tuple[Check, ...] = ()
    warnings: Tuple[str, ...] = ()
    notes: Tuple[str, ...] = ()
    #: Only of `run`.
    ran: Optional[Ran] = None

    @property
    def weak(self) -> Tuple[Check, ...]:
        """What was not proved."""
        return tuple(check for check in self.checks if check.verdict == "weak")


@dataclass(frozen=True)
class Stop:
    """A stop of the route, as `inspect` and `verify` show it."""

    index: int
    station: str
    #: The fingerprint of its public key.
    key: Optional[str] = None
    eco_system: Optional[str] = None
    #: Of `inspect`: whether it has signed.
    signed: Optional[bool] = None
    #: Of `verify`: the verdict on its signature; None if it has not signed.
    signature: Optional[str] = None
    #: Of `verify`: the verdict on what it signed.
    digest: Optional[str] = None


@dataclass(frozen=True)
class Inspection(Document):
    """The state of a train by its own config; nothing of it is verified."""

    source: str
    digest: str
    wire: str
    id: str
    creator: Optional[str] = None
    master: Optional[str] = None
    route: Tuple[Stop, ...] = ()
    waits_for_creator: bool = False
    #: The station whose turn it is; None after the last.
    next: Optional[str] = None
    files: Optional[int] = None
    layers: Optional[int] = None
    base_layers: Optional[int] = None
    size: Optional[int] = None
    #: `built`, `pre-run` (the train is open) or `post-run`; None if the labels do not tell.
    stage: Optional[str] = None


@dataclass(frozen=True)
class Verification(Document):
    """Every check that needs no private key."""

    source: str
    digest: str
    #: The wire version and the train's id; None if the config could not be read.
    wire: Optional[str]
    id: Optional[str]
    #: The worst verdict of all checks.
    verdict: str
    checks: Tuple[Check, ...] = ()
    stops: Tuple[Stop, ...] = ()
    read: Optional[int] = None
    #: How many of the lowest layers were not read.
    unread_layers: Optional[int] = None
    #: Why the files could not be looked at, and at most the config was checked.
    fault: Optional[str] = None
    warnings: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Master:
    """The master image that a train was held against."""

    source: str
    digest: Optional[str] = None


@dataclass(frozen=True)
class Aspect:
    """What about a file or a setting differs."""

    name: str
    before: Optional[str] = None
    after: Optional[str] = None


@dataclass(frozen=True)
class Difference:
    """A difference where none may be."""

    #: `files` or `config`.
    area: str
    subject: str
    #: `added`, `removed` or `changed`.
    change: str
    aspects: Tuple[Aspect, ...] = ()


@dataclass(frozen=True)
class Validation(Document):
    """Whether a train differs from its master image only in its own files."""

    source: str
    digest: str
    master: Master
    valid: bool
    wire: Optional[str] = None
    #: What was compared: `layers` by their digests, or `files` one by one.
    means: Optional[str] = None
    layers: Optional[int] = None
    common_layers: Optional[int] = None
    differences: Tuple[Difference, ...] = ()
    read: Optional[int] = None
    warnings: Tuple[str, ...] = ()


@dataclass(frozen=True)
class KeyPair(Document):
    """The files of a new key pair."""

    private_key: str
    public_key: str
    fingerprint: str


@dataclass(frozen=True)
class Removed:
    """What `gc` removed."""

    blobs: int
    bytes: int


@dataclass(frozen=True)
class Collection(Document):
    """What `gc` did."""

    removed: Removed


def read_report(kind: Type[T], printed: bytes) -> T:
    """The report that the program has printed."""
    try:
        document = json.loads(printed)
        return _build(kind, document)
    except (KeyError, TypeError, ValueError) as error:
        raise Failed(f"pht-oci has printed no report of the kind {kind.__name__}: {error!r}") from error


def _build(kind: Type[T], document: Any) -> T:
    if not isinstance(document, dict):
        raise TypeError(f"{kind.__name__} is no object")
    hints = get_type_hints(kind)
    values: Dict[str, Any] = {}
    for part in dataclasses.fields(kind):  # type: ignore[arg-type]
        if part.name == "raw":
            values["raw"] = document
        elif part.name in document:
            values[part.name] = _value(hints[part.name], document[part.name])
        elif part.default is dataclasses.MISSING:
            raise KeyError(part.name)
    return kind(**values)


def _value(hint: Any, value: Any) -> Any:
    """A member as the field has it; what is neither an object nor a list stays as it is."""
    if get_origin(hint) is Union:
        if value is None:
            return None
        choices = [choice for choice in get_args(hint) if choice is not type(None)]
        return _value(choices[0], value) if len(choices) == 1 else value
    if value is None:
        raise TypeError(f"null where {hint} was expected")
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise TypeError(f"{value!r} is no list")
        return tuple(_value(get_args(hint)[0], item) for item in value)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _build(hint, value)
    return value
