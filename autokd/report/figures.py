"""The report's figures, as plain Plotly mappings {"data": …, "layout": …}.

Colours of text, axes and grid are left to the page, which knows whether it is light or dark. Every text that comes from
a study is escaped, since Plotly reads a little HTML in labels and hovers.
"""

from __future__ import annotations

import html
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from autokd.metrics import METRICS, Metric
from autokd.objective import COSTS, direction
from autokd.report import facts, words
from autokd.report.numbers import Importances, common_rung, mean_interval
from autokd.study.fidelity import score_at
from autokd.study.records import TrialRecord

Figure = dict[str, Any]

COLORS = {"recommended": "#2f7fd0", "kd": "#e08a1e", "ce": "#2fa37c", "teacher": "#8b8f99"}
QUIET = "#9aa5b4"
ACCENT = COLORS["recommended"]
RUNG_COLORS = (QUIET, "#7ea6cf", ACCENT)
"""Of the trials' dots, the longest rung last."""
TOP_COLORS = ("#2f7fd0", "#7a5fc4", "#c2528b", "#4aa8b8", "#a0792f")
SHOWN_PARAMETERS = 12
ROW = 34
"""Height of a row in a figure of rows, pixels."""


class ErrorScale(NamedTuple):
    """Values of a metric drawn by the logarithm of their error, the distance from the perfect value; better is higher.

    Accuracies of 90, 99 and 99.9 % are equally far apart.

    Args:
      smallest: error that stands for none at all, half a validation sample.
      metric: that is drawn.
    """

    smallest: float
    metric: Metric

    def at(self, value: float) -> float:
        """Where a value is drawn."""
        return -math.log10(max(abs(self.metric.perfect - value), self.smallest))

    def between(self, middle: float, interval: tuple[float, float] | None) -> Figure:
        """The error bar of a mean."""
        ends = None if interval is None else sorted(self.at(end) for end in interval)
        return _error(self.at(middle), ends)

    def axis(self, places: Sequence[float]) -> Figure:
        """The axis for what is drawn at these places; round errors are marked, where there is room."""
        room = 0.1 * (max(places) - min(places))
        bottom = -math.log10(self.metric.high - self.metric.low) if math.isfinite(self.metric.high) else -math.inf
        low, high = max(bottom, min(places) - room), max(places) + room
        marks: dict[float, str] = {}
        for digit in (1, 2, 5, 3, 7, 4, 6, 8, 9):
            for decade in range(math.floor(low), math.ceil(high) + 1):
                error = digit * 10.0 ** -(decade + 1)
                place = -math.log10(error)
                if low <= place <= high and all(abs(place - other) > 0.08 * (high - low) for other in marks):
                    marks[place] = f"{self.metric.scale * self._value(error):.6g}"
        title = {"text": self.metric.heading("validation")}
        return {"title": title, "zeroline": False, "tickvals": list(marks), "ticktext": list(marks.values())}

    def _value(self, error: float) -> float:
        return self.metric.perfect - error if self.metric.higher_is_better else self.metric.perfect + error


def claim(claim: facts.Claim) -> Figure:
    """Test value of each arm: a dot a seed, the mean with its interval, the teacher, the prediction interval."""
    arms, metric = [arm for arm in claim.arms if arm.key != "teacher"], claim.metric
    data = [trace for row, arm in enumerate(reversed(arms)) for trace in _arm_traces(arm, row, metric)]
    shapes, notes = [], []
    low, high = (metric.scale * end for end in claim.evidence["prediction_interval"])
    row = len(arms) - 1
    shapes.append(_box(low, high, row - 0.36, row + 0.36, COLORS["recommended"]))
    for arm in claim.arms:
        if arm.key == "teacher":
            shapes.append(_line(x=metric.scale * arm.test[0]))
            notes.append(_note("teacher", x=metric.scale * arm.test[0], y=1, yref="paper", yanchor="bottom"))
    rows = {"tickvals": list(range(len(arms))), "ticktext": [arm.title for arm in reversed(arms)]}
    layout = _layout(
        70 + 52 * len(arms),
        xaxis={"title": {"text": metric.heading("test")}, "zeroline": False},
        yaxis={**rows, "range": [-0.6, len(arms) - 0.4], "zeroline": False, "showgrid": False, "fixedrange": True},
        shapes=shapes,
        annotations=notes,
    )
    layout["margin"]["t"] = 22
    return {"data": data, "layout": layout}


