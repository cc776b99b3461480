"""The figures: a box of scores for each option of a slot."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from autokd.metrics import Metric
from autokd.report import plots, words
from autokd.report.plots import ACCENT, ROW, Figure
from autokd.report.sections.choices.facts import choices
from autokd.study.fidelity import score_at
from autokd.study.ranking import common_rung
from autokd.study.records import TrialRecord

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

CLEAR = "rgba(0,0,0,0)"
FEWEST_FOR_BOX = 5
"""Below so many trials the points stand alone, since a box would pretend to know quartiles."""

Options = Mapping[str, Sequence[TrialRecord]]


def figures(study: StudyStore) -> list[tuple[str, Figure]]:
    """One figure for each choice: (its name, scores at the common rung by option)."""
    trials = list(study.records.trials.values())
    rung = common_rung(trials)
    scored = [trial for trial in trials if score_at(trial, rung) is not None]
    if not scored:
        return []
    metric = study.objective.metric
    values = [metric.scale * metric.value(trial.rungs[rung].score) for trial in scored]
    margin = 0.04 * (max(values) - min(values)) + 0.005 * metric.scale
    span = [min(values) - margin, max(values) + margin]
    return [(slot, _strips(options, rung, span, metric)) for slot, options in choices(scored).items()]


def _strips(options: Options, rung: int, span: list[float], metric: Metric) -> Figure:
    order = sorted(options, key=lambda name: statistics.median(t.rungs[rung].score for t in options[name]))
    return plots.figure(
        70 + (ROW + 8) * len(order),
        [_strip(name, options[name], rung, metric) for name in order],
        xaxis={"title": {"text": metric.heading("validation")}, "range": span, "zeroline": False},
        yaxis={"fixedrange": True, "showgrid": False, "zeroline": False},
        showlegend=False,
    )


def _strip(name: str, trials: Sequence[TrialRecord], rung: int, metric: Metric) -> Figure:
    """A box with all its points."""
    boxed = len(trials) >= FEWEST_FOR_BOX
    values = metric.values(trial.rungs[rung].score for trial in trials)
    return {
        "type": "box",
        "orientation": "h",
        "y": [f"{plots.safe(name)} ({len(trials)})"] * len(trials),
        "x": [metric.scale * value for value in values],
        "boxpoints": "all",
        "pointpos": 0,
        "jitter": 0.5,
        "fillcolor": "rgba(47,127,208,0.16)" if boxed else CLEAR,
        "line": {"color": ACCENT if boxed else CLEAR, "width": 1.2},
        "marker": {"size": 5, "color": "rgba(112,124,142,0.75)"},
        "hovertext": [plots.hover(t, words.quality(value, metric)) for t, value in zip(trials, values, strict=True)],
        "hoverinfo": "text",
        "hoveron": "points",
    }
