"""The train config, of every wire version, for pydantic 1 and 2.

Members that no field stands for are kept and written as they were. What a config has to hold for its wire version is
judged by `pht-oci`; these classes take what any version has.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple, Union

from pydantic import VERSION, BaseModel, Field, StrictInt

_PYDANTIC_2 = not VERSION.startswith("1.")

if _PYDANTIC_2:
    from pydantic import ConfigDict


class HexString(str):
    """Bytes, as text of hexadecimal digits."""

    @classmethod
    def __get_validators__(cls) -> Iterator[Callable[[Any], "HexString"]]:
        yield cls.validate

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(
            cls.validate, serialization=core_schema.to_string_ser_schema()
        )

    @classmethod
    def validate(cls, v: Any) -> "HexString":
        """The text, or the bytes as text."""
        if isinstance(v, bytes):
            return cls(v.hex())
        if not isinstance(v, str):
            raise ValueError(f"{v!r} is neither a text of hexadecimal digits nor bytes")
        bytes.fromhex(v)
        return cls(v)

    def get_bytes(self) -> bytes:
        """The bytes."""
        return bytes.fromhex(self)


class Ecosystem(str, Enum):
    """Networks of stations."""

    TUE = "tue"
    AAC = "padme"
    #: As wire 1.1.1 calls it.
    AAC_1_1_1 = "aac"


#: `1` and `"1"` stay what they are: the one is hashed as decimal, and both are written as they came.
Identifier = Union[StrictInt, str]
PaillierKey = Union[Dict[str, Any], StrictInt, str]


class _Part(BaseModel):
    """What all parts of a config have in common."""

    if _PYDANTIC_2:
        model_config = ConfigDict(extra="allow", validate_assignment=True, populate_by_name=True)
    else:

        class Config:
            extra = "allow"
            validate_assignment = True
            allow_population_by_field_name = True


class StationPublicKeys(_Part):
    """The key of a station."""

    station_id: Identifier
    rsa_public_key: HexString
    eco_system: Union[Ecosystem, str] = Field(..., union_mode="left_to_right")


class UserPublicKeys(_Part):
    """The keys of a creator."""

    user_id: Identifier
    rsa_public_key: HexString
    paillier_public_key: Optional[PaillierKey] = None


class StationSignature(_Part):
    """What a stop has signed."""

    digest: HexString
    signature: HexString


class DigitalSignature(_Part):
    """A station and what it has signed."""

    station_id: Identifier
    signature: StationSignature


class Creator(_Part):
    """Who has made the train."""

    id: Identifier
    rsa_public_key: HexString
    paillier_public_key: Optional[PaillierKey] = None
    encrypted_key: Optional[HexString] = None


class RouteEntry(_Part):
    """A stop of the route."""

    station: Identifier
    eco_system: Union[Ecosystem, str] = Field(..., union_mode="left_to_right")
    rsa_public_key: HexString
    index: int
    signature: Optional[StationSignature] = None
    encrypted_key: Optional[HexString] = None


class TrainSourceType(str, Enum):
    """What the train was built on."""

    DOCKER = "docker_repository"
    GIT = "git_repository"


class TrainSource(_Part):
    """Where the master image or the code comes from."""

    type: TrainSourceType
    address: str
    tag: Optional[str] = None
    branch: Optional[str] = None


class BuildSignature(_Part):
    """What the builder has signed; wire 3 has the builder's key elsewhere."""

    signature: HexString
    rsa_public_key: Optional[HexString] = None


class TrainConfig(_Part):
    """The train config."""

    source: TrainSource
    creator: Creator
    proposal_id: Identifier
    id: str = Field(alias="@id")
    context: Optional[Dict[str, Any]] = Field(default=None, alias="@context")
    session_id: HexString
    route: List[RouteEntry]
    file_list: List[str]
    hash: Optional[HexString] = None
    signature: Optional[HexString] = None
    build: Optional[BuildSignature] = None
    result_hash: Optional[HexString] = None
    result_signature: Optional[HexString] = None

    if _PYDANTIC_2:
        # Names that pydantic 2 calls deprecated are what callers of the reference use.

        @classmethod
        def parse_raw(cls, b: Any, **_options: Any) -> "TrainConfig":
            """The config of a JSON text."""
            return cls.model_validate_json(b)

        @classmethod
        def parse_obj(cls, obj: Any) -> "TrainConfig":
            """The config of a dictionary."""
            return cls.model_validate(obj)

        def json(self, *, indent: Optional[int] = None, by_alias: bool = False, **options: Any) -> str:
            """The config as JSON."""
            return self.model_dump_json(indent=indent, by_alias=by_alias, **options)

        def dict(self, *, by_alias: bool = False, **options: Any) -> Dict[str, Any]:
            """The config as a dictionary."""
            return self.model_dump(by_alias=by_alias, **options)

        def copy(self, *, update: Optional[Dict[str, Any]] = None, deep: bool = False, **_options: Any) -> "TrainConfig":
            """A copy."""
            return self.model_copy(update=update, deep=deep)


#: The names of the fields, which pydantic 1 and 2 keep in different places.
FIELDS: Tuple[str, ...] = tuple(getattr(TrainConfig, "model_fields" if _PYDANTIC_2 else "__fields__"))
