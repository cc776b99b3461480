"""The data that the picture and the cards are drawn from by `section.js`: each trial once, and the axes."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from autokd.metrics import METRICS
from autokd.objective import COSTS, shown_limit
from autokd.report import plots, scales
from autokd.report.plots import ErrorScale
from autokd.report.sections.explorer.facts import Shown, comparable, costs_shown, front_of, grouped
from autokd.report.start import teacher_value
from autokd.report.tables import flat
from autokd.study.arms import PICK
from autokd.study.curves import scored_on_the_way

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

Plain = dict[str, Any]

HEIGHT, NEAR = 420, 10
"""Of the picture, pixels; and how many times what the largest student costs a limit may be to be drawn."""
DIGITS = 6
"""Significant digits of a value in the block; the CSV files have all of them."""


def block(study: StudyStore, shown: Sequence[Shown]) -> Plain:
    """Return what `section.js` reads.

    Args:
      study: of the trials.
      shown: the trials with a score, one at least, in the order of the table.
    """
    metric = study.objective.metric
    reference, start, title = _reference(study, shown)
    return {
        "command": f"autokd export {shlex.quote(study.name)}",
        "scale": metric.scale,
        **_vertical(study, shown),
        "axes": [_cost_axis(study, shown, name) for name in costs_shown(study)]
        + [_metric_axis(study, shown, name) for name in _other_metrics(study)],
        "reference": {"title": title, "pipeline": flat(reference)},
        "start": start,
        "trials": [{**_trial(study, s), "length": i} for i, s in _with_group(study, shown)],
    }


def _with_group(study: StudyStore, shown: Sequence[Shown]) -> list[tuple[int, Shown]]:
    return [(i, s) for i, group in enumerate(grouped(study, shown)) for s in group.trials]


def _trial(study: StudyStore, s: Shown) -> Plain:
    """A trial: its values, what it costs, its pipeline, and how it learned.

    `curve` has (epoch, value) of the epochs that were scored on the way, `rungs` of those whose score decided.
    """
    metric, trial = study.objective.metric, s.trial
    on_the_way = [[epoch, _short(metric.value(score), 4)] for epoch, score in scored_on_the_way(trial)]
    return {
        "number": s.number,
        "value": _short(s.value),
        "single": _short(s.single),
        "runs": [_short(value) for value in s.runs],
        "mark": _mark(study, s),
        "x": {name: _short(value) for name, value in _places(study, s).items()},
        "epochs": s.epochs,
        "seconds": _short(trial.seconds),
        "source": trial.source,
        "origin": s.origin,
        "pipeline": flat(trial.pipeline),
        "curve": on_the_way,
        "rungs": [[rung.epochs, _short(metric.value(rung.score))] for rung in trial.rungs],
    }


def _places(study: StudyStore, s: Shown) -> dict[str, float]:
    """Where a trial lies on each horizontal axis."""
    costs = {name: s.trial.cost[name] for name in COSTS if name in s.trial.cost}
    return costs | {name: METRICS[name].scale * s.trial.rungs[-1].metrics[name] for name in _other_metrics(study)}


def _other_metrics(study: StudyStore) -> list[str]:
    """The objectives beside the first one that are no costs."""
    return [name for name in study.objective.names[1:] if name in METRICS]


def _mark(study: StudyStore, s: Shown) -> list[Any]:
    """How a trial is drawn: (symbol, size, opacity)."""
    if s.runs:
        return ["diamond", 12, 0.9]
    rung = s.trial.rungs[-1].rung
    if rung == study.top_rung:
        return ["circle", 10, 0.9]
    return ["circle-open" if rung == 0 else "circle", 8, 0.5]


def _vertical(study: StudyStore, shown: Sequence[Shown]) -> Plain:
    """What the vertical axis draws values by, and the picture's layout with the teacher's line."""
    scale, reached = ErrorScale.of(study), teacher_value(study)
    places = [scale.at(value) for s in shown for value in (s.value, s.single)]
    places += [] if reached is None else [scale.at(reached)]
    room = 0.06 * (max(places) - min(places)) or 0.1
    across = {"range": [min(places) - room, max(places) + room]}
    lines, notes = plots.teacher_line(study, scale)
    layout = plots.figure(HEIGHT, [], xaxis={}, yaxis=scale.axis(places) | across, shapes=lines, annotations=notes)[
        "layout"
    ]
    layout["margin"]["t"] = 28  # room for the name of a limit
    return {"perfect": scale.metric.perfect, "smallest": scale.smallest, "layout": layout}


def _cost_axis(study: StudyStore, shown: Sequence[Shown], name: str) -> Plain:
    """A logarithmic axis, with the limit where it is near."""
    values, limit = [s.trial.cost[name] for s in shown], study.settings.identity.limits.get(name)
    limits = [limit] if limit is not None and limit < NEAR * max(values) else []
    axis, fair = scales.logarithmic([*values, *limits]), comparable(shown)
    lines, notes = [], []
    for value in limits:
        text, y = shown_limit(name, value).replace("<=", "≤"), {"yref": "paper", "y": 1, "yanchor": "bottom"}
        lines.append(plots.line(x=value) | {"line": {"color": plots.MARK, "width": 1.5, "dash": "dash"}})
        notes.append(plots.note(text, x=math.log10(value), xanchor="right", **y))
    return {
        "name": name,
        "xaxis": {**_named(axis), "title": {"text": COSTS[name]}, "type": "log"},
        "shapes": lines,
        "annotations": notes,
        "front": front_of(fair, [s.trial.cost[name] for s in fair], study.objective.metric),
        "shape": "hv",
    }


def _metric_axis(study: StudyStore, shown: Sequence[Shown], name: str) -> Plain:
    """A linear axis of an objective that is no cost."""
    metric, fair = METRICS[name], comparable(shown)
    axis = scales.of_metric([s.trial.rungs[-1].metrics[name] for s in shown], metric)
    costs = [-metric.score(s.trial.rungs[-1].metrics[name]) for s in fair]
    front = front_of(fair, costs, study.objective.metric)
    return {
        "name": name,
        "xaxis": {**_named(axis, metric.scale), "title": {"text": metric.heading("validation")}},
        "shapes": [],
        "annotations": [],
        "front": front[::-1] if metric.higher_is_better else front,
        "shape": "vh" if metric.higher_is_better else "hv",
    }


def _named(axis: scales.Scale, factor: float = 1.0) -> Plain:
    """An axis of the picture with the ends and the ticks of a scale."""
    ticks = {"tickvals": [tick.value for tick in axis.ticks], "ticktext": [tick.text for tick in axis.ticks]}
    ends = [factor * axis.bend(axis.low), factor * axis.bend(axis.high)]
    return {"range": ends, **ticks, "zeroline": False, "automargin": True}


def _reference(study: StudyStore, shown: Sequence[Shown]) -> tuple[Mapping[str, Any], int, str]:
    """What trials are compared with: (plain pipeline, trial whose card is shown first, title)."""
    claim, numbers = study.records.claim, {s.number for s in shown}
    if claim is None or claim.trial not in numbers:
        return shown[0].trial.pipeline, shown[0].number, "the leader"
    picked = next((arm for arm in claim.arms if arm.kind == PICK), None)
    pipeline = study.records.trials[claim.trial].pipeline if picked is None else picked.pipeline
    return pipeline, claim.trial, "the pick"


def _short(number: float, digits: int = DIGITS) -> float:
    return float(f"{number:.{digits}g}")
