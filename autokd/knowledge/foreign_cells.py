"""The cells of a foreign table: numbers, and the parts of pipelines that they name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from autokd import catalog
from autokd.knowledge.mapping import Column, is_same, unknown
from autokd.spec import Number, Slot, slots

_YES, _NO = frozenset({"1", "true", "yes", "on", "y"}), frozenset({"", "0", "false", "no", "off", "n"})
_EMPTY = frozenset({"", "nan", "na", "n/a", "null"})

Row = Mapping[str, str]
Said = tuple[str, Column, str]
"""A column, what it is, and what a cell of it says."""
Parts = dict[str, dict[str, Any]]


class BadCell(Exception):
    """What is wrong with a cell."""


def is_empty(cell: str) -> bool:
    """Whether a cell says nothing."""
    return cell.strip().lower() in _EMPTY


def is_number(cell: str) -> bool:
    """Whether a cell is a finite number."""
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def number(cell: str, column: str) -> float:
    """Return the number in a cell.

    Raises:
      BadCell: it is none.
    """
    if not is_number(cell):
        raise BadCell(f"{column} is {cell!r}; it must be a number")
    return float(cell)


def parts(row: Row, configuration: Mapping[str, Column]) -> dict[str, Any]:
    """Return the slots of a row's pipeline, as far as the table knows them.

    Args:
      row: cells by column.
      configuration: what its columns are.

    Raises:
      BadCell: a component is unknown, two are in one place, or a number is none.
    """
    found: dict[str, Any] = {}
    for name, slot in slots().items():
        said = [(column, what, row[column].strip()) for column, what in configuration.items() if what.slot == name]
        value = _placed(name, slot, said) if isinstance(slot, Slot) else _number(slot, said)
        found |= {} if value is None else {name: value}
    return found


def _number(slot: Number, said: Sequence[Said]) -> int | float | None:
    """The number that a cell says."""
    for column, _, cell in said:
        if not is_empty(cell):
            try:
                return slot.read(number(cell, column))
            except ValueError as error:
                raise BadCell(f"{column} is {cell}: {error}") from None
    return None


def _placed(name: str, slot: Slot, said: Sequence[Said]) -> Any:
    """The components of a slot, or the one; None for none."""
    uses = _components(said, slot.kind)
    if slot.many or not uses:
        return uses or None
    if len(uses) > 1:
        raise BadCell(f"{name} is both {' and '.join(uses)}")
    return next(iter(uses.values()))


def _components(said: Sequence[Said], kind: str) -> Parts:
    """The components that cells name, with their fields. Where no column says which are there, a field does."""
    choosing = [_component(column, what, cell, kind) for column, what, cell in said if not what.field]
    uses: Parts = {use: {"use": use} for use in choosing if use}
    for column, what, cell in said:
        if what.field and not is_empty(cell) and (what.use in uses or not choosing):
            uses.setdefault(what.use, {"use": what.use})[what.field] = number(cell, column)
    return uses


def _component(column: str, what: Column, cell: str, kind: str) -> str:
    """The component that a cell says is there; "" for none."""
    if what.use:
        if cell.lower() not in _YES | _NO:
            raise BadCell(f"{column} is {cell!r}; it must say yes or no, 1 or 0")
        return what.use if cell.lower() in _YES else ""
    use = next((name for wanted, name in what.called.items() if is_same(cell, wanted)), cell)
    if use and use not in catalog.shipped(kind):
        raise BadCell(f"{column}: {unknown(kind, use, catalog.shipped(kind))}")
    return use
