"""The students that screening looks at: distinct ones of the space that lie inside the budget, drawn uniformly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from autokd.errors import NothingFeasible
from autokd.objective import shown_limit
from autokd.search.limits import INT8_SIZE, LATENCY, Meter
from autokd.seeds import derive
from autokd.space import Space
from autokd.space.architectures import Architectures
from autokd.spec import fingerprint
from autokd.types import Task

POPULATION = 64
"""Students that are drawn, at most."""
PATIENCE = 100
"""Draws in a row that bring no new student, after which there are no more."""
FEW = 0.01
"""Feasible share below which the user is told."""


def population(
    space: Space, task: Task, seed: int, size: int = POPULATION, *, meter: Meter | None = None
) -> tuple[list[dict[str, Any]], float]:
    """Draw distinct students inside the budget; see `autokd.space.architectures.Architectures.sample` for how.

    Args:
      space: the resolved space.
      task: the task.
      seed: the study's seed.
      size: how many, at most.
      meter: measures those that are inside otherwise, where the space bounds what is measured; None: that is not looked
        at.

    Returns:
      the plain students, and the share of the space's students that is inside; see `Architectures.share_inside`.

    Raises:
      NothingFeasible: no student is; the message names the smallest possible one, or the fastest.
    """
    found = _refused_if_empty(space, task)
    rng = np.random.default_rng(derive(seed, "screen", "population"))
    small = _distinct(found, rng, size)
    left, share = small, found.share_inside(rng)
    for name in (INT8_SIZE, LATENCY):
        if meter is not None and name in space.constraints:
            left = _inside(left, [*filter(found.fits, found.smallest())], meter, name, space.constraints[name])
    return left, share * len(left) / len(small)


def refuse_impossible(space: Space, task: Task, seed: int, meter: Meter) -> None:
    """Refuse limits that no student meets; students are drawn only where the space bounds what is measured.

    Args:
      space, task, seed, meter: as for `population`.

    Raises:
      NothingFeasible: see `population`.
    """
    if {INT8_SIZE, LATENCY} & space.constraints.keys():
        population(space, task, seed, meter=meter)
    else:
        _refused_if_empty(space, task)


def _refused_if_empty(space: Space, task: Task) -> Architectures:
    """The students inside the limits that follow from the architecture, of which there is one at least."""
    found = Architectures.of(space, task)
    if not any(map(found.fits, found.smallest())):
        raise NothingFeasible(_outside(found, space.constraints))
    return found


def _distinct(found: Architectures, rng: np.random.Generator, size: int) -> list[dict[str, Any]]:
    """Up to so many distinct students, in the order in which they are drawn; all of them where they are few."""
    everything = found.everything()
    if everything is not None and len(everything) <= size:
        return [everything[place] for place in rng.permutation(len(everything))]
    distinct: dict[str, dict[str, Any]] = {}
    misses = 0
    while len(distinct) < size and misses < PATIENCE:
        student, before = found.sample(rng), len(distinct)
        distinct.setdefault(fingerprint(student), student)
        misses = misses + 1 if len(distinct) == before else 0
    return list(distinct.values())


def _outside(found: Architectures, constraints: Mapping[str, float]) -> str:
    """What to say where every student exceeds a limit that follows from the architecture."""
    limits = ", ".join(shown_limit(name, limit) for name, limit in constraints.items())
    smallest = found.smallest()
    if not smallest:
        return f"no student of the space can be built for {found.task.dataset}"
    cost, name = min((found.cost(student), _short(student)) for student in smallest)
    return (
        f"no student of the space lies inside the budget ({limits}); the smallest possible one is {name} "
        f"with {cost.params:,} parameters, {cost.macs:,} MACs and {cost.size:,} bytes"
    )


def _inside(
    students: Sequence[dict[str, Any]], smallest: Sequence[dict[str, Any]], meter: Meter, cost: str, most: float
) -> list[dict[str, Any]]:
    """Those of which a cost that is measured is at most so much; where none is, the smallest of each family."""
    measure = meter.int8_size if cost == INT8_SIZE else meter
    measured, found = list[tuple[float, dict[str, Any]]](), list[dict[str, Any]]()
    for few in (students, smallest):
        measured += [(measure({"student": student}), student) for student in few if not found]
        found = [student for value, student in measured if value <= most]
    if not found:
        least, name = min((value, _short(student)) for value, student in measured)
        said = {
            LATENCY: f"the fastest one measured is {name} with {least:.3g} ms on {meter.where}",
            INT8_SIZE: f"the smallest possible one is {name}, whose file in 8 bits has {least:,.0f} bytes",
        }
        raise NothingFeasible(
            f"no student of the space lies inside the budget ({shown_limit(cost, most)}); {said[cost]}"
        )
    return found


def _short(student: Mapping[str, Any]) -> str:
    fields = ", ".join(f"{key}={value}" for key, value in student.items() if key != "use")
    return f"{student['use']}({fields})"
