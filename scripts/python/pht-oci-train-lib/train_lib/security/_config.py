"""What the protocol needs of a config besides its fields."""

from __future__ import annotations

import json
from typing import Any

from train_lib.security.train_config import FIELDS, TrainConfig


def document(config: TrainConfig) -> Any:
    """The config as JSON has it, without members that are null: those are the same as absent ones."""
    return _without_null(json.loads(config.json(by_alias=True)))


def _without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_null(member) for name, member in value.items() if member is not None}
    if isinstance(value, list):
        return [_without_null(item) for item in value]
    return value


def take_over(config: TrainConfig, new: TrainConfig) -> None:
    """Makes the config that the caller holds equal to the new one."""
    for name in FIELDS:
        setattr(config, name, getattr(new, name))