def quality_by_params(study: facts.Study, claim: facts.Claim | None) -> Figure:
    """The first objective on validation against parameters: trials at their last rungs, baselines, claim, teacher."""
    scale = _scale(study)
    trials = [t for t in study.records.trials.values() if t.failure is None and t.rungs]
    data = [_rung_trace(study, scale, trials, rung) for rung in range(study.top_rung + 1)]
    data = [trace for trace in data if trace["x"]]
    for name in ("kd", "ce"):
        data += [_baseline_trace(scale, trial, name) for trial in trials if trial.source == f"baseline:{name}"]
    sizes = [x for trace in data for x in trace["x"]]
    for place, arm in enumerate(claim.arms if claim else []):
        if arm.key != "teacher" and arm.params:
            data.append(_claim_trace(scale, arm, arm.params * (0.94, 1.0, 1.06)[place]))
            sizes.append(arm.params)
    shapes, notes = _teacher_line(study, scale)
    places = [y for trace in data for y in trace["y"]] + [shape["y0"] for shape in shapes]
    layout = _layout(
        430,
        xaxis=_cost_axis("params", sizes),
        yaxis=scale.axis(places),
        shapes=shapes,
        annotations=notes,
        legend={"orientation": "h", "y": -0.2, "yanchor": "top"},
    )
    return {"data": data, "layout": layout}


def front(study: facts.Study, points: Sequence[facts.FrontPoint], other: str) -> Figure:
    """The first objective against another one: every trial at its last rung, and the front with its line.

    Args:
      study: of several objectives.
      points: the front.
      other: name of the objective on the horizontal axis.
    """
    scale, factor = _scale(study), METRICS[other].scale if other in METRICS else 1.0
    trials = [t for t in study.records.trials.values() if t.failure is None and t.rungs]
    reached = {t.number: factor * facts.reached(study, t)[other] for t in trials}
    data = [_rung_trace(study, scale, trials, rung, lambda t: reached[t.number]) for rung in range(study.top_rung + 1)]
    ordered = sorted(points, key=lambda point: point.objectives[other])
    means = [statistics.fmean(point.values) for point in ordered]
    intervals = [mean_interval(point.values, scale.metric) for point in ordered]
    bars = [_ends(scale, mean, interval) for mean, interval in zip(means, intervals, strict=True)]
    line: Figure = {
        "type": "scatter",
        "mode": "lines+markers" if len(study.objective.names) == 2 else "markers",
        "name": "front",
        "x": [factor * point.objectives[other] for point in ordered],
        "y": [scale.at(mean) for mean in means],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [up for up, _ in bars],
            "arrayminus": [down for _, down in bars],
            "thickness": 1.5,
            "width": 5,
        },
        "line": {"color": ACCENT, "width": 2, "shape": "hv" if direction(other) == "minimize" else "vh"},
        "marker": {
            "size": [16 if point.chosen else 10 for point in ordered],
            "symbol": ["star" if point.chosen else "diamond" for point in ordered],
            "color": ACCENT,
        },
        "hovertext": [_front_hover(study, point) for point in ordered],
        "hoverinfo": "text",
    }
    data = [trace for trace in [*data, line] if trace["x"]]
    places = [x for trace in data for x in trace["x"]]
    axis = _cost_axis(other, places) if other in COSTS else {"title": {"text": METRICS[other].heading("validation")}}
    layout = _layout(
        430,
        xaxis={"zeroline": False, **axis},
        yaxis=scale.axis([y for trace in data for y in trace["y"]]),
        legend={"orientation": "h", "y": -0.2, "yanchor": "top"},
    )
    return {"data": data, "layout": layout}


def learning_curves(study: facts.Study) -> Figure:
    """The first objective on validation by epoch; the best trials and the start baselines in colour."""
    trials = [trial for trial in study.records.trials.values() if trial.rungs]
    baselines = {f"baseline:{arm}": arm for arm in ("kd", "ce")}
    top = [trial for trial in facts.ranked(trials) if trial.source not in baselines][: facts.TOP]
    marked = {trial.number for trial in top} | {t.number for t in trials if t.source in baselines}
    scale = _scale(study)
    rest = [_curve(scale, trial) for trial in trials if trial.number not in marked]
    quiet: Figure = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "other trials",
        "x": [x for xs, _, _ in rest for x in [*xs, None]],
        "y": [y for _, ys, _ in rest for y in [*ys, None]],
        "hovertext": [text for _, _, texts in rest for text in [*texts, ""]],
        "hoverinfo": "text",
        "line": {"color": QUIET, "width": 1},
        "marker": {"size": 5},
        "opacity": 0.7,
    }
    data = [quiet] if rest else []
    data += [_curve_trace(scale, t, TOP_COLORS[place], f"trial {t.number}") for place, t in enumerate(top)]
    for trial in trials:
        if trial.source in baselines:
            arm = baselines[trial.source]
            data.append(_curve_trace(scale, trial, COLORS[arm], words.ARMS[arm], dash="dash"))
    layout = _layout(
        400,
        xaxis={"title": {"text": "epochs"}, "rangemode": "tozero", "zeroline": False},
        yaxis=scale.axis([y for trace in data for y in trace["y"] if y is not None]),
        shapes=[_line(x=epochs) for epochs in study.rung_epochs],
        legend={"orientation": "h", "y": -0.2, "yanchor": "top"},
    )
    return {"data": data, "layout": layout}


