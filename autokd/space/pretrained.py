"""A space whose students, or some of them, begin with weights that were learned before."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from autokd.errors import SpaceError
from autokd.space.by_start import ByStart, bringing, by_start
from autokd.space.one_of import OneOf
from autokd.space.space import Space
from autokd.space.starts import SLOT, StartOfEach, begun, files_in
from autokd.spec import network_slot


def beginning(space: Space, files: Mapping[str, Path]) -> Space:
    """Return the space whose students begin with files, by the name of the student's component.

    Raises:
      ComponentError: a file is missing.
    """
    parts = begun(space.parts, network_slot(space.slots), files)
    ordered = {name: parts[name] for name in space.slots if name in parts}
    return ranged_for_weights(dataclasses.replace(space, parts=ordered))


def ranged_for_weights(space: Space) -> Space:
    """Return the space with what its parts hold for students that begin with weights, where all or some do."""
    return dataclasses.replace(space, parts=by_start(space.parts, space.from_weights, space.slots))


def begins_with_weights(space: Space, plain: Mapping[str, Any]) -> bool:
    """Whether the student of a plain pipeline of a space begins with weights."""
    found = bringing(space.parts, space.slots)
    held = ((name, plain.get(name)) for name in space.parts)
    return any(isinstance(each, Mapping) and f"{name}.{each.get('use')}" in found for name, each in held)


def with_weights_first(space: Space) -> dict[str, Any]:
    """Return the starts that bring weights, plain, by slot, where a space leaves the choice to begin with them."""
    found = bringing(space.parts, space.slots)
    starts = ((name, each) for name, part in space.parts.items() if isinstance(part, OneOf) for each in part.candidates)
    chosen: dict[str, Any] = {}
    for name, each in starts:
        if each.full_name in found and each.traits.file:
            chosen.setdefault(name, each.default())
    return chosen


def of_start(space: Space, weights: bool) -> Space:
    """Return the space with those parts alone that are for students that begin with weights, or for the others."""
    parts = {name: part.of(weights) if isinstance(part, ByStart) else part for name, part in space.parts.items()}
    return dataclasses.replace(space, parts=parts)


def restarted(space: Space, plain: Mapping[str, Any], base: Mapping[str, Any], own: Collection[str]) -> dict[str, Any]:
    """Return what a pipeline with other values in some slots is where these change how the student begins.

    A student has its own start, and parts that differ with the start hold what they are for it.

    Args:
      space: the resolved space.
      plain: the pipeline as it was put together.
      base: what it was changed from.
      own: the slots that have another value; those of parts that differ with the start are for one at random.
    """
    student = plain[network_slot(space.slots)]
    starts = {name: part.of(student) for name, part in space.parts.items() if isinstance(part, StartOfEach)}
    begun = {**plain, **starts}
    before, now = begins_with_weights(space, base), begins_with_weights(space, begun)
    differing = [(name, part) for name, part in space.parts.items() if isinstance(part, ByStart) and name in plain]
    moved = {
        name: part.translated(plain[name], made_for=name not in own and before, to=now) for name, part in differing
    }
    return {**begun, **moved}


def with_weights(space: Space, folder: Path) -> Space:
    """Return the space of those students for which a folder has weights, which they begin with.

    Raises:
      SpaceError: there is no such folder, it has weights for none, or the space says itself how students begin.
    """
    if SLOT in space.parts:
        said = "--weights: the space says itself what its students begin with; leave one of the two out"
        raise SpaceError([said], space.source)
    students = space.parts[network_slot(space.slots)].candidates
    files = files_in(folder, students, space.source)
    absent = {student.use: f"{folder} has no weights for it" for student in students if student.use not in files}
    return beginning(space.without(absent), files)
