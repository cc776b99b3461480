"""The student of a recipe: the largest of each family of a space that stays inside the limits."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from autokd.errors import ComponentError
from autokd.networks.cost import student_fits, student_params
from autokd.space import Candidate, Space
from autokd.space.sizes import largest, sizes
from autokd.spec import component_from_plain, network_slot
from autokd.types import Shapes, Task

Fits = Callable[[Mapping[str, Any]], bool]
"""Whether a plain student stays inside the limits."""
NEAR = 0.9
"""Among the students with at least this share of the most parameters, the shallowest is taken."""
TOO_SLOW = 2.0
"""A family that takes more than so many times the fastest one's seconds is passed over."""
FEW = 5
"""Values of a size, beside the finest, that are looked at."""


def largest_of_families(
    space: Space,
    task: Task,
    offers: Shapes | None,
    *,
    head: Mapping[str, Any] | None = None,
    fast: Fits | None = None,
    family: str | None = None,
) -> list[dict[str, Any]]:
    """Return the largest student of each family of a resolved space that stays inside its limits.

    The largest has the most parameters; among those with nearly as many, the one whose other sizes (depth) are
    smallest. Where no limit follows from the architecture, it is the family's default.

    Args:
      space: resolved; its `constraints` are the limits.
      task, offers: the data, and what the teacher offers.
      head: plain component that is part of the student; None: its own classifier.
      fast: says of {"student": …, "head": …} whether it is fast enough; None: the latency is not looked at.
      family: the only one that is looked at; None: all.
    Returns:
      plain students in the order of the space; families that do not fit are left out.
    """
    fits = _inside(space, task, offers, head, fast)
    families = space.parts[network_slot(space.slots)].candidates
    students = (_largest(one, task, fits) for one in families if family in (None, one.use))
    return [student for student in students if student is not None]


def choose_family(
    students: Sequence[Mapping[str, Any]], seconds: Mapping[str, float] | None = None
) -> dict[str, Any] | None:
    """Return the first student, or where seconds are known the first that takes at most twice the fastest one's.

    Args:
      students: plain, one a family, the best known first.
      seconds: of equally long runs, by the name of the family; None: they are not looked at.

    >>> slow, quick = {"use": "resnet"}, {"use": "cnn"}
    >>> choose_family([slow, quick], {"resnet": 5.0, "cnn": 2.0})
    {'use': 'cnn'}
    """
    if not students:
        return None
    if seconds is None:
        return dict(students[0])
    most = TOO_SLOW * min(seconds[student["use"]] for student in students)
    return dict(next(student for student in students if seconds[student["use"]] <= most))


def _inside(
    space: Space, task: Task, offers: Shapes | None, head: Mapping[str, Any] | None, fast: Fits | None
) -> Fits | None:
    """Whether a student is inside the space's limits; None where there are none to look at."""
    limits = {name: limit for name, limit in space.constraints.items() if name != "latency"}
    if not limits and fast is None:
        return None
    beside = None if head is None else component_from_plain("heads", head)
    teacher = None if head is None else offers

    def fits(student: Mapping[str, Any]) -> bool:
        try:
            component = component_from_plain("students", student)
            small = student_fits(component, task, limits, beside, teacher)
        except (ComponentError, RuntimeError):  # it cannot be built for this task
            return False
        return small and (fast is None or fast({"student": student, "head": head or {"use": "plain"}}))

    return fits


def _largest(family: Candidate, task: Task, fits: Fits | None) -> dict[str, Any] | None:
    """The largest student of a family that fits, or None."""
    default = family.default()
    if fits is None:
        return default
    values = dict(_sizes(family, task))
    if not values:
        return default if fits(default) else None
    fine = max(values, key=lambda field: len(values[field]))
    others = [[(field, value) for value in _few(values[field])] for field in values if field != fine]
    widest = [_widest({**default, **dict(setting)}, fine, values[fine], fits) for setting in itertools.product(*others)]
    students = [student for student in widest if student is not None]
    counts = [student_params(component_from_plain("students", student), task) for student in students]
    enough = NEAR * max(counts, default=0)
    return next((student for student, count in zip(students, counts, strict=True) if count >= enough), None)


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