def importances(found: Importances) -> Figure:
    """Importance of each parameter beside what shuffled scores give."""
    names = list(found.shares)[:SHOWN_PARAMETERS][::-1]
    above = [found.shares[name] > found.noise[name] for name in names]
    bars: Figure = {
        "type": "bar",
        "orientation": "h",
        "y": [_safe(name) for name in names],
        "x": [100 * found.shares[name] for name in names],
        "marker": {"color": [ACCENT if clear else QUIET for clear in above]},
        "hovertext": [_share(name, found) for name in names],
        "hoverinfo": "text",
        "showlegend": False,
    }
    noise: Figure = {
        "type": "scatter",
        "mode": "markers",
        "y": bars["y"],
        "x": [100 * found.noise[name] for name in names],
        "marker": {"symbol": "line-ns-open", "size": 15, "color": COLORS["kd"], "line": {"width": 2}},
        "name": "95 % of shuffles stay below",
        "hoverinfo": "skip",
    }
    layout = _layout(
        110 + 26 * len(names),
        xaxis={"title": {"text": "importance (% of the total)"}, "range": [0, 160 * max(found.shares.values())]},
        yaxis={"fixedrange": True, "showgrid": False},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        bargap=0.35,
    )
    return {"data": [bars, noise], "layout": layout}


def choices(study: facts.Study) -> list[tuple[str, Figure]]:
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
    groups = facts.choices(scored)
    return [(slot, _strips(options, rung, span, metric)) for slot, options in groups.items()]


def proxies(found: Sequence[facts.ProxyTau], metric: Metric) -> Figure:
    """Kendall's tau-b of each proxy with trained scores; the parameter count is the yardstick."""
    rows = [(proxy.name, proxy.tau) for proxy in reversed(found) if proxy.tau is not None]
    data: list[Figure] = [
        {
            "type": "scatter",
            "mode": "markers",
            "x": [tau.tau],
            "y": [_safe(name)],
            "error_x": _error(tau.tau, (tau.low, tau.high) if tau.low is not None else None),
            "marker": {"size": 10, "color": COLORS["kd"] if name == "parameter count" else ACCENT},
            "hovertext": [_safe(f"{name}: tau {tau.tau:+.2f}, n = {tau.n}")],
            "hoverinfo": "text",
        }
        for name, tau in rows
    ]
    layout = _layout(
        80 + ROW * len(rows),
        xaxis={"title": {"text": f"Kendall’s tau-b with {_scored(metric)}"}, "range": [-1.02, 1.02], "zeroline": True},
        yaxis={"fixedrange": True, "showgrid": False},
    )
    return {"data": data, "layout": {**layout, "showlegend": False}}


def _scored(metric: Metric) -> str:
    return f"validation {metric.title}" if metric.higher_is_better else f"minus the validation {metric.title}"


def _share(name: str, found: Importances) -> str:
    return _safe(f"{name}: {100 * found.shares[name]:.0f} % (by chance up to {100 * found.noise[name]:.0f} %)")


def _arm_traces(arm: facts.Arm, row: int, metric: Metric) -> list[Figure]:
    """Dots of the seeds a little below the row, the mean with its interval on it."""
    mean, color = metric.scale * statistics.fmean(arm.test), COLORS[arm.key]
    interval = None if arm.interval is None else tuple(metric.scale * end for end in arm.interval)
    seeds: Figure = {
        "type": "scatter",
        "mode": "markers",
        "x": [metric.scale * value for value in arm.test],
        "y": [row - 0.2] * len(arm.test),
        "marker": {"size": 8, "color": color, "opacity": 0.5},
        "hovertext": [f"{_safe(arm.title)}<br>one seed: {words.quality(value, metric)}" for value in arm.test],
    }
    middle: Figure = {
        "type": "scatter",
        "mode": "markers",
        "x": [mean],
        "y": [row + 0.08],
        "error_x": _error(mean, interval),
        "marker": {"size": 11, "symbol": "diamond", "color": color},
        "hovertext": [f"{_safe(arm.title)}<br>{words.mean_sd(arm.test, metric)}"],
    }
    return [{**trace, "hoverinfo": "text", "showlegend": False} for trace in (seeds, middle)]


