"""What a space offers for some data though its file does not name it: candidates added to what the file was read as."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from autokd import catalog
from autokd.space.any_of import AnyOf, Group
from autokd.space.candidate import Candidate
from autokd.space.one_of import OneOf
from autokd.space.parts import Part
from autokd.space.read_candidates import read_candidates
from autokd.space.read_values import Problems
from autokd.space.space import Space
from autokd.spec import Slot
from autokd.types import Task


def for_unlabelled(space: Space, task: Task) -> Space:
    """Return the space with the heads that are for samples without labels, where the data have some.

    They are added where the file leaves a choice of heads; one that it fixes stays alone.

    Args:
      space: as its file has it.
      task: the data.
    """
    if not task.unlabelled:
        return space
    return dataclasses.replace(space, parts={name: _with_heads(space, name) for name in space.parts})


def with_parts(space: Space, names: Iterable[str]) -> Space:
    """Return the space with components as further candidates, at their own ranges.

    Of a slot that holds several, at most one of them stands in a pipeline, beside what the file offers. A slot that the
    space does not name chooses between its default and them; one that it names stays as it is.

    Args:
      space: as its file has it.
      names: of the components, with their slots: "losses.focal".
    """
    wanted: dict[str, list[str]] = {}
    for name in names:
        slot, _, use = name.partition(".")
        wanted.setdefault(slot, []).append(use)
    parts = {**space.parts, **{slot: _with(space, slot, uses) for slot, uses in wanted.items()}}
    return dataclasses.replace(space, parts={name: parts[name] for name in space.slots if name in parts})


def _with(space: Space, name: str, uses: Sequence[str]) -> Part:
    part = space.parts.get(name)
    if isinstance(part, AnyOf):
        group = Group(at_most=1, candidates=_read(space, name, uses))
        return dataclasses.replace(part, groups=(*part.groups, group))
    return OneOf(slot=name, candidates=_read(space, name, [ALL, *uses])) if part is None else part


ALL = "all"
"""The selection of a pipeline that names none."""


def _with_heads(space: Space, name: str) -> Part:
    part, slot = space.parts[name], space.slots[name]
    if not isinstance(slot, Slot) or not slot.of_unlabelled or not isinstance(part, OneOf) or len(part.candidates) < 2:
        return part
    there = {candidate.use for candidate in part.candidates}
    uses = [use for use in catalog.names(slot.kind) if use not in there and _is_for_them(slot.kind, use)]
    return dataclasses.replace(part, candidates=(*part.candidates, *_read(space, name, uses)))


def _read(space: Space, name: str, uses: Sequence[str]) -> tuple[Candidate, ...]:
    """Components of a slot as a file has them that only names them."""
    slot, problems = space.slots[name], Problems()
    assert isinstance(slot, Slot)
    word = "any_of" if slot.many else "one_of"
    return read_candidates(f"{name}.{word}", slot, {use: {} for use in uses}, problems) if uses else ()


def _is_for_them(kind: str, use: str) -> bool:
    declares = catalog.load(kind, use).declares
    return bool(declares.for_unlabelled)
