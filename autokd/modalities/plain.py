"""What the preprocessings share: plain data and back, and words for what does not fit."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from autokd.errors import DataError
from autokd.input_values import RawInputs


def fields_of(value: Any) -> dict[str, Any]:
    """Return the fields of a dataclass, tuples as lists."""
    values = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return {key: list(item) if isinstance(item, tuple) else item for key, item in values.items()}


def with_tuples(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return plain data with tuples for its lists."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in plain.items()}


def expect_rule(what: str, seen: Any, known: Any) -> None:
    """Raise DataError unless a rule that is written down is the one that this version has."""
    if seen != known:
        raise DataError(f"preprocessing with {what} {seen!r} is not known; this version knows {known!r}")


def described(raw: RawInputs) -> str:
    """Say what raw samples are that do not fit."""
    return f"{raw.dtype} {list(raw.shape)}" if isinstance(raw, Tensor) else f"a {type(raw).__name__}"