def _scale(study: facts.Study) -> ErrorScale:
    return ErrorScale(0.5 / study.settings["data"]["validation"], study.objective.metric)


def _cost_axis(cost: str, values: Sequence[float]) -> Figure:
    marks = words.ticks(min(values), max(values)) if values else []
    return {
        "title": {"text": f"{COSTS[cost]} (log scale)"},
        "type": "log",
        "tickvals": marks,
        "ticktext": [words.compact(mark) for mark in marks],
    }


def _ends(scale: ErrorScale, mean: float, interval: tuple[float, float] | None) -> tuple[float, float]:
    """How far an interval reaches above and below where its mean is drawn; nowhere without one."""
    places = sorted(scale.at(end) for end in interval or (mean, mean))
    return places[1] - scale.at(mean), scale.at(mean) - places[0]


def _front_hover(study: facts.Study, point: facts.FrontPoint) -> str:
    lines = [f"{name}: {words.objective(value, name)}" for name, value in point.objectives.items()]
    spread = words.mean_sd(point.values, study.objective.metric)
    head = f"<b>trial {point.trial}</b>{' (recommended)' if point.chosen else ''}: {_safe(spread)}"
    return "<br>".join([head, *map(_safe, lines), _safe(words.brief(point.pipeline)).replace(" · ", "<br>")])


def _params(trial: TrialRecord) -> float:
    return trial.cost["params"]


def _rung_trace(
    study: facts.Study,
    scale: ErrorScale,
    trials: Sequence[TrialRecord],
    rung: int,
    across: Callable[[TrialRecord], float] = _params,
) -> Figure:
    baselines = ("baseline:kd", "baseline:ce")
    here = [t for t in trials if t.rungs[-1].rung == rung and t.source not in baselines and t.cost.get("params")]
    metric = scale.metric
    place = len(RUNG_COLORS) - 1 - min(study.top_rung - rung, len(RUNG_COLORS) - 1)
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"trials, {study.rung_epochs[rung]} epochs",
        "x": [across(t) for t in here],
        "y": [scale.at(metric.value(t.rungs[-1].score)) for t in here],
        "marker": {"size": 5 + 1.5 * place, "color": RUNG_COLORS[place]},
        "hovertext": [_hover(t, _after(t, metric)) for t in here],
        "hoverinfo": "text",
    }


def _after(trial: TrialRecord, metric: Metric) -> str:
    last = trial.rungs[-1]
    return f"{words.quality(metric.value(last.score), metric)} after {last.epochs} epochs"


def _baseline_trace(scale: ErrorScale, trial: TrialRecord, arm: str) -> Figure:
    last = trial.rungs[-1]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"start baseline: {words.BASELINES[arm]}",
        "x": [trial.cost["params"]],
        "y": [scale.at(scale.metric.value(last.score))],
        "marker": {"size": 10, "symbol": "square", "color": COLORS[arm]},
        "hovertext": [_hover(trial, f"start baseline, {_after(trial, scale.metric)}")],
        "hoverinfo": "text",
    }


def _claim_trace(scale: ErrorScale, arm: facts.Arm, x: float) -> Figure:
    mean = statistics.fmean(arm.validation)
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"claim: {words.BASELINES.get(arm.key, arm.key)}",
        "x": [x],
        "y": [scale.at(mean)],
        "error_y": scale.between(mean, mean_interval(arm.validation, scale.metric)),
        "marker": {"size": 9, "symbol": "diamond", "color": COLORS[arm.key]},
        "hovertext": [f"claim: {_safe(arm.title)}<br>{words.mean_sd(arm.validation, scale.metric)}, validation"],
        "hoverinfo": "text",
    }


def _teacher_line(study: facts.Study, scale: ErrorScale) -> tuple[list[Figure], list[Figure]]:
    teacher, reached = study.settings.get("teacher"), facts.teacher_value(study)
    if not teacher or reached is None:
        return [], []
    y = scale.at(reached)
    size = f", {words.compact(teacher['params'])} parameters" if teacher.get("params") else ""
    seen = "; may have seen these rows" if teacher.get("may_have_seen_validation") else ""
    note = _note(
        f"teacher {words.quality(reached, scale.metric)}{size}{seen}",
        x=0,
        y=y,
        xref="paper",
        xanchor="left",
        yanchor="bottom",
    )
    return [_line(y=y)], [note]


