"""Reading values and ranges of a space file; mistakes are noted, each with its path, and never raised."""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Collection
from typing import Any

from autokd import spec
from autokd.errors import nearest
from autokd.ranges import Choice, Integer, Range, Real
from autokd.space.values import edges, narrowed

Problems = list[str]
MISSING = object()
BAD = object()
"""Stands for a value with a mistake, which has been noted."""

_RANGE_WORDS: dict[str, tuple[type[Any], tuple[str, ...]]] = {"float": (float, ("log",)), "int": (int, ("step", "log"))}
LIMIT = "limit"
"""Written for the upper end of a size of a student: as large as the study's limits allow."""
_RANGE_FORMS = "{float: [low, high]}, {int: [low, high]} or {choice: [...]}"


def join(path: str, key: str) -> str:
    """Return the path of an entry of a mapping; "" is the path of the whole file."""
    return f"{path}.{key}" if path else key


def known_entries(value: Any, path: str, allowed: Collection[str], problems: Problems) -> dict[str, Any]:
    """The entries of a mapping that are allowed; notes all others."""
    found = mapping(value, path, problems)
    for key in found:
        if key not in allowed:
            problems.append(f"{join(path, key)}: there is no such key; {nearest(key, allowed)}")
    return {key: item for key, item in found.items() if key in allowed}


def mapping(value: Any, path: str, problems: Problems) -> dict[str, Any]:
    """A mapping with names as keys; nothing at all stands for an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        problems.append(f"{path}: expected a mapping, got {value!r}")
        return {}
    return {str(key): item for key, item in value.items()}


def read_field(path: str, value: Any, info: spec.FieldInfo, problems: Problems) -> Any:
    """A field's range, or its fixed value as plain data; `BAD` where there is a mistake."""
    if value is MISSING and info.range is None:
        if info.default is not dataclasses.MISSING:
            return plain(info.default)
        problems.append(f"{path}: needs a value or a range")
        return BAD
    if isinstance(value, dict):
        span = _range(path, value, info.type, problems)
    elif value is MISSING:
        span = info.range
    else:
        return convert(path, value, info.type, problems)
    if span is None:
        return BAD
    span = narrowed(span)
    return edges(span)[0] if len(edges(span)) == 1 else span


def open_end(path: str, value: Any, info: spec.FieldInfo, problems: Problems) -> Any:
    """The same value with the component's own end in the place of an upper end that is to follow the limits.

    Returns:
      the value with its end, or None where its end does not follow the limits.
    """
    ends = value.get("int") if isinstance(value, dict) else None
    if not isinstance(ends, list) or len(ends) != 2 or ends[1] != LIMIT:
        return None
    if not isinstance(info.range, Integer):
        problems.append(f"{path}.int: the component has no range of its own, so {LIMIT!r} says nothing; give a number")
        return None
    return {**value, "int": [ends[0], info.range.high]}


def _range(path: str, body: dict[Any, Any], declared: Any, problems: Problems) -> Range | None:
    words = [word for word in body if word in (*_RANGE_WORDS, "choice")]
    scalar = _scalar_of(declared)
    if len(words) != 1 or scalar is None:
        expected = f"expected one of {_RANGE_FORMS}" if scalar else "this field takes a fixed value only"
        problems.append(f"{path}: {expected}, got {body!r}")
        return None
    if words[0] == "choice":
        return _choice(path, known_entries(body, path, ("choice",), problems)["choice"], scalar, problems)
    wanted, options = _RANGE_WORDS[words[0]]
    if scalar is not wanted:
        other = next((word for word, (type_, _) in _RANGE_WORDS.items() if type_ is scalar), "choice")
        problems.append(f"{path}: is {scalar.__name__}, which {words[0]!r} does not range over; use {other!r}")
        return None
    return _span(path, words[0], known_entries(body, path, (words[0], *options), problems), problems)


def _span(path: str, word: str, body: dict[str, Any], problems: Problems) -> Range | None:
    ends = body[word]
    if not isinstance(ends, list) or len(ends) != 2:
        problems.append(f"{path}.{word}: expected [low, high], got {ends!r}")
        return None
    scalar = _RANGE_WORDS[word][0]
    low, high = (convert(f"{path}.{word}", end, scalar, problems) for end in ends)
    log = convert(f"{path}.log", body.get("log", False), bool, problems)
    step = convert(f"{path}.step", body.get("step", 1), int, problems)
    if BAD in (low, high, log, step):
        return None
    try:
        return Real(low, high, log) if word == "float" else Integer(low, high, step, log)
    except ValueError as error:
        problems.append(f"{path}: {error}")
        return None


def _choice(path: str, options: Any, scalar: type[Any], problems: Problems) -> Range | None:
    if not isinstance(options, list) or not options:
        problems.append(f"{path}.choice: expected a list of values, got {options!r}")
        return None
    values = [convert(f"{path}.choice.{index}", option, scalar, problems) for index, option in enumerate(options)]
    if BAD in values:
        return None
    if len(set(values)) < len(values):
        problems.append(f"{path}.choice: a value stands twice in {options!r}")
        return None
    return Choice(*values)


def _scalar_of(declared: Any) -> type[Any] | None:
    """The type of a range's values for a field declared so, or None where it cannot have one."""
    inner = [argument for argument in typing.get_args(declared) if argument is not type(None)]
    found = inner[0] if type(None) in typing.get_args(declared) and len(inner) == 1 else declared
    return found if found in (bool, int, float, str) else None


def convert(path: str, value: Any, declared: Any, problems: Problems) -> Any:
    """A value as plain data of the declared type, or `BAD`."""
    try:
        converted = spec.convert(value, declared)
    except (ValueError, OverflowError) as error:
        problems.append(f"{path}: {error}")
        return BAD
    numbers = converted if isinstance(converted, tuple) else (converted,)
    if any(isinstance(number, float) and not math.isfinite(number) for number in numbers):
        problems.append(f"{path}: expected a finite number, got {value!r}")
        return BAD
    return plain(converted)


def read_count(path: str, value: Any, least: int, problems: Problems) -> int:
    """A whole number of at least `least`; `least` itself where there is a mistake."""
    number = convert(path, value, int, problems)
    if number is not BAD and number < least:
        problems.append(f"{path}: expected at least {least}, got {number}")
    return least if number is BAD else max(int(number), least)


def plain(value: Any) -> Any:
    """A field's value as plain data: a tuple as a list."""
    return list(value) if isinstance(value, tuple) else value
