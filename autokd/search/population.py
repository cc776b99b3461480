"""The students that screening ranks: distinct draws of the space that lie inside the budget."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from autokd.errors import NothingFeasible
from autokd.networks.cost import student_cost
from autokd.objective import shown_limit
from autokd.search.limits import INT8_SIZE, LATENCY, Meter, feasible
from autokd.seeds import derive
from autokd.space import Space
from autokd.spec import component_from_plain
from autokd.types import Task

POPULATION = 64
"""Students that are ranked, at most."""
DRAWS = 2_000
"""Draws of the space among which they are looked for."""
FEW = 0.01
"""Feasible share below which the user is told."""


def population(
    space: Space, task: Task, seed: int, size: int = POPULATION, *, meter: Meter | None = None
) -> tuple[list[dict[str, Any]], float]:
    """Draw distinct students inside the budget.

    Args:
      space: the resolved space.
      task: the task.
      seed: the study's seed.
      size: how many, at most.
      meter: measures those that are inside otherwise, where the space bounds what is measured; None: that is not looked
        at.

    Returns:
      the plain students, and the share of the draws looked at that was inside.

    Raises:
      NothingFeasible: none of the drawn students is; the message names the smallest one, or the fastest.
    """
    rng = np.random.default_rng(derive(seed, "screen", "population"))
    drawn = space.students(rng, DRAWS)
    places = (place for place, student in enumerate(drawn) if feasible(student, task, space.constraints))
    found = list(itertools.islice(places, size))
    if not found:
        raise NothingFeasible(_smallest(drawn, task, space.constraints))
    small, looked_at = [drawn[place] for place in found], found[-1] + 1 if len(found) == size else len(drawn)
    share, left = len(small) / looked_at, small
    for name in (INT8_SIZE, LATENCY):
        if meter is not None and name in space.constraints:
            left = _inside(left, meter, name, space.constraints[name])
    return left, share * len(left) / len(small)


def _smallest(students: Sequence[Mapping[str, Any]], task: Task, constraints: Mapping[str, float]) -> str:
    """What to say where every student exceeds a limit that follows from the architecture."""
    cost, name = min((student_cost(component_from_plain("students", s), task), _short(s)) for s in students)
    limits = ", ".join(shown_limit(name, limit) for name, limit in constraints.items())
    return (
        f"no student of the space lies inside the budget ({limits}); the smallest one drawn is {name} "
        f"with {cost.params:,} parameters, {cost.macs:,} MACs and {cost.size:,} bytes"
    )


def _inside(students: Sequence[dict[str, Any]], meter: Meter, cost: str, most: float) -> list[dict[str, Any]]:
    """Those of which a cost that is measured is at most so much."""
    measure = meter.int8_size if cost == INT8_SIZE else meter
    taken = [measure({"student": student}) for student in students]
    found = [student for student, value in zip(students, taken, strict=True) if value <= most]
    if not found:
        least, name = min(zip(taken, map(_short, students), strict=True))
        said = {
            LATENCY: f"the fastest one measured is {name} with {least:.3g} ms on {meter.where}",
            INT8_SIZE: f"the smallest one drawn is {name}, whose file in 8 bits has {least:,.0f} bytes",
        }
        raise NothingFeasible(
            f"no student of the space lies inside the budget ({shown_limit(cost, most)}); {said[cost]}"
        )
    return found


def _short(student: Mapping[str, Any]) -> str:
    fields = ", ".join(f"{key}={value}" for key, value in student.items() if key != "use")
    return f"{student['use']}({fields})"
