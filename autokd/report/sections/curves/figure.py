"""The figure: learning curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from autokd.report import plots, words
from autokd.report.plots import QUIET, ErrorScale, Figure
from autokd.report.sections.curves.facts import TOP
from autokd.report.start import start_baselines
from autokd.study.arms import title_of
from autokd.study.ranking import ranked
from autokd.study.records import TrialRecord

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

TOP_COLORS = ("#2f7fd0", "#7a5fc4", "#c2528b", "#4aa8b8", "#a0792f")


class Curve(NamedTuple):
    """Epochs, heights and hover texts of the epochs of a trial that have a validation score."""

    epochs: list[int]
    places: list[float]
    texts: list[str]


def figure(study: StudyStore) -> Figure:
    """The first objective on validation by epoch; the best trials and the start baselines in colour."""
    scale, drawn = ErrorScale.of(study), [trial for trial in study.records.trials.values() if not trial.is_baseline]
    top = ranked(drawn)[:TOP]
    data = [_others([_curve(scale, trial) for trial in drawn if trial.rungs and trial not in top])]
    data += [_trace(scale, t, TOP_COLORS[place], f"trial {t.number}") for place, t in enumerate(top)]
    data += [
        _trace(scale, trial, plots.arm_colour(kind), title_of(kind), dash="dash")
        for kind, trial in start_baselines(study)
        if trial.rungs
    ]
    return plots.figure(
        400,
        data,
        xaxis={"title": {"text": "epochs"}, "rangemode": "tozero", "zeroline": False},
        yaxis=scale.axis(plots.all_of(data, "y")),
        shapes=[plots.line(x=epochs) for epochs in study.rung_epochs],
        legend=plots.LEGEND_BELOW,
    )


def _others(curves: Sequence[Curve]) -> Figure:
    """The curves that are not highlighted, one trace with gaps."""
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "other trials",
        "x": [x for curve in curves for x in [*curve.epochs, None]],
        "y": [y for curve in curves for y in [*curve.places, None]],
        "hovertext": [text for curve in curves for text in [*curve.texts, ""]],
        "hoverinfo": "text",
        "line": {"color": QUIET, "width": 1},
        "marker": {"size": 5},
        "opacity": 0.7,
    }


def _trace(scale: ErrorScale, trial: TrialRecord, colour: str, name: str, dash: str = "solid") -> Figure:
    curve = _curve(scale, trial)
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": plots.safe(f"{name} ({words.losses(trial.pipeline)})"),
        "x": curve.epochs,
        "y": curve.places,
        "hovertext": curve.texts,
        "hoverinfo": "text",
        "line": {"color": colour, "width": 2.5, "dash": dash},
        "marker": {"size": 6},
    }


def _curve(scale: ErrorScale, trial: TrialRecord) -> Curve:
    curve = Curve([], [], [])
    for epoch, score in _scores(trial) or [(rung.epochs, rung.score) for rung in trial.rungs]:
        value = scale.metric.value(score)
        curve.epochs.append(epoch)
        curve.places.append(scale.at(value))
        curve.texts.append(plots.hover(trial, f"epoch {epoch}: {words.quality(value, scale.metric)}"))
    return curve


def _scores(trial: TrialRecord) -> list[tuple[int, float]]:
    """(epoch, score) of the epochs that were scored, as the trial's curves have them."""
    lines = [line for rung in trial.rungs for line in rung.curve if line.get("score") is not None]
    return [(int(line["epoch"]), float(line["score"])) for line in lines]