def _curve(scale: ErrorScale, trial: TrialRecord) -> tuple[list[int], list[float], list[str]]:
    """Epochs, heights and hover texts of the epochs that have a validation score."""
    lines = [line for rung in trial.rungs for line in rung.curve if line.get("score") is not None]
    pairs = [(int(line["epoch"]), float(line["score"])) for line in lines]
    pairs = pairs or [(rung.epochs, rung.score) for rung in trial.rungs]
    pairs = [(epoch, scale.metric.value(score)) for epoch, score in pairs]
    texts = [_hover(trial, f"epoch {epoch}: {words.quality(value, scale.metric)}") for epoch, value in pairs]
    return [epoch for epoch, _ in pairs], [scale.at(value) for _, value in pairs], texts


def _curve_trace(scale: ErrorScale, trial: TrialRecord, color: str, name: str, dash: str = "solid") -> Figure:
    epochs, places, texts = _curve(scale, trial)
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": f"{name} ({_safe(words.losses(trial.pipeline))})",
        "x": epochs,
        "y": places,
        "hovertext": texts,
        "hoverinfo": "text",
        "line": {"color": color, "width": 2.5, "dash": dash},
        "marker": {"size": 6},
    }


def _strips(options: Mapping[str, Sequence[TrialRecord]], rung: int, span: list[float], metric: Metric) -> Figure:
    order = sorted(options, key=lambda name: statistics.median(t.rungs[rung].score for t in options[name]))
    data = [_strip(name, options[name], rung, metric) for name in order]
    layout = _layout(
        70 + (ROW + 8) * len(order),
        xaxis={"title": {"text": metric.heading("validation")}, "range": span, "zeroline": False},
        yaxis={"fixedrange": True, "showgrid": False, "zeroline": False},
    )
    return {"data": data, "layout": {**layout, "showlegend": False}}


def _strip(name: str, trials: Sequence[TrialRecord], rung: int, metric: Metric) -> Figure:
    """A box with all its points; below five trials the points alone, since a box would pretend to know quartiles."""
    visible = "rgba(47,127,208,0.16)" if len(trials) >= 5 else "rgba(0,0,0,0)"
    line = ACCENT if len(trials) >= 5 else "rgba(0,0,0,0)"
    values = metric.values(trial.rungs[rung].score for trial in trials)
    return {
        "type": "box",
        "orientation": "h",
        "y": [f"{_safe(name)} ({len(trials)})"] * len(trials),
        "x": [metric.scale * value for value in values],
        "boxpoints": "all",
        "pointpos": 0,
        "jitter": 0.5,
        "fillcolor": visible,
        "line": {"color": line, "width": 1.2},
        "marker": {"size": 5, "color": "rgba(112,124,142,0.75)"},
        "hovertext": [_hover(t, words.quality(value, metric)) for t, value in zip(trials, values, strict=True)],
        "hoverinfo": "text",
        "hoveron": "points",
    }


def _hover(trial: TrialRecord, line: str) -> str:
    pipeline = _safe(words.brief(trial.pipeline)).replace(" · ", "<br>")
    return f"<b>trial {trial.number}</b>: {_safe(line)}<br>{pipeline}"


def _error(middle: float, interval: Any) -> Figure:
    if interval is None:
        return {"visible": False}
    up, down = interval[1] - middle, middle - interval[0]
    return {"type": "data", "symmetric": False, "array": [up], "arrayminus": [down], "thickness": 1.5, "width": 5}


def _line(*, x: float | None = None, y: float | None = None) -> Figure:
    """A dotted line across the figure."""
    ends = {"x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "paper"}
    if y is not None:
        ends = {"y0": y, "y1": y, "x0": 0, "x1": 1, "xref": "paper"}
    return {"type": "line", "layer": "below", "line": {"color": COLORS["teacher"], "width": 1.2, "dash": "dot"}, **ends}


def _box(x0: float, x1: float, y0: float, y1: float, color: str) -> Figure:
    ends = {"x0": x0, "x1": x1, "y0": y0, "y1": y1}
    return {"type": "rect", "layer": "below", "line": {"width": 0}, "fillcolor": color, "opacity": 0.14, **ends}


def _note(text: str, **place: Any) -> Figure:
    return {"text": _safe(text), "showarrow": False, "font": {"size": 12}, **place}


def _layout(height: int, **parts: Any) -> Figure:
    axis = {"automargin": True}
    return {
        "height": height,
        "margin": {"l": 8, "r": 12, "t": 12, "b": 8},
        "hovermode": "closest",
        **parts,
        "xaxis": {**axis, **parts["xaxis"]},
        "yaxis": {**axis, **parts["yaxis"]},
    }


def _safe(text: str) -> str:
    return html.escape(text, quote=False)
