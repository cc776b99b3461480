"""How large a student may be: ranges of its sizes that end where the study's limits do."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from autokd.errors import ComponentError
from autokd.networks.cost import student_cost, student_fits
from autokd.ranges import Choice, Integer, Range
from autokd.space.candidate import Candidate
from autokd.space.values import nearest_value
from autokd.spec import component_from_plain
from autokd.types import Task


def up_to_limits(student: Candidate, task: Task, limits: Mapping[str, float]) -> Candidate:
    """Let the ranges that are to follow the limits end with the largest value that still fits.

    Where not even the lowest value fits, that one is left; the student is refused later, for its cost.

    Args:
      student: a candidate for the network.
      task: the data.
      limits: largest values by the name of the cost; those that follow from the architecture count.
    """
    for field in sorted(student.to_limit & student.ranges.keys()):
        values = sizes(student.ranges[field])
        end = _end(student, field, task, limits)
        student = student if end == values[-1] else _ending(student, field, values[0] if end is None else end)
    return student


def too_large(student: Candidate, task: Task, limits: Mapping[str, float]) -> str | None:
    """Say why not even a student's smallest form stays inside the limits, or None where it does."""
    smallest = {name: min(values) for name, span in student.ranges.items() if (values := sizes(span))}
    component = component_from_plain("students", {**student.default(), **smallest})
    if student_fits(component, task, limits):
        return None
    cost = student_cost(component, task)._asdict()
    over = next(name for name in cost if cost[name] > limits.get(name, cost[name]))
    return f"{student.use} has at least {cost[over]:,} {over} on this teacher, and the limit is {limits[over]:,.0f}"


def _end(student: Candidate, field: str, task: Task, limits: Mapping[str, float]) -> int | None:
    """The largest value of a field with which the student fits, its other sizes at their smallest; or None."""
    others = {name: min(values) for name, span in student.ranges.items() if (values := sizes(span))}

    def fits(value: int) -> bool:
        try:
            component = component_from_plain("students", {**student.default(), **others, field: value})
            return student_fits(component, task, limits)
        except (ComponentError, RuntimeError):  # it cannot be built for this task
            return False

    return largest(sizes(student.ranges[field]), fits)


def sizes(span: Range) -> list[int]:
    """Return the whole numbers of a range, ascending; [] for one of other values.

    >>> sizes(Integer(4, 12, step=4)), sizes(Choice(20, 8)), sizes(Choice("a", "b"))
    ([4, 8, 12], [8, 20], [])
    """
    if isinstance(span, Integer):
        return list(range(span.low, span.high + 1, span.step))
    options = span.options if isinstance(span, Choice) else ()
    return sorted(option for option in options if isinstance(option, int) and not isinstance(option, bool))


def largest(values: Sequence[int], fits: Callable[[int], bool]) -> int | None:
    """Return the largest value that fits, by bisection, or None; below one that fits, all do.

    >>> largest([1, 2, 4, 8], lambda value: value < 5), largest([1, 2], lambda value: False)
    (4, None)
    """
    low, high = 0, len(values)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if fits(values[middle]) else (low, middle)
    return values[low - 1] if low else None


def _ending(student: Candidate, field: str, end: int) -> Candidate:
    """A candidate whose range of a field ends there; with nothing left to choose the field is fixed."""
    span = student.ranges[field]
    assert isinstance(span, Integer)
    ranges = {name: other for name, other in student.ranges.items() if name != field}
    if end == span.low:
        defaults = {name: value for name, value in student.defaults.items() if name != field}
        return dataclasses.replace(student, ranges=ranges, defaults=defaults, fixed={**student.fixed, field: end})
    shorter = dataclasses.replace(span, high=end)
    return dataclasses.replace(
        student,
        ranges={name: shorter if name == field else other for name, other in student.ranges.items()},
        defaults={**student.defaults, field: nearest_value(shorter, student.defaults[field])},
        limited=student.limited | {field},
    )
