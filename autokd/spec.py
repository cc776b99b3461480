"""A pipeline as a value: `PipelineSpec`, and its translation to and from plain data.

The fields of `PipelineSpec` are the only list of slots. Schema, sampling, storage, export and report are derived from
them.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import inspect
import json
import math
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

from autokd import catalog
from autokd.components import (
    AugmentComponent,
    HeadComponent,
    LossComponent,
    OptimizerComponent,
    ScheduleComponent,
    StudentComponent,
)
from autokd.errors import ComponentError, nearest
from autokd.ranges import Choice, Integer, Range, Real

FORMAT = 1
"""Version of the plain form of a pipeline."""


class Slot(NamedTuple):
    """What a field of `PipelineSpec` holds.

    Args:
      kind: kind of component.
      many: a mapping of instance name to component, instead of one component.
      default: the component, with its own defaults, where a pipeline or a space does not name the slot; "" for none.
    """

    kind: str
    many: bool = False
    default: str = ""


@dataclass(frozen=True, kw_only=True)
class PipelineSpec:
    """Everything that decides how a student is trained, apart from data, teacher, seed and length.

    Args:
      student: the student architecture.
      head: what stands in the place of the student's classifier, as part of the student.
      augment: the augmentation policy.
      losses: instance name -> loss; their weighted sum is minimised.
      optimizer, schedule: how.
      batch_size: samples a step.
    """

    student: Annotated[StudentComponent, Slot("students")]
    head: Annotated[HeadComponent, Slot("heads", default="plain")] = dataclasses.field(
        default_factory=lambda: make("heads", "plain", {})
    )
    augment: Annotated[AugmentComponent, Slot("augments")]
    losses: Annotated[Mapping[str, LossComponent], Slot("losses", many=True)]
    optimizer: Annotated[OptimizerComponent, Slot("optimizers")]
    schedule: Annotated[ScheduleComponent, Slot("schedules")]
    batch_size: Annotated[int, Choice(32, 64, 128)] = 64

    @property
    def needs_teacher(self) -> bool:
        """Whether any loss reads the teacher."""
        return any(loss.declares.teacher != "none" for loss in self.losses.values())


class FieldInfo(NamedTuple):
    """A field of a component: type, default (`dataclasses.MISSING` if none), range (None: never searched), comment."""

    type: Any
    default: Any
    range: Range | None
    comment: str


def slots() -> dict[str, Slot | Range]:
    """Return the slots of a pipeline, by field name; a plain hyper-parameter has its range."""
    hints = typing.get_type_hints(PipelineSpec, include_extras=True)
    return {field.name: hints[field.name].__metadata__[0] for field in dataclasses.fields(PipelineSpec)}


def components(spec: PipelineSpec) -> Iterator[tuple[str, Any]]:
    """Yield (path, component) for every component of a pipeline: ("student", …), ("losses.kd", …), …"""
    for name, slot in slots().items():
        value = getattr(spec, name)
        if isinstance(slot, Slot) and slot.many:
            yield from ((f"{name}.{key}", component) for key, component in value.items())
        elif isinstance(slot, Slot):
            yield name, value


def component_at(spec: PipelineSpec, path: str) -> Any:
    """Return the component of a pipeline at a path, as `components` gives it: "student", "losses.kd".

    Raises:
      ComponentError: there is none; names the nearest path.
    """
    there = dict(components(spec))
    if path not in there:
        raise ComponentError(f"the pipeline has no component at {path!r}; {nearest(path, there)}")
    return there[path]


def replaced(spec: PipelineSpec, path: str, value: Any) -> PipelineSpec:
    """Return a pipeline that differs from `spec` in one place.

    Args:
      path: a slot ("student", "losses", "batch_size"), a component of a slot that holds several ("losses.kd"), or a
        component's field ("optimizer.learning_rate", "losses.kd.weight").
      value: a component; for a slot that holds several, all of them by name; for a field or a number, a plain value,
        which is converted to the declared type.
    Raises:
      ComponentError: there is nothing at the path, or the value does not fit there.
    """
    name, _, below = path.partition(".")
    slot = slots().get(name)
    if not below:
        return dataclasses.replace(spec, **{name: _slot_value(name, value)})
    parent, _, last = path.rpartition(".")
    if isinstance(slot, Slot) and slot.many and (path in dict(components(spec)) or parent == name):
        component_at(spec, path)
        return replaced(spec, name, {**getattr(spec, name), path.removeprefix(f"{name}."): value})
    return replaced(spec, parent, _with_field(component_at(spec, parent), last, value, path))


def _slot_value(name: str, value: Any) -> Any:
    """What a slot holds, once it has been made sure that it may."""
    slot = slots().get(name)
    if slot is None:
        raise ComponentError(f"a pipeline has no part {name!r}; {nearest(name, slots())}")
    if not isinstance(slot, Slot):
        return _count(name, value)
    if slot.many and not (isinstance(value, Mapping) and value):
        raise ComponentError(f"expected a mapping of at least one name to a component for {name}, got {value!r}")
    places = {f"{name}.{key}": item for key, item in value.items()} if slot.many else {name: value}
    for path, component in places.items():
        if not _is_of_kind(component, slot.kind):
            raise ComponentError(f"{path}: expected a component of {slot.kind}, got {component!r}")
    return value


def _is_of_kind(component: Any, kind: str) -> bool:
    """Whether the catalog lists the component's class as of this kind; a plug-in that was read again is the same."""
    try:
        listed = catalog.load(kind, catalog.name_of(component))
    except ComponentError:
        return False
    own = type(component)
    return (listed.__module__, listed.__qualname__) == (own.__module__, own.__qualname__)


