"""Screening: training-free proxies rank student architectures before anything is trained.

The ranks order students, they veto none: the best diverse ones are tried early, and among a sampler's candidates the
best screened one is taken half of the time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from autokd.networks.cost import Cost, student_cost
from autokd.search.screen.screener import Screener, declared
from autokd.spec import component_from_plain
from autokd.study.choice import ScreenedStudent

FEWEST = 8
"""Students that are scored however little time there is."""
MIDDLE = 0.5
"""Rank of a student that a proxy cannot judge."""


def screen(
    screener: Screener,
    students: Sequence[Mapping[str, Any]],
    on_student: Callable[[int, int], None] | None = None,
    *,
    enough: Callable[[], bool] = lambda: False,
) -> list[ScreenedStudent]:
    """Score students and return them best first.

    The score is the mean over `ranked_by` of the student's rank, 0 for the worst to 1 for the best, and the middle
    where a proxy cannot judge it.

    Args:
      screener: scores them.
      students: plain ones.
      on_student: called with (scored, in all) after each.
      enough: asked from the `FEWEST`th student on whether to leave it at those scored.
    """
    rows: list[tuple[Mapping[str, Any], Cost, Mapping[str, float | None]]] = []
    for done, student in enumerate(students):
        if done >= FEWEST and enough():
            break
        cost = student_cost(component_from_plain("students", student), screener.context.data.task)
        rows.append((dict(student), cost, screener.values(student)))
        if on_student is not None:
            on_student(done + 1, len(students))
    ranks = np.mean([_ranks([values[name] for *_, values in rows], name) for name in screener.ranked_by], axis=0)
    scored = [
        ScreenedStudent(student=student, **cost._asdict(), proxies=values, score=float(rank))
        for (student, cost, values), rank in zip(rows, ranks, strict=True)
    ]
    return sorted(scored, key=lambda row: -row.score)


def score_against(
    screened: Sequence[ScreenedStudent], values: Mapping[str, float | None], names: Sequence[str]
) -> float:
    """Return the score of one more student against a screened population, 0 to 1."""
    shares = []
    for name in names:
        sign = 1.0 if declared(name).higher_is_better else -1.0
        own, others = values[name], [row.proxies[name] for row in screened]
        judged = [sign * other for other in others if other is not None]
        shares.append(MIDDLE if own is None or not judged else sum(o < sign * own for o in judged) / len(judged))
    return float(np.mean(shares))


def diverse_top(screened: Sequence[ScreenedStudent], count: int) -> list[ScreenedStudent]:
    """Return the best students that differ: no two of one architecture within 15 % in parameters."""
    chosen: list[ScreenedStudent] = []
    for row in screened:
        if len(chosen) < count and not any(_alike(row, other) for other in chosen):
            chosen.append(row)
    return chosen


def _alike(a: ScreenedStudent, b: ScreenedStudent) -> bool:
    same = a.student["use"] == b.student["use"]
    return same and abs(math.log(max(a.params, 1) / max(b.params, 1))) < math.log(1.15)


def _ranks(values: Sequence[float | None], name: str) -> Any:
    from scipy.stats import rankdata  # slow to import

    sign = 1.0 if declared(name).higher_is_better else -1.0
    judged = np.array([value is not None for value in values])
    finite = [sign * value if math.isfinite(value) else -math.inf for value in values if value is not None]
    ranks = np.full(len(values), MIDDLE)
    ranks[judged] = (rankdata(finite) - 1) / max(1, len(finite) - 1)
    return ranks
