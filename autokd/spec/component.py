"""Components as values: what fields a component has, and how it is made from plain data and written as such."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
import typing
from collections.abc import Mapping
from typing import Any, NamedTuple

from autokd import catalog
from autokd.errors import ComponentError, nearest
from autokd.loss_keys import KEYS
from autokd.ranges import Choice, Integer, Range, Real
from autokd.spec.placed import bare, key_defaults, keys_of, place, trimmed


class FieldInfo(NamedTuple):
    """A field of a component: type, default (`dataclasses.MISSING` if none), range (None: never searched), comment."""

    type: Any
    default: Any
    range: Range | None
    comment: str


def fields_of(cls: type[Any]) -> dict[str, FieldInfo]:
    """Return a component's fields in order, with default, range and the comment on the field's own line."""
    described: dict[str, FieldInfo] = _fields(cls)  # type: ignore[arg-type]  # a class is hashable
    return described


def fields_in(kind: str, cls: type[Any]) -> dict[str, FieldInfo]:
    """Return what a pipeline may say of a component: the component's own fields, then the engine's keys."""
    return {**fields_of(cls), **(fields_of(KEYS[kind]) if kind in KEYS else {})}


@functools.cache
def _fields(cls: Any) -> dict[str, FieldInfo]:
    hints = typing.get_type_hints(cls, include_extras=True)
    comments = comments_of(cls)
    return {field.name: _field(field, hints[field.name], comments) for field in dataclasses.fields(cls)}


def _field(field: dataclasses.Field[Any], hint: Any, comments: Mapping[str, str]) -> FieldInfo:
    metadata = getattr(hint, "__metadata__", ())
    span = next((item for item in metadata if isinstance(item, (Real, Integer, Choice))), None)
    default = field.default
    if default is dataclasses.MISSING and field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    return FieldInfo(hint.__origin__ if metadata else hint, default, span, comments.get(field.name, ""))


def comments_of(cls: type[Any]) -> dict[str, str]:
    """Return the trailing comments on the lines of the attributes of a class and its bases; {} without the source."""
    comments: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if dataclasses.is_dataclass(base):
            comments |= _own_comments(base)
    return comments


def _own_comments(cls: type[Any]) -> dict[str, str]:
    try:
        lines = inspect.getsource(cls).splitlines()
    except (OSError, TypeError):
        return {}
    comments = {}
    for line in lines:
        code, mark, comment = line.partition("  #")
        if mark and ":" in code:
            comments[code.partition(":")[0].strip()] = comment.strip()
    return comments


def convert(value: Any, to: Any) -> Any:
    """Convert a plain value to a field's declared type.

    >>> convert("1e-2", float), convert(3, float), convert("300e3", int)
    (0.01, 3.0, 300000)
    >>> convert([1, "2"], tuple[int, ...])
    (1, 2)
    >>> convert(None, float | None) is None
    True
    >>> convert(1.5, int)
    Traceback (most recent call last):
    ValueError: expected int, got 1.5

    Raises:
      ValueError: the value does not fit the type.
    """
    arguments = typing.get_args(to)
    if type(None) in arguments:
        return None if value is None else convert(value, next(a for a in arguments if a is not type(None)))
    if typing.get_origin(to) is tuple:
        return _as_tuple(value, arguments[0])
    if to in (int, float):
        return _as_number(value, to)
    if to in (bool, str) and isinstance(value, to):
        return value
    raise _refusal(value, to)


def _as_tuple(value: Any, of: Any) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"expected a list, got {value!r}")
    return tuple(convert(item, of) for item in value)


def _as_number(value: Any, to: type[int] | type[float]) -> int | float:
    """A finite number, also from a text ("1e-2", which YAML takes for one); a whole one where the type is `int`."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise _refusal(value, to)
    try:
        number = float(value)
    except OverflowError:  # a whole number of more than 308 digits
        number = math.inf
    if not math.isfinite(number) or (to is int and number != int(number)):
        raise _refusal(value, to)
    return to(number)


def _refusal(value: Any, to: Any) -> ValueError:
    return ValueError(f"expected {getattr(to, '__name__', to)}, got {value!r}")


def make(kind: str, name: str, values: Mapping[str, Any]) -> Any:
    """Build a component instance from plain values.

    >>> make("losses", "kd", {"temperature": "2"}).temperature
    2.0

    Returns:
      the component; a `PlacedLoss` where values of the engine's keys are given that are not the defaults.

    Raises:
      ComponentError: unknown component, unknown or missing field, or a value of the wrong type.
    """
    cls = catalog.load(kind, name)
    fields = fields_in(kind, cls)
    for key in values:
        if key not in fields:
            raise ComponentError(f"{kind} {name!r} has no field {key!r}; {nearest(key, fields)}")
    missing = [key for key, info in fields.items() if info.default is dataclasses.MISSING and key not in values]
    if missing:
        raise ComponentError(f"{kind} {name!r} needs a value for {', '.join(missing)}")
    try:
        return _placed(kind, cls, {key: convert(value, fields[key].type) for key, value in values.items()})
    except (TypeError, ValueError) as error:
        raise ComponentError(f"{kind} {name!r}: {error}") from error


def _placed(kind: str, cls: type[Any], values: Mapping[str, Any]) -> Any:
    """A component with the engine's keys, of values of both."""
    keys = {key: values[key] for key in key_defaults(kind) if key in values}
    component = cls(**{key: value for key, value in values.items() if key not in keys})
    return place(component, KEYS[kind](**keys)) if keys else component


def component_to_plain(component: Any) -> dict[str, Any]:
    """Return {"use": name, field: value, …} with every field written out, and those keys that are not the defaults.

    >>> component_to_plain(make("schedules", "cosine", {"warmup": 0.1}))
    {'use': 'cosine', 'warmup': 0.1, 'final': 0.001}
    """
    own = bare(component)
    values = {field.name: getattr(own, field.name) for field in dataclasses.fields(own)}
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
    keys = {} if own is component else trimmed(own.declares.kind, dataclasses.asdict(keys_of(component)))
    return {"use": catalog.name_of(own), **plain, **keys}


def component_from_plain(kind: str, plain: Mapping[str, Any]) -> Any:
    """Inverse of `component_to_plain`.

    Raises:
      ComponentError: as `make`, or `use` is missing.
    """
    if not isinstance(plain, Mapping) or "use" not in plain:
        raise ComponentError(f"expected a mapping with 'use: <name>' for {kind}, got {plain!r}")
    return make(kind, str(plain["use"]), {key: value for key, value in plain.items() if key != "use"})