def _with_field(component: Any, field: str, value: Any, path: str) -> Any:
    fields = fields_of(type(component))
    if field not in fields:
        raise ComponentError(f"{path}: {catalog.name_of(component)} has no such field; {nearest(field, fields)}")
    try:
        return dataclasses.replace(component, **{field: convert(value, fields[field].type)})
    except (TypeError, ValueError, OverflowError) as error:
        raise ComponentError(f"{path}: {error}") from error


def fields_of(cls: type[Any]) -> dict[str, FieldInfo]:
    """Return a component's fields in order, with default, range and the comment on the field's own line."""
    described: dict[str, FieldInfo] = _fields(cls)  # type: ignore[arg-type]  # a class is hashable
    return described


@functools.cache
def _fields(cls: Any) -> dict[str, FieldInfo]:
    hints = typing.get_type_hints(cls, include_extras=True)
    comments = comments_of(cls)
    found: dict[str, FieldInfo] = {}
    for field in dataclasses.fields(cls):
        hint = hints[field.name]
        metadata = getattr(hint, "__metadata__", ())
        span = next((item for item in metadata if isinstance(item, (Real, Integer, Choice))), None)
        base = hint.__origin__ if metadata else hint
        default = field.default
        if default is dataclasses.MISSING and field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        found[field.name] = FieldInfo(base, default, span, comments.get(field.name, ""))
    return found


def make(kind: str, name: str, values: Mapping[str, Any]) -> Any:
    """Build a component instance from plain values.

    Raises:
      ComponentError: unknown component, unknown or missing field, or a value of the wrong type.
    """
    cls = catalog.load(kind, name)
    fields = fields_of(cls)
    for key in values:
        if key not in fields:
            raise ComponentError(f"{kind} {name!r} has no field {key!r}; {nearest(key, fields)}")
    missing = [key for key, info in fields.items() if info.default is dataclasses.MISSING and key not in values]
    if missing:
        raise ComponentError(f"{kind} {name!r} needs a value for {', '.join(missing)}")
    try:
        return cls(**{key: convert(value, fields[key].type) for key, value in values.items()})
    except (TypeError, ValueError) as error:
        raise ComponentError(f"{kind} {name!r}: {error}") from error


