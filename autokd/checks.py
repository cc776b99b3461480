"""Whether a value is of a type, as annotations write it; for what components declare."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Set as AbstractSet
from typing import Annotated, Any, Literal

from autokd.errors import nearest
from autokd.ranges import Integer, Real


def checked(value: Any, hint: Any) -> Any:
    """Return a declared value as it is kept: sets frozen, whole numbers as the real ones that they stand for.

    Raises:
      ValueError: it is not of the type; says what would work.
    """
    arguments = typing.get_args(hint)
    if type(None) in arguments:
        return None if value is None else checked(value, arguments[0])
    check = _CHECKS.get(typing.get_origin(hint))
    return _plain(value, hint) if check is None else check(value, *arguments)


def _plain(value: Any, cls: type[Any]) -> Any:
    value = float(value) if cls is float and type(value) is int else value
    if type(value) is not cls:
        raise ValueError(f"expected {_WORDS.get(cls) or _call_of(cls)}")
    return value


def _call_of(cls: type[Any]) -> str:
    """A dataclass as it is made: Scale(value, source)."""
    return f"{cls.__name__}({', '.join(field.name for field in dataclasses.fields(cls))})"


def _one_of(value: Any, *options: Any) -> Any:
    if value not in options:
        raise ValueError(f"there is no {value!r}; {nearest(value, options)}")
    return value


def _inside(value: Any, hint: Any, span: Integer | Real) -> Any:
    if not span.contains(checked(value, hint)):
        raise ValueError(f"expected {span}")
    return checked(value, hint)


def _set_of(value: Any, hint: Any) -> Any:
    if not isinstance(value, AbstractSet):
        raise ValueError("expected a set of texts")
    return frozenset(checked(item, hint) for item in value)


def _tuple_of(value: Any, hint: Any, _: Any) -> Any:
    if not isinstance(value, tuple):
        raise ValueError("expected a tuple of texts")
    return tuple(checked(item, hint) for item in value)


_WORDS = {bool: "True or False", int: "a whole number", float: "a number", str: "a text"}
_CHECKS: dict[Any, Any] = {Literal: _one_of, Annotated: _inside, AbstractSet: _set_of, tuple: _tuple_of}
