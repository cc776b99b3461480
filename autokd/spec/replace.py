"""A pipeline that differs from another one in one place."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from autokd import catalog
from autokd.errors import ComponentError, nearest
from autokd.spec.answers import LOSSES, needs_no_labels, read_by
from autokd.spec.component import convert, fields_in
from autokd.spec.pipeline import (
    Number,
    PipelineSpec,
    Slot,
    beside_slots,
    component_at,
    components,
    slots,
    unlabelled_slots,
)
from autokd.spec.placed import bare, key_defaults, keys_of, place


def replaced(spec: PipelineSpec, path: str, value: Any) -> PipelineSpec:
    """Return a pipeline that differs from `spec` in one place.

    >>> from autokd.spec import from_plain
    >>> plain = {"student": {"use": "mlp"}, "augment": {"use": "none"}, "losses": {"soft": {"use": "kd"}}}
    >>> plain |= {"optimizer": {"use": "sgd"}, "schedule": {"use": "cosine"}, "batch_size": 64}
    >>> spec = from_plain({"format": 1, **plain})
    >>> replaced(spec, "losses.soft.temperature", 2).losses["soft"].temperature
    2.0
    >>> replaced(spec, "losses.sof.temperature", 2)
    Traceback (most recent call last):
    autokd.errors.ComponentError: the pipeline has no component at 'losses.sof'; did you mean 'losses.soft'?

    Args:
      path: a slot ("student", "losses", "batch_size"), a component of a slot that holds several ("losses.kd"), or a
        component's field ("optimizer.learning_rate", "losses.kd.weight").
      value: a component; for a slot that holds several, all of them by name; for an optional slot, perhaps None; for a
        field or a number, a plain value, which is converted to the declared type. Where no other loss reads the answers
        of a network beside the student, that network goes with those that did.
    Raises:
      ComponentError: there is nothing at the path, or the value does not fit there.
    """
    table = slots(type(spec))
    name, _, below = path.partition(".")
    slot = table.get(name)
    if not below and slot is None:
        raise ComponentError(f"a pipeline has no part {name!r}; {nearest(name, table)}")
    if not below and slot is not None:
        return dataclasses.replace(spec, **_without_idle(spec, {name: _checked(name, slot, value)}))
    parent, _, last = path.rpartition(".")
    if isinstance(slot, Slot) and slot.many and (parent == name or path in dict(components(spec))):
        component_at(spec, path)  # there must be one already: a misspelt name adds none
        return replaced(spec, name, {**getattr(spec, name), below: value})
    return replaced(spec, parent, _with_field(component_at(spec, parent), last, value, path))


def _without_idle(spec: PipelineSpec, change: Mapping[str, Any]) -> dict[str, Any]:
    """A change of a slot; other losses leave no network beside the student whose answers none of them reads.

    Nor do they leave samples without labels if all of them read labels.
    """
    if LOSSES not in change:
        return dict(change)
    losses, table = change[LOSSES].values(), slots(type(spec))
    read = {*map(read_by, losses)}
    idle = [name for name in beside_slots(table) if name not in read]
    idle += [] if any(map(needs_no_labels, losses)) else unlabelled_slots(table)
    return {**dict.fromkeys(idle), **change}


def _checked(name: str, slot: Slot | Number, value: Any) -> Any:
    """What a slot is to hold, if it may."""
    if value is None and slot.optional:
        return None
    if isinstance(slot, Number):
        return _checked_number(name, slot, value)
    if not slot.many:
        return _checked_component(name, slot, value)
    if not isinstance(value, Mapping) or not value:
        raise ComponentError(f"{name}: expected a mapping of at least one name to a component, got {value!r}")
    return {key: _checked_component(f"{name}.{key}", slot, item) for key, item in value.items()}


def _checked_number(path: str, slot: Number, value: Any) -> int | float:
    try:
        return slot.read(value)
    except ValueError as error:
        raise ComponentError(f"{path}: {error}") from error


def _checked_component(path: str, slot: Slot, component: Any) -> Any:
    if not _is_of_kind(component, slot.kind):
        raise ComponentError(f"{path}: expected a component of {slot.kind}, got {component!r}")
    return component


def _is_of_kind(component: Any, kind: str) -> bool:
    """Whether the catalog lists the component's class as of this kind; a plug-in that was read again is the same."""
    try:
        listed = catalog.load(kind, catalog.name_of(bare(component)))
    except ComponentError:
        return False
    own = type(bare(component))
    return (listed.__module__, listed.__qualname__) == (own.__module__, own.__qualname__)


def _with_field(component: Any, field: str, value: Any, path: str) -> Any:
    own, kind = bare(component), component.declares.kind
    fields = fields_in(kind, type(own))
    if field not in fields:
        raise ComponentError(f"{path}: {catalog.name_of(own)} has no such field; {nearest(field, fields)}")
    try:
        change = {field: convert(value, fields[field].type)}
        if field in key_defaults(kind):
            return place(own, dataclasses.replace(keys_of(component), **change))
        changed = dataclasses.replace(own, **change)
        return changed if own is component else place(changed, keys_of(component))
    except (TypeError, ValueError) as error:
        raise ComponentError(f"{path}: {error}") from error
