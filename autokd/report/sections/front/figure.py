"""The figures: the first objective against each other one."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING

from autokd.metrics import METRICS
from autokd.objective import COSTS, direction
from autokd.report import plots, words
from autokd.report.numbers import mean_interval
from autokd.report.plots import ACCENT, ErrorScale, Figure
from autokd.report.sections.front.facts import FrontPoint, reached

if TYPE_CHECKING:
    from autokd.study.store import StudyStore


def figure(study: StudyStore, points: Sequence[FrontPoint], other: str) -> Figure:
    """The first objective against another one: every trial at its last rung, and the front with its line.

    Args:
      study: of several objectives.
      points: the front.
      other: name of the objective on the horizontal axis.
    """
    scale, factor = ErrorScale.of(study), METRICS[other].scale if other in METRICS else 1.0
    trials = [
        (trial, factor * reached(study, trial)[other])
        for trial in study.records.trials.values()
        if trial.failure is None and trial.rungs
    ]
    data = [plots.rung_trace(study, scale, rung, trials) for rung in range(study.top_rung + 1)]
    data.append(_line(study, scale, sorted(points, key=lambda point: point.objectives[other]), other, factor))
    return plots.figure(
        430,
        data,
        xaxis={"zeroline": False, **_axis(other, plots.all_of(data, "x"))},
        yaxis=scale.axis(plots.all_of(data, "y")),
        legend=plots.LEGEND_BELOW,
    )


def _axis(objective: str, places: Sequence[float]) -> Figure:
    if objective in COSTS:
        return plots.cost_axis(objective, places)
    return {"title": {"text": METRICS[objective].heading("validation")}}


def _line(study: StudyStore, scale: ErrorScale, points: Sequence[FrontPoint], other: str, factor: float) -> Figure:
    """The front's points from left to right, with their intervals, and where there are two objectives their line."""
    means = [statistics.fmean(point.reached) for point in points]
    ends = [scale.ends(statistics.fmean(p.reached), mean_interval(p.reached, scale.metric)) for p in points]
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(study.objective.names) == 2 else "markers",
        "name": "front",
        "x": [factor * point.objectives[other] for point in points],
        "y": [scale.at(mean) for mean in means],
        "error_y": plots.error_bars(ends),
        "line": {"color": ACCENT, "width": 2, "shape": "hv" if direction(other) == "minimize" else "vh"},
        "marker": _markers(points),
        "hovertext": [_hover(study, point) for point in points],
        "hoverinfo": "text",
    }


def _markers(points: Sequence[FrontPoint]) -> Figure:
    """A star for what is recommended, diamonds for the others."""
    return {
        "size": [16 if point.recommended else 10 for point in points],
        "symbol": ["star" if point.recommended else "diamond" for point in points],
        "color": ACCENT,
    }


def _hover(study: StudyStore, point: FrontPoint) -> str:
    lines = [plots.safe(f"{name}: {words.objective(value, name)}") for name, value in point.objectives.items()]
    spread = plots.safe(words.mean_sd(point.reached, study.objective.metric))
    head = f"<b>trial {point.trial.number}</b>{' (recommended)' if point.recommended else ''}: {spread}"
    return "<br>".join([head, *lines, plots.pipeline_lines(point.trial.pipeline)])
