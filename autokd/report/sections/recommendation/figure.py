"""The figure: test value of each arm."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from autokd.metrics import Metric
from autokd.report import plots, words
from autokd.report.numbers import mean_interval
from autokd.report.plots import Figure
from autokd.report.sections.recommendation.facts import Decision, Row


def figure(decision: Decision) -> Figure:
    """Test value of each arm: a dot a seed, the mean with its interval, the teacher, the prediction interval."""
    metric, teacher = decision.metric, decision.claim.teacher
    arms = [row for row in reversed(decision.rows) if row.arm is not None and row.test]
    data = [trace for place, row in enumerate(arms) for trace in _arm_traces(row, place, metric)]
    shapes, notes = _one_more_run(decision, arms), []
    if teacher is not None:
        x = metric.scale * teacher.test
        shapes.append(plots.line(x=x))
        notes.append(plots.note("teacher", x=x, y=1, yref="paper", yanchor="bottom"))
    ticks = {"tickvals": list(range(len(arms))), "ticktext": [plots.safe(row.title) for row in arms]}
    return plots.figure(
        70 + 52 * len(arms),
        data,
        xaxis={"title": {"text": metric.heading("test")}, "zeroline": False},
        yaxis={**ticks, "range": [-0.6, len(arms) - 0.4], "zeroline": False, "showgrid": False, "fixedrange": True},
        shapes=shapes,
        annotations=notes,
        margin={"l": 8, "r": 12, "t": 22, "b": 8},
    )


def _one_more_run(decision: Decision, arms: Sequence[Row]) -> list[Figure]:
    """The prediction interval, shaded on the row of the recommended arm, where there is one."""
    used, interval = (
        next((i for i, row in enumerate(arms) if row.recommended), None),
        decision.claim.prediction_interval,
    )
    if used is None or interval is None:
        return []
    low, high = (decision.metric.scale * end for end in interval)
    box = {"x0": low, "x1": high, "y0": used - 0.36, "y1": used + 0.36, "fillcolor": arms[used].colour}
    return [{"type": "rect", "layer": "below", "line": {"width": 0}, "opacity": 0.14, **box}]


def _arm_traces(row: Row, place: int, metric: Metric) -> list[Figure]:
    """Dots of the seeds a little below the arm's place, the mean with its interval on it."""
    mean, interval = metric.scale * statistics.fmean(row.test), mean_interval(row.test, metric)
    scaled = None if interval is None else (metric.scale * interval[0], metric.scale * interval[1])
    title = plots.safe(row.title)
    seeds: Figure = {
        "x": [metric.scale * value for value in row.test],
        "y": [place - 0.2] * len(row.test),
        "marker": {"size": 8, "color": row.colour, "opacity": 0.5},
        "hovertext": [f"{title}<br>one seed: {words.quality(value, metric)}" for value in row.test],
    }
    middle: Figure = {
        "x": [mean],
        "y": [place + 0.08],
        "error_x": plots.error_bar(mean, scaled),
        "marker": {"size": 11, "symbol": "diamond", "color": row.colour},
        "hovertext": [f"{title}<br>{words.mean_sd(row.test, metric)}"],
    }
    shared = {"type": "scatter", "mode": "markers", "hoverinfo": "text", "showlegend": False}
    return [{**shared, **trace} for trace in (seeds, middle)]
