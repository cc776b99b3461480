"""The student of a recipe: the largest of each family of a space that stays inside the limits."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autokd.errors import ComponentError
from autokd.networks.cost import student_fits, student_params
from autokd.space import Candidate, Space
from autokd.space.sizes import largest, sizes
from autokd.spec import component_from_plain, network_slot
from autokd.types import Shapes, Task

Fits = Callable[[Mapping[str, Any]], bool]
"""Says whether a plain student, or a network {"student": …, "head": …}, is inside of something."""
PLAIN: Mapping[str, Any] = {"use": "plain"}
"""The head of a student that has its own classifier."""
NEAR = 0.9
"""Among the students with at least this share of the most parameters, the shallowest is taken."""
TOO_SLOW = 3.0
"""A family that takes more than so many times the fastest one's seconds is passed over; at 2 a residual network stood
so near the bound that the noise of measuring decided."""
FEW = 5
"""Values of a size, beside the finest, that are looked at."""


@dataclass(frozen=True, kw_only=True)
class Room:
    """What a student has to stay inside of.

    Args:
      space: resolved; its `constraints` are the limits.
      task, offers: the data, and what the teacher offers; None without a teacher.
      fast: says of {"student": …, "head": …} whether it is fast enough; None: the latency is not looked at.
    """

    space: Space
    task: Task
    offers: Shapes | None
    fast: Fits | None = None

    @property
    def limits(self) -> dict[str, float]:
        """The limits that follow from the architecture."""
        return {name: limit for name, limit in self.space.constraints.items() if name != "latency"}

    @property
    def is_bounded(self) -> bool:
        """Whether there is any limit to look at."""
        return bool(self.limits) or self.fast is not None

    def holds(self, student: Mapping[str, Any], head: Mapping[str, Any] = PLAIN) -> bool:
        """Whether a plain student with a head stays inside; False too where it cannot be built for the task."""
        try:
            network = component_from_plain("students", student), component_from_plain("heads", head)
            small = student_fits(network[0], self.task, self.limits, network[1], self.offers)
        except (ComponentError, RuntimeError):
            return False
        return small and (self.fast is None or self.fast({"student": student, "head": head}))


def largest_of_families(
    space: Space, task: Task, offers: Shapes | None, *, fast: Fits | None = None
) -> list[dict[str, Any]]:
    """Return the largest student of each family of a resolved space that stays inside its limits.

    The largest has the most parameters; among those with nearly as many, the one whose other sizes (depth) are
    smallest. Where no limit follows from the architecture, it is the family's default.

    Args:
      space, task, offers, fast: see `Room`.
    Returns:
      plain students in the order of the space; families that do not fit are left out.
    """
    room = Room(space=space, task=task, offers=offers, fast=fast)
    students = (_largest(family, room) for family in _families(space))
    return [student for student in students if student is not None]


def beside_head(student: Mapping[str, Any], head: Mapping[str, Any], room: Room) -> dict[str, Any] | None:
    """Return a plain student as it is, or narrower so that it stays inside the limits with a head; None: it cannot."""
    if not room.is_bounded or room.holds(student, head):
        return dict(student)
    family = next((family for family in _families(room.space) if family.use == student["use"]), None)
    values = {} if family is None else dict(_sizes(family, room.task))
    if not values:
        return None
    field = _finest(values)
    return _widest(student, field, values[field], lambda narrower: room.holds(narrower, head))


def choose_family(
    students: Sequence[Mapping[str, Any]], seconds: Mapping[str, float] | None = None
) -> dict[str, Any] | None:
    """Return the first student, or where seconds are known the first that takes at most three times the fastest one's.

    Args:
      students: plain, one a family, the best known first.
      seconds: of equally long runs, by the name of the family; None: they are not looked at.

    >>> slow, quick = {"use": "resnet"}, {"use": "cnn"}
    >>> choose_family([slow, quick], {"resnet": 8.0, "cnn": 2.0})
    {'use': 'cnn'}
    """
    if not students:
        return None
    if seconds is None:
        return dict(students[0])
    most = TOO_SLOW * min(seconds[student["use"]] for student in students)
    return dict(next(student for student in students if seconds[student["use"]] <= most))


def _families(space: Space) -> Sequence[Candidate]:
    return space.parts[network_slot(space.slots)].candidates


def _largest(family: Candidate, room: Room) -> dict[str, Any] | None:
    """The largest student of a family that stays inside, or None."""
    default = family.default()
    if not room.is_bounded:
        return default
    values = dict(_sizes(family, room.task))
    if not values:
        return default if room.holds(default) else None
    fine = _finest(values)
    others = [[(field, value) for value in _few(values[field])] for field in values if field != fine]
    bases = ({**default, **dict(setting)} for setting in itertools.product(*others))
    widest = (_widest(base, fine, values[fine], room.holds) for base in bases)
    return _first_of_the_largest((student for student in widest if student is not None), room)


def _first_of_the_largest(students: Iterator[dict[str, Any]], room: Room) -> dict[str, Any] | None:
    """The first student with `NEAR` of the most parameters; looked at only until the limit says which one it is."""
    most = room.limits.get("params", math.inf)
    counted: list[tuple[int, dict[str, Any]]] = []
    for student in students:
        count = student_params(component_from_plain("students", student), room.task)
        if count >= NEAR * most and all(before < NEAR * count for before, _ in counted):
            return student
        counted.append((count, student))
    enough = NEAR * max((count for count, _ in counted), default=0)
    return next((student for count, student in counted if count >= enough), None)


def _finest(values: Mapping[str, Sequence[int]]) -> str:
    """The field with most values, by which a student is made to fill its limits."""
    return max(values, key=lambda field: len(values[field]))


def _sizes(family: Candidate, task: Task) -> Iterator[tuple[str, list[int]]]:
    """The fields that the number of parameters depends on, with their values, ascending."""
    for field, span in family.ranges.items():
        values = sizes(span)
        if len(values) > 1 and len({_count(family, {field: value}, task) for value in (values[0], values[-1])}) > 1:
            yield field, values


def _count(family: Candidate, values: Mapping[str, Any], task: Task) -> int | None:
    """Parameters of a family's default student with some values changed; None where it cannot be built."""
    try:
        return student_params(component_from_plain("students", {**family.default(), **values}), task)
    except (ComponentError, RuntimeError):
        return None


def _few(values: Sequence[int]) -> list[int]:
    """At most `FEW` of the values, evenly spread, both ends among them."""
    if len(values) <= FEW:
        return list(values)
    return [values[round(index * (len(values) - 1) / (FEW - 1))] for index in range(FEW)]


def _widest(student: Mapping[str, Any], field: str, values: Sequence[int], fits: Fits) -> dict[str, Any] | None:
    """The student with the largest value of a field that fits, by bisection: what fits at one value fits below it."""
    end = largest(values, lambda value: fits({**student, field: value}))
    return None if end is None else {**student, field: end}
