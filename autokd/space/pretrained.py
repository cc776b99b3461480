"""A space whose students begin with weights of files."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from autokd.errors import SpaceError
from autokd.space.space import Space
from autokd.space.starts import SLOT, begun, files_in
from autokd.spec import network_slot


def beginning(space: Space, files: Mapping[str, Path]) -> Space:
    """Return the space whose students begin with files, by the name of the student's component.

    Raises:
      ComponentError: a file is missing.
    """
    space = dataclasses.replace(space, parts=begun(space.parts, network_slot(space.slots), files))
    return ranged_for_weights(space) if space.begins_with_weights else space


def ranged_for_weights(space: Space) -> Space:
    """Return the space with its parts for students that begin with weights; the files are not looked for."""
    return dataclasses.replace(space, parts={**space.parts, **space.from_weights})


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
