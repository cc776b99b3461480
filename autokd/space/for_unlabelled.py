"""What a space offers for data with samples without labels, though its file does not name it."""

from __future__ import annotations

import dataclasses

from autokd import catalog
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


def _with_heads(space: Space, name: str) -> Part:
    part, slot = space.parts[name], space.slots[name]
    problems: Problems = []
    if not isinstance(slot, Slot) or not slot.of_unlabelled or not isinstance(part, OneOf) or len(part.candidates) < 2:
        return part
    there = {candidate.use for candidate in part.candidates}
    uses = [use for use in catalog.names(slot.kind) if use not in there and _is_for_them(slot.kind, use)]
    more = read_candidates(f"{name}.one_of", slot, {use: {} for use in uses}, problems) if uses else ()
    return dataclasses.replace(part, candidates=(*part.candidates, *more))


def _is_for_them(kind: str, use: str) -> bool:
    declares = catalog.load(kind, use).declares
    return bool(declares.for_unlabelled)
