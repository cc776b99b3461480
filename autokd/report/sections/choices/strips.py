"""Scores against temperatures, weights and learning rates, as small pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from autokd.report import scales, words
from autokd.report.tables import flat
from autokd.study.arms import PICK
from autokd.study.fidelity import Tau, interval, kendall, score_at

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

FIELDS = ("temperature", "weight", "learning_rate")
"""Of components, whose values are drawn."""
FEWEST = 8
"""Trials with a value below which there is no picture."""
WIDE = 5.0
"""How many times the smallest value the largest is from which on the axis is logarithmic."""


class Point(NamedTuple):
    """Where a trial lies in a picture, in percent from the left and from the top."""

    across: float
    down: float


class Strip(NamedTuple):
    """A picture.

    Args:
      title: of what.
      across: the axis of the values.
      low, high: ends of the vertical axis, values of the metric.
      points: a trial each.
      pick: the value that the search's pick has; None where it has none.
      sentence: what the picture shows.
    """

    title: str
    across: scales.Scale
    low: float
    high: float
    points: list[Point]
    pick: float | None
    sentence: str


def strips(study: StudyStore, rung: int) -> list[Strip]:
    """Return a picture for each value that enough trials differ in, those that tell most first.

    Args:
      study: of the trials.
      rung: at which scores are compared.
    """
    picked, drawn = _picked(study), []
    for path, rows in _values(study, rung).items():
        if len(rows) >= FEWEST and len({value for value, _ in rows}) > 2:
            tau = kendall(*zip(*rows, strict=True))
            drawn.append((_weight(tau), _strip(study, path, rows, picked.get(path), tau)))
    return [strip for _, strip in sorted(drawn, key=lambda pair: -pair[0])]


def _values(study: StudyStore, rung: int) -> dict[str, list[tuple[float, float]]]:
    """(value, score at a rung) of the trials that have each value, by its path in the pipeline."""
    held: dict[str, list[tuple[float, float]]] = {}
    for trial in study.records.trials.values():
        score = score_at(trial, rung)
        if score is not None:
            for path, value in flat(trial.pipeline).items():
                if path.rpartition(".")[2] in FIELDS and isinstance(value, int | float):
                    held.setdefault(path, []).append((float(value), score))
    return held


def _picked(study: StudyStore) -> dict[str, float]:
    claim = study.records.claim
    pick = None if claim is None else next((arm for arm in claim.arms if arm.kind == PICK), None)
    return {} if pick is None else flat(pick.pipeline)


def _strip(
    study: StudyStore, path: str, rows: list[tuple[float, float]], picked: float | None, tau: Tau | None
) -> Strip:
    metric = study.objective.metric
    values, heights = [value for value, _ in rows], metric.values(score for _, score in rows)
    ends = [*values, *([] if picked is None else [picked])]
    wide = min(ends) > 0 and max(ends) >= WIDE * min(ends)
    across = scales.logarithmic(ends, words.figure) if wide else scales.linear(ends, words.figure)
    up = scales.of_metric(heights, metric)
    bottom_up = metric.higher_is_better
    places = [100 - up.at(height) if bottom_up else up.at(height) for height in heights]
    points = [Point(round(across.at(value), 1), round(place, 1)) for value, place in zip(values, places, strict=True)]
    ordered = (up.low, up.high) if bottom_up else (up.high, up.low)
    return Strip(_named(path), across, *ordered, points, picked, _trend(tau, len(rows)))


def _named(path: str) -> str:
    """ "losses.dist.temperature" -> "dist temperature"; "optimizer.learning_rate" -> "optimizer learning rate"."""
    return " ".join(path.split(".")[-2:]).replace("_", " ")


def _weight(tau: Tau | None) -> float:
    """How much a picture tells: the part of a correlation that is sure, and then its size."""
    if tau is None:
        return -1.0
    sure = 0.0 if tau.low is None or tau.high is None or tau.low <= 0 <= tau.high else min(abs(tau.low), abs(tau.high))
    return sure + 1e-3 * abs(tau.tau)


def _trend(tau: Tau | None, n: int) -> str:
    if tau is None or tau.low is None or tau.high is None:
        return f"n = {n}, no order to tell."
    told = "More was better" if tau.low > 0 else "Less was better" if tau.high < 0 else "No trend shown"
    return f"{told}: tau {interval(tau)}, n = {n}."