def convert(value: Any, to: Any) -> Any:
    """Convert a plain value to a field's declared type: "1e-2" to a float, 3 to 3.0, a list to a tuple.

    Raises:
      ValueError: the value does not fit the type.
    """
    origin, arguments = typing.get_origin(to), typing.get_args(to)
    if type(None) in arguments:
        return None if value is None else convert(value, next(a for a in arguments if a is not type(None)))
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"expected a list, got {value!r}")
        return tuple(convert(item, arguments[0]) for item in value)
    if to is bool and isinstance(value, bool):
        return value
    if to is str and isinstance(value, str):
        return value
    if to is int and isinstance(value, (int, float, str)) and not isinstance(value, bool):
        number = float(value)
        if math.isfinite(number) and number == int(number):
            return int(number)
    if to is float and isinstance(value, (int, float, str)) and not isinstance(value, bool):
        real = float(value)
        if math.isfinite(real):
            return real
    raise ValueError(f"expected {getattr(to, '__name__', to)}, got {value!r}")


def component_to_plain(component: Any) -> dict[str, Any]:
    """Return {"use": name, field: value, …} with every field written out."""
    values = {field.name: getattr(component, field.name) for field in dataclasses.fields(component)}
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
    return {"use": catalog.name_of(component), **plain}


def component_from_plain(kind: str, plain: Mapping[str, Any]) -> Any:
    """Inverse of `component_to_plain`.

    Raises:
      ComponentError: as `make`, or `use` is missing.
    """
    if not isinstance(plain, Mapping) or "use" not in plain:
        raise ComponentError(f"expected a mapping with 'use: <name>' for {kind}, got {plain!r}")
    return make(kind, plain["use"], {key: value for key, value in plain.items() if key != "use"})


def to_plain(spec: PipelineSpec) -> dict[str, Any]:
    """Return a pipeline as JSON- and YAML-able data, every value written out."""
    plain: dict[str, Any] = {"format": FORMAT}
    for name, slot in slots().items():
        value = getattr(spec, name)
        if isinstance(slot, Slot) and slot.many:
            plain[name] = {key: component_to_plain(component) for key, component in value.items()}
        elif isinstance(slot, Slot):
            plain[name] = component_to_plain(value)
        else:
            plain[name] = value
    return plain


def from_plain(plain: Mapping[str, Any]) -> PipelineSpec:
    """Inverse of `to_plain`.

    Raises:
      ComponentError: a slot is unknown or missing, or a component cannot be made.
    """
    found = plain.get("format") if isinstance(plain, Mapping) else plain
    if found != FORMAT:
        raise ComponentError(f"pipeline format {found!r} is not known; this version reads format {FORMAT}")
    table = slots()
    for key in plain:
        if key != "format" and key not in table:
            raise ComponentError(f"a pipeline has no part {key!r}; {nearest(key, table)}")
    values: dict[str, Any] = {}
    for name, slot in table.items():
        if name not in plain and isinstance(slot, Slot) and slot.default:
            values[name] = make(slot.kind, slot.default, {})
        elif name not in plain:
            raise ComponentError(f"the pipeline has no {name!r}")
        elif not isinstance(slot, Slot):
            values[name] = _count(name, plain[name])
        elif not slot.many:
            values[name] = component_from_plain(slot.kind, plain[name])
        elif isinstance(plain[name], Mapping) and plain[name]:
            values[name] = {key: component_from_plain(slot.kind, item) for key, item in plain[name].items()}
        else:
            raise ComponentError(
                f"expected a mapping of at least one name to a component for {name}, got {plain[name]!r}"
            )
    return PipelineSpec(**values)


def _count(name: str, value: Any) -> int:
    try:
        number: int = convert(value, int)
    except ValueError:
        number = 0
    if number < 1:
        raise ComponentError(f"expected a whole number of at least 1 for {name}, got {value!r}")
    return number


def fingerprint(plain: Any) -> str:
    """Return 16 hex digits that identify plain data (a pipeline, an identity, …), whatever the order of its keys."""
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def comments_of(cls: type[Any]) -> dict[str, str]:
    """Return the trailing comments on the lines of a class's attributes, by name; {} without its source."""
    try:
        lines = inspect.getsource(cls).splitlines()
    except (OSError, TypeError):
        return {}
    found = {}
    for line in lines:
        code, mark, comment = line.partition("  #")
        if mark and ":" in code:
            found[code.partition(":")[0].strip()] = comment.strip()
    return found
