"""The students that screening ranks: distinct draws of the space that lie inside the budget."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from autokd.errors import NothingFeasible
from autokd.networks.cost import student_cost
from autokd.objective import shown_limit
from autokd.search.limits import LatencyMeter, feasible
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
    space: Space, task: Task, seed: int, size: int = POPULATION, *, meter: LatencyMeter | None = None
) -> tuple[list[dict[str, Any]], float]:
    """Draw distinct students inside the budget.

    Args:
      space: the resolved space.
      task: the task.
      seed: the study's seed.
      size: how many, at most.
      meter: measures those that are inside otherwise, where the space bounds the latency; None: it is not looked at.

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
    share, most = len(small) / looked_at, space.constraints.get("latency")
    if meter is None or most is None:
        return small, share
    fast = _fast_enough(small, meter, most)
    return fast, share * len(fast) / len(small)


def _smallest(students: Sequence[Mapping[str, Any]], task: Task, constraints: Mapping[str, float]) -> str:
    """What to say where every student exceeds a limit that follows from the architecture."""
    cost, name = min((student_cost(component_from_plain("students", s), task), _short(s)) for s in students)
    limits = ", ".join(shown_limit(name, limit) for name, limit in constraints.items())
    return (
        f"no student of the space lies inside the budget ({limits}); the smallest one drawn is {name} "
        f"with {cost.params:,} parameters, {cost.macs:,} MACs and {cost.size:,} bytes"
    )


def _fast_enough(students: Sequence[dict[str, Any]], meter: LatencyMeter, most: float) -> list[dict[str, Any]]:
    """Those that take at most so many milliseconds."""
    times = [meter({"student": student}) for student in students]
    fast = [student for student, taken in zip(students, times, strict=True) if taken <= most]
    if not fast:
        taken, name = min(zip(times, map(_short, students), strict=True))
        raise NothingFeasible(
            f"no student of the space lies inside the budget ({shown_limit('latency', most)}); the fastest one "
            f"measured is {name} with {taken:.3g} ms on {meter.device}"
        )
    return fast


def _short(student: Mapping[str, Any]) -> str:
    fields = ", ".join(f"{key}={value}" for key, value in student.items() if key != "use")
    return f"{student['use']}({fields})"
