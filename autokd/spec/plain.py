"""Pipelines as plain data, JSON- and YAML-able: written, checked, and read."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any

from autokd import catalog
from autokd.errors import ComponentError, nearest
from autokd.loss_keys import KEYS
from autokd.spec.answers import LOSSES, answer_problems, needs_no_labels_plain, read_by_plain
from autokd.spec.component import FieldInfo, component_from_plain, component_to_plain, convert, fields_in, make
from autokd.spec.pipeline import Number, PipelineSpec, Slot, Slots, beside_slots, slots, unlabelled_slots
from autokd.spec.placed import counting, gap_in

FORMAT = 1
"""Version of the plain form of a pipeline."""


def to_plain(spec: PipelineSpec) -> dict[str, Any]:
    """Return a pipeline as plain data, every value written out; what an optional slot does not hold is left out."""
    plain: dict[str, Any] = {"format": FORMAT}
    for name, slot in slots(type(spec)).items():
        value = getattr(spec, name)
        if value is None and slot.optional:
            continue
        if isinstance(slot, Number):
            plain[name] = value
        elif slot.many:
            plain[name] = {key: component_to_plain(component) for key, component in value.items()}
        else:
            plain[name] = component_to_plain(value)
    return plain


def from_plain(plain: Mapping[str, Any], pipeline: type[PipelineSpec] = PipelineSpec) -> PipelineSpec:
    """Inverse of `to_plain`.

    >>> brief = {"student": {"use": "mlp"}, "augment": {"use": "none"}, "losses": {"kd": {"use": "kd"}}}
    >>> brief |= {"optimizer": {"use": "sgd"}, "schedule": {"use": "cosine"}, "batch_size": 64}
    >>> spec = from_plain({"format": 1, **brief})
    >>> spec.losses["kd"].temperature
    4.0
    >>> from_plain(to_plain(spec)) == spec
    True

    Raises:
      ComponentError: it has `problems`; all of them are in the message.
    """
    table = slots(pipeline)
    mistakes = problems(plain, table)
    if mistakes:
        many = "\n".join([f"the pipeline has {len(mistakes)} mistakes", *(f"  {line}" for line in mistakes)])
        raise ComponentError(mistakes[0] if len(mistakes) == 1 else many)
    return pipeline(**{name: _from_plain(slot, plain.get(name)) for name, slot in table.items()})


def _from_plain(slot: Slot | Number, value: Any) -> Any:
    """What a slot holds; `value` is None where the plain pipeline does not name it."""
    if value is None and not slot.required:
        return make(slot.kind, slot.default, {}) if isinstance(slot, Slot) and slot.default else None
    if isinstance(slot, Number):
        return slot.read(value)
    if slot.many:
        return {key: component_from_plain(slot.kind, item) for key, item in value.items()}
    return component_from_plain(slot.kind, value)


def problems(plain: Any, table: Slots | None = None, *, partial: bool = False) -> list[str]:
    """Say what is wrong with a plain pipeline: every mistake, each with its path and what would work; [] if nothing is.

    >>> problems({"format": 1, "studnt": {}}, {"student": Slot("students"), "batch_size": Number(None)})
    ["studnt: a pipeline has no such part; did you mean 'student'?", 'student: missing', 'batch_size: missing']

    Args:
      plain: what should be a pipeline as `to_plain` returns it.
      table: the slots that it may have; None: those of `PipelineSpec`.
      partial: the format, slots, fields, and all components of a slot that holds several may be missing.
    """
    version = plain.get("format", FORMAT if partial else None) if isinstance(plain, Mapping) else plain
    if version != FORMAT:
        return [f"format: pipeline format {version!r} is not known; this version reads format {FORMAT}"]
    table = slots() if table is None else table
    mistakes = list(_all_problems(plain, table, partial))
    return mistakes if mistakes or partial or LOSSES not in plain else _answer_problems(plain, table)


def _answer_problems(plain: Mapping[str, Any], table: Slots) -> list[str]:
    """What is wrong with whose answers the losses read."""
    classes = {name: catalog.load(LOSSES, loss["use"]) for name, loss in plain[LOSSES].items()}
    named = {name: (cls.declares, str(plain[LOSSES][name].get("teacher", ""))) for name, cls in classes.items()}
    return list(answer_problems(named, {name: plain.get(name) is not None for name in beside_slots(table)}))


def without_idle(plain: Mapping[str, Any], table: Slots | None = None) -> dict[str, Any]:
    """Return a plain pipeline without the networks beside the student whose answers no loss of it reads.

    If all of its losses read labels, it has no samples without labels either.

    >>> without_idle({"peer": {"use": "cnn"}, "losses": {"ce": {"use": "ce"}}})
    {'losses': {'ce': {'use': 'ce'}}}
    """
    table = slots() if table is None else table
    there = [name for name in beside_slots(table) if plain.get(name) is not None]
    read = {read_by_plain(loss) for loss in plain[LOSSES].values()} if there else set()
    idle = _without_use(plain, table)
    return {name: value for name, value in plain.items() if name not in (*there, *idle) or name in read}


def _without_use(plain: Mapping[str, Any], table: Slots) -> list[str]:
    """The slots about samples without labels, where all losses read labels."""
    pool = [name for name in unlabelled_slots(table) if name in plain]
    return pool if pool and not any(map(needs_no_labels_plain, plain[LOSSES].values())) else []


def _all_problems(plain: Mapping[str, Any], table: Slots, partial: bool) -> Iterator[str]:
    for key in plain:
        if key != "format" and key not in table:
            yield f"{key}: a pipeline has no such part; {nearest(key, table)}"
    for name, slot in table.items():
        if name in plain:
            yield from _slot_problems(name, slot, plain[name], partial)
        elif slot.required and not partial:
            yield f"{name}: missing"


def _slot_problems(name: str, slot: Slot | Number, value: Any, partial: bool) -> Iterator[str]:
    if value is None and slot.optional:
        return
    if isinstance(slot, Number):
        try:
            slot.read(value)
        except ValueError as error:
            yield f"{name}: {error}"
    elif not slot.many:
        yield from _component_problems(name, slot.kind, value, partial)
    elif not isinstance(value, Mapping) or not (value or partial):
        yield f"{name}: expected a mapping of at least one name to a component, got {value!r}"
    else:
        yield from _set_problems(name, slot.kind, value, partial)


def _set_problems(name: str, kind: str, plain: Mapping[str, Any], partial: bool) -> list[str]:
    """The mistakes of each component of a slot that holds several; where there are none, that of all together."""
    each = (_component_problems(f"{name}.{key}", kind, item, partial) for key, item in plain.items())
    mistakes = list(itertools.chain.from_iterable(each))
    if mistakes or partial or kind not in KEYS:
        return mistakes
    found = gap_in(counting(component_from_plain(kind, item) for item in plain.values()))
    return [f"{name}: {found}"] if found else []


def _component_problems(path: str, kind: str, plain: Any, partial: bool) -> list[str]:
    if not isinstance(plain, Mapping):
        return [f"{path}: expected a mapping with 'use: <name>' for {kind}, got {plain!r}"]
    if "use" not in plain:
        return [f"{path}.use: missing; name one of {', '.join(catalog.names(kind))}"]
    use, values = str(plain["use"]), {key: value for key, value in plain.items() if key != "use"}
    try:
        fields = fields_in(kind, catalog.load(kind, use))
    except ComponentError as error:
        return [f"{path}.use: {error}"]
    mistakes = list(_field_problems(path, use, fields, values))
    if mistakes or partial:
        return mistakes
    try:
        make(kind, use, values)
    except ComponentError as error:
        return [f"{path}: {error}"]
    return []


def _field_problems(path: str, use: str, fields: Mapping[str, FieldInfo], values: Mapping[str, Any]) -> Iterator[str]:
    for key, value in values.items():
        if key not in fields:
            yield f"{path}.{key}: {use} has no such field; {nearest(key, fields)}"
            continue
        try:
            convert(value, fields[key].type)
        except ValueError as error:
            yield f"{path}.{key}: {error}"


def converted(plain: Mapping[str, Any], table: Slots | None = None) -> dict[str, Any]:
    """Return a plain pipeline, or a part of one, with its values as the types that their fields declare.

    >>> converted({"optimizer": {"use": "sgd", "learning_rate": "1e-2"}, "batch_size": "64"})
    {'optimizer': {'use': 'sgd', 'learning_rate': 0.01}, 'batch_size': 64}

    Args:
      plain: has no `problems`, but that it may be partial.
      table: as for `problems`.
    """
    table = slots() if table is None else table
    return {name: _converted(table[name], value) for name, value in plain.items()}


def _converted(slot: Slot | Number, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(slot, Number):
        return slot.read(value)
    if slot.many:
        return {key: _converted_component(slot.kind, item) for key, item in value.items()}
    return _converted_component(slot.kind, value)


def _converted_component(kind: str, plain: Mapping[str, Any]) -> dict[str, Any]:
    fields = fields_in(kind, catalog.load(kind, plain["use"]))
    values = {key: convert(value, fields[key].type) for key, value in plain.items() if key != "use"}
    return {"use": plain["use"]} | {key: list(v) if isinstance(v, tuple) else v for key, v in values.items()}


def fingerprint(plain: Any) -> str:
    """Return 16 hex digits that identify plain data (a pipeline, an identity, …), whatever the order of its keys.

    >>> fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    True
    """
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
